//! The lives of one detector's alerts: when they begin, are told of again, and end.
//!
//! Owns what is known of alerts under way. Knows no rule: it is told when one holds. Invariants: an alert that began ends, once; between the two it is told again
//! when it has reached the next power of ten, and not for each packet.

use super::AlertEnd;
use super::detector::BinSpan;
use netscope_backends::Timestamp;
use std::collections::BTreeMap;

/// How long alerts live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifeSettings {
    /// Time without a rule that holds, in ns, after which an alert is over.
    pub cooldown_ns: u64,
    /// Alerts of a detector under way at most; more are counted and left out.
    pub alert_count_max: usize,
}

/// What is kept of an alert under way.
pub trait LivePayload {
    /// What is compared with powers of ten.
    fn magnitude(&self) -> u64;
}

struct AlertLife<P> {
    /// End of the latest bin in which the rule held.
    held: Timestamp,
    /// The magnitude at which it is told again.
    next: u64,
    payload: P,
}

/// Alerts under way, by what they are about.
pub struct AlertLives<K, P> {
    settings: LifeSettings,
    lives: BTreeMap<K, AlertLife<P>>,
}

/// The power of ten behind a magnitude.
fn next_power(magnitude: u64) -> u64 {
    let mut next = 10_u64;
    while next <= magnitude {
        match next.checked_mul(10) {
            Some(larger) => next = larger,
            None => return u64::MAX,
        }
    }
    next
}

impl<K: Ord + Copy, P: LivePayload> AlertLives<K, P> {
    /// No alerts.
    pub const fn new(settings: LifeSettings) -> Self {
        Self { settings, lives: BTreeMap::new() }
    }

    /// They live so long from now on.
    pub const fn set_life(&mut self, settings: LifeSettings) {
        self.settings = settings;
    }

    /// Ends those that were quiet for the cooldown by the start of this bin. `ended` is told when each was over.
    pub fn end_quiet(&mut self, bin: BinSpan, mut ended: impl FnMut(K, P, Timestamp)) {
        let cooldown_ns = self.settings.cooldown_ns;
        let quiet: Vec<K> =
            self.lives.iter().filter(|(_, life)| life.held.plus(cooldown_ns) <= bin.start).map(|(key, _)| *key).collect();
        for key in quiet {
            if let Some(life) = self.lives.remove(&key) {
                ended(key, life.payload, life.held.plus(cooldown_ns));
            }
        }
    }

    /// Ends all of them.
    pub fn end_all(&mut self, mut ended: impl FnMut(K, P, AlertEnd)) {
        std::mem::take(&mut self.lives).into_iter().for_each(|(key, life)| ended(key, life.payload, AlertEnd::Exit));
    }

    /// True while an alert about this is under way.
    pub fn is_live(&self, key: &K) -> bool {
        self.lives.contains_key(key)
    }

    /// Those under way.
    pub fn payloads(&mut self) -> impl Iterator<Item = (&K, &mut P)> {
        self.lives.iter_mut().map(|(key, life)| (key, &mut life.payload))
    }

    /// The rule holds in this bin: what is kept of the alert, if it is under way.
    pub fn hold(&mut self, key: &K, bin: BinSpan) -> Option<&mut P> {
        let life = self.lives.get_mut(key)?;
        life.held = bin.end;
        Some(&mut life.payload)
    }

    /// Tells those that have reached their next power of ten.
    pub fn tell_grown(&mut self, mut tell: impl FnMut(&K, &P)) {
        for (key, life) in &mut self.lives {
            let magnitude = life.payload.magnitude();
            if magnitude >= life.next {
                life.next = next_power(magnitude);
                tell(key, &life.payload);
            }
        }
    }

    /// Begins an alert; false when too many are under way.
    pub fn begin(&mut self, key: K, payload: P, bin: BinSpan) -> bool {
        let has_room = self.lives.len() < self.settings.alert_count_max;
        if has_room {
            self.lives.insert(key, AlertLife { held: bin.end, next: next_power(payload.magnitude()), payload });
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl LivePayload for u64 {
        fn magnitude(&self) -> u64 {
            *self
        }
    }

    fn bin(second: u64) -> BinSpan {
        let start = Timestamp(second * Timestamp::NS_PER_SEC);
        BinSpan { start, end: start.plus(Timestamp::NS_PER_SEC) }
    }

    #[test]
    fn an_alert_begins_grows_by_powers_of_ten_and_ends_once() {
        let settings = LifeSettings { cooldown_ns: 10 * Timestamp::NS_PER_SEC, alert_count_max: 1 };
        let mut lives: AlertLives<u8, u64> = AlertLives::new(settings);
        assert!(lives.begin(1, 250, bin(0)) && !lives.begin(2, 1, bin(0)), "one at most");
        let mut told = Vec::new();
        for (second, magnitude) in [(1, 999), (2, 1000), (3, 9_000), (4, 123_456), (5, 999_999)] {
            lives.payloads().for_each(|(_, payload)| *payload = magnitude);
            assert!(lives.hold(&1, bin(second)).is_some());
            lives.tell_grown(|_, payload| told.push(*payload));
        }
        assert_eq!(told, [1000, 123_456], "each power once, those that were passed together");
        let mut ended = Vec::new();
        for second in [6, 15, 16, 17] {
            lives.end_quiet(bin(second), |key, payload, at| ended.push((second, key, payload, at.0 / Timestamp::NS_PER_SEC)));
        }
        assert_eq!(ended, [(16, 1, 999_999, 16)]);
        assert!(lives.begin(2, 5, bin(17)) && lives.is_live(&2));
        lives.end_all(|key, _, end| assert_eq!((key, end), (2, AlertEnd::Exit)));
        assert!(!lives.is_live(&2));
    }

    #[test]
    fn powers_of_ten_end_with_the_numbers() {
        assert_eq!([0, 9, 10, 11, 99, 100].map(next_power), [10, 10, 100, 100, 100, 1000]);
        assert_eq!(next_power(u64::MAX), u64::MAX);
    }
}
