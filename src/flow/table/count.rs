//! The one call that counts a packet for its flow, and the order in which its paths are tried.
//!
//! Owns which path a packet takes. [`FlowTable::count_slow`] is the rule; every other path leaves exactly what it would, or
//! changes nothing and declines. Its invariant: a packet's flow is looked up once, whatever happens to it.

use super::active::ActiveTimeout;
use super::{Content, CountPath, Counted, FlowEvents, FlowPacket, FlowTable, PacketFacts};
use crate::flow::entries::{Halves, Layout};
use crate::flow::entry::{ColdHalf, Entry, Flag};
use crate::flow::parts::HotHalf;
use crate::flow::store::FlowStore;
use crate::flow::tcp::{TcpAnalysis, TcpArena, TcpMarks};
use crate::flow::top::Top;
use crate::flow::{FactSet, FlowRecord, Keyed};
use crate::wire::PlainSegment;
use netscope_backends::Timestamp;
use std::borrow::Borrow;

impl FlowTable {
    /// Counts a packet for its flow, which is opened if there is none. Ends, by a record each, what this packet finds to be over:
    /// the flow itself when it is overdue, older than the active timeout, or its tuple begins a new connection; and another
    /// flow when the table is full. With `watched`, the events that only observers ask for are told, too.
    ///
    /// A record that goes on after the active timeout keeps the TCP analysis: sequence numbers, state and TCP counts are those
    /// of the connection, packets and bytes begin again.
    ///
    /// All arguments are values: what the fast path does not need is then put together where the others begin.
    #[inline(always)]
    pub fn count(
        &mut self,
        packet: FlowPacket<'_>,
        facts: impl PacketFacts,
        watched: bool,
        ended: impl FnMut(&FlowRecord, FactSet<'_>),
    ) -> Counted {
        let fast = match packet.content {
            Content::Segment(segment) => self.count_fast(&packet, packet.candidate.0, Some(segment), watched),
            Content::Datagram => self.count_fast(&packet, packet.candidate.0, None, watched),
            _ => None,
        };
        match fast {
            Some(counted) => counted,
            None => self.count_otherwise(packet, facts, watched, ended),
        }
    }

    /// The fast path: a flow that lives, is established if it is a connection, and goes on. `place` is where it probably lies.
    #[inline(always)]
    pub(super) fn count_fast(
        &mut self,
        packet: &FlowPacket<'_>,
        place: u32,
        segment: Option<&PlainSegment>,
        watched: bool,
    ) -> Option<Counted> {
        // Apart from all else, a flow that is touched in the past needs the clock beside its own time.
        if packet.time < self.clock || place == u32::MAX {
            return None;
        }
        let path =
            FastPath { packet, segment, idle_limit_ns: self.idle_limit_ns, active: &self.active, analysis: &self.analysis };
        let FlowStore { entries, tcp, .. } = &mut self.store;
        let entry = match entries.layout_mut() {
            Layout::Analysed(halves) => path.take_in(halves, place, tcp)?,
            Layout::Compact(halves) => path.take_in(halves, place, tcp)?,
        };
        let events = FlowEvents::ANSWERED.when(watched && entry.is_first_answer(packet.keyed.direction));
        self.clock = packet.time;
        let listing = count_one(entry, packet, &self.top);
        if let Some(before) = listing {
            self.top.list(place, before, &mut self.store);
        }
        Some(Counted { place, marks: TcpMarks::NONE, events, path: CountPath::Fast })
    }

    /// Every packet that the fast path declined at its candidate.
    #[inline(never)]
    fn count_otherwise(
        &mut self,
        packet: FlowPacket<'_>,
        facts: impl PacketFacts,
        watched: bool,
        mut ended: impl FnMut(&FlowRecord, FactSet<'_>),
    ) -> Counted {
        let (packet, facts, ended): (&FlowPacket<'_>, &dyn PacketFacts, _) = (&packet, &facts, &mut ended);
        let Keyed { key, hash, .. } = packet.keyed;
        let is_known = self.is_at(packet.candidate, key);
        let place = if is_known { Some(packet.candidate.0) } else { self.find(key, *hash) };
        let done = match (packet.content, place) {
            (Content::Syn(segment), place) => self.count_syn(packet, facts, segment, place, watched, ended),
            (Content::Segment(segment), Some(place)) => {
                let fast = if is_known { None } else { self.count_fast(packet, place, Some(segment), watched) };
                fast.or_else(|| {
                    let warm = self.warm(packet, place, segment, watched)?;
                    self.note_domain(place, packet.keyed.direction, facts);
                    Some(warm)
                })
            }
            (Content::LastSegment(segment), Some(place)) => self.warm(packet, place, segment, watched),
            (Content::Datagram, Some(place)) if !is_known => self.count_fast(packet, place, None, watched),
            (Content::LaterFragment, Some(place)) => self.count_later_fragment(packet, place, watched),
            _ => None,
        };
        done.unwrap_or_else(|| self.count_slow(packet, facts, place, watched, ended))
    }

    /// [`FlowTable::count_warm`], with what only observers ask for; apart, so that the path is compiled once for all of them.
    #[inline(always)]
    fn warm(&mut self, packet: &FlowPacket<'_>, place: u32, segment: &PlainSegment, watched: bool) -> Option<Counted> {
        let is_answer = watched && self.store.entries.get(place).is_first_answer(packet.keyed.direction);
        let counted = self.count_warm(packet, place, segment)?;
        Some(Counted { events: counted.events.and(FlowEvents::ANSWERED.when(is_answer)), ..counted })
    }

    /// The warm path of a plain segment that makes a connection established, has to do with a loss, ends a direction, or comes
    /// after a FIN.
    #[inline]
    fn count_warm(&mut self, packet: &FlowPacket<'_>, place: u32, segment: &PlainSegment) -> Option<Counted> {
        let &FlowPacket { time, keyed: &Keyed { direction, .. }, .. } = packet;
        if time < self.clock || self.active.is_on() && self.is_old(place, time) {
            return None;
        }
        let (idle_limit_ns, closed_limit_ns) = (self.idle_limit_ns, self.closed_limit_ns);
        let mut parts = self.store.entries.parts(place);
        let entry = &*parts.entry;
        if !has_time_and_room(entry, packet, idle_limit_ns) {
            return None;
        }
        let is_last = segment.is_last();
        let (mut events, mut marks) = (FlowEvents::NONE, TcpMarks::NONE);
        if entry.is_plain() && !is_last {
            marks = parts.tracker().observe_loss(segment, direction, time, &mut self.store.tcp, &self.analysis)?;
        } else {
            let may_be_over = entry.is(Flag::FINISHED) && time.since(entry.last_seen) > closed_limit_ns;
            let may_go_on = entry.may_go_on() && !may_be_over;
            if may_go_on
                && !is_last
                && parts.tracker().observe_first_ack(segment, direction, time, &mut self.store.tcp, &self.analysis)
            {
                events = FlowEvents::ESTABLISHED;
            } else if !may_go_on
                || !parts.tracker().observe_closing(segment, direction, time, &mut self.store.tcp, &self.analysis)
            {
                return None;
            }
        }
        parts.note_tracked();
        self.clock = time;
        if let Some(before) = count_one(parts.entry, packet, &self.top) {
            self.top.list(place, before, &mut self.store);
        }
        let finished = self.note_finished(place);
        Some(Counted { place, marks, events: events.and(finished), path: CountPath::Warm })
    }

    fn count_later_fragment(&mut self, packet: &FlowPacket<'_>, place: u32, watched: bool) -> Option<Counted> {
        let counted = self.count_fast(packet, place, None, watched)?;
        self.store.entries.cold_mut(place).add_fragments(1, &mut self.store.extras);
        Some(Counted { path: CountPath::Warm, ..counted })
    }

    /// The record of the flow at a place is older than the active timeout.
    #[inline]
    pub(super) fn is_old(&self, place: u32, now: Timestamp) -> bool {
        self.active.is_old(self.store.entries.cold(place).first_seen, now)
    }
}

/// What the fast path asks of a flow.
struct FastPath<'a> {
    packet: &'a FlowPacket<'a>,
    segment: Option<&'a PlainSegment>,
    /// The shortest timeout; never is the longest.
    idle_limit_ns: u64,
    active: &'a ActiveTimeout,
    analysis: &'a TcpAnalysis,
}

impl FastPath<'_> {
    /// The entry of the packet's flow, which goes on with this packet; its segment was taken in. `None`, and nothing changed,
    /// when more than the fast path is needed.
    #[inline(always)]
    fn take_in<'h, H: HotHalf, C: Borrow<ColdHalf>>(
        &self,
        halves: &'h mut Halves<H, C>,
        place: u32,
        arena: &mut TcpArena,
    ) -> Option<&'h mut Entry> {
        let packet = self.packet;
        let hot = halves.hot.get_mut(place);
        let entry: &Entry = (*hot).borrow();
        // Of a plain entry the last packet is never after the clock, and this one is not before it: so nothing wraps.
        let goes_on = entry.is_plain()
            && entry.key == packet.keyed.key
            && packet.time.0.wrapping_sub({ entry.last_seen }.0) <= self.idle_limit_ns
            && entry.has_room_for_one(packet.keyed.direction, packet.wire_len);
        let is_young = || {
            self.active.is_young(entry, packet.time)
                || !self.active.is_old(halves.cold.get(place).borrow().first_seen, packet.time)
        };
        if !goes_on || !is_young() {
            return None;
        }
        if let Some(segment) = self.segment
            && !hot.observe_plain(segment, packet.keyed.direction, packet.time, arena, self.analysis)
        {
            return None;
        }
        Some(hot.borrow_mut())
    }
}

/// The flow is certainly not overdue at the packet's time, as no timeout is shorter than the limit, and can count it.
#[inline(always)]
pub(super) fn has_time_and_room(entry: &Entry, packet: &FlowPacket<'_>, idle_limit_ns: u64) -> bool {
    packet.time.since(entry.last_seen) <= idle_limit_ns && entry.has_room_for_one(packet.keyed.direction, packet.wire_len)
}

/// Counts a packet whose time is not before the clock, for a flow that has room for it. When the flow now belongs to the candidates
/// for the top: the bytes of its record before the tick.
#[inline(always)]
pub(super) fn count_one(entry: &mut Entry, packet: &FlowPacket<'_>, top: &Top) -> Option<u64> {
    let touched = entry.last_seen;
    entry.count_one(packet.keyed.direction, packet.wire_len, packet.time);
    if top.is_on() { top.add(entry, touched, u64::from(packet.wire_len)) } else { None }
}
