//! Port scans: a host that contacts many ports or many hosts and finds few that answer.
//!
//! Owns what is gathered and the rules. First contacts count, and of those the ones that fail; ones that succeed excuse. What is no first contact of the
//! host (a reply, a connection that goes on) is not gathered at all. `docs/detectors.md` has the rules in words.

mod contacts;
mod findings;
mod observe;
mod tell;

use self::contacts::{KeyContacts, SourceContacts};
use self::findings::ScanFindings;
use self::tell::ScanLife;
use super::detector::{BinSpan, Detector, Evidence, JudgeContext};
use super::{
    AlertEnd, AlertLives, AlertPhase, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable, EvidenceWindow, Observation,
};
use crate::flow::HostAddress;
use netscope_backends::Timestamp;
use std::collections::BTreeMap;

/// The step of the threshold random walk: failures less successes from which on a source is a scanner. With 0.8 of a benign
/// host's contacts successful and 0.2 of a scanner's, each failure makes a scanner 4 times likelier and each success 4 times less; beyond 99 : 1 (a chance of
/// detection of 0.99 and of a false alert of 0.01), that is after 4 (Jung, Paxson, Berger, Balakrishnan, IEEE S&P 2004).
const WALK_NET: u64 = 4;
/// Hosts per port from which on several ports are a sweep. Peers of a peer-to-peer network have each their own port.
const HOSTS_PER_PORT: u64 = 5;

/// `[analysis.anomalies.port_scan]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortScanSettings {
    /// Length of the window in ns.
    pub window_ns: u64,
    /// Failed ports of one host, or of a block of hosts, from which on it is a scan.
    pub unique_ports_threshold: u64,
    /// Failed hosts on one port from which on it is a scan.
    pub unique_hosts_threshold: u64,
    /// Time in ns without a scan after which the alert is over.
    pub cooldown_ns: u64,
}

/// The detector.
pub struct PortScan {
    settings: PortScanSettings,
    table_bytes: usize,
    hash: EvidenceHash,
    sources: EvidenceWindow<SourceContacts>,
    pairs: EvidenceWindow<KeyContacts>,
    ports: EvidenceWindow<KeyContacts>,
    lives: AlertLives<HostAddress, ScanLife>,
}

/// Contacts by source, by source and destination, by source and port.
pub struct PortScanEvidence {
    sources: EvidenceTable<SourceContacts>,
    pairs: EvidenceTable<KeyContacts>,
    ports: EvidenceTable<KeyContacts>,
}

impl Evidence for PortScanEvidence {
    fn merge(&mut self, other: &Self) {
        self.sources.merge(&other.sources);
        self.pairs.merge(&other.pairs);
        self.ports.merge(&other.ports);
    }

    fn clear(&mut self) {
        self.sources.clear();
        self.pairs.clear();
        self.ports.clear();
    }

    fn overflow(&self) -> u64 {
        self.sources.overflow() + self.pairs.overflow() + self.ports.overflow()
    }
}

/// Both the counting rule and the walk: how many contacts failed, if that is so many, and far more than succeeded.
fn scanned(contacts: &KeyContacts, threshold: u64) -> Option<u64> {
    let (failed, succeeded) = contacts.failed_and_succeeded();
    (failed >= threshold && failed >= succeeded.saturating_add(WALK_NET)).then_some(failed)
}

fn source_key(host: HostAddress) -> EvidenceKey {
    EvidenceKey { host, ..EvidenceKey::NONE }
}

impl PortScan {
    /// A detector that has seen nothing.
    pub fn new(settings: PortScanSettings, all: &DetectionSettings, hash: &EvidenceHash) -> Self {
        let (window_ns, bin_ns, bytes) = (settings.window_ns, all.bin_ns(), all.table_bytes);
        Self {
            settings,
            table_bytes: bytes,
            hash: hash.clone(),
            sources: EvidenceWindow::new(window_ns, bin_ns, bytes, hash),
            pairs: EvidenceWindow::new(window_ns, bin_ns, bytes, hash),
            ports: EvidenceWindow::new(window_ns, bin_ns, bytes, hash),
            lives: AlertLives::new(all.life(settings.cooldown_ns, settings.window_ns)),
        }
    }

    /// What each source is found to do by now.
    fn findings(&self) -> BTreeMap<HostAddress, ScanFindings> {
        let (ports_min, hosts_min) = (self.settings.unique_ports_threshold, self.settings.unique_hosts_threshold);
        let mut found: BTreeMap<HostAddress, ScanFindings> = BTreeMap::new();
        for (key, failed) in self.pairs.holding(ports_min, |_, counts| scanned(&counts, ports_min)) {
            found.entry(key.host).or_default().add_vertical(key.peer, failed);
        }
        let horizontal = |key: &EvidenceKey, counts: KeyContacts| {
            scanned(&counts, hosts_min).filter(|&failed| self.is_focused(key.host, failed))
        };
        for (key, failed) in self.ports.holding(hosts_min, horizontal) {
            found.entry(key.host).or_default().add_horizontal(key.port, failed);
        }
        let block = |_: &EvidenceKey, counts: SourceContacts| {
            Some(counts).filter(SourceContacts::is_block).and_then(|counts| scanned(&counts.all, ports_min))
        };
        for (key, failed) in self.sources.holding(ports_min, block) {
            found.entry(key.host).or_default().add_block(failed);
        }
        found
    }

    /// True when most of what failed for a source did on this port, or on few ports.
    fn is_focused(&self, source: HostAddress, failed: u64) -> bool {
        self.sources.gather(&source_key(source), 1).is_none_or(|all| {
            let (all_failed, _) = all.all.failed_and_succeeded();
            failed * 2 >= all_failed || all_failed >= HOSTS_PER_PORT * all.ports.count()
        })
    }

    /// Judges the bins whose answers have had their time by `now`.
    fn judge_until(&mut self, now: Timestamp, context: &mut JudgeContext<'_>) {
        while let Some(bin) = self.sources.settle(now) {
            self.pairs.settle(now);
            self.ports.settle(now);
            self.judge_settled(bin, context);
        }
    }

    /// Judges the bin that came into the windows last.
    fn judge_settled(&mut self, bin: BinSpan, context: &mut JudgeContext<'_>) {
        let settings = self.settings;
        self.lives.end_quiet(bin, |source, life, at| {
            context.alerts.push(life.alert(source, AlertPhase::End(AlertEnd::Quiet), at, &settings, context.local));
        });
        let overflows = self.sources.overflows() || self.pairs.overflows() || self.ports.overflows();
        for (source, life) in self.lives.payloads() {
            life.add(self.sources.settled(&source_key(*source)), overflows);
        }
        for (source, findings) in self.findings() {
            if let Some(life) = self.lives.hold(&source, bin) {
                life.hold(findings);
                continue;
            }
            let counts = self.sources.settled_sum(&source_key(source)).unwrap_or_default();
            let life = ScanLife::new(counts, findings, bin.end, overflows);
            let alert = life.alert(source, AlertPhase::Begin, life.last(), &settings, context.local);
            if self.lives.begin(source, life, bin) {
                context.alerts.push(alert);
            } else {
                *context.left_out += 1;
            }
        }
        self.lives.tell_grown(|source, life| {
            context.alerts.push(life.alert(*source, AlertPhase::Update, life.last(), &settings, context.local));
        });
    }
}

impl Detector for PortScan {
    type Evidence = PortScanEvidence;

    fn name(&self) -> &'static str {
        tell::KIND
    }

    fn evidence(&self) -> PortScanEvidence {
        let (bytes, hash) = (self.table_bytes, &self.hash);
        PortScanEvidence {
            sources: EvidenceTable::new(bytes, hash),
            pairs: EvidenceTable::new(bytes, hash),
            ports: EvidenceTable::new(bytes, hash),
        }
    }

    fn observe(&self, seen: Observation<'_>, evidence: &mut PortScanEvidence) {
        match seen {
            Observation::Flows(flows) => flows.iter().for_each(|flow| self.observe_one(flow, evidence)),
            Observation::Refusal(refusal) => self.observe_one_refusal(refusal, evidence),
            Observation::Arp(arp) => self.observe_arp_message(&arp.message, arp.time, evidence),
            _ => {}
        }
    }

    fn judge(&mut self, evidence: &mut PortScanEvidence, context: &mut JudgeContext<'_>) {
        self.sources.push(context.bin, &mut evidence.sources);
        self.pairs.push(context.bin, &mut evidence.pairs);
        self.ports.push(context.bin, &mut evidence.ports);
        self.judge_until(context.bin.end, context);
    }

    fn reload(&mut self, settings: &DetectionSettings) {
        if let Some(new) = settings.detectors.port_scan {
            self.settings = PortScanSettings { window_ns: self.settings.window_ns, ..new };
            self.lives.set_life(settings.life(self.settings.cooldown_ns, self.settings.window_ns));
        }
    }

    fn finish(&mut self, context: &mut JudgeContext<'_>) {
        self.judge_until(Timestamp(u64::MAX), context);
        let settings = self.settings;
        self.lives.end_all(|source, life, end| {
            let at = context.bin.end;
            context.alerts.push(life.alert(source, AlertPhase::End(end), at, &settings, context.local));
        });
    }
}
