//! The packet quoted in an ICMP or ICMPv6 error message: its tuple, as far as the quoted bytes say it.
//!
//! Owns where a quoted packet begins and ends. Knows no flow. Its invariant: the quoted packet is read by
//! [`walk`](fn@super::walk), so its facts are those of the packet itself, wherever enough of it is quoted;
//! nothing is read that the message does not carry.

use super::{Dissected, Network, Transport, Tunnel, walk_whole_into};
use netscope_backends::LinkType;

/// Protocol numbers (IANA protocol numbers).
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// Between an ICMP header's checksum and the quoted packet.
const REST_OF_HEADER_LEN: usize = 4;
/// Fewest bytes of quoted packet in a message that says how many there are (RFC 4884 section 4).
const STATED_LEN_MIN: usize = 128;

/// The packet that an ICMP error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotedPacket {
    /// Its IP header; of a tunnelled packet the innermost that is quoted, as in [`Dissected::network`].
    pub network: Network,
    /// What is quoted of its transport header: usually 8 bytes, thus [`Transport::TcpPorts`] of a TCP
    /// segment. [`Transport::None`] for a later fragment and when the quote ends before the ports. A whole
    /// [`Transport::Tcp`] header has the payload length of the quote.
    pub transport: Transport,
    /// The innermost tunnel in the quote.
    pub tunnel: Option<Tunnel>,
}

impl Dissected {
    /// The packet quoted in an ICMP error (RFC 792 types 3, 4, 5, 11 and 12) or ICMPv6 error (RFC 4443 types
    /// 1 to 4), read from `data`, the bytes that were dissected. `None` for any other packet, and when no
    /// whole IP header is quoted.
    pub fn quoted_packet(&self, data: &[u8]) -> Option<QuotedPacket> {
        let Transport::Icmp { kind, .. } = self.transport else { return None };
        let protocol = self.network?.protocol;
        let link_type = match (protocol, kind) {
            (ICMP, 3 | 4 | 5 | 11 | 12) => LinkType::IPV4,
            (ICMPV6, 1..=4) => LinkType::IPV6,
            _ => return None,
        };
        let start = self.payload_offset as usize;
        let message = data.get(start..start.checked_add(self.payload_len as usize)?)?;
        let (rest_of_header, behind) = message.split_first_chunk::<REST_OF_HEADER_LEN>()?;
        let quote = behind.get(..stated_len(protocol, kind, rest_of_header)).unwrap_or(behind);
        let mut out = Self::NOTHING;
        walk_whole_into(&mut out, link_type, quote, quote.len() as u32);
        Some(QuotedPacket { network: out.network?, transport: out.transport, tunnel: out.tunnel })
    }
}

/// Bytes of quoted packet in a message that may carry extensions behind it (RFC 4884 section 4); without a
/// limit when the message has no such field or does not set it.
fn stated_len(protocol: u8, kind: u8, rest_of_header: &[u8; REST_OF_HEADER_LEN]) -> usize {
    let len = match (protocol, kind) {
        (ICMP, 3 | 11 | 12) => usize::from(rest_of_header[1]) * 4,
        (ICMPV6, 1 | 3) => usize::from(rest_of_header[0]) * 8,
        _ => 0,
    };
    if len < STATED_LEN_MIN { usize::MAX } else { len }
}
