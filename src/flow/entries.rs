//! Where flows lie: entries by number, the hot half and the cold half apart, because most packets need the hot one alone.
//!
//! Owns both halves' memory and the list of free places. Knows nothing of what an entry means. Its invariant: a number that was
//! given out names the same place until it is given back, and growing moves no entry.

use super::arena::{NO_PLACE, Segments};
use super::entry::{ColdHalf, Entry, Flag};
use netscope_backends::prefetch::prefetch_whole;

/// 192 MiB of hot halves and 56 MiB of cold ones: growing is a mapping of untouched memory, which becomes resident as it is
/// used, and nearly all of it can lie on huge pages.
const SEGMENT_BITS: u32 = 20;

/// Flows by number.
pub(super) struct Entries {
    hot: Segments<Entry, SEGMENT_BITS>,
    cold: Segments<ColdHalf, SEGMENT_BITS>,
    /// The first free place; each free one's `next` names the one behind it.
    free: u32,
    len: usize,
}

impl Entries {
    /// Reserves `count` entries; untouched memory is not resident.
    pub fn with_capacity(count: usize) -> Self {
        Self { hot: Segments::with_capacity(count), cold: Segments::with_capacity(count), free: NO_PLACE, len: 0 }
    }

    /// The hot half.
    #[inline(always)]
    pub fn get(&self, number: u32) -> &Entry {
        self.hot.get(number)
    }

    /// The hot half, to write.
    #[inline(always)]
    pub fn get_mut(&mut self, number: u32) -> &mut Entry {
        self.hot.get_mut(number)
    }

    /// The cold half.
    #[inline(always)]
    pub fn cold(&self, number: u32) -> &ColdHalf {
        self.cold.get(number)
    }

    /// The cold half, to write.
    #[inline(always)]
    pub fn cold_mut(&mut self, number: u32) -> &mut ColdHalf {
        self.cold.get_mut(number)
    }

    /// Both halves.
    #[inline(always)]
    pub fn both(&self, number: u32) -> (&Entry, &ColdHalf) {
        (self.hot.get(number), self.cold.get(number))
    }

    /// Both halves, to write.
    #[inline(always)]
    pub fn both_mut(&mut self, number: u32) -> (&mut Entry, &mut ColdHalf) {
        (self.hot.get_mut(number), self.cold.get_mut(number))
    }

    /// Takes a place, the one freed last first. A flow is written where it stays: its hot half is large, and what is made
    /// elsewhere is copied twice. What is there is blank.
    #[inline(always)]
    pub fn take(&mut self) -> (u32, &mut Entry, &mut ColdHalf) {
        self.len += 1;
        if self.free == NO_PLACE {
            let (number, entry) = self.hot.push(Entry::BLANK);
            (number, entry, self.cold.push(ColdHalf::BLANK).1)
        } else {
            self.take_freed()
        }
    }

    #[inline]
    fn take_freed(&mut self) -> (u32, &mut Entry, &mut ColdHalf) {
        let number = self.free;
        self.free = self.cold(number).next;
        if self.free != NO_PLACE {
            self.prefetch(self.free);
            self.prefetch_cold(self.free);
        }
        let (entry, cold) = self.both_mut(number);
        (*entry, *cold) = (Entry::BLANK, ColdHalf::BLANK);
        (number, entry, cold)
    }

    /// Gives a place back.
    pub fn give_back(&mut self, number: u32) {
        let next = self.free;
        let (entry, cold) = self.both_mut(number);
        entry.set(Flag::LIVE, false);
        cold.next = next;
        self.free = number;
        self.len -= 1;
    }

    /// Asks for all cache lines of the hot half.
    #[inline(always)]
    pub fn prefetch(&self, number: u32) {
        prefetch_whole(self.get(number));
    }

    /// Asks for the cold half.
    #[inline(always)]
    pub fn prefetch_cold(&self, number: u32) {
        prefetch_whole(self.cold(number));
    }

    /// Live entries.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// All numbers ever given out lie below this.
    pub const fn extent(&self) -> u32 {
        self.hot.extent()
    }

    /// Bytes in use, free places included.
    pub const fn memory_bytes(&self) -> usize {
        self.hot.memory_bytes() + self.cold.memory_bytes()
    }
}
