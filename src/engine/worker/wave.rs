//! A wave: up to [`BATCH_MAX`] packets go through the worker together.
//!
//! Owns the two passes over them: first all are dissected, keyed and hashed, then all are counted in order,
//! while the memory of those that follow is being fetched. Its invariant: what comes of a packet does not
//! depend on how packets fall into waves, nor on which path it took.

use super::tapped::ExtraWork;
use super::{EXPIRY_BUDGET, Worker};
use crate::engine::packet_meta::{CommonFacts, PacketMeta, Route};
use crate::engine::unit_fragments::UnitFragment;
use crate::engine::{NoFlowReason, Observer, ProtocolClass, TrafficCount};
use crate::flow::{Candidate, Content, Counted, Domain, FlowKey, FlowPacket, Keyed, ports_of};
use crate::wire::{self, Common, Dissected, FaultKind, Layer, Network, Ports, Transport};
use netscope_backends::{BATCH_MAX, Packet, Timestamp};

/// How many packets ahead of the one being counted the entry of a flow is asked for: long enough for memory to answer, few
/// enough to stay in the first cache with what else a packet needs.
const PREFETCH_AHEAD: usize = 12;

/// The same for what a look at the entry's front tells to be needed, too.
const REST_AHEAD: usize = 5;

/// Packets for which what lies apart from the entries is asked for together, while as many before them are counted.
const APART_AT_ONCE: usize = 4;

/// That look is worth its while when at least one in this many packets of the wave before left the fast path.
const LOOKED_AT_PER_SLOW: usize = 8;

/// Packets of common frames that are not in the ledger yet.
#[derive(Default)]
struct CommonCounts {
    /// At most those of a wave, so 32 bits are enough; of this width the compiler adds to each counter by
    /// itself, which costs fewer instructions than adding to two of 64 bits together.
    packets: u32,
    ipv4_checksums_bad: u32,
    bytes: u64,
    /// Of `packets` and `bytes`; the others are TCP.
    udp: TrafficCount,
}

impl CommonCounts {
    #[inline(always)]
    fn note(&mut self, wire_len: u32, checksum_bad: bool) {
        self.packets += 1;
        self.bytes += u64::from(wire_len);
        self.ipv4_checksums_bad += u32::from(checksum_bad);
    }
}

/// Where the packets of a wave lie, and where they stand among all that move the time.
pub(in crate::engine) trait PacketSource {
    /// Packet `i` of the wave.
    fn packet(&self, i: usize) -> Packet<'_>;

    /// Its number.
    fn number(&self, i: usize) -> u64;

    /// What becomes of packet `i`, a fragment, where that was told for all who share the source.
    fn fragment(&self, _i: usize) -> Option<&UnitFragment> {
        None
    }

    /// Shows number and time of each packet of others that comes before packet `i` and after the one before it.
    fn time_steps(&self, i: usize, visit: &mut dyn FnMut(u64, Timestamp));
}

/// Packets that follow each other.
pub(in crate::engine) struct Consecutive<'a> {
    pub(in crate::engine) packets: &'a [Packet<'a>],
    /// Number of the first one.
    pub(in crate::engine) first: u64,
}

impl PacketSource for Consecutive<'_> {
    fn packet(&self, i: usize) -> Packet<'_> {
        self.packets[i]
    }

    fn number(&self, i: usize) -> u64 {
        self.first + i as u64
    }

    fn time_steps(&self, _i: usize, _visit: &mut dyn FnMut(u64, Timestamp)) {}
}

impl<O: Observer> Worker<O> {
    /// First wave: bytes to facts, facts to keys and hashes. The index lines of the flows are asked for on the way.
    #[inline(never)]
    pub(super) fn dissect(&mut self, packets: &[Packet<'_>], metas: &mut [PacketMeta], facts: &mut [Dissected]) {
        for ((packet, meta), facts) in packets.iter().zip(metas).zip(facts) {
            meta.begin(packet);
            match wire::common_tcp4(packet.link_type, packet.data, packet.wire_len) {
                Some(common) => self.read_common::<false>(&common, meta, facts),
                None if wire::seems_fragment(packet.data) => self.read_in_full(packet, meta, facts),
                None => self.read_other(packet, meta, facts),
            }
        }
    }

    /// Anything but the most common frame.
    #[inline(never)]
    fn read_other(&mut self, packet: &Packet<'_>, meta: &mut PacketMeta, facts: &mut Dissected) {
        match wire::common(packet.link_type, packet.data, packet.wire_len) {
            Some(common) => self.read_common::<true>(&common, meta, facts),
            None => self.read_in_full(packet, meta, facts),
        }
    }

    /// `TAGGED`: it may have a VLAN tag.
    #[inline(always)]
    fn read_common<const TAGGED: bool>(&self, common: &Common<'_>, meta: &mut PacketMeta, facts: &mut Dissected) {
        meta.read_flow::<TAGGED>(common, self.flows.keying());
        self.flows.prefetch_bucket(meta.keyed.hash);
        if !meta.read_route(common) {
            common.write(facts);
        }
    }

    /// Anything but a common frame.
    #[inline(never)]
    fn read_in_full(&mut self, packet: &Packet<'_>, meta: &mut PacketMeta, facts: &mut Dissected) {
        wire::walk_into(facts, packet.link_type, packet.data, packet.wire_len);
        meta.route = self.route(packet, meta, facts);
    }

    #[inline(always)]
    fn route(&mut self, packet: &Packet<'_>, meta: &mut PacketMeta, dissected: &Dissected) -> Route {
        if let Some(network) = &dissected.network {
            if let Some(fragment) = &network.fragment {
                meta.set_datagram(self.fragments.hash(network, fragment, Domain::of(dissected)));
                let Some(ports) = ports_of(dissected) else { return Route::Fragment };
                self.set_flow(meta, network, ports, dissected);
                return Route::FirstFragment;
            }
            if let Some(ports) = ports_of(dissected) {
                self.set_flow(meta, network, ports, dissected);
                // Such a packet is on two lists.
                let is_error = matches!(dissected.transport, Transport::Icmp { .. });
                let is_others = is_error && !self.share.owns(&meta.keyed.key);
                return if is_others { Route::OthersError } else { Route::Flow };
            }
        }
        if !wire::supports(packet.link_type) {
            return Route::NoFlow(NoFlowReason::UnsupportedLink);
        }
        Route::NoFlow(no_flow_reason(dissected))
    }

    #[inline(always)]
    fn set_flow(&mut self, meta: &mut PacketMeta, network: &Network, ports: Ports, dissected: &Dissected) {
        let (key, direction) = FlowKey::new(network, ports);
        let key = key.in_domain(self.domains.of(dissected));
        meta.keyed = Keyed { key, hash: self.flows.hash(&key), direction };
        self.flows.prefetch_bucket(meta.keyed.hash);
    }

    /// First wave over metas that another core has filled, as far as it could.
    #[inline(never)]
    pub(super) fn complete(&mut self, metas: &mut [PacketMeta], facts: &mut [Dissected], source: &dyn PacketSource) {
        for ((i, meta), facts) in metas.iter_mut().enumerate().zip(facts) {
            let packet = source.packet(i);
            match meta.route {
                Route::Unread => self.read_in_full(&packet, meta, facts),
                Route::Flow => wire::dissect_into(facts, packet.link_type, packet.data, packet.wire_len),
                _ => {}
            }
        }
    }

    /// Asks for the index lines of the flows in these metas; in vain where a meta has none.
    #[inline(always)]
    pub(super) fn prefetch_buckets(&self, metas: &[PacketMeta]) {
        metas.iter().for_each(|meta| self.flows.prefetch_bucket(meta.keyed.hash));
    }

    /// Asks for the flow's entry, whose number the index line tells.
    #[inline(always)]
    fn prefetch(&self, meta: &PacketMeta) -> Candidate {
        match meta.route {
            Route::Plain { .. } | Route::Datagram { .. } | Route::Last { .. } => self.flows.prefetch_entry(meta.keyed.hash),
            _ => self.prefetch_other(meta),
        }
    }

    #[inline(never)]
    fn prefetch_other(&self, meta: &PacketMeta) -> Candidate {
        match meta.route {
            Route::Flow | Route::Syn { .. } => self.flows.prefetch_entry_whole(meta.keyed.hash),
            Route::FirstFragment => self.flows.prefetch_entry(meta.keyed.hash),
            Route::Fragment => {
                self.fragments.prefetch(meta.datagram());
                Candidate::NONE
            }
            _ => Candidate::NONE,
        }
    }

    /// A while later, asks for what a look at what has arrived tells to be needed, too.
    #[inline(always)]
    fn prefetch_rest(&self, meta: &PacketMeta, candidate: Candidate) {
        if candidate != Candidate::NONE {
            self.flows.prefetch_rest(candidate);
        } else if meta.route == Route::Fragment {
            self.flows.prefetch_candidate(self.fragments.candidate(meta.datagram()));
        }
    }

    /// A while later, where flows are many, asks for what the first plain packets of these need apart from their flows' entries.
    #[inline(never)]
    fn prefetch_apart(&self, candidates: &[Candidate]) {
        let candidates = candidates.get(..APART_AT_ONCE).unwrap_or(candidates);
        self.flows.prefetch_measured(candidates);
        if let Some(meter) = &self.directions {
            candidates.iter().for_each(|candidate| meter.prefetch(candidate.place()));
        }
    }

    /// Second pass: time, ticks, expiry and counting, packet by packet in order, while the entries of the
    /// next flows arrive. `ALONE`: no packet of others moves the time. `EXTRA`: an [`ExtraWork`].
    #[inline(never)]
    pub(super) fn update<const ALONE: bool, const EXTRA: u8>(
        &mut self,
        metas: &[PacketMeta],
        facts: &mut [Dissected],
        source: &dyn PacketSource,
    ) {
        let metas = metas.get(..BATCH_MAX).unwrap_or(metas);
        let looks_again = std::mem::take(&mut self.slow_path_count) * LOOKED_AT_PER_SLOW >= metas.len();
        let is_wide = self.flows.is_wide();
        // Where the flows probably lie.
        let mut candidates = [Candidate::NONE; BATCH_MAX];
        for (candidate, meta) in candidates.iter_mut().zip(metas).take(PREFETCH_AHEAD) {
            *candidate = self.prefetch(meta);
        }
        if looks_again {
            // Nothing is counted before these to wait behind.
            candidates.iter().take(REST_AHEAD).for_each(|&candidate| self.flows.prefetch_cold_half(candidate));
        }
        if is_wide {
            // One wait for these entries instead of one for what lies apart from each.
            self.prefetch_apart(&candidates);
        }
        let mut counts = CommonCounts::default();
        for i in 0..metas.len() {
            let meta = &metas[i];
            if let Some(ahead) = metas.get(i + PREFETCH_AHEAD) {
                candidates[i + PREFETCH_AHEAD] = self.prefetch(ahead);
            }
            if looks_again && let (Some(ahead), Some(&candidate)) = (metas.get(i + REST_AHEAD), candidates.get(i + REST_AHEAD)) {
                self.prefetch_rest(ahead, candidate);
            }
            if is_wide && i.is_multiple_of(APART_AT_ONCE) {
                self.prefetch_apart(candidates.get(i + APART_AT_ONCE..).unwrap_or_default());
            }
            if !ALONE {
                source.time_steps(i, &mut |number, time| self.reach(|| number, time, &mut counts));
                self.flows.pass(self.clock.now());
            }
            self.reach(|| source.number(i), meta.time, &mut counts);
            // Asked first, as it is nearly always so.
            if let Route::Plain { checksum_bad } = meta.route {
                counts.note(meta.wire_len, checksum_bad);
                let counted = self.count_common(i, meta, candidates[i], Content::Segment(&meta.segment), source);
                self.do_extra::<EXTRA>(i, source, meta, counted);
            } else if let Route::Datagram { checksum_bad } = meta.route {
                counts.note(meta.wire_len, checksum_bad);
                counts.udp += TrafficCount { packets: 1, bytes: meta.wire_len.into() };
                let counted = self.count_common(i, meta, candidates[i], Content::Datagram, source);
                self.do_extra::<EXTRA>(i, source, meta, counted);
            } else {
                self.count_other::<EXTRA>(i, meta, candidates[i], &mut facts[i], source, &mut counts);
            }
        }
        if let Some(last) = metas.len().checked_sub(1) {
            self.number = source.number(last);
        }
        self.flows.pass(self.clock.now());
        self.settle(&mut counts);
    }

    /// A packet moves the time, whosever it is.
    #[inline(always)]
    fn reach(&mut self, number: impl FnOnce() -> u64, time: Timestamp, counts: &mut CommonCounts) {
        if !self.clock.advance_within(time, self.next_deadline) {
            self.number = number();
            self.settle(counts);
            let left = self.clock.advance(time);
            self.pass_time(left, EXPIRY_BUDGET);
        }
    }

    /// A packet of others moves the time.
    pub(super) fn live_to(&mut self, number: u64, time: Timestamp) {
        self.reach(|| number, time, &mut CommonCounts::default());
    }

    /// What was counted comes into the ledger, and to the observer: before time moves on, and at the end of a wave.
    fn settle(&mut self, counts: &mut CommonCounts) {
        let CommonCounts { packets, bytes, ipv4_checksums_bad, udp } = std::mem::take(counts);
        let packets = u64::from(packets);
        self.ledger.note_protocol(ProtocolClass::Udp, udp);
        let tcp = TrafficCount { packets: packets - udp.packets, bytes: bytes - udp.bytes };
        self.ledger.note_protocol(ProtocolClass::Tcp, tcp);
        self.ledger.packets += packets;
        self.ledger.in_flows += packets;
        self.ledger.bytes += bytes;
        self.ledger.ipv4_checksums_bad += u64::from(ipv4_checksums_bad);
        if let Some(meter) = &mut self.directions {
            meter.settle(&mut self.ledger.directions);
        }
        let late = self.flows.after_close() - self.after_close_noted;
        if late > 0 {
            self.note_after_close(late);
        }
        self.watch.flush();
        self.watch.relieve(&mut self.flows);
    }

    /// Some of the packets that were counted in flows came after their connection was closed, and are in none.
    #[cold]
    fn note_after_close(&mut self, late: u64) {
        self.after_close_noted += late;
        self.ledger.in_flows -= late;
        self.ledger.no_flow[NoFlowReason::AfterClose as usize] += late;
    }

    /// Counts a packet of a common frame.
    #[inline(always)]
    fn count_common(
        &mut self,
        at: usize,
        meta: &PacketMeta,
        candidate: Candidate,
        content: Content<'_>,
        source: &dyn PacketSource,
    ) -> Counted {
        let &PacketMeta { ref keyed, time, wire_len, .. } = meta;
        let packet = FlowPacket { keyed, candidate, time, wire_len, content };
        let counted = self.count(packet, CommonFacts { source, at, meta });
        if O::WATCHES && counted.place == Counted::NO_PLACE {
            let packet = source.packet(at);
            self.watch.other(&packet, &wire::dissect(packet.link_type, packet.data, packet.wire_len));
        }
        if O::WATCHES && matches!(content, Content::Datagram) && keyed.key.is_dhcp() {
            let packet = source.packet(at);
            let facts = wire::dissect(packet.link_type, packet.data, packet.wire_len);
            self.watch.dhcp(&packet, source.number(at), &facts);
        }
        counted
    }

    /// A packet of a common frame was counted.
    #[inline(always)]
    fn do_extra<const EXTRA: u8>(&mut self, at: usize, source: &dyn PacketSource, meta: &PacketMeta, counted: Counted) {
        if EXTRA == ExtraWork::DIRECTIONS {
            self.note_direction(&meta.keyed, counted.place, meta.wire_len);
        } else if EXTRA == ExtraWork::INSPECTION {
            self.note_direction(&meta.keyed, counted.place, meta.wire_len);
            self.inspect_common(at, source, meta, counted.place);
        } else if EXTRA == ExtraWork::ALL {
            self.common_counted(at, source, meta, counted);
        }
    }

    /// Counts what is neither a plain segment nor a datagram.
    #[inline(never)]
    fn count_other<const EXTRA: u8>(
        &mut self,
        at: usize,
        meta: &PacketMeta,
        candidate: Candidate,
        facts: &mut Dissected,
        source: &dyn PacketSource,
        counts: &mut CommonCounts,
    ) {
        let counted = match meta.route {
            Route::Syn { checksum_bad } => {
                counts.note(meta.wire_len, checksum_bad);
                let counted = self.count_common(at, meta, candidate, Content::Syn(&meta.syn()), source);
                self.do_extra::<EXTRA>(at, source, meta, counted);
                return;
            }
            Route::Last { checksum_bad } => {
                counts.note(meta.wire_len, checksum_bad);
                let counted = self.count_common(at, meta, candidate, Content::LastSegment(&meta.segment), source);
                self.do_extra::<EXTRA>(at, source, meta, counted);
                return;
            }
            Route::Unread => return,
            Route::NoFlow(reason) => {
                let packet = source.packet(at);
                self.account(&packet, facts);
                self.ledger.note_no_flow(reason);
                self.watch.other(&packet, facts);
                None
            }
            Route::Flow | Route::Plain { .. } | Route::Datagram { .. } => {
                let (packet, number) = (source.packet(at), source.number(at));
                self.account(&packet, facts);
                self.ledger.in_flows += 1;
                let content = if matches!(facts.transport, Transport::Tcp(_)) { Content::Other } else { Content::Datagram };
                let counted = self.count_full(&packet, number, facts, &meta.keyed, candidate, content);
                if matches!(facts.transport, Transport::Icmp { .. }) {
                    self.icmp_message(&packet, number, facts, Some(counted.place));
                }
                Some(counted)
            }
            Route::OthersError => return self.icmp_message(&source.packet(at), source.number(at), facts, None),
            Route::FirstFragment | Route::Fragment => {
                self.slow_path_count += 1;
                self.number = source.number(at);
                // Tapped there, where it is known whose it is.
                return self.fragment::<EXTRA>(&source.packet(at), facts, (meta, candidate), source.fragment(at));
            }
            Route::OthersFragment => {
                self.number = source.number(at);
                return source.fragment(at).into_iter().for_each(|fragment| self.others_fragment(fragment));
            }
        };
        if EXTRA != ExtraWork::NONE
            && let Some(counted) = counted
        {
            self.note_direction(&meta.keyed, counted.place, meta.wire_len);
            if EXTRA != ExtraWork::DIRECTIONS {
                self.inspect_full(&source.packet(at), || source.number(at), facts, &meta.keyed, counted.place);
            }
        }
        if EXTRA == ExtraWork::ALL {
            self.tap(at, source, counted.map(|counted| (&meta.keyed, counted)));
        }
    }
}

/// Why a packet without a flow has none.
pub(super) fn no_flow_reason(dissected: &Dissected) -> NoFlowReason {
    match dissected.fault.map(|fault| fault.kind) {
        Some(FaultKind::Truncated) => NoFlowReason::Truncated,
        Some(FaultKind::Malformed) => NoFlowReason::Malformed,
        Some(FaultKind::TooDeep) => NoFlowReason::TooDeep,
        Some(FaultKind::Unknown | FaultKind::Encrypted) | None if dissected.layer == Layer::Arp => NoFlowReason::Arp,
        Some(FaultKind::Unknown | FaultKind::Encrypted) | None => NoFlowReason::NonIp,
    }
}
