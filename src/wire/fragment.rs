//! The fast path for a common fragment: Ethernet, at most one VLAN tag, IPv4 without options or IPv6 with a
//! fragment header alone; a first fragment carries UDP.
//!
//! Owns a shortcut and no rule: [`walk`](super::walk()) has the rules. Its invariant: it either writes
//! exactly what the walk would, or writes nothing and says so.

use super::ethernet::ethertype;
use super::fast::CommonNetwork;
use super::ipv6::extension;
use super::udp::Udp;
use super::view::{be16, be32};
use super::walk::is_tunnel_port;
use super::{Dissected, Fragment, Layer, Network, Ports, Transport, VlanTags};
use netscope_backends::LinkType;

const UDP: u8 = 17;
/// Length of an IPv6 fragment header (RFC 8200 section 4.5).
const FRAGMENT_HEADER_LEN: usize = 8;

/// The bytes that a fragment carries, and what was read in front of them.
struct Carried {
    network: Network,
    fragment: Fragment,
    layer: Layer,
    checksum_bad: bool,
    /// Where they begin.
    at: usize,
    /// Where they end by the IP header.
    end: usize,
}

/// True for an untagged Ethernet frame with an IPv4 fragment, which is not [`common`](super::common). Of other frames it says nothing, and of
/// other link types either may be true.
#[inline(always)]
pub fn seems_fragment(data: &[u8]) -> bool {
    data.first_chunk::<34>().is_some_and(|frame| be16(frame, 12) == ethertype::IPV4 && be16(frame, 20) & 0x3fff != 0)
}

/// Reads a common fragment into `out`; false, with `out` as it was, when this is none.
#[inline(never)]
pub(super) fn dissect_fragment(link_type: LinkType, data: &[u8], out: &mut Dissected) -> bool {
    read(link_type, data, out).is_some()
}

#[inline(always)]
fn read(link_type: LinkType, data: &[u8], out: &mut Dissected) -> Option<()> {
    if link_type != LinkType::ETHERNET {
        return None;
    }
    let header = data.first_chunk::<14>()?;
    let (ether_type, at, vlan) = match be16(header, 12) {
        ethertype::VLAN => {
            let tagged = data.first_chunk::<18>()?;
            (be16(tagged, 16), 18, VlanTags { ids: [be16(tagged, 14) & 0x0fff, 0], count: 1 })
        }
        ether_type => (ether_type, 14, VlanTags { ids: [0; VlanTags::KEPT], count: 0 }),
    };
    let carried = match ether_type {
        ethertype::IPV4 => ipv4(data, at)?,
        ethertype::IPV6 => ipv6(data, at)?,
        _ => return None,
    };
    if carried.fragment.offset == 0 {
        first(data, &carried, out)?
    } else {
        later(data, &carried, out)
    }
    out.network = Some(Network { fragment: Some(carried.fragment), ..carried.network });
    out.vlan = vlan;
    out.tunnel = None;
    out.tunnel_depth = 0;
    out.fault = None;
    out.ipv4_checksum_bad = carried.checksum_bad;
    out.arp_offset = None;
    Some(())
}

#[inline(always)]
fn ipv4(data: &[u8], at: usize) -> Option<Carried> {
    let header = data.get(at..)?.first_chunk::<20>()?;
    let (total_len, place) = (usize::from(be16(header, 2)), be16(header, 6));
    // Version 4 without options, a length of its own.
    if header[0] != 0x45 || total_len < 20 || place & 0x3fff == 0 {
        return None;
    }
    let common = CommonNetwork::V4(header);
    let fragment = Fragment {
        id: u32::from(be16(header, 4)),
        offset: u32::from(place & 0x1fff) * 8,
        len: (total_len - 20) as u32,
        more: place & 0x2000 != 0,
    };
    let (network, checksum_bad) = (common.facts(), common.is_checksum_bad());
    Some(Carried { network, fragment, layer: Layer::Ipv4, checksum_bad, at: at + 20, end: at + total_len })
}

#[inline(always)]
fn ipv6(data: &[u8], at: usize) -> Option<Carried> {
    let header = data.get(at..)?.first_chunk::<40>()?;
    let payload_len = usize::from(be16(header, 4));
    if header[0] >> 4 != 6 || header[6] != extension::FRAGMENT || payload_len < FRAGMENT_HEADER_LEN {
        return None;
    }
    let behind = data.get(at + 40..)?.first_chunk::<FRAGMENT_HEADER_LEN>()?;
    let place = be16(behind, 2);
    // Neither offset nor more: an atomic fragment, which is none.
    if place & 0xfff9 == 0 {
        return None;
    }
    let fragment = Fragment {
        id: be32(behind, 4),
        offset: u32::from(place & 0xfff8),
        len: (payload_len - FRAGMENT_HEADER_LEN) as u32,
        more: place & 1 != 0,
    };
    let network = Network { protocol: behind[0], ..CommonNetwork::V6(header).facts() };
    let (at, end) = (at + 40 + FRAGMENT_HEADER_LEN, at + 40 + payload_len);
    Some(Carried { network, fragment, layer: Layer::Ipv6Extension, checksum_bad: false, at, end })
}

/// A later fragment carries no header.
#[inline(always)]
fn later(data: &[u8], carried: &Carried, out: &mut Dissected) {
    out.transport = Transport::None;
    out.layer = carried.layer;
    out.payload_offset = carried.at as u32;
    out.payload_len = (data.len().min(carried.end) - carried.at) as u32;
}

/// A first fragment has the header of the whole datagram, which is longer than the fragment.
#[inline(always)]
fn first(data: &[u8], carried: &Carried, out: &mut Dissected) -> Option<()> {
    let rest = data.get(carried.at..data.len().min(carried.end))?;
    let header = rest.first_chunk::<{ Udp::LEN }>()?;
    let datagram_len = usize::from(be16(header, 4));
    let ports = Ports { source: be16(header, 0), destination: be16(header, 2) };
    let odd = carried.network.protocol != UDP || datagram_len < Udp::LEN;
    if odd || is_tunnel_port(ports.source) || is_tunnel_port(ports.destination) {
        return None;
    }
    out.transport = Transport::Udp(ports);
    out.layer = Layer::Udp;
    out.payload_offset = (carried.at + Udp::LEN) as u32;
    out.payload_len = (rest.len().min(datagram_len) - Udp::LEN) as u32;
    Some(())
}
