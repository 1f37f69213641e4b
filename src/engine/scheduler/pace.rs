//! How far workers that share a source are ahead of each other, and for how much one is woken.
//!
//! Owns these numbers. Its invariant: units, and with them memory, grow with the workers and not with their square.

/// Units made ready ahead of a worker: this many for each worker, as all may have time to make one ready at once.
const AHEAD_PER_WORKER: usize = 2;
/// Where there are many workers, so many more than those.
const AHEAD_MORE: usize = 16;
/// Most ready units for which a worker sleeps on, and that it takes at once.
const STEP_MAX: u64 = 8;
/// It sleeps for this part of what may be ready ahead of it: those who are awake always have enough left.
const STEP_PART: u64 = 4;

/// How workers that share a source go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnitPace {
    /// Units that are made ready ahead of a worker before it processes the next one.
    pub ahead: u64,
    /// Units in all. With twice as many as are made ready ahead, the fastest can be as far ahead as the slowest is behind.
    pub units: usize,
    /// Ready units that are worth waking workers for, at least 1: a few workers are woken for each, so that they begin at once; of
    /// many none is woken for a handful of packets.
    pub step: u64,
    /// Who has packets in a unit is woken for it, as more may be long in coming.
    pub is_prompt: bool,
}

impl UnitPace {
    /// Of workers on a mapped file.
    pub const fn of_mapped(workers: usize) -> Self {
        let (twice, more) = (AHEAD_PER_WORKER * workers, workers + AHEAD_MORE);
        let ahead = if twice < more { twice } else { more };
        let step = ahead as u64 / STEP_PART;
        let step = if step > STEP_MAX { STEP_MAX } else { step };
        Self { ahead: ahead as u64, units: 2 * ahead, step: if step == 0 { 1 } else { step }, is_prompt: false }
    }

    /// Of workers for which a reader fills `units`. While others sleep over what is not theirs, a source that `waits` can do with one or
    /// two units; one that does not loses packets without.
    pub const fn of_reader(workers: usize, units: usize, waits: bool) -> Self {
        let part = units as u64 / STEP_PART;
        let step = if waits { units as u64 - part } else { part };
        Self { ahead: (AHEAD_PER_WORKER * workers) as u64, units, step: if step == 0 { 1 } else { step }, is_prompt: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_grow_with_the_workers_and_not_with_their_square() {
        let units = |workers| UnitPace::of_mapped(workers).units;
        assert_eq!([1, 2, 8, 16, 64, 256, 1024].map(units), [4, 8, 32, 64, 160, 544, 2080]);
    }

    #[test]
    fn those_who_sleep_are_woken_before_units_run_out() {
        for workers in 1..=1024 {
            let UnitPace { ahead, units, step, .. } = UnitPace::of_mapped(workers);
            assert!(step >= 1 && step <= ahead && ahead < units as u64, "{workers} workers");
        }
        assert_eq!(UnitPace::of_mapped(2).step, 1);
        for (units, waits) in [(2, true), (2, false), (8, true), (64, false)] {
            let UnitPace { step, .. } = UnitPace::of_reader(4, units, waits);
            assert!(step >= 1 && step <= units as u64, "{units} units");
        }
    }
}
