//! Where the cold side keeps flow records: written once when they arrive, read where they lie until they are shown.
//!
//! Owns the memory of all records under way and retained. Knows no order and no queue. Its invariant: a place names the same
//! record until it is given back, and growing moves no record.

use super::kept::{Kept, Weight};
use crate::flow::FlowRecord;
use crate::wire::IpVersion;
use netscope_backends::pages::prefer_huge_pages;
use netscope_backends::prefetch::prefetch_whole;

/// Records of the first segment, 2 MiB; each further one has room for twice as many. So few records take little memory, and most
/// of many lie in segments that are worth huge pages.
const FIRST_LEN: usize = 1 << FIRST_BITS;
const FIRST_BITS: u32 = 14;

/// Flow records by place.
#[derive(Default)]
pub(super) struct Records {
    segments: Vec<Vec<Kept>>,
    /// Places ever used.
    extent: usize,
    /// Places given back, used again before new ones.
    free: Vec<u32>,
    has_v6: bool,
}

/// The segment of a place and where in it the place lies.
#[inline]
fn position(place: usize) -> (usize, usize) {
    let shifted = place + FIRST_LEN;
    let bits = shifted.ilog2();
    ((bits - FIRST_BITS) as usize, shifted - (1 << bits))
}

impl Records {
    /// Stores a record and tells its place.
    pub fn insert(&mut self, record: &FlowRecord) -> u32 {
        self.has_v6 |= record.key.version() == IpVersion::V6;
        if let Some(place) = self.free.pop() {
            let (segment, at) = position(place as usize);
            self.segments[segment][at] = Kept::new(record);
            return place;
        }
        let place = u32::try_from(self.extent).expect("2^32 records would be half a terabyte");
        let (segment, at) = position(self.extent);
        if at == 0 {
            let new = Vec::with_capacity(FIRST_LEN << segment);
            prefer_huge_pages(&new);
            self.segments.push(new);
        }
        self.segments[segment].push(Kept::new(record));
        self.extent += 1;
        place
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

    /// What the order of the table depends on.
    #[inline]
    pub fn weight(&self, place: u32) -> Weight {
        self.kept(place).weight()
    }

    /// True once a record of an IPv6 flow was stored.
    pub fn has_v6(&self) -> bool {
        self.has_v6
    }

    /// Hints that the record at a place will be read soon.
    #[inline]
    pub fn prefetch(&self, place: u32) {
        prefetch_whole(self.kept(place));
    }

    #[inline]
    fn kept(&self, place: u32) -> &Kept {
        let (segment, at) = position(place as usize);
        &self.segments[segment][at]
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
        let places: Vec<u32> = (0..FIRST_LEN).map(|_| records.insert(&udp6_record())).collect();
        assert_eq!(records.segments.len(), 2);
        assert_eq!(records.get(first), tcp_record());
        let given_back = places[FIRST_LEN / 2];
        records.remove(given_back);
        assert_eq!(records.insert(&icmp_record()), given_back);
        assert_eq!(records.get(given_back), icmp_record());
        assert!(places.iter().filter(|&&place| place != given_back).all(|&place| records.get(place) == udp6_record()));
    }
}
