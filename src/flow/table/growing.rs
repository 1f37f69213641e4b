//! What a table's flows grew by, for those who follow it.
//!
//! Owns nothing. Invariant: a table whose growth nobody follows pays nothing.

use super::{Counted, FlowTable};
use crate::flow::{FlowEnd, FlowGrowth};

impl FlowTable {
    /// From now on growth is followed, at 40 bytes a place. Said before the first packet.
    pub fn follow_growth(&mut self) {
        self.growth.follow();
    }

    /// A packet was counted for the flow at a place.
    #[inline(always)]
    pub fn note_growth(&mut self, place: u32) {
        if self.growth.is_on() && place != Counted::NO_PLACE {
            self.growth.touch(place);
        }
    }

    /// True when [`FlowTable::show_ended_growth`] is to be called, so that what ended flows grew by takes no more memory.
    #[inline(always)]
    pub const fn growth_is_due(&self) -> bool {
        self.growth.is_due()
    }

    /// Shows what flows that ended grew by since the last time.
    pub fn show_ended_growth(&mut self, show: &mut dyn FnMut(&[FlowGrowth])) {
        self.growth.show_ended(show);
    }

    /// Shows what flows grew by since the last time, those that ended first. Flows without a packet since then are left out.
    pub fn show_growth(&mut self, show: &mut dyn FnMut(&[FlowGrowth])) {
        if self.growth.is_on() {
            self.growth.show(&self.store, show);
        }
    }

    /// The connection at a place as it stands.
    pub fn end_at(&self, place: u32) -> FlowEnd {
        let (entry, cold) = self.store.entries.both(place);
        FlowEnd {
            key: entry.key.tuple(),
            initiator: entry.initiator(),
            packets: entry.packets(),
            bytes: entry.bytes(),
            first_seen: cold.first_seen,
            last_seen: entry.last_seen,
            first_packet: cold.first_packet(),
        }
    }
}
