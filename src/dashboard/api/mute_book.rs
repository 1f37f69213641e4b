//! The mute rules as the page shows them: those of the configuration, and its own.
//!
//! Owns the page's rules and their numbers. Knows no alert. Invariants: at most [`MUTES_MAX`] rules are the page's own; a rule
//! that is over is forgotten.

use super::unix::seconds;
use crate::aggregate::{MuteCount, MuteRule};
use netscope_backends::Timestamp;
use serde_json::{Value, json};

/// Rules of the page.
pub const MUTES_MAX: usize = 256;

/// All rules.
#[derive(Debug)]
pub struct MuteBook {
    config: Vec<MuteRule>,
    own: Vec<(u64, MuteRule)>,
    numbers: u64,
}

impl MuteBook {
    /// With these rules of the configuration.
    pub const fn new(config: Vec<MuteRule>) -> Self {
        Self { config, own: Vec::new(), numbers: 0 }
    }

    /// Other rules of the configuration.
    pub fn set_config(&mut self, rules: Vec<MuteRule>) {
        self.config = rules;
    }

    /// Adds a rule of the page. Its number; `None` when there are too many.
    pub fn add(&mut self, rule: MuteRule, now: Timestamp) -> Option<u64> {
        self.own.retain(|(_, rule)| rule.until.is_none_or(|until| until > now));
        if self.own.len() >= MUTES_MAX {
            return None;
        }
        self.numbers += 1;
        self.own.push((self.numbers, rule));
        Some(self.numbers)
    }

    /// Takes a rule of the page away; false when there is none of this number.
    pub fn remove(&mut self, number: u64) -> bool {
        let before = self.own.len();
        self.own.retain(|(own, _)| *own != number);
        self.own.len() < before
    }

    /// The page's rules, for the judge.
    pub fn own(&self) -> Vec<MuteRule> {
        self.own.iter().map(|(_, rule)| rule.clone()).collect()
    }

    /// All rules that are not over, as JSON; `counts`: what each muted.
    pub fn objects(&self, counts: &[MuteCount], now: Timestamp) -> Vec<Value> {
        let config = self.config.iter().zip(1_u64..).map(|(rule, number)| (format!("c{number}"), rule, true));
        let own = self.own.iter().map(|(number, rule)| (format!("p{number}"), rule, false));
        config
            .chain(own)
            .filter(|(_, rule, _)| rule.until.is_none_or(|until| until > now))
            .map(|(id, rule, from_config)| object(&id, rule, counts, from_config))
            .collect()
    }
}

/// A rule as JSON.
pub fn object(id: &str, rule: &MuteRule, counts: &[MuteCount], from_config: bool) -> Value {
    let alerts = counts.iter().find(|count| count.rule == *rule).map_or(0, |count| count.alerts);
    json!({
        "id": id, "kind": rule.kind, "network": rule.network.map(|network| network.to_string()), "port": rule.port,
        "reason": rule.reason, "until": rule.until.map(seconds), "alerts": alerts, "from_config": from_config,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_bounded_and_end() {
        let mut book = MuteBook::new(vec![MuteRule::default()]);
        let until = |time| MuteRule { until: Some(Timestamp(time)), ..MuteRule::default() };
        assert_eq!((1..=MUTES_MAX as u64).map(|_| book.add(until(10), Timestamp(1))).filter(Option::is_some).count(), MUTES_MAX);
        assert_eq!(book.add(until(20), Timestamp(1)), None);
        assert_eq!(book.objects(&[], Timestamp(9)).len(), MUTES_MAX + 1);
        assert_eq!(book.objects(&[], Timestamp(10)).len(), 1, "those of the configuration stay");
        let number = book.add(until(20), Timestamp(11)).expect("those that are over went");
        assert_eq!(book.own(), [until(20)]);
        assert!(book.remove(number) && !book.remove(number));
    }
}
