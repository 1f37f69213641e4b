//! The holes in what was seen of one direction's unacknowledged data.
//!
//! Owns at most [`Gaps::KEPT`] side-open ranges, lowest first. Knows nothing of segments. Its invariant: ranges are not empty,
//! do not touch each other and go upwards.

use super::sequence::Sequence;
use netscope_backends::prefetch::prefetch_read;

/// A range of sequence numbers: `start` is in it, `end` is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: Sequence,
    pub(super) end: Sequence,
}

/// Up to [`Gaps::KEPT`] holes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Gaps {
    count: u8,
    ranges: [Range; Self::KEPT],
}

impl Gaps {
    /// Holes remembered per direction.
    pub(super) const KEPT: usize = 16;

    /// The holes, lowest first.
    pub(super) fn ranges(&self) -> &[Range] {
        &self.ranges[..usize::from(self.count).min(Self::KEPT)]
    }

    /// Brings the lowest holes into the cache.
    pub(super) fn prefetch(&self) {
        prefetch_read(&self.ranges);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// True when part of the range, or the point between two bytes when it is empty, lies in a hole.
    pub(super) fn touch(&self, start: Sequence, end: Sequence) -> bool {
        self.ranges().iter().any(|gap| start.before(gap.end) && end.after(gap.start))
    }

    /// Adds a hole above or below all others; returns how many were forgotten for it (0 or 1): the lowest, which is nearest to
    /// being acknowledged.
    pub(super) fn add(&mut self, start: Sequence, end: Sequence) -> u32 {
        if !start.before(end) {
            return 0;
        }
        let index = self.ranges().partition_point(|gap| gap.start.before(start));
        self.insert(index, Range { start, end })
    }

    /// Takes the range out of every hole; returns how many holes were forgotten because one was split (0 or 1).
    pub(super) fn fill(&mut self, start: Sequence, end: Sequence) -> u32 {
        let mut forgotten = 0;
        let mut index = 0;
        while let Some(&gap) = self.ranges().get(index) {
            if !(start.before(gap.end) && end.after(gap.start)) {
                index += 1;
                continue;
            }
            let (below, above) = (gap.start.before(start), end.before(gap.end));
            match (below, above) {
                (false, false) => {
                    self.remove(index);
                    continue;
                }
                (true, false) => self.ranges[index].end = start,
                (false, true) => self.ranges[index].start = end,
                (true, true) => {
                    self.ranges[index].end = start;
                    forgotten += self.insert(index + 1, Range { start: end, end: gap.end });
                    break;
                }
            }
            index += 1;
        }
        forgotten
    }

    /// Forgets holes below `limit`; returns where seen data begins at or above it: `limit`, or the end of the hole it lies in.
    pub(super) fn acknowledge(&mut self, limit: Sequence) -> Sequence {
        while let Some(&gap) = self.ranges().first() {
            if gap.start.after(limit) {
                return limit;
            }
            self.remove(0);
            if gap.end.after(limit) {
                return gap.end;
            }
        }
        limit
    }

    /// Forgets all holes.
    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    fn remove(&mut self, index: usize) {
        let count = self.ranges().len();
        if index < count {
            self.ranges.copy_within(index + 1..count, index);
            self.count -= 1;
        }
    }

    fn insert(&mut self, index: usize, range: Range) -> u32 {
        let (mut index, mut forgotten) = (index, 0);
        if self.ranges().len() == Self::KEPT {
            forgotten = 1;
            if index == 0 {
                return forgotten;
            }
            self.remove(0);
            index -= 1;
        }
        let count = self.ranges().len();
        let index = index.min(count);
        self.ranges.copy_within(index..count, index + 1);
        self.ranges[index] = range;
        self.count += 1;
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::{Gaps, Range};
    use crate::flow::tcp::sequence::Sequence;
    use proptest::prelude::*;

    fn gaps(ranges: &[(u32, u32)]) -> Gaps {
        let mut gaps = Gaps::default();
        for &(start, end) in ranges {
            gaps.add(Sequence(start), Sequence(end));
        }
        gaps
    }

    fn plain(gaps: &Gaps) -> Vec<(u32, u32)> {
        gaps.ranges().iter().map(|r: &Range| (r.start.0, r.end.0)).collect()
    }

    #[test]
    fn filling_cuts_splits_and_removes() {
        let mut g = gaps(&[(10, 20), (30, 40)]);
        g.fill(Sequence(12), Sequence(15));
        assert_eq!(plain(&g), [(10, 12), (15, 20), (30, 40)]);
        g.fill(Sequence(18), Sequence(35));
        assert_eq!(plain(&g), [(10, 12), (15, 18), (35, 40)]);
        g.fill(Sequence(0), Sequence(50));
        assert_eq!(plain(&g), []);
    }

    #[test]
    fn an_ack_inside_a_hole_leads_behind_it() {
        let mut g = gaps(&[(10, 20), (30, 40)]);
        assert_eq!(g.acknowledge(Sequence(5)), Sequence(5));
        assert_eq!(g.acknowledge(Sequence(15)), Sequence(20));
        assert_eq!(g.acknowledge(Sequence(25)), Sequence(25));
        assert_eq!(plain(&g), [(30, 40)]);
    }

    #[test]
    fn a_point_at_the_border_of_a_hole_is_outside() {
        let g = gaps(&[(10, 20)]);
        let touch = |a, b| g.touch(Sequence(a), Sequence(b));
        assert!(!touch(10, 10) && !touch(20, 20) && touch(11, 11) && touch(9, 11) && !touch(5, 10));
    }

    #[test]
    fn the_lowest_hole_goes_when_there_are_too_many() {
        let mut g = Gaps::default();
        let forgotten: u32 = (0..20).map(|i| g.add(Sequence(i * 10), Sequence(i * 10 + 5))).sum();
        assert_eq!((forgotten, g.ranges().len(), g.ranges()[0].start.0), (4, Gaps::KEPT, 40));
    }

    proptest! {
        /// Against a bit per byte, from any origin.
        #[test]
        fn behaves_like_a_bitmap(origin: u32, steps in prop::collection::vec((0u32..3, 0u32..64, 1u32..16), 0..40)) {
            let at = |n: u32| Sequence(origin) + n;
            let (mut g, mut top, mut hole) = (Gaps::default(), 0u32, vec![false; 4096]);
            let mut low = 0usize;
            for (what, a, b) in steps {
                match what {
                    0 => {
                        g.add(at(top), at(top + b));
                        hole[top as usize..(top + b) as usize].fill(true);
                        top += b + 1 + a % 4;
                    }
                    1 => {
                        g.fill(at(a), at(a + b));
                        hole[a as usize..(a + b) as usize].fill(false);
                    }
                    _ => {
                        g.acknowledge(at(a));
                        let end = (a as usize..).find(|&i| !hole[i]).unwrap_or(4096);
                        hole[..end].fill(false);
                        low = low.max(end);
                    }
                }
                prop_assume!(g.ranges().len() < Gaps::KEPT - 1);
                for n in 0..top {
                    prop_assert_eq!(g.touch(at(n), at(n + 1)), hole[n as usize]);
                }
            }
        }
    }
}
