//! The slow path: what a packet does to its flow, with everything asked for. It is the rule that all other paths follow.
//!
//! Owns when a flow begins, goes on and is over. Knows no shortcut.

use super::opening::opening_of;
use super::{Content, CountPath, Counted, FlowEvents, FlowPacket, FlowTable, PacketFacts, Share};
use crate::flow::entry::Opening;
use crate::flow::fragment::Held;
use crate::flow::parts::Parts;
use crate::flow::tcp::TcpMarks;
use crate::flow::{Direction, Domain, EndReason, FactSet, FlowRecord, KeyScope, Keyed};
use crate::wire::{SynSegment, TcpFlags, TcpSegment};
use netscope_backends::Timestamp;

impl FlowTable {
    /// Counts any packet. `place` is where its flow lies, if there is one.
    #[inline(never)]
    pub(super) fn count_slow(
        &mut self,
        packet: &FlowPacket<'_>,
        facts: &dyn PacketFacts,
        mut place: Option<u32>,
        watched: bool,
        ended: &mut impl FnMut(&FlowRecord, FactSet<'_>),
    ) -> Counted {
        if let Content::Held(held) = packet.content {
            return self.count_held(packet, facts, held, place, ended);
        }
        self.clock = self.clock.max(packet.time);
        let &Keyed { hash, direction, .. } = packet.keyed;
        let is_later = matches!(packet.content, Content::LaterFragment);
        let segment = if is_later { None } else { facts.segment() };
        let mut over = place.and_then(|place| {
            self.over(place, direction, 1, u64::from(packet.wire_len)).or_else(|| {
                let mut parts = self.store.entries.parts(place);
                let mut reopens = |segment: &TcpSegment| {
                    parts.entry.is_tracked() && parts.tracker().reopens(segment, direction, packet.time, &self.store.tcp)
                };
                segment.as_ref().is_some_and(&mut reopens).then_some((EndReason::Closed, self.clock))
            })
        });
        // What was over by itself did not go on in another VLAN, what a SYN ended did.
        if let Some(place) = place
            && over.is_none_or(|(reason, at)| reason == EndReason::Closed && at == self.clock)
        {
            self.note_domain(place, direction, facts);
        }
        if let Some(segment) = &segment
            && self.is_late(segment, hash, &mut place, &mut over, ended)
        {
            return Counted::LATE;
        }
        let (place, mut events) = match (place, over) {
            (Some(place), None) => {
                let is_answer = watched && self.store.entries.get(place).is_first_answer(direction);
                (place, FlowEvents::ANSWERED.when(is_answer))
            }
            (found, over) => {
                let opening = opening_of(packet, facts, segment.as_ref(), self.clock);
                (self.open(&opening, hash, found.zip(over), ended), opened_after(over))
            }
        };
        let mut marks = TcpMarks::NONE;
        if let Some(segment) = &segment {
            let (told, found) = self.track(place, segment, direction, packet.time);
            (events, marks) = (events.and(told), found);
        }
        let share = Share {
            direction,
            packets: 1,
            bytes: u64::from(packet.wire_len),
            fragments: u64::from(is_later),
            earliest: packet.time,
            latest: packet.time,
        };
        self.add(place, &share);
        Counted { place, marks, events, path: CountPath::Slow }
    }

    /// Counts later fragments that arrived before their first one, which was counted just now.
    fn count_held(
        &mut self,
        packet: &FlowPacket<'_>,
        facts: &dyn PacketFacts,
        held: &Held,
        place: Option<u32>,
        ended: &mut impl FnMut(&FlowRecord, FactSet<'_>),
    ) -> Counted {
        let &Keyed { ref key, hash, direction } = packet.keyed;
        let over = place.and_then(|place| self.over(place, direction, held.packets, held.bytes));
        let (place, events) = match (place, over) {
            (Some(place), None) => (place, FlowEvents::NONE),
            (found, over) => {
                let opening = Opening {
                    key: *key,
                    time: held.earliest,
                    clock: self.clock,
                    number: held.first_packet,
                    vlan: facts.vlan(),
                    tunnel: facts.tunnel(),
                    direction,
                    initiator: direction,
                    icmp_code: 0,
                };
                (self.open(&opening, hash, found.zip(over), ended), opened_after(over))
            }
        };
        let cold = self.store.entries.cold_mut(place);
        cold.set_first_packet(cold.first_packet().min(held.first_packet));
        let share = Share {
            direction,
            packets: held.packets,
            bytes: held.bytes,
            fragments: held.packets,
            earliest: held.earliest,
            latest: held.latest,
        };
        self.add(place, &share);
        Counted { place, marks: TcpMarks::NONE, events, path: CountPath::Slow }
    }

    /// A packet of this direction has come for the flow at a place: counts the flow, once, when it is of another VLAN or tunnel than the
    /// first packet. Only those from the initiator are compared, as the answers may well come another way, and none when the
    /// first packet is an answer. Asked for each packet
    /// that takes the slow path, for a SYN that comes again, for a plain segment that the fast path declined, and for each datagram
    /// that was dissected in full.
    pub fn note_domain(&mut self, place: u32, direction: Direction, facts: &dyn PacketFacts) {
        let Parts { entry, cold, .. } = self.store.entries.parts(place);
        if self.settings.key != KeyScope::VlanTunnel && entry.initiator() == direction {
            let domain = Domain::new(facts.vlan(), facts.tunnel());
            self.counters.domain_changed += u64::from(cold.notes_change(domain, &mut self.store.extras));
        }
    }

    /// Takes a segment into the flow's TCP tracker, which its first segment makes.
    #[inline]
    fn track(&mut self, place: u32, segment: &TcpSegment, direction: Direction, time: Timestamp) -> (FlowEvents, TcpMarks) {
        let syn = FlowEvents::SYN.when(segment.flags.has(TcpFlags::SYN) && !segment.flags.has(TcpFlags::ACK));
        let mut parts = self.store.entries.parts(place);
        let mut tcp = parts.tracker_or_open(segment, direction, time);
        let before = *tcp.connection;
        if let Some(segment) = SynSegment::of(segment)
            && tcp.observe_syn(&segment, direction, time, &self.analysis)
        {
            parts.note_tracked();
            return (syn, TcpMarks::NONE);
        }
        let marks = tcp.observe(segment, direction, time, &mut self.store.tcp, &self.analysis);
        let established = FlowEvents::ESTABLISHED.when(before.is_handshaking() && tcp.connection.is_established());
        let is_reset = segment.flags.has(TcpFlags::RST) && !marks.has(TcpMarks::OUT_OF_WINDOW);
        let is_refusal = is_reset && before.is_syn_sent() && before.client() == Some(direction.reverse());
        parts.note_tracked();
        let events = syn.and(established).and(FlowEvents::REFUSED.when(is_refusal)).and(self.note_finished(place));
        (events, marks)
    }

    #[inline]
    fn add(&mut self, place: u32, share: &Share) {
        let Parts { entry, cold, .. } = self.store.entries.parts(place);
        let touched = entry.touched(cold, &self.store.extras);
        entry.count(share.direction, share.packets, share.bytes);
        entry.see(share.earliest, share.latest, cold);
        // A packet from before may have made the record older, a new one has no beginning yet.
        entry.begun = self.active.begun(cold.first_seen, self.clock);
        entry.touch(self.clock, cold, &mut self.store.extras);
        if share.fragments != 0 {
            cold.add_fragments(u32::try_from(share.fragments).unwrap_or(u32::MAX), &mut self.store.extras);
        }
        let listing = if self.top.is_on() { self.top.add(entry, touched, share.bytes) } else { None };
        if let Some(before) = listing {
            self.top.list(place, before, &mut self.store);
        }
    }
}

/// What is told of a new record, which follows one that was over for this reason.
fn opened_after(over: Option<(EndReason, Timestamp)>) -> FlowEvents {
    let goes_on = over.is_some_and(|(reason, _)| reason == EndReason::ActiveTimeout);
    FlowEvents::OPENED.and(FlowEvents::CONTINUED.when(goes_on))
}
