//! Round-trip times: a few segments being timed, and what came of them.
//!
//! Owns the arithmetic of samples. Times are whole microseconds modulo 2^32 (71 minutes), which is what a capture resolves; whoever
//! keeps a [`Timing`] drops it before it is [`TOO_OLD`], so differences are never ambiguous.

use super::sequence::Sequence;
use crate::flow::RttRecord;
use netscope_backends::Timestamp;

/// Segments of one direction that are timed at once: the first outstanding one and the latest.
pub(super) const TIMINGS: usize = 2;

/// Age in microseconds at which a timing is dropped: half of what 32 bits can tell apart.
pub(super) const TOO_OLD: u32 = 1 << 31;

/// The time in microseconds, modulo 2^32.
pub(super) const fn stamp(time: Timestamp) -> u32 {
    (time.0 / 1000) as u32
}

/// A segment whose ACK is awaited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Timing {
    /// Sequence number behind the segment; unknown when the place is free.
    pub(super) end: Sequence,
    /// When the segment was seen.
    pub(super) sent: u32,
}

/// Starts timing a segment that ends at `end`. The latest timing gives way when all are taken.
pub(super) fn start(timings: &mut [Timing; TIMINGS], end: Sequence, now: u32) {
    for timing in timings.iter_mut() {
        if now.wrapping_sub(timing.sent) >= TOO_OLD {
            timing.end = Sequence::default();
        }
    }
    let free = timings.iter().position(|t| !t.end.known()).unwrap_or(TIMINGS - 1);
    timings[free] = Timing { end, sent: now };
}

/// Karn's rule (RFC 6298 section 3): an ACK of data that was sent twice says nothing about time.
pub(super) fn cancel(timings: &mut [Timing; TIMINGS], start: Sequence, end: Sequence) {
    for timing in timings.iter_mut().filter(|t| t.end.known()) {
        if timing.end.after(start) && timing.end.up_to(end) {
            timing.end = Sequence::default();
        }
    }
}

/// Ends all timings that `acknowledgment` covers; gives the round trip of the segment that ends exactly there. An ACK of more
/// than one segment says nothing about the earlier ones: it may have been delayed for the last (RFC 9293 section 3.8.6.3). A
/// round trip below a microsecond is none: such times come of coarse or made-up clocks.
pub(super) fn finish(timings: &mut [Timing; TIMINGS], acknowledgment: Sequence, now: u32) -> Option<u32> {
    let mut sample = None;
    for timing in timings.iter_mut().filter(|t| t.end.known() && t.end.up_to(acknowledgment)) {
        if timing.end == acknowledgment {
            sample = Some(now.wrapping_sub(timing.sent)).filter(|age| (1..TOO_OLD).contains(age));
        }
        timing.end = Sequence::default();
    }
    sample
}

/// The samples of a flow, both directions, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Samples {
    last: u32,
    min: u32,
    ewma: u32,
    count: u32,
}

impl Samples {
    /// Takes in a sample. The average moves by an eighth of the difference (RFC 6298 section 2).
    pub(super) fn add(&mut self, sample: u32) {
        if self.count == 0 {
            (self.min, self.ewma) = (sample, sample);
        }
        self.last = sample;
        self.min = self.min.min(sample);
        self.ewma = ((u64::from(self.ewma) * 7 + u64::from(sample) + 4) / 8) as u32;
        self.count = self.count.saturating_add(1);
    }

    /// For the record; `None` before the first sample.
    pub(super) fn record(&self) -> Option<RttRecord> {
        let ns = |us: u32| u64::from(us) * 1000;
        (self.count > 0).then(|| RttRecord {
            last_ns: ns(self.last),
            min_ns: ns(self.min),
            ewma_ns: ns(self.ewma),
            samples: self.count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Samples, Timing, TIMINGS, TOO_OLD, cancel, finish, start};
    use crate::flow::tcp::sequence::Sequence;
    use proptest::prelude::*;

    const NONE: [Timing; TIMINGS] = [Timing { end: Sequence(0), sent: 0 }; TIMINGS];

    #[test]
    fn only_an_exact_ack_gives_a_sample() {
        let mut t = NONE;
        start(&mut t, Sequence(100), 1_000);
        start(&mut t, Sequence(200), 1_500);
        assert_eq!(finish(&mut t, Sequence(50), 1_700), None);
        assert_eq!(finish(&mut t, Sequence(100), 2_000), Some(1_000));
        assert_eq!(finish(&mut t, Sequence(250), 2_100), None);
        assert!(t.iter().all(|x| !x.end.known()));
    }

    #[test]
    fn the_first_and_the_latest_of_a_burst_are_timed() {
        let mut t = NONE;
        for n in 1..=5 {
            start(&mut t, Sequence(n * 100), n);
        }
        assert_eq!(finish(&mut t, Sequence(100), 11), Some(10));
        assert_eq!(finish(&mut t, Sequence(500), 12), Some(7));
    }

    #[test]
    fn karn() {
        let mut t = NONE;
        start(&mut t, Sequence(100), 1);
        start(&mut t, Sequence(200), 2);
        cancel(&mut t, Sequence(50), Sequence(100));
        assert_eq!(finish(&mut t, Sequence(100), 9), None);
        assert_eq!(finish(&mut t, Sequence(200), 9), Some(7));
    }

    #[test]
    fn an_old_timing_is_dropped() {
        let mut t = NONE;
        start(&mut t, Sequence(100), 0);
        start(&mut t, Sequence(200), TOO_OLD);
        assert_eq!(finish(&mut t, Sequence(100), TOO_OLD + 1), None);
    }

    #[test]
    fn the_average_moves_by_an_eighth() {
        let mut s = Samples::default();
        assert_eq!(s.record(), None);
        s.add(800);
        s.add(1600);
        let r = s.record().unwrap();
        assert_eq!((r.last_ns, r.min_ns, r.ewma_ns, r.samples), (1_600_000, 800_000, 900_000, 2));
    }

    proptest! {
        #[test]
        fn the_average_stays_between_the_extremes(samples in prop::collection::vec(0u32..TOO_OLD, 1..50)) {
            let mut s = Samples::default();
            samples.iter().for_each(|x| s.add(*x));
            let r = s.record().unwrap();
            let (min, max) = (*samples.iter().min().unwrap(), *samples.iter().max().unwrap());
            prop_assert_eq!(r.min_ns, u64::from(min) * 1000);
            prop_assert!(r.ewma_ns >= r.min_ns && r.ewma_ns <= u64::from(max) * 1000);
        }
    }
}
