//! What a common frame says beyond what its packet's metadata keep: read where it lies, when the slow path asks.
//!
//! Owns the offsets in a frame that [`common`](super::common) has read already, so nothing is checked but that the bytes are
//! there. Its invariant: it finds what dissecting the frame in full does.

use super::ethernet::ethertype;
use super::headers::datagram_len;
use super::tcp::parse_options;
use super::udp::Udp;
use super::view::be16;
use super::{IpVersion, PacketHeaders, TcpFlags, TcpHeaders, TcpOptions, VlanTags};

const UNTAGGED_LEN: usize = 14;
const TAGGED_LEN: usize = 18;

fn is_tagged(frame: &[u8]) -> bool {
    frame.first_chunk::<UNTAGGED_LEN>().is_some_and(|header| be16(header, 12) == ethertype::VLAN)
}

/// VLAN tags of a common frame: one at most.
pub fn common_vlan(frame: &[u8]) -> VlanTags {
    match frame.first_chunk::<TAGGED_LEN>() {
        Some(header) if is_tagged(frame) => VlanTags { ids: [be16(header, 14) & 0x0fff, 0], count: 1 },
        _ => VlanTags::default(),
    }
}

/// Where the transport header of a common frame of this IP version begins, in bytes from the start of the frame.
fn transport_offset(frame: &[u8], version: IpVersion) -> usize {
    let link_len = if is_tagged(frame) { TAGGED_LEN } else { UNTAGGED_LEN };
    link_len + if version == IpVersion::V4 { 20 } else { 40 }
}

/// What the headers of a common frame of this IP version say. Of a TCP segment its control bits, window and payload bytes are given
/// again, as whoever read the frame has them; none are for a datagram.
#[inline]
pub fn common_headers(frame: &[u8], version: IpVersion, segment: Option<(TcpFlags, u16, u32)>) -> PacketHeaders {
    let at = transport_offset(frame, version);
    let network =
        frame.get(if version == IpVersion::V4 { at - 20 } else { at - 40 }..).and_then(|header| header.first_chunk::<20>());
    let (ttl, traffic_class) = match (network, version) {
        (Some(header), IpVersion::V4) => (header[8], header[1]),
        (Some(header), IpVersion::V6) => (header[7], (be16(header, 0) >> 4) as u8),
        (None, _) => (0, 0),
    };
    let Some((flags, window, payload_len)) = segment else {
        return PacketHeaders { ttl, traffic_class, payload_len: Some(datagram_len(frame, at + Udp::LEN)), tcp: None };
    };
    let header_len = frame.get(at + 12).map_or(0, |word| usize::from(word >> 4) * 4);
    let options = frame.get(at + 20..at + header_len).unwrap_or_default();
    let option_kinds = if options.is_empty() { 0 } else { parse_options(options).kinds };
    PacketHeaders { ttl, traffic_class, payload_len: Some(payload_len), tcp: Some(TcpHeaders { flags, window, option_kinds }) }
}

/// Options of the TCP segment in a common frame of this IP version.
pub fn common_tcp_options(frame: &[u8], version: IpVersion) -> TcpOptions {
    let header = frame.get(transport_offset(frame, version)..).unwrap_or_default();
    let header_len = header.get(12).map_or(0, |word| usize::from(word >> 4) * 4);
    header.get(20..header_len).map_or_else(TcpOptions::default, parse_options)
}

#[cfg(test)]
mod tests {
    use super::{common_tcp_options, common_vlan};
    use crate::wire::tests::fast::frame;
    use crate::wire::{Transport, common, dissect};
    use netscope_backends::LinkType;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_common_frame_says_the_same_when_it_is_read_again((data, _) in frame()) {
            let len = data.len() as u32;
            if common(LinkType::ETHERNET, &data, len).is_some() {
                let facts = dissect(LinkType::ETHERNET, &data, len);
                let network = facts.network.expect("a common frame has an IP header");
                prop_assert_eq!(common_vlan(&data), facts.vlan);
                if let Transport::Tcp(segment) = facts.transport {
                    prop_assert_eq!(common_tcp_options(&data, network.version), segment.options);
                }
                // Cut anywhere, it is at worst told less.
                for len in 0..data.len() {
                    common_vlan(&data[..len]);
                    common_tcp_options(&data[..len], network.version);
                }
            }
        }
    }
}
