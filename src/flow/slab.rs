//! Where entries lie: segments that never move.
//!
//! Owns the memory of all flows of a table and the numbers that name them. Knows nothing of what an entry means. Its invariant:
//! a number given out names the same place until it is given back, and growing moves no entry.

use super::entry::{Entry, Flag};
use netscope_backends::pages::prefer_huge_pages;
use netscope_backends::prefetch::prefetch_whole;

/// Entries per segment: 16 MiB, so that growing is one mapping of untouched memory.
const SEGMENT_LEN: usize = 1 << SEGMENT_BITS;
const SEGMENT_BITS: u32 = 16;

/// Most entries: numbers share their words with one bit of the wheel's lists.
pub(super) const ENTRY_COUNT_MAX: usize = (1 << 31) - 1;

const NONE: u32 = u32::MAX;

/// Entries by number.
pub(super) struct Slab {
    segments: Vec<Vec<Entry>>,
    free: u32,
    /// Places ever used.
    extent: usize,
    len: usize,
}

/// Reserves a segment.
fn segment(len: usize) -> Vec<Entry> {
    let segment = Vec::with_capacity(len);
    // Flows are met in any order: with small pages nearly each packet would miss the address translation, too.
    prefer_huge_pages(&segment);
    segment
}

impl Slab {
    /// Reserves `count` entries; untouched memory is not resident.
    pub fn with_capacity(count: usize) -> Self {
        let mut segments = Vec::with_capacity(count.div_ceil(SEGMENT_LEN).max(1));
        let mut left = count;
        while left > 0 {
            segments.push(segment(left.min(SEGMENT_LEN)));
            left -= left.min(SEGMENT_LEN);
        }
        Self { segments, free: NONE, extent: 0, len: 0 }
    }

    #[inline]
    pub fn get(&self, number: u32) -> &Entry {
        &self.segments[number as usize >> SEGMENT_BITS][number as usize & (SEGMENT_LEN - 1)]
    }

    #[inline]
    pub fn get_mut(&mut self, number: u32) -> &mut Entry {
        &mut self.segments[number as usize >> SEGMENT_BITS][number as usize & (SEGMENT_LEN - 1)]
    }

    /// Asks for all cache lines of an entry, so that they are in the cache when they are needed.
    #[inline]
    pub fn prefetch(&self, number: u32) {
        prefetch_whole(self.get(number));
    }

    /// Stores an entry, the place freed last first.
    pub fn insert(&mut self, entry: Entry) -> u32 {
        self.len += 1;
        if self.free != NONE {
            let number = self.free;
            let place = self.get_mut(number);
            let next = place.next;
            *place = entry;
            self.free = next;
            return number;
        }
        let number = self.extent;
        self.extent += 1;
        if number >> SEGMENT_BITS == self.segments.len() {
            self.segments.push(segment(SEGMENT_LEN));
        }
        self.segments[number >> SEGMENT_BITS].push(entry);
        number as u32
    }

    pub fn remove(&mut self, number: u32) {
        let next = self.free;
        let entry = self.get_mut(number);
        entry.set(Flag::LIVE, false);
        entry.next = next;
        self.free = number;
        self.len -= 1;
    }

    /// Live entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// All numbers ever given out lie below this.
    pub fn extent(&self) -> u32 {
        self.extent as u32
    }

    /// Bytes in use, free places included.
    pub fn memory_bytes(&self) -> usize {
        self.extent * size_of::<Entry>()
    }
}
