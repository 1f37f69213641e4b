//! How to wait for packets without waking for each.
//!
//! Owns the choice between a nap and a blocking wait. Knows no clock and no descriptor: it is told what was
//! found. Its one invariant: naps are short enough that a full 10-gigabit link does not fill the ring during
//! one, and after a few naps in vain it blocks.
//!
//! Waking for every packet halves the rate of AF_XDP: a wake-up costs more than a microsecond, a packet a few
//! dozen nanoseconds. So while packets flow, the ring is left to itself for a moment once it is empty. The
//! moment grows while it brings little and shrinks when it brings much; without packets the thread blocks in
//! poll(2), so that silence costs nothing and the first packet after it is seen at once.

use std::time::Duration;

/// Shortest nap. Sleeping 50 to 100 µs nearly doubled the throughput against waking per packet; the kernel
/// adds up to 50 µs of its own (the default timer slack) to any sleep, so less would not be shorter by much.
pub const NAP_MIN: Duration = Duration::from_micros(50);

/// Longest nap. One millisecond is a thousand wake-ups a second, about half a percent of a core, and delays a
/// packet by no more.
pub const NAP_MAX: Duration = Duration::from_millis(1);

/// Packets per second that half of the frames given in advance has to hold during a nap: the smallest frames
/// on 10-gigabit Ethernet.
const WORST_RATE: u64 = 14_880_952;

/// A nap that brought fewer packets than this is made longer. A wake-up costs some microseconds here (10 in a
/// virtual machine), so over a thousand packets it costs little.
const FEW: u32 = 384;

/// A nap that brought more is made shorter: the shorter, the fewer frames the kernel needs in advance
/// (`level`), and the more of them are still in the caches.
const MANY: u32 = 1024;

/// Naps in vain before blocking. With two, packets up to twice the longest nap apart are gathered; a blocking
/// wait costs more to end.
const VAIN_NAPS_MAX: u32 = 2;

/// What to do when the ring is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Sleep this long, then look again.
    Nap(Duration),
    /// Wait in poll(2) until a packet comes or the time is over.
    Block,
}

/// Chooses.
#[derive(Debug)]
pub(crate) struct Pacer {
    nap: Duration,
    nap_min: Duration,
    nap_max: Duration,
    vain: u32,
    /// The last thing we did was waiting.
    has_waited: bool,
}

impl Pacer {
    /// For a ring of `entries` packets; `nap_max` bounds naps from above (zero: never nap, block at once).
    pub(crate) fn new(entries: u32, nap_max: Duration) -> Self {
        let worst_ns = u64::from(entries / 2) * 1_000_000_000 / WORST_RATE;
        let nap_max = nap_max.min(Duration::from_nanos(worst_ns));
        let nap_min = NAP_MIN.min(nap_max);
        Self { nap: nap_min, nap_min, nap_max, vain: 0, has_waited: false }
    }

    /// The ring holds `count` entries, more than none.
    #[inline]
    pub(crate) fn found(&mut self, count: u32) {
        if !self.has_waited {
            return;
        }
        self.has_waited = false;
        self.vain = 0;
        if count < FEW {
            self.nap = (self.nap * 2).min(self.nap_max);
        } else if count > MANY {
            self.nap = (self.nap / 2).max(self.nap_min);
        }
    }

    /// Packets that the fastest wire brings during two naps as long as the next one.
    #[inline]
    pub(crate) fn worst_count(&self) -> u32 {
        u32::try_from(2 * self.nap.as_nanos() as u64 * WORST_RATE / 1_000_000_000).unwrap_or(u32::MAX)
    }

    /// The ring is empty.
    pub(crate) fn nothing(&mut self) -> Wait {
        self.has_waited = true;
        if self.vain >= VAIN_NAPS_MAX || self.nap_max.is_zero() {
            return Wait::Block;
        }
        self.vain += 1;
        Wait::Nap(self.nap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a pacer against packets that arrive every `gap_ns`, in a time of its own.
    struct Simulation {
        wakeups: u64,
        packets: u64,
        lost: u64,
        delay_max_ns: u64,
    }

    /// `timeout_ns` is the most a blocking wait takes, `cost_ns` what a packet costs us.
    fn simulate(entries: u32, gap_ns: u64, duration_ns: u64, timeout_ns: u64, cost_ns: u64) -> Simulation {
        let mut pacer = Pacer::new(entries, NAP_MAX);
        let mut result = Simulation { wakeups: 0, packets: 0, lost: 0, delay_max_ns: 0 };
        let (mut now, mut read) = (0, 0); // packets that arrived by `now`: now / gap_ns
        while now < duration_ns {
            let arrived = now / gap_ns;
            let waiting = arrived - read;
            if waiting > 0 {
                let kept = waiting.min(u64::from(entries));
                result.lost += waiting - kept;
                result.delay_max_ns = result.delay_max_ns.max(now - (read + 1) * gap_ns);
                pacer.found(kept as u32);
                now += kept * cost_ns;
                read = arrived;
                result.packets += kept;
                continue;
            }
            result.wakeups += 1;
            now = match pacer.nothing() {
                Wait::Nap(nap) => now + nap.as_nanos() as u64 + 60_000,
                Wait::Block => ((arrived + 1) * gap_ns).min(now + timeout_ns),
            };
        }
        result
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn silence_costs_a_wakeup_per_timeout() {
        let silent = simulate(32_768, 1_000 * SECOND, 10 * SECOND, SECOND / 10, 50);
        assert_eq!((silent.packets, silent.wakeups), (0, 100 + 2), "two naps at the start, then only timeouts");
    }

    #[test]
    fn a_trickle_is_seen_at_once_and_costs_three_wakeups_each() {
        let trickle = simulate(32_768, SECOND / 100, 10 * SECOND, SECOND / 10, 50);
        assert!((990..=1000).contains(&trickle.packets), "{}", trickle.packets);
        assert!(trickle.wakeups <= 3 * trickle.packets + 3, "{}", trickle.wakeups);
        assert!(trickle.delay_max_ns < 3_000_000, "{}", trickle.delay_max_ns);
    }

    #[test]
    fn a_flow_is_gathered_and_nothing_is_lost() {
        for (rate, wakeups_max) in [(5_000, 2_000), (100_000, 1_500), (1_000_000, 2_500), (8_000_000, 8_000), (14_880_952, 9_000)]
        {
            let flow = simulate(32_768, SECOND / rate, SECOND, SECOND / 10, 20);
            assert_eq!(flow.lost, 0, "{rate}");
            assert!(flow.wakeups <= wakeups_max, "{rate}: {}", flow.wakeups);
            assert!(flow.delay_max_ns < 2_500_000, "{rate}: {}", flow.delay_max_ns);
        }
    }

    #[test]
    fn a_burst_into_a_small_ring_after_a_trickle_fits() {
        let pacer = Pacer::new(2_048, NAP_MAX);
        assert!(pacer.nap_max <= Duration::from_micros(69), "{pacer:?}");
        assert_eq!(simulate(8_192, SECOND / 3_000_000, SECOND / 10, SECOND, 20).lost, 0);
    }

    #[test]
    fn without_naps_it_blocks_at_once() {
        let mut pacer = Pacer::new(32_768, Duration::ZERO);
        assert_eq!(pacer.nothing(), Wait::Block);
        pacer.found(1);
        assert_eq!(pacer.nothing(), Wait::Block);
    }

    #[test]
    fn frames_for_two_naps_are_asked_for() {
        let mut pacer = Pacer::new(32_768, NAP_MAX);
        assert_eq!(pacer.worst_count(), 1_488);
        for _ in 0..6 {
            pacer.nothing();
            pacer.found(1);
        }
        assert_eq!(pacer.worst_count(), 29_761);
    }

    #[test]
    fn naps_grow_with_little_and_shrink_with_much() {
        let mut pacer = Pacer::new(32_768, NAP_MAX);
        for expected in [50, 100, 200, 400, 800, 1_000, 1_000] {
            assert_eq!(pacer.nothing(), Wait::Nap(Duration::from_micros(expected)));
            pacer.found(1);
            pacer.found(1); // the same lot, looked at again
        }
        for expected in [1_000, 500, 250] {
            assert_eq!(pacer.nothing(), Wait::Nap(Duration::from_micros(expected)));
            pacer.found(9_000);
        }
    }
}
