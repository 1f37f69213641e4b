//! One packet as layers with named fields.
//!
//! Owns the names. Knows no flow table: what a flow knows of its packet comes as a note. Its invariant: values are numbers,
//! addresses and our own words; text out of the payload is [escaped](super::untrusted).

mod flow;
mod network;
mod payload;
mod ranges;

use self::network::NetworkLayers;
use self::ranges::field_range;
use super::packet_line::{Colons, ProtocolAddress};
use crate::wire::{self, Header, View, Visitor, ethertype, link_name, walk};
use netscope_backends::LinkType;
use std::fmt::{Display, Write};

pub use flow::flow_detail;
pub use payload::payload_detail;

/// Where the packet begins that an ICMP error quotes, from the end of its checksum (RFC 792).
const QUOTE_OFFSET: usize = 4;

/// Bytes of a packet: where they begin, from its start, and how many.
pub type PacketRange = (usize, usize);

/// A layer of a packet: its name, its bytes, and its fields in the order of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerView {
    /// Name of the protocol.
    pub name: &'static str,
    /// Where it begins, in bytes from the start of the packet.
    pub offset: usize,
    /// Its bytes, as far as they were captured; 0 of one that has none.
    pub len: usize,
    /// Names, values, and the bytes that each value is read from; `None` where it is not told, or has no bytes of its own. All of them
    /// were captured.
    pub fields: Vec<(&'static str, String, Option<PacketRange>)>,
}

impl LayerView {
    fn new(name: &'static str) -> Self {
        Self { name, offset: 0, len: 0, fields: Vec::new() }
    }

    /// At these bytes of the packet.
    fn at(self, offset: usize, len: usize) -> Self {
        Self { offset, len, ..self }
    }

    fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.fields.push((name, value.to_string(), None));
        self
    }

    fn with_some(self, name: &'static str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

/// The layers of a packet, outermost first: the frame, every header that was read, what is left, and what
/// could not be read.
pub fn packet_detail(link_type: LinkType, data: &[u8], wire_len: u32) -> Vec<LayerView> {
    let frame = LayerView::new("Frame")
        .with("link type", format_args!("{link_type} ({})", link_name(link_type)))
        .with("length on the wire", wire_len)
        .with("captured", data.len())
        .at(0, data.len());
    let mut collector = LayerCollector { layers: vec![frame], data, network: NetworkLayers::new(data, wire_len) };
    let facts = walk(link_type, data, wire_len, &mut collector);
    let mut layers = collector.layers;
    let (payload, payload_len) = (facts.payload_offset as usize, facts.payload_len as usize);
    let quote_len = payload_len.saturating_sub(QUOTE_OFFSET);
    layers.extend(facts.quoted_packet(data).map(|quoted| network::quoted_view(&quoted).at(payload + QUOTE_OFFSET, quote_len)));
    if payload_len > 0 {
        layers.push(LayerView::new("Payload").with("offset", payload).with("captured", payload_len).at(payload, payload_len));
    }
    if let Some(fault) = facts.fault {
        layers.push(LayerView::new("Fault").with("layer", fault.layer.name()).with("kind", fault.kind.name()));
    }
    layers
}

/// Appends layers as text: a line for each name, and an indented line for each field.
pub fn write_layers(out: &mut String, layers: &[LayerView]) {
    for layer in layers {
        out.push_str(layer.name);
        out.push('\n');
        for (name, value, _) in &layer.fields {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "    {name}: {value}");
        }
    }
}

struct LayerCollector<'a> {
    layers: Vec<LayerView>,
    data: &'a [u8],
    network: NetworkLayers<'a>,
}

impl Visitor for LayerCollector<'_> {
    fn header(&mut self, header: &Header<'_>, offset: usize) {
        let network = self.network.view(header, offset);
        let view = network.or_else(|| link_view(header)).or_else(|| tag_view(header)).or_else(|| tunnel_view(header));
        let bytes = self.data.get(offset..).unwrap_or_default();
        self.layers.extend(view.map(|view| {
            let mut view = view.at(offset, header.header_len().min(bytes.len()));
            for i in 0..view.fields.len() {
                let name = view.fields[i].0;
                let nth = view.fields[..i].iter().filter(|(other, ..)| *other == name).count();
                let range = field_range(header, bytes, name, nth).filter(|(at, len)| at + len <= bytes.len());
                view.fields[i].2 = range.map(|(at, len)| (offset + at, len));
            }
            view.fields.insert(0, ("offset", offset.to_string(), None));
            view
        }));
    }
}

fn ether_type(value: u16) -> String {
    match ethertype::any_name(value) {
        Some(name) => format!("{value:#06x} ({name})"),
        None => format!("{value:#06x}"),
    }
}

fn hex(value: impl Into<u32>) -> String {
    format!("{:#x}", value.into())
}

fn link_view(header: &Header<'_>) -> Option<LayerView> {
    let cooked = |name, kind: u16, hardware: u16, address: &[u8; 8], len: u16, protocol: u16| {
        LayerView::new(name)
            .with("packet type", wire::packet_type_name(kind))
            .with("hardware type", hardware)
            .with("sender", Colons(&address[..usize::from(len).min(8)]))
            .with("protocol", ether_type(protocol))
    };
    Some(match header {
        Header::Ethernet(h) => LayerView::new("Ethernet")
            .with("destination", Colons(&h.destination()))
            .with("source", Colons(&h.source()))
            .with("type", ether_type(h.ether_type())),
        Header::Vlan(h) => LayerView::new("VLAN")
            .with("priority", h.priority())
            .with("drop eligible", h.drop_eligible())
            .with("id", h.id())
            .with("type", ether_type(h.ether_type())),
        Header::Llc(h) => LayerView::new("LLC")
            .with("dsap", hex(h.dsap()))
            .with("ssap", hex(h.ssap()))
            .with("control", hex(h.control()))
            .with_some("snap organisation", h.snap().map(|(oui, _)| Colons(&oui).to_string()))
            .with_some("snap protocol", h.snap().map(|(_, protocol)| ether_type(protocol))),
        Header::Mpls(h) => LayerView::new("MPLS")
            .with("label", h.label())
            .with("traffic class", h.traffic_class())
            .with("bottom of stack", h.bottom())
            .with("ttl", h.ttl()),
        Header::Pppoe(h) => LayerView::new("PPPoE")
            .with("code", hex(h.code()))
            .with("session", h.session_id())
            .with("payload length", h.payload_len()),
        Header::Ppp(h) => LayerView::new("PPP").with("protocol", format_args!("{:#06x}", h.protocol())),
        Header::Sll(h) => {
            cooked("Linux cooked v1", h.packet_type(), h.hardware_type(), &h.address(), h.address_len(), h.protocol())
        }
        Header::Sll2(h) => {
            cooked("Linux cooked v2", h.packet_type(), h.hardware_type(), &h.address(), h.address_len(), h.protocol())
                .with("interface", h.interface_index())
        }
        Header::Null(h) => LayerView::new("Loopback").with("family", h.family()),
        Header::Hdlc(h) => {
            LayerView::new("Cisco HDLC").with("address", hex(h.address())).with("type", ether_type(h.ether_type()))
        }
        Header::Nflog(h) => {
            LayerView::new("NFLOG").with("family", h.family()).with("group", h.group()).with_some("packet length", h.packet_len())
        }
        Header::Radiotap(h) => LayerView::new("Radio").with("length", h.header_len()),
        Header::Ppi(h) => LayerView::new("PPI").with("length", h.header_len()).with("link type", h.link_type()),
        Header::Wlan(h) => LayerView::new("802.11")
            .with("type", h.kind())
            .with("subtype", h.subtype())
            .with("flags", hex(h.flags()))
            .with("fragment", h.fragment())
            .with("aggregate", h.is_aggregate()),
        Header::Arp(h) => LayerView::new("ARP")
            .with("operation", h.operation())
            .with("sender hardware", Colons(h.sender_hardware()))
            .with("sender address", ProtocolAddress(h.sender_protocol()))
            .with("target hardware", Colons(h.target_hardware()))
            .with("target address", ProtocolAddress(h.target_protocol())),
        _ => return None,
    })
}

fn tag_view(header: &Header<'_>) -> Option<LayerView> {
    let dsa = |tag: wire::DsaTag, kind: u16| {
        LayerView::new("DSA")
            .with("device", tag.device())
            .with("port", tag.port())
            .with_some("vlan", tag.vlan())
            .with("type", ether_type(kind))
    };
    Some(match header {
        Header::Etag(h) => LayerView::new("E-TAG")
            .with("channel", h.channel())
            .with("ingress channel", h.ingress_channel())
            .with("type", ether_type(h.ether_type())),
        Header::Vntag(h) => LayerView::new("VN-TAG")
            .with("destination", h.destination())
            .with("source", h.source())
            .with("type", ether_type(h.ether_type())),
        Header::Pbb(h) => LayerView::new("I-TAG").with("service", h.service()),
        Header::Nsh(h) => LayerView::new("NSH")
            .with("path", h.path())
            .with("index", h.index())
            .with("next protocol", h.next_protocol())
            .with("length", h.header_len()),
        Header::Macsec(h) => LayerView::new("MACsec")
            .with("association", h.association())
            .with("short length", h.short_len())
            .with("packet number", h.packet_number())
            .with("encrypted", h.ether_type().is_none())
            .with_some("type", h.ether_type().map(ether_type)),
        Header::Redundancy(h) => {
            LayerView::new("Redundancy tag").with("sequence", h.sequence()).with("type", ether_type(h.ether_type()))
        }
        Header::Cmd(h) => LayerView::new("Cisco metadata").with("group", h.group()).with("type", ether_type(h.ether_type())),
        Header::Dsa(h) => dsa(h.tag(), h.ether_type()),
        Header::Edsa(h) => dsa(h.tag(), h.ether_type()),
        _ => return None,
    })
}

fn tunnel_view(header: &Header<'_>) -> Option<LayerView> {
    Some(match header {
        Header::Gre(h) => LayerView::new("GRE")
            .with("version", h.version())
            .with("flags", format_args!("{:#06x}", h.flags()))
            .with("protocol", ether_type(h.protocol()))
            .with_some("key", h.key().map(hex))
            .with_some("sequence", h.sequence()),
        Header::Erspan(h) => {
            LayerView::new("ERSPAN").with("version", h.version()).with("vlan", h.vlan()).with("session", h.session_id())
        }
        Header::Vxlan(h) => LayerView::new("VXLAN").with("flags", hex(h.flags())).with("vni", h.vni()),
        Header::Geneve(h) => LayerView::new("Geneve")
            .with("protocol", ether_type(h.protocol()))
            .with("vni", h.vni())
            .with("options length", h.options().len()),
        Header::Gtpu(h) => LayerView::new("GTP-U")
            .with("message type", h.message_type())
            .with("message length", h.message_len())
            .with("teid", hex(h.teid())),
        Header::Teredo(h) => {
            LayerView::new("Teredo").with("authentication", h.has_authentication()).with("origin", h.has_origin())
        }
        Header::L2tp(h) => LayerView::new("L2TP").with("tunnel", h.tunnel_id()).with("session", h.session_id()),
        Header::L2tpv3(h) => LayerView::new("L2TPv3").with("session", h.session_id()),
        Header::Wccp(h) => LayerView::new("WCCP").with("service", h.service()),
        Header::EtherIp(_) => LayerView::new("EtherIP"),
        Header::Lisp(h) => LayerView::new("LISP")
            .with("instance", h.instance())
            .with("encrypted", h.is_encrypted())
            .with_some("next protocol", h.next_protocol()),
        Header::Ayiya(h) => LayerView::new("AYIYA").with("operation", h.operation()).with("next header", h.next_header()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::packet_line::{LineStyle, LineTime, PacketLines};
    use crate::record::text::pushed;
    use crate::wire::tests::build::{ipv4, ipv4_with, join, udp_ports, zoo};
    use netscope_backends::{Packet, Timestamp};

    /// IPv4 in GRE in IPv6, with TCP that has a timestamp option.
    fn packet() -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 56, 47, 64];
        bytes.extend([0xfe; 32]);
        bytes.extend([0, 0, 8, 0]);
        bytes.extend([0x45, 0, 0, 52, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        bytes.extend([0, 80, 0, 81, 0, 0, 0, 1, 0, 0, 0, 2, 0x80, 0x18, 0, 9, 0, 0, 0, 0]);
        bytes.extend([1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6]);
        bytes
    }

    fn value<'a>(layers: &'a [LayerView], layer: &str, field: &str) -> &'a str {
        let layer = layers.iter().find(|l| l.name == layer).expect("layer");
        &layer.fields.iter().find(|(name, ..)| *name == field).expect("field").1
    }

    #[test]
    fn layers_of_a_tunnelled_packet() {
        let layers = packet_detail(LinkType::RAW, &packet(), 96);
        let names: Vec<_> = layers.iter().map(|l| l.name).collect();
        assert_eq!(names, ["Frame", "IPv6", "GRE", "IPv4", "TCP"]);
        assert_eq!(value(&layers, "Frame", "link type"), "101 (raw IP)");
        assert_eq!(value(&layers, "GRE", "protocol"), "0x0800 (IPv4)");
        assert_eq!(value(&layers, "IPv4", "destination"), "10.0.0.2");
        assert_eq!(value(&layers, "IPv4", "checksum"), "0x0000 (wrong)");
        assert_eq!(value(&layers, "IPv4", "protocol"), "6 (tcp)");
        assert_eq!((value(&layers, "IPv6", "dscp"), value(&layers, "IPv6", "ecn")), ("0 (CS0)", "0 (not-ECT)"));
        assert_eq!(layers[4].fields[0], ("offset", "64".to_owned(), None));
        assert_eq!((layers[4].offset, layers[4].len), (64, 32));
        let at = |name: &str| layers[4].fields.iter().find(|(field, ..)| *field == name).and_then(|field| field.2);
        assert_eq!((at("destination port"), at("flags"), at("timestamp echo")), (Some((66, 2)), Some((76, 2)), Some((92, 4))));
        assert_eq!(value(&layers, "TCP", "flags"), "PSH,ACK");
        assert_eq!(value(&layers, "TCP", "timestamp echo"), "6");
        assert_eq!(value(&layers, "TCP", "offset"), "64");
    }

    #[test]
    fn a_cut_packet_shows_its_fault() {
        let layers = packet_detail(LinkType::RAW, &packet()[..50], 96);
        assert_eq!((value(&layers, "Fault", "layer"), value(&layers, "Fault", "kind")), ("ipv4", "truncated"));
        let mut text = String::new();
        write_layers(&mut text, &layers[layers.len() - 1..]);
        assert_eq!(text, "Fault\n    layer: ipv4\n    kind: truncated\n");
    }

    fn checksum_of(layer: &str, data: &[u8], wire_len: usize) -> String {
        value(&packet_detail(LinkType::RAW, data, wire_len as u32), layer, "checksum").to_owned()
    }

    #[test]
    fn checksums_are_verified_where_all_that_they_cover_is_there() {
        let whole = ipv4(17, &udp_ports(53, 54, b"abc"));
        let with = |checksum: [u8; 2]| {
            let mut data = whole.clone();
            data[26..28].copy_from_slice(&checksum);
            data
        };
        let said = checksum_of("UDP", &with([0x12, 0x34]), 31);
        let right = said.strip_prefix("0x1234 (wrong, 0x").and_then(|said| said.strip_suffix(" would be right)")).expect("wrong");
        let right = u16::from_str_radix(right, 16).expect("a number").to_be_bytes();
        assert_eq!(checksum_of("UDP", &with(right), 31), format!("{:#06x} (right)", u16::from_be_bytes(right)));
        assert_eq!(checksum_of("UDP", &with([0, 0]), 31), "0x0000 (none)");
        assert_eq!(
            checksum_of("UDP", &with(right)[..30], 31),
            format!("{:#06x} (not verified: the packet was not captured whole)", u16::from_be_bytes(right))
        );
        // Padding behind the packet is no part of it.
        assert!(checksum_of("UDP", &join(&[&with(right), &[9; 5]]), 36).ends_with("(right)"));
        // 10.1.2.3, 192.0.2.7, 17 and 11, and no more.
        assert!(
            checksum_of("UDP", &with([0xce, 0x27]), 31).contains("unverified"),
            "{}",
            checksum_of("UDP", &with([0xce, 0x27]), 31)
        );
        let fragment = ipv4_with(17, 0x2000, &[], &udp_ports(53, 54, b"abcdefgh"));
        assert!(checksum_of("UDP", &fragment, fragment.len()).ends_with("(not verified: a fragment)"));
        let echo = ipv4(1, &[8, 0, 0xf7, 0xf6, 0, 7, 0, 2]);
        let layers = packet_detail(LinkType::RAW, &echo, 28);
        assert_eq!(value(&layers, "ICMP", "checksum"), "0xf7f6 (right)");
        assert_eq!((value(&layers, "ICMP", "identifier"), value(&layers, "ICMP", "sequence number")), ("7", "2"));
        assert_eq!(value(&layers, "ICMP", "type"), "8 (echo request)");
        let error = ipv4(1, &join(&[&[3, 3, 0, 0, 0, 0, 0, 0], &whole]));
        let layers = packet_detail(LinkType::RAW, &error, error.len() as u32);
        assert_eq!(value(&layers, "ICMP", "code"), "3 (port unreachable)");
        assert_eq!(value(&layers, "Quoted packet", "destination port"), "54");
    }

    /// The layers of a packet, and each field with its layer, its number in it and its range.
    fn ranged(link: u16, bytes: &[u8]) -> Vec<(usize, usize, PacketRange)> {
        let layers = packet_detail(LinkType(link), bytes, bytes.len() as u32);
        let fields = layers.iter().enumerate().flat_map(|(at, layer)| {
            let range_of = move |(i, field): (usize, &(&str, String, Option<PacketRange>))| Some((at, i, field.2?));
            layer.fields.iter().enumerate().filter_map(range_of)
        });
        fields.collect()
    }

    #[test]
    fn a_field_changes_with_each_byte_of_its_range() {
        let mut names = std::collections::BTreeSet::new();
        for (name, link, bytes) in zoo() {
            let before = packet_detail(LinkType(link), &bytes, bytes.len() as u32);
            for (layer, field, (at, len)) in ranged(link, &bytes) {
                assert!(len > 0 && at >= before[layer].offset && at + len <= bytes.len(), "{name}: {:?}", before[layer]);
                let (field_name, value, _) = &before[layer].fields[field];
                names.insert(format!("{} {field_name}", before[layer].name));
                // Of options it says how many bytes they are.
                for place in (at..at + len).filter(|_| *field_name != "options") {
                    let changes = (0..8).any(|bit| {
                        let mut changed = bytes.clone();
                        changed[place] ^= 1 << bit;
                        let after = packet_detail(LinkType(link), &changed, changed.len() as u32);
                        after.get(layer).and_then(|layer| layer.fields.get(field)).is_none_or(|after| after.1 != *value)
                    });
                    assert!(changes, "{name}: {} {field_name} does not depend on byte {place}", before[layer].name);
                }
            }
        }
        assert!(names.len() > 90, "{}: {names:?}", names.len());
    }

    #[test]
    fn layers_lie_in_the_packet_however_it_is_cut() {
        for (name, link, bytes) in zoo() {
            for len in 0..=bytes.len() {
                let cut = &bytes[..len];
                for layer in packet_detail(LinkType(link), cut, bytes.len() as u32) {
                    assert!(layer.offset + layer.len <= len, "{name} cut to {len}: {layer:?}");
                    let ends = layer.fields.iter().filter_map(|field| field.2).map(|(at, len)| at + len);
                    assert!(ends.max().is_none_or(|end| end <= len), "{name} cut to {len}: {layer:?}");
                }
            }
        }
    }

    /// Counts headers, to compare with the views.
    struct HeaderCount(usize);

    impl Visitor for HeaderCount {
        fn header(&mut self, _header: &Header<'_>, _offset: usize) {
            self.0 += 1;
        }
    }

    #[test]
    fn every_header_has_a_view_and_nothing_controls_the_terminal() {
        for (name, link, bytes) in zoo() {
            let mut count = HeaderCount(0);
            walk(LinkType(link), &bytes, bytes.len() as u32, &mut count);
            let layers = packet_detail(LinkType(link), &bytes, bytes.len() as u32);
            let views = layers.iter().filter(|l| !["Frame", "Payload", "Quoted packet"].contains(&l.name)).count();
            assert_eq!(views, count.0, "{name}: {layers:?}");
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] = 0x1b;
                let mut text = String::new();
                let packet =
                    Packet { data: &damaged, time: Timestamp(0), wire_len: damaged.len() as u32, link_type: LinkType(link) };
                write_layers(&mut text, &packet_detail(LinkType(link), &damaged, damaged.len() as u32));
                text.extend(payload_detail(&packet).map(|view| format!("{view:?}")));
                let style = LineStyle {
                    time: LineTime::Utc,
                    first_date: true,
                    link: true,
                    absolute_seq: false,
                    payload: true,
                    color: false,
                };
                let line = pushed(|out| PacketLines::new(style).push(out, 1, None, &packet));
                text.push_str(&String::from_utf8(line).expect("lines are UTF-8"));
                assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{name}: {text:?}");
            }
        }
    }
}
