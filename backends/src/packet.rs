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
    /// Raw IP, version in the first nibble.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: like NULL, family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
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
