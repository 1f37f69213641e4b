//! Packets that come in several frames, put together.
//!
//! Owns a bounded buffer of whole packets and the beginning of one. Knows no ring. Its one invariant: it
//! never holds more than [`ROOM`] bytes, reserved when it is made, and a packet longer than
//! [`PACKET_LEN_MAX`] is never handed out.

use crate::Timestamp;
use crate::file::PACKET_LEN_MAX;
use std::ops::Range;

/// Bytes of packets of one batch that are put together.
const ROOM: usize = 4 * PACKET_LEN_MAX;

/// A packet that has begun and not ended.
#[derive(Clone, Copy, Debug)]
struct Begun {
    start: usize,
    time: Option<Timestamp>,
    is_bad: bool,
}

/// Puts packets together.
#[derive(Debug)]
pub(crate) struct Joiner {
    bytes: Vec<u8>,
    begun: Option<Begun>,
    room: usize,
}

impl Joiner {
    /// With room when packets of several frames are to be expected; without, every one of them is bad.
    pub(crate) fn new(is_needed: bool) -> Self {
        let room = if is_needed { ROOM } else { 0 };
        Self { bytes: Vec::with_capacity(room), begun: None, room }
    }

    /// Whether a packet has begun and not ended.
    #[inline]
    pub(crate) const fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// Whether `len` more bytes can be taken now; if not, what is whole has to be forgotten first.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        let is_alone = self.begun.map_or(self.bytes.is_empty(), |begun| begun.start == 0);
        is_alone || self.room - self.bytes.len() >= len
    }

    /// Forgets the whole packets, keeps the one that has begun.
    pub(crate) fn restart(&mut self) {
        match &mut self.begun {
            None => self.bytes.clear(),
            Some(begun) => {
                self.bytes.drain(..begun.start);
                begun.start = 0;
            }
        }
    }

    /// Takes the next part of a packet; `time` is that of the packet when the part is its first.
    pub(crate) fn add(&mut self, part: &[u8], time: Option<Timestamp>) {
        let start = self.bytes.len();
        let begun = self.begun.get_or_insert(Begun { start, time, is_bad: false });
        let is_too_long = self.bytes.len() - begun.start + part.len() > PACKET_LEN_MAX;
        if begun.is_bad || is_too_long || part.len() > self.room - self.bytes.len() {
            begun.is_bad = true;
            self.bytes.truncate(begun.start);
        } else {
            self.bytes.extend_from_slice(part);
        }
    }

    /// A part of the packet cannot be read, so the packet cannot.
    pub(crate) fn spoil(&mut self) {
        self.add(&[], None);
        if let Some(begun) = &mut self.begun {
            begun.is_bad = true;
            self.bytes.truncate(begun.start);
        }
    }

    /// The packet has ended: where it lies and its time, unless it is bad.
    pub(crate) fn end(&mut self) -> Option<(Range<usize>, Option<Timestamp>)> {
        let begun = self.begun.take()?;
        (!begun.is_bad).then_some((begun.start..self.bytes.len(), begun.time))
    }

    /// The bytes of a whole packet.
    pub(crate) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_become_packets() {
        let mut joiner = Joiner::new(true);
        assert!(!joiner.has_begun());
        joiner.add(b"ab", Some(Timestamp(1)));
        joiner.add(b"cd", None);
        assert!(joiner.has_begun());
        let (first, time) = joiner.end().unwrap();
        joiner.add(b"ef", None);
        let (second, _) = joiner.end().unwrap();
        assert_eq!((joiner.bytes(&first), time), (b"abcd".as_slice(), Some(Timestamp(1))));
        assert_eq!(joiner.bytes(&second), b"ef");
        assert_eq!(joiner.end(), None);
    }

    #[test]
    fn what_has_begun_outlives_the_batch() {
        let mut joiner = Joiner::new(true);
        joiner.add(b"whole", None);
        joiner.end().unwrap();
        joiner.add(b"be", None);
        joiner.restart();
        joiner.add(b"gun", None);
        let (range, _) = joiner.end().unwrap();
        assert_eq!((range.start, joiner.bytes(&range)), (0, b"begun".as_slice()));
    }

    #[test]
    fn a_packet_that_never_ends_is_bad_and_bounded() {
        let mut joiner = Joiner::new(true);
        let part = vec![1; 4096];
        for _ in 0..10_000 {
            assert!(joiner.has_room(part.len()));
            joiner.add(&part, None);
            assert!(joiner.bytes.len() <= PACKET_LEN_MAX && joiner.bytes.capacity() == ROOM);
        }
        assert_eq!(joiner.end(), None);
        joiner.add(b"next", None);
        assert!(joiner.end().is_some());
    }

    #[test]
    fn a_full_buffer_asks_for_a_new_batch() {
        let mut joiner = Joiner::new(true);
        let mut whole = 0;
        while joiner.has_room(PACKET_LEN_MAX) {
            joiner.add(&vec![1; PACKET_LEN_MAX], None);
            assert!(joiner.end().is_some());
            whole += 1;
        }
        assert_eq!(whole, 4);
        joiner.restart();
        assert!(joiner.has_room(PACKET_LEN_MAX));
    }

    #[test]
    fn a_spoiled_part_spoils_its_packet_alone() {
        let mut joiner = Joiner::new(true);
        joiner.add(b"ab", None);
        joiner.spoil();
        joiner.add(b"cd", None);
        assert_eq!(joiner.end(), None);
        joiner.spoil();
        assert_eq!(joiner.end(), None);
        joiner.add(b"ef", None);
        let (range, _) = joiner.end().unwrap();
        assert_eq!(joiner.bytes(&range), b"ef");
    }

    #[test]
    fn without_room_nothing_is_put_together() {
        let mut joiner = Joiner::new(false);
        assert!(joiner.has_room(2048));
        joiner.add(b"ab", None);
        assert_eq!(joiner.end(), None);
        assert_eq!(joiner.bytes.capacity(), 0);
    }
}
