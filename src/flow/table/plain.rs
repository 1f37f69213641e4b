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
pub struct PlainPacket<'a> {
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
    /// `None` for UDP and for fragments. The last segment of a direction is for [`FlowTable::observe_nearly_plain`] alone.
    pub segment: Option<&'a PlainSegment>,
}

impl FlowTable {
    /// Counts a packet for its flow when nothing begins, ends or is to be remarked with it; false, and nothing changed, when
    /// [`FlowTable::observe`] has to look at it.
    #[inline(always)]
    pub fn observe_plain(&mut self, packet: &PlainPacket<'_>) -> bool {
        if !self.knows_where(packet) {
            return false;
        }
        let entry: &mut Entry = self.store.entries.get_mut(packet.candidate.0);
        if !(entry.is_plain() && packet.goes_on(entry, self.settings.idle_timeout_ns)) {
            return false;
        }
        if let Some(segment) = packet.segment
            && !entry.tracker.observe_plain(segment, packet.direction, packet.time)
        {
            return false;
        }
        let counted = packet.count(entry);
        self.settle(packet, counted);
        true
    }

    /// The same for the last segment of a direction, and for a plain one where [`FlowTable::observe_plain`] said false: one that makes
    /// a connection established, has to do with a loss, or comes after a FIN.
    #[inline(never)]
    pub fn observe_nearly_plain(&mut self, packet: &PlainPacket<'_>) -> bool {
        let Some(segment) = packet.segment.filter(|_| self.knows_where(packet)) else { return false };
        let &PlainPacket { candidate, direction, time, .. } = packet;
        let idle_timeout_ns = self.settings.idle_timeout_ns;
        let (entry, cold) = self.store.entries.both_mut(candidate.0);
        if !packet.goes_on(entry, idle_timeout_ns) {
            return false;
        }
        let (is_plain, is_last) = (entry.is_plain(), segment.is_last());
        let is_taken = if is_plain && !is_last {
            entry.tracker.observe_loss(segment, direction, time, &mut self.store.tcp)
        } else {
            let lingers = entry.is(Flag::FINISHED) && idle_timeout_ns != 0;
            let is_over = lingers && time.since(entry.last_seen) > idle_timeout_ns.min(self.settings.closed_timeout_ns);
            entry.may_go_on()
                && !is_over
                && (!is_last && entry.tracker.observe_first_ack(segment, direction, time, &mut cold.beginning)
                    || entry.tracker.observe_closing(segment, direction, time))
        };
        if !is_taken {
            return false;
        }
        entry.note_tracked();
        let counted = packet.count(entry);
        self.settle(packet, counted);
        self.note_finished(candidate.0);
        true
    }

    /// The same for a fragment without a segment's header; a later one is counted as such, too.
    #[inline(never)]
    pub fn observe_fragment(&mut self, packet: &PlainPacket<'_>, is_later: bool) -> bool {
        let is_counted = self.observe_plain(packet);
        if is_counted && is_later {
            self.store.entries.cold_mut(packet.candidate.0).add_fragments(1, &mut self.store.extras);
        }
        is_counted
    }

    #[inline(always)]
    fn knows_where(&self, packet: &PlainPacket<'_>) -> bool {
        // Apart from all else, a flow that is touched in the past needs the clock beside its own time.
        packet.time >= self.clock && self.is_plain_table && packet.candidate != Candidate::NONE
    }

    /// What the table notes of a packet that was counted.
    #[inline(always)]
    pub(super) fn settle(&mut self, packet: &PlainPacket<'_>, (touched, listed): (Timestamp, bool)) {
        self.clock = packet.time;
        if self.top.is_on() && self.top.add(packet.candidate.0, listed, touched, u64::from(packet.wire_len)) {
            self.top.list(packet.candidate.0, &mut self.store);
        }
    }
}

impl PlainPacket<'_> {
    /// The entry is the packet's flow and not overdue.
    #[inline(always)]
    pub(super) fn goes_on(&self, entry: &Entry, idle_timeout_ns: u64) -> bool {
        entry.key == *self.key && self.has_place(entry, idle_timeout_ns)
    }

    /// The packet's flow is not overdue, and counts one more.
    #[inline(always)]
    pub(super) fn has_place(&self, entry: &Entry, idle_timeout_ns: u64) -> bool {
        (self.time.since(entry.last_seen) <= idle_timeout_ns || idle_timeout_ns == 0) && entry.has_room_for_one(self.direction)
    }

    /// Counts the packet; when the flow was touched before, and whether it is listed.
    #[inline(always)]
    pub(super) fn count(&self, entry: &mut Entry) -> (Timestamp, bool) {
        let before = (entry.last_seen, entry.is(Flag::LISTED));
        entry.count_one(self.direction, u64::from(self.wire_len), self.time);
        before
    }
}
