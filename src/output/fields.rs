//! The one list of a flow record's exported fields, in order. JSON, CSV and the ended-flow streams are all made from it.
//!
//! Owns names, order and units. Knows no syntax: a [`FieldSink`] does. Invariant: fields are only ever appended, and every format
//! shows the same fields in the same order.

use super::bytes::Word;
use crate::flow::tcp::{TcpState, TcpStateDetail};
use crate::flow::{CommunityId, Direction, EndReason, FlowKey, FlowRecord, TcpRecord, community_id};
use crate::wire::TunnelKind;
use std::net::IpAddr;

/// How records are exported, whatever the format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordSettings {
    /// Seed of the Community ID; 0 is what other tools use unless told otherwise.
    pub community_id_seed: u16,
    /// Threads that make records into text when the table is written; 0 and 1 mean the one that writes it.
    pub threads: usize,
}

/// A format's way to write one field of a record. Called once per field, in the order of the columns.
pub trait FieldSink {
    /// A word of ours: letters, digits and `_-` alone, so that no format needs to quote it; `None` is null.
    fn word(&mut self, name: &'static str, value: Option<&Word>);
    /// A code of as many characters as every other in this field: letters, digits and `+/=:` alone; `None` is null.
    fn code<const N: usize>(&mut self, name: &'static str, value: Option<&[u8; N]>);
    /// A whole number; `None` is null.
    fn number(&mut self, name: &'static str, value: Option<u64>);
    /// Seconds, given in ns: a time since 1970 or a duration.
    fn seconds(&mut self, name: &'static str, ns: u64);
    /// Milliseconds, given in ns; `None` is null.
    fn milliseconds(&mut self, name: &'static str, ns: Option<u64>);
    /// A rate in thousandths.
    fn thousandths(&mut self, name: &'static str, value: u128);
    /// Address and port of an endpoint.
    fn endpoint(&mut self, name: &'static str, ip: IpAddr, port: u16);
    /// Several small numbers.
    fn list(&mut self, name: &'static str, values: &[u16]);
    /// All fields of a run at once, each with its usual value. `false` from a sink that wants them one by one.
    fn usual(&mut self, _run: Run) -> bool {
        false
    }
}

/// Fields next to each other that nearly always have the same values, which a sink may write as one constant text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// From `tcp_state` to `window_scale_b_to_a`: not TCP.
    NotTcp,
    /// From `fast_retransmissions` to `zero_windows`: all 0.
    Losses,
    /// From `vlan` to `icmp_id`: no tag, no tunnel, no fragment, no echo.
    Encapsulation,
}

/// A record and what is calculated for its export.
#[derive(Clone, Copy, Debug)]
pub struct Exported<'a> {
    record: &'a FlowRecord,
    community_id: Option<CommunityId>,
}

impl<'a> Exported<'a> {
    /// Makes a record ready for export.
    pub fn new(record: &'a FlowRecord, settings: RecordSettings) -> Self {
        Self::with_id(record, community_id(&record.key, record.initiator, settings.community_id_seed))
    }

    /// A record and its Community ID.
    #[inline(always)]
    pub(super) fn with_id(record: &'a FlowRecord, community_id: Option<CommunityId>) -> Self {
        Self { record, community_id }
    }
}

/// Gives the fields of an ended flow to `sink`: its end, then [`record_fields`].
#[inline(always)]
pub fn ended_fields(exported: &Exported<'_>, sink: &mut impl FieldSink) {
    let record = exported.record;
    sink.seconds("ts", record.ended.0);
    sink.word("reason", Some(reason_word(record.reason)));
    record_fields(exported, sink);
}

/// Gives all fields of a record to `sink`, in order. Inlined, so that a sink lies in registers (`output::bytes`).
#[inline(always)]
pub fn record_fields(exported: &Exported<'_>, sink: &mut impl FieldSink) {
    let record = exported.record;
    shared_fields(record, sink);
    tcp_fields(record.tcp.as_ref(), sink);
    encapsulation_fields(record, sink);
    sink.code("community_id", exported.community_id.as_ref().map(CommunityId::as_bytes));
    sink.number("ip_version", Some(record.key.version() as u64));
    sink.word("initiator", Some(direction_word(record.initiator)));
    sink.number("first_packet", Some(record.first_packet));
    sink.word("end_reason", Some(reason_word(record.reason)));
    sink.number("queues", Some(u64::from(record.queues)));
}

/// The fields that other programs know: names, order and meaning are fixed.
#[inline(always)]
fn shared_fields(record: &FlowRecord, sink: &mut impl FieldSink) {
    let key = &record.key;
    let (a_port, b_port) = ports(key);
    sink.word("protocol", Some(protocol_word(key.protocol())));
    sink.endpoint("endpoint_a", key.a_ip(), a_port);
    sink.endpoint("endpoint_b", key.b_ip(), b_port);
    sink.seconds("first_seen", record.first_seen.0);
    sink.seconds("last_seen", record.last_seen.0);
    sink.seconds("duration_secs", duration_ns(record));
    let [packets_ab, packets_ba] = record.packets;
    let [bytes_ab, bytes_ba] = record.bytes;
    sink.number("packets_a_to_b", Some(packets_ab));
    sink.number("packets_b_to_a", Some(packets_ba));
    sink.number("bytes_a_to_b", Some(bytes_ab));
    sink.number("bytes_b_to_a", Some(bytes_ba));
    sink.number("packets_total", Some(packets_ab.saturating_add(packets_ba)));
    sink.number("bytes_total", Some(bytes_total(record)));
    sink.thousandths("avg_bps", bits_per_second_thousandths(bytes_total(record), duration_ns(record)));
}

/// TCP's part of a record.
#[inline(always)]
fn tcp_fields(tcp: Option<&TcpRecord>, sink: &mut impl FieldSink) {
    if tcp.is_none() && sink.usual(Run::NotTcp) {
        return;
    }
    shared_tcp_fields(tcp, sink);
    own_tcp_fields(tcp, sink);
}

/// What other programs know of a TCP connection: names, order and meaning are fixed, too.
#[inline(always)]
fn shared_tcp_fields(tcp: Option<&TcpRecord>, sink: &mut impl FieldSink) {
    let rtt = tcp.and_then(|tcp| tcp.rtt.as_ref());
    sink.word("tcp_state", tcp.map(|tcp| state_word(tcp.state)));
    sink.word("client", tcp.and_then(|tcp| tcp.client).map(direction_word));
    sink.number("retransmissions", Some(tcp.map_or(0, |tcp| tcp.retransmissions.into())));
    sink.number("out_of_order", Some(tcp.map_or(0, |tcp| tcp.out_of_order.into())));
    sink.milliseconds("rtt_last_ms", rtt.map(|rtt| rtt.last_ns));
    sink.milliseconds("rtt_min_ms", rtt.map(|rtt| rtt.min_ns));
    sink.milliseconds("rtt_ewma_ms", rtt.map(|rtt| rtt.ewma_ns));
    sink.number("rtt_samples", Some(rtt.map_or(0, |rtt| rtt.samples.into())));
}

/// What we know of a TCP connection beyond that.
#[inline(always)]
fn own_tcp_fields(tcp: Option<&TcpRecord>, sink: &mut impl FieldSink) {
    sink.milliseconds("handshake_rtt_ms", tcp.and_then(|tcp| tcp.handshake_rtt_ns));
    sink.word("tcp_state_detail", tcp.map(|tcp| detail_word(tcp.detail)));
    loss_fields(tcp, sink);
    let flags = |direction: Direction| tcp.map(|tcp| flags_word(tcp.flags[direction.index()]));
    sink.word("tcp_flags_a_to_b", flags(Direction::AToB));
    sink.word("tcp_flags_b_to_a", flags(Direction::BToA));
    let mss = |direction: Direction| tcp.map(|tcp| u64::from(tcp.mss[direction.index()])).filter(|&mss| mss > 0);
    sink.number("mss_a_to_b", mss(Direction::AToB));
    sink.number("mss_b_to_a", mss(Direction::BToA));
    let scale = |direction: Direction| tcp.and_then(|tcp| tcp.window_scale[direction.index()]).map(u64::from);
    sink.number("window_scale_a_to_b", scale(Direction::AToB));
    sink.number("window_scale_b_to_a", scale(Direction::BToA));
}

/// What went wrong on a TCP connection besides the retransmissions that other programs know.
#[inline(always)]
fn loss_fields(tcp: Option<&TcpRecord>, sink: &mut impl FieldSink) {
    let counts = tcp.map_or([0; 7], |tcp| {
        [
            tcp.fast_retransmissions,
            tcp.spurious_retransmissions,
            tcp.lost_segments,
            tcp.ack_lost_segments,
            tcp.duplicate_acks,
            tcp.keep_alives,
            tcp.zero_windows,
        ]
    });
    if counts == [0; 7] && sink.usual(Run::Losses) {
        return;
    }
    let [fast, spurious, lost, ack_lost, duplicate_acks, keep_alives, zero_windows] = counts.map(|count| Some(u64::from(count)));
    sink.number("fast_retransmissions", fast);
    sink.number("spurious_retransmissions", spurious);
    sink.number("lost_segments", lost);
    sink.number("ack_lost_segments", ack_lost);
    sink.number("duplicate_acks", duplicate_acks);
    sink.number("keep_alives", keep_alives);
    sink.number("zero_windows", zero_windows);
}

/// What the packets were wrapped in or cut into, and the echo's identifier.
#[inline(always)]
fn encapsulation_fields(record: &FlowRecord, sink: &mut impl FieldSink) {
    let icmp_id = icmp_id(&record.key);
    let plain = record.vlan.count == 0 && record.tunnel.is_none() && record.fragments == 0 && icmp_id.is_none();
    if plain && sink.usual(Run::Encapsulation) {
        return;
    }
    let vlan_count = usize::from(record.vlan.count).min(record.vlan.ids.len());
    sink.list("vlan", record.vlan.ids.get(..vlan_count).unwrap_or_default());
    sink.word("tunnel", record.tunnel.map(|tunnel| tunnel_word(tunnel.kind)));
    sink.number("tunnel_id", record.tunnel.map(|tunnel| u64::from(tunnel.id)));
    sink.number("fragments", Some(u64::from(record.fragments)));
    sink.number("icmp_id", icmp_id.map(u64::from));
}

/// Bytes of both directions.
pub fn bytes_total(record: &FlowRecord) -> u64 {
    record.bytes[0].saturating_add(record.bytes[1])
}

/// From the first to the last packet, in ns.
pub fn duration_ns(record: &FlowRecord) -> u64 {
    record.last_seen.since(record.first_seen)
}

/// Thousandths of bits per second, rounded down; 0 when the duration is 0.
pub fn bits_per_second_thousandths(bytes: u64, duration_ns: u64) -> u128 {
    const FACTOR: u64 = 8 * 1_000_000_000_000;
    // 64 bits are enough up to some megabytes, and their division is an order of magnitude faster.
    if let Some(product) = bytes.checked_mul(FACTOR) {
        return u128::from(product.checked_div(duration_ns).unwrap_or(0));
    }
    // 2^64 bytes times 8 bits, 10^9 ns and 10^3 thousandths stay below 2^128.
    (u128::from(bytes) * u128::from(FACTOR)).checked_div(u128::from(duration_ns)).unwrap_or(0)
}

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Identifier of an ICMP echo flow. The key of any other ICMP flow has 0 there, so an identifier of 0 reads as none.
pub fn icmp_id(key: &FlowKey) -> Option<u16> {
    (matches!(key.protocol(), ICMP | ICMPV6) && key.a_port() != 0).then_some(key.a_port())
}

/// Ports as shown: 0 for ICMP, where the key holds an identifier.
pub fn ports(key: &FlowKey) -> (u16, u16) {
    if matches!(key.protocol(), ICMP | ICMPV6) { (0, 0) } else { (key.a_port(), key.b_port()) }
}

/// A function from each variant of an enum to the word that is its name.
macro_rules! words {
    ($($function:ident: $enum:ident { $($variant:ident),* $(,)? })*) => {
        $(
            #[inline(always)]
            fn $function(value: $enum) -> &'static Word {
                match value {
                    $($enum::$variant => const { &Word::new($enum::$variant.name()) },)*
                }
            }
        )*
    };
}

words! {
    direction_word: Direction { AToB, BToA }
    reason_word: EndReason { Timeout, Eviction, Closed, ActiveTimeout, Exit }
    state_word: TcpState { Unknown, SynSent, SynAck, Established, FinWait, Closed, Reset }
    detail_word: TcpStateDetail {
        Unknown, SynSent, SynReceived, Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait, Closed
    }
    tunnel_word: TunnelKind { IpInIp, Gre, Erspan, Vxlan, Geneve, GtpU, Teredo, L2tp }
}

/// Names of the IANA protocol numbers: "tcp", "udp", ..., "ip-proto-N" for those without a name here.
static PROTOCOLS: [Word; 256] = {
    let mut words = [Word::EMPTY; 256];
    let mut protocol = 0;
    while protocol < 256 {
        let digits = [b'0' + (protocol / 100) as u8, b'0' + (protocol / 10 % 10) as u8, b'0' + (protocol % 10) as u8];
        let number = digits
            .split_at(if protocol < 10 {
                2
            } else if protocol < 100 {
                1
            } else {
                0
            })
            .1;
        words[protocol] = match protocol as u8 {
            ICMP => Word::new("icmp"),
            2 => Word::new("igmp"),
            4 => Word::new("ipip"),
            6 => Word::new("tcp"),
            17 => Word::new("udp"),
            33 => Word::new("dccp"),
            41 => Word::new("ipv6"),
            47 => Word::new("gre"),
            50 => Word::new("esp"),
            51 => Word::new("ah"),
            ICMPV6 => Word::new("icmpv6"),
            88 => Word::new("eigrp"),
            89 => Word::new("ospf"),
            103 => Word::new("pim"),
            112 => Word::new("vrrp"),
            132 => Word::new("sctp"),
            136 => Word::new("udplite"),
            _ => Word::new("ip-proto-").and(number),
        };
        protocol += 1;
    }
    words
};

#[inline(always)]
fn protocol_word(protocol: u8) -> &'static Word {
    &PROTOCOLS[usize::from(protocol)]
}

/// Name of an IANA protocol number: "tcp", "udp", ..., "ip-proto-N" for those without a name here.
pub fn protocol_name(protocol: u8) -> &'static str {
    protocol_word(protocol).as_str()
}

/// Letters of the TCP control bits in the order of the header: CWR, ECE, URG, ACK, PSH, RST, SYN, FIN. Every combination.
static FLAGS: [Word; 256] = {
    let mut words = [Word::EMPTY; 256];
    let mut flags = 0;
    while flags < 256 {
        let mut bit = 8;
        while bit > 0 {
            bit -= 1;
            if flags >> bit & 1 == 1 {
                words[flags] = words[flags].and(&[b"FSRPAUEC"[bit]]);
            }
        }
        flags += 1;
    }
    words
};

#[inline(always)]
fn flags_word(flags: u8) -> &'static Word {
    &FLAGS[usize::from(flags)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rate_needs_a_duration() {
        assert_eq!(bits_per_second_thousandths(1000, 0), 0);
        assert_eq!(bits_per_second_thousandths(125, 1_000_000_000), 1_000_000);
        assert_eq!(bits_per_second_thousandths(u64::MAX, 1), u128::from(u64::MAX) * 8_000_000_000_000);
    }

    #[test]
    fn flags_stand_in_header_order() {
        assert_eq!(flags_word(0xff).as_str(), "CEUAPRSF");
        assert_eq!(flags_word(0x12).as_str(), "AS");
        assert_eq!(flags_word(0).as_str(), "");
    }

    #[test]
    fn every_protocol_has_a_name() {
        assert_eq!(protocol_name(6), "tcp");
        for number in [0, 9, 10, 99, 100, 253] {
            assert_eq!(protocol_name(number), format!("ip-proto-{number}"));
        }
        let names: std::collections::HashSet<&str> = (0..=255).map(protocol_name).collect();
        assert_eq!(names.len(), 256);
    }

    proptest! {
        #[test]
        fn flags_have_one_letter_per_bit(flags: u8) {
            prop_assert_eq!(flags_word(flags).as_str().len(), flags.count_ones() as usize);
        }
    }
}
