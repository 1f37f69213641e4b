//! Compares eight small numbers at once.
//!
//! Owns the instructions for it, which compilers do not find by themselves. Its one invariant: the same
//! answer on every processor.

/// One bit for each of the eight that is `wanted`, the first lowest.
#[inline(always)]
pub fn equal_of_eight(values: &[u16; 8], wanted: u16) -> u8 {
    #[cfg(target_arch = "x86_64")]
    {
        // JUSTIFICATION: there is no stable safe way to compare a vector, and each packet is looked for by
        // such a comparison.
        // SAFETY: SSE2 is part of x86-64.
        unsafe { with_sse2(values, wanted) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        values.iter().enumerate().fold(0, |bits, (at, &value)| bits | u8::from(value == wanted) << at)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
fn with_sse2(values: &[u16; 8], wanted: u16) -> u8 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi16, _mm_loadu_si128, _mm_movemask_epi8, _mm_packs_epi16, _mm_set1_epi16, _mm_setzero_si128,
    };
    // JUSTIFICATION: put together from its numbers, the vector is loaded in halves.
    // SAFETY: the array has the vector's 16 bytes, and the load asks for no alignment.
    let values = unsafe { _mm_loadu_si128(values.as_ptr().cast()) };
    let equal = _mm_cmpeq_epi16(values, _mm_set1_epi16(wanted.cast_signed()));
    _mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128())) as u8
}

#[cfg(test)]
mod tests {
    use super::equal_of_eight;

    #[test]
    fn each_place_has_its_bit() {
        let values = [1, 2, 3, 0xffff, 2, 0, 0x8000, 2];
        for wanted in [0, 1, 2, 3, 4, 0x7fff, 0x8000, 0xffff] {
            let expected = values.iter().enumerate().map(|(at, &value)| u8::from(value == wanted) << at).sum::<u8>();
            assert_eq!(equal_of_eight(&values, wanted), expected, "{wanted}");
        }
    }
}
