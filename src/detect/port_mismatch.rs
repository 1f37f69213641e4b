//! A known protocol on a port that is another's, such as SSH on 443: somebody hides, or something is set up wrong.
//!
//! Owns the list of ports and of what is at home there. Knows protocols by the names that records have. Invariant: both sides have spoken, so a scanner that
//! says anything to any port accuses nobody.

use super::domain_name::digest;
use super::flow_finding::{FlowFinding, WINDOW_NS};
use super::{
    Alert, AlertSeverity, AlertSubject, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable, IpPrefix, KeyedRule,
    Observation, SeenFacts, Told,
};
use crate::app::protocols::{FactNews, protocol_of};

const KIND: &str = "port_mismatch";
const TCP: u8 = 6;
const UDP: u8 = 17;
/// What a flow is called that inspection gave up.
const UNKNOWN: &[u8] = b"unknown";
/// Protocols that look for any port that is open, by their design: they say nothing of who runs them.
const ANYWHERE: [&[u8]; 3] = [b"stun", b"rtp", b"rtcp"];

/// `[analysis.anomalies.port_mismatch]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortMismatchSettings {
    /// Ports that are left out.
    pub allowed_ports: Vec<u16>,
    /// Hosts that are left out at either end.
    pub allowed_networks: Vec<IpPrefix>,
    /// Time in ns without such a connection after which the alert is over.
    pub cooldown_ns: u64,
}

/// A port and what is at home there.
struct PortService {
    port: u16,
    protocol: u8,
    /// What the port is called (IANA).
    name: &'static str,
    /// Protocols by content that belong there.
    at_home: &'static [&'static str],
}

const fn tcp(port: u16, name: &'static str, at_home: &'static [&'static str]) -> PortService {
    PortService { port, protocol: TCP, name, at_home }
}

const fn udp(port: u16, name: &'static str, at_home: &'static [&'static str]) -> PortService {
    PortService { port, protocol: UDP, name, at_home }
}

/// The ports that are judged. A list that names too little accuses nobody; `docs/detectors.md` has it.
const SERVICES: &[PortService] = &[
    tcp(21, "ftp", &["ftp"]),
    tcp(22, "ssh", &["ssh"]),
    tcp(23, "telnet", &["telnet"]),
    tcp(25, "smtp", &["smtp"]),
    tcp(53, "domain", &["dns"]),
    tcp(80, "http", &["http", "http2"]),
    tcp(110, "pop3", &["pop3"]),
    tcp(143, "imap", &["imap"]),
    tcp(389, "ldap", &["ldap"]),
    tcp(443, "https", &["tls"]),
    tcp(445, "microsoft-ds", &["smb"]),
    tcp(465, "submissions", &["tls", "smtp"]),
    tcp(587, "submission", &["smtp", "tls"]),
    tcp(636, "ldaps", &["tls"]),
    tcp(853, "domain-s", &["tls"]),
    tcp(990, "ftps", &["tls", "ftp"]),
    tcp(993, "imaps", &["tls"]),
    tcp(995, "pop3s", &["tls"]),
    tcp(3306, "mysql", &["mysql"]),
    tcp(3389, "ms-wbt-server", &["rdp", "tls"]),
    tcp(5432, "postgresql", &["postgresql", "tls"]),
    tcp(5900, "rfb", &["vnc"]),
    tcp(6379, "redis", &["redis", "tls"]),
    udp(53, "domain", &["dns"]),
    udp(123, "ntp", &["ntp"]),
    udp(161, "snmp", &["snmp"]),
];

fn service(port: u16, protocol: u8) -> Option<&'static PortService> {
    SERVICES.iter().find(|service| service.port == port && service.protocol == protocol)
}

impl PortService {
    fn is_home_of(&self, name: &[u8]) -> bool {
        self.at_home.iter().any(|known| known.as_bytes() == name)
    }
}

/// The rule. Keys: server, its port, IP protocol, and the name of what was found there as a digest.
pub struct PortMismatch {
    settings: PortMismatchSettings,
    hash: EvidenceHash,
}

impl PortMismatch {
    /// A rule with these settings.
    pub fn new(settings: PortMismatchSettings, all: &DetectionSettings) -> Self {
        Self { settings, hash: all.hash.clone() }
    }

    fn note(&self, seen: &SeenFacts<'_>, table: &mut EvidenceTable<FlowFinding>) {
        let flow = &seen.flow;
        let protocol = flow.key.protocol();
        let ((client, client_port), (host, port)) = (flow.key.source(flow.initiator), flow.key.destination(flow.initiator));
        let Some(service) = service(port, protocol).filter(|_| seen.is_answered) else { return };
        let name = match protocol_of(seen.facts) {
            Some(name) if seen.news.has(FactNews::PROTOCOL) => name,
            // Much that is none of DNS, and to a name server.
            None if seen.news.has(FactNews::UNKNOWN) && service.is_home_of(b"dns") => UNKNOWN,
            _ => return,
        };
        // Who seems to be the client may be the server, where the beginning was not captured.
        let is_backwards = self::service(client_port, protocol).is_some_and(|other| other.is_home_of(name));
        let is_allowed = |network: &IpPrefix| network.contains(client) || network.contains(host);
        if service.is_home_of(name)
            || ANYWHERE.contains(&name)
            || is_backwards
            || self.settings.allowed_ports.contains(&port)
            || self.settings.allowed_networks.iter().any(is_allowed)
        {
            return;
        }
        let key = EvidenceKey { host, peer: digest(&self.hash, name), port, protocol };
        table.observe(key, |finding| finding.note(seen, name, &self.hash));
    }
}

/// Protocols by which somebody gets a command line, a desktop or a way through: worse on a port that is let through.
const WAYS_IN: [&[u8]; 6] = [b"ssh", b"rdp", b"vnc", b"telnet", b"openvpn", b"wireguard"];

impl KeyedRule for PortMismatch {
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
        if let Observation::Facts(seen) = seen {
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
        if let Some(new) = &settings.detectors.port_mismatch {
            self.settings.cooldown_ns = new.cooldown_ns;
        }
    }

    fn alert(&self, told: &Told<'_, FlowFinding>) -> Alert {
        let (key, life) = (told.key, told.life);
        let subject = AlertSubject { port: Some(key.port), ..AlertSubject::host(key.host) };
        let transport = if key.protocol == TCP { "tcp" } else { "udp" };
        let service = service(key.port, key.protocol).map_or("", |service| service.name);
        let is_unknown = *life.name == *UNKNOWN;
        // Names are ours: of the list of protocols.
        let name = String::from_utf8_lossy(&life.name).into_owned();
        let what = if is_unknown { "Datagrams that are no DNS".to_owned() } else { format!("Protocol {name}") };
        let is_way_in = WAYS_IN.contains(&&*life.name);
        let alert = Alert {
            description: format!(
                "{what} on {subject}, {transport} port of {service}{}: {}{} {} {}",
                told.phase.words(),
                if told.is_at_least { "at least " } else { "" },
                life.flows,
                if life.flows == 1 { "flow" } else { "flows" },
                life.by_whom(),
            ),
            severity: if is_way_in || is_unknown { AlertSeverity::Medium } else { AlertSeverity::Low },
            key: format!("{KIND} {subject} {transport} {name}"),
            details: vec![("protocol", name), ("service", service.to_owned())],
            ..Alert::bare(KIND, if is_unknown { "unknown_protocol" } else { "other_protocol" }, told.phase)
        };
        FlowFinding::fill(told, self.settings.cooldown_ns, alert)
    }
}

#[cfg(test)]
mod tests;
