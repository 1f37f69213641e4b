//! SYN floods in words and numbers.
//!
//! Owns the wording. Knows no rule but what makes a flood a distributed one.

use super::counts::FloodCounts;
use super::{FloodSubject, SynFloodSettings};
use crate::detect::victim_network::network_bits;
use crate::detect::{
    Alert, AlertPhase, AlertSeverity, AlertSubject, Cardinality, CrossedThreshold, KeyEvidence, LivePayload, LocalNetworks,
    top_listed,
};
use netscope_backends::Timestamp;

pub(super) const KIND: &str = "syn_flood";
/// So many times over the threshold a flood from few sources is severe, too.
const SEVERE: u64 = 10;

/// What is kept of a flood under way.
pub(super) struct FloodLife {
    /// Of its whole life.
    counts: FloodCounts,
    /// What was over the threshold in the window when the rule held last.
    open: u64,
    sources: Cardinality,
    is_at_least: bool,
}

impl LivePayload for FloodLife {
    fn magnitude(&self) -> u64 {
        self.counts.load()
    }
}

impl FloodLife {
    /// Of a window in which the rule holds for the first time, and what was settled of it so far.
    pub fn new(so_far: FloodCounts, window: &FloodCounts, overflows: bool) -> Self {
        let (open, sources) = (window.open(), window.sources.cardinality());
        Self { counts: so_far, open, sources, is_at_least: overflows }
    }

    /// A bin has this of it.
    pub fn add(&mut self, settled: Option<&FloodCounts>, overflows: bool) {
        if let Some(settled) = settled {
            self.counts.merge(settled);
        }
        self.is_at_least |= overflows;
    }

    /// The rule goes on to hold, with this in the window.
    pub fn hold(&mut self, window: &FloodCounts) {
        (self.open, self.sources) = (window.open(), window.sources.cardinality());
    }

    /// Time of the latest observation.
    pub fn last(&self) -> Timestamp {
        self.counts.span.last()
    }

    /// The alert.
    pub fn alert(
        &self,
        subject: FloodSubject,
        phase: AlertPhase,
        time: Timestamp,
        settings: &SynFloodSettings,
        local: &LocalNetworks,
    ) -> Alert {
        let counts = &self.counts;
        let sources = counts.sources.cardinality();
        let is_distributed = self.sources.count >= settings.unique_src_threshold;
        let (victim, is_carpet) = match subject {
            FloodSubject::Service(key) => (AlertSubject { host: key.host, prefix_len: None, port: Some(key.port) }, false),
            FloodSubject::Host(host) => (AlertSubject::host(host), false),
            FloodSubject::Network(key) => {
                (AlertSubject { host: key.host, prefix_len: Some(network_bits(key.host)), port: None }, true)
            }
        };
        let top_sources = top_listed(&counts.sources);
        let only = top_sources.first().filter(|_| sources.count == 1).map(|(host, _)| AlertSubject::host(*host));
        let variant = match (is_carpet, is_distributed, sources.count) {
            (true, ..) => "carpet",
            (_, true, _) => "distributed",
            (.., 1) => "single_source",
            _ => "few_sources",
        };
        let severe = is_distributed || is_carpet || self.open >= SEVERE.saturating_mul(settings.syn_threshold);
        let mut thresholds = vec![CrossedThreshold { name: "syn_threshold", limit: settings.syn_threshold, value: self.open }];
        if is_distributed {
            let (limit, value) = (settings.unique_src_threshold, self.sources.count);
            thresholds.push(CrossedThreshold { name: "unique_src_threshold", limit, value });
        }
        let mut distinct = vec![("sources", sources)];
        if !matches!(subject, FloodSubject::Service(_)) {
            distinct.extend([("victims", counts.hosts.cardinality()), ("services", counts.services.cardinality())]);
        }
        let ratio = counts.steps.completed as f64 / counts.load().max(1) as f64;
        Alert {
            time,
            kind: KIND,
            description: self.describe(&victim, variant, phase, only),
            phase,
            severity: if severe { AlertSeverity::High } else { AlertSeverity::Medium },
            key: format!("{KIND} {victim}"),
            variant,
            technique: Some("syn"),
            began: counts.span.first(),
            direction: top_sources.first().map(|(source, _)| local.direction(*source, victim.host)),
            attacker: only,
            victim: Some(victim),
            counts: vec![
                ("attempts", counts.steps.attempts),
                ("repeated_syns", counts.steps.repeats),
                ("answered", counts.steps.answered),
                ("refused", counts.steps.refused),
                ("completed", counts.steps.completed),
            ],
            distinct,
            completion_ratio: Some(ratio.min(1.0)),
            top_sources,
            ports: Vec::new(),
            details: Vec::new(),
            samples: counts.samples.all().to_vec(),
            thresholds,
            is_at_least: self.is_at_least,
            window_ns: settings.window_ns,
            cooldown_ns: settings.cooldown_ns,
            recording: None,
        }
    }

    fn describe(&self, victim: &AlertSubject, variant: &str, phase: AlertPhase, only: Option<AlertSubject>) -> String {
        let counts = &self.counts;
        let name = match variant {
            "carpet" => "Carpet SYN flood",
            "distributed" => "Distributed SYN flood",
            "single_source" => "Single-source SYN flood",
            _ => "SYN flood from few sources",
        };
        let state = phase.words();
        let (at_least, about) =
            (if self.is_at_least { "at least " } else { "" }, if counts.sources.cardinality().is_exact { "" } else { "about " });
        let from = only.map_or_else(|| format!("{about}{} sources", counts.sources.count()), |only| only.to_string());
        format!(
            "{name} on {victim}{state}: {at_least}{} connection attempts from {from} in {:.1} s, {} answered, {} refused, {} completed",
            counts.load(),
            counts.span.duration_ns() as f64 / 1e9,
            counts.steps.answered,
            counts.steps.refused,
            counts.steps.completed
        )
    }
}
