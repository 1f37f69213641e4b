//! How far a run is, for a display.
//!
//! Owns three numbers per queue. Knows no display. Invariant: a worker writes to a line of its own, so showing how far it is costs
//! the others nothing.

use netscope_backends::Position;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one worker tells once per poll. Every number is written and read Relaxed: they are for a display, and none vouches for
/// another.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ProgressLane {
    bytes_read: AtomicU64,
    bytes_total: AtomicU64,
    packets: AtomicU64,
}

impl ProgressLane {
    /// Tells where the source is and how many packets were read. Read by [`Progress::position`] and [`Progress::packets`].
    pub fn tell(&self, position: Position, packets: u64) {
        self.bytes_read.store(position.bytes_read, Ordering::Relaxed);
        self.bytes_total.store(position.bytes_total, Ordering::Relaxed);
        self.packets.store(packets, Ordering::Relaxed);
    }
}

/// How far all queues are.
#[derive(Debug)]
pub struct Progress {
    lanes: Box<[ProgressLane]>,
}

impl Progress {
    /// Nothing read yet, for this many workers.
    pub fn new(workers: usize) -> Self {
        Self { lanes: (0..workers).map(|_| ProgressLane::default()).collect() }
    }

    /// Where worker `index` tells how far it is.
    pub fn lane(&self, index: usize) -> Option<&ProgressLane> {
        self.lanes.get(index)
    }

    /// Bytes read and bytes there are, over all queues.
    pub fn position(&self) -> Position {
        Position { bytes_read: self.sum(|lane| &lane.bytes_read), bytes_total: self.sum(|lane| &lane.bytes_total) }
    }

    /// Packets read, over all queues.
    pub fn packets(&self) -> u64 {
        self.sum(|lane| &lane.packets)
    }

    fn sum(&self, number: impl Fn(&ProgressLane) -> &AtomicU64) -> u64 {
        self.lanes.iter().map(|lane| number(lane).load(Ordering::Relaxed)).sum()
    }
}
