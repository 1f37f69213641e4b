//! The active timeout as the fast path asks for it: by one byte of the hot half, which says when a flow began.
//!
//! Owns the slots in which that byte counts. Its invariant: a flow that is called young is no older than the
//! timeout; for any other the cold half is read.

use crate::flow::entry::Entry;
use netscope_backends::Timestamp;

/// Slots that the timeout is parted into at least; twice as many at most.
const SLOT_COUNT_MIN: u64 = 32;
/// So far behind that no flow is called young by it, before or after one more timeout.
const LONG_AGO: u8 = 128;

/// After how long a record ends and the flow goes on as a new one.
#[derive(Clone, Copy, Debug)]
pub(super) struct ActiveTimeout {
    /// 0: never.
    ns: u64,
    /// A slot is 2^`slot_bits` ns.
    slot_bits: u32,
    /// Whole slots in the timeout, below 64.
    slots: u8,
}

impl ActiveTimeout {
    pub fn new(ns: u64) -> Self {
        let slot_bits = (ns / SLOT_COUNT_MIN).max(1).ilog2();
        Self { ns, slot_bits, slots: (ns >> slot_bits) as u8 }
    }

    pub const fn is_on(&self) -> bool {
        self.ns != 0
    }

    const fn slot(&self, time: Timestamp) -> u8 {
        (time.0 >> self.slot_bits) as u8
    }

    /// What [`Entry::begun`] is for a flow that began at `first_seen`, when the clock says `clock`.
    #[inline(always)]
    pub fn begun(&self, first_seen: Timestamp, clock: Timestamp) -> u8 {
        if self.is_old(first_seen, clock) { self.slot(clock).wrapping_sub(LONG_AGO) } else { self.slot(first_seen) }
    }

    /// The record began longer ago than the timeout, which is set.
    #[inline(always)]
    pub fn is_old(&self, first_seen: Timestamp, now: Timestamp) -> bool {
        self.ns != 0 && now.since(first_seen) > self.ns
    }

    /// The flow is certainly no older than the timeout, if one is set. It was not when its latest packet came, so its age is at
    /// most two timeouts, and slots do not come round.
    #[inline(always)]
    pub fn is_young(&self, entry: &Entry, now: Timestamp) -> bool {
        self.ns == 0 || now.since(entry.last_seen) <= self.ns && self.slot(now).wrapping_sub(entry.begun) < self.slots
    }
}

#[cfg(test)]
mod tests {
    use super::ActiveTimeout;
    use crate::flow::entry::Entry;
    use netscope_backends::Timestamp;
    use proptest::prelude::*;

    proptest! {
        /// Never young when it is old; and young for most of its life.
        #[test]
        fn young_is_never_old(ns in prop_oneof![1..100u64, 1..1u64 << 50], start in any::<u32>(), ages in (0..=1000u64, 0..=1000u64)) {
            let timeout = ActiveTimeout::new(ns);
            let part = |of: u64| (u128::from(ns) * u128::from(of) / 1000) as u64;
            let first_seen = Timestamp(u64::from(start) << 20);
            let last_seen = first_seen.plus(part(ages.0));
            let now = last_seen.plus(part(ages.1));
            let mut entry = Entry::BLANK;
            (entry.begun, entry.last_seen) = (timeout.begun(first_seen, first_seen), last_seen);
            let age = now.since(first_seen);
            prop_assert!(!timeout.is_young(&entry, now) || age <= ns, "{age} of {ns}");
            prop_assert!(timeout.is_young(&entry, now) || age > ns - ns / 16 - ns.min(2), "{age} of {ns}");
            // Made older than it may be by a packet from long before: at once, and for as long as its next packet may take.
            let later = now.plus(ns).plus(1);
            (entry.begun, entry.last_seen) = (timeout.begun(Timestamp(0), later), later);
            prop_assert!(!timeout.is_young(&entry, later) && !timeout.is_young(&entry, later.plus(part(ages.0))));
        }
    }

    #[test]
    fn off_is_always_young() {
        let timeout = ActiveTimeout::new(0);
        assert!(!timeout.is_on() && timeout.is_young(&Entry::BLANK, Timestamp(u64::MAX)));
        assert!(!timeout.is_old(Timestamp(0), Timestamp(u64::MAX)));
    }
}
