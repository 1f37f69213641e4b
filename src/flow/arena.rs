//! Memory in segments that never move: a place that was given out stays where it is, and growing copies nothing.
//!
//! Owns segments, the numbers of their places and the list of free places. Knows nothing of what lies in a place. Its
//! invariant: a number names one place from [`Arena::take`] to [`Arena::give_back`]. Growing is one mapping of untouched
//! memory, so no packet waits for a copy.

use netscope_backends::pages::prefer_huge_pages;
use netscope_backends::prefetch::prefetch_whole;

/// Most places: numbers share their words with a bit of others.
pub(super) const PLACE_COUNT_MAX: usize = (1 << 31) - 1;

/// No place.
pub(super) const NO_PLACE: u32 = u32::MAX;

/// New places between the one that is taken and the one whose memory is asked for.
const COMING: usize = 4;

/// Places by number, 2^`BITS` per segment.
pub(super) struct Segments<T, const BITS: u32> {
    segments: Vec<Vec<T>>,
    /// Places ever used.
    extent: u32,
}

impl<T, const BITS: u32> Segments<T, BITS> {
    const SEGMENT_LEN: usize = 1 << BITS;

    /// Reserves `count` places; untouched memory is not resident.
    pub fn with_capacity(count: usize) -> Self {
        // Room for the headers of all segments there may ever be: their list does not move either.
        let mut segments = Vec::with_capacity(PLACE_COUNT_MAX.div_ceil(Self::SEGMENT_LEN));
        let mut left = count.min(PLACE_COUNT_MAX);
        while left > 0 {
            let len = left.min(Self::SEGMENT_LEN);
            segments.push(Self::segment(len));
            left -= len;
        }
        Self { segments, extent: 0 }
    }

    fn segment(len: usize) -> Vec<T> {
        let segment = Vec::with_capacity(len);
        // Flows are met in any order: with small pages nearly each packet would miss the address translation, too.
        prefer_huge_pages(&segment);
        segment
    }

    #[inline(always)]
    const fn split(number: u32) -> (usize, usize) {
        ((number >> BITS) as usize, number as usize & (Self::SEGMENT_LEN - 1))
    }

    #[inline(always)]
    pub fn get(&self, number: u32) -> &T {
        let (segment, at) = Self::split(number);
        &self.segments[segment][at]
    }

    #[inline(always)]
    pub fn get_mut(&mut self, number: u32) -> &mut T {
        let (segment, at) = Self::split(number);
        &mut self.segments[segment][at]
    }

    /// Appends a value; its number, and where it lies now. The memory of the places that come next is asked for: writing
    /// waits for its cache line, too.
    #[inline(always)]
    pub fn push(&mut self, value: T) -> (u32, &mut T) {
        let number = self.extent;
        self.extent += 1;
        let (segment, at) = Self::split(number);
        if segment == self.segments.len() {
            self.grow();
        }
        let places = &mut self.segments[segment];
        places.push(value);
        if let Some(place) = places.spare_capacity_mut().get(COMING) {
            prefetch_whole(place);
        }
        (number, &mut places[at])
    }

    #[cold]
    fn grow(&mut self) {
        self.segments.push(Self::segment(Self::SEGMENT_LEN));
    }

    /// All numbers ever used lie below this.
    pub const fn extent(&self) -> u32 {
        self.extent
    }

    /// Bytes of all places ever used.
    pub const fn memory_bytes(&self) -> usize {
        self.extent as usize * size_of::<T>()
    }
}

/// What lies in an [`Arena`]: a free place holds the number of the next free one.
pub(super) trait Slot {
    /// The number written last by [`Slot::set_next_free`].
    fn next_free(&self) -> u32;
    /// Writes the number over something that a free place does not need.
    fn set_next_free(&mut self, next: u32);
}

/// [`Segments`] whose places are given back and used again, the one freed last first.
pub(super) struct Arena<T, const BITS: u32> {
    places: Segments<T, BITS>,
    free: u32,
    len: u32,
}

impl<T: Slot, const BITS: u32> Arena<T, BITS> {
    /// Reserves `count` places; untouched memory is not resident.
    pub fn with_capacity(count: usize) -> Self {
        Self { places: Segments::with_capacity(count), free: NO_PLACE, len: 0 }
    }

    /// Stores a value; the number of its place. The caller keeps to its own bound, below [`PLACE_COUNT_MAX`].
    pub fn take(&mut self, value: T) -> u32 {
        self.len += 1;
        if self.free == NO_PLACE {
            return self.places.push(value).0;
        }
        let number = self.free;
        let place = self.places.get_mut(number);
        self.free = place.next_free();
        *place = value;
        number
    }

    /// Gives a place back.
    pub fn give_back(&mut self, number: u32) {
        self.places.get_mut(number).set_next_free(self.free);
        self.free = number;
        self.len -= 1;
    }

    #[inline(always)]
    pub fn get(&self, number: u32) -> &T {
        self.places.get(number)
    }

    #[inline(always)]
    pub fn get_mut(&mut self, number: u32) -> &mut T {
        self.places.get_mut(number)
    }

    /// Places in use.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Bytes of all places ever used, free ones included.
    pub const fn memory_bytes(&self) -> usize {
        self.places.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::{Arena, Slot};
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Numbered(u32);

    impl Slot for Numbered {
        fn next_free(&self) -> u32 {
            self.0
        }

        fn set_next_free(&mut self, next: u32) {
            self.0 = next;
        }
    }

    proptest! {
        /// Against a map: what was stored stays until it is given back, and no two values share a place.
        #[test]
        fn behaves_like_a_map(steps in prop::collection::vec(prop::option::weighted(0.7, any::<u32>()), 0..200), capacity in 0..9usize) {
            let mut arena: Arena<Numbered, 2> = Arena::with_capacity(capacity);
            let mut expected: HashMap<u32, u32> = HashMap::new();
            for step in steps {
                match (step, expected.keys().min().copied()) {
                    (None, Some(place)) => {
                        expected.remove(&place);
                        arena.give_back(place);
                    }
                    (value, _) => {
                        let value = value.unwrap_or_default();
                        let place = arena.take(Numbered(value));
                        prop_assert!(expected.insert(place, value).is_none(), "place {} was in use", place);
                    }
                }
                prop_assert_eq!(arena.len(), expected.len());
                for (&place, &value) in &expected {
                    prop_assert_eq!(*arena.get(place), Numbered(value));
                }
            }
        }

        #[test]
        fn growing_moves_nothing(count in 1..100u32) {
            let mut arena: Arena<Numbered, 3> = Arena::with_capacity(0);
            let first = arena.take(Numbered(7));
            let address = std::ptr::from_ref(arena.get(first));
            for value in 0..count {
                arena.take(Numbered(value));
            }
            prop_assert!(std::ptr::eq(address, arena.get(first)));
            arena.get_mut(first).0 += 1;
            prop_assert_eq!(arena.get(first), &Numbered(8));
        }
    }
}
