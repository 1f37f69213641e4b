//! The flows of a table while it counts: a walk over its places that can pause.
//!
//! Owns nothing. Invariant: what is looked at between two calls is bounded, and a flow keeps its place while it lives.

use super::FlowTable;
use crate::flow::entry::Flag;
use crate::flow::{EndReason, FactSet, FlowKey, FlowRecord};
use netscope_backends::Timestamp;

/// What is known of a flow without making its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowWeight {
    /// Its 5-tuple.
    pub key: FlowKey,
    /// Bytes of both directions.
    pub bytes: u64,
    /// Packets of both directions.
    pub packets: u64,
    /// Time of the latest packet.
    pub last_seen: Timestamp,
}

impl FlowWeight {
    /// Of a record.
    pub fn of(record: &FlowRecord) -> Self {
        Self::new(record.key, record.bytes, record.packets, record.last_seen)
    }

    #[inline]
    fn new(key: FlowKey, bytes: [u64; 2], packets: [u64; 2], last_seen: Timestamp) -> Self {
        Self { key, bytes: bytes[0].saturating_add(bytes[1]), packets: packets[0].saturating_add(packets[1]), last_seen }
    }
}

/// Somebody who looks at the flows of a table.
pub trait FlowVisitor {
    /// Asked for each flow: true when its record is to be made, which takes longer than everything else.
    fn wants(&mut self, _weight: &FlowWeight) -> bool {
        true
    }

    /// Shown the record of each flow it wants, and what is known of it by now.
    fn visit(&mut self, record: &FlowRecord, facts: FactSet<'_>);
}

impl FlowTable {
    /// Looks at up to `look_max` places from `from` on and shows the live flows there, their records as [`FlowTable::finish`] would
    /// give them now; the place after them, `None` behind the last one.
    pub fn live_records(&self, from: u32, look_max: u32, visitor: &mut dyn FlowVisitor) -> Option<u32> {
        let extent = self.store.entries.extent();
        let end = from.saturating_add(look_max).min(extent);
        for place in from..end {
            let entry = self.store.entries.get(place);
            if !entry.is(Flag::LIVE) {
                continue;
            }
            let weight = FlowWeight::new(entry.key.tuple(), entry.bytes(), entry.packets(), entry.last_seen);
            if visitor.wants(&weight) {
                let (reason, at) = self.overdue(place).unwrap_or((EndReason::Exit, self.clock));
                visitor.visit(&self.store.record(place, reason, at), self.store.facts(place));
            }
        }
        (end < extent).then_some(end)
    }
}
