//! What round trips come to: of both sides together, and of each side.
//!
//! Owns the averages, and what is taken for a delayed acknowledgment. Times are whole microseconds. A side is the endpoint that
//! acknowledges: its round trip is the way from here to it and back. Knows no segment. Its invariant: a side's first round trip is
//! in the flow's [`Samples`], and all of them in its [`SideSamples`] as soon as there are two.

use super::rtt::TOO_OLD;
use crate::flow::{RttRecord, SideRtt};

/// A lone ACK without data that comes so much later than the side's shortest round trip was held back by its receiver: the 40 ms of
/// Linux (`TCP_DELACK_MIN`) less a tick of 250 Hz, as its timer runs in ticks. Others wait longer.
const DELAYED_US_MIN: u32 = 36_000;
/// No receiver may hold an ACK back for so long (RFC 9293 section 3.8.6.3, RFC 1122 section 4.2.3.2).
const DELAYED_US_MAX: u32 = 500_000;

/// Of both sides together: what every flow keeps, in microseconds. 0 stands for none, as no round trip is that short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Samples {
    last: u32,
    ewma: u32,
    /// Of each side the first one.
    first: [u32; 2],
}

impl Samples {
    /// None yet.
    pub(super) const NONE: Self = Self { last: 0, ewma: 0, first: [0; 2] };

    /// Takes in a sample. The average moves by an eighth of the difference (RFC 6298 section 2).
    #[inline(always)]
    pub(super) const fn add(&mut self, us: u32) {
        if self.last == 0 {
            (self.last, self.ewma) = (us, us);
        } else {
            self.add_further(us);
        }
    }

    /// The same where there was one before.
    #[inline(always)]
    pub(super) const fn add_further(&mut self, us: u32) {
        self.ewma = moved(self.ewma, us);
        self.last = us;
    }

    /// Keeps the first sample of a side; false when there was one.
    #[inline(always)]
    pub(super) const fn keep_first(&mut self, side: usize, us: u32) -> bool {
        let is_first = self.first[side] == 0;
        if is_first {
            self.first[side] = us;
        }
        is_first
    }

    /// All samples of a side; `further` are those of one that had several.
    pub(super) const fn side(&self, side: usize, further: SideSamples) -> SideSamples {
        match self.first[side] {
            us if further.count == 0 && us != 0 => SideSamples::begun_by(us),
            _ => further,
        }
    }

    /// For the record; `None` before the first sample. `sides` are all samples of each side.
    pub(super) fn record(&self, sides: &[SideSamples; 2]) -> Option<RttRecord> {
        let min = sides.iter().filter(|side| side.count > 0).map(|side| side.min).min()?;
        let samples = clamped(sides.iter().map(|side| side.count + side.delayed).sum());
        Some(RttRecord { last_ns: ns(self.last), min_ns: ns(min), ewma_ns: ns(self.ewma), samples })
    }
}

/// All samples of one side, in microseconds, 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct SideSamples {
    pub(super) count: u64,
    min: u32,
    ewma: u32,
    max: u32,
    /// Delayed ACKs, which are in none of the others.
    delayed: u64,
}

impl Default for SideSamples {
    fn default() -> Self {
        Self::NONE
    }
}

impl SideSamples {
    /// None yet. Every sample is so much longer than this least one that it looks delayed, so it takes no second look to see that
    /// it is the first.
    pub(super) const NONE: Self = Self { count: 0, min: TOO_OLD.wrapping_neg(), ewma: 0, max: 0, delayed: 0 };

    const fn begun_by(us: u32) -> Self {
        Self { count: 1, min: us, ewma: us, max: us, delayed: 0 }
    }

    /// Takes in a sample, as long as it cannot be a delayed ACK; false, and nothing changed, when it may be, and for the first one.
    #[inline(always)]
    pub(super) fn add_prompt(&mut self, us: u32) -> bool {
        let is_prompt = us.wrapping_sub(self.min).cast_signed() < DELAYED_US_MIN.cast_signed();
        if is_prompt {
            self.count += 1;
            self.ewma = moved(self.ewma, us);
            self.min = self.min.min(us);
            self.max = self.max.max(us);
        }
        is_prompt
    }

    /// Takes in a sample that is not the side's first. `is_lone`: the ACK has no data, and it acknowledges all that was in flight,
    /// which was one segment.
    pub(super) fn add(&mut self, us: u32, is_lone: bool) {
        if is_lone && (DELAYED_US_MIN..DELAYED_US_MAX).contains(&us.saturating_sub(self.min)) {
            self.delayed += 1;
        } else {
            self.count += 1;
            self.ewma = moved(self.ewma, us);
            self.min = self.min.min(us);
            self.max = self.max.max(us);
        }
    }

    /// For the record; `None` before the first sample.
    pub(super) fn record(&self) -> Option<SideRtt> {
        let &Self { count, min, ewma, max, delayed, .. } = self;
        let (samples, delayed_acks) = (clamped(count), clamped(delayed));
        (count > 0).then(|| SideRtt { samples, min_ns: ns(min), ewma_ns: ns(ewma), max_ns: ns(max), delayed_acks })
    }
}

/// The average, an eighth of the way to `us`, rounded. Both are below 2^30.
#[inline(always)]
const fn moved(ewma: u32, us: u32) -> u32 {
    let difference = us.wrapping_add(4).wrapping_sub(ewma).cast_signed();
    ewma.wrapping_add((difference >> 3).cast_unsigned())
}

fn clamped(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn ns(us: u32) -> u64 {
    u64::from(us) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::tcp::rtt::TOO_OLD;
    use proptest::prelude::*;

    #[test]
    fn the_average_moves_by_an_eighth() {
        let mut both = Samples::NONE;
        let sides = |both: &Samples| [0, 1].map(|side| both.side(side, SideSamples::default()));
        assert_eq!(both.record(&sides(&both)), None);
        both.add(800);
        assert!(both.keep_first(0, 800));
        both.add(1600);
        assert!(both.keep_first(1, 1600) && !both.keep_first(0, 7));
        let r = both.record(&sides(&both)).unwrap();
        assert_eq!((r.last_ns, r.min_ns, r.ewma_ns, r.samples), (1_600_000, 800_000, 900_000, 2));
        let [a, b] = sides(&both).map(|side| side.record().unwrap());
        assert_eq!((a.min_ns, a.ewma_ns, a.max_ns, a.samples), (800_000, 800_000, 800_000, 1));
        assert_eq!((b.min_ns, b.ewma_ns, b.max_ns, b.samples), (1_600_000, 1_600_000, 1_600_000, 1));
    }

    #[test]
    fn what_a_receiver_held_back_is_no_round_trip() {
        let mut side = SideSamples::begun_by(200_000);
        side.add(1_000, true);
        side.add(41_000, true);
        side.add(500_999, true);
        assert_eq!((side.count, side.delayed, side.max), (2, 2, 200_000));
        // Not lone, too soon, too late.
        side.add(41_000, false);
        side.add(36_999, true);
        side.add(501_000, true);
        assert_eq!((side.count, side.delayed, side.max), (5, 2, 501_000));
    }

    proptest! {
        #[test]
        fn the_average_is_rounded(ewma in 1u32..TOO_OLD, us in 1u32..TOO_OLD) {
            let exact = (u64::from(ewma) * 7 + u64::from(us) + 4) / 8;
            prop_assert_eq!(u64::from(moved(ewma, us)), exact);
        }

        #[test]
        fn the_average_stays_between_the_extremes(samples in prop::collection::vec((1u32..TOO_OLD, 0..2usize), 1..50)) {
            let (mut both, mut sides) = (Samples::NONE, [SideSamples::default(); 2]);
            for &(us, side) in &samples {
                both.add(us);
                if !both.keep_first(side, us) {
                    let before = both.side(side, sides[side]);
                    sides[side] = before;
                    sides[side].add(us, false);
                    let mut prompt = before;
                    if prompt.add_prompt(us) {
                        prop_assert_eq!(prompt, sides[side]);
                    }
                }
            }
            let sides = [0, 1].map(|side| both.side(side, sides[side]));
            let r = both.record(&sides).unwrap();
            let ns = |us: Option<&u32>| u64::from(*us.unwrap()) * 1000;
            let all: Vec<u32> = samples.iter().map(|&(us, _)| us).collect();
            prop_assert_eq!((r.min_ns, r.samples as usize), (ns(all.iter().min()), all.len()));
            prop_assert!(r.ewma_ns >= r.min_ns && r.ewma_ns <= ns(all.iter().max()));
            let mut none = SideSamples::NONE;
            prop_assert!(samples.iter().all(|&(us, _)| !none.add_prompt(us)), "the first one is looked at twice");
            for (at, side) in sides.iter().enumerate() {
                let own: Vec<u32> = samples.iter().filter(|&&(_, side)| side == at).map(|&(us, _)| us).collect();
                let found = side.record();
                prop_assert_eq!(found.map_or(0, |r| r.samples as usize), own.len());
                if let Some(r) = found {
                    prop_assert_eq!((r.min_ns, r.max_ns), (ns(own.iter().min()), ns(own.iter().max())));
                    prop_assert!(r.ewma_ns >= r.min_ns && r.ewma_ns <= r.max_ns);
                }
            }
        }
    }
}
