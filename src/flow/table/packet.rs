//! One packet as the flow table sees it, and what became of it. Plain values; no table inside.

use crate::flow::fragment::Held;
use crate::flow::icmp::is_in_pair;
use crate::flow::key::Keyed;
use crate::flow::tcp::TcpMarks;
use crate::wire::{Dissected, PlainSegment, SynSegment, TcpFlags, TcpSegment, Transport, Tunnel, VlanTags};
use netscope_backends::Timestamp;

/// A packet of a flow.
#[derive(Clone, Copy, Debug)]
pub struct FlowPacket<'a> {
    /// The flow's key, its hash, and the packet's direction in it.
    pub keyed: &'a Keyed,
    /// What [`super::FlowTable::prefetch_entry`] said; [`Candidate::NONE`] where it was not asked.
    pub candidate: Candidate,
    /// When it was captured.
    pub time: Timestamp,
    /// Bytes on the wire, link header included.
    pub wire_len: u32,
    /// What of it matters to the flow.
    pub content: Content<'a>,
}

/// What of a packet matters to its flow.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A TCP segment with an ACK, without SYN, FIN and RST, and without options but timestamps.
    Segment(&'a PlainSegment),
    /// The same with a FIN.
    LastSegment(&'a PlainSegment),
    /// A SYN or SYN-ACK without data and without SACK blocks.
    Syn(&'a SynSegment),
    /// A packet whose transport header says nothing of a connection, a first fragment among them.
    Datagram,
    /// A later fragment: it counts, and carries no transport header.
    LaterFragment,
    /// Later fragments that arrived before their first one; they count after it. Their times are their own.
    Held(&'a Held),
    /// Anything: the [`PacketFacts`] tell.
    Other,
}

/// What a packet says beyond its [`FlowPacket`]. The fast path asks for none of it.
pub trait PacketFacts {
    /// Number of the packet on its queue, from 1, below 2^59.
    fn number(&self) -> u64;
    /// The TCP segment with all its options, if it is one.
    fn segment(&self) -> Option<TcpSegment>;
    /// The control bits of that segment.
    fn flags(&self) -> Option<TcpFlags> {
        self.segment().map(|segment| segment.flags)
    }
    /// VLAN tags under the outermost network layer.
    fn vlan(&self) -> VlanTags;
    /// The innermost tunnel.
    fn tunnel(&self) -> Option<Tunnel>;
    /// The packet is an ICMP echo reply, so its receiver began.
    fn is_echo_reply(&self) -> bool;
    /// The code of an ICMP message whose key has none; 0 for any other packet.
    fn icmp_code(&self) -> u8;
}

/// The facts of a packet that was dissected in full.
#[derive(Clone, Copy, Debug)]
pub struct FullFacts<'a> {
    /// Number of the packet on its queue.
    pub number: u64,
    /// What the packet says of itself.
    pub dissected: &'a Dissected,
}

impl PacketFacts for FullFacts<'_> {
    fn number(&self) -> u64 {
        self.number
    }

    fn segment(&self) -> Option<TcpSegment> {
        match self.dissected.transport {
            Transport::Tcp(segment) => Some(segment),
            _ => None,
        }
    }

    fn vlan(&self) -> VlanTags {
        self.dissected.vlan
    }

    fn tunnel(&self) -> Option<Tunnel> {
        self.dissected.tunnel
    }

    fn is_echo_reply(&self) -> bool {
        matches!(self.dissected.transport, Transport::Echo { request: false, .. })
    }

    fn icmp_code(&self) -> u8 {
        let protocol = self.dissected.network.map_or(0, |network| network.protocol);
        match self.dissected.transport {
            Transport::Echo { code, .. } => code,
            Transport::Icmp { kind, code } if is_in_pair(protocol, kind) => code,
            _ => 0,
        }
    }
}

/// Where a flow probably lies; whether it does is asked of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate(pub(super) u32);

impl Candidate {
    /// No place is known.
    pub const NONE: Self = Self(u32::MAX);

    /// The place, as [`Counted::place`] has it; none is one that no flow has.
    pub const fn place(self) -> u32 {
        self.0
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Number of the flow's place; the same for all packets of one record, used again after it ended. [`Counted::NO_PLACE`] for a segment
    /// that came too late for its connection and is in no flow.
    pub place: u32,
    /// What the TCP analysis found the segment to be.
    pub marks: TcpMarks,
    /// What happened to the flow with this packet.
    pub events: FlowEvents,
    /// How much looking it took.
    pub path: CountPath,
}

impl Counted {
    /// No flow's place.
    pub const NO_PLACE: u32 = u32::MAX;

    /// The packet opened the record.
    pub const fn opened(&self) -> bool {
        self.events.has(FlowEvents::OPENED)
    }
}

/// How a packet was counted. It says nothing about the result, which is the same by any path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CountPath {
    /// An established flow went on.
    Fast = 0,
    /// A handshake, an end, a loss in a usual form.
    Warm = 1,
    /// Everything was asked for.
    Slow = 2,
}

/// What happened to a flow with one packet; several may hold. An established flow that goes on says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowEvents(u8);

impl FlowEvents {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The packet opened the record.
    pub const OPENED: Self = Self(1);
    /// The packet is a SYN without ACK, the first or a repeated one.
    pub const SYN: Self = Self(1 << 1);
    /// The packet completed the TCP handshake.
    pub const ESTABLISHED: Self = Self(1 << 2);
    /// The connection was refused: an RST answered the SYN, or an ICMP error says that the destination is unreachable.
    pub const REFUSED: Self = Self(1 << 3);
    /// The first packet of the record against the direction of those before it. After [`FlowEvents::CONTINUED`] it may come again.
    pub const ANSWERED: Self = Self(1 << 4);
    /// The connection was closed by both sides, or reset.
    pub const FINISHED: Self = Self(1 << 5);

    /// With [`FlowEvents::OPENED`]: the record goes on with a flow whose record before ended by the active timeout.
    pub const CONTINUED: Self = Self(1 << 6);

    /// Everything.
    pub const ALL: Self = Self(u8::MAX);

    /// True when any of `others` happened.
    #[inline(always)]
    pub const fn has_any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// All but `others`.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// True when nothing happened.
    #[inline(always)]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True when all of `other` happened.
    #[inline(always)]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    #[inline(always)]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// `self`, if it `happened`.
    #[must_use]
    #[inline(always)]
    pub const fn when(self, happened: bool) -> Self {
        if happened { self } else { Self::NONE }
    }
}
