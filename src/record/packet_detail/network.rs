//! IP headers and what they carry as layers, with their checksums verified.
//!
//! Owns what a checksum is said to be. Its invariant: a checksum is called wrong only where every byte that it covers was
//! captured, in one packet.

use super::{LayerView, hex};
use crate::record::names::protocol_name;
use crate::record::packet_line::FlagNames;
use crate::wire::{
    self, Header, IpVersion, Ports, PseudoHeader, QuotedPacket, Transport, TransportChecksum, View, extension, icmp_name,
    icmpv6_name, sctp_chunk_name, sctp_chunks, unreachable_name, unreachable_v6_name, verify_transport,
};
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// Chunks of an SCTP packet that are listed.
const CHUNKS_MAX: usize = 32;

/// Makes layers, and remembers of each IP header what the checksums behind it take in.
pub(super) struct NetworkLayers<'a> {
    data: &'a [u8],
    wire_len: usize,
    /// Of the latest IP header.
    around: Option<Around>,
}

/// What an IP header says of the transport header behind it.
struct Around {
    /// Without a protocol.
    pseudo: PseudoHeader,
    /// Where what it carries ends, from the start of the packet.
    end: usize,
    /// Why no checksum behind it can be verified.
    obstacle: Option<&'static str>,
}

/// A number and its name, if it has one.
fn named(value: impl Display, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{value} ({name})"),
        None => value.to_string(),
    }
}

/// Name of a code point of differentiated services (IANA DSCP registry).
const fn dscp_name(value: u8) -> Option<&'static str> {
    Some(match value {
        0 => "CS0",
        1 => "LE",
        8 => "CS1",
        10 => "AF11",
        12 => "AF12",
        14 => "AF13",
        16 => "CS2",
        18 => "AF21",
        20 => "AF22",
        22 => "AF23",
        24 => "CS3",
        26 => "AF31",
        28 => "AF32",
        30 => "AF33",
        32 => "CS4",
        34 => "AF41",
        36 => "AF42",
        38 => "AF43",
        40 => "CS5",
        44 => "VOICE-ADMIT",
        46 => "EF",
        48 => "CS6",
        56 => "CS7",
        _ => return None,
    })
}

/// Explicit congestion notification (RFC 3168 section 5).
const fn ecn_name(value: u8) -> &'static str {
    ["not-ECT", "ECT(1)", "ECT(0)", "CE"][(value & 3) as usize]
}

fn with_traffic_class(view: LayerView, value: u8) -> LayerView {
    view.with("dscp", named(value >> 2, dscp_name(value >> 2))).with("ecn", named(value & 3, Some(ecn_name(value))))
}

fn protocol(number: u8) -> String {
    named(number, Some(protocol_name(number)).filter(|name| !name.starts_with("ip-proto-")))
}

/// A checksum and what became of it.
fn checksum(sent: u16, outcome: Result<TransportChecksum, &str>) -> String {
    match outcome {
        Ok(TransportChecksum::Right) => format!("{sent:#06x} (right)"),
        Ok(TransportChecksum::Wrong(right)) => format!("{sent:#06x} (wrong, {right:#06x} would be right)"),
        Ok(TransportChecksum::Offloaded) => {
            format!("{sent:#06x} (unverified: the sum of the pseudo header alone, the rest was left to the sender's card)")
        }
        Ok(TransportChecksum::None) => format!("{sent:#06x} (none)"),
        Err(why) => format!("{sent:#06x} (not verified: {why})"),
    }
}

impl<'a> NetworkLayers<'a> {
    /// Before the first header of a packet.
    pub fn new(data: &'a [u8], wire_len: u32) -> Self {
        Self { data, wire_len: wire_len as usize, around: None }
    }

    /// The layer of a network or transport header that begins at `offset`; `None` for any other.
    pub fn view(&mut self, header: &Header<'_>, offset: usize) -> Option<LayerView> {
        let ports = |name, p: Ports| LayerView::new(name).with("source port", p.source).with("destination port", p.destination);
        Some(match header {
            Header::Ipv4(h) => self.ipv4(h, offset),
            Header::Ipv6(h) => self.ipv6(h, offset),
            Header::Ipv6Extension(h) => self.extension(h),
            Header::Icmp(h) => {
                let code = if h.kind() == 3 { unreachable_name(h.code()) } else { None };
                let view = LayerView::new("ICMP")
                    .with("type", named(h.kind(), icmp_name(h.kind())))
                    .with("code", named(h.code(), code))
                    .with("checksum", checksum(h.checksum(), self.verify(ICMP, offset, None)));
                self.echo(view, matches!(h.kind(), 0 | 8), offset)
            }
            Header::Icmpv6(h) => {
                let code = if h.kind() == 1 { unreachable_v6_name(h.code()) } else { None };
                let view = LayerView::new("ICMPv6")
                    .with("type", named(h.kind(), icmpv6_name(h.kind())))
                    .with("code", named(h.code(), code))
                    .with("checksum", checksum(h.checksum(), self.verify(ICMPV6, offset, None)));
                self.echo(view, matches!(h.kind(), 128 | 129), offset)
            }
            Header::Igmp(h) => LayerView::new("IGMP").with("type", hex(h.kind())).with("group", Ipv4Addr::from(h.group())),
            Header::Tcp(h) => tcp_view(h, ports("TCP", h.ports()), &checksum(h.checksum(), self.verify(TCP, offset, None))),
            Header::Udp(h) => {
                let len = usize::from(h.datagram_len());
                let end = (len != 0).then_some(offset + len);
                ports("UDP", h.ports())
                    .with("length", h.datagram_len())
                    .with("checksum", checksum(h.checksum(), self.verify(UDP, offset, end)))
            }
            Header::UdpLite(h) => ports("UDP-Lite", h.ports()).with("checksum coverage", h.coverage()),
            Header::Sctp(h) => {
                let view = ports("SCTP", h.ports()).with("verification tag", hex(h.verification_tag()));
                let chunks = sctp_chunks(self.data.get(offset + wire::Sctp::LEN..).unwrap_or_default());
                chunks.take(CHUNKS_MAX).fold(view, |view, kind| view.with("chunk", named(kind, sctp_chunk_name(kind))))
            }
            _ => return None,
        })
    }

    fn ipv4(&mut self, h: &wire::Ipv4<'_>, offset: usize) -> LayerView {
        let end = if h.total_len() == 0 { self.wire_len } else { offset + usize::from(h.total_len()) };
        let (mut source, mut destination) = ([0; 16], [0; 16]);
        source[..4].copy_from_slice(&h.source());
        destination[..4].copy_from_slice(&h.destination());
        self.around = Some(Around {
            pseudo: PseudoHeader { version: IpVersion::V4, source, destination, protocol: 0 },
            end,
            obstacle: h.is_fragment().then_some("a fragment"),
        });
        with_traffic_class(LayerView::new("IPv4").with("header length", h.header_len()), h.traffic_class())
            .with("total length", h.total_len())
            .with("identification", hex(h.id()))
            .with("don't fragment", h.dont_fragment())
            .with("more fragments", h.more_fragments())
            .with("fragment offset", h.fragment_offset())
            .with("ttl", h.ttl())
            .with("protocol", protocol(h.protocol()))
            .with("checksum", format_args!("{:#06x} ({})", h.checksum(), if h.checksum_ok() { "right" } else { "wrong" }))
            .with("source", Ipv4Addr::from(h.source()))
            .with("destination", Ipv4Addr::from(h.destination()))
            .with_some("options", (!h.options().is_empty()).then(|| format!("{} bytes", h.options().len())))
    }

    fn ipv6(&mut self, h: &wire::Ipv6<'_>, offset: usize) -> LayerView {
        let end = offset + wire::Ipv6::LEN + usize::from(h.payload_len());
        let pseudo = PseudoHeader { version: IpVersion::V6, source: h.source(), destination: h.destination(), protocol: 0 };
        // Of a jumbogram the length stands elsewhere.
        let end = if h.payload_len() == 0 { self.wire_len } else { end };
        self.around = Some(Around { pseudo, end, obstacle: None });
        with_traffic_class(LayerView::new("IPv6"), h.traffic_class())
            .with("flow label", hex(h.flow_label()))
            .with("payload length", h.payload_len())
            .with("next header", protocol(h.next_header()))
            .with("hop limit", h.hop_limit())
            .with("source", Ipv6Addr::from(h.source()))
            .with("destination", Ipv6Addr::from(h.destination()))
    }

    fn extension(&mut self, h: &wire::Ipv6Extension<'_>) -> LayerView {
        let view = LayerView::new("IPv6 extension")
            .with("kind", format_args!("{} ({})", h.kind(), extension::name(h.kind())))
            .with("next header", protocol(h.next_header()))
            .with("length", h.bytes().len());
        let obstacle = match h.kind() {
            extension::FRAGMENT if h.fragment_offset() != 0 || h.more_fragments() => Some("a fragment"),
            // The last hop's address is in the sum (RFC 8200 section 8.1).
            extension::ROUTING if h.bytes().get(3).is_some_and(|&left| left != 0) => Some("on its way by a routing header"),
            _ => None,
        };
        if let Some(around) = &mut self.around {
            around.obstacle = around.obstacle.or(obstacle);
        }
        if h.kind() != extension::FRAGMENT {
            return view;
        }
        view.with("fragment offset", h.fragment_offset())
            .with("more fragments", h.more_fragments())
            .with("identification", hex(h.fragment_id()))
    }

    /// Identifier and number of an echo.
    fn echo(&self, view: LayerView, is_echo: bool, offset: usize) -> LayerView {
        match self.data.get(offset + 4..).and_then(|bytes| bytes.first_chunk::<4>()) {
            Some(&[a, b, c, d]) if is_echo => {
                view.with("identifier", u16::from_be_bytes([a, b])).with("sequence number", u16::from_be_bytes([c, d]))
            }
            _ => view,
        }
    }

    /// Of the transport header at `offset`, which ends at `end` with its payload, or where the IP header says. Or why not.
    fn verify(&self, protocol: u8, offset: usize, end: Option<usize>) -> Result<TransportChecksum, &'static str> {
        let around = self.around.as_ref().ok_or("no IP header")?;
        if let Some(obstacle) = around.obstacle {
            return Err(obstacle);
        }
        let pseudo = PseudoHeader { protocol, ..around.pseudo };
        let segment = self.data.get(offset..end.unwrap_or(around.end)).ok_or("the packet was not captured whole")?;
        verify_transport(&pseudo, segment).ok_or("the packet was not captured whole")
    }
}

fn tcp_view(header: &wire::Tcp<'_>, view: LayerView, checksum: &str) -> LayerView {
    let options = header.options();
    let blocks = options.sack.iter().take(usize::from(options.sack_count));
    let view = view
        .with("sequence", header.sequence())
        .with("acknowledgment", header.acknowledgment())
        .with("header length", header.header_len())
        .with("flags", FlagNames(header.flags()))
        .with("window", header.window())
        .with("checksum", checksum)
        .with("urgent pointer", header.urgent())
        .with_some("mss", options.mss)
        .with_some("window scale", options.window_scale)
        .with_some("sack permitted", options.sack_permitted.then_some(true))
        .with_some("timestamp", options.timestamps.map(|t| t.0))
        .with_some("timestamp echo", options.timestamps.map(|t| t.1));
    let view = blocks.fold(view, |view, (left, right)| view.with("sack", format_args!("{left}-{right}")));
    view.with_some("options", options.malformed.then_some("cut or malformed"))
}

/// The packet that an ICMP error quotes.
pub(super) fn quoted_view(quoted: &QuotedPacket) -> LayerView {
    let QuotedPacket { network, transport, .. } = quoted;
    let ip = |address: [u8; 16]| match (network.version, address) {
        (IpVersion::V4, [a, b, c, d, ..]) => IpAddr::from([a, b, c, d]),
        (IpVersion::V6, address) => IpAddr::from(address),
    };
    let ports = match *transport {
        Transport::Tcp(segment) => Some(segment.ports),
        Transport::TcpPorts(ports) | Transport::Udp(ports) | Transport::UdpLite(ports) | Transport::Sctp(ports) => Some(ports),
        _ => None,
    };
    LayerView::new("Quoted packet")
        .with("source", ip(network.source))
        .with("destination", ip(network.destination))
        .with("protocol", protocol(network.protocol))
        .with_some("source port", ports.map(|ports| ports.source))
        .with_some("destination port", ports.map(|ports| ports.destination))
}
