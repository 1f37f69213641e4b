//! A worker's fragments: to the flow of their datagram, in either order of arrival.
//!
//! Owns which worker's ledger counts a fragment. Its invariant: the owner of the flow counts it, and what waits for its first fragment
//! is on the leading worker's ledger until then. Of a source that several share, what becomes of a fragment was told for all of
//! them; the leading one knows of each.

use super::Worker;
use super::tapped::ExtraWork;
use super::wave::no_flow_reason;
use crate::engine::packet_meta::PacketMeta;
use crate::engine::unit_fragments::{FragmentFate, UnitFragment};
use crate::engine::{NoFlowReason, Observer, TrafficCount};
use crate::flow::{
    Candidate, Content, Domain, FlowAt, FragmentCounters, FragmentPacket, FragmentRole, FragmentTable, Held, HostAddress, Keyed,
    SeenFragment, ports_of,
};
use crate::wire::{Dissected, Network, Transport};
use netscope_backends::{Packet, Timestamp};

impl<O: Observer> Worker<O> {
    /// The way of a fragment; `told` is what was found out for all who share the source. `EXTRA`: as of a wave.
    pub(super) fn fragment<const EXTRA: u8>(
        &mut self,
        packet: &Packet<'_>,
        dissected: &Dissected,
        (meta, candidate): (&PacketMeta, Candidate),
        told: Option<&UnitFragment>,
    ) {
        let Some(network) = &dissected.network else { return };
        let &Packet { time, wire_len, .. } = packet;
        let fate = match told {
            Some(told) => {
                self.others_fragments = told.counters;
                told.fate
            }
            None => {
                let (domain, hash) = (Domain::of(dissected), meta.datagram());
                let fragment = FragmentPacket { network, domain, hash, time, wire_len, number: self.number };
                let flow = ports_of(dissected).map(|_| FlowAt { keyed: meta.keyed, candidate });
                FragmentFate::next(&mut self.fragments, &fragment, flow)
            }
        };
        match fate {
            FragmentFate::First(flow, held) => {
                // That of all workers is in no domain; this one's is.
                let keyed = if told.is_some() { meta.keyed } else { flow.keyed };
                self.first_fragment::<EXTRA>(packet, dissected, FlowAt { keyed, candidate }, held);
            }
            FragmentFate::Following(flow) if self.share.owns(&flow.keyed.key) => {
                let flow = if told.is_some() { self.flow_here(&flow, dissected) } else { flow };
                self.account(packet, dissected);
                self.count_fragment::<EXTRA>(packet, dissected, &flow, true);
            }
            FragmentFate::Following(_) => {}
            FragmentFate::FirstWithoutFlow => self.fragment_without_flow::<EXTRA>(packet, dissected, no_flow_reason(dissected)),
            FragmentFate::Waiting => self.fragment_without_flow::<EXTRA>(packet, dissected, NoFlowReason::FragmentsHeld),
        }
        self.note_fragment(&fate, network, time, wire_len);
    }

    /// The leading worker's part of a fragment that another one counts.
    pub(super) fn others_fragment(&mut self, told: &UnitFragment) {
        let UnitFragment { network, time, wire_len, fate, counters, .. } = told;
        self.others_fragments = *counters;
        if let FragmentFate::First(_, Some(held)) = fate {
            self.let_go_of(held);
        }
        self.note_fragment(fate, network, *time, *wire_len);
    }

    /// The leading worker tells of a fragment; what became orphaned is noted.
    fn note_fragment(&mut self, fate: &FragmentFate, network: &Network, time: Timestamp, wire_len: u32) {
        if self.share.leads() {
            let number = self.number;
            let role = match fate {
                FragmentFate::First(_, held) => {
                    let (found_packets, found_bytes) = held.map_or((0, 0), |held| (held.packets, held.bytes));
                    FragmentRole::First { found_packets, found_bytes }
                }
                FragmentFate::FirstWithoutFlow => FragmentRole::FirstWithoutFlow,
                FragmentFate::Following(_) => FragmentRole::Following,
                FragmentFate::Waiting => FragmentRole::Waiting,
            };
            self.watch.fragment(|| {
                let (source, destination) = HostAddress::of_network(network);
                SeenFragment { role, source, destination, protocol: network.protocol, wire_len, time, number }
            });
        }
        self.note_orphans();
    }

    /// A flow that was told for all workers, by this one's number for its VLAN or tunnel.
    fn flow_here(&mut self, flow: &FlowAt, dissected: &Dissected) -> FlowAt {
        let key = flow.keyed.key.in_domain(self.domains.of(dissected));
        let keyed = Keyed { key, hash: self.flows.hash(&key), direction: flow.keyed.direction };
        FlowAt { keyed, candidate: self.flows.prefetch_entry(keyed.hash) }
    }

    /// A fragment whose flow is not known is the leading worker's.
    fn fragment_without_flow<const EXTRA: u8>(&mut self, packet: &Packet<'_>, dissected: &Dissected, reason: NoFlowReason) {
        if self.share.leads() {
            self.account(packet, dissected);
            self.ledger.note_no_flow(reason);
            self.watch.other(packet, dissected);
            if EXTRA == ExtraWork::ALL {
                self.tap_one(packet, None);
            }
        }
    }

    fn first_fragment<const EXTRA: u8>(&mut self, packet: &Packet<'_>, dissected: &Dissected, flow: FlowAt, held: Option<Held>) {
        let owned = self.share.owns(&flow.keyed.key);
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
            self.let_go_of(held);
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

    /// What the leading worker had of fragments that waited.
    fn let_go_of(&mut self, held: &Held) {
        self.ledger.packets = self.ledger.packets.wrapping_sub(held.packets);
        self.ledger.bytes = self.ledger.bytes.wrapping_sub(held.bytes);
        let waiting = &mut self.ledger.no_flow[NoFlowReason::FragmentsHeld as usize];
        *waiting = waiting.wrapping_sub(held.packets);
    }

    /// From the end of a source on, the leading worker has the fragments that were looked at for all.
    pub(in crate::engine) fn take_fragments(&mut self, fragments: FragmentTable) {
        self.fragments = fragments;
    }

    /// Counts of all fragments so far.
    pub(super) fn fragment_counters(&self) -> FragmentCounters {
        // One of them has none.
        let mut counters = self.fragments.counters();
        if counters == FragmentCounters::default() {
            counters = self.others_fragments;
        }
        counters
    }

    /// Held fragments that were given up since the last look become orphans.
    pub(super) fn note_orphans(&mut self) {
        let orphaned = self.fragment_counters().orphaned_packets - self.orphans_noted;
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
