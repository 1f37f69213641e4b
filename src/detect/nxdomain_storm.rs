//! Storms of NXDOMAIN: a client is told again and again that a name does not exist, as malware is that tries made-up names, and as a resolver is through which
//! somebody attacks a domain's name servers.
//!
//! Owns the rule. Invariant: names that have an address in them say nothing (reverse names, lists of addresses): that most of them are not there is how they
//! are used. They count neither for nor against.

mod answers;
mod tell;

use self::answers::{NameAnswers, SeenNone};
use super::domain_name::{SmallName, digest, holds_address, registered_domain};
use super::{
    Alert, Contact, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable, IpPrefix, KeyedRule, Observation, SeenDns, Told,
};

const DNS_PORT: u16 = 53;
const NXDOMAIN: u16 = 3;

/// `[analysis.anomalies.nxdomain_storm]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NxdomainStormSettings {
    /// Length of the window in ns.
    pub window_ns: u64,
    /// Different names in the window that do not exist, from which on it is a storm.
    pub names_threshold: u64,
    /// Answers in the window that a name does not exist, from which on it is a storm however few the names are.
    pub answers_threshold: u64,
    /// Clients that are left out.
    pub allowed_networks: Vec<IpPrefix>,
    /// Time in ns without the rule after which the alert is over.
    pub cooldown_ns: u64,
}

/// The rule. Keys: client.
pub struct NxdomainStorm {
    settings: NxdomainStormSettings,
    hash: EvidenceHash,
}

impl NxdomainStorm {
    /// A rule with these settings.
    pub fn new(settings: NxdomainStormSettings, all: &DetectionSettings) -> Self {
        Self { settings, hash: all.hash.clone() }
    }

    fn note(&self, seen: &SeenDns<'_>, table: &mut EvidenceTable<NameAnswers>) {
        let message = &seen.message;
        if !message.is_response() || self.settings.allowed_networks.iter().any(|network| network.contains(seen.client)) {
            return;
        }
        let key = EvidenceKey { host: seen.client, port: DNS_PORT, ..EvidenceKey::NONE };
        if message.rcode() != NXDOMAIN {
            table.observe(key, NameAnswers::note_other);
            return;
        }
        let Some(name) = message.questions().next().and_then(|question| SmallName::read(question.name)) else { return };
        let name = name.text();
        if holds_address(name) {
            return;
        }
        let domain = registered_domain(name);
        let ranked = |host| {
            let contact = Contact { host, port: 0 };
            (self.hash.rank(&contact), contact)
        };
        let none = SeenNone {
            domain,
            name: ranked(digest(&self.hash, name)),
            domain_contact: ranked(digest(&self.hash, domain)),
            server: ranked(seen.server),
        };
        table.observe(key, |answers| answers.note(seen, &none));
    }
}

impl KeyedRule for NxdomainStorm {
    type Evidence = NameAnswers;

    fn name(&self) -> &'static str {
        tell::KIND
    }

    fn window_ns(&self) -> u64 {
        self.settings.window_ns
    }

    fn cooldown_ns(&self) -> u64 {
        self.settings.cooldown_ns
    }

    fn follows_dns(&self) -> bool {
        true
    }

    fn observe(&self, seen: Observation<'_>, table: &mut EvidenceTable<NameAnswers>) {
        if let Observation::Dns(seen) = seen {
            self.note(seen, table);
        }
    }

    fn floor(&self) -> u64 {
        self.settings.names_threshold.min(self.settings.answers_threshold)
    }

    fn holds(&self, _key: &EvidenceKey, window: &NameAnswers) -> bool {
        let is_most = window.nxdomain >= window.others;
        is_most && (window.nxdomain >= self.settings.answers_threshold || window.names.count() >= self.settings.names_threshold)
    }

    fn reload(&mut self, settings: &DetectionSettings) {
        if let Some(new) = &settings.detectors.nxdomain_storm {
            let own = &mut self.settings;
            (own.names_threshold, own.answers_threshold) = (new.names_threshold, new.answers_threshold);
            own.cooldown_ns = new.cooldown_ns;
        }
    }

    fn alert(&self, told: &Told<'_, NameAnswers>) -> Alert {
        tell::alert(told, &self.settings)
    }
}

#[cfg(test)]
mod tests;
