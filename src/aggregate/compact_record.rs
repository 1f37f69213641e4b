//! A flow record as it is kept until it is shown: less than half its size.
//!
//! Owns the compact form of the usual record. Knows no place and no order. Its invariant: what was kept comes
//! back exactly; a record with a value that the small form cannot hold is kept as it is. Memory that nobody
//! used before has to be cleared page by page, and for a million records that costs more than writing them.

use crate::flow::tcp::{TcpState, TcpStateDetail};
use crate::flow::{
    Direction, EndReason, FactRef, FlowHeaders, FlowKey, FlowRecord, RttRecord, SideRtt, TcpRecord, pack_vlan, unpack_vlan,
};
use netscope_backends::Timestamp;

/// A record, small if it can be.
#[derive(Clone)]
pub(super) enum CompactRecord {
    /// The usual case.
    Usual(UsualRecord),
    /// A record in a tunnel, with fragments, of very many packets or bytes, or odd in another way.
    Whole(Box<FlowRecord>),
}

const _: () = assert!(size_of::<CompactRecord>() <= 176, "less than three cache lines per record");

impl CompactRecord {
    /// A record whose facts were moved to `facts`.
    pub fn new(record: &FlowRecord, facts: FactRef) -> Self {
        UsualRecord::new(record, facts).map_or_else(|| Self::Whole(Box::new(FlowRecord { facts, ..*record })), Self::Usual)
    }

    #[inline]
    pub fn record(&self) -> FlowRecord {
        match self {
            Self::Usual(usual) => usual.record(),
            Self::Whole(record) => **record,
        }
    }

    /// Key, and who began the flow.
    #[inline]
    pub fn name(&self) -> (&FlowKey, Direction) {
        match self {
            Self::Usual(usual) => (&usual.key, usual.initiator),
            Self::Whole(record) => (&record.key, record.initiator),
        }
    }

    /// Key, and bytes of both directions.
    #[inline]
    pub fn weight(&self) -> (&FlowKey, u64) {
        match self {
            Self::Usual(usual) => (&usual.key, u64::from(usual.bytes[0]) + u64::from(usual.bytes[1])),
            Self::Whole(record) => (&record.key, record.bytes[0].saturating_add(record.bytes[1])),
        }
    }

    #[inline]
    pub fn facts(&self) -> FactRef {
        match self {
            Self::Usual(usual) => usual.facts,
            Self::Whole(record) => record.facts,
        }
    }

    /// Its facts are elsewhere from now on; where they were.
    pub fn replace_facts(&mut self, facts: FactRef) -> FactRef {
        let own = match self {
            Self::Usual(usual) => &mut usual.facts,
            Self::Whole(record) => &mut record.facts,
        };
        std::mem::replace(own, facts)
    }

    #[inline]
    pub fn first_packet(&self) -> u64 {
        match self {
            Self::Usual(usual) => usual.first_packet.into(),
            Self::Whole(record) => record.first_packet,
        }
    }
}

/// A number below 2^48, which as nanoseconds is three days, aligned to two bytes.
#[derive(Clone, Copy)]
struct U48([u16; 3]);

impl U48 {
    fn new(value: u64) -> Option<Self> {
        (value >> 48 == 0).then_some(Self([value as u16, (value >> 16) as u16, (value >> 32) as u16]))
    }

    fn get(self) -> u64 {
        u64::from(self.0[0]) | u64::from(self.0[1]) << 16 | u64::from(self.0[2]) << 32
    }
}

/// The fields of a [`FlowRecord`] that has no tunnel, no unusual ICMP code, nothing to do with ICMP errors and no fragments and came on one
/// queue, in fewer bytes.
#[derive(Clone)]
pub(super) struct UsualRecord {
    first_seen: Timestamp,
    key: FlowKey,
    /// From the first to the last packet.
    duration_ns: U48,
    /// From the last packet to the end.
    linger_ns: U48,
    /// As [`pack_vlan`].
    vlan: u32,
    packets: [u32; 2],
    bytes: [u32; 2],
    first_packet: u32,
    initiator: Direction,
    reason: EndReason,
    interface: u8,
    facts: FactRef,
    /// Of TCP: the handshake's round trip, and the last, smallest and averaged one, in ns. Here, because they
    /// would round the size of [`UsualTcp`] up.
    rtts_ns: [u32; 4],
    sides: [UsualSide; 2],
    headers: Option<Box<FlowHeaders>>,
    tcp: Option<UsualTcp>,
}

/// A [`SideRtt`] in fewer bytes; no samples stand for none.
#[derive(Clone, Copy)]
struct UsualSide {
    min_ns: u32,
    ewma_ns: u32,
    max_ns: u32,
    samples: u16,
    delayed_acks: u16,
}

impl UsualSide {
    const NONE: Self = Self { min_ns: 0, ewma_ns: 0, max_ns: 0, samples: 0, delayed_acks: 0 };

    /// The small form, if there is one.
    #[inline]
    fn new(side: Option<SideRtt>) -> Option<Self> {
        let Some(SideRtt { samples, min_ns, ewma_ns, max_ns, delayed_acks }) = side else { return Some(Self::NONE) };
        Some(Self {
            min_ns: u32::try_from(min_ns).ok()?,
            ewma_ns: u32::try_from(ewma_ns).ok()?,
            max_ns: u32::try_from(max_ns).ok()?,
            samples: u16::try_from(samples).ok().filter(|&samples| samples > 0)?,
            delayed_acks: u16::try_from(delayed_acks).ok()?,
        })
    }

    #[inline]
    fn record(self) -> Option<SideRtt> {
        let Self { min_ns, ewma_ns, max_ns, samples, delayed_acks } = self;
        (samples > 0).then(|| SideRtt {
            samples: samples.into(),
            min_ns: min_ns.into(),
            ewma_ns: ewma_ns.into(),
            max_ns: max_ns.into(),
            delayed_acks: delayed_acks.into(),
        })
    }
}

/// The fields of a [`TcpRecord`] in fewer bytes.
#[derive(Clone)]
struct UsualTcp {
    rtt_samples: u16,
    mss: [u16; 2],
    counts: [u8; COUNTS],
    flags: [u8; 2],
    window_scale: [u8; 2],
    state: TcpState,
    detail: TcpStateDetail,
    client: Option<Direction>,
}

const COUNTS: usize = 9;

/// Stands for what was not seen.
const NONE: u32 = u32::MAX;
const NO_SCALE: u8 = u8::MAX;

/// A value that may be missing; `None` when it does not fit.
fn optional(value: Option<u64>) -> Option<u32> {
    match value {
        None => Some(NONE),
        Some(value) => u32::try_from(value).ok().filter(|&value| value != NONE),
    }
}

fn present(value: u32) -> Option<u64> {
    (value != NONE).then_some(u64::from(value))
}

fn both<T, U: TryFrom<T>>([a, b]: [T; 2]) -> Option<[U; 2]> {
    Some([U::try_from(a).ok()?, U::try_from(b).ok()?])
}

impl UsualRecord {
    /// The small form, if the record has one.
    #[inline]
    fn new(record: &FlowRecord, facts: FactRef) -> Option<Self> {
        let is_odd = record.tunnel.is_some()
            || record.icmp_code != 0
            || record.icmp_errors != 0
            || record.quoted.is_some()
            || record.fragments != 0
            || record.queues != 1;
        if is_odd {
            return None;
        }
        let (tcp, rtts_ns, sides) = match &record.tcp {
            None => (None, [NONE; 4], [UsualSide::NONE; 2]),
            Some(tcp) => {
                let [a, b] = tcp.rtt_sides;
                (Some(UsualTcp::new(tcp)?), rtts(tcp)?, [UsualSide::new(a)?, UsualSide::new(b)?])
            }
        };
        Some(Self {
            first_seen: record.first_seen,
            key: record.key,
            duration_ns: U48::new(record.last_seen.0.checked_sub(record.first_seen.0)?)?,
            linger_ns: U48::new(record.ended.0.checked_sub(record.last_seen.0)?)?,
            vlan: pack_vlan(record.vlan)?,
            packets: both(record.packets)?,
            bytes: both(record.bytes)?,
            first_packet: u32::try_from(record.first_packet).ok()?,
            initiator: record.initiator,
            reason: record.reason,
            interface: record.interface,
            facts,
            rtts_ns,
            sides,
            headers: record.headers.map(Box::new),
            tcp,
        })
    }

    #[inline]
    fn record(&self) -> FlowRecord {
        let last_seen = self.first_seen.0 + self.duration_ns.get();
        FlowRecord {
            key: self.key,
            first_seen: self.first_seen,
            last_seen: Timestamp(last_seen),
            packets: self.packets.map(u64::from),
            bytes: self.bytes.map(u64::from),
            fragments: 0,
            initiator: self.initiator,
            first_packet: self.first_packet.into(),
            vlan: unpack_vlan(self.vlan),
            tunnel: None,
            icmp_code: 0,
            icmp_errors: 0,
            quoted: None,
            tcp: self.tcp.as_ref().map(|tcp| tcp.record(self.rtts_ns, &self.sides)),
            headers: self.headers.as_deref().copied(),
            ended: Timestamp(last_seen + self.linger_ns.get()),
            reason: self.reason,
            queues: 1,
            interface: self.interface,
            facts: self.facts,
        }
    }
}

/// The handshake's round trip, and the last, smallest and averaged one; `None` when one does not fit.
#[inline]
fn rtts(tcp: &TcpRecord) -> Option<[u32; 4]> {
    let rtt = tcp.rtt.as_ref();
    Some([
        optional(tcp.handshake_rtt_ns)?,
        optional(rtt.map(|rtt| rtt.last_ns))?,
        optional(rtt.map(|rtt| rtt.min_ns))?,
        optional(rtt.map(|rtt| rtt.ewma_ns))?,
    ])
}

impl UsualTcp {
    #[inline]
    fn new(tcp: &TcpRecord) -> Option<Self> {
        let counts = [
            tcp.retransmissions,
            tcp.fast_retransmissions,
            tcp.spurious_retransmissions,
            tcp.out_of_order,
            tcp.lost_segments,
            tcp.ack_lost_segments,
            tcp.duplicate_acks,
            tcp.keep_alives,
            tcp.zero_windows,
        ];
        let rtt = tcp.rtt.as_ref();
        let is_odd = tcp.window_scale.contains(&Some(NO_SCALE)) || tcp.zero_window_ns != [None; 2];
        if is_odd || counts.iter().any(|&count| count > u8::MAX.into()) {
            return None;
        }
        Some(Self {
            rtt_samples: u16::try_from(rtt.map_or(0, |rtt| rtt.samples)).ok()?,
            mss: tcp.mss,
            counts: counts.map(|count| count as u8),
            flags: tcp.flags,
            window_scale: tcp.window_scale.map(|scale| scale.unwrap_or(NO_SCALE)),
            state: tcp.state,
            detail: tcp.detail,
            client: tcp.client,
        })
    }

    #[inline]
    fn record(&self, [handshake, last, min, ewma]: [u32; 4], sides: &[UsualSide; 2]) -> TcpRecord {
        let counts = self.counts.map(u32::from);
        let rtt = |last_ns| RttRecord { last_ns, min_ns: min.into(), ewma_ns: ewma.into(), samples: self.rtt_samples.into() };
        TcpRecord {
            state: self.state,
            detail: self.detail,
            client: self.client,
            flags: self.flags,
            retransmissions: counts[0],
            fast_retransmissions: counts[1],
            spurious_retransmissions: counts[2],
            out_of_order: counts[3],
            lost_segments: counts[4],
            ack_lost_segments: counts[5],
            duplicate_acks: counts[6],
            keep_alives: counts[7],
            zero_windows: counts[8],
            mss: self.mss,
            window_scale: self.window_scale.map(|scale| (scale != NO_SCALE).then_some(scale)),
            handshake_rtt_ns: present(handshake),
            rtt: present(last).map(rtt),
            rtt_sides: sides.map(UsualSide::record),
            zero_window_ns: [None; 2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::QuotedFlow;
    use crate::record::test_records::{icmp_record, tcp_record, udp6_record};
    use crate::wire::{Tunnel, TunnelKind};
    use proptest::prelude::*;

    /// Numbers around what fits into `bits`, and all others.
    fn number(bits: u32) -> impl Strategy<Value = u64> {
        let limit = 1u64 << bits;
        prop_oneof![4 => 0..200u64, 2 => limit - 3..limit + 3, 1 => any::<u64>()]
    }

    fn count() -> impl Strategy<Value = u32> {
        prop_oneof![8 => 0..9u32, 1 => 253..259u32, 1 => any::<u32>()]
    }

    fn tcp() -> impl Strategy<Value = Option<TcpRecord>> {
        let rtt = (number(32), number(32), number(32), prop_oneof![0..9u32, 65_533..65_539u32])
            .prop_map(|(last_ns, min_ns, ewma_ns, samples)| RttRecord { last_ns, min_ns, ewma_ns, samples });
        let scale = || prop::option::of(prop_oneof![4 => 0..15u8, 1 => any::<u8>()]);
        let counts = prop::collection::vec(count(), COUNTS);
        let side = || {
            let few = || prop_oneof![1..9u32, 65_533..65_539u32];
            (number(32), number(32), number(32), few(), few()).prop_map(|(min_ns, ewma_ns, max_ns, samples, delayed_acks)| {
                SideRtt { samples, min_ns, ewma_ns, max_ns, delayed_acks }
            })
        };
        let sides = (prop::option::of(side()), prop::option::of(side()), prop::option::weighted(0.2, any::<u64>()));
        let scales = (scale(), scale());
        let tcp = (counts, prop::option::of(rtt), prop::option::of(number(32)), scales, sides, any::<[u16; 2]>(), 0..3u8)
            .prop_map(|(counts, rtt, handshake_rtt_ns, (first, second), (a, b, closed), mss, client)| TcpRecord {
                client: [None, Some(Direction::AToB), Some(Direction::BToA)][usize::from(client)],
                flags: [counts[0] as u8, counts[1] as u8],
                retransmissions: counts[0],
                fast_retransmissions: counts[1],
                spurious_retransmissions: counts[2],
                out_of_order: counts[3],
                lost_segments: counts[4],
                ack_lost_segments: counts[5],
                duplicate_acks: counts[6],
                keep_alives: counts[7],
                zero_windows: counts[8],
                mss,
                window_scale: [first, second],
                handshake_rtt_ns,
                rtt,
                rtt_sides: [a, b],
                zero_window_ns: [None, closed],
                ..tcp_record().tcp.expect("a TCP record")
            });
        prop::option::of(tcp)
    }

    proptest! {
        #[test]
        fn what_was_kept_comes_back(
            times in [number(48), number(48), number(48)],
            packets in [number(32), number(32)],
            bytes in [number(32), number(32)],
            first_packet in number(32),
            fragments in prop_oneof![4 => Just(0u32), 1 => any::<u32>()],
            tunnel in prop::option::weighted(0.2, any::<u32>()),
            queues in prop_oneof![4 => Just(1u16), 1 => any::<u16>()],
            icmp_code in prop_oneof![4 => Just(0u8), 1 => any::<u8>()],
            interface in any::<u8>(),
            icmp_errors in prop_oneof![4 => Just(0u32), 1 => any::<u32>()],
            is_quoting in prop::bool::weighted(0.1),
            facts in 0..3usize,
            tcp in tcp(),
        ) {
            let record = FlowRecord {
                first_seen: Timestamp(times[0]),
                // Mostly in order, and sometimes not.
                last_seen: Timestamp(times[0].wrapping_add(times[1])),
                ended: Timestamp(times[0].wrapping_add(times[1]).wrapping_add(times[2])),
                packets,
                bytes,
                first_packet,
                fragments,
                queues,
                interface,
                icmp_code,
                icmp_errors,
                quoted: is_quoting.then(|| QuotedFlow { key: tcp_record().key, initiator: Direction::BToA }),
                facts: FactRef::to_index(facts).unwrap(),
                tunnel: tunnel.map(|id| Tunnel { kind: TunnelKind::Vxlan, id }),
                tcp,
                ..icmp_record()
            };
            let kept = CompactRecord::new(&record, record.facts);
            prop_assert_eq!(kept.record(), record);
            prop_assert_eq!(kept.name(), (&record.key, record.initiator));
            prop_assert_eq!(kept.weight(), (&record.key, record.bytes[0].saturating_add(record.bytes[1])));
            prop_assert_eq!(kept.first_packet(), record.first_packet);
            prop_assert_eq!(kept.facts(), record.facts);
        }
    }

    #[test]
    fn usual_records_are_small() {
        let usual = TcpRecord { zero_window_ns: [None; 2], ..tcp_record().tcp.expect("a TCP record") };
        let tcp = FlowRecord { tunnel: None, fragments: 0, icmp_errors: 0, tcp: Some(usual), ..tcp_record() };
        for record in [tcp, udp6_record(), icmp_record()] {
            assert!(matches!(CompactRecord::new(&record, record.facts), CompactRecord::Usual(_)));
        }
        assert!(matches!(CompactRecord::new(&tcp_record(), FactRef::NONE), CompactRecord::Whole(_)));
    }
}
