//! How fast to send: bursts at fixed times, or as fast as it goes, within bounds.
//!
//! Owns the schedule. Knows nothing of frames. Its one invariant: never more than the bounds of packets and
//! seconds allow.

use std::time::{Duration, Instant};

/// Behind by more than this many bursts, a sender is late: the rate was not offered.
const LATE_BURSTS: u32 = 20;
/// Packets per burst without a rate: some milliseconds of the fastest sender, so that time is looked at
/// often.
const FLAT_OUT_BURST: u64 = 32_768;

/// A rate and its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Packets a second; `None` for as fast as it goes.
    pub rate: Option<f64>,
    /// Time between two bursts; without meaning where there is no rate.
    pub interval: Duration,
    /// Most packets.
    pub packets_max: u64,
    /// Longest time.
    pub time_max: Duration,
}

impl Pace {
    /// As fast as it goes, `packets_max` packets, at most for `time_max`.
    pub const fn flat_out(packets_max: u64, time_max: Duration) -> Self {
        Self { rate: None, interval: Duration::ZERO, packets_max, time_max }
    }

    /// `rate` packets a second for `time_max`, a burst every millisecond (rarer where that would be less than
    /// a packet).
    pub fn at_rate(rate: f64, time_max: Duration) -> Self {
        let interval = Duration::from_secs_f64((1.0 / rate).max(1e-3));
        let packets_max = (rate * time_max.as_secs_f64()).round() as u64;
        // The bound of time is for a sender that cannot keep up.
        Self { rate: Some(rate), interval, packets_max, time_max: time_max + time_max / 4 }
    }

    /// Starts the clock.
    pub fn start(&self) -> Paced {
        Paced { pace: *self, start: Instant::now(), due: 0, sent: 0, bursts: 0, is_late: false }
    }
}

/// A pace under way.
#[derive(Debug)]
pub struct Paced {
    pace: Pace,
    start: Instant,
    /// Packets that should have been sent by the end of this burst.
    due: u64,
    sent: u64,
    bursts: u32,
    is_late: bool,
}

impl Paced {
    /// Waits for the time of the next burst; how many packets to send at most, `None` at the end.
    pub fn wait(&mut self) -> Option<u64> {
        let left = self.pace.packets_max - self.sent;
        if left == 0 || self.start.elapsed() >= self.pace.time_max {
            return None;
        }
        let Some(rate) = self.pace.rate else { return Some(left.min(FLAT_OUT_BURST)) };
        while self.due <= self.sent {
            let at = self.pace.interval * self.bursts;
            let elapsed = self.start.elapsed();
            std::thread::sleep(at.saturating_sub(elapsed));
            self.is_late |= elapsed > at + self.pace.interval * LATE_BURSTS;
            self.bursts += 1;
            self.due = (rate * (self.pace.interval * self.bursts).as_secs_f64()).round() as u64;
        }
        Some(left.min(self.due - self.sent))
    }

    /// Counts what was sent, at most what was allowed.
    pub fn sent(&mut self, packets: u64) {
        self.sent += packets;
    }

    /// True once the schedule was missed by more than 20 bursts.
    pub const fn is_late(&self) -> bool {
        self.is_late
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pace: &Pace) -> (u64, Vec<u64>) {
        let mut paced = pace.start();
        let mut bursts = Vec::new();
        while let Some(count) = paced.wait() {
            bursts.push(count);
            paced.sent(count);
        }
        (bursts.iter().sum(), bursts)
    }

    #[test]
    fn a_rate_gives_its_packets_in_bursts() {
        let pace = Pace { time_max: Duration::from_secs(60), ..Pace::at_rate(100_500.0, Duration::from_millis(20)) };
        let (sum, bursts) = run(&pace);
        assert_eq!(sum, 2010);
        assert!(bursts.iter().take(19).all(|&count| count == 100 || count == 101), "{bursts:?}");
    }

    #[test]
    fn less_than_a_packet_per_burst_is_a_packet_at_a_time() {
        let pace = Pace { time_max: Duration::from_secs(60), ..Pace::at_rate(200.0, Duration::from_millis(25)) };
        assert_eq!(run(&pace), (5, vec![1; 5]));
    }

    #[test]
    fn bounds_hold() {
        assert_eq!(run(&Pace::flat_out(70_000, Duration::from_secs(60))), (70_000, vec![32_768, 32_768, 4_464]));
        assert_eq!(run(&Pace::flat_out(70_000, Duration::ZERO)).0, 0);
    }
}
