//! Where entries lie: segments that never move.
//!
//! Owns the memory of all flows of a table and the numbers that name them. Knows nothing of what an entry means. Its invariant:
//! a number given out names the same place until it is given back, and growing moves no entry.

use super::entry::{ColdHalf, Entry, Flag};
use netscope_backends::pages::prefer_huge_pages;
use netscope_backends::prefetch::prefetch_whole;

/// Entries per segment: 192 MiB of fronts and 56 MiB of backs, so that growing is a mapping of untouched memory, which takes room
/// as it is used, and that nearly all of it can lie on huge pages.
const SEGMENT_LEN: usize = 1 << SEGMENT_BITS;
const SEGMENT_BITS: u32 = 20;

/// Most entries: numbers share their words with one bit of the wheel's lists.
pub(super) const ENTRY_COUNT_MAX: usize = (1 << 31) - 1;

/// New places between the one that is used and the one that is asked for.
const COMING: usize = 4;

const NONE: u32 = u32::MAX;

/// Entries by number, fronts and backs apart: most packets need the front alone.
pub(super) struct Slab {
    fronts: Vec<Vec<Entry>>,
    backs: Vec<Vec<ColdHalf>>,
    free: u32,
    /// Places ever used.
    extent: usize,
    len: usize,
}

/// Reserves a segment.
fn segment<T>(len: usize) -> Vec<T> {
    let segment = Vec::with_capacity(len);
    // Flows are met in any order: with small pages nearly each packet would miss the address translation, too.
    prefer_huge_pages(&segment);
    segment
}

/// Asks for a place that will be used soon for the first time: writing to memory waits for its line, too.
#[inline(always)]
fn prefetch_coming<T>(places: &mut Vec<T>) {
    if let Some(place) = places.spare_capacity_mut().get(COMING) {
        prefetch_whole(place);
    }
}

const fn split(number: u32) -> (usize, usize) {
    (number as usize >> SEGMENT_BITS, number as usize & (SEGMENT_LEN - 1))
}

impl Slab {
    /// Reserves `count` entries; untouched memory is not resident.
    pub fn with_capacity(count: usize) -> Self {
        let mut slab = Self { fronts: Vec::new(), backs: Vec::new(), free: NONE, extent: 0, len: 0 };
        let mut left = count;
        while left > 0 {
            slab.fronts.push(segment(left.min(SEGMENT_LEN)));
            slab.backs.push(segment(left.min(SEGMENT_LEN)));
            left -= left.min(SEGMENT_LEN);
        }
        slab
    }

    #[inline(always)]
    pub fn get(&self, number: u32) -> &Entry {
        let (segment, at) = split(number);
        &self.fronts[segment][at]
    }

    #[inline(always)]
    pub fn get_mut(&mut self, number: u32) -> &mut Entry {
        let (segment, at) = split(number);
        &mut self.fronts[segment][at]
    }

    #[inline(always)]
    pub fn back(&self, number: u32) -> &ColdHalf {
        let (segment, at) = split(number);
        &self.backs[segment][at]
    }

    #[inline(always)]
    pub fn cold_half_mut(&mut self, number: u32) -> &mut ColdHalf {
        let (segment, at) = split(number);
        &mut self.backs[segment][at]
    }

    /// Front and back.
    #[inline(always)]
    pub fn both(&self, number: u32) -> (&Entry, &ColdHalf) {
        let (segment, at) = split(number);
        (&self.fronts[segment][at], &self.backs[segment][at])
    }

    /// Front and back, to write.
    #[inline(always)]
    pub fn both_mut(&mut self, number: u32) -> (&mut Entry, &mut ColdHalf) {
        let (segment, at) = split(number);
        (&mut self.fronts[segment][at], &mut self.backs[segment][at])
    }

    /// Asks for all cache lines of an entry's front, so that they are in the cache when they are needed.
    #[inline(always)]
    pub fn prefetch(&self, number: u32) {
        prefetch_whole(self.get(number));
    }

    /// Takes a place, the one freed last first. A flow is written where it stays: its front is large, and what is made elsewhere is
    /// copied twice. What is there is blank.
    #[inline(always)]
    pub fn take(&mut self) -> (u32, &mut Entry, &mut ColdHalf) {
        self.len += 1;
        if self.free == NONE { self.take_new() } else { self.take_freed() }
    }

    #[inline(always)]
    fn take_new(&mut self) -> (u32, &mut Entry, &mut ColdHalf) {
        let number = self.extent as u32;
        self.extent += 1;
        let (segment, at) = split(number);
        if segment == self.fronts.len() {
            self.add_segment();
        }
        let (fronts, backs) = (&mut self.fronts[segment], &mut self.backs[segment]);
        fronts.push(Entry::BLANK);
        backs.push(ColdHalf::BLANK);
        prefetch_coming(fronts);
        prefetch_coming(backs);
        (number, &mut fronts[at], &mut backs[at])
    }

    #[inline]
    fn take_freed(&mut self) -> (u32, &mut Entry, &mut ColdHalf) {
        let number = self.free;
        self.free = self.back(number).next;
        if self.free != NONE {
            self.prefetch(self.free);
            self.prefetch_cold_half(self.free);
        }
        let (entry, back) = self.both_mut(number);
        (*entry, *back) = (Entry::BLANK, ColdHalf::BLANK);
        (number, entry, back)
    }

    #[cold]
    fn add_segment(&mut self) {
        self.fronts.push(segment(SEGMENT_LEN));
        self.backs.push(segment(SEGMENT_LEN));
    }

    pub fn remove(&mut self, number: u32) {
        let next = self.free;
        let (entry, back) = self.both_mut(number);
        entry.set(Flag::LIVE, false);
        back.next = next;
        self.free = number;
        self.len -= 1;
    }

    /// Asks for an entry's back, too.
    #[inline(always)]
    pub fn prefetch_cold_half(&self, number: u32) {
        prefetch_whole(self.back(number));
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
        self.extent * (size_of::<Entry>() + size_of::<ColdHalf>())
    }
}
