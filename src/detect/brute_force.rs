//! Brute force of logins: many short connections to a login service that are alike, and few sessions among them.
//!
//! Owns the rule. Reads no payload: whether a login failed is judged by size and duration, as a session is longer or larger than a failure.
//! `docs/detectors.md` says what cannot be told apart. Invariant: a connection counts once, when it is closed.

mod attempts;
mod tell;

use self::attempts::{LoginAttempts, LoginConnection};
use super::{
    Alert, Contact, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable, IpPrefix, KeyedRule, LocalNetworks, Observation,
    Told,
};
use crate::flow::FlowEnd;

const TCP: u8 = 6;
/// Packets that each side sends in a login at least: handshake, question and answer, close.
const PACKETS_EACH: u64 = 4;
/// Attempts of each of many sources on average; clients of a public server come once.
const ATTEMPTS_PER_SOURCE: u64 = 2;

/// `[analysis.anomalies.brute_force]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BruteForceSettings {
    /// Length of the window in ns.
    pub window_ns: u64,
    /// Login services.
    pub ports: Vec<u16>,
    /// Login services that honest clients ask again and again: judged by a threshold of their own, and when the client is outside.
    pub busy_ports: Vec<u16>,
    /// Attempts in the window from which on it is brute force.
    pub attempts_threshold: u64,
    /// The same on a busy port.
    pub busy_attempts_threshold: u64,
    /// Sources of attempts on one server from which on they are told together.
    pub unique_src_threshold: u64,
    /// Servers that one source tries from which on they are told together.
    pub unique_hosts_threshold: u64,
    /// Packets of a connection in which somebody can have tried to log in, at least.
    pub packets_min: u64,
    /// A connection that lasts longer, in ns, is a session.
    pub duration_ns_max: u64,
    /// A connection with more bytes is a session.
    pub bytes_max: u64,
    /// Hosts that are left out at either end.
    pub allowed_networks: Vec<IpPrefix>,
    /// Time in ns without it after which the alert is over.
    pub cooldown_ns: u64,
}

/// The rule. Keys: source, server and port; server and port alone; source and port alone.
pub struct BruteForce {
    settings: BruteForceSettings,
    local: LocalNetworks,
    hash: EvidenceHash,
}

/// What a key is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AttackShape {
    /// One source, one server.
    SingleSource,
    /// A server and all its sources.
    Distributed,
    /// A source and all its servers.
    Spraying,
}

impl AttackShape {
    fn of(key: &EvidenceKey) -> Self {
        match (key.host, key.peer) {
            (host, _) if host == EvidenceKey::NONE.host => Self::Distributed,
            (_, peer) if peer == EvidenceKey::NONE.peer => Self::Spraying,
            _ => Self::SingleSource,
        }
    }
}

const fn of_server(key: &EvidenceKey) -> EvidenceKey {
    EvidenceKey { host: EvidenceKey::NONE.host, ..*key }
}

const fn of_source(key: &EvidenceKey) -> EvidenceKey {
    EvidenceKey { peer: EvidenceKey::NONE.peer, ..*key }
}

impl BruteForce {
    /// A rule with these settings.
    pub fn new(settings: BruteForceSettings, all: &DetectionSettings) -> Self {
        Self { settings, local: all.local.clone(), hash: all.hash.clone() }
    }

    fn is_busy(&self, port: u16) -> bool {
        self.settings.busy_ports.contains(&port)
    }

    fn threshold(&self, port: u16) -> u64 {
        if self.is_busy(port) { self.settings.busy_attempts_threshold } else { self.settings.attempts_threshold }
    }

    /// Whom a connection is between, if it is to a login service that is judged.
    fn key(&self, end: &FlowEnd) -> Option<EvidenceKey> {
        let ((host, _), (peer, port)) = (end.key.source(end.initiator), end.key.destination(end.initiator));
        let settings = &self.settings;
        let is_judged = settings.ports.contains(&port) || self.is_busy(port) && !self.local.contains(host);
        let is_allowed = || settings.allowed_networks.iter().any(|network| network.contains(host) || network.contains(peer));
        (end.key.protocol() == TCP && is_judged && !is_allowed()).then_some(EvidenceKey { host, peer, port, protocol: TCP })
    }

    /// The connection as an attempt or a session; `None` when nobody can have tried to log in.
    fn connection(&self, end: &FlowEnd) -> Option<LoginConnection> {
        let settings = &self.settings;
        let is_dialogue = end.packets.iter().all(|&count| count >= PACKETS_EACH);
        let (bytes, duration_ns) = (end.bytes.iter().sum::<u64>(), end.last_seen.since(end.first_seen));
        (is_dialogue && end.packets.iter().sum::<u64>() >= settings.packets_min).then_some(LoginConnection {
            sample: end.into(),
            began: end.first_seen,
            ended: end.last_seen,
            bytes,
            is_session: bytes > settings.bytes_max || duration_ns > settings.duration_ns_max,
        })
    }
}

impl KeyedRule for BruteForce {
    type Evidence = LoginAttempts;

    fn name(&self) -> &'static str {
        tell::KIND
    }

    fn window_ns(&self) -> u64 {
        self.settings.window_ns
    }

    fn cooldown_ns(&self) -> u64 {
        self.settings.cooldown_ns
    }

    fn observe(&self, seen: Observation<'_>, table: &mut EvidenceTable<LoginAttempts>) {
        let Observation::End(end) = seen else { return };
        let Some(key) = self.key(end) else { return };
        let Some(connection) = self.connection(end) else { return };
        let ranked = |host| {
            let contact = Contact { host, port: 0 };
            (self.hash.rank(&contact), contact)
        };
        table.observe(key, |attempts| attempts.note(&connection, None));
        table.observe(of_source(&key), |attempts| attempts.note(&connection, Some(ranked(key.peer))));
        if !self.is_busy(key.port) {
            table.observe(of_server(&key), |attempts| attempts.note(&connection, Some(ranked(key.host))));
        }
    }

    fn floor(&self) -> u64 {
        self.settings.attempts_threshold.min(self.settings.busy_attempts_threshold)
    }

    fn holds(&self, key: &EvidenceKey, window: &LoginAttempts) -> bool {
        let peers = window.peers.count();
        let are_enough = match AttackShape::of(key) {
            AttackShape::SingleSource => true,
            AttackShape::Distributed => {
                peers >= self.settings.unique_src_threshold && window.attempts >= ATTEMPTS_PER_SOURCE * peers
            }
            AttackShape::Spraying => peers >= self.settings.unique_hosts_threshold,
        };
        are_enough && window.attempts >= self.threshold(key.port) && window.has_few_sessions() && window.are_alike()
    }

    fn grade(&self, life: &LoginAttempts) -> u8 {
        life.has_session_after().into()
    }

    fn wider(&self, key: &EvidenceKey) -> [Option<EvidenceKey>; 2] {
        match AttackShape::of(key) {
            AttackShape::SingleSource => [Some(of_server(key)), Some(of_source(key))],
            AttackShape::Distributed | AttackShape::Spraying => [None; 2],
        }
    }

    fn reload(&mut self, settings: &DetectionSettings) {
        if let Some(new) = &settings.detectors.brute_force {
            let own = &mut self.settings;
            (own.attempts_threshold, own.busy_attempts_threshold) = (new.attempts_threshold, new.busy_attempts_threshold);
            (own.unique_src_threshold, own.unique_hosts_threshold) = (new.unique_src_threshold, new.unique_hosts_threshold);
            own.cooldown_ns = new.cooldown_ns;
        }
    }

    fn alert(&self, told: &Told<'_, LoginAttempts>) -> Alert {
        tell::alert(told, &self.settings, self.threshold(told.key.port))
    }
}
