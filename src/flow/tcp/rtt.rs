//! Round-trip times: a few segments being timed, and what came of them.
//!
//! Owns the arithmetic of times and samples. Times are whole microseconds modulo 2^32 (71 minutes), which is what a capture
//! resolves. Its invariant: nothing kept is older than three quarters of that, because whoever keeps a [`Stamp`] ages it whenever
//! the [`Epoch`] changes; so differences are never ambiguous.

use super::sequence::Sequence;
use netscope_backends::Timestamp;

/// Segments of one direction that are timed at once: the first outstanding one and the latest.
pub(super) const TIMINGS: usize = 2;

/// Age in microseconds (18 minutes) from which on a time only counts as long ago.
pub(super) const TOO_OLD: u32 = 1 << 30;

/// A time in microseconds, modulo 2^32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp(u32);

impl Stamp {
    /// To be written over.
    pub(super) const BLANK: Self = Self(0);

    /// Of this time.
    pub(super) const fn of(time: Timestamp) -> Self {
        Self((time.0 / 1000) as u32)
    }

    /// So long before that it is [`TOO_OLD`].
    pub(super) const fn long_ago(self) -> Self {
        Self(self.0.wrapping_sub(TOO_OLD))
    }

    /// Microseconds from `earlier` to `self`; close to 2^32 when `earlier` is later.
    pub(super) const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// This time, or one that is long ago when it is older than that.
    pub(super) const fn aged(self, now: Self) -> Self {
        if now.since(self) >= TOO_OLD { now.long_ago() } else { self }
    }
}

/// Which 18 minutes the latest segment's time lies in, modulo 2^16 (over two years).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(u16);

/// How two epochs lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// Both are the same, or time went back.
    Nothing,
    /// The later one follows the earlier: what is old has to be aged.
    One,
    /// At least one lies between: all is old.
    More,
}

impl Epoch {
    /// To be written over.
    pub const BLANK: Self = Self(0);

    /// Of this time.
    pub(super) const fn of(time: Timestamp) -> Self {
        Self(((time.0 / 1000) >> 30) as u16)
    }

    /// What passed from `earlier` to `self`.
    pub(super) const fn since(self, earlier: Self) -> Passed {
        match self.0.wrapping_sub(earlier.0).cast_signed() {
            1 => Passed::One,
            2.. => Passed::More,
            _ => Passed::Nothing,
        }
    }
}

/// A segment whose ACK is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    /// Sequence number behind the segment; unknown when the place is free.
    pub(super) end: Sequence,
    /// When the segment was seen.
    pub(super) sent: Stamp,
}

impl Timing {
    /// Nothing is timed here.
    pub(super) const FREE: Self = Self { end: Sequence(0), sent: Stamp::BLANK };
}

/// Starts timing a segment that ends at `end`. The latest timing gives way when all are taken.
pub(super) fn start(timings: &mut [Timing; TIMINGS], end: Sequence, now: Stamp) {
    let free = timings.iter().position(|t| !t.end.known()).unwrap_or(TIMINGS - 1);
    timings[free] = Timing { end, sent: now };
}

/// Drops timings that are too old to be told from new ones; a round trip takes no 18 minutes.
pub(super) fn age(timings: &mut [Timing; TIMINGS], now: Stamp) {
    for timing in timings.iter_mut().filter(|t| now.since(t.sent) >= TOO_OLD) {
        timing.end = Sequence::default();
    }
}

/// Karn's rule (RFC 6298 section 3): an ACK of data that was sent twice says nothing about time.
pub(super) fn cancel(timings: &mut [Timing; TIMINGS], start: Sequence, end: Sequence) {
    for timing in timings.iter_mut().filter(|t| t.end.known()) {
        if timing.end.after(start) && timing.end.up_to(end) {
            timing.end = Sequence::default();
        }
    }
}

/// One round trip in microseconds, and whether another timing ended with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) us: u32,
    /// The ACK ended a timing before this one's, too: so more than one segment was in flight.
    pub(super) ends_more: bool,
}

/// Ends all timings that `acknowledgment` covers; gives the round trip of the segment that ends exactly there. An ACK of more
/// than one segment says nothing about the earlier ones: it may have been delayed for the last (RFC 9293 section 3.8.6.3). A
/// round trip below a microsecond is none: such times come of coarse or made-up clocks.
#[inline(always)]
pub(super) fn finish(timings: &mut [Timing; TIMINGS], acknowledgment: Sequence, now: Stamp) -> Option<Sample> {
    let (mut sample, mut ends_more) = (None, false);
    for timing in timings {
        if timing.end.known() && timing.end.up_to(acknowledgment) {
            if timing.end == acknowledgment {
                sample = Some(now.since(timing.sent)).filter(|age| (1..TOO_OLD).contains(age));
            } else {
                ends_more = true;
            }
            timing.end = Sequence::default();
        }
    }
    sample.map(|us| Sample { us, ends_more })
}

#[cfg(test)]
mod tests {
    use super::{Epoch, Passed, Sample, Stamp, TIMINGS, TOO_OLD, Timing, age, cancel, finish, start};
    use crate::flow::tcp::sequence::Sequence;
    use netscope_backends::Timestamp;

    const fn one(us: u32) -> Option<Sample> {
        Some(Sample { us, ends_more: false })
    }

    const NONE: [Timing; TIMINGS] = [Timing { end: Sequence(0), sent: Stamp(0) }; TIMINGS];

    #[test]
    fn only_an_exact_ack_gives_a_sample() {
        let mut t = NONE;
        start(&mut t, Sequence(100), Stamp(1_000));
        start(&mut t, Sequence(200), Stamp(1_500));
        assert_eq!(finish(&mut t, Sequence(50), Stamp(1_700)), None);
        assert_eq!(finish(&mut t, Sequence(100), Stamp(2_000)), one(1_000));
        assert_eq!(finish(&mut t, Sequence(250), Stamp(2_100)), None);
        assert!(t.iter().all(|x| !x.end.known()));
    }

    #[test]
    fn the_first_and_the_latest_of_a_burst_are_timed() {
        let mut t = NONE;
        for n in 1..=5 {
            start(&mut t, Sequence(n * 100), Stamp(n));
        }
        assert_eq!(finish(&mut t, Sequence(100), Stamp(11)), one(10));
        assert_eq!(finish(&mut t, Sequence(500), Stamp(12)), one(7));
        start(&mut t, Sequence(600), Stamp(20));
        start(&mut t, Sequence(700), Stamp(21));
        assert_eq!(finish(&mut t, Sequence(700), Stamp(25)), Some(Sample { us: 4, ends_more: true }));
    }

    #[test]
    fn karn() {
        let mut t = NONE;
        start(&mut t, Sequence(100), Stamp(1));
        start(&mut t, Sequence(200), Stamp(2));
        cancel(&mut t, Sequence(50), Sequence(100));
        assert_eq!(finish(&mut t, Sequence(100), Stamp(9)), None);
        assert_eq!(finish(&mut t, Sequence(200), Stamp(9)), one(7));
    }

    #[test]
    fn an_old_timing_is_dropped() {
        let mut t = NONE;
        start(&mut t, Sequence(100), Stamp(0));
        start(&mut t, Sequence(200), Stamp(TOO_OLD));
        age(&mut t, Stamp(TOO_OLD + 5));
        assert_eq!(finish(&mut t, Sequence(100), Stamp(TOO_OLD + 5)), None);
        assert_eq!(finish(&mut t, Sequence(200), Stamp(TOO_OLD + 5)), one(5));
    }

    #[test]
    fn epochs_tell_long_pauses() {
        let minutes = |n: u64| Epoch::of(Timestamp(n * 60 * Timestamp::NS_PER_SEC));
        assert_eq!(minutes(5).since(minutes(4)), Passed::Nothing);
        assert_eq!(minutes(20).since(minutes(4)), Passed::One);
        assert_eq!(minutes(60).since(minutes(4)), Passed::More);
        assert_eq!(minutes(4).since(minutes(60)), Passed::Nothing);
        let now = Stamp(5);
        assert_eq!(now.since(Stamp(1).aged(now)), 4);
        assert_eq!(now.since(Stamp(10).aged(now)), TOO_OLD);
    }
}
