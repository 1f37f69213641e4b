//! A line of time in slots: seconds for an hour, minutes for a day.
//!
//! Owns the slots. Knows nothing of what is in them. Invariants: what is added is in one second and in the minute around it, so both add up to the same; time never
//! goes back, what is older than the slot that goes on is added to that; memory is bounded by the number of slots.

use netscope_backends::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;

const SECOND_NS: u64 = Timestamp::NS_PER_SEC;
/// Slots at most, the one that goes on included: an hour, a day.
pub const SECOND_COUNT_MAX: usize = 3600;
pub const MINUTE_COUNT_MAX: usize = 1440;

/// What a slot holds while it goes on.
pub trait OpenSlot {
    /// What is kept of it when it is over.
    type Kept;

    /// An empty slot.
    fn new() -> Self;

    /// What is to be kept of it.
    fn keep(&self) -> Self::Kept;
}

/// A slot that is over: the time at which it began, and what is in it.
pub type KeptSlot<K> = (Timestamp, Arc<K>);

/// Slots of one length.
struct Ring<S: OpenSlot> {
    step_ns: u64,
    count_max: usize,
    open: Option<(u64, S)>,
    kept: VecDeque<(u64, Arc<S::Kept>)>,
}

impl<S: OpenSlot> Ring<S> {
    const fn new(step_ns: u64, count_max: usize) -> Self {
        Self { step_ns, count_max, open: None, kept: VecDeque::new() }
    }

    /// The slot of this time, or the one that goes on when that is later.
    fn at(&mut self, time: Timestamp) -> &mut S {
        let number = time.0 / self.step_ns;
        if self.open.as_ref().is_some_and(|(open, _)| *open < number)
            && let Some((over, slot)) = self.open.take()
        {
            self.kept.push_back((over, Arc::new(slot.keep())));
        }
        // By time, not by number of slots: an hour is an hour, with packets or without.
        let first = number.saturating_sub(self.count_max as u64 - 1);
        while self.kept.front().is_some_and(|(kept, _)| *kept < first) {
            self.kept.pop_front();
        }
        &mut self.open.get_or_insert_with(|| (number, S::new())).1
    }

    /// All slots, the one that goes on as it is now.
    fn slots(&self) -> Vec<KeptSlot<S::Kept>> {
        let start = |number: u64| Timestamp(number.saturating_mul(self.step_ns));
        let kept = self.kept.iter().map(|(number, slot)| (start(*number), Arc::clone(slot)));
        kept.chain(self.open.iter().map(|(number, slot)| (start(*number), Arc::new(slot.keep())))).collect()
    }
}

/// Seconds and minutes.
pub struct Timeline<S: OpenSlot> {
    seconds: Ring<S>,
    minutes: Ring<S>,
}

/// All slots of a timeline at one moment. Slots without anything are left out.
#[derive(Clone, Debug)]
pub struct TimelineSlots<K> {
    /// Each second of the latest hour.
    pub seconds: Vec<KeptSlot<K>>,
    /// Each minute of the latest day.
    pub minutes: Vec<KeptSlot<K>>,
}

impl<S: OpenSlot> Timeline<S> {
    /// One without slots.
    pub const fn new() -> Self {
        Self { seconds: Ring::new(SECOND_NS, SECOND_COUNT_MAX), minutes: Ring::new(60 * SECOND_NS, MINUTE_COUNT_MAX) }
    }

    /// Adds something that happened at this time to the second and to the minute.
    pub fn add(&mut self, time: Timestamp, add: impl Fn(&mut S)) {
        // What comes too late for its second is in that which goes on, and so is it in its minute.
        let time = self.seconds.open.as_ref().map_or(time, |(open, _)| time.max(Timestamp(open.saturating_mul(SECOND_NS))));
        add(self.seconds.at(time));
        add(self.minutes.at(time));
    }

    /// All slots as they are now.
    pub fn slots(&self) -> TimelineSlots<S::Kept> {
        TimelineSlots { seconds: self.seconds.slots(), minutes: self.minutes.slots() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Sum(u64);

    impl OpenSlot for Sum {
        type Kept = u64;

        fn new() -> Self {
            Self(0)
        }

        fn keep(&self) -> u64 {
            self.0
        }
    }

    fn at(second: u64) -> Timestamp {
        Timestamp(second * SECOND_NS + 5)
    }

    proptest! {
        /// In any order of times, seconds, minutes and all that was added are the same, and a minute is its seconds.
        #[test]
        fn nothing_is_lost_on_the_way_from_seconds_to_minutes(
            added in prop::collection::vec((0..3500_u64, 1..1000_u64), 1..300),
            sorted in any::<bool>(),
        ) {
            let mut added = added;
            if sorted {
                added.sort_unstable();
            }
            let mut timeline = Timeline::<Sum>::new();
            for &(second, value) in &added {
                timeline.add(at(second), |slot| slot.0 += value);
            }
            let slots = timeline.slots();
            let sum = |slots: &[KeptSlot<u64>]| slots.iter().map(|(_, value)| **value).sum::<u64>();
            let total = added.iter().map(|(_, value)| value).sum::<u64>();
            prop_assert_eq!((sum(&slots.seconds), sum(&slots.minutes)), (total, total));
            let mut by_minute: BTreeMap<u64, u64> = BTreeMap::new();
            for (start, value) in &slots.seconds {
                *by_minute.entry(start.0 / (60 * SECOND_NS)).or_default() += **value;
            }
            let minutes: BTreeMap<u64, u64> =
                slots.minutes.iter().map(|(start, value)| (start.0 / (60 * SECOND_NS), **value)).collect();
            prop_assert_eq!(by_minute, minutes);
            prop_assert!(slots.seconds.is_sorted_by(|a, b| a.0 < b.0) && slots.minutes.is_sorted_by(|a, b| a.0 < b.0));
        }
    }

    #[test]
    fn an_hour_and_a_day_are_kept_by_time() {
        let mut timeline = Timeline::<Sum>::new();
        (0..200_000).for_each(|second| timeline.add(at(second), |slot| slot.0 += 1));
        let slots = timeline.slots();
        assert_eq!((slots.seconds.len(), slots.minutes.len()), (SECOND_COUNT_MAX, MINUTE_COUNT_MAX));
        assert_eq!(slots.seconds[0].0, Timestamp(196_400 * SECOND_NS));
        timeline.add(at(200_000 + 3599), |slot| slot.0 += 1);
        assert_eq!(timeline.slots().seconds.len(), 1, "the others are more than an hour ago");
    }
}
