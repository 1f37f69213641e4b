//! The summary of a run as one JSON object (`--summary-json`): the loss ledger for machines.

use super::growing_lines::seconds;
use super::{AtomicFile, OutputError};
use crate::aggregate::{AlertDeliveries, MuteCount, MuteRule, OutputLoss, OutputRows, QueueReport, Summary};
use crate::engine::{BatchTimes, NoFlowReason, ProtocolClass};
use crate::flow::EndReason;
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file of the summary, opened before the run and written after everything else: then it knows what the other outputs hold.
pub struct SummaryFile {
    file: AtomicFile,
    path: PathBuf,
}

impl SummaryFile {
    /// Opens the temporary file next to `path`.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub fn create(path: &Path) -> Result<Self, OutputError> {
        Ok(Self { file: AtomicFile::create(path)?, path: path.to_owned() })
    }

    /// Writes the summary as an indented object.
    ///
    /// # Errors
    /// When the disk is full; the target stays what it was.
    pub fn write(mut self, summary: &Summary) -> Result<(), OutputError> {
        let written = serde_json::to_writer_pretty(&mut self.file, &document(summary)).map_err(io::Error::from);
        let committed = written.and_then(|()| self.file.write_all(b"\n")).and_then(|()| self.file.commit());
        committed.map_err(|source| OutputError::new("write", &self.path, source))
    }
}

/// The object. Its fields are described in `docs/formats.md`.
fn document(summary: &Summary) -> Value {
    let (ledger, source) = (&summary.ledger, &summary.source);
    let no_flow: Map<String, Value> =
        NoFlowReason::ALL.iter().map(|&rest| (rest.name().to_owned(), ledger.no_flow[rest as usize].into())).collect();
    let faults: Vec<Value> = ledger
        .fault_rows()
        .map(|(layer, kind, packets)| json!({"layer": layer.name(), "kind": kind.name(), "packets": packets}))
        .collect();
    let ended: Map<String, Value> =
        EndReason::ALL.iter().map(|&reason| (reason.name().to_owned(), summary.flows.ended[reason as usize].into())).collect();
    json!({
        "packets": ledger.packets,
        "bytes": ledger.bytes,
        "packets_in_flows": ledger.in_flows,
        "packets_in_no_flow": no_flow,
        "unaccounted": i64::try_from(summary.unaccounted()).unwrap_or(i64::MAX),
        "source": {
            "received": source.received,
            "filtered": source.filtered,
            "kernel_drops": source.kernel_drops,
            "ring_full_drops": source.ring_full_drops,
            "fill_empty_drops": source.fill_empty_drops,
            "ring_freezes": source.ring_freezes,
            "damaged": source.damaged,
            "interface_drops": source.interface_drops,
            "skipped": source.skipped,
            "beyond_count": ledger.beyond_count,
            "unread": ledger.unread,
        },
        "parse_errors": ledger.parse_errors(),
        "faults": faults,
        "ipv4_checksums_bad": ledger.ipv4_checksums_bad,
        "time_regressions": ledger.time_regressions,
        "times_contradicted": source.times_contradicted,
        "packets_not_copied": ledger.taps_skipped,
        "samples_skipped": ledger.samples_skipped,
        "packets_written": summary.packets_written,
        "packets_not_written": summary.packets_not_written,
        "ended_flows_not_written": ledger.records_skipped,
        "left_out_of_outputs": summary.outputs.iter().map(left_out).collect::<Vec<_>>(),
        "outputs": summary.rows.iter().map(rows).collect::<Vec<_>>(),
        "receivers": summary.receivers.iter().map(receiver).collect::<Vec<_>>(),
        "post_rotate": {"run": summary.commands.run, "failed": summary.commands.failed},
        "snapshots_skipped": ledger.snapshots_skipped,
        "flows": {
            "opened": summary.flows.opened,
            "alive_at_exit": summary.flow_count,
            "ended": ended,
            "left_out_of_exports": summary.export_left_out,
            "left_out_by_where": {"ended": summary.unselected.ended, "table": summary.unselected.table},
            "facts_left_out": summary.facts_left_out,
            "joined": summary.flows_joined,
            "vlan_or_tunnel_changed": summary.flows.domain_changed,
            "key_overflow": summary.flows.domain_overflow,
        },
        "inspection": inspection(summary),
        "fragments": {
            "first": summary.fragments.first,
            "later": summary.fragments.later,
            "overlapping": summary.fragments.overlapping,
            "tiny": summary.fragments.tiny,
            "datagrams_forgotten": summary.fragments.evicted,
        },
        "tcp": tcp(summary),
        "detection": detection(summary),
        "recorder": recorder(summary),
        "batch_ns": batch_ns(&summary.batches),
        "queues": summary.queues.iter().map(queue).collect::<Vec<_>>(),
    })
}

/// What inspection of payload found and left out, and what flows told of others.
fn inspection(summary: &Summary) -> Value {
    let counters = &summary.flows.inspection;
    json!({
        "recognised": counters.recognised,
        "unknown": counters.unknown,
        "streams_too_long": counters.streams_too_long,
        "flows_too_many": counters.flows_too_many,
        "bytes_too_many": counters.bytes_too_many,
        "facts_too_many": counters.facts_too_many,
        "named_by_dns": summary.naming.named,
        "dns_names_forgotten": summary.naming.forgotten,
        "dns_names_skipped": summary.ledger.names_skipped,
        "announced": summary.announced.flows,
        "announcements_forgotten": summary.announced.forgotten,
        "announcements_skipped": summary.ledger.announcements_skipped,
        "controls_too_many": counters.controls_too_many,
        "controls_too_long": counters.controls_too_long,
    })
}

/// What the TCP analysis could not keep or did not follow.
fn tcp(summary: &Summary) -> Value {
    json!({
        "anomalies_not_noted": summary.tcp_refused,
        "gaps_forgotten": summary.tcp_gaps_forgotten,
        "backward_handshakes": summary.tcp_backward_handshakes,
        "out_of_window": summary.tcp_out_of_window,
        "closes_forgotten": summary.flows.closes_forgotten,
    })
}

/// What came of detection; null where there was none.
fn detection(summary: &Summary) -> Value {
    let Some(detection) = summary.detection else { return Value::Null };
    json!({
        "alerts_begun": detection.begun,
        "alerts_ended": detection.ended,
        "alerts_muted": detection.muted,
        "mutes": summary.mutes.iter().map(mute).collect::<Vec<_>>(),
        "alerts_left_out": detection.left_out,
        "evidence_overflow": detection.overflow,
        "bins_delayed": detection.bins_delayed,
    })
}

/// What an output of flows has in its file.
fn rows(rows: &OutputRows) -> Value {
    json!({"output": rows.output, "rows_written": rows.written, "rows_not_written": rows.not_written})
}

/// What an output was too slow for.
fn left_out(loss: &OutputLoss) -> Value {
    json!({"output": loss.output, "ended_flows": loss.records, "reports": loss.reports, "alerts": loss.alerts})
}

/// A mute rule and what it muted. The rules that a reload took away are one without a reason.
fn mute(count: &MuteCount) -> Value {
    let MuteRule { kind, network, port, until, reason } = &count.rule;
    json!({
        "kind": kind,
        "network": network.map(|network| network.to_string()),
        "port": port,
        "until": until.map(|until| seconds(until.0)),
        "reason": reason,
        "alerts": count.alerts,
    })
}

/// What became of the alerts for a receiver.
fn receiver(counts: &AlertDeliveries) -> Value {
    json!({
        "output": counts.output,
        "alerts_delivered": counts.delivered,
        "alerts_refused": counts.refused,
        "alerts_expired": counts.expired,
        "alerts_queue_full": counts.queue_full,
        "alerts_unsent_at_exit": counts.unsent_at_exit,
        "failed_attempts": counts.failed_attempts,
    })
}

/// What came of the flight recorder; null where there was none.
fn recorder(summary: &Summary) -> Value {
    let Some(flight) = &summary.flight else { return Value::Null };
    json!({
        "recordings": flight.recordings,
        "packets": flight.packets,
        "bytes": flight.bytes,
        "incomplete": flight.incomplete,
        "lost": {"disk": flight.lost_disk, "busy": flight.lost_busy},
        "packets_not_kept": flight.packets_skipped,
        "files_deleted": flight.files_deleted,
    })
}

fn batch_ns(batches: &BatchTimes) -> Value {
    json!({"count": batches.count, "p50": batches.p50_ns, "p99": batches.p99_ns, "max": batches.max_ns})
}

fn queue(queue: &QueueReport) -> Value {
    let protocol = |class: ProtocolClass| {
        let count = queue.protocols[class as usize];
        (class.name().to_owned(), json!({"packets": count.packets, "bytes": count.bytes}))
    };
    let source = &queue.source;
    json!({
        "queue": queue.queue,
        "packets": queue.packets,
        "bytes": queue.bytes,
        "protocols": ProtocolClass::ALL.map(protocol).into_iter().collect::<Map<_, _>>(),
        "source": {
            "received": source.received,
            "kernel_drops": source.kernel_drops,
            "damaged": source.damaged,
            "skipped": source.skipped,
        },
        "flows_alive_at_exit": queue.flow_count,
        "ring": queue.ring.map(|ring| json!({"size": ring.size, "waiting": ring.waiting, "waiting_max": ring.waiting_max})),
        "batch_ns": batch_ns(&queue.batches),
        "times_silent": queue.silence_count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Ledger;

    #[test]
    fn copies_that_found_no_room_are_told_apart() {
        let ledger = Ledger { taps_skipped: 3, samples_skipped: 5, ..Ledger::default() };
        let object = document(&Summary { ledger, ..Summary::default() });
        assert_eq!((&object["packets_not_copied"], &object["samples_skipped"]), (&json!(3), &json!(5)));
    }
}
