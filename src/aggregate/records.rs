//! Where the cold side keeps flow records: written once when they arrive, read where they lie until they are
//! shown.
//!
//! Owns the memory of all records under way and retained, and the flows that tables still held at the end.
//! Knows no order and no queue. Its invariant: a place names the same record until it is given back, and
//! growing moves no record.

use super::compact_record::CompactRecord;
use super::fact_store::FactStore;
use crate::flow::{Direction, FactRef, FactSet, FlowKey, FlowRecord, LastFlows};
use netscope_backends::pages::prefer_huge_pages;
use netscope_backends::prefetch::{prefetch_read, prefetch_whole};
use std::collections::HashMap;
use std::sync::Arc;

/// Records of the first segment, 2 MiB; each further one has room for twice as many. So few records take
/// little memory, and most of many lie in segments that are worth huge pages.
const FIRST_LEN: usize = 1 << FIRST_BITS;
const FIRST_BITS: u32 = 14;

/// Where a record lies: those that are stored here are numbered upwards from 0, those in tables that were
/// taken over below 2^32, each table before the one taken over earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordPlace(u32);

impl RecordPlace {
    /// Its number.
    #[inline]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Said where numbers run out.
const TOO_MANY: &str = "2^32 records would be half a terabyte";

/// Flow records by place. A copy shares the tables that were taken over.
#[derive(Clone, Default)]
pub(super) struct Records {
    segments: Vec<Vec<CompactRecord>>,
    /// Places ever used.
    extent: usize,
    /// Places given back, used again before new ones.
    free: Vec<u32>,
    tables: Vec<TakenTable>,
    /// Facts of the records that are stored here, and those that others got here.
    facts: FactStore,
    /// Those of flows in tables, each once.
    shared: HashMap<Box<[u8]>, FactRef>,
}

/// A table that was taken over.
#[derive(Clone)]
struct TakenTable {
    /// The number of its first place.
    first: u32,
    flows: Arc<LastFlows>,
    /// Facts that take the place of those it has, by places; empty without any.
    facts: Vec<FactRef>,
}

/// The segment of a place and where in it the place lies.
#[inline]
fn position(place: usize) -> (usize, usize) {
    let shifted = place + FIRST_LEN;
    let bits = shifted.ilog2();
    ((bits - FIRST_BITS) as usize, shifted - (1 << bits))
}

impl Records {
    /// Stores a record with its facts, for which there may be no room, and tells its place.
    pub fn insert(&mut self, record: &FlowRecord, facts: FactSet<'_>) -> RecordPlace {
        let facts = self.facts.insert(facts);
        if let Some(place) = self.free.pop() {
            let (segment, at) = position(place as usize);
            self.segments[segment][at] = CompactRecord::new(record, facts);
            return RecordPlace(place);
        }
        let place = u32::try_from(self.extent).ok().filter(|&place| u64::from(place) < self.stored_end()).expect(TOO_MANY);
        let (segment, at) = position(self.extent);
        if at == 0 {
            let new = Vec::with_capacity(FIRST_LEN << segment);
            prefer_huge_pages(&new);
            self.segments.push(new);
        }
        self.segments[segment].push(CompactRecord::new(record, facts));
        self.extent += 1;
        RecordPlace(place)
    }

    /// Takes over the flows that a table still held, as they lie; tells the place of each.
    pub fn take_over(&mut self, flows: LastFlows, mut tell: impl FnMut(RecordPlace)) {
        if flows.is_empty() {
            return;
        }
        let first = self.stored_end().checked_sub(flows.extent().into()).filter(|&first| first >= self.extent as u64);
        // Below 2^32, as the table has a place.
        let first = first.expect(TOO_MANY) as u32;
        flows.places().for_each(|at| tell(RecordPlace(first + at)));
        self.tables.push(TakenTable { first, flows: Arc::new(flows), facts: Vec::new() });
    }

    /// Numbers from here on belong to tables.
    fn stored_end(&self) -> u64 {
        self.tables.last().map_or(1 << u32::BITS, |table| table.first.into())
    }

    /// Gives a place back. In a table that was taken over nothing will be stored any more.
    pub fn remove(&mut self, place: RecordPlace) {
        if self.table(place).is_none() {
            let facts = self.kept(place).facts();
            self.facts.remove(facts);
            self.free.push(place.0);
        }
    }

    /// The record at a place.
    #[inline(always)]
    pub fn get(&self, place: RecordPlace) -> FlowRecord {
        match self.table(place) {
            None => self.kept(place).record(),
            Some((flows, at)) => flows.record(at),
        }
    }

    /// The facts of the record at a place.
    #[inline]
    pub fn facts(&self, place: RecordPlace) -> FactSet<'_> {
        match self.taken(place) {
            None => self.facts.get(self.kept(place).facts()),
            Some((table, at)) => match table.facts.get(at as usize) {
                Some(&facts) if facts != FactRef::NONE => self.facts.get(facts),
                _ => table.flows.facts(at),
            },
        }
    }

    /// The record at a place has these facts from now on. False, and it keeps those it had, where there is no room.
    pub fn set_facts(&mut self, place: RecordPlace, facts: FactSet<'_>) -> bool {
        let Some(table) = self.table_of(place) else {
            let new = self.facts.insert(facts);
            if new != FactRef::NONE {
                let (segment, at) = position(place.0 as usize);
                let old = self.segments[segment][at].replace_facts(new);
                self.facts.remove(old);
            }
            return new != FactRef::NONE;
        };
        let bytes = facts.bytes();
        let new = match self.shared.get(&*bytes) {
            Some(&known) => known,
            None => self.facts.insert(facts),
        };
        if new == FactRef::NONE {
            return false;
        }
        self.shared.entry(bytes.into()).or_insert(new);
        let TakenTable { first, flows, facts } = &mut self.tables[table];
        facts.resize(flows.extent() as usize, FactRef::NONE);
        facts[(place.0 - *first) as usize] = new;
        true
    }

    /// Records whose facts found no room.
    pub fn facts_left_out(&self) -> u64 {
        self.facts.left_out()
    }

    /// The key of the record at a place.
    #[inline]
    pub fn key(&self, place: RecordPlace) -> &FlowKey {
        self.weight(place).0
    }

    /// The key of the record at a place, and who began the flow.
    #[inline(always)]
    pub fn name(&self, place: RecordPlace) -> (&FlowKey, Direction) {
        match self.table(place) {
            None => self.kept(place).name(),
            Some((flows, at)) => flows.name(at),
        }
    }

    /// The key of the record at a place, and the bytes of both directions.
    #[inline(always)]
    pub fn weight(&self, place: RecordPlace) -> (&FlowKey, u64) {
        match self.table(place) {
            None => self.kept(place).weight(),
            Some((flows, at)) => flows.weight(at),
        }
    }

    /// Number of the first packet of the record at a place.
    #[inline]
    pub fn first_packet(&self, place: RecordPlace) -> u64 {
        match self.table(place) {
            None => self.kept(place).first_packet(),
            Some((flows, at)) => flows.first_packet(at),
        }
    }

    /// Hints that the weight at a place will be asked for soon.
    #[inline(always)]
    pub fn prefetch_weight(&self, place: RecordPlace) {
        match self.table(place) {
            None => prefetch_read(self.kept(place)),
            Some((flows, at)) => flows.prefetch_weight(at),
        }
    }

    /// Hints that the record at a place will be read soon.
    #[inline(always)]
    pub fn prefetch(&self, place: RecordPlace) {
        match self.table(place) {
            None => prefetch_whole(self.kept(place)),
            Some((flows, at)) => flows.prefetch(at),
        }
    }

    /// The table that a place lies in, and where in it.
    #[inline(always)]
    fn table(&self, place: RecordPlace) -> Option<(&LastFlows, u32)> {
        self.taken(place).map(|(table, at)| (&*table.flows, at))
    }

    #[inline(always)]
    fn taken(&self, place: RecordPlace) -> Option<(&TakenTable, u32)> {
        let table = self.tables.get(self.table_of(place)?)?;
        Some((table, place.0 - table.first))
    }

    /// Which table that is.
    #[inline(always)]
    fn table_of(&self, place: RecordPlace) -> Option<usize> {
        if (place.0 as usize) < self.extent {
            return None;
        }
        // The latest has the lowest numbers.
        let table = self.tables.partition_point(|table| table.first > place.0);
        (table < self.tables.len()).then_some(table)
    }

    #[inline(always)]
    fn kept(&self, place: RecordPlace) -> &CompactRecord {
        let (segment, at) = position(place.0 as usize);
        &self.segments[segment][at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{FactBuffer, FactId, FlowSettings, synthetic};
    use crate::record::test_records::{icmp_record, tcp_record, udp6_record};

    #[test]
    fn places_stay_and_are_used_again() {
        let mut records = Records::default();
        let first = records.insert(&tcp_record(), FactSet::NONE);
        let places: Vec<RecordPlace> = (0..FIRST_LEN).map(|_| records.insert(&udp6_record(), FactSet::NONE)).collect();
        assert_eq!(records.segments.len(), 2);
        assert_eq!(records.get(first), tcp_record());
        let given_back = places[FIRST_LEN / 2];
        records.remove(given_back);
        assert_eq!(records.insert(&icmp_record(), FactSet::NONE), given_back);
        assert_eq!(records.get(given_back), icmp_record());
        assert!(places.iter().filter(|&&place| place != given_back).all(|&place| records.get(place) == udp6_record()));
    }

    #[test]
    fn facts_go_with_their_record_and_with_its_place() {
        let mut facts = FactBuffer::default();
        let mut records = Records::default();
        let stays = records.insert(&tcp_record(), FactSet::NONE);
        for number in 0..1000 {
            facts.clear();
            assert!(facts.number(FactId { object: 0, member: 0 }, number));
            let place = records.insert(&udp6_record(), facts.facts());
            assert_eq!(records.facts(place), facts.facts());
            assert!(records.facts(stays).is_empty());
            records.remove(place);
        }
        let place = records.insert(&icmp_record(), FactSet::NONE);
        assert!(records.facts(place).is_empty(), "not those of the one that was there before");
        assert_eq!(records.facts_left_out(), 0);
    }

    #[test]
    fn tables_taken_over_and_records_stored_stay_apart() {
        let mut records = Records::default();
        let (mut places, mut expected) = (vec![records.insert(&tcp_record(), FactSet::NONE)], vec![tcp_record()]);
        for flow_count in [5, 0, 3] {
            let flows = synthetic(flow_count, &FlowSettings::default()).table.finish(&mut |_, _| {});
            expected.extend(flows.records());
            records.take_over(flows, |place| places.push(place));
            places.push(records.insert(&udp6_record(), FactSet::NONE));
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
        assert!(!places.contains(&records.insert(&icmp_record(), FactSet::NONE)));
    }
}
