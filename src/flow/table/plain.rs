//! The straight way of a packet into a flow that lives and goes on.
//!
//! Owns a shortcut and no rule: what [`FlowTable::observe`] makes of a packet is the truth. Its invariant: it either leaves exactly
//! what `observe` would, or changes nothing and says so.

use super::{Candidate, FlowTable};
use crate::flow::entry::{Entry, Flag};
use crate::flow::{Direction, FlowKey};
use crate::wire::PlainSegment;
use netscope_backends::Timestamp;

/// A packet of a common frame ([`crate::wire::common`]): a plain TCP segment or a UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct PlainSighting<'a> {
    /// The flow's key.
    pub key: &'a FlowKey,
    /// What [`FlowTable::prefetch_entry`] said.
    pub candidate: Candidate,
    /// The packet's direction in the key.
    pub direction: Direction,
    /// When it was captured.
    pub time: Timestamp,
    /// Bytes on the wire, link header included.
    pub wire_len: u32,
    /// `None` for UDP.
    pub segment: Option<&'a PlainSegment>,
}

impl FlowTable {
    /// Counts a packet for its flow when nothing begins, ends or is to be remarked with it; false, and nothing changed, when
    /// [`FlowTable::observe`] has to look at it.
    #[inline(always)]
    pub fn observe_plain(&mut self, sighting: &PlainSighting<'_>) -> bool {
        let time = sighting.time;
        // Apart from all else, a flow that is touched in the past needs the clock beside its own time.
        if time < self.clock || !self.is_plain_table || sighting.candidate == Candidate::NONE {
            return false;
        }
        let idle_timeout_ns = self.settings.idle_timeout_ns;
        let entry: &mut Entry = self.slab.get_mut(sighting.candidate.0);
        let goes_on = entry.is_plain()
            && entry.key == *sighting.key
            && (time.since(entry.last_seen) <= idle_timeout_ns || idle_timeout_ns == 0)
            && entry.has_room_for_one(sighting.direction);
        if !goes_on {
            return false;
        }
        if let Some(segment) = sighting.segment
            && !(entry.is_tracked() && entry.tracker.observe_plain(segment, sighting.direction, time))
        {
            return false;
        }
        let (touched, listed) = (entry.last_seen, entry.is(Flag::LISTED));
        entry.count_one(sighting.direction, u64::from(sighting.wire_len), time);
        self.clock = time;
        if self.top.is_on() && self.top.add(sighting.candidate.0, listed, touched, u64::from(sighting.wire_len)) {
            self.top.list(sighting.candidate.0, &mut self.slab, &self.cold);
        }
        true
    }
}
