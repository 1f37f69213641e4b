//! DNS tunnels: a client asks for many long names of one domain, each another one, as data is in them.
//!
//! Owns the rule. Invariant: what is cheap is asked first: the length of the message, then that of the name and its characters; only what is left is cut by the
//! list of public suffixes and hashed.

mod names;
mod tell;

use self::names::{LongNames, SeenName};
use super::domain_name::{SmallName, digest, holds_address, is_within, registered_domain};
use super::{
    Alert, Contact, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable, IpPrefix, KeyedRule, Observation, SeenDns, Told,
};
use crate::app::dns::DnsQuestion;

const DNS_PORT: u16 = 53;
/// Different characters of a long name at least: data has many, padding has few.
const CHARACTERS_MIN: u32 = 8;
/// A question is asked so often at most on average: for several types, by several name servers, again without an answer. Names that are asked for more often
/// are names.
const ASKED_MAX: u64 = 4;

/// `[analysis.anomalies.dns_tunnel]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsTunnelSettings {
    /// Length of the window in ns.
    pub window_ns: u64,
    /// Different long names of one domain in the window, from which on it is a tunnel.
    pub names_threshold: u64,
    /// Bytes in front of the domain, from which on a name is long.
    pub name_bytes_min: usize,
    /// Domains whose long names are known.
    pub allowed_domains: Vec<String>,
    /// Clients and servers that are left out.
    pub allowed_networks: Vec<IpPrefix>,
    /// Time in ns without the rule after which the alert is over.
    pub cooldown_ns: u64,
}

/// The rule. Keys: client, and the domain as a digest.
pub struct DnsTunnel {
    settings: DnsTunnelSettings,
    hash: EvidenceHash,
}

impl DnsTunnel {
    /// A rule with these settings.
    pub fn new(settings: DnsTunnelSettings, all: &DetectionSettings) -> Self {
        Self { settings, hash: all.hash.clone() }
    }

    /// The name is long enough, and more than padding. Walks over its bytes once.
    fn may_be(&self, question: &DnsQuestion<'_>) -> bool {
        let (mut len, mut characters) = (0, [0_u64; 4]);
        for label in question.name.labels() {
            len += label.len() + 1;
            label.iter().for_each(|&byte| characters[usize::from(byte >> 6)] |= 1 << (byte & 63));
        }
        len > self.settings.name_bytes_min && characters.iter().map(|bits| bits.count_ones()).sum::<u32>() >= CHARACTERS_MIN
    }

    fn note(&self, seen: &SeenDns<'_>, table: &mut EvidenceTable<LongNames>) {
        let Some(question) = seen.message.questions().next().filter(|question| self.may_be(question)) else { return };
        let Some(name) = SmallName::read(question.name) else { return };
        let name = name.text();
        let domain = registered_domain(name);
        let data_len = name.len() - domain.len();
        let settings = &self.settings;
        let is_allowed = |network: &IpPrefix| network.contains(seen.client) || network.contains(seen.server);
        if data_len <= settings.name_bytes_min
            || holds_address(name)
            || settings.allowed_domains.iter().any(|allowed| is_within(name, allowed.as_bytes()))
            || settings.allowed_networks.iter().any(is_allowed)
        {
            return;
        }
        let peer = digest(&self.hash, domain);
        let key = EvidenceKey { host: seen.client, peer, port: DNS_PORT, protocol: seen.flow.key.protocol() };
        let ranked = |contact: Contact| (self.hash.rank(&contact), contact);
        let seen_name = SeenName {
            name,
            domain,
            data_len: data_len as u64,
            ranked: ranked(Contact { host: digest(&self.hash, name), port: 0 }),
            kind: ranked(Contact { port: question.kind, ..Contact::default() }),
            server: ranked(Contact { host: seen.server, port: 0 }),
        };
        table.observe(key, |names| names.note(seen, &seen_name));
    }
}

impl KeyedRule for DnsTunnel {
    type Evidence = LongNames;

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

    fn observe(&self, seen: Observation<'_>, table: &mut EvidenceTable<LongNames>) {
        if let Observation::Dns(seen) = seen {
            self.note(seen, table);
        }
    }

    fn floor(&self) -> u64 {
        self.settings.names_threshold
    }

    fn holds(&self, _key: &EvidenceKey, window: &LongNames) -> bool {
        let names = window.names.count();
        names >= self.settings.names_threshold && window.queries.max(window.responses) <= ASKED_MAX * names
    }

    fn reload(&mut self, settings: &DetectionSettings) {
        if let Some(new) = &settings.detectors.dns_tunnel {
            (self.settings.names_threshold, self.settings.cooldown_ns) = (new.names_threshold, new.cooldown_ns);
        }
    }

    fn alert(&self, told: &Told<'_, LongNames>) -> Alert {
        tell::alert(told, &self.settings)
    }
}

#[cfg(test)]
mod tests;
