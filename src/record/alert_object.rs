//! An alert as a JSON object: in files, at receivers, on the page.
//!
//! Owns the names of its fields; docs/alert.schema.json describes them. Knows no detector and no file. Invariant: an alert has the same
//! fields wherever it is shown.

use super::protocol_name;
use crate::detect::{Alert, AlertPhase, AlertSubject, Cardinality};
use crate::flow::community_id;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Seconds to the microsecond, from nanoseconds.
fn seconds(ns: u64) -> f64 {
    (ns / 1000) as f64 / 1e6
}

/// An alert as it is written: first what other programs know, then ours.
#[derive(Serialize)]
pub struct AlertObject<'a> {
    ts: f64,
    kind: &'static str,
    description: &'a str,
    phase: &'static str,
    ended_by: Option<&'static str>,
    severity: &'static str,
    key: &'a str,
    variant: &'static str,
    technique: Option<&'static str>,
    began: f64,
    attacker: Option<Value>,
    victim: Option<Value>,
    direction: Option<&'static str>,
    counts: Map<String, Value>,
    distinct: Map<String, Value>,
    completion_ratio: Option<f64>,
    at_least: bool,
    top_sources: Vec<Value>,
    ports: &'a [u16],
    details: Map<String, Value>,
    packets: Vec<u64>,
    flows: Vec<Value>,
    thresholds: Vec<Value>,
    window_secs: f64,
    cooldown_secs: f64,
    recording: Option<&'a str>,
}

fn subject(subject: &AlertSubject) -> Value {
    let network = subject.prefix_len.map(|_| subject.to_string());
    let ip = network.is_none().then(|| subject.host.to_string());
    json!({"ip": ip, "port": subject.port, "network": network})
}

fn cardinality(number: Cardinality) -> Value {
    json!({"count": number.count, "exact": number.is_exact, "error": number.error()})
}

impl<'a> AlertObject<'a> {
    /// Of this alert; flows are named with this seed.
    pub fn new(alert: &'a Alert, community_id_seed: u16) -> Self {
        let flow = |key, initiator| {
            let id = community_id(key, initiator, community_id_seed);
            json!({"community_id": id.as_str(), "protocol": protocol_name(key.protocol()).to_string()})
        };
        Self {
            ts: seconds(alert.time.0),
            kind: alert.kind,
            description: &alert.description,
            phase: alert.phase.name(),
            ended_by: match alert.phase {
                AlertPhase::End(why) => Some(why.name()),
                AlertPhase::Begin | AlertPhase::Update => None,
            },
            severity: alert.severity.name(),
            key: &alert.key,
            variant: alert.variant,
            technique: alert.technique,
            began: seconds(alert.began.0),
            attacker: alert.attacker.as_ref().map(subject),
            victim: alert.victim.as_ref().map(subject),
            direction: alert.direction,
            counts: alert.counts.iter().map(|&(name, count)| (name.to_owned(), count.into())).collect(),
            distinct: alert.distinct.iter().map(|&(name, number)| (name.to_owned(), cardinality(number))).collect(),
            completion_ratio: alert.completion_ratio.map(|ratio| (ratio * 1e4).round() / 1e4),
            at_least: alert.is_at_least,
            top_sources: alert
                .top_sources
                .iter()
                .map(|(host, packets)| json!({"ip": host.to_string(), "packets": packets}))
                .collect(),
            ports: &alert.ports,
            details: alert.details.iter().map(|(name, text)| ((*name).to_owned(), text.as_str().into())).collect(),
            packets: alert.samples.iter().map(|sample| sample.number).collect(),
            flows: alert.samples.iter().map(|sample| flow(&sample.key, sample.initiator)).collect(),
            thresholds: alert
                .thresholds
                .iter()
                .map(|crossed| json!({"name": crossed.name, "limit": crossed.limit, "value": crossed.value}))
                .collect(),
            window_secs: seconds(alert.window_ns),
            cooldown_secs: seconds(alert.cooldown_ns),
            recording: alert.recording.as_deref(),
        }
    }
}
