//! The one list of a flow record's exported fields, in order. JSON, CSV and the ended-flow streams are all made from it.
//!
//! Owns names, order and units. Knows no syntax: a [`FieldSink`] does. Invariant: fields are only ever appended, and every format
//! shows the same fields in the same order.

use crate::flow::{CommunityId, Direction, FlowKey, FlowRecord, community_id, community_ids};
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
    /// Any text, whatever is in it; `None` is null.
    fn text(&mut self, name: &'static str, value: Option<&str>);
    /// A word of ours: letters, digits and `_-+/=:` alone, so that no format needs to quote it; `None` is null.
    fn word(&mut self, name: &'static str, value: Option<&[u8]>);
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
        Self { record, community_id: community_id(&record.key, record.initiator, settings.community_id_seed) }
    }
}

/// Records that are made ready side by side.
const GROUP: usize = 8;

/// Makes many records ready, which costs less than one after the other, and gives them to `visit` in the same order.
///
/// # Errors
/// The first one of `visit`, which is not called again then.
pub fn export_all<E>(
    records: impl IntoIterator<Item = FlowRecord>,
    settings: RecordSettings,
    mut visit: impl FnMut(&Exported<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut records = records.into_iter();
    while let Some(first) = records.next() {
        let (mut group, mut len) = ([first; GROUP], 1);
        for (place, record) in group.iter_mut().skip(1).zip(records.by_ref()) {
            *place = record;
            len += 1;
        }
        let ids = community_ids(group.each_ref().map(|record| (&record.key, record.initiator)), settings.community_id_seed);
        for (record, community_id) in group.iter().zip(ids).take(len) {
            visit(&Exported { record, community_id })?;
        }
    }
    Ok(())
}

/// Gives the fields of an ended flow to `sink`: its end, then [`record_fields`].
#[inline(always)]
pub fn ended_fields(exported: &Exported<'_>, sink: &mut impl FieldSink) {
    let record = exported.record;
    sink.seconds("ts", record.ended.0);
    sink.word("reason", Some(record.reason.name().as_bytes()));
    record_fields(exported, sink);
}

/// Gives all fields of a record to `sink`, in order. Inlined, so that a sink lies in registers (`output::bytes`).
#[inline(always)]
pub fn record_fields(exported: &Exported<'_>, sink: &mut impl FieldSink) {
    let record = exported.record;
    shared_fields(record, sink);
    tcp_fields(record, sink);
    let key = &record.key;
    let vlan_count = usize::from(record.vlan.count).min(record.vlan.ids.len());
    sink.list("vlan", record.vlan.ids.get(..vlan_count).unwrap_or_default());
    sink.word("tunnel", record.tunnel.map(|tunnel| tunnel.kind.name().as_bytes()));
    sink.number("tunnel_id", record.tunnel.map(|tunnel| u64::from(tunnel.id)));
    sink.number("fragments", Some(u64::from(record.fragments)));
    sink.number("icmp_id", icmp_id(key).map(u64::from));
    sink.word("community_id", exported.community_id.as_ref().map(CommunityId::as_bytes));
    sink.number("ip_version", Some(key.version() as u64));
    sink.word("initiator", Some(record.initiator.name().as_bytes()));
    sink.number("first_packet", Some(record.first_packet));
    sink.word("end_reason", Some(record.reason.name().as_bytes()));
    sink.number("queues", Some(u64::from(record.queues)));
}

/// The fields that other programs know: names, order and meaning are fixed.
#[inline(always)]
fn shared_fields(record: &FlowRecord, sink: &mut impl FieldSink) {
    let key = &record.key;
    let (a_port, b_port) = ports(key);
    let tcp = record.tcp.as_ref();
    let rtt = tcp.and_then(|tcp| tcp.rtt);
    let mut buffer = ProtocolName::default();
    sink.text("protocol", Some(buffer.of(key.protocol())));
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
    sink.word("tcp_state", tcp.map(|tcp| tcp.state.name().as_bytes()));
    sink.word("client", tcp.and_then(|tcp| tcp.client).map(|client| client.name().as_bytes()));
    sink.number("retransmissions", Some(tcp.map_or(0, |tcp| tcp.retransmissions.into())));
    sink.number("out_of_order", Some(tcp.map_or(0, |tcp| tcp.out_of_order.into())));
    sink.milliseconds("rtt_last_ms", rtt.map(|rtt| rtt.last_ns));
    sink.milliseconds("rtt_min_ms", rtt.map(|rtt| rtt.min_ns));
    sink.milliseconds("rtt_ewma_ms", rtt.map(|rtt| rtt.ewma_ns));
    sink.number("rtt_samples", Some(rtt.map_or(0, |rtt| rtt.samples.into())));
}

/// What we know of a TCP connection beyond that.
#[inline(always)]
fn tcp_fields(record: &FlowRecord, sink: &mut impl FieldSink) {
    let tcp = record.tcp.as_ref();
    sink.milliseconds("handshake_rtt_ms", tcp.and_then(|tcp| tcp.handshake_rtt_ns));
    sink.word("tcp_state_detail", tcp.map(|tcp| tcp.detail.name().as_bytes()));
    sink.number("fast_retransmissions", Some(tcp.map_or(0, |tcp| tcp.fast_retransmissions.into())));
    sink.number("spurious_retransmissions", Some(tcp.map_or(0, |tcp| tcp.spurious_retransmissions.into())));
    sink.number("lost_segments", Some(tcp.map_or(0, |tcp| tcp.lost_segments.into())));
    sink.number("ack_lost_segments", Some(tcp.map_or(0, |tcp| tcp.ack_lost_segments.into())));
    sink.number("duplicate_acks", Some(tcp.map_or(0, |tcp| tcp.duplicate_acks.into())));
    sink.number("keep_alives", Some(tcp.map_or(0, |tcp| tcp.keep_alives.into())));
    sink.number("zero_windows", Some(tcp.map_or(0, |tcp| tcp.zero_windows.into())));
    let flags = |direction: Direction| tcp.map(|tcp| flag_letters(tcp.flags[direction.index()]));
    sink.word("tcp_flags_a_to_b", flags(Direction::AToB));
    sink.word("tcp_flags_b_to_a", flags(Direction::BToA));
    let mss = |direction: Direction| tcp.map(|tcp| u64::from(tcp.mss[direction.index()])).filter(|&mss| mss > 0);
    sink.number("mss_a_to_b", mss(Direction::AToB));
    sink.number("mss_b_to_a", mss(Direction::BToA));
    let scale = |direction: Direction| tcp.and_then(|tcp| tcp.window_scale[direction.index()]).map(u64::from);
    sink.number("window_scale_a_to_b", scale(Direction::AToB));
    sink.number("window_scale_b_to_a", scale(Direction::BToA));
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

/// Room for the name of any IP protocol.
#[derive(Default)]
pub struct ProtocolName(String);

impl ProtocolName {
    /// Name of an IANA protocol number: "tcp", "udp", ..., "ip-proto-N" for those without a name here.
    pub fn of(&mut self, protocol: u8) -> &str {
        match protocol {
            ICMP => "icmp",
            2 => "igmp",
            4 => "ipip",
            6 => "tcp",
            17 => "udp",
            33 => "dccp",
            41 => "ipv6",
            47 => "gre",
            50 => "esp",
            51 => "ah",
            ICMPV6 => "icmpv6",
            88 => "eigrp",
            89 => "ospf",
            103 => "pim",
            112 => "vrrp",
            132 => "sctp",
            136 => "udplite",
            other => {
                self.0 = format!("ip-proto-{other}");
                &self.0
            }
        }
    }
}

/// Letters of the TCP control bits in the order of the header: CWR, ECE, URG, ACK, PSH, RST, SYN, FIN. Every combination with its
/// length.
const FLAG_LETTERS: [([u8; 8], u8); 256] = {
    let mut all = [([0; 8], 0); 256];
    let mut flags = 0;
    while flags < 256 {
        let (letters, len) = &mut all[flags];
        let mut bit = 8;
        while bit > 0 {
            bit -= 1;
            if flags >> bit & 1 == 1 {
                letters[*len as usize] = b"FSRPAUEC"[bit];
                *len += 1;
            }
        }
        flags += 1;
    }
    all
};

fn flag_letters(flags: u8) -> &'static [u8] {
    let (letters, len) = &FLAG_LETTERS[usize::from(flags)];
    letters.get(..usize::from(*len)).unwrap_or_default()
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
        assert_eq!(flag_letters(0xff), b"CEUAPRSF");
        assert_eq!(flag_letters(0x12), b"AS");
        assert_eq!(flag_letters(0), b"");
    }

    #[test]
    fn every_protocol_has_a_name() {
        let mut buffer = ProtocolName::default();
        assert_eq!(buffer.of(6), "tcp");
        assert_eq!(buffer.of(253), "ip-proto-253");
        let names: std::collections::HashSet<String> = (0..=255).map(|p| buffer.of(p).to_owned()).collect();
        assert_eq!(names.len(), 256);
    }

    proptest! {
        #[test]
        fn flags_have_one_letter_per_bit(flags: u8) {
            prop_assert_eq!(flag_letters(flags).len(), flags.count_ones() as usize);
        }
    }
}
