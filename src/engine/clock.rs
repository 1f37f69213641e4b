//! The worker's clock: packet time, monotone, cut into ticks.
//!
//! Knows nothing of the wall clock. Invariant: `now` never goes back, so expiry and ticks are the same for every reader of the
//! same packets, whatever the batch borders.

use netscope_backends::Timestamp;

/// Packet time as the worker lives it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    now: Timestamp,
    tick_ns: u64,
    tick: Option<u64>,
    /// When the tick ends; saves a division per packet.
    tick_end: Timestamp,
    /// Time of the latest packet; idle polls may be ahead of packets that are still under way.
    latest_packet: Timestamp,
    regressions: u64,
}

impl Clock {
    /// A clock that has not started, with ticks of `tick_ns` (at least 1) nanoseconds.
    pub fn new(tick_ns: u64) -> Self {
        Self {
            now: Timestamp(0),
            tick_ns: tick_ns.max(1),
            tick: None,
            tick_end: Timestamp(0),
            latest_packet: Timestamp(0),
            regressions: 0,
        }
    }

    /// Moves on to a packet's time if that is not before any other and before `until`, which lies in the tick that is going on;
    /// false, and nothing changed, otherwise.
    #[inline(always)]
    pub fn advance_within(&mut self, time: Timestamp, until: Timestamp) -> bool {
        let within = self.now <= time && time < until;
        if within {
            // Nothing was ever later than `now`.
            (self.now, self.latest_packet) = (time, time);
        }
        within
    }

    /// When the tick that is going on ends; 0 before the first.
    pub fn tick_end(&self) -> Timestamp {
        self.tick_end
    }

    /// Moves on to a packet's time. When this leaves a tick behind, the number of that tick is returned; the clock already
    /// stands in the new one.
    #[inline]
    pub fn advance(&mut self, time: Timestamp) -> Option<u64> {
        if time < self.latest_packet {
            self.regressions += 1;
        } else {
            self.latest_packet = time;
        }
        self.pass(time)
    }

    /// Moves on to `time` without a packet; otherwise as [`Clock::advance`].
    #[inline]
    pub fn pass(&mut self, time: Timestamp) -> Option<u64> {
        if time < self.now {
            return None;
        }
        self.now = time;
        if time < self.tick_end { None } else { self.leave_tick(time) }
    }

    /// Time has reached the end of the tick, or it is the first.
    #[cold]
    fn leave_tick(&mut self, time: Timestamp) -> Option<u64> {
        let tick = time.0 / self.tick_ns;
        self.tick_end = self.end_of(tick);
        self.tick.replace(tick).filter(|&old| old != tick)
    }

    /// The latest time seen.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The tick that is going on; `None` before the first packet.
    pub fn tick(&self) -> Option<u64> {
        self.tick
    }

    /// When tick number `tick` ends.
    pub fn end_of(&self, tick: u64) -> Timestamp {
        Timestamp(tick.saturating_add(1).saturating_mul(self.tick_ns))
    }

    /// Packets older than one before them.
    pub fn regressions(&self) -> u64 {
        self.regressions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_end_once_and_time_never_goes_back() {
        let mut clock = Clock::new(100);
        assert_eq!(clock.advance(Timestamp(150)), None, "the first packet opens a tick");
        assert_eq!(clock.advance(Timestamp(199)), None);
        assert_eq!(clock.advance(Timestamp(20)), None);
        assert_eq!(clock.now(), Timestamp(199));
        assert_eq!(clock.regressions(), 1);
        assert_eq!(clock.advance(Timestamp(200)), Some(1));
        assert_eq!(clock.advance(Timestamp(100_000)), Some(2), "a gap ends the tick before it, once");
        assert_eq!(clock.tick(), Some(1000));
        assert_eq!(clock.end_of(2), Timestamp(300));
    }
}
