//! A worker's fragments: to the flow of their datagram, in either order of arrival.
//!
//! Owns which worker's ledger counts a fragment. Its invariant: every worker follows all fragments, so all
//! know the ports; only the owner of the flow counts them, and what waits for its first fragment is on the
//! leading worker's ledger until then.

use super::Worker;
use super::tapped::ExtraWork;
use super::wave::no_flow_reason;
use crate::engine::packet_meta::PacketMeta;
use crate::engine::{NoFlowReason, Observer, TrafficCount};
use crate::flow::{
    Candidate, Content, Domain, FlowAt, FragmentPacket, FragmentRole, Held, HostAddress, Keyed, Later, SeenFragment, ports_of,
};
use crate::wire::{Dissected, Transport};
use netscope_backends::Packet;

impl<O: Observer> Worker<O> {
    /// The way of a fragment. `EXTRA`: as of a wave.
    pub(super) fn fragment<const EXTRA: u8>(
        &mut self,
        packet: &Packet<'_>,
        dissected: &Dissected,
        meta: &PacketMeta,
        candidate: Candidate,
    ) {
        let Some(network) = &dissected.network else { return };
        let &Packet { time, wire_len, .. } = packet;
        let (domain, hash) = (Domain::of(dissected), meta.datagram());
        let fragment = FragmentPacket { network, domain, hash, time, wire_len, number: self.number };
        let role = match self.fragments.later(&fragment) {
            None => {
                let flow = FlowAt { keyed: meta.keyed, candidate };
                self.first_fragment::<EXTRA>(packet, dissected, flow, &fragment)
            }
            Some(Later::Known(flow)) => {
                if self.share.owns(&flow.keyed.key) {
                    self.account(packet, dissected);
                    self.count_fragment::<EXTRA>(packet, dissected, &flow, true);
                }
                FragmentRole::Following
            }
            Some(Later::Held) => {
                if self.share.leads() {
                    self.account(packet, dissected);
                    self.ledger.note_no_flow(NoFlowReason::FragmentsHeld);
                    self.watch.other(packet, dissected);
                    if EXTRA == ExtraWork::ALL {
                        self.tap_one(packet, None);
                    }
                }
                FragmentRole::Waiting
            }
        };
        if self.share.leads() {
            let number = self.number;
            self.watch.fragment(|| {
                let (source, destination) = HostAddress::of_network(network);
                SeenFragment { role, source, destination, protocol: network.protocol, wire_len, time, number }
            });
        }
        self.note_orphans();
    }

    fn first_fragment<const EXTRA: u8>(
        &mut self,
        packet: &Packet<'_>,
        dissected: &Dissected,
        flow: FlowAt,
        fragment: &FragmentPacket<'_>,
    ) -> FragmentRole {
        if ports_of(dissected).is_none() {
            self.fragments.first(fragment, None);
            if self.share.leads() {
                self.account(packet, dissected);
                self.ledger.note_no_flow(no_flow_reason(dissected));
                self.watch.other(packet, dissected);
                if EXTRA == ExtraWork::ALL {
                    self.tap_one(packet, None);
                }
            }
            return FragmentRole::FirstWithoutFlow;
        }
        let owned = self.share.owns(&flow.keyed.key);
        let held = self.fragments.first(fragment, Some(&flow));
        let place = owned.then(|| {
            self.account(packet, dissected);
            self.count_fragment::<EXTRA>(packet, dissected, &flow, false)
        });
        if matches!(dissected.transport, Transport::Icmp { .. }) {
            self.icmp_message(packet, self.number, dissected, place);
        }
        if let Some(held) = held {
            self.settle_held(packet, dissected, &held, owned, &flow.keyed);
        }
        let (found_packets, found_bytes) = held.map_or((0, 0), |held| (held.packets, held.bytes));
        FragmentRole::First { found_packets, found_bytes }
    }

    /// Counts a fragment for its flow; the number of the flow's place.
    fn count_fragment<const EXTRA: u8>(
        &mut self,
        packet: &Packet<'_>,
        dissected: &Dissected,
        flow: &FlowAt,
        is_later: bool,
    ) -> u32 {
        self.ledger.in_flows += 1;
        let content = match dissected.transport {
            _ if is_later => Content::LaterFragment,
            Transport::Tcp(_) => Content::Other,
            _ => Content::Datagram,
        };
        let counted = self.count_full(packet, self.number, dissected, &flow.keyed, flow.candidate, content);
        if EXTRA != ExtraWork::NONE {
            self.note_direction(&flow.keyed, counted.place, packet.wire_len);
        }
        // The first fragment of a datagram holds what tells the most of it.
        if EXTRA != ExtraWork::NONE && EXTRA != ExtraWork::DIRECTIONS && !is_later {
            let number = self.number;
            self.inspect_full(packet, || number, dissected, &flow.keyed, counted.place);
        }
        if EXTRA == ExtraWork::ALL {
            self.tap_one(packet, Some((&flow.keyed, counted)));
        }
        counted.place
    }

    /// Fragments that had waited have found their flow: from the leading worker's ledger to the owner's.
    fn settle_held(&mut self, packet: &Packet<'_>, dissected: &Dissected, held: &Held, owned: bool, keyed: &Keyed) {
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
            let counted = self.count_full(packet, self.number, dissected, keyed, Candidate::NONE, Content::Held(held));
            if let Some(meter) = &mut self.directions {
                let traffic = TrafficCount { packets: held.packets, bytes: held.bytes };
                meter.count(keyed, counted.place, traffic, &mut self.ledger.directions);
            }
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
