//! Metrics of the run: packets, losses, flows, queues, detection.
//!
//! Owns names and meanings. Knows no syntax.

use super::{Exposition, MetricKind};
use crate::aggregate::{OutputState, Report};
use crate::dashboard::api::setup::{PageFacts, PageSource};
use crate::engine::{NoFlowReason, ProtocolClass, TrafficDirection};
use crate::flow::EndReason;

use MetricKind::{Counter, Gauge};

/// What came, and what the interface has as names from the start.
pub fn totals(out: &mut Exposition, report: &Report) {
    let mut one = |name, kind, help, value: u64| {
        out.family(name, kind, help);
        out.sample(&[], value);
    };
    one("capture_bytes", Counter, "Bytes on the wire of packets processed.", report.bytes_total);
    one("capture_packets", Counter, "Packets processed.", report.packets_total);
    one("active_flows", Gauge, "Flows in the table.", report.active_flows);
    one("dispatch_drops", Counter, "Packets, copies and records that the program left out itself.", report.dispatch_drops_total);
    one("kernel_drops", Counter, "Packets the kernel dropped because they were not read fast enough.", report.kernel_drops_total);
    one("kernel_if_drops", Counter, "Packets the interface or its driver dropped.", report.interface_drops_total);
    let ledger = &report.totals.ledger;
    for (name, help) in [("protocol_packets", "Packets by protocol."), ("protocol_bytes", "Bytes on the wire by protocol.")] {
        out.family(name, Counter, help);
        for class in ProtocolClass::ALL {
            let count = ledger.protocols[class as usize];
            let value = if name == "protocol_packets" { count.packets } else { count.bytes };
            out.sample(&[("protocol", class.name())], value);
        }
    }
}

/// Which way packets went; nothing where no network is known as inside.
pub fn directions(out: &mut Exposition, facts: &PageFacts, report: &Report) {
    if !facts.has_directions {
        return;
    }
    let counts = &report.totals.ledger.directions;
    out.family("direction_packets", Counter, "Packets by direction.");
    TrafficDirection::ALL.into_iter().for_each(|way| out.sample(&[("direction", way.name())], counts[way as usize].packets));
    out.family("direction_bytes", Counter, "Bytes on the wire by direction.");
    TrafficDirection::ALL.into_iter().for_each(|way| out.sample(&[("direction", way.name())], counts[way as usize].bytes));
}

/// Where packets went.
pub fn ledger(out: &mut Exposition, report: &Report, has_ended: bool) {
    let (source, ledger) = (&report.totals.source, &report.totals.ledger);
    out.family("received_packets", Counter, "Packets the source received, those that match no filter left out.");
    out.sample(&[], source.received.saturating_sub(source.filtered));
    out.family("filtered_packets", Counter, "Packets that a filter left out.");
    out.sample(&[], source.filtered);
    let places = super::losses(report);
    out.family("drops", Counter, "Packets lost, by the layer that lost them and the reason.");
    for place in places.iter().filter(|place| place.unit == "packets") {
        out.sample(&[("layer", place.layer), ("reason", &place.name)], place.count);
    }
    out.family("left_out", Counter, "Copies of packets and records of flows left out, by layer and reason.");
    for place in places.iter().filter(|place| place.unit != "packets") {
        out.sample(&[("layer", place.layer), ("reason", &place.name)], place.count);
    }
    let rest = report.totals.unaccounted();
    out.family(
        "unaccounted_packets",
        Gauge,
        "Packets received that are neither processed nor lost for a reason; 0 unless packets wait.",
    );
    out.sample(&[("state", if has_ended { "ended" } else { "running" })], rest as f64);
    out.family("no_flow_packets", Counter, "Packets that belong to no flow, by reason.");
    for reason in NoFlowReason::ALL {
        out.sample(&[("reason", reason.name())], ledger.no_flow[reason as usize]);
    }
    out.family("faults", Counter, "Packets with a header that could not be read, by layer and kind.");
    for (layer, kind, count) in ledger.fault_rows() {
        out.sample(&[("layer", layer.name()), ("kind", kind.name())], count);
    }
    out.family("output_lost", Counter, "Messages that an output left out because it was slow.");
    for (at, state) in report.outputs.iter().enumerate() {
        let loss = &state.loss;
        out.sample(&[("output", &output_label(at, state))], loss.records + loss.reports + loss.alerts);
    }
    out.family("output_up", Gauge, "1 while an output takes what it is given.");
    for (at, state) in report.outputs.iter().enumerate() {
        out.sample(&[("output", &output_label(at, state))], u64::from(!state.has_ended));
    }
}

/// An output's number and the last part of its path. Names with a colon may be addresses; of those there is the number alone.
fn output_label(at: usize, state: &OutputState) -> String {
    let name = state.loss.output.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || state.loss.output.contains(':') || name.chars().all(|c| c.is_ascii_digit() || c == '.') {
        format!("{at}")
    } else {
        format!("{at} {name}")
    }
}

/// Flows.
pub fn flows(out: &mut Exposition, report: &Report) {
    let flows = &report.totals.flows;
    out.family("flows_opened", Counter, "Flow records opened.");
    out.sample(&[], flows.opened);
    out.family("flows_ended", Counter, "Flow records ended, by reason.");
    for reason in EndReason::ALL {
        out.sample(&[("reason", reason.name())], flows.ended[reason as usize]);
    }
    out.family("flows_inspected", Counter, "Flows whose payload was looked at, by what came of it.");
    out.sample(&[("result", "recognised")], flows.inspection.recognised);
    out.sample(&[("result", "unknown")], flows.inspection.unknown);
    out.sample(&[("result", "too_many_flows")], flows.inspection.flows_too_many);
    out.sample(&[("result", "too_many_bytes")], flows.inspection.bytes_too_many);
    let totals = &report.totals;
    out.family("tcp_out_of_window_segments", Counter, "TCP segments that their receiver drops.");
    out.sample(&[], totals.tcp_out_of_window);
    out.family("fragments", Counter, "IP fragments, by place in their datagram.");
    out.sample(&[("place", "first")], totals.fragments.first);
    out.sample(&[("place", "later")], totals.fragments.later);
}

/// Each queue.
pub fn queues(out: &mut Exposition, source: &PageSource, report: &Report) {
    let queues = &report.totals.queues;
    let names: Vec<(String, &str)> = queues
        .iter()
        .map(|queue| {
            let interface = source.queue_interfaces.get(usize::from(queue.queue)).copied().unwrap_or(0);
            (queue.queue.to_string(), source.interfaces.get(interface).map_or("", String::as_str))
        })
        .collect();
    let mut each = |name, kind, help, value: &dyn Fn(&crate::aggregate::QueueReport) -> Option<u64>| {
        out.family(name, kind, help);
        for (queue, (number, interface)) in queues.iter().zip(&names) {
            if let Some(value) = value(queue) {
                out.sample(&[("queue", number), ("interface", interface)], value);
            }
        }
    };
    each("queue_packets", Counter, "Packets that a queue's worker processed.", &|queue| Some(queue.packets));
    each("queue_bytes", Counter, "Bytes on the wire of these.", &|queue| Some(queue.bytes));
    each("queue_kernel_drops", Counter, "Packets the kernel dropped on a queue.", &|queue| Some(queue.source.kernel_drops));
    each("queue_ring_freezes", Counter, "Times the kernel found no free block in a queue's ring.", &|queue| {
        Some(queue.source.ring_freezes)
    });
    each("queue_flows", Gauge, "Flows in a queue's table.", &|queue| Some(queue.flow_count));
    each("queue_ring_used", Gauge, "Blocks or descriptors that wait in a queue's ring.", &|queue| {
        queue.ring.map(|ring| ring.waiting.into())
    });
    each("queue_ring_size", Gauge, "Blocks or descriptors that a queue's ring holds.", &|queue| {
        queue.ring.map(|ring| ring.size.into())
    });
    each("queue_silent", Gauge, "1 while a queue's worker has said nothing for two ticks.", &|queue| {
        Some(u64::from(queue.silent_since.is_some()))
    });
    each("queue_batches", Counter, "Batches that a queue's worker processed.", &|queue| Some(queue.batches.count));
    out.family(
        "queue_batch_seconds",
        Gauge,
        "How long a queue's batches took since the start: median, 99th percentile, longest.",
    );
    for (queue, (number, interface)) in queues.iter().zip(&names) {
        let batches = &queue.batches;
        for (statistic, ns) in [("p50", batches.p50_ns), ("p99", batches.p99_ns), ("max", batches.max_ns)] {
            out.sample(&[("queue", number), ("interface", interface), ("statistic", statistic)], ns as f64 / 1e9);
        }
    }
}

/// What detection counted.
pub fn detection(out: &mut Exposition, report: &Report) {
    let Some(counts) = &report.totals.detection else { return };
    let mut one = |name, help, value: u64| {
        out.family(name, Counter, help);
        out.sample(&[], value);
    };
    one("alerts_muted", "Alerts that nobody was told of, by a mute rule.", counts.muted);
    one("alerts_left_out", "Alerts that did not begin because too many were under way.", counts.left_out);
    one("detection_overflow", "Observations for which the tables of evidence had no room.", counts.overflow);
}
