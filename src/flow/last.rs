//! The flows that were alive when the run ended, where the table had them.
//!
//! Owns the memory that a table gave away. Knows no index, no timeout and no clock that still runs. Its invariant: they do not
//! change any more, so each gives the same record whenever it is asked for. A million records need not be made, copied and kept,
//! only to be written once.

use super::cold::ColdArena;
use super::entry::Flag;
use super::slab::Slab;
use super::tcp::TcpArena;
use super::{EndReason, FlowKey, FlowRecord};
use netscope_backends::Timestamp;
use std::fmt;

/// Flows that end with the run, by their places in the table they were in.
pub struct LastFlows {
    pub(super) slab: Slab,
    pub(super) cold: ColdArena,
    pub(super) arena: TcpArena,
    /// When the run ended.
    pub(super) ended: Timestamp,
}

impl LastFlows {
    /// How many.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their places, in order.
    pub fn places(&self) -> impl Iterator<Item = u32> {
        (0..self.slab.extent()).filter(|&place| self.slab.get(place).is(Flag::LIVE))
    }

    /// The records of all, in the order of their places.
    pub fn records(&self) -> impl Iterator<Item = FlowRecord> {
        self.places().map(|place| self.record(place))
    }

    /// The record of the flow at a place.
    #[inline]
    pub fn record(&self, place: u32) -> FlowRecord {
        let (entry, back) = self.slab.both(place);
        entry.record(back, &self.cold, &self.arena, EndReason::Exit, self.ended)
    }

    /// The key of the flow at a place.
    #[inline]
    pub fn key(&self, place: u32) -> &FlowKey {
        &self.slab.get(place).key
    }

    /// Bytes per direction of the flow at a place.
    #[inline]
    pub fn bytes(&self, place: u32) -> [u64; 2] {
        self.slab.get(place).bytes
    }

    /// Number of the first packet of the flow at a place.
    #[inline]
    pub fn first_packet(&self, place: u32) -> u64 {
        self.slab.back(place).first_packet
    }

    /// Hints that the record at a place will be asked for soon.
    #[inline]
    pub fn prefetch(&self, place: u32) {
        self.slab.prefetch(place);
        self.slab.prefetch_back(place);
    }
}

impl fmt::Debug for LastFlows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastFlows").field("len", &self.len()).field("ended", &self.ended).finish_non_exhaustive()
    }
}
