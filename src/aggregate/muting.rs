//! Mute rules: alerts that nobody wants to be told of, for a time and for a reason.
//!
//! Owns the rules, and which alerts under way they muted. Knows no clock: `until` is compared with the alert's own time. Invariant: an alert is muted
//! from its begin to its end, or never; rules that come or go while it is under way change nothing of it.

use crate::detect::{Alert, AlertPhase, AlertSubject, IpPrefix};
use netscope_backends::Timestamp;
use std::collections::BTreeSet;

/// Which alerts are muted. Everything that is set has to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MuteRule {
    /// The alert's kind; `None` = any.
    pub kind: Option<String>,
    /// A network that the attacker or the victim is in; `None` = any.
    pub network: Option<IpPrefix>,
    /// The victim's port, or the only one that is scanned; `None` = any.
    pub port: Option<u16>,
    /// The rule is over at this time of the alert; `None` = never.
    pub until: Option<Timestamp>,
    /// Why, for those who wonder.
    pub reason: String,
}

impl MuteRule {
    /// True for an alert that begins now.
    pub fn fits(&self, alert: &Alert) -> bool {
        let is_in = |network: &IpPrefix| {
            let inside = |subject: &AlertSubject| {
                network.contains(subject.host) && subject.prefix_len.is_none_or(|len| len >= network.prefix_len())
            };
            [&alert.attacker, &alert.victim].into_iter().flatten().any(inside)
        };
        let has_port = |port: u16| {
            let victim = alert.victim.and_then(|victim| victim.port);
            victim.map_or(alert.ports == [port], |victim| victim == port)
        };
        self.until.is_none_or(|until| alert.time < until)
            && self.kind.as_ref().is_none_or(|kind| kind == alert.kind)
            && self.network.as_ref().is_none_or(is_in)
            && self.port.is_none_or(has_port)
    }
}

/// What a rule muted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MuteCount {
    /// The rule; all blank for the sum of rules that a reload took away.
    pub rule: MuteRule,
    /// Alerts whose begin it muted.
    pub alerts: u64,
}

/// The rules at work.
#[derive(Debug, Default)]
pub struct Muting {
    rules: Vec<MuteCount>,
    /// Alerts muted by rules that are gone.
    gone: u64,
    /// Kind and key of muted alerts under way. Detectors bound the alerts under way.
    muted: BTreeSet<(&'static str, String)>,
}

impl Muting {
    /// These rules. The first that fits counts.
    pub fn new(rules: Vec<MuteRule>) -> Self {
        let rules = rules.into_iter().map(|rule| MuteCount { rule, alerts: 0 }).collect();
        Self { rules, ..Self::default() }
    }

    /// True when nobody is to be told of this.
    pub fn mutes(&mut self, alert: &Alert) -> bool {
        if alert.phase != AlertPhase::Begin {
            if self.muted.is_empty() {
                return false;
            }
            let key = (alert.kind, alert.key.clone());
            return match alert.phase {
                AlertPhase::End(_) => self.muted.remove(&key),
                _ => self.muted.contains(&key),
            };
        }
        let Some(count) = self.rules.iter_mut().find(|count| count.rule.fits(alert)) else { return false };
        count.alerts += 1;
        self.muted.insert((alert.kind, alert.key.clone()));
        true
    }

    /// Other rules from now on. One that stays goes on counting. What is under way stays as it is.
    pub fn replace(&mut self, rules: Vec<MuteRule>) {
        let mut before = std::mem::take(&mut self.rules);
        self.rules = Self::new(rules).rules;
        for count in &mut self.rules {
            if let Some(at) = before.iter().position(|old| old.rule == count.rule) {
                count.alerts = before.swap_remove(at).alerts;
            }
        }
        self.gone += before.iter().map(|count| count.alerts).sum::<u64>();
    }

    /// Alerts that were muted.
    pub fn alerts(&self) -> u64 {
        self.gone + self.rules.iter().map(|count| count.alerts).sum::<u64>()
    }

    /// What each rule muted, and all that are gone together, where that is anything.
    pub fn counts(&self) -> Vec<MuteCount> {
        let gone = (self.gone > 0).then(|| MuteCount { rule: MuteRule::default(), alerts: self.gone });
        self.rules.iter().cloned().chain(gone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{AlertEnd, AlertSeverity};
    use std::net::IpAddr;

    fn subject(address: &str, port: Option<u16>, prefix_len: Option<u8>) -> AlertSubject {
        AlertSubject { port, prefix_len, ..AlertSubject::host(address.parse::<IpAddr>().expect("an address").into()) }
    }

    fn alert(second: u64, kind: &'static str, phase: AlertPhase) -> Alert {
        Alert {
            time: Timestamp(second * Timestamp::NS_PER_SEC),
            severity: AlertSeverity::High,
            key: format!("{kind} 192.0.2.80:443"),
            victim: Some(subject("192.0.2.80", Some(443), None)),
            ..Alert::bare(kind, "distributed", phase)
        }
    }

    fn network(text: &str) -> Option<IpPrefix> {
        Some(text.parse().expect("a network"))
    }

    #[test]
    fn everything_that_is_set_has_to_fit() {
        let flood = alert(10, "syn_flood", AlertPhase::Begin);
        let all = MuteRule {
            kind: Some("syn_flood".to_owned()),
            network: network("192.0.2.0/24"),
            port: Some(443),
            until: Some(Timestamp(11 * Timestamp::NS_PER_SEC)),
            reason: String::new(),
        };
        assert!(all.fits(&flood));
        assert!(!MuteRule { kind: Some("port_scan".to_owned()), ..all.clone() }.fits(&flood));
        assert!(!MuteRule { network: network("198.51.100.0/24"), ..all.clone() }.fits(&flood));
        assert!(!MuteRule { port: Some(80), ..all.clone() }.fits(&flood));
        assert!(!MuteRule { until: Some(flood.time), ..all.clone() }.fits(&flood), "it is over at that time");
        let scan = Alert { victim: None, attacker: Some(subject("192.0.2.9", None, None)), ports: vec![443], ..flood.clone() };
        assert!(all.fits(&scan), "the attacker's network, and the one port of a scan");
        assert!(!all.fits(&Alert { ports: vec![443, 80], ..scan }), "several ports are not one");
        let carpet = |len| Alert { victim: Some(subject("192.0.2.0", None, Some(len))), ..flood.clone() };
        let by_network = MuteRule { network: network("192.0.2.0/24"), ..MuteRule::default() };
        assert!(by_network.fits(&carpet(24)) && !by_network.fits(&carpet(16)), "a larger network is not in a smaller one");
    }

    #[test]
    fn an_alert_is_muted_from_its_begin_to_its_end_or_never() {
        let until = Some(Timestamp(20 * Timestamp::NS_PER_SEC));
        let rule = MuteRule { kind: Some("syn_flood".to_owned()), until, ..MuteRule::default() };
        let mut muting = Muting::new(vec![rule.clone()]);
        let mut told = Vec::new();
        let mut tell = |muting: &mut Muting, second, kind, phase| {
            if !muting.mutes(&alert(second, kind, phase)) {
                told.push((second, kind));
            }
        };
        let end = AlertPhase::End(AlertEnd::Quiet);
        tell(&mut muting, 1, "syn_flood", AlertPhase::Begin);
        tell(&mut muting, 2, "port_scan", AlertPhase::Begin);
        tell(&mut muting, 21, "syn_flood", AlertPhase::Update);
        tell(&mut muting, 30, "syn_flood", end);
        // By now the rule is over.
        tell(&mut muting, 40, "syn_flood", AlertPhase::Begin);
        // One that was told is told to its end, whatever comes.
        muting.replace(vec![MuteRule::default()]);
        tell(&mut muting, 41, "syn_flood", AlertPhase::Update);
        tell(&mut muting, 42, "syn_flood", end);
        tell(&mut muting, 43, "port_scan", end);
        tell(&mut muting, 44, "port_scan", AlertPhase::Begin);
        muting.replace(Vec::new());
        tell(&mut muting, 45, "port_scan", end);
        assert_eq!(told, [(2, "port_scan"), (40, "syn_flood"), (41, "syn_flood"), (42, "syn_flood"), (43, "port_scan")]);
        assert_eq!((muting.alerts(), muting.muted.len()), (2, 0));
    }

    #[test]
    fn a_rule_that_stays_goes_on_counting() {
        let of_kind = |kind: &str| MuteRule { kind: Some(kind.to_owned()), ..MuteRule::default() };
        let mut muting = Muting::new(vec![of_kind("a"), of_kind("b"), MuteRule::default()]);
        assert!(["a", "a", "b", "c"].into_iter().all(|kind| muting.mutes(&alert(1, kind, AlertPhase::Begin))));
        let counts = |muting: &Muting| muting.counts().into_iter().map(|count| count.alerts).collect::<Vec<_>>();
        assert_eq!(counts(&muting), [2, 1, 1], "the first rule that fits");
        muting.replace(vec![of_kind("d"), of_kind("a")]);
        assert_eq!(counts(&muting), [0, 2, 2], "what is gone is counted last");
        assert_eq!((muting.alerts(), muting.rules.len()), (4, 2));
    }
}
