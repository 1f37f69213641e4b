//! The boxes of one queue that are kept for a while.
//!
//! Owns which are kept. Knows no packet beyond its time. Invariants: there are never more than `box_max` of them;
//! none is kept whose packets are all older than asked for; two that follow each other would not fit into one, so
//! boxes that came half-filled do not waste memory.

use crate::engine::FlightBox;
use netscope_backends::Timestamp;
use netscope_backends::packed::PackedPacket;
use std::collections::VecDeque;

/// A place among the packets of one queue: the box, counted from the first one ever, and the byte in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RingCursor {
    number: u64,
    at: usize,
}

/// The kept boxes of one queue, oldest first.
#[derive(Debug)]
pub struct QueueRing {
    boxes: VecDeque<Box<FlightBox>>,
    /// Number of the oldest.
    first: u64,
    box_max: usize,
    /// The latest time of all that came.
    latest: Timestamp,
    /// The latest time of all that were given back.
    forgotten: Option<Timestamp>,
    /// Bytes of the one before the oldest.
    forgotten_len: usize,
    skipped: u64,
}

impl QueueRing {
    /// Keeps so many boxes at most.
    pub fn new(box_max: usize) -> Self {
        let box_max = box_max.max(1);
        let boxes = VecDeque::with_capacity(box_max + 1);
        Self { boxes, first: 0, box_max, latest: Timestamp(0), forgotten: None, forgotten_len: 0, skipped: 0 }
    }

    /// Takes a box. What is not kept is given back: it, when its packets fit into the box before it, or the oldest.
    pub fn push(&mut self, taken: Box<FlightBox>, mut give_back: impl FnMut(Box<FlightBox>)) {
        self.skipped += taken.skipped;
        self.latest = self.latest.max(taken.packets.latest());
        if taken.packets.is_empty() || self.boxes.back_mut().is_some_and(|last| last.packets.append(&taken.packets)) {
            return give_back(taken);
        }
        self.boxes.push_back(taken);
        while self.boxes.len() > self.box_max {
            self.forget(&mut give_back);
        }
    }

    /// Gives back the boxes at the front whose packets are all older than this.
    pub fn forget_before(&mut self, time: Timestamp, mut give_back: impl FnMut(Box<FlightBox>)) {
        while self.boxes.front().is_some_and(|front| front.packets.latest() < time) {
            self.forget(&mut give_back);
        }
    }

    fn forget(&mut self, give_back: &mut impl FnMut(Box<FlightBox>)) {
        if let Some(front) = self.boxes.pop_front() {
            self.forgotten = self.forgotten.max(Some(front.packets.latest()));
            (self.first, self.forgotten_len) = (self.first + 1, front.packets.bytes_len());
            give_back(front);
        }
    }

    /// The packet at the cursor, which first goes on to where packets are that were not forgotten.
    pub fn get(&self, cursor: &mut RingCursor) -> Option<PackedPacket<'_>> {
        if cursor.number < self.first {
            *cursor = self.start();
        }
        loop {
            let index = usize::try_from(cursor.number - self.first).ok()?;
            if let Some(found) = self.boxes.get(index)?.packets.at(cursor.at) {
                return Some(found);
            }
            // The last one may be added to.
            self.boxes.get(index + 1)?;
            *cursor = RingCursor { number: cursor.number + 1, at: 0 };
        }
    }

    /// Behind the packet that [`QueueRing::get`] found there.
    #[must_use]
    pub const fn behind(cursor: RingCursor, found: &PackedPacket<'_>) -> RingCursor {
        RingCursor { number: cursor.number, at: found.next }
    }

    /// Behind all packets of a box at whose start the cursor stands, when they are all older than this. The last box is
    /// left for [`QueueRing::get`].
    pub fn pass_older(&self, cursor: &mut RingCursor, time: Timestamp) {
        if cursor.number < self.first {
            *cursor = self.start();
        }
        while let Some(index) = usize::try_from(cursor.number - self.first).ok().filter(|_| cursor.at == 0)
            && self.boxes.get(index).is_some_and(|older| older.packets.latest() < time)
            && index + 1 < self.boxes.len()
        {
            cursor.number += 1;
        }
    }

    /// True when the box at the cursor has no packet as old as this.
    pub fn is_past(&self, cursor: RingCursor, time: Timestamp) -> bool {
        let index = usize::try_from(cursor.number.saturating_sub(self.first)).ok();
        index.and_then(|index| self.boxes.get(index)).is_some_and(|found| found.packets.earliest() > time)
    }

    /// True when packets between this cursor and what is kept now were forgotten.
    pub const fn has_forgotten(&self, cursor: RingCursor) -> bool {
        cursor.number + 1 < self.first || cursor.number + 1 == self.first && cursor.at < self.forgotten_len
    }

    /// Before the oldest packet.
    pub const fn start(&self) -> RingCursor {
        RingCursor { number: self.first, at: 0 }
    }

    /// Packets up to here, at least, are not kept any more; `None` when all are.
    pub const fn forgotten(&self) -> Option<Timestamp> {
        self.forgotten
    }

    /// The earliest time in the oldest box; the end of time without any.
    pub fn earliest(&self) -> Timestamp {
        self.boxes.front().map_or(Timestamp(u64::MAX), |front| front.packets.earliest())
    }

    /// The latest time of all packets that came.
    pub const fn latest(&self) -> Timestamp {
        self.latest
    }

    /// Packets that found no box before they came here.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Boxes kept.
    pub fn len(&self) -> usize {
        self.boxes.len()
    }

    /// True when none is kept.
    pub fn is_empty(&self) -> bool {
        self.boxes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::FLIGHT_BOX_BYTES;
    use netscope_backends::{LinkType, Packet};
    use proptest::prelude::*;

    /// A box of so many packets with these times.
    fn filled(count: usize, len: usize, time: u64) -> Box<FlightBox> {
        let mut filled = Box::new(FlightBox::new());
        let data = vec![1; len];
        for i in 0..count as u64 {
            let packet = Packet { data: &data, time: Timestamp(time + i), wire_len: 9, link_type: LinkType::ETHERNET };
            assert!(filled.packets.push(&packet, usize::MAX, 0));
        }
        filled
    }

    fn times(ring: &QueueRing, cursor: &mut RingCursor) -> Vec<u64> {
        let mut times = Vec::new();
        while let Some(found) = ring.get(cursor) {
            times.push(found.packet.time.0);
            *cursor = QueueRing::behind(*cursor, &found);
        }
        times
    }

    #[test]
    fn a_cursor_sees_every_packet_once_also_those_that_are_added_to_a_box() {
        let (mut ring, mut cursor) = (QueueRing::new(2), RingCursor::default());
        let mut back = 0;
        ring.push(filled(2, 10, 5), |_| back += 1);
        assert_eq!(times(&ring, &mut cursor), [5, 6]);
        ring.push(filled(1, 10, 7), |_| back += 1);
        assert_eq!((times(&ring, &mut cursor), back, ring.len()), (vec![7], 1, 1));
        ring.push(filled(3, 262_000, 8), |_| back += 1);
        ring.push(filled(3, 262_000, 11), |_| back += 1);
        assert_eq!((back, ring.len(), ring.forgotten()), (2, 2, None), "the first three went into one box");
        ring.push(filled(3, 262_000, 14), |_| back += 1);
        assert_eq!((back, ring.len(), ring.forgotten()), (3, 2, Some(Timestamp(10))));
        assert!(ring.has_forgotten(cursor));
        assert_eq!(times(&ring, &mut cursor), [11, 12, 13, 14, 15, 16]);
        assert!(!ring.has_forgotten(cursor));
        ring.forget_before(Timestamp(14), |_| back += 1);
        assert_eq!((back, ring.len(), ring.latest()), (4, 1, Timestamp(16)));
    }

    #[test]
    fn whole_boxes_are_passed_by_their_time() {
        let mut ring = QueueRing::new(9);
        (0..4).for_each(|i| ring.push(filled(3, 262_000, i * 10), |_| {}));
        let mut cursor = RingCursor::default();
        ring.pass_older(&mut cursor, Timestamp(20));
        assert_eq!(times(&ring, &mut cursor.clone())[0], 20);
        assert!(ring.is_past(cursor, Timestamp(19)) && !ring.is_past(cursor, Timestamp(20)));
        ring.pass_older(&mut cursor, Timestamp(u64::MAX));
        assert_eq!(times(&ring, &mut cursor), [30, 31, 32], "the last one may be added to");
    }

    proptest! {
        /// Any boxes in any order of times: memory and age stay within their bounds, every box is either kept or given back, and
        /// what is kept is what came last.
        #[test]
        fn is_bounded_by_boxes_and_by_time(
            sent in proptest::collection::vec((0usize..40, prop_oneof![Just(10usize), Just(30_000)], 0u64..200), 0..60),
            box_max in 1usize..6,
            kept_ns in 1u64..200,
        ) {
            let (mut ring, mut out, mut came) = (QueueRing::new(box_max), 0usize, 0usize);
            let mut all = Vec::new();
            for (count, len, time) in sent {
                let one = filled(count.min(FLIGHT_BOX_BYTES / (len + 16)), len, time);
                all.extend((0..one.packets.count()).map(|i| time + i));
                came += 1;
                ring.push(one, |_| out += 1);
                let edge = Timestamp(ring.latest().0.saturating_sub(kept_ns));
                ring.forget_before(edge, |_| out += 1);
                prop_assert!(ring.len() <= box_max);
                prop_assert_eq!(ring.len() + out, came);
                prop_assert!(ring.boxes.front().is_none_or(|front| front.packets.latest() >= edge));
                for pair in ring.boxes.iter().collect::<Vec<_>>().windows(2) {
                    prop_assert!(pair[0].packets.bytes_len() + pair[1].packets.bytes_len() > FLIGHT_BOX_BYTES);
                }
                let kept = times(&ring, &mut RingCursor::default());
                prop_assert_eq!(&kept[..], &all[all.len() - kept.len()..]);
            }
        }
    }
}
