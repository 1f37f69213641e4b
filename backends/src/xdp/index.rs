//! Positions in a ring that is shared with somebody else.
//!
//! Owns the arithmetic of one side of a ring: where it is, how far the other side is known to be. Knows no
//! memory: positions are read and published by the caller. Its one invariant: it never hands out more places
//! than the ring has, whatever the other side claims.
//!
//! Positions are counters of 32 bits that wrap; a place is a position modulo the ring's size, which is a
//! power of two (net/xdp/xsk_queue.h of Linux).

/// The other side claims a position that no ring of this size allows; the ring cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overrun {
    /// Our position.
    pub ours: u32,
    /// What the other side claims.
    pub theirs: u32,
    /// Places of the ring.
    pub entries: u32,
}

/// The reading side.
#[derive(Debug)]
pub(crate) struct Consumer {
    next: u32,
    /// The producer's position as last read.
    seen: u32,
    entries: u32,
}

impl Consumer {
    /// A ring of `entries` places (a power of two) in which both sides are at `position`.
    pub(crate) const fn new(entries: u32, position: u32) -> Self {
        assert!(entries.is_power_of_two());
        Self { next: position, seen: position, entries }
    }

    /// Entries that can be read now. Asks for the producer's position only when fewer than `wanted` are
    /// known.
    #[inline]
    pub(crate) fn available(&mut self, wanted: u32, producer: impl FnOnce() -> u32) -> Result<u32, Overrun> {
        let known = self.seen.wrapping_sub(self.next);
        if known >= wanted {
            return Ok(known);
        }
        let theirs = producer();
        let available = theirs.wrapping_sub(self.next);
        if available > self.entries || available < known {
            return Err(Overrun { ours: self.next, theirs, entries: self.entries });
        }
        self.seen = theirs;
        Ok(available)
    }

    /// Places of the ring.
    pub(crate) const fn entries(&self) -> u32 {
        self.entries
    }

    /// Where the entry lies that is `ahead` behind the next one.
    #[inline]
    pub(crate) const fn place(&self, ahead: u32) -> u32 {
        self.next.wrapping_add(ahead) & (self.entries - 1)
    }

    /// Leaves `count` entries, at most as many as are known; our position, to be published.
    #[inline]
    pub(crate) fn leave(&mut self, count: u32) -> u32 {
        self.next = self.next.wrapping_add(count.min(self.seen.wrapping_sub(self.next)));
        self.next
    }
}

/// The writing side.
#[derive(Debug)]
pub(crate) struct Producer {
    next: u32,
    /// The consumer's position as last read.
    seen: u32,
    entries: u32,
}

impl Producer {
    /// A ring of `entries` places (a power of two) in which both sides are at `position`.
    pub(crate) const fn new(entries: u32, position: u32) -> Self {
        assert!(entries.is_power_of_two());
        Self { next: position, seen: position, entries }
    }

    /// Places that can be written now. Asks for the consumer's position only when fewer than `wanted` are
    /// known.
    #[inline]
    pub(crate) fn free(&mut self, wanted: u32, consumer: impl FnOnce() -> u32) -> Result<u32, Overrun> {
        let known_used = self.next.wrapping_sub(self.seen);
        if self.entries - known_used >= wanted {
            return Ok(self.entries - known_used);
        }
        let theirs = consumer();
        let used = self.next.wrapping_sub(theirs);
        if used > known_used {
            return Err(Overrun { ours: self.next, theirs, entries: self.entries });
        }
        self.seen = theirs;
        Ok(self.entries - used)
    }

    /// Entries that the consumer has not taken, its position asked for anew.
    #[inline]
    pub(crate) fn used(&mut self, consumer: impl FnOnce() -> u32) -> Result<u32, Overrun> {
        // More places than there are: it is always asked.
        self.free(u32::MAX, consumer).map(|free| self.entries - free)
    }

    /// Where the entry lies that is `ahead` behind the next one.
    #[inline]
    pub(crate) const fn place(&self, ahead: u32) -> u32 {
        self.next.wrapping_add(ahead) & (self.entries - 1)
    }

    /// `count` entries are written, at most as many as are known to be free; our position, to be published.
    #[inline]
    pub(crate) fn leave(&mut self, count: u32) -> u32 {
        let used = self.next.wrapping_sub(self.seen);
        self.next = self.next.wrapping_add(count.min(self.entries - used));
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[test]
    fn empty_full_and_over_the_end_of_32_bits() {
        for start in [0, 7, u32::MAX - 2, u32::MAX] {
            let (mut producer, mut consumer) = (Producer::new(4, start), Consumer::new(4, start));
            assert_eq!(consumer.available(1, || start), Ok(0), "empty");
            assert_eq!(producer.free(4, || panic!("enough is known")), Ok(4));
            let end = producer.leave(4);
            assert_eq!(end, start.wrapping_add(4));
            assert_eq!(producer.free(1, || start), Ok(0), "full");
            assert_eq!(producer.leave(1), end, "a full ring takes nothing");
            assert_eq!(consumer.available(1, || end), Ok(4));
            let places: Vec<_> = (0..4).map(|ahead| consumer.place(ahead)).collect();
            assert_eq!(places, (0..4).map(|ahead| start.wrapping_add(ahead) % 4).collect::<Vec<_>>());
            assert_eq!(consumer.leave(9), end, "no more than there is");
            assert_eq!(producer.free(4, || end), Ok(4));
        }
    }

    #[test]
    fn asks_only_when_too_little_is_known() {
        let mut consumer = Consumer::new(8, 0);
        assert_eq!(consumer.available(2, || 5), Ok(5));
        consumer.leave(3);
        assert_eq!(consumer.available(2, || panic!("two are known")), Ok(2));
        assert_eq!(consumer.available(3, || 8), Ok(5));
    }

    #[test]
    fn a_position_that_cannot_be_is_refused() {
        let mut consumer = Consumer::new(8, 100);
        for theirs in [109, 99, 100_u32.wrapping_add(1 << 31)] {
            assert_eq!(consumer.available(1, || theirs), Err(Overrun { ours: 100, theirs, entries: 8 }));
        }
        assert_eq!(consumer.available(1, || 108), Ok(8), "the honest position still works");
        let mut producer = Producer::new(8, 100);
        producer.leave(8);
        for theirs in [99, 109, 0] {
            assert_eq!(producer.free(1, || theirs), Err(Overrun { ours: 108, theirs, entries: 8 }));
        }
        assert_eq!(producer.free(1, || 101), Ok(1));
        assert_eq!(producer.free(2, || 100), Err(Overrun { ours: 108, theirs: 100, entries: 8 }), "it does not go back");
    }

    proptest! {
        /// Two machines over one ring do what a queue does.
        #[test]
        fn behaves_as_a_bounded_queue(
            start in any::<u32>(),
            exponent in 0_u32..6,
            steps in proptest::collection::vec((any::<bool>(), 0_u32..40), 0..200),
        ) {
            let entries = 1 << exponent;
            let (mut producer, mut consumer) = (Producer::new(entries, start), Consumer::new(entries, start));
            let mut ring = vec![0_u64; entries as usize];
            let (mut model, mut number) = (VecDeque::new(), 0_u64);
            let (mut produced, mut consumed) = (start, start);
            for (is_write, wanted) in steps {
                if is_write {
                    let count = producer.free(wanted, || consumed).unwrap().min(wanted);
                    prop_assert_eq!(count, wanted.min(entries - model.len() as u32));
                    for ahead in 0..count {
                        number += 1;
                        ring[producer.place(ahead) as usize] = number;
                        model.push_back(number);
                    }
                    produced = producer.leave(count);
                } else {
                    let count = consumer.available(wanted, || produced).unwrap().min(wanted);
                    prop_assert_eq!(count, wanted.min(model.len() as u32));
                    for ahead in 0..count {
                        prop_assert_eq!(Some(ring[consumer.place(ahead) as usize]), model.pop_front());
                    }
                    consumed = consumer.leave(count);
                }
            }
        }

        /// Whatever the other side claims, nobody is handed more than the ring has.
        #[test]
        fn lies_are_bounded(start in any::<u32>(), claims in proptest::collection::vec((any::<u32>(), 0_u32..20), 1..60)) {
            let (mut producer, mut consumer) = (Producer::new(16, start), Consumer::new(16, start));
            for (theirs, count) in claims {
                if let Ok(available) = consumer.available(count, || theirs) {
                    prop_assert!(available <= 16);
                }
                if let Ok(free) = producer.free(count, || theirs) {
                    prop_assert!(free <= 16);
                }
                prop_assert!(consumer.place(count) < 16 && producer.place(count) < 16);
                consumer.leave(count);
                producer.leave(count);
            }
        }
    }
}
