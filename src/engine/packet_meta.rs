//! A packet's metadata: what the first pass over a wave finds out about it and the second one goes by.
//!
//! Owns the way from a common frame into a meta. Knows no table and no clock, nor whose packet it is. Its
//! invariant: a meta says what dissecting the packet in full would say; what does not fit is left to the
//! worker that counts the packet.

use super::NoFlowReason;
use super::worker::PacketSource;
use crate::flow::{Direction, KeyScope, Keyed, Keying, PacketFacts, number_of_tag};
use crate::wire::{Announced, Common, PlainSegment, Ports, SynSegment, TcpFlags, TcpOptions, TcpSegment, Tunnel, VlanTags};
use crate::wire::{common_tcp_options, common_vlan};
use netscope_backends::{Packet, Timestamp};

/// One packet between the two passes, written field by field into the place where it stays. It may be counted
/// on another core than the one that filled it, so it is kept small: less than one and a half cache lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct PacketMeta {
    /// Set where the packet has a flow.
    pub(super) keyed: Keyed,
    /// When it was captured.
    pub(super) time: Timestamp,
    /// Bytes on the wire, link header included.
    pub(super) wire_len: u32,
    /// Its place among the packets of a unit.
    pub(super) index: u16,
    pub(super) route: Route,
    /// Set for plain segments; of a SYN, what it has in common with one; of a fragment, see [`PacketMeta::datagram`].
    pub(super) segment: PlainSegment,
    /// Set for SYN segments.
    announced: Announced,
}

const _: () = assert!(size_of::<PacketMeta>() == 88);

/// Where a packet goes; the most common first, which makes it quickly known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To a flow; a plain segment of a common frame, for which no facts were written.
    Plain { checksum_bad: bool },
    /// The same for a datagram.
    Datagram { checksum_bad: bool },
    /// The same for the last segment of a direction.
    Last { checksum_bad: bool },
    /// The same for a SYN or SYN-ACK.
    Syn { checksum_bad: bool },
    /// To a flow; its facts are needed.
    Flow,
    /// A first fragment of an IP packet, with its ports: its datagram is looked up in order, in the last wave.
    FirstFragment,
    /// The same for any other fragment; its datagram knows its flow, if anyone does.
    Fragment,
    /// An ICMP error of a flow that another worker has, which quotes one of ours: only that is noted.
    OthersError,
    /// A fragment that another worker counts: only the leading one notes it.
    OthersFragment,
    /// To no flow.
    NoFlow(NoFlowReason),
    /// Nothing is known yet: to be dissected by the worker that counts it.
    Unread,
}

impl PacketMeta {
    pub(super) const EMPTY: Self = Self {
        keyed: Keyed::NONE,
        time: Timestamp(0),
        wire_len: 0,
        index: 0,
        route: Route::Unread,
        segment: PlainSegment::NONE,
        announced: Announced { mss: None, window_scale: None },
    };

    /// Of a packet that is left to the worker that counts it.
    pub(super) fn unread(index: u16, packet: &Packet<'_>) -> Self {
        let mut meta = Self { index, ..Self::EMPTY };
        meta.begin(packet);
        meta
    }

    /// What is known of every packet, whatever lies in it.
    #[inline(always)]
    pub(super) const fn begin(&mut self, packet: &Packet<'_>) {
        (self.time, self.wire_len) = (packet.time, packet.wire_len);
    }

    /// The flow of a common frame; [`PacketMeta::read_route`] follows. `TAGGED`: it may have a VLAN tag.
    #[inline(always)]
    pub(super) fn read_flow<const TAGGED: bool>(&mut self, common: &Common<'_>, keying: &Keying) {
        let Keyed { key, hash, direction } = &mut self.keyed;
        (*direction, *hash) = key.set_common(common.network(), common.ports(), &keying.secret);
        if TAGGED && common.vlan().count != 0 && keying.scope != KeyScope::Tuple {
            *key = key.in_domain(number_of_tag(keying.scope, common.vlan()));
            *hash = key.hash(&keying.secret);
        }
    }

    /// Where it goes; false when its facts are needed, too.
    #[inline(always)]
    pub(super) fn read_route(&mut self, common: &Common<'_>) -> bool {
        let checksum_bad = common.network().is_checksum_bad();
        if let Some(segment) = common.plain_segment() {
            self.segment = segment;
            self.route = Route::Plain { checksum_bad };
            return true;
        }
        if common.is_datagram() {
            self.route = Route::Datagram { checksum_bad };
            return true;
        }
        if let Some(SynSegment { sequence, acknowledgment, window, flags, announced }) = common.syn_segment() {
            self.segment = PlainSegment { sequence, acknowledgment, payload_len: 0, window, flags };
            self.announced = announced;
            self.route = Route::Syn { checksum_bad };
            return true;
        }
        if let Some(segment) = common.last_segment() {
            self.segment = segment;
            self.route = Route::Last { checksum_bad };
            return true;
        }
        self.route = Route::Flow;
        false
    }

    /// True when its packet is needed before it can be counted.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.route, Route::Flow | Route::Unread)
    }

    /// The segment of a SYN.
    #[inline(always)]
    pub(super) const fn syn(&self) -> SynSegment {
        let PlainSegment { sequence, acknowledgment, window, flags, .. } = self.segment;
        SynSegment { sequence, acknowledgment, window, flags, announced: self.announced }
    }

    /// Of a segment of a common frame, control bits, window and payload bytes; `None` for a datagram.
    #[inline(always)]
    pub(super) const fn tcp_headers(&self) -> Option<(TcpFlags, u16, u32)> {
        match self.route {
            Route::Datagram { .. } => None,
            _ => Some((self.segment.flags, self.segment.window, self.segment.payload_len)),
        }
    }

    /// Of a fragment, the hash of its datagram.
    #[inline(always)]
    pub(super) const fn datagram(&self) -> u64 {
        (self.segment.sequence as u64) << 32 | self.segment.acknowledgment as u64
    }

    /// What [`PacketMeta::datagram`] will be. A fragment has no segment that would be looked at, so it stands in that place.
    #[inline(always)]
    pub(super) const fn set_datagram(&mut self, hash: u64) {
        (self.segment.sequence, self.segment.acknowledgment) = ((hash >> 32) as u32, hash as u32);
    }
}

/// What a common frame says beyond its metadata, read again from the frame where the slow path asks for it.
#[derive(Clone, Copy)]
pub(super) struct CommonFacts<'a> {
    pub(super) source: &'a dyn PacketSource,
    /// Its place in the wave.
    pub(super) at: usize,
    pub(super) meta: &'a PacketMeta,
}

impl CommonFacts<'_> {
    fn options(&self) -> TcpOptions {
        common_tcp_options(self.source.packet(self.at).data, self.meta.keyed.key.version())
    }
}

impl PacketFacts for CommonFacts<'_> {
    fn number(&self) -> u64 {
        self.source.number(self.at)
    }

    fn segment(&self) -> Option<TcpSegment> {
        let PlainSegment { sequence, acknowledgment, payload_len, window, .. } = self.meta.segment;
        self.flags().map(|flags| TcpSegment {
            ports: self.ports(),
            sequence,
            acknowledgment,
            flags,
            window,
            payload_len,
            options: self.options(),
        })
    }

    fn flags(&self) -> Option<TcpFlags> {
        let is_segment = matches!(self.meta.route, Route::Plain { .. } | Route::Last { .. } | Route::Syn { .. });
        is_segment.then_some(self.meta.segment.flags)
    }

    fn vlan(&self) -> VlanTags {
        common_vlan(self.source.packet(self.at).data)
    }

    fn tunnel(&self) -> Option<Tunnel> {
        None
    }

    fn is_echo_reply(&self) -> bool {
        false
    }

    fn icmp_code(&self) -> u8 {
        0
    }
}

impl CommonFacts<'_> {
    fn ports(&self) -> Ports {
        let Keyed { key, direction, .. } = &self.meta.keyed;
        let (a, b) = (key.a_port(), key.b_port());
        match direction {
            Direction::AToB => Ports { source: a, destination: b },
            Direction::BToA => Ports { source: b, destination: a },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::worker::Consecutive;
    use crate::flow::{DomainNumbers, FlowKey, FullFacts, HashSecret, ports_of};
    use crate::wire::tests::fast::frame;
    use crate::wire::{self, Transport};
    use netscope_backends::LinkType;
    use proptest::prelude::*;

    proptest! {
        /// A meta that was used before holds what dissecting in full finds.
        #[test]
        fn metadata_say_what_dissecting_in_full_does((data, _) in frame(), (before, _) in frame(), scope in 0..3usize) {
            let scope = [KeyScope::Tuple, KeyScope::Vlan, KeyScope::VlanTunnel][scope];
            let (keying, mut numbers) = (Keying { scope, secret: HashSecret::FIXED }, DomainNumbers::new(scope));
            let mut meta = PacketMeta::EMPTY;
            for data in [&before, &data] {
                if let Some(common) = wire::common(LinkType::ETHERNET, data, data.len() as u32) {
                    meta.read_flow::<true>(&common, &keying);
                    let needs_facts = !meta.read_route(&common);
                    let facts = wire::dissect(LinkType::ETHERNET, data, data.len() as u32);
                    let (Some(network), Some(ports)) = (&facts.network, ports_of(&facts)) else { panic!("a flow: {facts:?}") };
                    let (key, direction) = FlowKey::new(network, ports);
                    let key = key.in_domain(numbers.of(&facts));
                    prop_assert_eq!(meta.keyed, Keyed { key, hash: key.hash(&HashSecret::FIXED), direction });
                    let tcp = match &facts.transport {
                        Transport::Tcp(tcp) => Some(tcp),
                        _ => None,
                    };
                    let segment = Some(meta.segment);
                    let checksum_bad = match meta.route {
                        Route::Plain { checksum_bad } => {
                            prop_assert_eq!(segment, tcp.and_then(PlainSegment::of));
                            checksum_bad
                        }
                        Route::Last { checksum_bad } => {
                            prop_assert_eq!(segment, tcp.and_then(PlainSegment::last_of));
                            checksum_bad
                        }
                        Route::Syn { checksum_bad } => {
                            prop_assert_eq!(Some(meta.syn()), tcp.and_then(SynSegment::of));
                            checksum_bad
                        }
                        Route::Datagram { checksum_bad } => {
                            prop_assert!(matches!(facts.transport, Transport::Udp(_)), "{:?}", facts);
                            checksum_bad
                        }
                        Route::Flow => facts.ipv4_checksum_bad,
                        other => panic!("a common frame has a flow: {other:?}"),
                    };
                    prop_assert_eq!(needs_facts, meta.route == Route::Flow);
                    if !needs_facts {
                        let packet = [Packet { data, time: Timestamp(1), wire_len: data.len() as u32, link_type: LinkType::ETHERNET }];
                        let source = Consecutive { packets: &packet, first: 7 };
                        let again = CommonFacts { source: &source, at: 0, meta: &meta };
                        let full = FullFacts { number: 7, dissected: &facts };
                        prop_assert_eq!((again.segment(), again.vlan(), again.number()), (full.segment(), full.vlan(), 7));
                    }
                    prop_assert_eq!(checksum_bad, facts.ipv4_checksum_bad);
                }
            }
        }
    }
}
