//! Asks the kernel for large pages under large tables.
//!
//! Owns one call, which safe code has none for. Knows nothing of what lies in the memory. Its one invariant:
//! it changes where the kernel keeps bytes and never what they are.

/// Tables smaller than this gain nothing: a huge page is 2 MiB on x86-64 and AArch64.
const WORTHWHILE_BYTES: usize = 4 << 20;
/// Alignment the kernel asks for; a multiple of every page size in use on the platforms served.
const ALIGNMENT: usize = 64 << 10;

/// Hints that the memory of `table`, spare capacity included, is looked up at random, so that few and large
/// pages serve it best. Call it before the memory is first written: what is there already stays on its pages
/// until the kernel merges them. Does nothing for small tables and on systems other than Linux.
pub fn prefer_huge_pages<T>(table: &Vec<T>) {
    let bytes = table.capacity().saturating_mul(size_of::<T>());
    if bytes < WORTHWHILE_BYTES {
        return;
    }
    let start = (table.as_ptr() as usize).next_multiple_of(ALIGNMENT);
    let end = (table.as_ptr() as usize + bytes) / ALIGNMENT * ALIGNMENT;
    #[cfg(target_os = "linux")]
    {
        // JUSTIFICATION: memory comes from the allocator, and only the kernel's call can say how it is going
        // to be used.
        // SAFETY: the range lies within one live allocation of at least 4 MiB, so it is mapped and not empty;
        // this advice keeps every byte as it is. A refusal costs speed only, so the result is not looked at.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, end);
}

#[cfg(test)]
mod tests {
    use super::prefer_huge_pages;

    #[test]
    fn contents_stay() {
        let mut table = vec![7_u8; 9 << 20];
        prefer_huge_pages(&table);
        assert!(table.iter().all(|&byte| byte == 7));
        table.fill(8);
        assert!(table.iter().all(|&byte| byte == 8));
        prefer_huge_pages(&Vec::<u64>::new());
        prefer_huge_pages(&vec![(); 1 << 30]);
    }
}
