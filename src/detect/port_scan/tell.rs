//! Port scans in words and numbers.
//!
//! Owns the wording. Knows no rule.

use super::PortScanSettings;
use super::contacts::SourceContacts;
use super::findings::{ScanFindings, ScanShape};
use crate::detect::{
    Alert, AlertPhase, AlertSeverity, AlertSubject, Cardinality, CrossedThreshold, KeyEvidence, LivePayload, LocalNetworks,
};
use crate::flow::HostAddress;
use netscope_backends::Timestamp;

pub(super) const KIND: &str = "port_scan";
/// Ports that an alert names.
const PORTS_SHOWN: usize = 10;

/// As a person says it.
fn technique_name(technique: Option<&str>) -> &'static str {
    match technique {
        Some("icmp_echo") => "ICMP echo",
        Some("half_open") => "TCP half-open",
        Some("connect") => "TCP connect",
        Some("syn") => "TCP SYN",
        Some("fin") => "TCP FIN",
        Some("null") => "TCP NULL",
        Some("xmas") => "TCP Xmas",
        Some("ack") => "TCP ACK",
        Some("udp") => "UDP",
        Some("arp") => "ARP",
        _ => "TCP",
    }
}

/// What is kept of a scan under way.
pub(super) struct ScanLife {
    /// All contacts of its whole life.
    counts: SourceContacts,
    /// What was found in any of its windows.
    findings: ScanFindings,
    /// When the rule held first: its time where nothing else is known.
    found: Timestamp,
    is_at_least: bool,
}

impl LivePayload for ScanLife {
    fn magnitude(&self) -> u64 {
        self.counts.contacts().count
    }
}

impl ScanLife {
    /// Of a window in which a rule holds for the first time.
    pub fn new(window: SourceContacts, findings: ScanFindings, found: Timestamp, overflows: bool) -> Self {
        Self { counts: window, findings, found, is_at_least: overflows }
    }

    /// A bin has this of it.
    pub fn add(&mut self, settled: Option<&SourceContacts>, overflows: bool) {
        if let Some(settled) = settled {
            self.counts.merge(settled);
        }
        self.is_at_least |= overflows;
    }

    /// A rule goes on to hold.
    pub fn hold(&mut self, findings: ScanFindings) {
        self.findings.merge(findings);
    }

    /// Time of the latest observation.
    pub fn last(&self) -> Timestamp {
        let last = self.counts.span.last();
        if last == Timestamp(0) { self.found } else { last }
    }

    /// The alert.
    pub fn alert(
        &self,
        source: HostAddress,
        phase: AlertPhase,
        time: Timestamp,
        settings: &PortScanSettings,
        local: &LocalNetworks,
    ) -> Alert {
        let counts = &self.counts;
        let (variant, victim) = match self.findings.shape() {
            ScanShape::Vertical(host) => ("vertical", Some(host)),
            ScanShape::Horizontal => ("horizontal", None),
            ScanShape::Block => ("block", None),
        };
        let crossed = |name, limit, value: Option<u64>| value.map(|value| CrossedThreshold { name, limit, value });
        let thresholds = [
            crossed("unique_ports_threshold", settings.unique_ports_threshold, self.findings.ports_failed()),
            crossed("unique_hosts_threshold", settings.unique_hosts_threshold, self.findings.hosts_failed()),
        ];
        let example = victim.or_else(|| counts.hosts.listed().next().map(|(contact, _)| contact.host));
        let ((failed, succeeded), contacts) = (counts.all.failed_and_succeeded(), counts.contacts());
        let ratio = succeeded as f64 / contacts.count.max(1) as f64;
        let is_severe = local.contains(source) || variant == "block";
        Alert {
            time,
            kind: KIND,
            description: self.describe(source, phase),
            phase,
            severity: if is_severe { AlertSeverity::High } else { AlertSeverity::Medium },
            key: format!("{KIND} {source}"),
            variant,
            technique: counts.technique(),
            began: if counts.span.first() == Timestamp(0) { self.found } else { counts.span.first() },
            attacker: Some(AlertSubject::host(source)),
            victim: victim.map(AlertSubject::host),
            direction: example.map(|victim| local.direction(source, victim)),
            counts: vec![
                ("contacts", contacts.count),
                ("failed", failed),
                ("succeeded", succeeded),
                ("refused", counts.refused),
                ("completed", counts.completed),
            ],
            distinct: vec![("contacts", contacts), ("hosts", counts.hosts.cardinality()), ("ports", counts.ports.cardinality())],
            completion_ratio: Some(ratio.min(1.0)),
            top_sources: Vec::new(),
            ports: self.findings.ports().take(PORTS_SHOWN).collect(),
            details: Vec::new(),
            samples: counts.samples.all().to_vec(),
            thresholds: thresholds.into_iter().flatten().collect(),
            is_at_least: self.is_at_least,
            window_ns: settings.window_ns,
            cooldown_ns: settings.cooldown_ns,
            recording: None,
        }
    }

    fn describe(&self, source: HostAddress, phase: AlertPhase) -> String {
        let counts = &self.counts;
        let technique = technique_name(counts.technique());
        let state = phase.words();
        let at_least = if self.is_at_least { "at least " } else { "" };
        let about = |number: Cardinality| if number.is_exact { "" } else { "about " };
        let (hosts, ports) = (counts.hosts.count(), counts.ports.count());
        let what = match self.findings.shape() {
            ScanShape::Vertical(host) => format!("{}{ports} ports of {host}", about(counts.ports.cardinality())),
            ScanShape::Horizontal => {
                let named: Vec<String> =
                    self.findings.ports().filter(|&port| port > 0).take(PORTS_SHOWN).map(|port| port.to_string()).collect();
                let on = match &named[..] {
                    [] => String::new(),
                    [port] => format!(" on port {port}"),
                    several => format!(" on ports {}", several.join(", ")),
                };
                format!("{}{hosts} hosts{on}", about(counts.hosts.cardinality()))
            }
            ScanShape::Block => {
                format!("{}{hosts} hosts, {}{ports} ports", about(counts.hosts.cardinality()), about(counts.ports.cardinality()))
            }
        };
        let shape = match self.findings.shape() {
            ScanShape::Vertical(_) => "Vertical",
            ScanShape::Horizontal => "Horizontal",
            ScanShape::Block => "Block",
        };
        format!(
            "{shape} {technique} scan from {source}{state}: {at_least}{what}, {} of {}{} contacts without an answer, in {:.1} s",
            counts.all.failed_and_succeeded().0,
            about(counts.contacts()),
            counts.contacts().count,
            counts.span.duration_ns() as f64 / 1e9
        )
    }
}
