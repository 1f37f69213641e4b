//! Asks the processor to fetch memory before it is needed.
//!
//! Owns the instruction, which safe code has none for. Its one invariant: it changes nothing but the caches.

/// Bytes per cache line. A wrong guess costs time and nothing else.
const LINE_BYTES: usize = 64;

/// Hints that all of `value` will be read soon; otherwise as [`prefetch_read`].
#[inline(always)]
pub fn prefetch_whole<T>(value: &T) {
    let address = std::ptr::from_ref(value).cast::<u8>();
    for at in (0..size_of::<T>()).step_by(LINE_BYTES) {
        prefetch(address.wrapping_add(at));
    }
    if align_of::<T>() < LINE_BYTES {
        // It may begin in the middle of a line, and then it ends in one more.
        prefetch(address.wrapping_add(size_of::<T>().saturating_sub(1)));
    }
}

/// Hints that the first cache line of `reference` will be read soon. Costs about a nanosecond and never
/// waits; does nothing on processors other than x86-64 and AArch64.
#[inline(always)]
pub fn prefetch_read<T: ?Sized>(reference: &T) {
    prefetch(std::ptr::from_ref(reference).cast());
}

#[inline(always)]
fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // JUSTIFICATION: there is no safe way to prefetch, and without it every look into a large flow table
        // waits for memory.
        // SAFETY: SSE is part of x86-64, and prefetching any address at all neither faults nor changes what a
        // program can observe.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(target_arch = "aarch64")]
    {
        // JUSTIFICATION: as above; the intrinsic is not stable on this architecture.
        // SAFETY: PRFM is a hint that neither faults nor writes; it uses one register as input, no stack and
        // no flags.
        unsafe { std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly)) };
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::{prefetch_read, prefetch_whole};

    #[test]
    fn changes_nothing() {
        let values = vec![1_u64, 2, 3];
        values.iter().for_each(prefetch_read);
        prefetch_read::<[u64]>(&[]);
        prefetch_whole(&[values.clone(), values.clone()]);
        prefetch_whole(&());
        assert_eq!(values, [1, 2, 3]);
    }
}
