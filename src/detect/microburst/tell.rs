//! Microbursts in words and numbers.
//!
//! Owns the wording. Knows no rule.

use super::MicroburstSettings;
use super::evidence::BurstBin;
use super::report::BurstReport;
use crate::detect::{Alert, AlertPhase, AlertSeverity, CrossedThreshold, LivePayload, LocalNetworks};
use crate::flow::HostAddress;
use netscope_backends::Timestamp;
use std::cmp::Reverse;
use std::collections::BTreeMap;

const KIND: &str = "microburst";
/// Sources that an alert names.
const TOP_SOURCES: usize = 10;

/// What is kept of the bursts of a link under way.
pub(super) struct BurstLife {
    above: u64,
    intervals: u64,
    /// When the first bin above the threshold can have begun, and when the latest interval's peak ended.
    began: Timestamp,
    last: Timestamp,
    /// The interval with the largest peak.
    worst: BurstReport,
    bins_left_out: u64,
}

impl LivePayload for BurstLife {
    fn magnitude(&self) -> u64 {
        self.above
    }
}

fn start(bin: &BurstBin, bin_ns: u64) -> Timestamp {
    Timestamp(bin.bin.saturating_mul(bin_ns))
}

impl BurstLife {
    /// Of an interval with bursts after none.
    pub fn new(report: &BurstReport) -> Self {
        let began = start(&report.peak, report.bin_ns);
        Self {
            above: report.above.unwrap_or(0),
            intervals: 1,
            began,
            last: began.plus(report.bin_ns),
            worst: report.clone(),
            bins_left_out: report.bins_left_out,
        }
    }

    /// Another interval with bursts.
    pub fn add(&mut self, report: &BurstReport) {
        self.above += report.above.unwrap_or(0);
        self.intervals += 1;
        self.last = self.last.max(start(&report.peak, report.bin_ns).plus(report.bin_ns));
        self.bins_left_out += report.bins_left_out;
        if report.peak.load() > self.worst.peak.load() {
            self.worst = report.clone();
        }
    }

    /// End of the latest interval's peak.
    pub fn last(&self) -> Timestamp {
        self.last
    }

    /// The alert.
    pub fn alert(
        &self,
        phase: AlertPhase,
        time: Timestamp,
        settings: &MicroburstSettings,
        interval_ns: u64,
        local: &LocalNetworks,
    ) -> Alert {
        let worst = &self.worst;
        let percent = worst.peak_percent().unwrap_or(0);
        let top = worst.flows.first().filter(|top| 2 * top.bytes_of_both() >= worst.noted_bytes);
        let link = worst.link.name.as_deref().unwrap_or("link");
        // Of the largest flow where one is it; else who sends and who receives is not one.
        let ends = top.map(|flow| {
            let (a, b) = (HostAddress::from(flow.key.a_ip()), HostAddress::from(flow.key.b_ip()));
            if flow.bytes[0] >= flow.bytes[1] { (a, b) } else { (b, a) }
        });
        Alert {
            time,
            description: self.describe(link, phase, percent, ends),
            severity: AlertSeverity::Medium,
            key: format!("{KIND} {link}"),
            began: self.began,
            direction: ends.map_or(worst.direction, |(from, to)| Some(local.direction(from, to))),
            counts: vec![
                ("bins_above", self.above),
                ("intervals", self.intervals),
                ("peak_bytes", worst.peak.bytes),
                ("peak_packets", worst.peak.packets),
                ("peak_at_ns", start(&worst.peak, worst.bin_ns).0),
                ("bin_us", worst.bin_ns / 1000),
                ("link_mbps", worst.link.speed_bps.unwrap_or(0) / 1_000_000),
            ],
            top_sources: self.top_sources(),
            thresholds: vec![CrossedThreshold { name: "threshold_percent", limit: settings.threshold_percent, value: percent }],
            is_at_least: self.bins_left_out > 0,
            window_ns: interval_ns,
            cooldown_ns: settings.cooldown_ns,
            ..Alert::bare(KIND, if top.is_some() { "single_flow" } else { "many_flows" }, phase)
        }
    }

    /// Senders of the flows of the worst interval, with the packets that were noted.
    fn top_sources(&self) -> Vec<(HostAddress, u64)> {
        let mut sources: BTreeMap<HostAddress, u64> = BTreeMap::new();
        for flow in &self.worst.flows {
            for (host, packets) in [(flow.key.a_ip(), flow.packets[0]), (flow.key.b_ip(), flow.packets[1])] {
                *sources.entry(host.into()).or_default() += packets;
            }
        }
        let mut sources: Vec<_> = sources.into_iter().filter(|&(_, packets)| packets > 0).collect();
        sources.sort_by_key(|&(host, packets)| (Reverse(packets), host));
        sources.truncate(TOP_SOURCES);
        sources
    }

    fn describe(&self, link: &str, phase: AlertPhase, percent: u64, ends: Option<(HostAddress, HostAddress)>) -> String {
        let worst = &self.worst;
        let state = match phase {
            AlertPhase::Begin => "",
            AlertPhase::Update => " go on",
            AlertPhase::End(_) => " ended",
        };
        let who = match (ends, worst.flows.is_empty()) {
            (Some((from, to)), _) => format!(", most of it from {from} to {to}"),
            (None, false) => ", from many flows".to_owned(),
            (None, true) => String::new(),
        };
        let length_us = worst.bin_ns / 1000;
        let bits = worst.peak.bytes as f64 * 8_000.0 / worst.bin_ns as f64;
        let bins = if self.above == 1 { "bin" } else { "bins" };
        format!(
            "Microbursts on {link}{state}: {} {bins} of {length_us} us above {} % of {} Mbps, at most {bits:.2} Mbps ({percent} %){who}",
            self.above,
            worst.threshold_percent,
            worst.link.speed_bps.unwrap_or(0) / 1_000_000
        )
    }
}
