//! A worker's fragments: to the flow of their datagram, in either order of arrival.
//!
//! Owns whose ledger a fragment stands on. Its invariant: every worker follows all fragments, so all know the ports; only the owner of
//! the flow counts them, and what waits for its first fragment is on the leading worker's ledger until then.

use super::Worker;
use super::wave::no_flow_reason;
use crate::engine::NoFlowReason;
use crate::engine::packet_meta::PacketMeta;
use crate::flow::{Candidate, FlowAt, FragmentPacket, Held, Keyed, Later, PlainPacket, ports_of};
use crate::wire::{Dissected, Transport};
use netscope_backends::Packet;

impl Worker {
    /// The way of a fragment.
    pub(super) fn fragment(&mut self, packet: &Packet<'_>, dissected: &Dissected, meta: &PacketMeta, candidate: Candidate) {
        let Some(network) = &dissected.network else { return };
        let &Packet { time, wire_len, .. } = packet;
        let fragment = FragmentPacket { network, hash: meta.datagram(), time, wire_len, number: self.number };
        match self.fragments.later(&fragment) {
            None => {
                let flow = FlowAt { keyed: meta.keyed, candidate };
                self.first_fragment(packet, dissected, flow, &fragment);
            }
            Some(Later::Known(mut flow)) => {
                if self.share.owns(&flow.keyed.key) {
                    flow.candidate = self.place_of(&flow.keyed, flow.candidate);
                    self.account(packet, dissected);
                    self.sight_fragment(packet, dissected, &flow, true);
                }
            }
            Some(Later::Held) => {
                if self.share.leads() {
                    self.account(packet, dissected);
                    self.ledger.note_no_flow(NoFlowReason::FragmentsHeld);
                }
            }
        }
        self.note_orphans();
    }

    fn first_fragment(&mut self, packet: &Packet<'_>, dissected: &Dissected, mut flow: FlowAt, fragment: &FragmentPacket<'_>) {
        if ports_of(dissected).is_none() {
            self.fragments.first(fragment, None);
            if self.share.leads() {
                self.account(packet, dissected);
                self.ledger.note_no_flow(no_flow_reason(dissected));
            }
            return;
        }
        let owned = self.share.owns(&flow.keyed.key);
        if owned {
            flow.candidate = self.place_of(&flow.keyed, flow.candidate);
        }
        let held = self.fragments.first(fragment, Some(&flow));
        if owned {
            self.account(packet, dissected);
            self.sight_fragment(packet, dissected, &flow, false);
        }
        if let Some(held) = held {
            self.settle(&held, owned, &flow.keyed);
        }
    }

    /// The candidate, or where the flow lies by now.
    #[inline(always)]
    fn place_of(&self, keyed: &Keyed, candidate: Candidate) -> Candidate {
        if candidate == Candidate::NONE { self.flows.look_up(&keyed.key, keyed.hash) } else { candidate }
    }

    /// Counts a fragment for its flow: straight on, when nothing begins or ends with it.
    fn sight_fragment(&mut self, packet: &Packet<'_>, dissected: &Dissected, flow: &FlowAt, is_later: bool) {
        let &FlowAt { keyed: Keyed { ref key, direction, .. }, candidate } = flow;
        let &Packet { time, wire_len, .. } = packet;
        let plain = PlainPacket { key, candidate, direction, time, wire_len, segment: None };
        let has_segment = matches!(dissected.transport, Transport::Tcp(_));
        if !has_segment && self.flows.observe_fragment(&plain, is_later) {
            self.ledger.in_flows += 1;
        } else {
            self.sight(packet, dissected, &flow.keyed, candidate, is_later);
        }
    }

    /// Fragments that had waited have found their flow: from the leading worker's ledger to the owner's.
    fn settle(&mut self, held: &Held, owned: bool, keyed: &Keyed) {
        if self.share.leads() {
            self.ledger.packets = self.ledger.packets.wrapping_sub(held.packets);
            self.ledger.bytes = self.ledger.bytes.wrapping_sub(held.bytes);
            let waiting = &mut self.ledger.no_flow[NoFlowReason::FragmentsHeld as usize];
            *waiting = waiting.wrapping_sub(held.packets);
        }
        if owned {
            self.ledger.packets = self.ledger.packets.wrapping_add(held.packets);
            self.ledger.bytes = self.ledger.bytes.wrapping_add(held.bytes);
            self.ledger.in_flows += held.packets;
            let event = self.event();
            let Self { flows, outbox, ledger, .. } = self;
            let &Keyed { ref key, hash, direction } = keyed;
            flows.add_fragments(key, hash, direction, held, &mut |record| outbox.ended(event, record, ledger));
        }
    }

    /// Held fragments that were given up since the last look become orphans.
    pub(super) fn note_orphans(&mut self) {
        let orphaned = self.fragments.counters().orphaned_packets - self.orphans_noted;
        if orphaned > 0 {
            self.orphans_noted += orphaned;
            if self.share.leads() {
                let waiting = &mut self.ledger.no_flow[NoFlowReason::FragmentsHeld as usize];
                *waiting = waiting.wrapping_sub(orphaned);
                self.ledger.no_flow[NoFlowReason::FragmentsOrphaned as usize] += orphaned;
            }
        }
    }
}
