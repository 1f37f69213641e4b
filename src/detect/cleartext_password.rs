//! Passwords in the clear: that they were sent, to which service, and by whom. Never what they were.
//!
//! Owns the rule. Knows that inspection saw one, no more. Invariant: no byte of payload gets here.

use super::domain_name::digest;
use super::flow_finding::{FlowFinding, WINDOW_NS};
use super::{
    Alert, AlertSeverity, AlertSubject, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable, IpPrefix, KeyedRule,
    Observation, SeenFacts, Told,
};
use crate::app::protocols::{FactNews, protocol_of};

const KIND: &str = "cleartext_password";
/// Protocols that an alert names; that of another one is `other`.
const VARIANTS: [&str; 6] = ["ftp", "http", "imap", "pop3", "smtp", "telnet"];

/// `[analysis.anomalies.cleartext_password]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CleartextPasswordSettings {
    /// Hosts that are left out at either end.
    pub allowed_networks: Vec<IpPrefix>,
    /// Time in ns without another one after which the alert is over.
    pub cooldown_ns: u64,
}

/// The rule. Keys: server, its port, and the protocol's name as a digest.
pub struct CleartextPassword {
    settings: CleartextPasswordSettings,
    hash: EvidenceHash,
}

impl CleartextPassword {
    /// A rule with these settings.
    pub fn new(settings: CleartextPasswordSettings, all: &DetectionSettings) -> Self {
        Self { settings, hash: all.hash.clone() }
    }

    fn note(&self, seen: &SeenFacts<'_>, table: &mut EvidenceTable<FlowFinding>) {
        let flow = &seen.flow;
        let ((client, _), (host, port)) = (flow.key.source(flow.initiator), flow.key.destination(flow.initiator));
        if self.settings.allowed_networks.iter().any(|network| network.contains(client) || network.contains(host)) {
            return;
        }
        let name = protocol_of(seen.facts).unwrap_or_default();
        let key = EvidenceKey { host, peer: digest(&self.hash, name), port, protocol: flow.key.protocol() };
        table.observe(key, |finding| finding.note(seen, name, &self.hash));
    }
}

impl KeyedRule for CleartextPassword {
    type Evidence = FlowFinding;

    fn name(&self) -> &'static str {
        KIND
    }

    fn window_ns(&self) -> u64 {
        WINDOW_NS
    }

    fn cooldown_ns(&self) -> u64 {
        self.settings.cooldown_ns
    }

    fn follows_facts(&self) -> bool {
        true
    }

    fn observe(&self, seen: Observation<'_>, table: &mut EvidenceTable<FlowFinding>) {
        if let Observation::Facts(seen) = seen
            && seen.news.has(FactNews::CREDENTIALS)
        {
            self.note(seen, table);
        }
    }

    fn floor(&self) -> u64 {
        1
    }

    fn holds(&self, _key: &EvidenceKey, _window: &FlowFinding) -> bool {
        true
    }

    fn reload(&mut self, settings: &DetectionSettings) {
        if let Some(new) = &settings.detectors.cleartext_password {
            self.settings.cooldown_ns = new.cooldown_ns;
        }
    }

    fn alert(&self, told: &Told<'_, FlowFinding>) -> Alert {
        let life = told.life;
        let variant = VARIANTS.into_iter().find(|name| name.as_bytes() == &*life.name).unwrap_or("other");
        let service = AlertSubject { port: Some(told.key.port), ..AlertSubject::host(told.key.host) };
        let alert = Alert {
            description: format!(
                "Passwords in the clear to {service} ({variant}){}: sent in {}{} {} {}",
                told.phase.words(),
                if told.is_at_least { "at least " } else { "" },
                life.flows,
                if life.flows == 1 { "connection" } else { "connections" },
                life.by_whom(),
            ),
            severity: AlertSeverity::Medium,
            key: format!("{KIND} {service} {variant}"),
            details: vec![("protocol", variant.to_owned())],
            ..Alert::bare(KIND, variant, told.phase)
        };
        FlowFinding::fill(told, self.settings.cooldown_ns, alert)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::made_up::{MadeFacts, assert_merges, flow, noted};
    use crate::detect::{AlertPhase, DetectorSettings, LocalNetworks};
    use netscope_backends::Timestamp;
    use proptest::prelude::*;

    fn rule(allowed: &[&str]) -> CleartextPassword {
        let allowed_networks = allowed.iter().map(|network| network.parse().expect("a network")).collect();
        let settings = CleartextPasswordSettings { allowed_networks, cooldown_ns: 1 };
        CleartextPassword::new(settings, &DetectionSettings::of(DetectorSettings::default(), 1 << 20))
    }

    fn sent(name: &str, client: u8, server: u8, second: u64) -> MadeFacts {
        let flow = flow(client, server, [40_000, 21], 6, second);
        MadeFacts { news: FactNews::CREDENTIALS, ..MadeFacts::of(name, flow, second) }
    }

    #[test]
    fn it_is_told_that_one_was_sent() {
        let made = [sent("ftp", 1, 1, 0), sent("ftp", 2, 1, 1)];
        let seen = made.each_ref().map(MadeFacts::seen);
        let table = noted(&rule(&[]), seen.iter().map(Observation::Facts), 1 << 20);
        let (key, life) = table.entries().next().expect("a key");
        let local = LocalNetworks::private_and([]);
        let (phase, time) = (AlertPhase::Begin, Timestamp(0));
        let alert = rule(&[]).alert(&Told { key, phase, time, life, window: life, is_at_least: false, local: &local });
        assert_eq!(alert.description, "Passwords in the clear to 192.0.2.1:21 (ftp): sent in 2 connections by 2 clients");
        assert_eq!((alert.variant, alert.direction), ("ftp", Some("outbound")));
        let known = MadeFacts { news: FactNews::PROTOCOL, ..sent("ftp", 1, 1, 0) };
        assert!(noted(&rule(&[]), [Observation::Facts(&known.seen())], 1 << 20).is_empty());
        assert!(noted(&rule(&["192.0.2.0/24"]), seen.iter().map(Observation::Facts), 1 << 20).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn any_order_and_any_parts_give_the_same(
            all in prop::collection::vec((0_usize..3, 0_u8..90, 0_u8..30, 0_u64..99), 0..150),
            shares in prop::collection::vec(0_usize..4, 150),
        ) {
            let made: Vec<MadeFacts> = all
                .into_iter()
                .map(|(name, client, server, second)| sent(["ftp", "pop3", "x"][name], client, server, second))
                .collect();
            let seen: Vec<_> = made.iter().map(MadeFacts::seen).collect();
            assert_merges(&rule(&[]), &seen.iter().map(Observation::Facts).collect::<Vec<_>>(), &shares);
        }
    }
}
