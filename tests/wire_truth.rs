//! Dissects every capture of the corpus and compares flows, VLAN tags, tunnels and the types of ARP and ICMP
//! messages with what tshark found; and of our own recording the messages field by field.
//!
//! The corpus is where `NETSCOPE_CORPUS` says, or in `../shared/corpus`. Without one the test says so and passes, but not in CI.
//! It reads capture files itself, so that a mistake in the program's own reader cannot hide here.

use netscope::flow::{Direction, FlowKey};
use netscope::wire::{Dissected, Header, Network, Ports, Transport, Visitor, dissect, mac_addresses, supports, walk};
use netscope_backends::LinkType;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Captures with something inside that is not read on purpose, and what.
const UNREAD: [(&str, &str); 1] = [("ndpi__capwap.pcap", "802.11 frames in CAPWAP")];

struct RawPacket {
    link_type: LinkType,
    wire_len: u32,
    data: Vec<u8>,
}

/// Notes VLAN ids and the tunnel before each IP header but the first.
#[derive(Default)]
struct SeenTags {
    vlan: Vec<String>,
    between: Vec<&'static str>,
    ip_count: usize,
    tunnels: Vec<String>,
}

impl Visitor for SeenTags {
    fn header(&mut self, header: &Header<'_>, _offset: usize) {
        match header {
            Header::Vlan(tag) => self.vlan.push(tag.id().to_string()),
            Header::Gre(_) => self.between.push("gre"),
            Header::Erspan(_) => self.between.push("erspan"),
            Header::Vxlan(_) => self.between.push("vxlan"),
            Header::Geneve(_) => self.between.push("geneve"),
            Header::Gtpu(_) => self.between.push("gtp"),
            Header::Teredo(_) => self.between.push("teredo"),
            Header::L2tp(_) | Header::L2tpv3(_) => self.between.push("l2tp"),
            Header::Ipv4(_) | Header::Ipv6(_) => {
                self.ip_count += 1;
                if self.ip_count > 1 {
                    let path = self.between.join("/");
                    self.tunnels.push(if path.is_empty() { "ip-in-ip".to_owned() } else { path });
                }
                self.between.clear();
            }
            _ => {}
        }
    }
}

type TruthKey = (&'static str, FlowKey);

/// Packets, TCP payload bytes and packets with each of FIN SYN RST PSH ACK, per direction.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
struct DirectionCounts {
    packets: [u64; 2],
    tcp_payload: [u64; 2],
    flags: [[u64; 5]; 2],
}

/// Messages outside tunnels, by operation or type.
#[derive(Default)]
struct Messages {
    arp: BTreeMap<String, u64>,
    icmp: BTreeMap<String, u64>,
    icmpv6: BTreeMap<String, u64>,
}

impl Messages {
    fn count(&mut self, packet: &RawPacket, facts: &Dissected) {
        match (facts.network, facts.transport.icmp_type_and_code()) {
            (Some(network), Some((kind, _))) if facts.tunnel_depth == 0 => {
                let types = if network.protocol == 1 { &mut self.icmp } else { &mut self.icmpv6 };
                *types.entry(kind.to_string()).or_default() += 1;
            }
            (None, _) => {
                if let Some(arp) = facts.arp(&packet.data) {
                    *self.arp.entry(arp.operation.to_string()).or_default() += 1;
                }
            }
            _ => {}
        }
    }
}

fn flow_of(facts: &Dissected) -> Option<(&'static str, Network, Ports)> {
    let network = facts.network?;
    match facts.transport {
        Transport::Tcp(segment) => Some(("tcp", network, segment.ports)),
        Transport::TcpPorts(ports) => Some(("tcp", network, ports)),
        Transport::Udp(ports) => Some(("udp", network, ports)),
        _ => None,
    }
}

#[test]
fn every_capture_agrees_with_tshark() {
    let corpus = match std::env::var_os("NETSCOPE_CORPUS") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"),
    };
    if !corpus.join("truth").is_dir() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no corpus at {}", corpus.display());
        eprintln!("skipped: no corpus at {}", corpus.display());
        return;
    }
    let mut differences = Vec::new();
    let (mut captures, mut flows, mut neutral) = (0, 0, 0);
    for folder in ["", "derived", "malformed"] {
        for entry in std::fs::read_dir(corpus.join("captures").join(folder)).expect("captures") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                continue;
            }
            let name = path.file_name().expect("name").to_str().expect("utf-8").to_owned();
            let Ok(text) = std::fs::read(corpus.join("truth").join(folder).join(format!("{name}.json"))) else { continue };
            let truth: Value = serde_json::from_slice(&text).expect("truth");
            let packets = read_capture(&std::fs::read(&path).expect("capture"));
            if packets.iter().any(|p| !supports(p.link_type)) {
                eprintln!("{name}: a link type that is not read");
                continue;
            }
            if truth["packets"].as_u64() != Some(packets.len() as u64) {
                eprintln!("{name}: {} packets read, {} in the truth", packets.len(), truth["packets"]);
                continue;
            }
            if let Some((_, what)) = UNREAD.iter().find(|(n, _)| *n == name) {
                eprintln!("{name}: {what}");
                continue;
            }
            captures += 1;
            let (compared, left_out) = compare(&name, &truth, &packets, &mut differences);
            flows += compared;
            neutral += left_out;
        }
    }
    eprintln!("{captures} captures, {flows} flows compared, {neutral} neutral");
    assert!(captures > 100, "only {captures} captures could be compared");
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

fn compare(name: &str, truth: &Value, packets: &[RawPacket], differences: &mut Vec<String>) -> (usize, usize) {
    let mut ours: BTreeMap<TruthKey, DirectionCounts> = BTreeMap::new();
    let (mut stacks, mut tunnels) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
    let mut messages = Messages::default();
    for packet in packets {
        let mut path = SeenTags::default();
        let facts = walk(packet.link_type, &packet.data, packet.wire_len, &mut path);
        if !path.vlan.is_empty() {
            *stacks.entry(path.vlan.join(".")).or_default() += 1;
        }
        messages.count(packet, &facts);
        for tunnel in path.tunnels {
            *tunnels.entry(tunnel).or_default() += 1;
        }
        if let Some((protocol, network, ports)) = flow_of(&facts) {
            let (key, direction) = FlowKey::new(&network, ports);
            let counts = ours.entry((protocol, key)).or_default();
            counts.packets[direction.index()] += 1;
            if let Transport::Tcp(segment) = facts.transport {
                counts.tcp_payload[direction.index()] += u64::from(segment.payload_len);
                for (bit, count) in counts.flags[direction.index()].iter_mut().enumerate() {
                    *count += u64::from(segment.flags.0 >> bit & 1);
                }
            }
        }
    }
    let usual_links = truth["unusual_link_layers"].as_object().is_none_or(|o| o.is_empty());
    let mut expect = |what: &str, ours: &BTreeMap<String, u64>, theirs: &Value| {
        let theirs: BTreeMap<String, u64> =
            theirs.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.as_u64().expect("count"))).collect();
        if *ours != theirs && usual_links {
            differences.push(format!("{name}: {what} {ours:?}, tshark {theirs:?}"));
        }
    };
    expect("VLAN stacks", &stacks, &truth["vlan"]["stacks"]);
    expect("tunnels", &tunnels, &truth["tunnels"]);
    expect("ARP operations", &messages.arp, &truth["arp_opcodes"]);
    expect("ICMP types", &messages.icmp, &truth["icmp_types"]);
    expect("ICMPv6 types", &messages.icmpv6, &truth["icmpv6_types"]);

    let list = if truth["flows_inner"].is_array() { &truth["flows_inner"] } else { &truth["flows"] };
    let mut neutral = BTreeSet::new();
    let mut theirs: BTreeMap<TruthKey, DirectionCounts> = BTreeMap::new();
    for flow in list.as_array().expect("flows") {
        let key = truth_key(flow);
        if ["short_packets", "unusual_link_packets", "alt_addresses"].iter().any(|k| !flow[*k].is_null() && flow[*k] != 0) {
            neutral.insert(key);
            continue;
        }
        theirs.insert(key, truth_counts(flow, key.0 == "tcp"));
    }
    for key in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
        let (mine, other) = (ours.get(key), theirs.get(key));
        if mine != other && !neutral.contains(key) {
            let (protocol, k) = key;
            differences.push(format!(
                "{name}: {protocol} {} {} {} {}: {mine:?}, tshark {other:?}",
                k.a_ip(),
                k.a_port(),
                k.b_ip(),
                k.b_port()
            ));
        }
    }
    (theirs.len(), neutral.len())
}

/// ARP and ICMP messages of our own recording: addresses, operation, type, code and quoted packet of each.
#[test]
fn messages_of_our_recording() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let truth = std::fs::read_to_string(fixtures.join("truth/demo.pcapng.messages.tsv")).expect("truth");
    let packets = read_capture(&std::fs::read(fixtures.join("demo.pcapng")).expect("recording"));
    let ours: Vec<String> = packets.iter().enumerate().filter_map(|(index, packet)| message_line(index + 1, packet)).collect();
    let theirs: Vec<String> = truth.lines().skip(1).map(truth_line).collect();
    assert_eq!(ours, theirs);
    assert!(theirs.len() > 40 && theirs.iter().any(|line| line.contains("quotes")), "{} messages", theirs.len());
}

fn mac(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

fn ipv4(bytes: &[u8]) -> String {
    bytes[..4].iter().map(u8::to_string).collect::<Vec<_>>().join(".")
}

/// A packet with an ARP or ICMP message as one line.
fn message_line(number: usize, packet: &RawPacket) -> Option<String> {
    let facts = dissect(packet.link_type, &packet.data, packet.wire_len);
    let frame = mac_addresses(packet.link_type, &packet.data).expect("Ethernet");
    let head = format!("{number} {} {}", mac(frame.source), mac(frame.destination.expect("Ethernet")));
    if let Some(arp) = facts.arp(&packet.data) {
        let (sender, target) = (ipv4(&arp.sender_ip), ipv4(&arp.target_ip));
        return Some(format!("{head} arp {} {} {sender} {} {target}", arp.operation, mac(arp.sender_mac), mac(arp.target_mac)));
    }
    let (kind, code) = facts.transport.icmp_type_and_code()?;
    let name = if facts.network?.protocol == 1 { "icmp" } else { "icmpv6" };
    let quoted = facts.quoted_packet(&packet.data).map_or(String::new(), |quoted| {
        let ports = ports_of(&quoted.transport).map_or(String::new(), |ports| format!("{} {}", ports.source, ports.destination));
        let network = quoted.network;
        format!(" quotes {} {} {} {ports}", ipv4(&network.source), ipv4(&network.destination), network.protocol)
    });
    Some(format!("{head} {name} {kind} {code}{quoted}"))
}

fn ports_of(transport: &Transport) -> Option<Ports> {
    match *transport {
        Transport::Udp(ports) | Transport::TcpPorts(ports) => Some(ports),
        _ => None,
    }
}

/// The same out of a line of tshark's: values of several layers stand outermost first, a comma between them.
fn truth_line(line: &str) -> String {
    let fields: Vec<&str> = line.split('\t').collect();
    let outermost = |index: usize| fields[index].split(',').next().expect("a value");
    let innermost = |index: usize| fields[index].rsplit(',').next().expect("a value");
    let head = format!("{} {} {}", fields[0], outermost(1), outermost(2));
    if !fields[3].is_empty() {
        return format!("{head} arp {}", fields[3..8].join(" "));
    }
    if !fields[10].is_empty() {
        return format!("{head} icmpv6 {} {}", fields[10], fields[11]);
    }
    let quoted = match fields[8] {
        "3" => format!(" quotes {}", [12, 13, 14, 15, 16].map(innermost).join(" ")),
        _ => String::new(),
    };
    format!("{head} icmp {} {}{quoted}", fields[8], fields[9])
}

fn truth_key(flow: &Value) -> TruthKey {
    let end = |side: &str| {
        let ip: std::net::IpAddr = flow[side]["ip"].as_str().expect("ip").parse().expect("ip");
        (ip, flow[side]["port"].as_u64().expect("port") as u16)
    };
    let ((a, a_port), (b, b_port)) = (end("a"), end("b"));
    let protocol = if flow["proto"] == "tcp" { "tcp" } else { "udp" };
    let bytes = |ip| match ip {
        std::net::IpAddr::V4(ip) => {
            let mut wide = [0; 16];
            wide[..4].copy_from_slice(&ip.octets());
            wide
        }
        std::net::IpAddr::V6(ip) => ip.octets(),
    };
    let network = Network {
        version: if a.is_ipv4() { netscope::wire::IpVersion::V4 } else { netscope::wire::IpVersion::V6 },
        protocol: if protocol == "tcp" { 6 } else { 17 },
        ttl: 0,
        traffic_class: 0,
        source: bytes(a),
        destination: bytes(b),
        fragment: None,
    };
    let (key, direction) = FlowKey::new(&network, Ports { source: a_port, destination: b_port });
    assert_eq!(direction, Direction::AToB, "the truth's endpoint a is the smaller one");
    (protocol, key)
}

fn truth_counts(flow: &Value, tcp: bool) -> DirectionCounts {
    let pair = |name: &str| [flow[format!("{name}_ab")].as_u64().unwrap_or(0), flow[format!("{name}_ba")].as_u64().unwrap_or(0)];
    if !tcp {
        return DirectionCounts { packets: pair("packets"), ..DirectionCounts::default() };
    }
    let flags =
        ["flags_ab", "flags_ba"].map(|side| ["fin", "syn", "rst", "psh", "ack"].map(|f| flow[side][f].as_u64().unwrap_or(0)));
    DirectionCounts { packets: pair("packets"), tcp_payload: pair("payload"), flags }
}

/// Packets of a pcap or pcapng file, as far as it is sound.
fn read_capture(file: &[u8]) -> Vec<RawPacket> {
    let mut out = Vec::new();
    let _ = if file.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) { read_pcapng(file, &mut out) } else { read_pcap(file, &mut out) };
    out
}

fn u32_at(bytes: &[u8], at: usize, big: bool) -> Option<u32> {
    let word = *bytes.get(at..)?.first_chunk()?;
    Some(if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
}

fn u16_at(bytes: &[u8], at: usize, big: bool) -> Option<u16> {
    let word = *bytes.get(at..)?.first_chunk()?;
    Some(if big { u16::from_be_bytes(word) } else { u16::from_le_bytes(word) })
}

fn read_pcap(file: &[u8], out: &mut Vec<RawPacket>) -> Option<()> {
    let big = matches!(file.first()?, 0xa1);
    let magic = u32_at(file, 0, big)?;
    let record_header_len = if magic == 0xa1b2_cd34 { 24 } else { 16 };
    let link_type = LinkType(u32_at(file, 20, big)? as u16);
    let mut at = 24;
    loop {
        let captured = u32_at(file, at + 8, big)? as usize;
        let wire_len = u32_at(file, at + 12, big)?;
        at += record_header_len;
        out.push(RawPacket { link_type, wire_len, data: file.get(at..at + captured)?.to_vec() });
        at += captured;
    }
}

fn read_pcapng(file: &[u8], out: &mut Vec<RawPacket>) -> Option<()> {
    let (mut at, mut big, mut links, mut snaplens) = (0, false, Vec::new(), Vec::new());
    loop {
        if file.get(at..)?.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
            big = file.get(at + 8)? == &0x1a;
            links.clear();
            snaplens.clear();
        }
        let (kind, len) = (u32_at(file, at, big)?, u32_at(file, at + 4, big)? as usize);
        let block = file.get(at..at + len)?;
        match kind {
            1 => {
                links.push(LinkType(u16_at(block, 8, big)?));
                snaplens.push(u32_at(block, 12, big)?);
            }
            2 | 6 => {
                let interface = if kind == 6 { u32_at(block, 8, big)? as usize } else { usize::from(u16_at(block, 8, big)?) };
                let captured = u32_at(block, 20, big)? as usize;
                let data = block.get(28..28 + captured)?.to_vec();
                out.push(RawPacket { link_type: *links.get(interface)?, wire_len: u32_at(block, 24, big)?, data });
            }
            3 => {
                let wire_len = u32_at(block, 8, big)?;
                let snaplen = *snaplens.first()?;
                let captured = if snaplen == 0 { wire_len } else { wire_len.min(snaplen) } as usize;
                out.push(RawPacket { link_type: *links.first()?, wire_len, data: block.get(12..12 + captured)?.to_vec() });
            }
            _ => {}
        }
        at += len.max(12);
    }
}
