//! What the headers of a packet say beyond its flow: time to live, differentiated services, TCP's options and window, and how
//! much it carries.
//!
//! Owns where these facts are read. Knows no flow. Its invariant: a common frame and the same frame dissected in full say the
//! same.

use super::view::be16;
use super::{Dissected, Header, TcpFlags, TcpSegment, Transport, Udp, Visitor, walk};
use netscope_backends::Packet;

/// The headers of one packet, innermost network layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketHeaders {
    /// Time to live (RFC 791) or hop limit (RFC 8200).
    pub ttl: u8,
    /// Differentiated services (six bits) and ECN (two bits, RFC 3168).
    pub traffic_class: u8,
    /// Payload bytes of the TCP segment, by the IP header, or of the UDP datagram, by its own, but no more than the IP packet has
    /// room for (a first fragment counts for the whole datagram); 0 for any other packet. `None` where the TCP or UDP header was not
    /// whole, or wrong.
    pub payload_len: Option<u32>,
    /// Set for TCP.
    pub tcp: Option<TcpHeaders>,
}

/// Of a TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpHeaders {
    /// Control bits.
    pub flags: TcpFlags,
    /// Window as sent, unscaled.
    pub window: u16,
    /// As [`TcpOptions::kinds`](super::TcpOptions).
    pub option_kinds: u64,
}

impl PacketHeaders {
    /// Of a packet that was dissected in full; `None` without a network layer.
    pub fn of_dissected(packet: &Packet<'_>, dissected: &Dissected) -> Option<Self> {
        let network = dissected.network.as_ref()?;
        let (payload_len, tcp) = match &dissected.transport {
            &Transport::Tcp(TcpSegment { flags, window, payload_len, options, .. }) => {
                (Some(payload_len), Some(TcpHeaders { flags, window, option_kinds: options.kinds }))
            }
            Transport::TcpPorts(_) => (None, None),
            Transport::Udp(_) => (carried_len(packet, dissected), None),
            _ => (Some(0), None),
        };
        Some(Self { ttl: network.ttl, traffic_class: network.traffic_class, payload_len, tcp })
    }
}

/// What the length field of the whole UDP header before `offset` says of its payload.
pub(super) fn datagram_len(data: &[u8], offset: usize) -> u32 {
    let header = offset.checked_sub(8).and_then(|at| data.get(at..)?.first_chunk::<8>());
    header.map_or(0, |header| u32::from(be16(header, 4)).saturating_sub(8))
}

/// Payload bytes of the UDP datagram that was dissected.
fn carried_len(packet: &Packet<'_>, dissected: &Dissected) -> Option<u32> {
    let header =
        (dissected.payload_offset as usize).checked_sub(Udp::LEN).and_then(|at| packet.data.get(at..)?.first_chunk::<8>());
    // Without a fault the header was read, and its length fits.
    match header.map_or(0, |header| u32::from(be16(header, 4))) {
        len @ 8.. if dissected.fault.is_none() => Some(len - Udp::LEN as u32),
        _ => read_again(packet, dissected),
    }
}

/// The same where something is odd: whether the header was read is known to who walks the packet.
#[cold]
fn read_again(packet: &Packet<'_>, dissected: &Dissected) -> Option<u32> {
    let mut found = InnermostUdp { end: None, header: None };
    walk(packet.link_type, packet.data, packet.wire_len, &mut found);
    let (offset, len) = found.header?;
    let end = found.end.unwrap_or((packet.wire_len as usize).max(packet.data.len()));
    let room = end.saturating_sub(offset);
    let is_fragment = dissected.network.is_some_and(|network| network.fragment.is_some());
    let len = match usize::from(len) {
        // Left to the hardware, or a jumbogram (RFC 2675 section 4).
        0 => room,
        len if is_fragment => len,
        len => len.min(room),
    };
    Some(len.saturating_sub(Udp::LEN) as u32)
}

/// The UDP header behind the innermost IP header, as far as it was read.
struct InnermostUdp {
    /// Where the IP packet ends by its own length; `None` where that is not said.
    end: Option<usize>,
    /// Where the UDP header begins, and its length field.
    header: Option<(usize, u16)>,
}

impl Visitor for InnermostUdp {
    fn header(&mut self, header: &Header<'_>, offset: usize) {
        let behind = |start: usize, len: u16| if len == 0 { None } else { Some(start + usize::from(len)) };
        match header {
            Header::Ipv4(header) => *self = Self { end: behind(offset, header.total_len()), header: None },
            Header::Ipv6(header) => *self = Self { end: behind(offset + 40, header.payload_len()), header: None },
            Header::Udp(header) => self.header = Some((offset, header.datagram_len())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::build;
    use crate::wire::tests::fast::frame;
    use crate::wire::{common, common_headers, dissect};
    use netscope_backends::{LinkType, Timestamp};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_common_frame_says_what_dissecting_in_full_does((data, _) in frame()) {
            let packet = Packet { data: &data, time: Timestamp(1), wire_len: data.len() as u32, link_type: LinkType::ETHERNET };
            if let Some(frame) = common(LinkType::ETHERNET, &data, data.len() as u32) {
                let dissected = dissect(LinkType::ETHERNET, &data, data.len() as u32);
                let version = dissected.network.expect("an IP header").version;
                let segment = match &dissected.transport {
                    Transport::Tcp(segment) => Some((segment.flags, segment.window, segment.payload_len)),
                    _ => None,
                };
                prop_assert_eq!(frame.is_datagram(), segment.is_none());
                let headers = common_headers(&data, version, segment);
                prop_assert_eq!(Some(headers), PacketHeaders::of_dissected(&packet, &dissected));
            }
        }
    }

    fn headers(data: &[u8], wire_len: usize) -> (Transport, Option<u32>) {
        let wire_len = wire_len as u32;
        let packet = Packet { data, time: Timestamp(1), wire_len, link_type: LinkType::ETHERNET };
        let dissected = dissect(LinkType::ETHERNET, data, wire_len);
        let headers = PacketHeaders::of_dissected(&packet, &dissected).expect("an IP header");
        (dissected.transport, headers.payload_len)
    }

    /// Of `payload` bytes behind a UDP header, with any length in it and cut anywhere, alone and in tunnels.
    #[test]
    fn of_a_datagram_only_a_header_that_was_read_says_how_long_it_is() {
        const CARRIED: usize = 37;
        let datagram = |len: u16| {
            let mut datagram = build::udp(&[0xfb; CARRIED]);
            datagram[4..6].copy_from_slice(&len.to_be_bytes());
            datagram
        };
        let ipv4 = |len| build::ethernet(0x0800, &build::ipv4(17, &datagram(len)));
        let ipv6 = |len| build::ethernet(0x86dd, &build::ipv6(17, &datagram(len)));
        let gre = |len| build::ethernet(0x0800, &build::ipv4(47, &build::gre(0, 0x86dd, &[], &build::ipv6(17, &datagram(len)))));
        let vxlan = |len| build::ethernet(0x0800, &build::ipv4(17, &build::vxlan(&ipv4(len))));
        let packets: [&dyn Fn(u16) -> Vec<u8>; 4] = [&ipv4, &ipv6, &gre, &vxlan];
        for (which, packet) in packets.iter().enumerate() {
            for len in (0..=9).chain([44, 45, 46, 100, 65_535]) {
                let frame = packet(len);
                let header = frame.len() - CARRIED - 8;
                let expected = match len {
                    0 => Some(CARRIED as u32),
                    1..8 => None,
                    _ => Some((u32::from(len) - 8).min(CARRIED as u32)),
                };
                for captured in header + 4..=frame.len() {
                    let (transport, found) = headers(&frame[..captured], frame.len());
                    assert!(matches!(transport, Transport::Udp(_)), "{which} {len} {captured}");
                    let expected = if captured < header + 8 { None } else { expected };
                    assert_eq!(found, expected, "packet {which}, length {len}, {captured} of {} bytes", frame.len());
                }
            }
        }
    }

    #[test]
    fn a_first_fragment_counts_for_the_whole_datagram() {
        let mut datagram = build::udp(&[7; 24]);
        datagram[4..6].copy_from_slice(&3008_u16.to_be_bytes());
        let frame = build::ethernet(0x0800, &build::ipv4_with(17, 0x2000, &[], &datagram));
        assert_eq!(headers(&frame, frame.len()).1, Some(3000));
        assert_eq!(headers(&frame[..42], frame.len()).1, Some(3000));
        assert_eq!(headers(&frame[..41], frame.len()).1, None);
    }

    #[test]
    fn what_a_segment_without_a_whole_header_carries_is_not_known() {
        let frame = build::ethernet(0x0800, &build::ipv4(6, &build::tcp(&[1; 9])));
        for captured in 38..=frame.len() {
            let expected = if captured < 54 { None } else { Some(9) };
            assert_eq!(headers(&frame[..captured], frame.len()).1, expected, "{captured} bytes");
        }
    }
}
