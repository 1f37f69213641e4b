//! Where the cold side keeps flow records: written once when they arrive, read where they lie until they are shown.
//!
//! Owns the memory of all records under way and retained, and the flows that tables still held at the end. Knows no order and no
//! queue. Its invariant: a place names the same record until it is given back, and growing moves no record.

use super::kept::Kept;
use crate::flow::{FlowKey, FlowRecord, LastFlows};
use crate::wire::IpVersion;
use netscope_backends::pages::prefer_huge_pages;
use netscope_backends::prefetch::{prefetch_read, prefetch_whole};

/// Records of the first segment, 2 MiB; each further one has room for twice as many. So few records take little memory, and most
/// of many lie in segments that are worth huge pages.
const FIRST_LEN: usize = 1 << FIRST_BITS;
const FIRST_BITS: u32 = 14;

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// 0: among those that were stored here. Else in the table of this number, from 1, that was taken over.
    table: u32,
    at: u32,
}

/// Flow records by place.
#[derive(Default)]
pub(super) struct Records {
    segments: Vec<Vec<Kept>>,
    /// Places ever used.
    extent: usize,
    /// Places given back, used again before new ones.
    free: Vec<u32>,
    tables: Vec<LastFlows>,
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
    pub fn insert(&mut self, record: &FlowRecord) -> Place {
        self.has_v6 |= record.key.version() == IpVersion::V6;
        if let Some(place) = self.free.pop() {
            let (segment, at) = position(place as usize);
            self.segments[segment][at] = Kept::new(record);
            return Place { table: 0, at: place };
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
        Place { table: 0, at: place }
    }

    /// Takes over the flows that a table still held, as they lie; tells the place of each.
    pub fn take_over(&mut self, flows: LastFlows, mut tell: impl FnMut(Place)) {
        let table = u32::try_from(self.tables.len() + 1).expect("fewer queues than 2^32");
        for at in flows.places() {
            self.has_v6 |= flows.key(at).version() == IpVersion::V6;
            tell(Place { table, at });
        }
        self.tables.push(flows);
    }

    /// Gives a place back. In a table that was taken over nothing will be stored any more.
    pub fn remove(&mut self, place: Place) {
        if place.table == 0 {
            self.free.push(place.at);
        }
    }

    /// The record at a place.
    #[inline]
    pub fn get(&self, place: Place) -> FlowRecord {
        match self.table(place) {
            None => self.kept(place.at).record(),
            Some(flows) => flows.record(place.at),
        }
    }

    /// Bytes of both directions of the record at a place.
    #[inline]
    pub fn bytes(&self, place: Place) -> u64 {
        match self.table(place) {
            None => self.kept(place.at).bytes(),
            Some(flows) => flows.bytes(place.at).into_iter().fold(0, u64::saturating_add),
        }
    }

    /// The key of the record at a place.
    #[inline]
    pub fn key(&self, place: Place) -> &FlowKey {
        match self.table(place) {
            None => self.kept(place.at).key(),
            Some(flows) => flows.key(place.at),
        }
    }

    /// Number of the first packet of the record at a place.
    #[inline]
    pub fn first_packet(&self, place: Place) -> u64 {
        match self.table(place) {
            None => self.kept(place.at).first_packet(),
            Some(flows) => flows.first_packet(place.at),
        }
    }

    /// Hints that bytes and key at a place will be asked for soon.
    #[inline]
    pub fn prefetch_key(&self, place: Place) {
        prefetch_read(self.key(place));
    }

    /// True once a record of an IPv6 flow was stored.
    pub fn has_v6(&self) -> bool {
        self.has_v6
    }

    /// Hints that the record at a place will be read soon.
    #[inline]
    pub fn prefetch(&self, place: Place) {
        match self.table(place) {
            None => prefetch_whole(self.kept(place.at)),
            Some(flows) => flows.prefetch(place.at),
        }
    }

    #[inline]
    fn table(&self, place: Place) -> Option<&LastFlows> {
        self.tables.get((place.table as usize).checked_sub(1)?)
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
        let places: Vec<Place> = (0..FIRST_LEN).map(|_| records.insert(&udp6_record())).collect();
        assert_eq!(records.segments.len(), 2);
        assert_eq!(records.get(first), tcp_record());
        let given_back = places[FIRST_LEN / 2];
        records.remove(given_back);
        assert_eq!(records.insert(&icmp_record()), given_back);
        assert_eq!(records.get(given_back), icmp_record());
        assert!(places.iter().filter(|&&place| place != given_back).all(|&place| records.get(place) == udp6_record()));
    }
}
