//! The fast path for the common frame: Ethernet, at most one VLAN tag, plain IPv4 or IPv6, TCP or UDP.
//!
//! Owns a shortcut and no rule: [`walk`](super::walk()) has the rules. Its invariant: it either writes
//! exactly what the walk would, or writes nothing and says so.

use super::ethernet::ethertype;
use super::syn::{SynSegment, announced};
use super::tcp::parse_options;
use super::udp::Udp;
use super::view::{array_at, be16, be32};
use super::walk::is_tunnel_port;
use super::{Dissected, IpVersion, Layer, Network, Ports, TcpFlags, TcpOptions, TcpSegment, Transport, VlanTags};
use netscope_backends::LinkType;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The facts of a common frame, read but not copied: its headers and where things lie.
#[derive(Clone, Copy, Debug)]
pub struct Common<'a> {
    /// The one tag, or none.
    vlan: VlanTags,
    network: CommonNetwork<'a>,
    transport: CommonTransport<'a>,
    payload: Payload,
}

/// IP header of a common frame: no options, no extension headers, no fragment.
#[derive(Clone, Copy, Debug)]
pub enum CommonNetwork<'a> {
    /// RFC 791
    V4(&'a [u8; 20]),
    /// RFC 8200
    V6(&'a [u8; 40]),
}

/// Transport header of a common frame, whole.
#[derive(Clone, Copy, Debug)]
enum CommonTransport<'a> {
    Tcp { fixed: &'a [u8; 20], options: &'a [u8], payload_len: u32 },
    Udp(Ports),
}

/// What the sequence analysis asks of a segment that carries data or an acknowledgment and nothing else: no SYN, FIN or RST, no
/// option but timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlainSegment {
    /// Sequence number of the first byte.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// As [`TcpSegment::payload_len`].
    pub payload_len: u32,
    /// Window as sent, unscaled.
    pub window: u16,
    /// Control bits.
    pub flags: TcpFlags,
}

impl PlainSegment {
    /// A place to write to.
    pub const NONE: Self = Self { sequence: 0, acknowledgment: 0, payload_len: 0, window: 0, flags: TcpFlags(0) };

    /// The same of a dissected segment, where it is one.
    pub fn of(segment: &TcpSegment) -> Option<Self> {
        let &TcpSegment { sequence, acknowledgment, payload_len, window, flags, options, .. } = segment;
        let is_plain = flags.0 & TELLING.0 == TcpFlags::ACK.0
            && options == TcpOptions { timestamps: options.timestamps, kinds: options.kinds, ..TcpOptions::default() };
        is_plain.then_some(Self { sequence, acknowledgment, payload_len, window, flags })
    }

    /// The same of the last segment of a direction, which is plain but for its FIN.
    pub fn last_of(segment: &TcpSegment) -> Option<Self> {
        let without = TcpSegment { flags: TcpFlags(segment.flags.0 & !TcpFlags::FIN.0), ..*segment };
        let plain = Self::of(&without).filter(|_| segment.flags.has(TcpFlags::FIN))?;
        Some(Self { flags: segment.flags, ..plain })
    }

    /// True for the last segment of a direction ([`Common::last_segment`]).
    #[inline(always)]
    pub const fn is_last(&self) -> bool {
        self.flags.has(TcpFlags::FIN)
    }
}

/// The flags that tell: of these a plain segment has ACK alone.
const TELLING: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0 | TcpFlags::ACK.0);

/// Captured payload.
#[derive(Clone, Copy, Debug)]
struct Payload {
    offset: usize,
    len: usize,
}

/// What the IP header says of the place of its payload.
struct Bounds {
    /// Where the transport header begins.
    at: usize,
    /// End of the IP packet by its own header.
    end: usize,
}

/// Reads a common frame; `None` when this is none, which says nothing about it.
#[inline(always)]
pub fn common(link_type: LinkType, data: &[u8], wire_len: u32) -> Option<Common<'_>> {
    if link_type != LinkType::ETHERNET {
        return None;
    }
    let header = data.first_chunk::<14>()?;
    let ether_type = be16(header, 12);
    if ether_type != ethertype::VLAN {
        let vlan = VlanTags { ids: [0; VlanTags::KEPT], count: 0 };
        return network::<14>(data, wire_len, ether_type, vlan);
    }
    let tagged = data.first_chunk::<18>()?;
    let vlan = VlanTags { ids: [be16(tagged, 14) & 0x0fff, 0], count: 1 };
    network::<18>(data, wire_len, be16(tagged, 16), vlan)
}

/// As [`common`], for the most common frame alone: untagged Ethernet, IPv4, TCP. With every header in its place there is one
/// length to ask for and little to decide, so it takes half as long.
#[inline(always)]
pub fn common_tcp4(link_type: LinkType, data: &[u8], wire_len: u32) -> Option<Common<'_>> {
    let frame = data.first_chunk::<54>()?;
    let (ip, fixed) = (frame[14..].first_chunk::<20>()?, frame[34..].first_chunk::<20>()?);
    let end = 14 + usize::from(be16(ip, 2));
    let header_len = usize::from(fixed[12] >> 4) * 4;
    let (offset, data_end) = (34 + header_len, data.len().min(end));
    let is_common = link_type == LinkType::ETHERNET
        && be16(frame, 12) == ethertype::IPV4
        && ip[0] == 0x45
        && be16(ip, 6) & 0x3fff == 0
        && ip[9] == TCP
        && header_len >= 20
        && offset <= data_end;
    if !is_common {
        return None;
    }
    let options = if header_len == 20 { &[] } else { data.get(54..offset)? };
    let payload_len = ((wire_len as usize).max(data.len()).min(end) - offset) as u32;
    Some(Common {
        vlan: VlanTags { ids: [0; VlanTags::KEPT], count: 0 },
        network: CommonNetwork::V4(ip),
        transport: CommonTransport::Tcp { fixed, options, payload_len },
        payload: Payload { offset, len: data_end - offset },
    })
}

/// From the network header on, which begins at byte `AT`.
#[inline(always)]
fn network<const AT: usize>(data: &[u8], wire_len: u32, ether_type: u16, vlan: VlanTags) -> Option<Common<'_>> {
    let (network, bounds) = match ether_type {
        ethertype::IPV4 => ipv4(data, AT)?,
        ethertype::IPV6 => ipv6(data, AT)?,
        _ => return None,
    };
    let (transport, payload) = transport(data, wire_len, network.protocol(), &bounds)?;
    Some(Common { vlan, network, transport, payload })
}

/// Reads a common frame into `out`; false, with `out` as it was, when this is none.
#[inline]
pub(super) fn dissect_common(link_type: LinkType, data: &[u8], wire_len: u32, out: &mut Dissected) -> bool {
    match common(link_type, data, wire_len) {
        Some(common) => {
            common.write(out);
            true
        }
        None => false,
    }
}

#[inline(always)]
fn ipv4(data: &[u8], at: usize) -> Option<(CommonNetwork<'_>, Bounds)> {
    let header = data.get(at..)?.first_chunk::<20>()?;
    let total_len = usize::from(be16(header, 2));
    // Version 4 without options, a length of its own, no fragment.
    if header[0] != 0x45 || total_len < 20 || be16(header, 6) & 0x3fff != 0 {
        return None;
    }
    Some((CommonNetwork::V4(header), Bounds { at: at + 20, end: at + total_len }))
}

#[inline(always)]
fn ipv6(data: &[u8], at: usize) -> Option<(CommonNetwork<'_>, Bounds)> {
    let header = data.get(at..)?.first_chunk::<40>()?;
    let payload_len = usize::from(be16(header, 4));
    // A length of 0 may stand for a jumbogram or for an offloaded segment.
    if header[0] >> 4 != 6 || payload_len == 0 {
        return None;
    }
    Some((CommonNetwork::V6(header), Bounds { at: at + 40, end: at + 40 + payload_len }))
}

#[inline(always)]
fn transport<'a>(data: &'a [u8], wire_len: u32, protocol: u8, bounds: &Bounds) -> Option<(CommonTransport<'a>, Payload)> {
    let wire_end = (wire_len as usize).max(data.len()).min(bounds.end);
    // Padding behind the IP packet is none of its bytes.
    let data_end = data.len().min(bounds.end);
    match protocol {
        TCP => {
            let fixed = data.get(bounds.at..)?.first_chunk::<20>()?;
            let header_len = usize::from(fixed[12] >> 4) * 4;
            let offset = bounds.at + header_len;
            // Whole as captured, so within the IP packet too.
            if header_len < 20 || offset > data_end {
                return None;
            }
            let options = if header_len == 20 { &[] } else { data.get(bounds.at + 20..offset)? };
            let payload = Payload { offset, len: data_end - offset };
            Some((CommonTransport::Tcp { fixed, options, payload_len: (wire_end - offset) as u32 }, payload))
        }
        UDP => {
            let rest = data.get(bounds.at..data_end)?;
            let header = rest.first_chunk::<{ Udp::LEN }>()?;
            let datagram_len = usize::from(be16(header, 4));
            let ports = Ports { source: be16(header, 0), destination: be16(header, 2) };
            let odd = datagram_len < Udp::LEN || datagram_len > bounds.end - bounds.at;
            if odd || is_tunnel_port(ports.source) || is_tunnel_port(ports.destination) {
                return None;
            }
            let payload = Payload { offset: bounds.at + Udp::LEN, len: rest.len().min(datagram_len) - Udp::LEN };
            Some((CommonTransport::Udp(ports), payload))
        }
        _ => None,
    }
}

impl CommonNetwork<'_> {
    /// TCP or UDP (IANA protocol numbers).
    #[inline(always)]
    pub const fn protocol(&self) -> u8 {
        match self {
            Self::V4(header) => header[9],
            Self::V6(header) => header[6],
        }
    }

    /// An IPv4 header checksum that is wrong; IPv6 has none.
    #[inline(always)]
    pub fn is_checksum_bad(&self) -> bool {
        match self {
            Self::V4(header) => !is_sum_right(header),
            Self::V6(_) => false,
        }
    }

    /// All facts, copied out.
    #[inline(always)]
    pub fn facts(&self) -> Network {
        match *self {
            Self::V4(header) => Network {
                version: IpVersion::V4,
                protocol: header[9],
                ttl: header[8],
                traffic_class: header[1],
                source: widen(array_at(header, 12)),
                destination: widen(array_at(header, 16)),
                fragment: None,
            },
            Self::V6(header) => Network {
                version: IpVersion::V6,
                protocol: header[6],
                ttl: header[7],
                traffic_class: (be16(header, 0) >> 4) as u8,
                source: array_at(header, 8),
                destination: array_at(header, 24),
                fragment: None,
            },
        }
    }
}

impl<'a> Common<'a> {
    /// The IP header.
    #[inline(always)]
    pub const fn network(&self) -> CommonNetwork<'a> {
        self.network
    }

    /// Ports of the TCP segment or UDP datagram.
    #[inline(always)]
    pub const fn ports(&self) -> Ports {
        match self.transport {
            CommonTransport::Tcp { fixed, .. } => Ports { source: be16(fixed, 0), destination: be16(fixed, 2) },
            CommonTransport::Udp(ports) => ports,
        }
    }

    /// The segment, when it is a plain one.
    #[inline(always)]
    pub fn plain_segment(&self) -> Option<PlainSegment> {
        self.segment_with(TcpFlags::ACK)
    }

    /// The segment, when it is the last one of its direction and plain but for its FIN.
    #[inline(always)]
    pub fn last_segment(&self) -> Option<PlainSegment> {
        self.segment_with(TcpFlags(TcpFlags::ACK.0 | TcpFlags::FIN.0))
    }

    /// The segment, when these are the telling flags it has, and there are no options but timestamps.
    #[inline(always)]
    fn segment_with(&self, telling: TcpFlags) -> Option<PlainSegment> {
        let CommonTransport::Tcp { fixed, options, payload_len } = self.transport else { return None };
        let flags = TcpFlags(be16(fixed, 12) & 0x01ff);
        let only_timestamps = options.is_empty() || matches!(options, [1, 1, 8, 10, ..] if options.len() == 12);
        (flags.0 & TELLING.0 == telling.0 && only_timestamps).then(|| PlainSegment {
            sequence: be32(fixed, 4),
            acknowledgment: be32(fixed, 8),
            payload_len,
            window: be16(fixed, 14),
            flags,
        })
    }

    /// The segment, when it is a SYN or SYN-ACK without anything unusual.
    #[inline(always)]
    pub fn syn_segment(&self) -> Option<SynSegment> {
        let CommonTransport::Tcp { fixed, options, payload_len } = self.transport else { return None };
        let flags = TcpFlags(be16(fixed, 12) & 0x01ff);
        if !SynSegment::is_one(flags, payload_len) {
            return None;
        }
        let announced = announced(options)?;
        let (sequence, acknowledgment, window) = (be32(fixed, 4), be32(fixed, 8), be16(fixed, 14));
        Some(SynSegment { sequence, acknowledgment, window, flags, announced })
    }

    /// Offset in bytes, from the start of the frame, of the first byte behind the transport header: at most
    /// 18 bytes of Ethernet with a tag, 40 of IPv6 and 60 of TCP.
    #[inline(always)]
    pub const fn payload_offset(&self) -> u16 {
        self.payload.offset as u16
    }

    /// Captured payload bytes, link-layer padding left out; an IP packet with a length field of 16 bits has
    /// no more.
    #[inline(always)]
    pub const fn payload_len(&self) -> u16 {
        self.payload.len as u16
    }

    /// Its tag, if it has one.
    #[inline(always)]
    pub const fn vlan(&self) -> VlanTags {
        self.vlan
    }

    /// True for UDP.
    #[inline(always)]
    pub const fn is_datagram(&self) -> bool {
        matches!(self.transport, CommonTransport::Udp(_))
    }

    /// Writes all facts straight to where they are wanted: a `Dissected` is large, and copying it costs more than reading the
    /// headers.
    #[inline(always)]
    pub fn write(&self, out: &mut Dissected) {
        out.network = Some(self.network.facts());
        out.vlan = self.vlan;
        out.tunnel = None;
        out.tunnel_depth = 0;
        out.fault = None;
        out.ipv4_checksum_bad = self.network.is_checksum_bad();
        out.arp_offset = None;
        match self.transport {
            CommonTransport::Tcp { fixed, options, payload_len } => {
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
            }
            CommonTransport::Udp(ports) => {
                out.layer = Layer::Udp;
                out.transport = Transport::Udp(ports);
            }
        }
        out.payload_offset = self.payload.offset as u32;
        out.payload_len = self.payload.len as u32;
    }
}

/// An IPv4 address in the place of an address of either version.
#[inline(always)]
fn widen(address: [u8; 4]) -> [u8; 16] {
    // As a number, which is widened in one step where bytes are moved one by one.
    u128::from(u32::from_le_bytes(address)).to_le_bytes()
}

/// True when the ones' complement sum of a header without options is all ones (RFC 1071): then the sum is a multiple of 2^16 - 1, and
/// not 0, as the first byte says version 4.
#[inline(always)]
fn is_sum_right(header: &[u8; 20]) -> bool {
    // The sum is the same in any byte order (RFC 1071 section 2B).
    let sum = header.as_chunks::<4>().0.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum::<u64>();
    sum.is_multiple_of(0xffff)
}
