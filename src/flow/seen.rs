//! What is told of a packet that meant something to its flow, and the addresses of the hosts behind it.
//!
//! Owns plain values. Knows no table and nobody who is told.

use super::{Direction, FlowEvents, FlowKey, FlowRecord};
use crate::wire::{IpVersion, Network, TcpFlags};
use netscope_backends::Timestamp;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A packet that meant something to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenPacket {
    /// The flow.
    pub key: FlowKey,
    /// The packet's direction in the key.
    pub direction: Direction,
    /// Who began the record: the sender of its first packet; for ICMP echo the side that requests.
    pub initiator: Direction,
    /// What happened.
    pub events: FlowEvents,
    /// Control bits of the packet, if it is a TCP segment of the flow; `None` for an ICMP error about the flow.
    pub flags: Option<TcpFlags>,
    /// Number of the flow's place in the table of this queue.
    pub place: u32,
    /// When the packet was captured.
    pub time: Timestamp,
    /// Bytes on the wire, link header included.
    pub wire_len: u32,
    /// Number of the packet on its queue.
    pub number: u64,
}

/// What was seen of a flow within a bin of time: the packet that began it, and what came of it. What comes later than its bin is told by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenFlow {
    /// The flow.
    pub key: FlowKey,
    /// Direction of the first packet that is told of.
    pub direction: Direction,
    /// Who began the record.
    pub initiator: Direction,
    /// Everything that happened. [`FlowEvents::ANSWERED`] and [`FlowEvents::REFUSED`] are by packets against the initiator.
    pub events: FlowEvents,
    /// Control bits of the first packet that is told of, if that is a segment.
    pub flags: Option<TcpFlags>,
    /// The first packet of those that are told of against the initiator, if it answers or refuses.
    pub answer: Option<SeenAnswer>,
    /// SYNs that came again.
    pub repeats: u32,
    /// When the first packet that is told of was captured.
    pub first: Timestamp,
    /// When the last SYN was, or the first packet.
    pub last: Timestamp,
    /// Number of the first packet that is told of, on its queue.
    pub number: u64,
}

/// A packet that answers the initiator of its flow, or refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenAnswer {
    /// Its control bits, if it is a segment of the flow.
    pub flags: Option<TcpFlags>,
    /// When it was captured.
    pub time: Timestamp,
    /// Its number on its queue.
    pub number: u64,
}

impl SeenAnswer {
    /// True when all these control bits are set.
    pub fn has(&self, flags: TcpFlags) -> bool {
        self.flags.is_some_and(|own| own.has(flags))
    }

    fn of(packet: &SeenPacket) -> Option<Self> {
        let answers = packet.events.has(FlowEvents::ANSWERED) || packet.events.has(FlowEvents::REFUSED);
        let &SeenPacket { flags, time, number, .. } = packet;
        (answers && packet.direction != packet.initiator).then_some(Self { flags, time, number })
    }
}

impl From<&SeenPacket> for SeenFlow {
    fn from(packet: &SeenPacket) -> Self {
        let &SeenPacket { key, direction, initiator, events, flags, time, number, .. } = packet;
        let is_repeat = events.has(FlowEvents::SYN) && !events.has(FlowEvents::OPENED);
        let (answer, repeats) = (SeenAnswer::of(packet), is_repeat.into());
        Self { key, direction, initiator, events, flags, answer, repeats, first: time, last: time, number }
    }
}

impl SeenFlow {
    /// Adds a later packet of the same record; false, and nothing changed, when it has to be told by itself.
    pub fn add(&mut self, packet: &SeenPacket) -> bool {
        let &SeenPacket { direction, initiator, events, time, .. } = packet;
        let answer = SeenAnswer::of(packet);
        let answers = events.has(FlowEvents::ANSWERED) || events.has(FlowEvents::REFUSED);
        let is_syn = events.has(FlowEvents::SYN);
        let is_of_initiator = self.direction == self.initiator && self.initiator == initiator;
        if !is_of_initiator || answers && answer.is_none() || is_syn && direction != initiator {
            return false;
        }
        self.events = self.events.and(events);
        self.answer = self.answer.or(answer);
        if is_syn {
            self.repeats = self.repeats.saturating_add(1);
            self.last = self.last.max(time);
        }
        true
    }
}

/// An ICMP error says that the destination of a packet cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenRefusal {
    /// Flow of the packet that the error quotes; it need not be known on this queue.
    pub key: FlowKey,
    /// That packet's direction in the key.
    pub direction: Direction,
    /// When the error was captured.
    pub time: Timestamp,
    /// Number of the error's packet on its queue.
    pub number: u64,
}

/// A flow that is over: a connection that was closed or reset, told at that moment, or a record of any other flow. A
/// connection that is open when the run ends is not told. Arrays are indexed by [`Direction::index`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEnd {
    /// The flow.
    pub key: FlowKey,
    /// Who began the record.
    pub initiator: Direction,
    /// Packets per direction.
    pub packets: [u64; 2],
    /// Bytes per direction, link headers included.
    pub bytes: [u64; 2],
    /// Time of the earliest packet.
    pub first_seen: Timestamp,
    /// Time of the latest packet.
    pub last_seen: Timestamp,
    /// Number of the packet that opened the record, on its queue.
    pub first_packet: u64,
}

impl From<&FlowRecord> for FlowEnd {
    fn from(record: &FlowRecord) -> Self {
        let &FlowRecord { key, initiator, packets, bytes, first_seen, last_seen, first_packet, .. } = record;
        Self { key, initiator, packets, bytes, first_seen, last_seen, first_packet }
    }
}

/// What a fragment is of its datagram, and whether it counts for a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FragmentRole {
    /// The first one. It and those that come behind it count for its flow.
    First {
        /// Fragments that waited for it, and count for its flow from now on.
        found_packets: u64,
        /// Their bytes on the wire, link headers included.
        found_bytes: u64,
    },
    /// The first one of a datagram without ports: no fragment of it counts for a flow.
    FirstWithoutFlow,
    /// Behind a first one that was seen.
    Following,
    /// The first one was not seen yet: it waits, and counts for no flow.
    Waiting,
}

/// An IP fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenFragment {
    /// What it is of its datagram.
    pub role: FragmentRole,
    /// Who sent it.
    pub source: HostAddress,
    /// To whom.
    pub destination: HostAddress,
    /// IANA protocol number of the datagram.
    pub protocol: u8,
    /// Bytes on the wire, link header included.
    pub wire_len: u32,
    /// When it was captured.
    pub time: Timestamp,
    /// Its number on its queue.
    pub number: u64,
}

/// An IP address as one number: IPv6 as it is, IPv4 mapped into it (RFC 4291 section 2.5.5.2). In halves, so that it takes its place beside
/// small fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostAddress {
    high: u64,
    low: u64,
}

/// Where mapped IPv4 addresses begin.
const MAPPED: u128 = 0xffff_0000_0000;
const BITS_V4: u8 = 32;

impl HostAddress {
    /// No address.
    pub const NONE: Self = Self::of_bits(0);

    const fn of_bits(bits: u128) -> Self {
        Self { high: (bits >> 64) as u64, low: bits as u64 }
    }

    const fn bits(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    /// The address of an IPv4 packet.
    pub const fn v4(bytes: [u8; 4]) -> Self {
        Self::of_bits(MAPPED | u32::from_be_bytes(bytes) as u128)
    }

    /// Source and destination of an IP header.
    pub fn of_network(network: &Network) -> (Self, Self) {
        let host = |bytes: &[u8; 16]| match network.version {
            IpVersion::V4 => Self::v4([bytes[0], bytes[1], bytes[2], bytes[3]]),
            IpVersion::V6 => Self::of_bits(u128::from_be_bytes(*bytes)),
        };
        (host(&network.source), host(&network.destination))
    }

    /// True for IPv4.
    pub const fn is_v4(self) -> bool {
        self.bits() >> BITS_V4 == MAPPED >> BITS_V4
    }

    /// As the standard library has it.
    pub fn ip(self) -> IpAddr {
        Ipv6Addr::from_bits(self.bits()).to_canonical()
    }

    /// The address without the bits behind its first `len`; `len` counts within the address's own family.
    #[must_use]
    pub const fn prefix(self, len: u8) -> Self {
        let width = if self.is_v4() { BITS_V4 } else { 128 };
        match width.saturating_sub(len) {
            0 => self,
            128.. => Self::NONE,
            behind => Self::of_bits(self.bits() >> behind << behind),
        }
    }

    /// True for multicast addresses, the broadcast address and the unspecified one: no single host.
    pub fn is_group(self) -> bool {
        match self.ip() {
            IpAddr::V4(address) => address.is_multicast() || address.is_broadcast() || address.is_unspecified(),
            IpAddr::V6(address) => address.is_multicast() || address.is_unspecified(),
        }
    }
}

impl From<IpAddr> for HostAddress {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::v4(address.octets()),
            IpAddr::V6(address) => Self::of_bits(address.to_bits()),
        }
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

impl FlowKey {
    /// Address and port that a packet of this direction comes from.
    pub fn source(&self, direction: Direction) -> (HostAddress, u16) {
        let (a, b) = self.hosts();
        match direction {
            Direction::AToB => (a, self.a_port()),
            Direction::BToA => (b, self.b_port()),
        }
    }

    /// Address and port that a packet of this direction goes to.
    pub fn destination(&self, direction: Direction) -> (HostAddress, u16) {
        self.source(direction.reverse())
    }

    /// The hosts of both endpoints, a first.
    pub fn hosts(&self) -> (HostAddress, HostAddress) {
        let (a, b, _) = self.numbers();
        match self.version() {
            IpVersion::V4 => (HostAddress::of_bits(MAPPED | a >> 96), HostAddress::of_bits(MAPPED | b >> 96)),
            IpVersion::V6 => (HostAddress::of_bits(a), HostAddress::of_bits(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostAddress {
        text.parse::<IpAddr>().expect("an address").into()
    }

    #[test]
    fn prefixes_count_within_the_family() {
        for (address, len, prefix) in [
            ("192.0.2.77", 24, "192.0.2.0"),
            ("192.0.2.77", 32, "192.0.2.77"),
            ("192.0.2.77", 0, "0.0.0.0"),
            ("2001:db8:1:2:3::4", 64, "2001:db8:1:2::"),
            ("2001:db8::1", 128, "2001:db8::1"),
            ("2001:db8::1", 0, "::"),
        ] {
            assert_eq!(host(address).prefix(len).to_string(), prefix, "{address}/{len}");
        }
    }

    #[test]
    fn groups_are_no_single_hosts() {
        for (address, is_group) in [
            ("224.0.0.251", true),
            ("255.255.255.255", true),
            ("0.0.0.0", true),
            ("ff02::1", true),
            ("::", true),
            ("10.0.0.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(host(address).is_group(), is_group, "{address}");
        }
    }
}
