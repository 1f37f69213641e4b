//! Numbers of 128 bits sorted as numbers of 64: bits that are the same in all of them are left out, and who it is stands behind.
//!
//! Owns which bits those are and the sorting. Knows no record. Its invariant: what is in the same order packed is in the same order
//! unpacked; where it is equal packed, only bits that had no room can differ.

use super::parts::{DIVIDED_MIN, in_parts, part_len};
use crate::aggregate::records::RecordPlace;
use netscope_backends::pages::prefer_huge_pages;
use netscope_backends::thread::spawn_apart;

/// Bits that are the same in all numbers are taken along when no more than these lie between bits that are not: a run of bits costs more
/// than a bit.
const GAP_MAX: u32 = 3;

/// Bits of each number that follow each other and are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// Bits below it.
    shift: u32,
    width: u32,
    /// As many ones.
    mask: u64,
}

/// Which bits of numbers are packed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The uppermost first.
    runs: Vec<Run>,
    holds_all: bool,
}

impl Layout {
    /// For `len` numbers that differ in the bits of `varying`.
    pub fn of(varying: u128, len: usize) -> Self {
        let mut room = u64::BITS - index_bits(len);
        let mut left = varying;
        let mut runs = Vec::new();
        while left != 0 && room > 0 {
            let end = u128::BITS - left.leading_zeros();
            let mut shift = end - 1;
            loop {
                let below = u128::BITS - (left & ((1 << shift) - 1)).leading_zeros();
                if below == 0 || shift - below > GAP_MAX {
                    break;
                }
                shift = below - 1;
            }
            let width = (end - shift).min(room);
            shift = end - width;
            // Less than 64, as an index has at least one bit.
            runs.push(Run { shift, width, mask: (1 << width) - 1 });
            room -= width;
            left &= (1 << shift) - 1;
        }
        Self { runs, holds_all: left == 0 }
    }

    /// True when numbers that are equal packed are equal.
    pub fn holds_all(&self) -> bool {
        self.holds_all
    }

    #[inline(always)]
    fn pack(&self, number: u128) -> u64 {
        self.runs.iter().fold(0, |packed, run| packed << run.width | (number >> run.shift) as u64 & run.mask)
    }
}

/// Bits that tell `len` numbers apart, at least one.
fn index_bits(len: usize) -> u32 {
    len.next_power_of_two().trailing_zeros().max(1)
}

/// Packed numbers, each over its index.
pub(super) struct Packed {
    entries: Vec<u64>,
    index_bits: u32,
}

impl Packed {
    /// `numbers` as this layout has them.
    pub fn new(numbers: &[u128], layout: &Layout, threads: usize) -> Self {
        let index_bits = index_bits(numbers.len());
        let mut entries = vec![0; numbers.len()];
        prefer_huge_pages(&entries);
        let fill = |start: usize, numbers: &[u128], entries: &mut [u64]| {
            for (index, (&number, entry)) in (start..).zip(numbers.iter().zip(entries)) {
                *entry = layout.pack(number) << index_bits | index as u64;
            }
        };
        let part = part_len(numbers.len(), threads);
        let parts = (0..).step_by(part).zip(numbers.chunks(part).zip(entries.chunks_mut(part)));
        if in_parts(parts, |(start, (numbers, entries))| fill(start, numbers, entries)).is_none() {
            fill(0, numbers, &mut entries);
        }
        Self { entries, index_bits }
    }

    /// Puts them in order.
    pub fn sort(&mut self, threads: usize) {
        sort_by_halves(&mut self.entries, threads);
    }

    /// Start and length of each run of more than one number that are equal packed; after sorting.
    pub fn groups(&self) -> Vec<(usize, usize)> {
        let mut groups = Vec::new();
        let mut start = 0;
        for i in 1..self.entries.len() {
            if (self.entries[i - 1] ^ self.entries[i]) >> self.index_bits != 0 {
                groups.extend((i - start > 1).then_some((start, i - start)));
                start = i;
            }
        }
        let len = self.entries.len() - start;
        groups.extend((len > 1).then_some((start, len)));
        groups
    }

    /// Puts `places`, which the numbers were made from, in the same order.
    pub fn arrange(self, places: &mut [RecordPlace], threads: usize) {
        let mask = (1 << self.index_bits) - 1;
        let before = places.to_vec();
        let look_up = |(places, entries): (&mut [RecordPlace], &[u64])| {
            for (place, entry) in places.iter_mut().zip(entries) {
                *place = before[(entry & mask) as usize];
            }
        };
        let part = part_len(places.len(), threads);
        if in_parts(places.chunks_mut(part).zip(self.entries.chunks(part)), look_up).is_none() {
            look_up((places, &self.entries));
        }
    }
}

/// Sorts by halving, so that each thread has a part of its own.
fn sort_by_halves(entries: &mut [u64], threads: usize) {
    if threads <= 1 || entries.len() < DIVIDED_MIN {
        entries.sort_unstable();
        return;
    }
    let (smaller, _, larger) = entries.select_nth_unstable(entries.len() / 2);
    let (theirs, ours) = (threads / 2, threads - threads / 2);
    let is_started = std::thread::scope(|scope| {
        let started = spawn_apart(scope, ours, || sort_by_halves(smaller, theirs));
        sort_by_halves(larger, ours);
        started.is_ok()
    });
    if !is_started {
        smaller.sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers that differ in some bits only.
    fn numbers() -> impl Strategy<Value = Vec<u128>> {
        (any::<u128>(), any::<u128>(), any::<u128>(), 0..4u32).prop_flat_map(|(base, mask, other, thin)| {
            let mask = (0..thin).fold(mask, |mask, i| mask & other.rotate_left(7 * i + 1));
            prop::collection::vec(any::<u128>().prop_map(move |number| base & !mask | number & mask), 2..200)
        })
    }

    fn varying(numbers: &[u128]) -> u128 {
        numbers.iter().fold(0, |bits, number| bits | (number ^ numbers[0]))
    }

    proptest! {
        #[test]
        fn packed_they_are_in_the_same_order(numbers in numbers()) {
            let layout = Layout::of(varying(&numbers), numbers.len());
            let kept = layout.runs.iter().fold(0, |kept, run| kept + run.width);
            prop_assert!(kept + index_bits(numbers.len()) <= u64::BITS);
            for pair in numbers.windows(2) {
                let [packed_x, packed_y] = [pair[0], pair[1]].map(|number| layout.pack(number));
                if packed_x == packed_y {
                    prop_assert!(!layout.holds_all() || pair[0] == pair[1]);
                } else {
                    prop_assert_eq!(packed_x < packed_y, pair[0] < pair[1]);
                }
            }
        }

        #[test]
        fn places_follow_their_numbers(numbers in numbers()) {
            let mut places: Vec<RecordPlace> = (100..).map(RecordPlace::of).take(numbers.len()).collect();
            let mut packed = Packed::new(&numbers, &Layout::of(varying(&numbers), numbers.len()), 1);
            packed.sort(1);
            let groups = packed.groups();
            packed.arrange(&mut places, 1);
            let number = |place: &RecordPlace| numbers[place.number() as usize - 100];
            let in_group = |i| groups.iter().any(|&(start, len)| (start..start + len - 1).contains(&i));
            for (i, pair) in places.windows(2).enumerate() {
                prop_assert!(in_group(i) || number(&pair[0]) < number(&pair[1]));
            }
            places.sort_by_key(|place| place.number());
            prop_assert!(places.into_iter().eq((100..).map(RecordPlace::of).take(numbers.len())), "each place once");
        }
    }

    #[test]
    fn bits_that_are_the_same_in_all_take_no_room() {
        let runs = |varying, len| {
            let Layout { runs, holds_all } = Layout::of(varying, len);
            (runs.iter().map(|run| (run.shift, run.width)).collect::<Vec<_>>(), holds_all)
        };
        assert_eq!(runs(0, 2), (vec![], true));
        assert_eq!(runs(0xf0_0000_000f << 64, 1 << 20), (vec![(100, 4), (64, 4)], true));
        assert_eq!(runs(0b1000_1001, 2), (vec![(0, 8)], true), "three between them are taken along");
        assert_eq!(runs(u128::MAX, 1 << 20), (vec![(84, 44)], false), "cut where there is no more room");
        assert_eq!(runs(1 << 127 | u128::from(u64::MAX), 1 << 20), (vec![(127, 1), (21, 43)], false));
    }
}
