//! A wave: up to [`BATCH_MAX`](netscope_backends::BATCH_MAX) packets go through the worker together.
//!
//! Owns the two passes over them: first all are dissected, keyed and hashed, then all are counted in order, while the memory of
//! those that follow is on its way. Its invariant: what comes of a packet does not depend on how packets fall into waves, nor on
//! whether it went the straight way or the long one.

use super::{EXPIRY_BUDGET, Worker};
use crate::engine::Rest;
use crate::flow::{Candidate, FlowKey, Keyed, PlainSighting, SynSighting, ports_of};
use crate::wire::{self, Common, Dissected, FaultKind, Layer, PlainSegment, SynSegment, VlanTags};
use netscope_backends::{Packet, Timestamp};

/// How many packets ahead of the one being counted the entry of a flow is asked for: long enough for memory to answer, few
/// enough to stay in the first cache with what else a packet needs.
const PREFETCH_AHEAD: usize = 12;

/// The same for what a look at the entry's front tells to be needed, too.
const REST_AHEAD: usize = 5;

/// What the first wave found out about a packet, written field by field into the place where it stays.
pub(super) struct Lane {
    route: Route,
    /// Set where the packet has a flow.
    pub(super) keyed: Keyed,
    /// Where the flow probably lies; set while the entry is asked for.
    pub(super) candidate: Candidate,
    /// Set for fragments: the hash of their datagram.
    pub(super) datagram: u64,
    /// Set for plain segments.
    segment: PlainSegment,
    /// Set for SYN segments, and the tags of their frames.
    syn: SynSegment,
    vlan: VlanTags,
}

impl Lane {
    pub(super) const EMPTY: Self = Self {
        route: Route::Foreign,
        keyed: Keyed::NONE,
        candidate: Candidate::NONE,
        datagram: 0,
        segment: PlainSegment::NONE,
        syn: SynSegment::NONE,
        vlan: VlanTags { ids: [0; VlanTags::KEPT], count: 0 },
    };

    #[inline(always)]
    fn sighting<'a>(&'a self, packet: &Packet<'_>, segment: Option<&'a PlainSegment>) -> PlainSighting<'a> {
        PlainSighting {
            key: &self.keyed.key,
            candidate: self.candidate,
            direction: self.keyed.direction,
            time: packet.time,
            wire_len: packet.wire_len,
            segment,
        }
    }
}

/// Where a packet goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    /// Another worker's.
    Foreign,
    /// To a flow; a plain segment of a common frame, for which no facts were written.
    Plain { checksum_bad: bool },
    /// The same for a datagram.
    Datagram { checksum_bad: bool },
    /// The same for a SYN or SYN-ACK.
    Syn { checksum_bad: bool },
    /// The same for the last segment of a direction.
    Last { checksum_bad: bool },
    /// To a flow.
    Flow,
    /// A first fragment of an IP packet, with its ports: its datagram is looked up in order, in the last wave.
    FirstFragment,
    /// The same for any other fragment; its datagram knows its flow, if anyone does.
    Fragment,
    /// To no flow.
    Rest(Rest),
}

/// Packets that went the straight way and are not in the ledger yet.
#[derive(Default)]
struct PlainCounts {
    packets: u64,
    bytes: u64,
    ipv4_checksums_bad: u64,
}

impl PlainCounts {
    #[inline(always)]
    fn note(&mut self, packet: &Packet<'_>, checksum_bad: bool) {
        self.packets += 1;
        self.bytes += u64::from(packet.wire_len);
        self.ipv4_checksums_bad += u64::from(checksum_bad);
    }
}

/// Where the packets of a wave stand among all that move the time.
pub(super) trait Order {
    /// Number of packet `i` of the wave.
    fn number(&self, i: usize) -> u64;

    /// Number and time of each packet of others that comes before packet `i` and after the one before it.
    fn between(&self, i: usize) -> impl Iterator<Item = (u64, Timestamp)>;
}

/// Packets that follow each other.
pub(super) struct Consecutive {
    /// Number of the first one.
    pub(super) first: u64,
}

impl Order for Consecutive {
    #[inline(always)]
    fn number(&self, i: usize) -> u64 {
        self.first + i as u64
    }

    #[inline(always)]
    fn between(&self, _i: usize) -> impl Iterator<Item = (u64, Timestamp)> {
        std::iter::empty()
    }
}

impl Worker {
    /// First wave: bytes to facts, facts to keys and hashes. The index lines of the flows are asked for on the way.
    pub(super) fn dissect(&self, packets: &[Packet<'_>], lanes: &mut [Lane], facts: &mut [Dissected]) {
        for ((packet, lane), facts) in packets.iter().zip(lanes).zip(facts) {
            lane.route = match wire::common_tcp4(packet.link_type, packet.data, packet.wire_len) {
                Some(common) => self.route_common(&common, lane, facts),
                None if wire::seems_fragment(packet.data) => self.route_rare(packet, lane, facts),
                None => self.route_other(packet, lane, facts),
            };
        }
    }

    /// Anything but the most common frame.
    #[inline(never)]
    fn route_other(&self, packet: &Packet<'_>, lane: &mut Lane, facts: &mut Dissected) -> Route {
        match wire::common(packet.link_type, packet.data, packet.wire_len) {
            Some(common) => self.route_common(&common, lane, facts),
            None => self.route_rare(packet, lane, facts),
        }
    }

    /// Anything but a common frame.
    #[inline(never)]
    fn route_rare(&self, packet: &Packet<'_>, lane: &mut Lane, facts: &mut Dissected) -> Route {
        wire::walk_into(facts, packet.link_type, packet.data, packet.wire_len);
        self.route(packet, lane, facts)
    }

    #[inline(always)]
    fn route_common(&self, common: &Common<'_>, lane: &mut Lane, facts: &mut Dissected) -> Route {
        let keyed = &mut lane.keyed;
        if !self.share.owns_common(common.network(), common.ports()) {
            return Route::Foreign;
        }
        keyed.direction = keyed.key.set_common(common.network(), common.ports());
        keyed.hash = self.flows.hash(&keyed.key);
        self.flows.prefetch_bucket(keyed.hash);
        let checksum_bad = common.network().is_checksum_bad();
        if let Some(segment) = common.plain_segment() {
            lane.segment = segment;
            return Route::Plain { checksum_bad };
        }
        if common.is_datagram() {
            return Route::Datagram { checksum_bad };
        }
        if let Some(syn) = common.syn_segment() {
            (lane.syn, lane.vlan) = (syn, common.vlan());
            return Route::Syn { checksum_bad };
        }
        if let Some(segment) = common.last_segment() {
            lane.segment = segment;
            return Route::Last { checksum_bad };
        }
        common.write(facts);
        Route::Flow
    }

    #[inline(always)]
    fn route(&self, packet: &Packet<'_>, lane: &mut Lane, dissected: &Dissected) -> Route {
        if let Some(network) = &dissected.network {
            if let Some(fragment) = &network.fragment {
                lane.datagram = self.fragments.hash(network, fragment);
                let Some(ports) = ports_of(dissected) else { return Route::Fragment };
                let (key, direction) = FlowKey::new(network, ports);
                lane.keyed = Keyed { key, hash: self.flows.hash(&key), direction };
                self.flows.prefetch_bucket(lane.keyed.hash);
                return Route::FirstFragment;
            }
            if let Some(ports) = ports_of(dissected) {
                let (key, direction) = FlowKey::new(network, ports);
                if !self.share.owns(&key) {
                    return Route::Foreign;
                }
                lane.keyed = Keyed { key, hash: self.flows.hash(&key), direction };
                self.flows.prefetch_bucket(lane.keyed.hash);
                return Route::Flow;
            }
        }
        if !self.share.leads() {
            return Route::Foreign;
        }
        if !wire::supports(packet.link_type) {
            return Route::Rest(Rest::UnsupportedLink);
        }
        Route::Rest(rest_of(dissected))
    }

    /// Asks for the flow's entry, whose number the index line tells.
    #[inline(always)]
    fn prefetch(&self, lane: &mut Lane) {
        match lane.route {
            Route::Plain { .. } | Route::Datagram { .. } | Route::Last { .. } | Route::FirstFragment => {
                lane.candidate = self.flows.prefetch_entry(lane.keyed.hash);
            }
            Route::Flow | Route::Syn { .. } => lane.candidate = self.flows.prefetch_entry_whole(lane.keyed.hash),
            Route::Fragment => self.fragments.prefetch(lane.datagram),
            Route::Foreign | Route::Rest(_) => {}
        }
    }

    /// A while later, asks for what a look at what has arrived tells to be needed, too.
    #[inline(always)]
    fn prefetch_rest(&self, lane: &Lane) {
        match lane.route {
            Route::Plain { .. } | Route::Last { .. } | Route::Flow => self.flows.prefetch_rest(lane.candidate),
            Route::Fragment => self.flows.prefetch_candidate(self.fragments.candidate(lane.datagram)),
            Route::Datagram { .. } | Route::Syn { .. } | Route::FirstFragment | Route::Foreign | Route::Rest(_) => {}
        }
    }

    /// Second wave: time, ticks, expiry and counting, packet by packet in order, while the entries of the next flows arrive.
    pub(super) fn update(&mut self, packets: &[Packet<'_>], lanes: &mut [Lane], facts: &mut [Dissected], order: &impl Order) {
        let lanes = lanes.get_mut(..packets.len()).unwrap_or_default();
        lanes.iter_mut().take(PREFETCH_AHEAD).for_each(|lane| self.prefetch(lane));
        let mut plain = PlainCounts::default();
        for (i, packet) in packets.iter().enumerate() {
            if let Some(ahead) = lanes.get_mut(i + PREFETCH_AHEAD) {
                self.prefetch(ahead);
            }
            if let Some(ahead) = lanes.get(i + REST_AHEAD) {
                self.prefetch_rest(ahead);
            }
            let Some(lane) = lanes.get_mut(i) else { break };
            for (number, time) in order.between(i) {
                self.reach(number, time, &mut plain);
            }
            self.reach(order.number(i), packet.time, &mut plain);
            let (is_counted, checksum_bad) = match lane.route {
                Route::Plain { checksum_bad } => {
                    let is_plain = self.flows.observe_plain(&lane.sighting(packet, Some(&lane.segment)));
                    (is_plain || self.observe_nearly(packet, lane), checksum_bad)
                }
                Route::Datagram { checksum_bad } => {
                    let is_plain = self.flows.observe_plain(&lane.sighting(packet, None));
                    (is_plain || self.observe_nearly(packet, lane), checksum_bad)
                }
                Route::Syn { checksum_bad } => {
                    self.number = order.number(i);
                    (self.observe_syn(packet, lane), checksum_bad)
                }
                Route::Last { checksum_bad } => (self.observe_nearly(packet, lane), checksum_bad),
                Route::Foreign => continue,
                Route::Flow | Route::FirstFragment | Route::Fragment | Route::Rest(_) => (false, false),
            };
            if is_counted {
                plain.note(packet, checksum_bad);
            } else {
                self.number = order.number(i);
                self.count(packet, lane, &mut facts[i]);
            }
        }
        if let Some(last) = packets.len().checked_sub(1) {
            self.number = order.number(last);
        }
        self.flows.pass(self.clock.now());
        self.settle_plain(&mut plain);
    }

    /// A packet moves the time, whosever it is.
    #[inline(always)]
    fn reach(&mut self, number: u64, time: Timestamp, plain: &mut PlainCounts) {
        if !self.clock.advance_within(time, self.quiet_until) {
            self.number = number;
            self.settle_plain(plain);
            let left = self.clock.advance(time);
            self.pass_time(left, EXPIRY_BUDGET);
        }
    }

    /// A packet of others moves the time.
    pub(super) fn live_to(&mut self, number: u64, time: Timestamp) {
        self.reach(number, time, &mut PlainCounts::default());
    }

    /// What went the straight way comes into the ledger: before anybody reads it, and at the end of a wave.
    fn settle_plain(&mut self, plain: &mut PlainCounts) {
        let PlainCounts { packets, bytes, ipv4_checksums_bad } = std::mem::take(plain);
        self.ledger.packets += packets;
        self.ledger.in_flows += packets;
        self.ledger.bytes += bytes;
        self.ledger.ipv4_checksums_bad += ipv4_checksums_bad;
    }

    /// The straight way of a SYN or SYN-ACK.
    #[inline(never)]
    fn observe_syn(&mut self, packet: &Packet<'_>, lane: &Lane) -> bool {
        let event = self.event();
        let Self { flows, outbox, ledger, number, .. } = self;
        let &Lane { keyed: Keyed { ref key, hash, direction }, candidate, syn: ref segment, vlan, .. } = lane;
        let &Packet { time, wire_len, .. } = packet;
        let sighting = SynSighting { key, hash, candidate, direction, time, wire_len, number: *number, vlan, segment };
        flows.observe_syn(&sighting, &mut |record| outbox.ended(event, record, ledger))
    }

    /// The straight ways once more, for a packet whose flow was not there when it was asked ahead, and those that nearly are.
    #[inline(never)]
    fn observe_nearly(&mut self, packet: &Packet<'_>, lane: &mut Lane) -> bool {
        // Packets of other workers move the time, too.
        self.flows.pass(self.clock.now());
        let is_known = lane.candidate != Candidate::NONE;
        if !is_known {
            lane.candidate = self.flows.look_up(&lane.keyed.key, lane.keyed.hash);
        }
        let is_last = matches!(lane.route, Route::Last { .. });
        let segment = (is_last || matches!(lane.route, Route::Plain { .. })).then_some(&lane.segment);
        let sighting = lane.sighting(packet, segment);
        !is_known && !is_last && self.flows.observe_plain(&sighting) || self.flows.observe_nearly_plain(&sighting)
    }

    /// The way of every packet but those that went straight on.
    #[inline(never)]
    fn count(&mut self, packet: &Packet<'_>, lane: &Lane, facts: &mut Dissected) {
        self.flows.pass(self.clock.now());
        if let Route::Plain { .. } | Route::Datagram { .. } | Route::Syn { .. } | Route::Last { .. } = lane.route {
            wire::dissect_into(facts, packet.link_type, packet.data, packet.wire_len);
        }
        match lane.route {
            Route::Foreign => {}
            Route::Rest(rest) => {
                self.account(packet, facts);
                self.ledger.rest(rest);
            }
            Route::Flow | Route::Plain { .. } | Route::Datagram { .. } | Route::Syn { .. } | Route::Last { .. } => {
                self.account(packet, facts);
                self.sight(packet, facts, &lane.keyed, lane.candidate, false);
            }
            Route::FirstFragment | Route::Fragment => self.fragment(packet, facts, lane),
        }
    }
}

/// Why a packet without a flow has none.
pub(super) fn rest_of(dissected: &Dissected) -> Rest {
    match dissected.fault.map(|fault| fault.kind) {
        Some(FaultKind::Truncated) => Rest::Truncated,
        Some(FaultKind::Malformed) => Rest::Malformed,
        Some(FaultKind::TooDeep) => Rest::TooDeep,
        Some(FaultKind::Unknown) | None if dissected.layer == Layer::Arp => Rest::Arp,
        Some(FaultKind::Unknown) | None => Rest::NonIp,
    }
}
