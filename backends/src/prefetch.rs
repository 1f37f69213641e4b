//! Asks the processor to fetch memory before it is needed.
//!
//! Owns the instruction, which safe code has none for. Its one invariant: it changes nothing but the caches.

/// Hints that the first cache line of `reference` will be read soon. Costs about a nanosecond and never waits; does nothing on
/// processors other than x86-64 and AArch64.
#[inline(always)]
pub fn prefetch_read<T: ?Sized>(reference: &T) {
    let address = std::ptr::from_ref(reference).cast::<u8>();
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // JUSTIFICATION: there is no safe way to prefetch, and without it every look into a large flow table waits for memory.
        // SAFETY: SSE is part of x86-64, and prefetching any address at all neither faults nor changes what a program can observe.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(target_arch = "aarch64")]
    {
        // JUSTIFICATION: as above; the intrinsic is not stable on this architecture.
        // SAFETY: PRFM is a hint that neither faults nor writes; it uses one register as input, no stack and no flags.
        unsafe { std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly)) };
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::prefetch_read;

    #[test]
    fn changes_nothing() {
        let values = vec![1_u64, 2, 3];
        values.iter().for_each(prefetch_read);
        prefetch_read::<[u64]>(&[]);
        assert_eq!(values, [1, 2, 3]);
    }
}
