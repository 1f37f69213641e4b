//! What the headers of a packet say beyond its flow: time to live, differentiated services, TCP's options and window, and how
//! much it carries.
//!
//! Owns where these facts are read. Knows no flow. Its invariant: a common frame and the same frame dissected in full say the
//! same.

use super::view::be16;
use super::{Dissected, TcpFlags, TcpSegment, Transport};
use netscope_backends::Packet;

/// The headers of one packet, innermost network layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketHeaders {
    /// Time to live (RFC 791) or hop limit (RFC 8200).
    pub ttl: u8,
    /// Differentiated services (six bits) and ECN (two bits, RFC 3168).
    pub traffic_class: u8,
    /// Payload bytes of the TCP segment, by the IP header, or of the UDP datagram, by its own; 0 for any other packet.
    pub payload_len: u32,
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
                (payload_len, Some(TcpHeaders { flags, window, option_kinds: options.kinds }))
            }
            Transport::Udp(_) => match datagram_len(packet.data, dissected.payload_offset as usize) {
                // Left to the hardware, or a jumbogram (RFC 2675 section 4).
                0 => (dissected.payload_len, None),
                len => (len, None),
            },
            _ => (0, None),
        };
        Some(Self { ttl: network.ttl, traffic_class: network.traffic_class, payload_len, tcp })
    }
}

/// What the length field of the UDP header before `offset` says of its payload.
pub(super) fn datagram_len(data: &[u8], offset: usize) -> u32 {
    let header = offset.checked_sub(8).and_then(|at| data.get(at..)?.first_chunk::<8>());
    header.map_or(0, |header| u32::from(be16(header, 4)).saturating_sub(8))
}

#[cfg(test)]
mod tests {
    use super::*;
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
}
