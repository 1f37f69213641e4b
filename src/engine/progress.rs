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
pub struct WorkerProgress {
    bytes_read: AtomicU64,
    bytes_total: AtomicU64,
    packets: AtomicU64,
}

impl WorkerProgress {
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
    workers: Box<[WorkerProgress]>,
}

impl Progress {
    /// Nothing read yet, for this many workers.
    pub fn new(workers: usize) -> Self {
        Self { workers: (0..workers).map(|_| WorkerProgress::default()).collect() }
    }

    /// Where worker `index` tells how far it is.
    pub fn worker(&self, index: usize) -> Option<&WorkerProgress> {
        self.workers.get(index)
    }

    /// Bytes read and bytes there are, over all queues.
    pub fn position(&self) -> Position {
        Position { bytes_read: self.sum(|worker| &worker.bytes_read), bytes_total: self.sum(|worker| &worker.bytes_total) }
    }

    /// Packets read, over all queues.
    pub fn packets(&self) -> u64 {
        self.sum(|worker| &worker.packets)
    }

    fn sum(&self, number: impl Fn(&WorkerProgress) -> &AtomicU64) -> u64 {
        self.workers.iter().map(|worker| number(worker).load(Ordering::Relaxed)).sum()
    }
}
