//! The `tick` object: what a report says, as the page shows it.
//!
//! Owns its fields, as docs/http-api.md has them. Knows no client. Invariant: its size is bounded, whatever the rate: flows by the
//! settings, queues by [`QUEUES_MAX`], outputs by [`OUTPUTS_MAX`].

use super::flow_name::FlowName;
use super::ledger_json::ledger_object;
use super::process;
use super::setup::PageFacts;
use super::unix::{now, seconds};
use super::window::client;
use crate::aggregate::{OutputState, QueueReport, Report};
use crate::engine::{ProtocolClass, TrafficDirection};
use crate::flow::TopFlow;
use crate::record::{ports, protocol_name};
use serde_json::{Map, Value, json};

/// Queues in a frame.
pub const QUEUES_MAX: usize = 256;
/// Outputs in a frame.
const OUTPUTS_MAX: usize = 64;
/// Links in a frame whose bursts are told.
const LINKS_MAX: usize = 64;

/// What a tick is made of besides its report.
pub struct TickParts<'a> {
    /// The latest report.
    pub report: &'a Report,
    /// The one before.
    pub before: Option<&'a Report>,
    /// Number of the frame.
    pub frame_seq: u64,
    /// The source has ended.
    pub has_ended: bool,
    /// When a packet was lost last, in Unix seconds.
    pub last_loss: Option<f64>,
    /// The last minute's `talkers`, `services`, `rtt`, `retransmissions`.
    pub minute: [Value; 4],
    /// Open alerts by severity, and those that began in this day.
    pub alerts: ([u64; 3], u64),
    /// Of one core, since the frame before.
    pub cpu_share: Option<f64>,
}

/// The object.
pub fn tick_object(facts: &PageFacts, parts: TickParts<'_>, top_n: usize) -> Value {
    let TickParts { report, before, frame_seq, has_ended, last_loss, minute, alerts: (open, today), cpu_share } = parts;
    let secs = report.interval_ns as f64 / 1e9;
    let per_second = |count: u64| if secs > 0.0 { count as f64 / secs } else { 0.0 };
    let [talkers, services, rtt, retransmissions] = minute;
    let state = match (has_ended, facts.source.is_file) {
        (true, _) => "ended",
        (false, true) => "replay",
        (false, false) => "live",
    };
    let mut tick = json!({
        "ts": seconds(report.time), "frame_seq": frame_seq, "server_ts": seconds(now()),
        "interval_ms": report.interval_ns / 1_000_000, "bytes": report.bytes, "packets": report.packets,
        "mbps": per_second(report.bytes) * 8.0 / 1e6, "pps": per_second(report.packets), "active_flows": report.active_flows,
        "bytes_total": report.bytes_total, "packets_total": report.packets_total,
        "dispatch_drops": report.dispatch_drops, "dispatch_drops_total": report.dispatch_drops_total,
        "kernel_drops": report.kernel_drops, "kernel_drops_total": report.kernel_drops_total,
        "kernel_if_drops": report.interface_drops, "kernel_if_drops_total": report.interface_drops_total,
        "top_flows": report.top.iter().take(top_n).map(|flow| top_flow(flow, secs, report)).collect::<Vec<_>>(),
        "state": state, "direction": facts.has_directions.then(|| direction(report)), "protocols": protocols(report, before), "flows": flows(report, before),
        "ledger": ledger_object(&report.totals, &report.outputs, has_ended, last_loss),
        "queues": queues(facts, report, before), "microbursts": microbursts(report),
        "talkers": talkers, "services": services, "rtt": rtt, "retransmissions": retransmissions,
        "alerts_open": {"low": open[0], "medium": open[1], "high": open[2]}, "alerts_today": today,
        "memory_bytes": process::resident_bytes(), "cpu_share": cpu_share,
        "outputs": report.outputs.iter().take(OUTPUTS_MAX).map(output).collect::<Vec<_>>(),
    });
    let queues_left_out = report.totals.queues.len().saturating_sub(QUEUES_MAX);
    if queues_left_out > 0 {
        tick["queues_left_out"] = queues_left_out.into();
    }
    tick
}

/// One of `top_flows`.
fn top_flow(flow: &TopFlow, secs: f64, report: &Report) -> Value {
    let source = client(flow);
    let (src, dst) = (source.index(), source.reverse().index());
    let (ips, (a_port, b_port)) = ([flow.key.a_ip(), flow.key.b_ip()], ports(&flow.key));
    let ports = [a_port, b_port];
    let tcp = flow.tcp.as_ref();
    let mbps = if secs > 0.0 { flow.delta_bytes as f64 * 8.0 / 1e6 / secs } else { 0.0 };
    let end = report.time.max(flow.last_seen);
    json!({
        "id": FlowName::of_top(flow).to_string(), "protocol": protocol_name(flow.key.protocol()).to_ascii_uppercase(),
        "src_ip": ips[src].to_string(), "src_port": ports[src], "dst_ip": ips[dst].to_string(), "dst_port": ports[dst],
        "bytes_src_to_dst": flow.bytes[src], "bytes_dst_to_src": flow.bytes[dst],
        "bytes_total": flow.bytes[0].saturating_add(flow.bytes[1]),
        "packets_src_to_dst": flow.packets[src], "packets_dst_to_src": flow.packets[dst],
        "packets_total": flow.packets[0].saturating_add(flow.packets[1]),
        "delta_bytes": flow.delta_bytes, "delta_mbps": mbps, "duration_secs": end.since(flow.first_seen) as f64 / 1e9,
        "tcp_state": tcp.map(|tcp| tcp.state.name()), "rtt_ewma_ms": tcp.and_then(|tcp| tcp.rtt).map(|rtt| rtt.ewma_ns as f64 / 1e6),
        "retransmissions": tcp.map_or(0, |tcp| tcp.retransmissions), "out_of_order": tcp.map_or(0, |tcp| tcp.out_of_order),
    })
}

/// Bytes and packets of the tick each way.
fn direction(report: &Report) -> Value {
    let row = |way: TrafficDirection| {
        let count = report.directions[way as usize];
        (way.name().to_owned(), json!({"packets": count.packets, "bytes": count.bytes}))
    };
    Value::Object(TrafficDirection::ALL.into_iter().map(row).collect::<Map<_, _>>())
}

fn protocols(report: &Report, before: Option<&Report>) -> Value {
    let now = &report.totals.ledger.protocols;
    let rows = ProtocolClass::ALL.iter().map(|class| {
        let (count, old) = (now[*class as usize], before.map(|before| before.totals.ledger.protocols[*class as usize]));
        let old = old.unwrap_or_default();
        let grown = json!({"packets": count.packets.saturating_sub(old.packets), "bytes": count.bytes.saturating_sub(old.bytes)});
        (class.name().to_owned(), grown)
    });
    Value::Object(rows.collect::<Map<_, _>>())
}

fn flows(report: &Report, before: Option<&Report>) -> Value {
    let totals = |report: &Report| (report.totals.flows.opened, report.totals.flows.ended.iter().sum::<u64>());
    let ((opened, ended), (opened_before, ended_before)) = (totals(report), before.map(totals).unwrap_or_default());
    json!({
        "active": report.active_flows, "opened": opened.saturating_sub(opened_before), "ended": ended.saturating_sub(ended_before),
        "opened_total": opened, "ended_total": ended,
    })
}

/// The `queues` of a report.
pub fn queues(facts: &PageFacts, report: &Report, before: Option<&Report>) -> Vec<Value> {
    let us = |ns: u64| ns as f64 / 1e3;
    let object = |queue: &QueueReport| {
        let old = before.and_then(|before| before.totals.queues.iter().find(|old| old.queue == queue.queue));
        let grown = |of: fn(&QueueReport) -> u64| of(queue).saturating_sub(old.map_or(0, of));
        let interface = facts.source.queue_interfaces.get(usize::from(queue.queue)).copied().unwrap_or(0);
        // Without a report before there is no growth to tell a load from.
        let busy = old.map(|old| queue.busy_ns.saturating_sub(old.busy_ns));
        let load = busy.map(|busy| (busy as f64 / report.interval_ns.max(1) as f64).min(1.0));
        let ring = queue.ring.map(
            |ring| json!({"used": ring.waiting, "used_max": ring.waiting_max, "size": ring.size, "unit": facts.source.ring_unit}),
        );
        json!({
            "queue": queue.queue, "interface": facts.source.interfaces.get(interface), "packets": grown(|queue| queue.packets),
            "bytes": grown(|queue| queue.bytes), "packets_total": queue.packets, "load": load, "ring": ring,
            "flows": queue.flow_count, "kernel_drops_total": queue.source.kernel_drops,
            "batch": {
                "count": grown(|queue| queue.batches.count), "p50_us": us(queue.batches.p50_ns), "p99_us": us(queue.batches.p99_ns),
                "max_us": us(queue.batches.max_ns),
            },
            "silent_since": queue.silent_since.map(seconds),
        })
    };
    report.totals.queues.iter().take(QUEUES_MAX).map(object).collect()
}

fn microbursts(report: &Report) -> Vec<Value> {
    let object = |burst: &crate::detect::BurstReport| {
        // The peak bin as a rate, with what each frame takes on the link besides its bytes.
        let peak = burst.peak.load() as f64 * 8e9 / burst.bin_ns.max(1) as f64;
        let share = burst.link.speed_bps.filter(|speed| *speed > 0).map(|speed| peak / speed as f64);
        json!({
            "interface": burst.link.name, "peak_bps": peak, "share_of_link": share, "length_us": burst.bin_ns as f64 / 1e3,
            "bursts": burst.above, "direction": burst.direction,
        })
    };
    report.microbursts.iter().take(LINKS_MAX).map(object).collect()
}

/// One of `outputs`.
fn output(state: &OutputState) -> Value {
    let loss = &state.loss;
    let lost = loss.records + loss.reports + loss.alerts;
    let word = match (state.has_ended, lost) {
        (true, _) => "failed",
        (false, 0) => "keeps up",
        (false, _) => "lost some",
    };
    json!({"name": loss.output, "lost": lost, "state": word})
}
