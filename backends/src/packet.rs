//! What a source lends: bytes with their time, length and link type. Knows no protocol.

use std::fmt;

/// Nanoseconds since 1970-01-01 00:00:00 UTC. Measures traffic, never ourselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Nanoseconds per second.
    pub const NS_PER_SEC: u64 = 1_000_000_000;

    /// From whole seconds and nanoseconds; saturates.
    pub const fn from_parts(seconds: u64, nanoseconds: u64) -> Self {
        Self(seconds.saturating_mul(Self::NS_PER_SEC).saturating_add(nanoseconds))
    }

    /// Nanoseconds from `earlier` to `self`; 0 when `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Later by `ns`; saturates.
    pub const fn plus(self, ns: u64) -> Self {
        Self(self.0.saturating_add(ns))
    }
}

/// A LINKTYPE number as registered at <https://www.tcpdump.org/linktypes.html> (not the platform's DLT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: a 4-byte address family in the byte order of the capturing host.
    pub const NULL: Self = Self(0);
    /// Ethernet, header included, no preamble.
    pub const ETHERNET: Self = Self(1);
    /// PPP, first byte 0xff 0x03 or the protocol.
    pub const PPP: Self = Self(9);
    /// Raw IP, DLT_RAW on most systems.
    pub const RAW_DLT12: Self = Self(12);
    /// Raw IP, DLT_RAW on OpenBSD.
    pub const RAW_DLT14: Self = Self(14);
    /// PPP in HDLC-like framing, or Cisco HDLC.
    pub const PPP_HDLC: Self = Self(50);
    /// PPPoE session, without the Ethernet header before it.
    pub const PPPOE: Self = Self(51);
    /// Raw IP, version in the first nibble.
    pub const RAW: Self = Self(101);
    /// Cisco HDLC.
    pub const C_HDLC: Self = Self(104);
    /// IEEE 802.11 frames.
    pub const IEEE802_11: Self = Self(105);
    /// OpenBSD loopback: like NULL, family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// IEEE 802.11 frames behind a Prism or AVS header.
    pub const IEEE802_11_PRISM: Self = Self(119);
    /// IEEE 802.11 frames behind a radiotap header.
    pub const IEEE802_11_RADIOTAP: Self = Self(127);
    /// IEEE 802.11 frames behind an AVS header.
    pub const IEEE802_11_AVS: Self = Self(163);
    /// PPP as pppd captures it: a direction in the place of the address.
    pub const PPP_PPPD: Self = Self(166);
    /// A header that names the link type of what follows.
    pub const PPI: Self = Self(192);
    /// PPP behind a byte that is the direction.
    pub const PPP_WITH_DIRECTION: Self = Self(204);
    /// Cisco HDLC behind a byte that is the direction.
    pub const C_HDLC_WITH_DIRECTION: Self = Self(205);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Packets as Linux' netfilter logs them.
    pub const NFLOG: Self = Self(239);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
    /// Ethernet with a Marvell DSA tag in the place of the EtherType.
    pub const DSA: Self = Self(284);
    /// Ethernet with a Marvell EDSA tag, which has an EtherType.
    pub const EDSA: Self = Self(285);
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A lent packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Captured bytes, link header first.
    pub data: &'a [u8],
    /// When it was captured.
    pub time: Timestamp,
    /// Length on the wire in bytes, link header included; at least `data.len()` in a sane capture.
    pub wire_len: u32,
    /// How to read the first byte.
    pub link_type: LinkType,
}
