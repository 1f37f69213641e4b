//! The one list of a flow record's fields, in order: name, type, unit, width and value. Every format is made
//! from it.
//!
//! Owns names, order and units. Knows no syntax: a [`FieldSink`] does. Invariants: fields are only ever
//! appended, and every format shows the same fields in the same order, because the list ([`FIELDS`]) and the
//! visitor ([`record_fields`]) come from one macro.

use super::derived::{flow_state_word, known_by_word, port_name};
use super::facts::{FACT_SCHEMA, FactSchema};
use super::field::{Field, FieldSink, FieldType, FieldValue, field};
use super::names::{
    ICMP, ICMPV6, detail_word, direction_word, flags_word, protocol_word, reason_word, state_word, time_word, tunnel_word,
};
use super::text::FieldWord;
use crate::flow::{
    CommunityId, Direction, DirectionHeaders, FactSet, FlowHeaders, FlowKey, FlowRecord, IcmpFlow, QuotedFlow, RttRecord,
    SideRtt, TcpRecord, community_id,
};
use std::net::IpAddr;

/// How the times of a run's packets were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeResolution {
    /// Each packet has a time of its own.
    #[default]
    Packet,
    /// The clock is read once per batch, so packets that were handed over together have one time.
    Batch,
}

impl TimeResolution {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Packet => "packet",
            Self::Batch => "batch",
        }
    }
}

/// A record and what is calculated for its export.
#[derive(Clone, Copy, Debug)]
pub struct Exported<'a> {
    record: &'a FlowRecord,
    community_id: CommunityId,
    /// Of the flow that its ICMP errors name.
    quoted_id: Option<CommunityId>,
    times: TimeResolution,
    facts: FactSet<'a>,
    schema: FactSchema,
    interface: Option<&'static FieldWord>,
}

impl<'a> Exported<'a> {
    /// Makes a record ready for export. `community_id_seed`: 0 is what other tools use unless told otherwise.
    pub fn new(record: &'a FlowRecord, community_id_seed: u16) -> Self {
        Self::with_id(record, community_id(&record.key, record.initiator, community_id_seed), community_id_seed)
    }

    /// A record and its Community ID, which was made with this seed.
    #[inline(always)]
    pub fn with_id(record: &'a FlowRecord, community_id: CommunityId, seed: u16) -> Self {
        let quoted_id = record.quoted.as_ref().map(|quoted| id_of_quoted(quoted, seed));
        let times = TimeResolution::Packet;
        Self { record, community_id, quoted_id, times, facts: FactSet::NONE, schema: FACT_SCHEMA, interface: None }
    }

    /// A record whose Community IDs are not read: `community_id` is blank here, and `icmp_error_for` null. Making them costs more
    /// than reading any other field.
    #[inline(always)]
    pub fn without_ids(record: &'a FlowRecord) -> Self {
        let (times, facts, schema) = (TimeResolution::Packet, FactSet::NONE, FACT_SCHEMA);
        Self { record, community_id: CommunityId::BLANK, quoted_id: None, times, facts, schema, interface: None }
    }

    /// The same of a run whose times were taken so.
    #[must_use]
    #[inline(always)]
    pub fn with_times(self, times: TimeResolution) -> Self {
        Self { times, ..self }
    }

    /// The same with the facts of the record, and their names.
    #[must_use]
    #[inline(always)]
    pub fn with_facts(self, facts: FactSet<'a>, schema: FactSchema) -> Self {
        Self { facts, schema, ..self }
    }

    /// The same with the name of the interface on which it was captured, which is one of these.
    #[must_use]
    #[inline(always)]
    pub fn on_interface(self, names: &'static [FieldWord]) -> Self {
        Self { interface: names.get(usize::from(self.record.interface)), ..self }
    }

    /// What packets' headers said is known.
    #[inline(always)]
    pub(super) const fn has_headers(&self) -> bool {
        self.record.headers.is_some()
    }

    /// The record itself.
    pub const fn record(&self) -> &'a FlowRecord {
        self.record
    }

    /// The name of the interface on which it was captured.
    pub(super) fn interface(&self) -> Option<&'static str> {
        self.interface.map(FieldWord::as_str)
    }

    /// Its Community ID.
    pub(super) const fn community_id(&self) -> &CommunityId {
        &self.community_id
    }

    /// Its facts.
    pub const fn facts(&self) -> FactSet<'a> {
        self.facts
    }

    pub(super) fn schema(&self) -> FactSchema {
        self.schema
    }
}

/// IANA protocol numbers.
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Greatest window shift count (RFC 7323 section 2.3).
const SCALE_MAX: u8 = 14;

/// Few records have such.
#[cold]
fn id_of_quoted(quoted: &QuotedFlow, seed: u16) -> CommunityId {
    community_id(&quoted.key, quoted.initiator, seed)
}

/// Reads the value of a field.
pub type ReadField = for<'a> fn(&'a Exported<'a>) -> FieldValue<'a>;

/// A field of every record, and how its value is read.
#[derive(Clone, Copy, Debug)]
pub struct RecordField {
    /// Its description.
    pub field: Field,
    /// Its value in a record.
    pub value: ReadField,
}

/// The type of a field, by the method of [`FieldSink`] that takes its value.
macro_rules! field_type {
    (word) => {
        FieldType::Word
    };
    (code) => {
        FieldType::Word
    };
    (number) => {
        FieldType::Number
    };
    (seconds) => {
        FieldType::Seconds
    };
    (milliseconds) => {
        FieldType::Milliseconds
    };
    (rate) => {
        FieldType::Rate
    };
    (endpoint) => {
        FieldType::Endpoint
    };
    (list) => {
        FieldType::List
    };
    (set) => {
        FieldType::List
    };
    (address) => {
        FieldType::Address
    };
    (mac) => {
        FieldType::Word
    };
    (boolean) => {
        FieldType::Boolean
    };
}

/// Makes a list of fields and the function that gives their values to a sink. A line is: name, type (a method
/// of [`FieldSink`] and of [`FieldValue`]), unit, width in a table, and the value, made of the names that
/// stand before the list.
macro_rules! fields {
    (
        $(#[$list_doc:meta])* list $list:ident;
        $(#[$visit_doc:meta])* visitor $visit:ident($exported:ident, $record:ident);
        $($name:literal: $kind:ident $unit:literal $width:literal = $value:expr;)*
    ) => {
        $(#[$list_doc])*
        pub const $list: &[RecordField] = &[$(RecordField {
            field: field!($name, field_type!($kind), $unit, $width),
            value: |$exported| {
                #[allow(unused_variables, reason = "not every field is read from the record alone")]
                let $record = $exported.record;
                FieldValue::$kind($value)
            },
        }),*];

        $(#[$visit_doc])*
        #[inline(always)]
        pub fn $visit($exported: &Exported<'_>, sink: &mut impl FieldSink) {
            let $record = $exported.record;
            $(sink.$kind(const { &field!($name, field_type!($kind), $unit, $width) }, $value);)*
        }
    };
}

fields! {
    /// What is said of the end of a flow, in the files that get flows as they end, before [`FIELDS`].
    list END_FIELDS;
    /// Gives [`END_FIELDS`] to `sink`.
    visitor end_fields(exported, record);
    "ts": seconds "s" 17 = record.ended.0;
    "reason": word "" 14 = Some(reason_word(record.reason));
}

fields! {
    /// The fields of a record but [`HEADER_FIELDS`].
    list BASE_FIELDS;
    /// Gives [`BASE_FIELDS`] to `sink`, in order. Inlined, as are the sinks of rows.
    visitor base_fields(exported, record);
    "protocol": word "" 8 = Some(protocol_word(record.key.protocol()));
    "endpoint_a": endpoint "" 21 = (record.key.a_ip(), ports(&record.key).0);
    "endpoint_b": endpoint "" 21 = (record.key.b_ip(), ports(&record.key).1);
    "first_seen": seconds "s" 17 = record.first_seen.0;
    "last_seen": seconds "s" 17 = record.last_seen.0;
    "duration_secs": seconds "s" 10 = duration_ns(record);
    "packets_a_to_b": number "packets" 8 = Some(record.packets[0]);
    "packets_b_to_a": number "packets" 8 = Some(record.packets[1]);
    "bytes_a_to_b": number "bytes" 10 = Some(record.bytes[0]);
    "bytes_b_to_a": number "bytes" 10 = Some(record.bytes[1]);
    "packets_total": number "packets" 8 = Some(record.packets[0].saturating_add(record.packets[1]));
    "bytes_total": number "bytes" 10 = Some(bytes_total(record));
    "avg_bps": rate "bit/s" 12 = bits_per_second_thousandths(bytes_total(record), duration_ns(record));
    "tcp_state": word "" 11 = record.tcp.as_ref().map(|tcp| state_word(tcp.state));
    "client": word "" 6 = record.tcp.as_ref().and_then(|tcp| tcp.client).map(direction_word);
    "retransmissions": number "segments" 5 = count(record, |tcp| tcp.retransmissions);
    "out_of_order": number "segments" 5 = count(record, |tcp| tcp.out_of_order);
    "rtt_last_ms": milliseconds "ms" 9 = rtt(record).map(|rtt| rtt.last_ns);
    "rtt_min_ms": milliseconds "ms" 9 = rtt(record).map(|rtt| rtt.min_ns);
    "rtt_ewma_ms": milliseconds "ms" 9 = rtt(record).map(|rtt| rtt.ewma_ns);
    "rtt_samples": number "samples" 5 = Some(rtt(record).map_or(0, |rtt| rtt.samples.into()));
    "handshake_rtt_ms": milliseconds "ms" 9 = record.tcp.as_ref().and_then(|tcp| tcp.handshake_rtt_ns);
    "tcp_state_detail": word "" 12 = record.tcp.as_ref().map(|tcp| detail_word(tcp.detail));
    "fast_retransmissions": number "segments" 5 = count(record, |tcp| tcp.fast_retransmissions);
    "spurious_retransmissions": number "segments" 5 = count(record, |tcp| tcp.spurious_retransmissions);
    "lost_segments": number "segments" 5 = count(record, |tcp| tcp.lost_segments);
    "ack_lost_segments": number "segments" 5 = count(record, |tcp| tcp.ack_lost_segments);
    "duplicate_acks": number "segments" 5 = count(record, |tcp| tcp.duplicate_acks);
    "keep_alives": number "segments" 5 = count(record, |tcp| tcp.keep_alives);
    "zero_windows": number "segments" 5 = count(record, |tcp| tcp.zero_windows);
    "tcp_flags_a_to_b": word "" 8 = flags(record, Direction::AToB);
    "tcp_flags_b_to_a": word "" 8 = flags(record, Direction::BToA);
    "mss_a_to_b": number "bytes" 5 = mss(record, Direction::AToB);
    "mss_b_to_a": number "bytes" 5 = mss(record, Direction::BToA);
    "window_scale_a_to_b": number "bits" 2 = window_scale(record, Direction::AToB);
    "window_scale_b_to_a": number "bits" 2 = window_scale(record, Direction::BToA);
    "vlan": list "" 9 = vlan_ids(record);
    "tunnel": word "" 6 = record.tunnel.map(|tunnel| tunnel_word(tunnel.kind));
    "tunnel_id": number "" 10 = record.tunnel.map(|tunnel| u64::from(tunnel.id));
    "fragments": number "packets" 5 = Some(u64::from(record.fragments));
    "icmp_id": number "" 5 = icmp_id(&record.key).map(u64::from);
    "community_id": code "" 30 = Some(exported.community_id.as_bytes());
    "ip_version": number "" 1 = Some(record.key.version() as u64);
    "initiator": word "" 6 = Some(direction_word(record.initiator));
    "first_packet": number "" 10 = Some(record.first_packet);
    "end_reason": word "" 14 = Some(reason_word(record.reason));
    "queues": number "" 2 = Some(u64::from(record.queues));
    "icmp_type": number "" 3 = record.key.icmp_type(record.initiator).map(u64::from);
    "icmp_code": number "" 3 = icmp_code(record).map(u64::from);
    "icmp_errors": number "packets" 5 = Some(u64::from(record.icmp_errors));
    "icmp_error_for": code "" 30 = exported.quoted_id.as_ref().map(CommunityId::as_bytes);
    "time_resolution": word "" 6 = Some(time_word(exported.times));
    "interface": word "" 15 = exported.interface;
    "client_ip": address "" 15 = endpoint_of(record, record.client()).0;
    "client_port": number "" 5 = Some(endpoint_of(record, record.client()).1.into());
    "server_ip": address "" 15 = endpoint_of(record, record.client().reverse()).0;
    "server_port": number "" 5 = Some(endpoint_of(record, record.client().reverse()).1.into());
    "packets_to_server": number "packets" 8 = Some(record.packets[record.client().index()]);
    "packets_to_client": number "packets" 8 = Some(record.packets[record.client().reverse().index()]);
    "bytes_to_server": number "bytes" 10 = Some(record.bytes[record.client().index()]);
    "bytes_to_client": number "bytes" 10 = Some(record.bytes[record.client().reverse().index()]);
    "rtt_server_samples": number "samples" 5 = Some(server(record).map_or(0, |rtt| rtt.samples.into()));
    "rtt_server_min_ms": milliseconds "ms" 9 = server(record).map(|rtt| rtt.min_ns);
    "rtt_server_ewma_ms": milliseconds "ms" 9 = server(record).map(|rtt| rtt.ewma_ns);
    "rtt_server_max_ms": milliseconds "ms" 9 = server(record).map(|rtt| rtt.max_ns);
    "rtt_server_delayed_acks": number "segments" 5 = Some(server(record).map_or(0, |rtt| rtt.delayed_acks.into()));
    "rtt_client_samples": number "samples" 5 = Some(client(record).map_or(0, |rtt| rtt.samples.into()));
    "rtt_client_min_ms": milliseconds "ms" 9 = client(record).map(|rtt| rtt.min_ns);
    "rtt_client_ewma_ms": milliseconds "ms" 9 = client(record).map(|rtt| rtt.ewma_ns);
    "rtt_client_max_ms": milliseconds "ms" 9 = client(record).map(|rtt| rtt.max_ns);
    "rtt_client_delayed_acks": number "segments" 5 = Some(client(record).map_or(0, |rtt| rtt.delayed_acks.into()));
    "rtt_path_min_ms": milliseconds "ms" 9 = path_min_ns(record);
    "zero_window_ms_a_to_b": milliseconds "ms" 9 = zero_window_ns(record, Direction::AToB);
    "zero_window_ms_b_to_a": milliseconds "ms" 9 = zero_window_ns(record, Direction::BToA);
    "port_name": word "" 15 = port_name(record);
    "flow_state": word "" 11 = flow_state_word(record, exported.facts);
    "app_known_by": word "" 11 = known_by_word(exported.facts, || port_name(record).is_some());
}

fields! {
    /// What packets' headers said; none has a value where that is not kept.
    list HEADER_FIELDS;
    /// Gives [`HEADER_FIELDS`] to `sink`.
    visitor header_fields(exported, record);
    "source_mac": mac "" 17 = record.headers.and_then(|headers| headers.macs).map(|macs| macs.source);
    "destination_mac": mac "" 17 = record.headers.and_then(|headers| headers.macs).and_then(|macs| macs.destination);
    "ttl_min_a_to_b": number "hops" 3 = seen(record, Direction::AToB).map(|seen| seen.ttl[0].into());
    "ttl_max_a_to_b": number "hops" 3 = seen(record, Direction::AToB).map(|seen| seen.ttl[1].into());
    "ttl_min_b_to_a": number "hops" 3 = seen(record, Direction::BToA).map(|seen| seen.ttl[0].into());
    "ttl_max_b_to_a": number "hops" 3 = seen(record, Direction::BToA).map(|seen| seen.ttl[1].into());
    "dscp_a_to_b": set "" 5 = headers(record, Direction::AToB).map(|headers| headers.dscp);
    "dscp_b_to_a": set "" 5 = headers(record, Direction::BToA).map(|headers| headers.dscp);
    "ecn_a_to_b": set "" 5 = headers(record, Direction::AToB).map(|headers| headers.ecn.into());
    "ecn_b_to_a": set "" 5 = headers(record, Direction::BToA).map(|headers| headers.ecn.into());
    "payload_bytes_a_to_b": number "bytes" 10 = payload_bytes(record, Direction::AToB);
    "payload_bytes_b_to_a": number "bytes" 10 = payload_bytes(record, Direction::BToA);
    "tcp_options_a_to_b": set "" 10 = tcp_headers(record, Direction::AToB).map(|headers| headers.option_kinds);
    "tcp_options_b_to_a": set "" 10 = tcp_headers(record, Direction::BToA).map(|headers| headers.option_kinds);
    "window_max_a_to_b": number "bytes" 9 = window_max(record, Direction::AToB);
    "window_max_b_to_a": number "bytes" 9 = window_max(record, Direction::BToA);
    "ecn_negotiated": boolean "" 5 = record.headers.as_ref().filter(|_| record.tcp.is_some()).and_then(FlowHeaders::ecn_negotiated);
    "ecn_echo_a_to_b": boolean "" 5 = tcp_headers(record, Direction::AToB).map(DirectionHeaders::is_echoed);
    "ecn_echo_b_to_a": boolean "" 5 = tcp_headers(record, Direction::BToA).map(DirectionHeaders::is_echoed);
}

/// The fields of a record. The first 23 are known to other programs: their names, order and meaning are
/// fixed.
pub const FIELDS: &[RecordField] = &{
    let mut all = [BASE_FIELDS[0]; BASE_FIELDS.len() + HEADER_FIELDS.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < BASE_FIELDS.len() { BASE_FIELDS[at] } else { HEADER_FIELDS[at - BASE_FIELDS.len()] };
        at += 1;
    }
    all
};

/// Gives all fields of a record to `sink`, in order.
#[inline(always)]
pub fn record_fields(exported: &Exported<'_>, sink: &mut impl FieldSink) {
    base_fields(exported, sink);
    header_fields(exported, sink);
}

/// Gives the fields of an ended flow to `sink`: its end, then [`record_fields`].
#[inline(always)]
pub fn ended_fields(exported: &Exported<'_>, sink: &mut impl FieldSink) {
    end_fields(exported, sink);
    record_fields(exported, sink);
}

#[inline(always)]
fn rtt(record: &FlowRecord) -> Option<&RttRecord> {
    record.tcp.as_ref().and_then(|tcp| tcp.rtt.as_ref())
}

/// A count of TCP's; 0 for other flows.
#[inline(always)]
fn count(record: &FlowRecord, of: impl FnOnce(&TcpRecord) -> u32) -> Option<u64> {
    Some(record.tcp.as_ref().map_or(0, of).into())
}

/// The endpoint that sends in this direction.
#[inline(always)]
pub(super) fn endpoint_of(record: &FlowRecord, direction: Direction) -> (IpAddr, u16) {
    let (a_port, b_port) = ports(&record.key);
    match direction {
        Direction::AToB => (record.key.a_ip(), a_port),
        Direction::BToA => (record.key.b_ip(), b_port),
    }
}

/// Round trips from here to the server and back: of its acknowledgments.
#[inline(always)]
fn server(record: &FlowRecord) -> Option<&SideRtt> {
    record.tcp.as_ref().and_then(|tcp| tcp.rtt_sides[record.client().reverse().index()].as_ref())
}

/// The same of the client.
#[inline(always)]
fn client(record: &FlowRecord) -> Option<&SideRtt> {
    record.tcp.as_ref().and_then(|tcp| tcp.rtt_sides[record.client().index()].as_ref())
}

/// Both sides' shortest round trips together.
#[inline(always)]
fn path_min_ns(record: &FlowRecord) -> Option<u64> {
    Some(server(record)?.min_ns.saturating_add(client(record)?.min_ns))
}

/// How long a window was closed, where one was.
#[inline(always)]
fn zero_window_ns(record: &FlowRecord, direction: Direction) -> Option<u64> {
    record.tcp.as_ref().and_then(|tcp| tcp.zero_window_ns[direction.index()])
}

fn headers(record: &FlowRecord, direction: Direction) -> Option<&DirectionHeaders> {
    record.headers.as_ref().map(|headers| &headers.directions[direction.index()])
}

/// The same where the direction had a packet.
fn seen(record: &FlowRecord, direction: Direction) -> Option<&DirectionHeaders> {
    headers(record, direction).filter(|headers| headers.is_seen())
}

/// The same of a TCP flow.
fn tcp_headers(record: &FlowRecord, direction: Direction) -> Option<&DirectionHeaders> {
    headers(record, direction).filter(|_| record.tcp.is_some())
}

/// Of TCP and UDP, where no packet's is unknown.
pub(super) fn payload_bytes(record: &FlowRecord, direction: Direction) -> Option<u64> {
    headers(record, direction).filter(|_| matches!(record.key.protocol(), TCP | UDP)).and_then(DirectionHeaders::payload_bytes)
}

/// The largest window that the sender of this direction announced, in bytes. Scaled where both sides' SYNs were seen to announce a
/// scale (RFC 7323 section 2.2), unscaled where one was seen to announce none; otherwise only the window of a SYN is known.
fn window_max(record: &FlowRecord, direction: Direction) -> Option<u64> {
    let headers = tcp_headers(record, direction).filter(|headers| headers.is_seen())?;
    let scales = record.tcp.as_ref()?.window_scale;
    let announces_none =
        |of: Direction| scales[of.index()].is_none() && tcp_headers(record, of).is_some_and(DirectionHeaders::is_syn_seen);
    let scaled = match scales {
        _ if headers.window_max == 0 => 0,
        [Some(a), Some(b)] => u64::from(headers.window_max) << [a, b][direction.index()].min(SCALE_MAX),
        _ if announces_none(direction) || announces_none(direction.reverse()) => headers.window_max.into(),
        _ => return None,
    };
    Some(scaled.max(headers.syn_window_max.into()))
}

#[inline(always)]
fn flags(record: &FlowRecord, direction: Direction) -> Option<&'static FieldWord> {
    record.tcp.as_ref().map(|tcp| flags_word(tcp.flags[direction.index()]))
}

#[inline(always)]
fn mss(record: &FlowRecord, direction: Direction) -> Option<u64> {
    record.tcp.as_ref().map(|tcp| u64::from(tcp.mss[direction.index()])).filter(|&mss| mss > 0)
}

#[inline(always)]
fn window_scale(record: &FlowRecord, direction: Direction) -> Option<u64> {
    record.tcp.as_ref().and_then(|tcp| tcp.window_scale[direction.index()]).map(u64::from)
}

#[inline(always)]
pub(super) fn vlan_ids(record: &FlowRecord) -> &[u16] {
    record.vlan.ids.get(..usize::from(record.vlan.count).min(record.vlan.ids.len())).unwrap_or_default()
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

/// Identifier of an ICMP echo flow.
pub fn icmp_id(key: &FlowKey) -> Option<u16> {
    match IcmpFlow::of(key)? {
        IcmpFlow::Echo(id) => Some(id),
        IcmpFlow::Pair(_) | IcmpFlow::OneWay { .. } => None,
    }
}

/// Code of an ICMP flow's first packet.
pub fn icmp_code(record: &FlowRecord) -> Option<u8> {
    Some(match IcmpFlow::of(&record.key)? {
        IcmpFlow::OneWay { code, .. } => code,
        IcmpFlow::Echo(_) | IcmpFlow::Pair(_) => record.icmp_code,
    })
}

/// Ports as shown: 0 for ICMP, where the key holds an identifier, or type and code.
pub fn ports(key: &FlowKey) -> (u16, u16) {
    if matches!(key.protocol(), ICMP | ICMPV6) { (0, 0) } else { (key.a_port(), key.b_port()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::reference::{Reference, any_record};
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn a_rate_needs_a_duration() {
        assert_eq!(bits_per_second_thousandths(1000, 0), 0);
        assert_eq!(bits_per_second_thousandths(125, 1_000_000_000), 1_000_000);
        assert_eq!(bits_per_second_thousandths(u64::MAX, 1), u128::from(u64::MAX) * 8_000_000_000_000);
    }

    #[test]
    fn names_are_different_and_need_no_quotes() {
        let names: HashSet<&str> = FIELDS.iter().map(|field| field.field.name).collect();
        assert_eq!(names.len(), FIELDS.len());
        for Field { name, json_key, width, .. } in END_FIELDS.iter().chain(FIELDS).map(|field| field.field) {
            assert!(name.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit()), "{name}");
            assert_eq!(json_key, format!("\"{name}\":"));
            assert!((1..=30).contains(&width));
        }
    }

    proptest! {
        #[test]
        fn the_list_and_the_visitor_agree(record in any_record()) {
            let exported = Exported::new(&record, 0);
            let visited = Reference::of(|reference| ended_fields(&exported, reference)).visited;
            let listed: Vec<_> = END_FIELDS
                .iter()
                .chain(FIELDS)
                .map(|RecordField { field, value }| (*field, Reference::of(|reference| reference.value(value(&exported))).row))
                .collect();
            prop_assert_eq!(visited, listed);
        }
    }
}
