//! The straight way of a SYN into a new flow, and of the SYN-ACK into the flow that it answers.
//!
//! Owns a shortcut and no rule: what [`FlowTable::observe`] makes of a packet is the truth. Its invariant: it either leaves exactly
//! what `observe` would, or changes nothing and says so.

use super::{Candidate, FlowTable, PlainPacket};
use crate::flow::entry::pack_vlan;
use crate::flow::{Direction, FlowKey, FlowRecord};
use crate::wire::{SynSegment, VlanTags};
use netscope_backends::Timestamp;

/// A packet of a common frame ([`crate::wire::common`]) that is a SYN or SYN-ACK.
#[derive(Clone, Copy, Debug)]
pub struct SynPacket<'a> {
    /// The flow's key.
    pub key: &'a FlowKey,
    /// [`FlowTable::hash`] of the key.
    pub hash: u64,
    /// What [`FlowTable::prefetch_entry`] said; [`Candidate::NONE`] where it was not asked.
    pub candidate: Candidate,
    /// The packet's direction in the key.
    pub direction: Direction,
    /// When it was captured.
    pub time: Timestamp,
    /// Bytes on the wire, link header included.
    pub wire_len: u32,
    /// Number of the packet on its queue, from 1, below 2^59.
    pub number: u64,
    /// The frame's tags.
    pub vlan: VlanTags,
    /// What the segment says.
    pub segment: &'a SynSegment,
}

impl FlowTable {
    /// Counts a SYN that opens a flow, or the SYN-ACK that comes next in it; false, and nothing changed, when
    /// [`FlowTable::observe`] has to look at it. A flow that gives way to the new one in a full table is ended by a record.
    #[inline(always)]
    pub fn observe_syn(&mut self, packet: &SynPacket<'_>, ended: &mut impl FnMut(&FlowRecord)) -> bool {
        if packet.time < self.clock || !self.is_plain_table {
            return false;
        }
        let found = match packet.candidate {
            candidate if self.is_at(candidate, packet.key) => Some(candidate.0),
            _ => self.find(packet.key, packet.hash),
        };
        match found {
            Some(place) => self.answer(place, packet),
            None => self.begin(packet, ended),
        }
    }

    /// The flow is there: most often this is the SYN-ACK.
    #[inline(always)]
    fn answer(&mut self, place: u32, packet: &SynPacket<'_>) -> bool {
        let &SynPacket { key, direction, time, wire_len, segment, .. } = packet;
        let plain = PlainPacket { key, candidate: Candidate(place), direction, time, wire_len, segment: None };
        let idle_timeout_ns = self.settings.idle_timeout_ns;
        let (entry, cold) = self.store.entries.both_mut(place);
        let is_taken = entry.may_begin()
            && plain.has_place(entry, idle_timeout_ns)
            && !entry.tracker.is_other_syn(&cold.beginning, segment.sequence, direction)
            && entry.tracker.observe_syn(segment, direction, time, &mut cold.beginning);
        if is_taken {
            let counted = plain.count(entry);
            self.settle(&plain, counted);
        }
        is_taken
    }

    /// There is no such flow: a SYN opens it.
    #[inline(always)]
    fn begin(&mut self, packet: &SynPacket<'_>, ended: &mut impl FnMut(&FlowRecord)) -> bool {
        let &SynPacket { key, hash, direction, time, wire_len, number, segment, .. } = packet;
        let Some(link) = pack_vlan(packet.vlan).filter(|_| !segment.is_answer()) else { return false };
        self.clock = time;
        self.make_room(ended);
        let (place, entry, cold) = self.store.entries.take();
        cold.begin(number, time, link);
        entry.begin(cold, segment, key, direction, time, wire_len);
        self.enter(place, hash, time.plus(self.timeout_ns_idle()));
        if self.top.is_on() && self.top.add(place, false, time, u64::from(wire_len)) {
            self.top.list(place, &mut self.store);
        }
        true
    }
}
