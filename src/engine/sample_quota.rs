//! Which packets a sample has: every so manyth one, no more than a number per second of packet time, spread over it.
//!
//! Owns the quota of the second. Knows no packet but its number and time. Invariants: a second has no more packets than its quota, and
//! what is chosen depends on numbers and times alone, not on how packets fall into waves.

use netscope_backends::Timestamp;

/// Parts of a second; in each, one of as many parts of the quota comes free.
const PARTS: u64 = 8;
const PART_NS: u64 = Timestamp::NS_PER_SEC / PARTS;

/// The quota of one worker.
#[derive(Clone, Debug)]
pub(super) struct SampleQuota {
    one_in: u64,
    /// Per second.
    count_max: u64,
    /// The second that is counted now.
    second: u64,
    taken: u64,
    /// Before this time nothing more is free.
    used_up_until: Timestamp,
}

impl SampleQuota {
    /// Every `one_in`th packet (0 counts as 1), at most `per_second_max` per second.
    pub(super) fn new(one_in: u32, per_second_max: usize) -> Self {
        let one_in = u64::from(one_in.max(1));
        Self { one_in, count_max: per_second_max as u64, second: 0, taken: 0, used_up_until: Timestamp(0) }
    }

    /// Whether packet `number` is wanted, at `now`, which does not go back.
    pub(super) fn takes(&mut self, number: u64, now: Timestamp) -> bool {
        if now < self.used_up_until || !number.is_multiple_of(self.one_in) {
            return false;
        }
        let (second, part) = (now.0 / Timestamp::NS_PER_SEC, now.0 % Timestamp::NS_PER_SEC / PART_NS);
        if second != self.second {
            (self.second, self.taken) = (second, 0);
        }
        // Rounded up, so that a single packet per second is not the one at its end.
        let free = self.count_max.saturating_mul(part + 1).div_ceil(PARTS);
        if self.taken < free {
            self.taken += 1;
            return true;
        }
        self.used_up_until = Timestamp((now.0 / PART_NS + 1).saturating_mul(PART_NS));
        false
    }

    /// False when certainly no packet from number `first` to `last` is wanted, whose times are these, the latest time before them
    /// among them.
    #[inline]
    pub(super) fn may_take(&self, first: u64, last: u64, mut times: impl Iterator<Item = Timestamp>) -> bool {
        let has_number = self.one_in == 1 || last / self.one_in != first.saturating_sub(1) / self.one_in;
        has_number && (self.used_up_until == Timestamp(0) || times.any(|time| time >= self.used_up_until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times, in ms, of those of `per_ms` packets each ms that are taken, in these ms; waves of 64 are left out where they may be.
    fn taken(quota: &mut SampleQuota, ms: std::ops::Range<u64>, per_ms: u64, in_waves: bool) -> Vec<u64> {
        let all: Vec<(u64, u64)> = ms.flat_map(|ms| (0..per_ms).map(move |i| (ms * per_ms + i + 1, ms))).collect();
        let (mut taken, mut now) = (Vec::new(), Timestamp(0));
        for wave in all.chunks(64) {
            let time = |ms: u64| Timestamp(ms * 1_000_000);
            let times = wave.iter().map(|&(_, ms)| time(ms)).chain([now]);
            let (first, last) = (wave[0].0, wave[wave.len() - 1].0);
            let may_take = quota.may_take(first, last, times);
            for &(number, ms) in wave.iter().filter(|_| may_take || !in_waves) {
                now = now.max(time(ms));
                if quota.takes(number, now) {
                    assert!(may_take);
                    taken.push(ms);
                }
            }
        }
        taken
    }

    #[test]
    fn a_second_has_its_quota_and_no_more_and_it_is_spread() {
        for (one_in, quota) in [(1, 100), (7, 100), (1, 1), (1, 9), (1000, 100), (1, 0)] {
            let mut sampled = taken(&mut SampleQuota::new(one_in, quota), 1000..4000, 50, false);
            assert_eq!(sampled, taken(&mut SampleQuota::new(one_in, quota), 1000..4000, 50, true), "waves change nothing");
            let expected = (50_000 / one_in as usize).min(quota);
            for second in 1..4 {
                let (now, later): (Vec<u64>, Vec<u64>) = sampled.into_iter().partition(|ms| ms / 1000 == second);
                assert_eq!(now.len(), expected, "one in {one_in}, {quota} per second");
                let first_half = now.iter().filter(|&&ms| ms % 1000 < 500).count();
                assert!(first_half.abs_diff(expected / 2) <= 1, "{first_half} of {expected} in the first half");
                sampled = later;
            }
        }
    }

    #[test]
    fn few_packets_are_all_taken() {
        assert_eq!(taken(&mut SampleQuota::new(1, 1000), 0..500, 1, true).len(), 500);
    }

    #[test]
    fn the_last_moment_of_all_has_a_bound_too() {
        let mut quota = SampleQuota::new(1, 3);
        assert_eq!((0..100).filter(|&number| quota.takes(number, Timestamp(u64::MAX))).count(), 3);
    }
}
