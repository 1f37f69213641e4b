//! The way through the common frame: Ethernet, at most one VLAN tag, plain IPv4 or IPv6, TCP or UDP.
//!
//! Owns a shortcut and no rule: what [`walk`](super::walk) says of a packet is the truth. Its invariant: it either writes exactly
//! what the walk would, or writes nothing and says so.

use super::ethernet::ethertype;
use super::tcp::parse_options;
use super::udp::Udp;
use super::view::{array_at, be16, be32};
use super::walk::is_tunnel_port;
use super::{Dissected, IpVersion, Layer, Network, Ports, TcpFlags, TcpOptions, TcpSegment, Transport, VlanTags};
use netscope_backends::LinkType;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Behind the link layer: where the network header begins and what it is.
struct Framed {
    at: usize,
    ether_type: u16,
    vlan: VlanTags,
}

/// What the IP header says of the place of its payload.
struct Bounds {
    /// Where the transport header begins.
    at: usize,
    /// End of the IP packet by its own header.
    end: usize,
}

/// Reads a common frame into `out`; false, with `out` as it was, when this is none.
#[inline]
pub(super) fn dissect_common(link_type: LinkType, data: &[u8], wire_len: u32, out: &mut Dissected) -> bool {
    if link_type != LinkType::ETHERNET {
        return false;
    }
    let Some(framed) = link_layer(data) else { return false };
    match framed.ether_type {
        ethertype::IPV4 => ipv4(data, wire_len, &framed, out),
        ethertype::IPV6 => ipv6(data, wire_len, &framed, out),
        _ => false,
    }
}

#[inline(always)]
fn link_layer(data: &[u8]) -> Option<Framed> {
    let header = data.first_chunk::<14>()?;
    let ether_type = be16(header, 12);
    if ether_type != ethertype::VLAN {
        return Some(Framed { at: 14, ether_type, vlan: VlanTags { ids: [0; VlanTags::KEPT], count: 0 } });
    }
    let tagged = data.first_chunk::<18>()?;
    let vlan = VlanTags { ids: [be16(tagged, 14) & 0x0fff, 0], count: 1 };
    Some(Framed { at: 18, ether_type: be16(tagged, 16), vlan })
}

#[inline(always)]
fn ipv4(data: &[u8], wire_len: u32, framed: &Framed, out: &mut Dissected) -> bool {
    let Some(header) = data.get(framed.at..).and_then(|rest| rest.first_chunk::<20>()) else { return false };
    let total_len = usize::from(be16(header, 2));
    // Version 4 without options, a length of its own, no fragment.
    if header[0] != 0x45 || total_len < 20 || be16(header, 6) & 0x3fff != 0 {
        return false;
    }
    let bounds = Bounds { at: framed.at + 20, end: framed.at + total_len };
    let Some(read) = transport(data, wire_len, header[9], &bounds) else { return false };
    let network = Network {
        version: IpVersion::V4,
        protocol: header[9],
        ttl: header[8],
        source: widen(array_at(header, 12)),
        destination: widen(array_at(header, 16)),
        fragment: None,
    };
    read.write(network, framed.vlan, !is_sum_right(header), out);
    true
}

#[inline(always)]
fn ipv6(data: &[u8], wire_len: u32, framed: &Framed, out: &mut Dissected) -> bool {
    let Some(header) = data.get(framed.at..).and_then(|rest| rest.first_chunk::<40>()) else { return false };
    let payload_len = usize::from(be16(header, 4));
    // A length of 0 may stand for a jumbogram or for an offloaded segment.
    if header[0] >> 4 != 6 || payload_len == 0 {
        return false;
    }
    let bounds = Bounds { at: framed.at + 40, end: framed.at + 40 + payload_len };
    let Some(read) = transport(data, wire_len, header[6], &bounds) else { return false };
    let network = Network {
        version: IpVersion::V6,
        protocol: header[6],
        ttl: header[7],
        source: array_at(header, 8),
        destination: array_at(header, 24),
        fragment: None,
    };
    read.write(network, framed.vlan, false, out);
    true
}

/// A transport header that is whole.
enum Read<'a> {
    Tcp { fixed: &'a [u8; 20], options: &'a [u8], payload_len: u32, payload: Payload },
    Udp { ports: Ports, payload: Payload },
}

/// Captured payload.
#[derive(Clone, Copy)]
struct Payload {
    offset: usize,
    len: usize,
}

#[inline(always)]
fn transport<'a>(data: &'a [u8], wire_len: u32, protocol: u8, bounds: &Bounds) -> Option<Read<'a>> {
    let wire_end = (wire_len as usize).max(data.len()).min(bounds.end);
    // Padding behind the IP packet is none of its bytes.
    let data = data.get(..bounds.end).unwrap_or(data);
    let rest = data.get(bounds.at..)?;
    match protocol {
        TCP => {
            let fixed = rest.first_chunk::<20>()?;
            let header_len = usize::from(fixed[12] >> 4) * 4;
            // Whole as captured, so within the IP packet too: `data` ends where that does.
            let options = rest.get(20..header_len)?;
            let offset = bounds.at + header_len;
            let payload = Payload { offset, len: data.len() - offset };
            Some(Read::Tcp { fixed, options, payload_len: (wire_end - offset) as u32, payload })
        }
        UDP => {
            let header = rest.first_chunk::<{ Udp::LEN }>()?;
            let datagram_len = usize::from(be16(header, 4));
            let ports = Ports { source: be16(header, 0), destination: be16(header, 2) };
            let odd = datagram_len < Udp::LEN || datagram_len > bounds.end - bounds.at;
            if odd || is_tunnel_port(ports.source) || is_tunnel_port(ports.destination) {
                return None;
            }
            let payload = Payload { offset: bounds.at + Udp::LEN, len: rest.len().min(datagram_len) - Udp::LEN };
            Some(Read::Udp { ports, payload })
        }
        _ => None,
    }
}

impl Read<'_> {
    /// Writes all facts straight to where they are wanted: a `Dissected` is large, and copying it costs more than reading the
    /// headers.
    #[inline(always)]
    fn write(&self, network: Network, vlan: VlanTags, ipv4_checksum_bad: bool, out: &mut Dissected) {
        out.network = Some(network);
        out.vlan = vlan;
        out.tunnel = None;
        out.tunnel_depth = 0;
        out.fault = None;
        out.ipv4_checksum_bad = ipv4_checksum_bad;
        let payload = match *self {
            Self::Tcp { fixed, options, payload_len, payload } => {
                out.layer = Layer::Tcp;
                out.transport = Transport::Tcp(TcpSegment {
                    ports: Ports { source: be16(fixed, 0), destination: be16(fixed, 2) },
                    sequence: be32(fixed, 4),
                    acknowledgment: be32(fixed, 8),
                    flags: TcpFlags(be16(fixed, 12) & 0x01ff),
                    window: be16(fixed, 14),
                    payload_len,
                    options: if options.is_empty() { TcpOptions::default() } else { parse_options(options) },
                });
                payload
            }
            Self::Udp { ports, payload } => {
                out.layer = Layer::Udp;
                out.transport = Transport::Udp(ports);
                payload
            }
        };
        out.payload_offset = payload.offset as u32;
        out.payload_len = payload.len as u32;
    }
}

/// An IPv4 address in the place of an address of either version.
#[inline(always)]
fn widen([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// True when the ones' complement sum of a header without options is all ones (RFC 1071). A sum of 0 takes a header of zeros.
#[inline(always)]
fn is_sum_right(header: &[u8; 20]) -> bool {
    let sum = (0..5).map(|word| u64::from(be32(header, word * 4))).sum::<u64>();
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    (sum >> 16) + (sum & 0xffff) == 0xffff
}
