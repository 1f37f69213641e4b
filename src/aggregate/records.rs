//! Where the cold side keeps flow records: written once when they arrive, read where they lie until they are shown.
//!
//! Owns the memory of all records under way and retained. Knows no order and no queue. Its invariant: a place names the same
//! record until it is given back, and growing moves no record.

use super::kept::Kept;
use crate::flow::FlowRecord;
use netscope_backends::pages::prefer_huge_pages;
use netscope_backends::prefetch::prefetch_whole;

/// Records per segment, 8 MiB: growing is one mapping of untouched memory.
const SEGMENT_LEN: usize = 1 << SEGMENT_BITS;
const SEGMENT_BITS: u32 = 16;

/// Flow records by place.
#[derive(Default)]
pub(super) struct Records {
    segments: Vec<Vec<Kept>>,
    /// Places given back, used again before new ones.
    free: Vec<u32>,
}

impl Records {
    /// Stores a record and tells its place.
    pub fn insert(&mut self, record: &FlowRecord) -> u32 {
        if let Some(place) = self.free.pop() {
            self.segments[place as usize >> SEGMENT_BITS][place as usize & (SEGMENT_LEN - 1)] = Kept::new(record);
            return place;
        }
        if self.segments.last().is_none_or(|last| last.len() == SEGMENT_LEN) {
            let segment = Vec::with_capacity(SEGMENT_LEN);
            if !self.segments.is_empty() {
                // Not for the first one: a handful of records is not to cost a huge page that has to be cleared.
                prefer_huge_pages(&segment);
            }
            self.segments.push(segment);
        }
        let index = self.segments.len() - 1;
        let last = &mut self.segments[index];
        last.push(Kept::new(record));
        u32::try_from((index << SEGMENT_BITS) + last.len() - 1).expect("2^32 records would be a terabyte")
    }

    /// Gives a place back.
    pub fn remove(&mut self, place: u32) {
        self.free.push(place);
    }

    /// The record at a place.
    #[inline]
    pub fn get(&self, place: u32) -> FlowRecord {
        self.kept(place).record()
    }

    /// Hints that the record at a place will be read soon.
    #[inline]
    pub fn prefetch(&self, place: u32) {
        prefetch_whole(self.kept(place));
    }

    #[inline]
    fn kept(&self, place: u32) -> &Kept {
        &self.segments[place as usize >> SEGMENT_BITS][place as usize & (SEGMENT_LEN - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::test_records::{icmp_record, tcp_record, udp6_record};

    #[test]
    fn places_stay_and_are_used_again() {
        let mut records = Records::default();
        let first = records.insert(&tcp_record());
        let places: Vec<u32> = (0..SEGMENT_LEN).map(|_| records.insert(&udp6_record())).collect();
        assert_eq!(records.segments.len(), 2);
        assert_eq!(records.get(first), tcp_record());
        let given_back = places[SEGMENT_LEN / 2];
        records.remove(given_back);
        assert_eq!(records.insert(&icmp_record()), given_back);
        assert_eq!(records.get(given_back), icmp_record());
        assert!(places.iter().filter(|&&place| place != given_back).all(|&place| records.get(place) == udp6_record()));
    }
}
