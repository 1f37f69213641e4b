//! What a queue counted in bins of packet time, and the flows of its hot bins.
//!
//! Owns plain sums. Knows no link. Invariant: bins have absolute numbers, so they add up over queues and intervals in any order.

use crate::flow::{Direction, FlowKey};

/// Bytes that a frame takes on an Ethernet wire beyond those captured: preamble (8), check sequence (4), gap (12).
pub const FRAME_OVERHEAD: u64 = 24;

/// What came in one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BurstBin {
    /// Its number: packet time divided by the bin's length.
    pub bin: u64,
    /// Bytes of frames as captured.
    pub bytes: u64,
    /// Frames.
    pub packets: u64,
}

impl BurstBin {
    /// Bytes with those that each frame takes on the wire besides.
    pub fn load(&self) -> u64 {
        self.bytes.saturating_add(self.packets.saturating_mul(FRAME_OVERHEAD))
    }

    /// Adds what came in the same bin on another queue.
    pub fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.packets += other.packets;
    }
}

/// What a flow sent in hot bins. Arrays are indexed by [`Direction::index`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BurstFlow {
    /// Canonical 5-tuple.
    pub key: FlowKey,
    /// Bytes per direction.
    pub bytes: [u64; 2],
    /// Packets per direction.
    pub packets: [u64; 2],
}

impl BurstFlow {
    /// A flow of one packet.
    pub fn new(key: FlowKey, direction: Direction, bytes: u64) -> Self {
        let mut flow = Self { key, bytes: [0; 2], packets: [0; 2] };
        (flow.bytes[direction.index()], flow.packets[direction.index()]) = (bytes, 1);
        flow
    }

    /// Bytes of both directions.
    pub fn bytes_of_both(&self) -> u64 {
        self.bytes[0] + self.bytes[1]
    }

    /// Adds what it sent elsewhere.
    pub fn add(&mut self, other: &Self) {
        for i in 0..2 {
            self.bytes[i] += other.bytes[i];
            self.packets[i] += other.packets[i];
        }
    }
}

/// What one queue counted in an interval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BurstEvidence {
    /// Bins in which something came; each once, in no order.
    pub bins: Vec<BurstBin>,
    /// Flows of packets that came when a bin was hot already; as many packets as the queue notes.
    pub flows: Vec<BurstFlow>,
    /// Packets older than the interval in which they came; they are in no bin.
    pub late_packets: u64,
    /// Bins without room.
    pub bins_left_out: u64,
}

impl BurstEvidence {
    /// Bins at most: those of the longest interval, and as many that came before it and could not be sent.
    const BIN_COUNT_MAX: usize = 2 * super::MicroburstSettings::BIN_COUNT_MAX as usize;
    /// Flows at most.
    const FLOW_COUNT_MAX: usize = 2048;

    /// True without anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Forgets all of it; keeps the memory.
    pub fn clear(&mut self) {
        let Self { bins, flows, late_packets, bins_left_out } = self;
        bins.clear();
        flows.clear();
        (*late_packets, *bins_left_out) = (0, 0);
    }

    /// Becomes a copy of `other` without giving its memory up.
    pub fn copy_from(&mut self, other: &Self) {
        self.clear();
        self.add(other);
    }

    /// Adds what the same queue counted in a later interval.
    pub fn add(&mut self, later: &Self) {
        let Self { bins, flows, late_packets, bins_left_out } = self;
        let (room, came) = (Self::BIN_COUNT_MAX.saturating_sub(bins.len()), &later.bins);
        let (kept, left_out) = came.split_at(room.min(came.len()));
        bins.extend(kept);
        let room = Self::FLOW_COUNT_MAX.saturating_sub(flows.len());
        flows.extend(later.flows.iter().take(room));
        *late_packets += later.late_packets;
        *bins_left_out += later.bins_left_out + left_out.len() as u64;
    }
}
