//! Where workers stop: those with a queue each share one budget of packets.
//!
//! Owns the rule of stopping. Knows no packet. Invariant: `--count` is exact over all workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a worker has to do with the others.
#[derive(Clone, Debug)]
pub enum StopGroup {
    /// There is no other, or the source ends them all at one packet.
    None,
    /// Each has a queue of its own; they share what may still be processed.
    Queues(Arc<PacketBudget>),
}

impl StopGroup {
    /// How many of `len` packets may be processed.
    pub(super) fn room(&self, len: u64) -> u64 {
        match self {
            Self::None => len,
            Self::Queues(allowance) => allowance.claim(len),
        }
    }

    /// True when a worker stops; `requested`: somebody asked for the end.
    pub(super) fn end(&self, requested: bool) -> bool {
        match self {
            Self::None => requested,
            Self::Queues(allowance) => requested || allowance.is_used_up(),
        }
    }

    /// One worker cannot go on: the workers on other queues end, too. (On a shared source they do so anyway.)
    pub(super) fn fail(&self) {
        if let Self::Queues(allowance) = self {
            allowance.close();
        }
    }

    /// True where packets of different workers have no common order but their time.
    pub(super) fn has_own_packets(&self) -> bool {
        matches!(self, Self::Queues(_))
    }
}

/// How many packets several queues may still process together.
#[derive(Debug)]
pub struct PacketBudget(AtomicU64);

/// No bound: nothing is subtracted, so queues do not write to a common line.
const UNLIMITED: u64 = u64::MAX;

impl PacketBudget {
    /// A budget of `count_max` packets, 0 = as many as come.
    pub fn new(count_max: u64) -> Self {
        Self(AtomicU64::new(if count_max == 0 { UNLIMITED } else { count_max.min(UNLIMITED - 1) }))
    }

    /// Takes up to `wanted` packets out of it; how many were left to take.
    pub fn claim(&self, wanted: u64) -> u64 {
        // Relaxed throughout: the number alone is shared, and it vouches for no other memory.
        let mut left = self.0.load(Ordering::Relaxed);
        loop {
            let granted = wanted.min(left);
            if left == UNLIMITED || granted == 0 {
                return granted;
            }
            // Pairs with itself and with `close`: a lost race is tried again with what is left then.
            match self.0.compare_exchange_weak(left, left - granted, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return granted,
                Err(now) => left = now,
            }
        }
    }

    /// Nothing more is allowed.
    pub fn close(&self) {
        // Pairs with the loads in `claim` and `is_used_up`.
        self.0.store(0, Ordering::Relaxed);
    }

    /// True when nothing is left.
    pub fn is_used_up(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_exactly() {
        let allowance = PacketBudget::new(100);
        assert_eq!((allowance.claim(64), allowance.claim(64), allowance.claim(1)), (64, 36, 0));
        assert!(allowance.is_used_up());
        let unlimited = PacketBudget::new(0);
        assert_eq!((unlimited.claim(u64::from(u32::MAX)), unlimited.claim(64)), (u64::from(u32::MAX), 64));
        assert!(!unlimited.is_used_up());
        unlimited.close();
        assert!(unlimited.is_used_up());
        assert_eq!(unlimited.claim(64), 0);
    }

    #[test]
    fn threads_take_no_more_than_there_is() {
        for limit in [1, 1000, 12_345] {
            let allowance = Arc::new(PacketBudget::new(limit));
            let threads = (1..5u64).map(|piece| {
                let allowance = Arc::clone(&allowance);
                std::thread::spawn(move || {
                    let mut taken = 0;
                    while !allowance.is_used_up() {
                        taken += allowance.claim(piece);
                    }
                    taken
                })
            });
            let taken: Vec<u64> =
                threads.collect::<Vec<_>>().into_iter().map(|thread| thread.join().expect("no panic")).collect();
            assert_eq!(taken.iter().sum::<u64>(), limit);
        }
    }

    #[test]
    fn a_failing_queue_ends_all_queues() {
        let group = StopGroup::Queues(Arc::new(PacketBudget::new(0)));
        assert_eq!(group.room(64), 64);
        assert!(!group.end(false) && group.end(true));
        group.fail();
        assert!(group.end(false));
    }
}
