//! The statistics of each interval as a JSON object per line (`--stats-jsonl`), for programs that watch a capture.
//!
//! Owns the names of its fields; docs/stats.schema.json describes them. Knows no flow table. Invariant: a line is written whole and at
//! once, as soon as its interval is over.

use super::OutputError;
use super::growing_lines::{GrowingLines, seconds};
use crate::aggregate::{Output, Report, Summary, Table};
use crate::detect::{BurstBin, BurstFlow, BurstReport, QueueBursts};
use crate::engine::ProtocolClass;
use crate::flow::TopFlow;
use crate::record::{ports, protocol_name};
use serde_json::{Map, Value, json};
use std::io;
use std::path::Path;

/// A growing file of intervals.
pub struct StatsLines {
    lines: GrowingLines,
    top_flows: usize,
}

impl StatsLines {
    /// Opens `path`; a file that is there is emptied with the first line. `top_flows`: of each interval at most.
    ///
    /// # Errors
    /// When it cannot be opened for writing.
    pub fn create(path: &Path, top_flows: usize) -> Result<Self, OutputError> {
        Ok(Self { lines: GrowingLines::create(path)?, top_flows })
    }
}

impl Output for StatsLines {
    fn name(&self) -> &str {
        self.lines.name()
    }

    fn wants_reports(&self) -> bool {
        true
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        self.lines.write(&object(report, self.top_flows))
    }

    fn finish(&mut self, _table: &Table, _summary: &Summary) -> io::Result<()> {
        self.lines.finish()
    }
}

/// A count of an interval per second.
fn rate(count: u64, interval_ns: u64) -> f64 {
    if interval_ns == 0 { 0.0 } else { (count as f64 * 1e9 / interval_ns as f64 * 1000.0).round() / 1000.0 }
}

fn object(report: &Report, top_flows: usize) -> Value {
    let totals = &report.totals;
    let protocol = |class: ProtocolClass| {
        let count = totals.ledger.protocols[class as usize];
        (class.name().to_owned(), json!({"packets": count.packets, "bytes": count.bytes}))
    };
    let silent: Vec<u16> = totals.queues.iter().filter(|queue| queue.silent_since.is_some()).map(|queue| queue.queue).collect();
    json!({
        "ts": seconds(report.time.0),
        "interval_secs": seconds(report.interval_ns),
        "packets": report.packets,
        "bytes": report.bytes,
        "pps": rate(report.packets, report.interval_ns),
        "bps": rate(report.bytes.saturating_mul(8), report.interval_ns),
        "active_flows": report.active_flows,
        "dispatch_drops": report.dispatch_drops,
        "kernel_drops": report.kernel_drops,
        "kernel_if_drops": report.interface_drops,
        "packets_total": report.packets_total,
        "bytes_total": report.bytes_total,
        "dispatch_drops_total": report.dispatch_drops_total,
        "kernel_drops_total": report.kernel_drops_total,
        "kernel_if_drops_total": report.interface_drops_total,
        "flows_opened_total": totals.flows.opened,
        "flows_ended_total": totals.flows.ended.iter().sum::<u64>(),
        "parse_errors_total": totals.ledger.parse_errors(),
        "protocols_total": ProtocolClass::ALL.map(protocol).into_iter().collect::<Map<_, _>>(),
        "silent_queues": silent,
        "microbursts": report.microbursts.iter().map(bursts).collect::<Vec<_>>(),
        "top_flows": report.top.iter().take(top_flows).map(|flow| top_flow(flow, report.interval_ns)).collect::<Vec<_>>(),
    })
}

/// The bursts of a link.
fn bursts(report: &BurstReport) -> Value {
    let bps = |bytes: u64| rate(bytes.saturating_mul(8), report.bin_ns);
    let peak_at = |peak: &BurstBin| (peak.packets > 0).then(|| seconds(peak.bin.saturating_mul(report.bin_ns)));
    let queue = |queue: &QueueBursts| {
        json!({
            "queue": queue.queue,
            "peak_at": peak_at(&queue.peak),
            "peak_bps": bps(queue.peak.bytes),
            "p50_bps": bps(queue.p50_bytes),
            "p99_bps": bps(queue.p99_bytes),
        })
    };
    json!({
        "interface": report.link.name,
        "link_bps": report.link.speed_bps,
        "bin_secs": seconds(report.bin_ns),
        "bins": report.bins,
        "threshold_percent": report.threshold_percent,
        "bins_above": report.above,
        "peak_at": peak_at(&report.peak),
        "peak_bytes": report.peak.bytes,
        "peak_packets": report.peak.packets,
        "peak_bps": bps(report.peak.bytes),
        "peak_percent": report.peak_percent(),
        "p50_bps": bps(report.p50_bytes),
        "p99_bps": bps(report.p99_bytes),
        "direction": report.direction,
        "noted_packets": report.noted_packets,
        "noted_bytes": report.noted_bytes,
        "flows": report.flows.iter().map(burst_flow).collect::<Vec<_>>(),
        "queues": report.queues.iter().map(queue).collect::<Vec<_>>(),
        "late_packets": report.late_packets,
        "bins_left_out": report.bins_left_out,
    })
}

fn burst_flow(flow: &BurstFlow) -> Value {
    let (a_port, b_port) = ports(&flow.key);
    json!({
        "protocol": protocol_name(flow.key.protocol()).to_string(),
        "endpoint_a": {"ip": flow.key.a_ip().to_string(), "port": a_port},
        "endpoint_b": {"ip": flow.key.b_ip().to_string(), "port": b_port},
        "packets_a_to_b": flow.packets[0],
        "packets_b_to_a": flow.packets[1],
        "bytes_a_to_b": flow.bytes[0],
        "bytes_b_to_a": flow.bytes[1],
    })
}

fn top_flow(flow: &TopFlow, interval_ns: u64) -> Value {
    let (a_port, b_port) = ports(&flow.key);
    json!({
        "protocol": protocol_name(flow.key.protocol()).to_string(),
        "endpoint_a": {"ip": flow.key.a_ip().to_string(), "port": a_port},
        "endpoint_b": {"ip": flow.key.b_ip().to_string(), "port": b_port},
        "delta_bytes": flow.delta_bytes,
        "delta_bps": rate(flow.delta_bytes.saturating_mul(8), interval_ns),
        "packets_a_to_b": flow.packets[0],
        "packets_b_to_a": flow.packets[1],
        "bytes_a_to_b": flow.bytes[0],
        "bytes_b_to_a": flow.bytes[1],
        "duration_secs": seconds(flow.last_seen.since(flow.first_seen)),
        "tcp_state": flow.tcp.as_ref().map(|tcp| tcp.state.name()),
        "retransmissions": flow.tcp.as_ref().map(|tcp| tcp.retransmissions),
        "out_of_order": flow.tcp.as_ref().map(|tcp| tcp.out_of_order),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use netscope_backends::Timestamp;

    #[test]
    fn rates_are_of_the_interval() {
        let report = Report {
            time: Timestamp(1_700_000_000_500_000_000),
            interval_ns: 500_000_000,
            packets: 10,
            bytes: 1000,
            ..Report::default()
        };
        let value = object(&report, usize::MAX);
        assert_eq!((&value["pps"], &value["bps"], &value["ts"]), (&json!(20.0), &json!(16_000.0), &json!(1_700_000_000.5)));
        assert_eq!(object(&Report::default(), usize::MAX)["pps"], json!(0.0), "an interval of no length has no rate");
    }
}
