//! Round trips since the start as a histogram: those of flows that ended, from the minutes of the history.
//!
//! Owns the sums. Knows no format. Invariant: each minute counts once, when it is over; who scrapes at least once a day misses none.

use crate::aggregate::HistorySnapshot;
use netscope_backends::Timestamp;

/// Upper bounds of buckets, in us.
const BOUNDS_US: [u64; 16] = [
    100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];

/// The sums.
#[derive(Clone, Debug, Default)]
pub struct RttSum {
    /// Minutes that began before are in.
    until: Timestamp,
    /// Values of each bucket alone.
    buckets: [u64; BOUNDS_US.len()],
    count: u64,
    sum_us: f64,
}

impl RttSum {
    /// Adds the minutes that are over; all of them when the run is.
    pub fn update(&mut self, history: &HistorySnapshot, is_over: bool) {
        let minutes = &history.ended.minutes;
        let over = if is_over { minutes.len() } else { minutes.len().saturating_sub(1) };
        let until = self.until;
        for (time, slot) in minutes.iter().take(over).filter(|(time, _)| *time >= until) {
            for (us, count) in slot.rtt.values() {
                if let Some(bucket) = BOUNDS_US.iter().position(|bound| us <= *bound) {
                    self.buckets[bucket] += count;
                }
                self.count += count;
                self.sum_us += us as f64 * count as f64;
            }
            self.until = time.plus(1);
        }
    }

    /// Upper bounds in seconds, and values up to each.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let mut sum = 0;
        BOUNDS_US.iter().zip(self.buckets).map(move |(bound, count)| {
            sum += count;
            (*bound as f64 / 1e6, sum)
        })
    }

    /// All values.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Their sum in seconds.
    pub fn sum_secs(&self) -> f64 {
        self.sum_us / 1e6
    }
}
