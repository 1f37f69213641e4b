//! How many frames the kernel is given in advance.
//!
//! Owns the level that the fill ring is kept at. Knows no ring: it is told what naps demand and how full the
//! ring was found. Its one invariant: the level is never below what was asked for, and never above the number
//! of frames.
//!
//! The kernel takes frames in the order in which it was given them, so each that lies in the fill ring is
//! used once before one is used again. With all 32768 there, every packet meets memory that the caches have
//! forgotten: 64 MiB of frames, and the kernel's own records of them. On a veth at full rate over 100 k flows
//! that is 3.6 million packets a second; with 4096 to 8192 given in advance and used again and again it is
//! 4.2 to 5.2 million. The others are a reserve, for what waits in the rx ring: that is always made up for at
//! once.
//!
//! Who naps asks for as many as the fastest wire uses meanwhile. Who is kept from looking (by another program
//! on its processor) finds the ring nearly empty; then the level doubles, and falls after some periods
//! without need.

/// Fewest frames in advance: two batches of the driver's and some more, 140 µs of the fastest wire.
const LEVEL_MIN: u32 = 2048;

/// Periods without need before the level falls. Interruptions of a machine come back, and each that finds a
/// low level costs packets.
const QUIET_MAX: u32 = 3;

/// The level.
#[derive(Debug)]
pub(crate) struct Level {
    /// What the naps demand.
    asked: u32,
    /// What interruptions demand.
    raised: u32,
    /// Never fewer.
    least: u32,
    /// All frames.
    most: u32,
    /// Whether the ring was found less than half full since the period began.
    was_needed: bool,
    /// Periods without need in a row.
    quiet: u32,
}

impl Level {
    /// The least, with `most` frames in all.
    pub(crate) const fn new(most: u32) -> Self {
        Self { asked: 0, raised: 0, least: LEVEL_MIN, most, was_needed: false, quiet: 0 }
    }

    /// The same with `least` frames in advance, where that is more than usual.
    pub(crate) fn at_least(self, least: u32) -> Self {
        Self { least: self.least.max(least), ..self }
    }

    /// Frames to be kept in the ring.
    #[inline]
    pub(crate) fn level(&self) -> u32 {
        self.asked.max(self.raised).max(self.least).min(self.most)
    }

    /// From now on `frames` at least.
    pub(crate) const fn ask(&mut self, frames: u32) {
        self.asked = frames;
    }

    /// The ring was found with `used` entries.
    #[inline]
    pub(crate) fn found(&mut self, used: u32) {
        let level = self.level();
        if used < level / 4 {
            self.raised = level.saturating_mul(2).min(self.most);
        }
        self.was_needed |= used < level / 2;
    }

    /// A period is over. After some in which half of the level was enough, half of it is kept.
    pub(crate) const fn settle(&mut self) {
        self.quiet = if self.was_needed { 0 } else { self.quiet + 1 };
        self.was_needed = false;
        if self.quiet >= QUIET_MAX {
            self.quiet = 0;
            self.raised /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_is_asked_for_within_bounds() {
        let mut level = Level::new(10_000);
        assert_eq!(level.level(), LEVEL_MIN);
        for (asked, expected) in [(0, LEVEL_MIN), (5_000, 5_000), (20_000, 10_000), (3_000, 3_000)] {
            level.ask(asked);
            assert_eq!(level.level(), expected);
        }
        assert_eq!(Level::new(64).level(), 64);
    }

    #[test]
    fn it_grows_when_most_was_taken_and_falls_when_half_was_enough() {
        let mut level = Level::new(10_000);
        level.found(LEVEL_MIN / 4);
        assert_eq!(level.level(), LEVEL_MIN);
        for expected in [4_096, 8_192, 10_000, 10_000] {
            level.found(level.level() / 4 - 1);
            assert_eq!(level.level(), expected);
        }
        level.settle(); // the period in which it was needed
        for expected in [10_000, 10_000, 5_000, 5_000, 5_000, 2_500, 2_500, 2_500, LEVEL_MIN] {
            level.found(level.level());
            level.settle();
            assert_eq!(level.level(), expected);
        }
    }

    #[test]
    fn a_period_that_needs_it_keeps_it() {
        let mut level = Level::new(10_000);
        level.found(0);
        for period in 0..100 {
            level.found(if period % 3 == 2 { level.level() / 2 - 1 } else { level.level() });
            level.settle();
        }
        assert_eq!(level.level(), 4_096);
    }
}
