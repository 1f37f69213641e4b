//! What a layer's work cannot cost less than: the 5-tuple at known places, and a flat array instead of a flow
//! table.
//!
//! Owns the least that still counts as the same job. Its one invariant: no hashing, no comparing, no
//! decision.

use netscope_backends::pages::prefer_huge_pages;
use netscope_backends::prefetch::prefetch_read;

/// One cache line of counters.
#[derive(Clone)]
#[repr(align(64))]
pub struct CacheLine {
    packets: [u64; 2],
    bytes: [u64; 2],
    last: u64,
}

/// A line per flow, found by its number: nothing is searched.
pub struct FlatTable(Vec<CacheLine>);

impl FlatTable {
    /// Lines for `count` flows, on huge pages where the table of flows has them.
    pub fn new(count: usize) -> Self {
        let mut lines = Vec::with_capacity(count);
        prefer_huge_pages(&lines);
        lines.resize(count, CacheLine { packets: [0; 2], bytes: [0; 2], last: 0 });
        Self(lines)
    }

    /// Asks for a flow's line.
    pub fn prefetch(&self, flow: u32) {
        if let Some(line) = self.0.get(flow as usize) {
            prefetch_read(line);
        }
    }

    /// Counts a packet.
    pub fn count(&mut self, flow: u32, direction: usize, bytes: u64, time: u64) {
        let Some(line) = self.0.get_mut(flow as usize) else { return };
        let direction = direction & 1;
        line.packets[direction] += 1;
        line.bytes[direction] += bytes;
        line.last = time;
    }
}

/// Addresses and ports from where they are known to be, folded into a number so that all of them are read.
pub fn five_tuple<const ADDRESS: usize>(frame: &[u8], ip: usize, addresses: usize, transport: usize) -> u64 {
    let word = |at: usize| frame.get(at..at + 4).and_then(|bytes| bytes.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b));
    let mut sum = u64::from(frame.get(ip).copied().unwrap_or(0)) ^ u64::from(word(transport));
    for part in 0..ADDRESS / 2 {
        sum = sum.rotate_left(16) ^ u64::from(word(addresses + 4 * part));
    }
    sum
}
