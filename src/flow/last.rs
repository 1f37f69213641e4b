//! The flows that were alive when the run ended, where the table had them.
//!
//! Owns the memory that a table gave away. Knows no index, no timeout and no clock that still runs. Its invariant: they do not
//! change any more, so each gives the same record whenever it is asked for. A million records need not be made, copied and kept,
//! only to be written once.

use super::store::FlowStore;
use super::{Direction, EndReason, FactSet, FlowKey, FlowRecord};
use netscope_backends::Timestamp;
use netscope_backends::prefetch::prefetch_read;
use std::fmt;

/// Flows that end with the run, by their places in the table they were in.
pub struct LastFlows {
    pub(super) store: FlowStore,
    /// When the run ended.
    pub(super) ended: Timestamp,
}

impl LastFlows {
    /// How many.
    pub fn len(&self) -> usize {
        self.store.entries.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All places lie below this.
    pub fn extent(&self) -> u32 {
        self.store.entries.extent()
    }

    /// Their places, in order.
    pub fn places(&self) -> impl Iterator<Item = u32> {
        self.store.places(0)
    }

    /// The records of all, in the order of their places.
    pub fn records(&self) -> impl Iterator<Item = FlowRecord> {
        self.places().map(|place| self.record(place))
    }

    /// The record of the flow at a place.
    #[inline(always)]
    pub fn record(&self, place: u32) -> FlowRecord {
        self.store.record(place, EndReason::Exit, self.ended)
    }

    /// What else is known of the flow at a place.
    pub fn facts(&self, place: u32) -> FactSet<'_> {
        self.store.facts(place)
    }

    /// The key of the flow at a place, and who began the flow.
    #[inline(always)]
    pub fn name(&self, place: u32) -> (&FlowKey, Direction) {
        let entry = self.store.entries.get(place);
        (&entry.key, entry.initiator())
    }

    /// The key of the flow at a place, and the bytes of both directions.
    #[inline(always)]
    pub fn weight(&self, place: u32) -> (&FlowKey, u64) {
        let entry = self.store.entries.get(place);
        (&entry.key, entry.bytes_total())
    }

    /// Number of the first packet of the flow at a place.
    #[inline]
    pub fn first_packet(&self, place: u32) -> u64 {
        self.store.entries.cold(place).first_packet()
    }

    /// Hints that the name or the weight at a place will be asked for soon.
    #[inline(always)]
    pub fn prefetch_weight(&self, place: u32) {
        prefetch_read(self.store.entries.get(place));
    }

    /// Hints that the record at a place will be asked for soon.
    #[inline(always)]
    pub fn prefetch(&self, place: u32) {
        self.store.entries.prefetch(place);
        self.store.entries.prefetch_cold(place);
    }
}

impl fmt::Debug for LastFlows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastFlows").field("len", &self.len()).field("ended", &self.ended).finish_non_exhaustive()
    }
}
