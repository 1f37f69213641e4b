//! Random records, and what formats should make of them, written with the standard library, for tests.
//!
//! Owns the slow reference that fast formats are compared with. Its invariant: every field is written by
//! itself, whatever its neighbours.

use super::field::{Field, FieldSink, FieldType, FieldValue};
use super::test_records::key;
use super::text::FieldWord;
use super::untrusted::{escaped, shown};
use crate::flow::tcp::{TcpState, TcpStateDetail};
use crate::flow::{Direction, EndReason, FactRef, FlowHeaders, FlowRecord, QuotedFlow, RttRecord, SideRtt, TcpRecord};
use crate::wire::{MacAddresses, PacketHeaders, TcpFlags, TcpHeaders, Tunnel, TunnelKind, VlanTags};
use netscope_backends::Timestamp;
use proptest::prelude::*;
use std::net::IpAddr;

/// Any record, with numbers of all lengths and with what most records do not have.
pub fn any_record() -> impl Strategy<Value = FlowRecord> {
    let address = || any::<[u8; 16]>();
    let hosts = prop_oneof![
        (address(), address()).prop_map(|(a, b)| [IpAddr::from(a), IpAddr::from(b)]),
        (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| [IpAddr::from(a), IpAddr::from(b)]),
    ];
    let protocol = prop_oneof![Just(1), Just(6), Just(17), any::<u8>()];
    let ports = prop_oneof![Just([0, 0]), any::<[u16; 2]>()];
    let endpoints = (protocol, hosts, ports).prop_map(|(protocol, hosts, ports)| {
        let [source, destination] = hosts.map(|host| host.to_string());
        key(protocol, &source, ports[0], &destination, ports[1])
    });
    let kind = prop::sample::select(TunnelKind::ALL.to_vec());
    let tunnel = prop::option::of((kind, any::<u32>()));
    let wrapped = (any::<[u16; 2]>(), prop_oneof![Just(0), 0..4u8], tunnel, prop_oneof![Just(0), any::<u32>()]);
    let numbers = prop::array::uniform5(number());
    let reason = prop::sample::select(EndReason::ALL.to_vec());
    let headers = prop::option::of(any_headers());
    (endpoints, numbers, times(), wrapped, prop::option::of(any_tcp()), headers, reason).prop_map(
        |(key, numbers, [first_seen, last_seen, ended], (ids, count, tunnel, fragments), tcp, headers, reason)| FlowRecord {
            key,
            first_seen: Timestamp(first_seen),
            last_seen: Timestamp(last_seen),
            packets: [numbers[0], numbers[1]],
            bytes: [numbers[2], numbers[3]],
            fragments,
            initiator: if first_seen % 2 == 0 { Direction::AToB } else { Direction::BToA },
            first_packet: numbers[4],
            vlan: VlanTags { ids, count },
            tunnel: tunnel.map(|(kind, id)| Tunnel { kind, id }),
            icmp_code: numbers[1] as u8,
            icmp_errors: numbers[2] as u32,
            quoted: (last_seen % 3 == 0).then_some(QuotedFlow { key, initiator: Direction::BToA }),
            tcp,
            headers,
            ended: Timestamp(ended),
            reason,
            queues: numbers[0] as u16,
            interface: numbers[0] as u8,
            facts: FactRef::NONE,
        },
    )
}

/// Any number, as often short as long.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64u32).prop_map(|(number, shift)| number >> shift)
}

/// Times anywhere, or of this century and near each other.
fn times() -> impl Strategy<Value = [u64; 3]> {
    let near = (1_600_000_000_000_000_000..1_900_000_000_000_000_000u64, number(), number())
        .prop_map(|(time, a, b)| [time, time + (a >> 20), time + (b >> 20)]);
    prop_oneof![near, prop::array::uniform3(number())]
}

fn any_headers() -> impl Strategy<Value = FlowHeaders> {
    let tcp = (any::<u16>(), any::<u16>(), any::<u64>()).prop_map(|(flags, window, option_kinds)| TcpHeaders {
        flags: TcpFlags(flags),
        window,
        option_kinds,
    });
    let packet = (any::<bool>(), any::<u8>(), any::<u8>(), prop::option::weighted(0.9, any::<u32>()), prop::option::of(tcp));
    let packets = prop::collection::vec(packet, 0..6);
    let addresses = prop::option::of((any::<[u8; 6]>(), prop::option::of(any::<[u8; 6]>())));
    (packets, addresses).prop_map(|(packets, addresses)| {
        let mut flow = FlowHeaders::BLANK;
        for (back, ttl, traffic_class, payload_len, tcp) in packets {
            let direction = if back { Direction::BToA } else { Direction::AToB };
            let macs = || addresses.map(|(source, destination)| MacAddresses { source, destination });
            flow.note(direction, &PacketHeaders { ttl, traffic_class, payload_len, tcp }, macs);
        }
        flow
    })
}

fn any_tcp() -> impl Strategy<Value = TcpRecord> {
    let states = [
        (TcpState::Unknown, TcpStateDetail::Unknown),
        (TcpState::SynSent, TcpStateDetail::SynSent),
        (TcpState::SynAck, TcpStateDetail::SynReceived),
        (TcpState::Established, TcpStateDetail::Established),
        (TcpState::FinWait, TcpStateDetail::FinWait1),
        (TcpState::FinWait, TcpStateDetail::FinWait2),
        (TcpState::FinWait, TcpStateDetail::CloseWait),
        (TcpState::Closed, TcpStateDetail::Closing),
        (TcpState::Closed, TcpStateDetail::LastAck),
        (TcpState::Closed, TcpStateDetail::TimeWait),
        (TcpState::Reset, TcpStateDetail::Closed),
    ];
    // None lost, one kind alone, or anything.
    let losses = prop_oneof![
        Just([0; 7]),
        (0..7usize, 1..=u32::MAX).prop_map(|(kind, count)| std::array::from_fn(|i| if i == kind { count } else { 0 })),
        any::<[u32; 7]>(),
    ];
    let rtt = (number(), number(), number(), any::<u32>());
    let client = prop::option::of(prop::sample::select(vec![Direction::AToB, Direction::BToA]));
    let shared = (prop::sample::select(states.to_vec()), client, number(), number(), prop::option::of(rtt));
    let own = (any::<[u8; 2]>(), losses, any::<[u16; 2]>(), any::<[Option<u8>; 2]>(), prop::option::of(number()));
    let side = || {
        let numbers = (any::<u32>(), number(), number(), number(), any::<u32>());
        prop::option::of(numbers.prop_map(|(samples, min_ns, ewma_ns, max_ns, delayed_acks)| SideRtt {
            samples,
            min_ns,
            ewma_ns,
            max_ns,
            delayed_acks,
        }))
    };
    let closed = || prop::option::of(number());
    let sides = (side(), side(), closed(), closed());
    (shared, own, sides).prop_map(|(shared, (flags, losses, mss, window_scale, handshake_rtt_ns), (a, b, first, second))| {
        let ((state, detail), client, retransmissions, out_of_order, rtt) = shared;
        let [fast_retransmissions, spurious_retransmissions, lost_segments, ack_lost_segments, ..] = losses;
        let [.., duplicate_acks, keep_alives, zero_windows] = losses;
        TcpRecord {
            state,
            detail,
            client,
            flags,
            retransmissions: retransmissions as u32,
            fast_retransmissions,
            spurious_retransmissions,
            out_of_order: out_of_order as u32,
            lost_segments,
            ack_lost_segments,
            duplicate_acks,
            keep_alives,
            zero_windows,
            mss,
            window_scale,
            handshake_rtt_ns,
            rtt: rtt.map(|(last_ns, min_ns, ewma_ns, samples)| RttRecord { last_ns, min_ns, ewma_ns, samples }),
            rtt_sides: [a, b],
            zero_window_ns: [first, second],
        }
    })
}

/// Text as a malicious sender would choose it: quotes, line ends, controls, invalid UTF-8, marks of
/// direction, up to 64 kB.
pub fn hostile_text() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"\"",
        b"\"\"",
        b",",
        b";",
        b"\r\n",
        b"\n",
        b"\\",
        b"\\u0041",
        b"\0",
        b"\x1b[2J",
        b"\x7f",
        b"\xff",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"=1+1",
        b" ",
        b"{",
        b"example.org",
        "\u{202e}".as_bytes(),
        "\u{2066}".as_bytes(),
        "\u{feff}".as_bytes(),
        "\u{e0001}".as_bytes(),
        "\u{85}".as_bytes(),
        "\u{1f980}".as_bytes(),
    ];
    let short = prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat());
    prop_oneof![
        4 => short.clone(),
        2 => prop::collection::vec(any::<u8>(), 0..200),
        1 => short.prop_map(|text| text.iter().copied().cycle().take(if text.is_empty() { 0 } else { 65_536 }).collect()),
    ]
}

/// `value / 10^scale` with exactly `digits` decimals, rounded to the nearest, halves up.
pub fn rounded(value: u128, scale: u32, digits: u32) -> String {
    let (unit, whole) = (10u128.pow(scale - digits), 10u128.pow(digits));
    let rounded = value / unit + u128::from(unit > 1 && value % unit >= unit / 2);
    format!("{}.{:0width$}", rounded / whole, rounded % whole, width = digits as usize)
}

/// `value / 10^scale` with as few decimals as it takes, but one.
pub fn exact(value: u128, scale: u32) -> String {
    let whole = 10u128.pow(scale);
    let decimals = format!("{:0width$}", value % whole, width = scale as usize);
    let shown = decimals.trim_end_matches('0');
    format!("{}.{}", value / whole, if shown.is_empty() { "0" } else { shown })
}

fn set_texts(bits: u64) -> Vec<String> {
    (0..64).filter(|bit| bits >> bit & 1 == 1).map(|bit: u32| bit.to_string()).collect()
}

fn mac_text(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}

/// Takes the fields one by one and writes each as the standard library does.
#[derive(Default)]
pub struct Reference {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Fields of a row.
    pub row: Vec<String>,
    /// Each field with its columns in the row.
    pub visited: Vec<(Field, Vec<String>)>,
    members: Vec<String>,
}

impl Reference {
    /// What `fields` gives.
    pub fn of(fields: impl FnOnce(&mut Self)) -> Self {
        let mut reference = Self::default();
        fields(&mut reference);
        reference
    }

    /// All fields in one JSON object.
    pub fn object(self) -> String {
        format!("{{{}}}", self.members.join(","))
    }

    /// Takes a value that was read from the list of fields.
    pub fn value(&mut self, value: FieldValue<'_>) {
        self.row.extend(match value {
            FieldValue::Null => vec![String::new()],
            FieldValue::Word(word) => vec![word.to_owned()],
            FieldValue::Number(number) => vec![number.to_string()],
            FieldValue::Seconds(ns) => vec![rounded(ns.into(), 9, 6)],
            FieldValue::Milliseconds(ns) => vec![rounded(ns.into(), 6, 3)],
            FieldValue::Rate(thousandths) => vec![rounded(thousandths, 3, 3)],
            FieldValue::Endpoint(ip, port) => vec![ip.to_string(), port.to_string()],
            FieldValue::List(values) => vec![values.iter().map(u16::to_string).collect::<Vec<_>>().join(";")],
            FieldValue::Set(bits) => vec![set_texts(bits).join(";")],
            FieldValue::Address(ip) => vec![ip.to_string()],
            FieldValue::Mac(address) => vec![mac_text(address)],
            FieldValue::Boolean(value) => vec![value.to_string()],
        });
    }

    fn push(&mut self, field: &Field, kind: FieldType, row: Option<String>, json: Option<String>) {
        assert_eq!(field.kind, kind, "{}: the visitor's type is not the list's", field.name);
        self.columns.push(field.name.to_owned());
        self.row.push(row.clone().unwrap_or_default());
        self.visited.push((*field, vec![row.unwrap_or_default()]));
        self.members.push(format!("\"{}\":{}", field.name, json.unwrap_or_else(|| String::from("null"))));
    }

    fn push_quoted(&mut self, field: &Field, kind: FieldType, text: Option<&str>) {
        self.push(field, kind, text.map(str::to_owned), text.map(|text| serde_json::to_string(text).unwrap()));
    }
}

impl FieldSink for Reference {
    const HAS_COLUMNS: bool = false;

    fn word(&mut self, field: &'static Field, value: Option<&FieldWord>) {
        self.push_quoted(field, FieldType::Word, value.map(FieldWord::as_str));
    }

    fn code<const N: usize>(&mut self, field: &'static Field, value: Option<&[u8; N]>) {
        self.push_quoted(field, FieldType::Word, value.map(|code| std::str::from_utf8(code).unwrap()));
    }

    fn number(&mut self, field: &'static Field, value: Option<u64>) {
        let text = value.map(|value| value.to_string());
        self.push(field, FieldType::Number, text.clone(), text);
    }

    fn seconds(&mut self, field: &'static Field, ns: u64) {
        self.push(field, FieldType::Seconds, Some(rounded(ns.into(), 9, 6)), Some(exact(ns.into(), 9)));
    }

    fn milliseconds(&mut self, field: &'static Field, ns: Option<u64>) {
        let (row, json) = (ns.map(|ns| rounded(ns.into(), 6, 3)), ns.map(|ns| exact(ns.into(), 6)));
        self.push(field, FieldType::Milliseconds, row, json);
    }

    fn rate(&mut self, field: &'static Field, thousandths: u128) {
        self.push(field, FieldType::Rate, Some(rounded(thousandths, 3, 3)), Some(exact(thousandths, 3)));
    }

    fn endpoint(&mut self, field: &'static Field, (ip, port): (IpAddr, u16)) {
        assert_eq!(field.kind, FieldType::Endpoint, "{}", field.name);
        let name = field.name;
        self.columns.extend([format!("{name}_ip"), format!("{name}_port")]);
        self.row.extend([ip.to_string(), port.to_string()]);
        self.visited.push((*field, vec![ip.to_string(), port.to_string()]));
        self.members.push(format!("\"{name}\":{{\"ip\":\"{ip}\",\"port\":{port}}}"));
    }

    fn list(&mut self, field: &'static Field, values: &[u16]) {
        let texts: Vec<String> = values.iter().map(u16::to_string).collect();
        self.push(
            field,
            FieldType::List,
            Some(texts.iter().map(|text| escaped(text.as_bytes())).collect::<Vec<_>>().join(";")),
            Some(format!("[{}]", texts.join(","))),
        );
    }

    fn set(&mut self, field: &'static Field, bits: Option<u64>) {
        let texts = bits.map(set_texts);
        let json = texts.as_ref().map(|texts| format!("[{}]", texts.join(",")));
        self.push(field, FieldType::List, texts.map(|texts| texts.join(";")), json);
    }

    fn address(&mut self, field: &'static Field, ip: IpAddr) {
        self.push_quoted(field, FieldType::Address, Some(&ip.to_string()));
    }

    fn mac(&mut self, field: &'static Field, address: Option<[u8; 6]>) {
        self.push_quoted(field, FieldType::Word, address.map(mac_text).as_deref());
    }

    fn text(&mut self, field: &'static Field, value: Option<&[u8]>) {
        let text = value.map(|text| shown(text).collect::<String>());
        let json = text.as_deref().map(|text| serde_json::to_string(text).unwrap());
        self.push(field, FieldType::Text, value.map(escaped), json);
    }

    fn texts<'t>(&mut self, field: &'static Field, values: impl Iterator<Item = &'t [u8]> + Clone) {
        let texts: Vec<String> = values.map(|text| shown(text).collect()).collect();
        self.push(field, FieldType::List, Some(texts.join(";")), Some(serde_json::to_string(&texts).unwrap()));
    }

    fn boolean(&mut self, field: &'static Field, value: Option<bool>) {
        let text = value.map(|value| value.to_string());
        self.push(field, FieldType::Boolean, text.clone(), text);
    }

    fn object(&mut self, field: &'static Field, members: impl FnOnce(&mut Self)) {
        let outer = std::mem::take(&mut self.members);
        members(self);
        let inner = std::mem::replace(&mut self.members, outer);
        self.members.push(format!("\"{}\":{{{}}}", field.name, inner.join(",")));
    }
}
