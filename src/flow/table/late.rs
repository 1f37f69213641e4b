//! Segments that come after the record of their connection has ended.
//!
//! Owns which of them belong to the end that was, and are no beginning. Its invariant: what is late does not depend on when the wheel looked.

use super::{CountPath, Counted, FlowEvents, FlowTable};
use crate::flow::entry::Flag;
use crate::flow::tcp::TcpMarks;
use crate::flow::{EndReason, FactSet, FlowRecord};
use crate::wire::{TcpFlags, TcpSegment};
use netscope_backends::Timestamp;

/// Such a segment begins nothing: it has no data, and no SYN.
fn begins_nothing(segment: &TcpSegment) -> bool {
    segment.payload_len == 0 && !segment.flags.has(TcpFlags::SYN)
}

impl FlowTable {
    /// True when a segment comes after its connection was closed and the record ended, by time or for want of room: it is counted here
    /// and in no flow. `place` is where its flow lies, if there is one, and `over` why and when that ended; it is then ended by a record
    /// and leaves its place.
    pub(super) fn is_late(
        &mut self,
        segment: &TcpSegment,
        hash: u64,
        found: &mut Option<u32>,
        over: &mut Option<(EndReason, Timestamp)>,
        ended: &mut impl FnMut(&FlowRecord, FactSet<'_>),
    ) -> bool {
        if !begins_nothing(segment) {
            return false;
        }
        if let (Some(place), Some((reason @ EndReason::Closed, at))) = (*found, *over) {
            self.end(place, reason, at, ended);
            (*found, *over) = (None, None);
        }
        let is_late = found.is_none() && self.closed.knows(hash, self.clock);
        self.counters.after_close += u64::from(is_late);
        is_late
    }

    /// The record of the flow at a place ends: a closed connection is remembered.
    pub(super) fn note_end(&mut self, place: u32, hash: u64, at: Timestamp) {
        let entry = self.store.entries.get(place);
        if entry.is(Flag::FINISHED) {
            self.closed.remember(hash, at, self.clock);
            self.counters.closes_forgotten = self.closed.forgotten();
        } else if entry.is_tracked() {
            self.closed.forget(hash, self.clock);
        }
    }
}

impl Counted {
    /// A segment that came after its connection was closed and the record ended.
    pub(super) const LATE: Self =
        Self { place: Self::NO_PLACE, marks: TcpMarks::NONE, events: FlowEvents::NONE, path: CountPath::Slow };
}
