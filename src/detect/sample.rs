//! Packets that stand as examples for many, and the time between the first and the last of them.
//!
//! Owns the earliest few. Invariant: they are those with the smallest numbers, so they do not depend on order or on parts.

use crate::flow::{Direction, FlowEnd, FlowGrowth, FlowKey, SeenFlow, SeenRefusal};
use netscope_backends::Timestamp;

/// Times of the earliest and the latest observation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeenSpan(Option<(Timestamp, Timestamp)>);

impl SeenSpan {
    /// Notes an observation.
    pub fn note(&mut self, time: Timestamp) {
        self.merge(Self(Some((time, time))));
    }

    /// Notes those of another part.
    pub fn merge(&mut self, other: Self) {
        self.0 = match (self.0, other.0) {
            (Some((first, last)), Some((other_first, other_last))) => Some((first.min(other_first), last.max(other_last))),
            (own, other) => own.or(other),
        };
    }

    /// The earliest; 0 without any.
    pub fn first(self) -> Timestamp {
        self.0.map_or(Timestamp(0), |(first, _)| first)
    }

    /// The latest; 0 without any.
    pub fn last(self) -> Timestamp {
        self.0.map_or(Timestamp(0), |(_, last)| last)
    }

    /// Between the two, in ns.
    pub fn duration_ns(self) -> u64 {
        self.last().since(self.first())
    }
}

/// A packet of a flow, as an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplePacket {
    /// Number of the packet: of the source, or of its queue where queues have packets of their own.
    pub number: u64,
    /// Its flow.
    pub key: FlowKey,
    /// Who began the flow.
    pub initiator: Direction,
}

impl From<&SeenFlow> for SamplePacket {
    fn from(flow: &SeenFlow) -> Self {
        Self { number: flow.number, key: flow.key, initiator: flow.initiator }
    }
}

impl From<&FlowEnd> for SamplePacket {
    fn from(end: &FlowEnd) -> Self {
        Self { number: end.first_packet, key: end.key, initiator: end.initiator }
    }
}

impl From<&FlowGrowth> for SamplePacket {
    fn from(flow: &FlowGrowth) -> Self {
        Self { number: flow.first_packet, key: flow.key, initiator: flow.initiator }
    }
}

impl From<&SeenRefusal> for SamplePacket {
    fn from(refusal: &SeenRefusal) -> Self {
        Self { number: refusal.number, key: refusal.key, initiator: refusal.direction }
    }
}

/// The earliest packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SamplePackets(Vec<SamplePacket>);

impl SamplePackets {
    /// Packets that are kept.
    pub const COUNT_MAX: usize = 3;

    /// Notes a packet; what its memory grew by, in bytes.
    pub fn note(&mut self, sample: SamplePacket) -> usize {
        let rank = |sample: &SamplePacket| (sample.number, sample.key);
        let Err(at) = self.0.binary_search_by_key(&rank(&sample), rank) else { return 0 };
        if at == Self::COUNT_MAX {
            return 0;
        }
        let is_full = self.0.len() == Self::COUNT_MAX;
        if is_full {
            self.0.pop();
        }
        self.0.insert(at, sample);
        if is_full { 0 } else { size_of::<SamplePacket>() }
    }

    /// Adds those of another part; what its memory grew by, in bytes.
    pub fn merge(&mut self, other: &Self) -> usize {
        other.0.iter().map(|sample| self.note(*sample)).sum()
    }

    /// The packets, earliest first.
    pub fn all(&self) -> &[SamplePacket] {
        &self.0
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
