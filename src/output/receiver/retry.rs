//! How long to wait before the next attempt.
//!
//! Owns the rule. Invariant: the wait is at most [`WAIT_MAX`], and longer after more failures.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// After the first failure, at most.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// After many failures, at most.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(30);

/// The wait after so many failures in a row: doubled each time, and between half of that and all of it, so that many senders do not come back
/// together. `random`: any bits.
pub(super) fn backoff(failures: u32, random: u64) -> Duration {
    let doubled = WAIT_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(WAIT_MAX);
    let share = (random >> 32) as f64 / (1_u64 << 32) as f64;
    doubled.mul_f64(0.5 + share / 2.0)
}

/// Bits that differ from call to call and from run to run.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_doubles_up_to_a_bound() {
        let shortest = [1, 2, 3, 6, 7, 1000].map(|failures| backoff(failures, 0).as_millis());
        assert_eq!(shortest, [250, 500, 1000, 8000, 15_000, 15_000]);
        assert!(backoff(3, u64::MAX) > Duration::from_millis(1990), "the jitter is up to as much again");
        assert_ne!(random(), random());
    }

    proptest! {
        #[test]
        fn it_is_bounded(failures: u32, random: u64) {
            let wait = backoff(failures, random);
            prop_assert!(wait >= WAIT_FIRST / 2 && wait <= WAIT_MAX);
        }
    }
}
