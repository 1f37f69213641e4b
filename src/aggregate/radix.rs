//! Sorts many numbers by their digits instead of by comparing them.
//!
//! Owns the passes over the numbers, one for each digit in which they differ. Knows nothing of what they mean. Its invariant: the order is
//! that of comparing the bits that count. A million numbers would be compared twenty times each, while the ranks of flows
//! differ in six or seven bytes, as a rule.

use netscope_backends::pages::prefer_huge_pages;

const DIGIT_BITS: usize = 8;
const VALUES: usize = 1 << DIGIT_BITS;
/// Fewer numbers are compared: counting digits would cost more.
const LEN_MIN: usize = if cfg!(test) { 32 } else { 1 << 12 };

/// Sorts `numbers`, of which there are fewer than 2^32, by their bits from `lowest_bit` on. Takes as much memory again while it does.
pub(super) fn sort(numbers: &mut [u128], lowest_bit: u32) {
    if numbers.len() < LEN_MIN {
        numbers.sort_unstable();
        return;
    }
    let first = numbers.first().copied().unwrap_or_default();
    let differing = numbers.iter().fold(0, |differing, number| differing | (number ^ first));
    let mut spare = Vec::with_capacity(numbers.len());
    prefer_huge_pages(&spare);
    spare.extend_from_slice(numbers);
    let (mut from, mut to, mut is_in_spare) = (numbers, spare.as_mut_slice(), false);
    for shift in (lowest_bit..u128::BITS).step_by(DIGIT_BITS).filter(|&shift| digit(differing, shift) != 0) {
        pass(from, to, shift);
        std::mem::swap(&mut from, &mut to);
        is_in_spare = !is_in_spare;
    }
    if is_in_spare {
        to.copy_from_slice(from);
    }
}

#[inline(always)]
const fn digit(number: u128, shift: u32) -> usize {
    (number >> shift) as usize % VALUES
}

/// Moves the numbers to `to` in the order of one digit; those with the same stay in the order in which they were.
fn pass(from: &[u128], to: &mut [u128], shift: u32) {
    let mut places = [0_u32; VALUES];
    from.iter().for_each(|&number| places[digit(number, shift)] += 1);
    let mut start = 0;
    for place in &mut places {
        start += std::mem::replace(place, start);
    }
    for &number in from {
        let place = &mut places[digit(number, shift)];
        to[*place as usize] = number;
        *place += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sorted_as_by_comparing(
            numbers in prop::collection::vec(any::<u128>(), 0..200),
            mask in prop_oneof![Just(u128::MAX), Just(0), any::<u128>(), (0..128u32).prop_map(|bit| 1 << bit)],
            lowest_bit in prop_oneof![Just(0u32), Just(32), Just(3), Just(127)],
        ) {
            let mut numbers: Vec<u128> = numbers.into_iter().map(|number| number & mask).collect();
            let mut expected = numbers.clone();
            sort(&mut numbers, lowest_bit);
            prop_assert!(numbers.is_sorted_by_key(|number| number >> lowest_bit));
            numbers.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(numbers, expected, "one for one");
        }
    }
}
