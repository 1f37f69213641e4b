//! The history of a run as one JSON document (`--history-json`): at the end, and when somebody asks for it.
//!
//! Owns the names of its fields; docs/history.schema.json describes them. Knows no clock. Invariant: the target holds what it held
//! before or a whole document.

use super::growing_lines::seconds;
use super::{AtomicFile, OutputError};
use crate::aggregate::{
    AlertTally, Distribution, DistributionKind, EndedSlot, HistorySnapshot, KeptDistribution, KeptSlot, Output, Tally, TopList,
    TrafficSlot,
};
use crate::engine::{ProtocolClass, TrafficCount, TrafficDirection};
use crate::record::{ports, protocol_name};
use netscope_backends::writing::output_name;
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A document that is written again and again.
pub struct HistoryFile {
    /// Where the next document goes; `None` where it is yet to be created.
    file: Option<AtomicFile>,
    path: PathBuf,
    name: String,
}

impl HistoryFile {
    /// Opens the temporary file next to `path`.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub fn create(path: &Path) -> Result<Self, OutputError> {
        let file = Some(AtomicFile::create(path)?);
        Ok(Self { file, path: path.to_owned(), name: output_name(path).display().to_string() })
    }
}

impl Output for HistoryFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants_history(&self) -> bool {
        true
    }

    fn history(&mut self, history: &HistorySnapshot, is_last: bool) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => AtomicFile::create(&self.path)?,
        };
        if !is_last {
            // First of all: the next document is to have a place whatever fails.
            self.file = match file.next() {
                Ok(next) => next,
                Err(error) => {
                    self.file = Some(file);
                    return Err(error);
                }
            };
        }
        write(&mut file, history)?;
        file.commit()
    }
}

/// Writes the document slot by slot: as a whole it may be large.
fn write(out: &mut impl Write, history: &HistorySnapshot) -> io::Result<()> {
    let parts = [
        ("seconds", &history.traffic.seconds, &history.ended.seconds, &history.alerts.seconds),
        ("minutes", &history.traffic.minutes, &history.ended.minutes, &history.alerts.minutes),
    ];
    let mut before = "{\n";
    for (name, traffic, ended, alerts) in parts {
        write!(out, "{before}\"{name}\": {{\n\"traffic\": ")?;
        list(out, traffic, traffic_slot)?;
        write!(out, ",\n\"ended_flows\": ")?;
        list(out, ended, ended_slot)?;
        write!(out, ",\n\"alerts\": ")?;
        list(out, alerts, |slot| json!({"begun": alert_tallies(slot)}))?;
        write!(out, "}}")?;
        before = ",\n";
    }
    out.write_all(b"\n}\n")
}

/// Slots, a line each.
fn list<K>(out: &mut impl Write, slots: &[KeptSlot<K>], object: impl Fn(&K) -> Value) -> io::Result<()> {
    out.write_all(b"[")?;
    for (index, (start, slot)) in slots.iter().enumerate() {
        out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        let mut value = object(slot);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("ts".to_owned(), json!(seconds(start.0)));
        }
        serde_json::to_writer(&mut *out, &value)?;
    }
    out.write_all(b"]")
}

fn traffic_slot(slot: &TrafficSlot) -> Value {
    let count = |count: TrafficCount| json!({"packets": count.packets, "bytes": count.bytes});
    let protocol = |class: ProtocolClass| (class.name().to_owned(), count(slot.protocols[class as usize]));
    let direction = |way: TrafficDirection| (way.name().to_owned(), count(slot.directions[way as usize]));
    let drops = &slot.drops;
    json!({
        "packets": slot.packets,
        "bytes": slot.bytes,
        "protocols": ProtocolClass::ALL.map(protocol).into_iter().collect::<Map<_, _>>(),
        "directions": TrafficDirection::ALL.map(direction).into_iter().collect::<Map<_, _>>(),
        "flows_opened": slot.flows_opened,
        "flows_ended": slot.flows_ended,
        "flows_active": slot.flows_active,
        "flows_active_max": slot.flows_active_max,
        "drops": {
            "kernel": drops.kernel,
            "interface": drops.interface,
            "damaged": drops.damaged,
            "skipped": drops.skipped,
            "taps_skipped": drops.taps_skipped,
            "records_skipped": drops.records_skipped,
        },
        "packet_bytes": distribution(DistributionKind::PacketSize, &slot.sizes),
        "batch_ns": distribution(DistributionKind::BatchTime, &slot.batches),
    })
}

fn ended_slot(slot: &EndedSlot) -> Value {
    json!({
        "total": tally(&slot.total),
        "ports": top_list(&slot.ports, |&(protocol, port)| {
            json!({"protocol": protocol_name(protocol).to_string(), "ip_protocol": protocol, "port": port})
        }),
        "hosts": top_list(&slot.hosts, |host| json!({"ip": host.to_string()})),
        "flows": top_list(&slot.flows, |key| {
            let (a_port, b_port) = ports(key);
            json!({
                "protocol": protocol_name(key.protocol()).to_string(),
                "endpoint_a": {"ip": key.a_ip().to_string(), "port": a_port},
                "endpoint_b": {"ip": key.b_ip().to_string(), "port": b_port},
            })
        }),
        "rtt_us": distribution(DistributionKind::Rtt, &slot.rtt),
        "duration_ms": distribution(DistributionKind::FlowDuration, &slot.durations),
    })
}

fn tally(tally: &Tally) -> Value {
    json!({
        "bytes": tally.bytes,
        "packets": tally.packets,
        "flows": tally.flows,
        "retransmissions": tally.retransmissions,
        "rtt_max_us": tally.rtt_max_ns / 1000,
    })
}

fn top_list<K>(top: &TopList<K>, name: impl Fn(&K) -> Value) -> Value {
    let one = |(key, value): &(K, Tally)| {
        let mut object = name(key);
        if let (Some(fields), Value::Object(numbers)) = (object.as_object_mut(), tally(value)) {
            fields.extend(numbers);
        }
        object
    };
    json!({"top": top.best.iter().map(one).collect::<Vec<_>>(), "others": tally(&top.others), "cut": top.cut})
}

/// Quantiles for who reads, buckets for who adds up.
fn distribution(kind: DistributionKind, kept: &KeptDistribution) -> Value {
    let mut all = Distribution::new(kind);
    all.merge(kept);
    let quantile = |share| (all.count() > 0).then(|| all.quantile(share));
    json!({
        "count": all.count(),
        "p50": quantile(0.5),
        "p90": quantile(0.9),
        "p99": quantile(0.99),
        "max": quantile(1.0),
        "buckets": kept.values().map(|(value, count)| [value, count]).collect::<Vec<_>>(),
    })
}

fn alert_tallies(slot: &[AlertTally]) -> Vec<Value> {
    slot.iter().map(|tally| json!({"kind": tally.kind, "severity": tally.severity.name(), "count": tally.count})).collect()
}
