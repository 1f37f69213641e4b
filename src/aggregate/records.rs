//! Where the cold side keeps flow records: written once when they arrive, read where they lie until they are shown.
//!
//! Owns the memory of all records under way and retained, and the flows that tables still held at the end. Knows no order and no
//! queue. Its invariant: a place names the same record until it is given back, and growing moves no record.

use super::kept::Kept;
use crate::flow::{Direction, FlowKey, FlowRecord, LastFlows};
use netscope_backends::pages::prefer_huge_pages;
use netscope_backends::prefetch::{prefetch_read, prefetch_whole};

/// Records of the first segment, 2 MiB; each further one has room for twice as many. So few records take little memory, and most
/// of many lie in segments that are worth huge pages.
const FIRST_LEN: usize = 1 << FIRST_BITS;
const FIRST_BITS: u32 = 14;

/// Where a record lies: those that are stored here are numbered upwards from 0, those in tables that were taken over below 2^32, each
/// table before the one taken over earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// Its number.
    #[inline]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The place of a number.
    #[cfg(test)]
    pub const fn of(number: u32) -> Self {
        Self(number)
    }
}

/// Said where numbers run out.
const TOO_MANY: &str = "2^32 records would be half a terabyte";

/// Flow records by place.
#[derive(Default)]
pub(super) struct Records {
    segments: Vec<Vec<Kept>>,
    /// Places ever used.
    extent: usize,
    /// Places given back, used again before new ones.
    free: Vec<u32>,
    /// Tables that were taken over, and the number of the first place of each.
    tables: Vec<(u32, LastFlows)>,
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
        if let Some(place) = self.free.pop() {
            let (segment, at) = position(place as usize);
            self.segments[segment][at] = Kept::new(record);
            return Place(place);
        }
        let place = u32::try_from(self.extent).ok().filter(|&place| u64::from(place) < self.stored_end()).expect(TOO_MANY);
        let (segment, at) = position(self.extent);
        if at == 0 {
            let new = Vec::with_capacity(FIRST_LEN << segment);
            prefer_huge_pages(&new);
            self.segments.push(new);
        }
        self.segments[segment].push(Kept::new(record));
        self.extent += 1;
        Place(place)
    }

    /// Takes over the flows that a table still held, as they lie; tells the place of each.
    pub fn take_over(&mut self, flows: LastFlows, mut tell: impl FnMut(Place)) {
        if flows.is_empty() {
            return;
        }
        let first = self.stored_end().checked_sub(flows.extent().into()).filter(|&first| first >= self.extent as u64);
        // Below 2^32, as the table has a place.
        let first = first.expect(TOO_MANY) as u32;
        flows.places().for_each(|at| tell(Place(first + at)));
        self.tables.push((first, flows));
    }

    /// Numbers from here on belong to tables.
    fn stored_end(&self) -> u64 {
        self.tables.last().map_or(1 << u32::BITS, |&(first, _)| first.into())
    }

    /// Gives a place back. In a table that was taken over nothing will be stored any more.
    pub fn remove(&mut self, place: Place) {
        if self.table(place).is_none() {
            self.free.push(place.0);
        }
    }

    /// The record at a place.
    #[inline(always)]
    pub fn get(&self, place: Place) -> FlowRecord {
        match self.table(place) {
            None => self.kept(place).record(),
            Some((flows, at)) => flows.record(at),
        }
    }

    /// The key of the record at a place.
    #[inline]
    pub fn key(&self, place: Place) -> &FlowKey {
        self.weight(place).0
    }

    /// The key of the record at a place, and who began the flow.
    #[inline(always)]
    pub fn name(&self, place: Place) -> (&FlowKey, Direction) {
        match self.table(place) {
            None => self.kept(place).name(),
            Some((flows, at)) => flows.name(at),
        }
    }

    /// The key of the record at a place, and the bytes of both directions.
    #[inline(always)]
    pub fn weight(&self, place: Place) -> (&FlowKey, u64) {
        match self.table(place) {
            None => self.kept(place).weight(),
            Some((flows, at)) => flows.weight(at),
        }
    }

    /// Number of the first packet of the record at a place.
    #[inline]
    pub fn first_packet(&self, place: Place) -> u64 {
        match self.table(place) {
            None => self.kept(place).first_packet(),
            Some((flows, at)) => flows.first_packet(at),
        }
    }

    /// Hints that the weight at a place will be asked for soon.
    #[inline(always)]
    pub fn prefetch_weight(&self, place: Place) {
        match self.table(place) {
            None => prefetch_read(self.kept(place)),
            Some((flows, at)) => flows.prefetch_weight(at),
        }
    }

    /// Hints that the record at a place will be read soon.
    #[inline(always)]
    pub fn prefetch(&self, place: Place) {
        match self.table(place) {
            None => prefetch_whole(self.kept(place)),
            Some((flows, at)) => flows.prefetch(at),
        }
    }

    /// The table that a place lies in, and where in it.
    #[inline(always)]
    fn table(&self, place: Place) -> Option<(&LastFlows, u32)> {
        if (place.0 as usize) < self.extent {
            return None;
        }
        // The latest has the lowest numbers.
        let (first, flows) = self.tables.get(self.tables.partition_point(|&(first, _)| first > place.0))?;
        Some((flows, place.0 - first))
    }

    #[inline(always)]
    fn kept(&self, place: Place) -> &Kept {
        let (segment, at) = position(place.0 as usize);
        &self.segments[segment][at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::synthetic;
    use crate::record::test_records::{icmp_record, tcp_record, udp6_record};

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

    #[test]
    fn tables_taken_over_and_records_stored_stay_apart() {
        let mut records = Records::default();
        let (mut places, mut expected) = (vec![records.insert(&tcp_record())], vec![tcp_record()]);
        for flow_count in [5, 0, 3] {
            let flows = synthetic(flow_count).table.finish(&mut |_| {});
            expected.extend(flows.records());
            records.take_over(flows, |place| places.push(place));
            places.push(records.insert(&udp6_record()));
            expected.push(udp6_record());
        }
        assert_eq!(places.len(), 1 + 5 + 3 + 3);
        for (&place, record) in places.iter().zip(&expected) {
            assert_eq!(records.get(place), *record);
            assert_eq!(records.name(place), (&record.key, record.initiator));
            assert_eq!(records.weight(place), (&record.key, record.bytes[0] + record.bytes[1]));
            assert_eq!(records.first_packet(place), record.first_packet);
        }
        // In a table nothing is stored, also where a record was given back.
        records.remove(places[1]);
        assert!(!places.contains(&records.insert(&icmp_record())));
    }
}
