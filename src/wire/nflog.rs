//! Packets as Linux' netfilter logs them: attributes, one of which is the packet. Know nothing of that packet.

use super::view::{Unreadable, View};
use super::{Header, Layer};

/// Attributes before the packet that are read over at most; the kernel has 21 kinds.
pub const ATTRIBUTE_COUNT_MAX: usize = 64;

/// Attribute that is the packet (NFULA_PAYLOAD in linux/netfilter/nfnetlink_log.h).
const PAYLOAD: u16 = 9;
const HEADER_LEN: usize = 4;
const ATTRIBUTE_HEADER_LEN: usize = 4;

/// Family, version, group and the attributes up to the packet (LINKTYPE_NFLOG). Their lengths and types are in the byte order
/// of the capturing host.
#[derive(Clone, Copy, Debug)]
pub struct Nflog<'a> {
    fixed: &'a [u8; HEADER_LEN],
    len: usize,
    packet_len: Option<usize>,
}

impl<'a> View<'a> for Nflog<'a> {
    const LAYER: Layer = Layer::Nflog;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some(fixed) = bytes.first_chunk() else { return Err(Unreadable::Short(HEADER_LEN)) };
        if fixed[1] != 0 {
            return Err(Unreadable::Unknown);
        }
        let mut at = HEADER_LEN;
        let mut is_big = None;
        for _ in 0..ATTRIBUTE_COUNT_MAX {
            let rest = bytes.get(at..).unwrap_or(&[]);
            if rest.is_empty() && at <= bytes.len() {
                break;
            }
            let Some(&[a, b, c, d]) = rest.first_chunk() else { return Err(Unreadable::Short(at + ATTRIBUTE_HEADER_LEN)) };
            // Types are small and not 0, so the first one tells the byte order.
            let is_big = *is_big.get_or_insert(c == 0 && d != 0);
            let half = |bytes| if is_big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
            let (len, kind) = (usize::from(half([a, b])), half([c, d]));
            let Some(packet_len) = len.checked_sub(ATTRIBUTE_HEADER_LEN) else { return Err(Unreadable::Malformed) };
            if kind == PAYLOAD {
                return Ok(Self { fixed, len: at + ATTRIBUTE_HEADER_LEN, packet_len: Some(packet_len) });
            }
            at += len.next_multiple_of(4);
        }
        if at < bytes.len() { Err(Unreadable::Malformed) } else { Ok(Self { fixed, len: bytes.len(), packet_len: None }) }
    }

    fn header_len(&self) -> usize {
        self.len
    }

    fn wrap(self) -> Header<'a> {
        Header::Nflog(self)
    }
}

impl Nflog<'_> {
    /// Address family of Linux: 2 IPv4, 10 IPv6, 7 bridge, 3 ARP.
    pub const fn family(&self) -> u8 {
        self.fixed[0]
    }

    /// Group the packet was logged to.
    pub const fn group(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// Length of the packet behind this header in bytes; `None` when it was logged without.
    pub const fn packet_len(&self) -> Option<usize> {
        self.packet_len
    }
}
