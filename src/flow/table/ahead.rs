//! Memory that is asked for before a packet is counted.
//!
//! Owns the waves in which the table's lines are fetched. Changes nothing and decides nothing. Its invariant: without it, all
//! results are the same.

use super::{Candidate, FlowTable};

/// The lines apart from the entries, of 64 bytes each, of this many flows mostly stay in the second cache: 1 MiB. Asking for them costs 60
/// instructions a packet, and is done above it alone.
const IN_CACHE: usize = 1 << 14;

impl FlowTable {
    /// First wave: brings the bucket of this hash into the cache. No effect but speed.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// Second wave: brings the entry that this hash probably means into the cache; its place, for [`super::FlowPacket::candidate`].
    #[inline(always)]
    pub fn prefetch_entry(&self, hash: u64) -> Candidate {
        match self.index.candidate(hash) {
            Some(number) => {
                self.store.entries.prefetch(number);
                Candidate(number)
            }
            None => Candidate::NONE,
        }
    }

    /// As [`FlowTable::prefetch_entry`], for a packet that will not take the fast path.
    #[inline(always)]
    pub fn prefetch_entry_whole(&self, hash: u64) -> Candidate {
        let candidate = self.prefetch_entry(hash);
        self.prefetch_cold_half(candidate);
        candidate
    }

    /// Brings what [`FlowTable::prefetch_entry`] leaves out into the cache. No effect but speed.
    #[inline(always)]
    pub fn prefetch_cold_half(&self, candidate: Candidate) {
        if candidate != Candidate::NONE {
            self.store.entries.prefetch_cold(candidate.0);
        }
    }

    /// Brings the whole entry of a flow whose place is known into the cache. No effect but speed.
    #[inline]
    pub fn prefetch_candidate(&self, candidate: Candidate) {
        if candidate != Candidate::NONE {
            self.store.entries.prefetch(candidate.0);
        }
        self.prefetch_cold_half(candidate);
    }

    /// Third wave: for a packet whose entry has arrived by now, asks for what [`FlowTable::prefetch_entry`] left out, if it will be needed.
    #[inline(always)]
    pub fn prefetch_rest(&self, candidate: Candidate) {
        if candidate != Candidate::NONE && self.store.entries.get(candidate.0).needs_more() {
            self.prefetch_more(candidate.0);
        }
    }

    /// True when there are so many flows that what is kept of each is rarely in the cache when its next packet comes: then
    /// [`FlowTable::prefetch_measured`] is worth its while.
    #[inline]
    pub fn is_wide(&self) -> bool {
        self.len() > IN_CACHE
    }

    /// Third wave: for packets whose entries have arrived by now, asks for the round trips of their flows, which lie apart from them.
    #[inline(always)]
    pub fn prefetch_measured(&self, candidates: &[Candidate]) {
        let places = candidates.iter().filter(|&&candidate| candidate != Candidate::NONE).map(|candidate| candidate.0);
        self.store.entries.prefetch_measured(places, &self.store.tcp);
    }

    #[inline(never)]
    fn prefetch_more(&self, place: u32) {
        if self.store.entries.get(place).needs_cold_half() {
            self.store.entries.prefetch_cold(place);
        }
        self.store.entries.prefetch_side(place, &self.store.tcp);
    }
}
