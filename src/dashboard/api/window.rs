//! Who and what had most of the last minute: hosts, services, round trips, retransmissions.
//!
//! Owns sums by second. Knows no page. Invariants: at most [`KEYS_MAX`] hosts and services are kept of a second; what is made of them
//! says when it is not of all traffic.
//!
//! The sums are of the flows with the most bytes of each tick, which reports name. Where these do not have all bytes of the
//! minute, a host with many small flows has less here than it sent; the answer is marked as approximate then.

use super::rates::FlowRates;
use super::service_names::service_name;
use crate::aggregate::{Distribution, DistributionKind, HistorySnapshot, Report};
use crate::flow::{Direction, HostAddress, TopFlow};
use crate::record::{ports, protocol_name};
use netscope_backends::Timestamp;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

/// Seconds of the window.
const SECONDS: u64 = 60;
/// Hosts, services and round trips kept of a second.
const KEYS_MAX: usize = 4096;
/// Rows of talkers and services in a frame.
const ROWS: usize = 10;
const NS_PER_US: u64 = 1000;

/// Bytes that a host received and sent.
type HostBytes = [u64; 2];

#[derive(Debug, Default)]
struct WindowSecond {
    number: u64,
    /// Of all packets, and of the flows that reports named.
    bytes: u64,
    named_bytes: u64,
    ns: u64,
    packets: u64,
    hosts: HashMap<HostAddress, HostBytes>,
    services: HashMap<(u8, u16), u64>,
    /// The averaged round trips of TCP flows, in us, by flow.
    rtts: HashMap<(crate::flow::FlowKey, Timestamp), u64>,
    handshakes: HashMap<(crate::flow::FlowKey, Timestamp), u64>,
    retransmissions: u64,
    has_cut: bool,
}

/// The last minute.
#[derive(Debug, Default)]
pub struct LastMinute {
    seconds: VecDeque<WindowSecond>,
    /// Retransmissions of flows that reports named last.
    retransmissions: HashMap<(crate::flow::FlowKey, Timestamp), u32>,
}

impl LastMinute {
    /// A tick is over, with the bytes of its top flows by direction, in the order of the report.
    pub fn note(&mut self, report: &Report, grown: &[[u64; 2]]) {
        let number = report.time.0.saturating_sub(1) / Timestamp::NS_PER_SEC;
        if self.seconds.back().is_none_or(|last| last.number < number) {
            self.seconds.push_back(WindowSecond { number, ..WindowSecond::default() });
        }
        while self.seconds.front().is_some_and(|first| first.number + SECONDS <= number) {
            self.seconds.pop_front();
        }
        let mut retransmissions = HashMap::with_capacity(report.top.len());
        let Some(second) = self.seconds.back_mut() else { return };
        second.bytes += report.bytes;
        second.packets += report.packets;
        second.ns = second.ns.saturating_add(report.interval_ns);
        for (flow, bytes) in report.top.iter().zip(grown) {
            second.add(flow, *bytes);
            if let Some(tcp) = &flow.tcp {
                let name = (flow.key.tuple(), flow.first_seen);
                let before = self.retransmissions.get(&name).copied();
                // A flow that was not in the report before has an unknown part of them from before.
                let grown = before.map_or(0, |before| tcp.retransmissions.saturating_sub(before));
                second.retransmissions += u64::from(grown);
                retransmissions.insert(name, tcp.retransmissions);
            }
        }
        self.retransmissions = retransmissions;
    }

    fn covered_secs(&self) -> f64 {
        let ns: u64 = self.seconds.iter().map(|second| second.ns).fold(0, u64::saturating_add);
        (ns as f64 / 1e9).max(1e-3)
    }

    fn bytes(&self) -> u64 {
        self.seconds.iter().map(|second| second.bytes).fold(0, u64::saturating_add)
    }

    /// True when hosts and services are not of all bytes.
    fn is_approximate(&self) -> bool {
        self.seconds.iter().any(|second| second.has_cut || second.named_bytes < second.bytes)
    }

    /// The `talkers` of a frame.
    pub fn talkers(&self) -> Value {
        let mut hosts: HashMap<HostAddress, HostBytes> = HashMap::new();
        for (host, bytes) in self.seconds.iter().flat_map(|second| &second.hosts) {
            let sum = hosts.entry(*host).or_default();
            *sum = [sum[0].saturating_add(bytes[0]), sum[1].saturating_add(bytes[1])];
        }
        let (secs, all) = (self.covered_secs(), self.bytes());
        let is_approximate = self.is_approximate();
        let rows = best(hosts, |bytes| bytes[0].saturating_add(bytes[1])).into_iter().map(|(host, bytes)| {
            let sum = bytes[0].saturating_add(bytes[1]);
            json!({
                "ip": host.to_string(), "bps": bps(sum, secs), "bps_in": bps(bytes[0], secs), "bps_out": bps(bytes[1], secs),
                "share": share(sum, all), "approximate": is_approximate,
            })
        });
        rows.collect()
    }

    /// The `services` of a frame.
    pub fn services(&self) -> Value {
        let mut services: HashMap<(u8, u16), u64> = HashMap::new();
        for (service, bytes) in self.seconds.iter().flat_map(|second| &second.services) {
            let sum = services.entry(*service).or_default();
            *sum = sum.saturating_add(*bytes);
        }
        let (secs, all) = (self.covered_secs(), self.bytes());
        let is_approximate = self.is_approximate();
        let rows = best(services, |bytes| *bytes).into_iter().map(|((protocol, port), bytes)| {
            json!({
                "name": service_name(protocol, port), "protocol": protocol_name(protocol), "port": port, "bps": bps(bytes, secs),
                "share": share(bytes, all), "approximate": is_approximate,
            })
        });
        rows.collect()
    }

    /// The `rtt` of a frame: of flows that ended in the minute, and of live ones that reports named.
    pub fn rtt(&self, history: Option<&HistorySnapshot>, now: Timestamp) -> Value {
        let mut sum = Distribution::new(DistributionKind::Rtt);
        let mut handshakes = Distribution::new(DistributionKind::Rtt);
        let from = Timestamp(now.0.saturating_sub(SECONDS * Timestamp::NS_PER_SEC));
        for (_, slot) in ended(history, from) {
            sum.merge(&slot.rtt);
        }
        // A flow counts once, as it was named last.
        let flows: HashMap<_, _> = self.seconds.iter().flat_map(|second| &second.rtts).collect();
        flows.values().for_each(|us| sum.add(**us, 1));
        let begun: HashMap<_, _> = self.seconds.iter().flat_map(|second| &second.handshakes).collect();
        begun.values().for_each(|us| handshakes.add(**us, 1));
        let ms = |of: &Distribution, quantile| (of.count() > 0).then(|| of.quantile(quantile) as f64 / 1e3);
        json!({
            "p50_ms": ms(&sum, 0.5), "p90_ms": ms(&sum, 0.9), "p99_ms": ms(&sum, 0.99), "handshake_p50_ms": ms(&handshakes, 0.5),
            "samples": sum.count(), "approximate": history.is_none() || self.is_approximate(),
        })
    }

    /// The `retransmissions` of a frame: of flows that reports named, of all packets.
    pub fn retransmissions(&self) -> Value {
        let segments: u64 = self.seconds.iter().map(|second| second.retransmissions).sum();
        let packets: u64 = self.seconds.iter().map(|second| second.packets).sum();
        json!({"segments": segments, "share": share(segments, packets), "approximate": self.is_approximate()})
    }
}

impl WindowSecond {
    fn add(&mut self, flow: &TopFlow, bytes: [u64; 2]) {
        let sum = bytes[0].saturating_add(bytes[1]);
        self.named_bytes = self.named_bytes.saturating_add(sum);
        let (a, b) = flow.key.hosts();
        let (sent_by_a, sent_by_b) = (bytes[Direction::AToB.index()], bytes[Direction::BToA.index()]);
        for (host, received, sent) in [(a, sent_by_b, sent_by_a), (b, sent_by_a, sent_by_b)] {
            if self.hosts.len() >= KEYS_MAX && !self.hosts.contains_key(&host) {
                self.has_cut = true;
                continue;
            }
            let host = self.hosts.entry(host).or_default();
            *host = [host[0].saturating_add(received), host[1].saturating_add(sent)];
        }
        let service = (flow.key.protocol(), server_port(flow));
        if self.services.len() < KEYS_MAX || self.services.contains_key(&service) {
            *self.services.entry(service).or_default() += sum;
        } else {
            self.has_cut = true;
        }
        let Some(tcp) = &flow.tcp else { return };
        let name = (flow.key.tuple(), flow.first_seen);
        if let Some(ns) = tcp.typical_rtt_ns().filter(|_| self.rtts.len() < KEYS_MAX) {
            self.rtts.insert(name, ns / NS_PER_US);
        }
        let has_begun = flow.first_seen.0 / Timestamp::NS_PER_SEC + SECONDS > self.number;
        if let Some(ns) = tcp.handshake_rtt_ns.filter(|_| has_begun && self.handshakes.len() < KEYS_MAX) {
            self.handshakes.insert(name, ns / NS_PER_US);
        }
    }
}

/// Slots of ended flows of a history, from a time on.
fn ended(
    history: Option<&HistorySnapshot>,
    from: Timestamp,
) -> impl Iterator<Item = &crate::aggregate::KeptSlot<crate::aggregate::EndedSlot>> {
    let slots = history.map(|history| &history.ended.seconds[..]).unwrap_or_default();
    let first = slots.partition_point(|(time, _)| *time < from);
    slots.get(first..).unwrap_or_default().iter()
}

/// Who counts as the client of a top flow: who sent the first SYN and, where that was not seen, the side with the larger port.
pub fn client(flow: &TopFlow) -> Direction {
    let by_port = || if flow.key.a_port() < flow.key.b_port() { Direction::BToA } else { Direction::AToB };
    flow.tcp.as_ref().and_then(|tcp| tcp.client).unwrap_or_else(by_port)
}

fn server_port(flow: &TopFlow) -> u16 {
    let (a, b) = ports(&flow.key);
    match client(flow) {
        Direction::AToB => b,
        Direction::BToA => a,
    }
}

fn best<K: Copy + Ord, V: Copy>(all: HashMap<K, V>, rank: impl Fn(&V) -> u64) -> Vec<(K, V)> {
    let mut rows: Vec<(K, V)> = all.into_iter().collect();
    rows.sort_unstable_by_key(|(key, value)| (Reverse(rank(value)), *key));
    rows.truncate(ROWS);
    rows
}

fn bps(bytes: u64, secs: f64) -> f64 {
    (bytes as f64 * 8.0 / secs).round()
}

/// A share to four digits; `None` of nothing.
pub fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| (part as f64 / all as f64 * 1e4).round() / 1e4)
}

/// Notes a report in both; they go together.
pub fn note_report(rates: &mut FlowRates, minute: &mut LastMinute, report: &Report, top_count: usize) {
    let grown = rates.note(report, top_count);
    minute.note(report, &grown);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::test_records::{key, tcp_record};

    const SECOND: u64 = Timestamp::NS_PER_SEC;

    fn report(second: u64, bytes: u64, delta: u64, retransmissions: u32) -> Report {
        let record = tcp_record();
        let tcp = record.tcp.map(|tcp| crate::flow::TcpRecord { retransmissions, ..tcp });
        let flow = TopFlow {
            key: key(6, "10.0.0.9", 40000, "10.0.0.2", 443),
            packets: [1; 2],
            bytes: [delta, 0],
            delta_bytes: delta,
            first_seen: Timestamp(SECOND),
            last_seen: Timestamp(second * SECOND),
            tcp,
        };
        Report { time: Timestamp(second * SECOND), interval_ns: SECOND, bytes, packets: 10, top: vec![flow], ..Report::default() }
    }

    #[test]
    fn a_minute_has_sixty_seconds_and_says_what_it_lacks() {
        let (mut rates, mut minute) = (FlowRates::default(), LastMinute::default());
        for second in 1..=100 {
            note_report(&mut rates, &mut minute, &report(second, 1000, 1000, second as u32), 10);
        }
        assert_eq!(minute.seconds.len(), 60);
        let talkers = minute.talkers();
        assert_eq!((talkers.as_array().map(Vec::len), &talkers[0]["approximate"]), (Some(2), &json!(false)));
        assert_eq!((&talkers[0]["bps"], &talkers[0]["share"]), (&json!(8000.0), &json!(1.0)));
        let services = minute.services();
        assert_eq!((&services[0]["name"], &services[0]["port"]), (&json!("https"), &json!(443)));
        assert_eq!(minute.retransmissions()["segments"], 60);
        assert_eq!(minute.rtt(None, Timestamp(100 * SECOND))["samples"], 1, "one flow");
        note_report(&mut rates, &mut minute, &report(101, 2000, 1000, 101), 10);
        assert_eq!(minute.talkers()[0]["approximate"], true);
    }
}
