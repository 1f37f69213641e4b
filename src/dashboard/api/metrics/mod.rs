//! `/metrics`: what a run counts, for Prometheus. `docs/metrics.md` lists the metrics.
//!
//! Owns names and meanings. Knows no syntax. Invariant: no label holds an address of traffic; the number of samples is bounded by
//! queues, outputs, kinds and reasons.

mod exposition;
mod rtt_sum;
mod run;
#[cfg(test)]
mod tests;

pub use exposition::{Exposition, MetricKind};
pub use rtt_sum::RttSum;

use super::board::Board;
use super::error::ApiError;
use super::params::Params;
use super::responding::full;
use super::setup::ServerNumber;
use super::unix::now;
use super::{ledger_json, process};
use crate::dashboard::{ApiRequest, ApiResponse};
use std::sync::Arc;

/// Content types of both formats.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The answer.
///
/// # Errors
/// When a parameter is given.
pub async fn answer(board: &Arc<Board>, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    Params::new(&request.query, &[], &[])?;
    if board.settings.has_history
        && let Ok(history) = board.history.get(&board.hooks.questions).await
    {
        board.rtt_sum().update(&history, board.has_ended());
    }
    let is_open_metrics = request.accept.contains("application/openmetrics-text");
    let content_type = if is_open_metrics { OPEN_METRICS } else { PROMETHEUS };
    Ok(full(200, content_type, text(board, is_open_metrics)))
}

/// All metrics.
pub fn text(board: &Board, is_open_metrics: bool) -> String {
    let mut out = Exposition::new(is_open_metrics);
    out.family("build", MetricKind::Info, "Version of the program.");
    out.sample(&[("version", board.facts.version)], 1_u64);
    out.family("uptime_seconds", MetricKind::Gauge, "Time since the start of the run.");
    out.sample(&[], now().since(board.facts.started) as f64 / 1e9);
    let report = board.report().unwrap_or_default();
    run::totals(&mut out, &report);
    run::directions(&mut out, &board.facts, &report);
    run::ledger(&mut out, &report, board.has_ended());
    run::flows(&mut out, &report);
    run::queues(&mut out, &board.facts.source, &report);
    run::detection(&mut out, &report);
    alerts(&mut out, board);
    let rtt = board.rtt_sum().clone();
    out.family("flow_rtt_seconds", MetricKind::Histogram, "Averaged round trips of TCP flows that ended.");
    out.histogram(rtt.buckets(), rtt.sum_secs(), rtt.count());
    page(&mut out, board);
    server(&mut out, board);
    out.finish()
}

fn alerts(out: &mut Exposition, board: &Board) {
    let alerts = board.alerts();
    out.family("alerts", MetricKind::Counter, "Alerts that began and were told, by kind and severity.");
    for (kind, severity, count) in alerts.kinds() {
        out.sample(&[("kind", kind), ("severity", severity.name())], count);
    }
    out.family("alerts_open", MetricKind::Gauge, "Alerts that go on, by severity.");
    for (severity, count) in ["low", "medium", "high"].into_iter().zip(alerts.open()) {
        out.sample(&[("severity", severity)], count);
    }
}

fn page(out: &mut Exposition, board: &Board) {
    let (seen, kept) = board.packets.counts();
    out.family("sampled_packets", MetricKind::Counter, "Packets that the page sampled.");
    out.sample(&[], seen);
    let skipped = board.report().map_or(0, |report| report.totals.ledger.samples_skipped);
    out.family(
        "sampled_packets_skipped",
        MetricKind::Counter,
        "Packets chosen for the page's sample for which there was no room.",
    );
    out.sample(&[], skipped);
    out.family("sampled_packets_kept", MetricKind::Gauge, "Sampled packets in the page's buffer.");
    out.sample(&[], kept as u64);
    out.family("page_clients", MetricKind::Gauge, "Clients that look at the page now.");
    out.sample(&[], board.lookers() as u64);
    out.family("downloads_refused", MetricKind::Counter, "Downloads refused, as too many were under way (503).");
    out.sample(&[], board.downloads.refused());
    out.family("download_files_left", MetricKind::Counter, "Files made for one download that could not be deleted.");
    out.sample(&[], board.downloads.files_left());
    if let Some(bytes) = process::resident_bytes() {
        out.family("resident_memory_bytes", MetricKind::Gauge, "Resident memory of the process.");
        out.sample(&[], bytes);
    }
    if let Some(time) = process::processor_time() {
        out.family("cpu_seconds", MetricKind::Counter, "Processor time of the process, all threads.");
        out.sample(&[], time.as_secs_f64());
    }
}

fn server(out: &mut Exposition, board: &Board) {
    let numbers = board.hooks.server.as_ref().map(|server| server()).unwrap_or_default();
    let mut family = "";
    for ServerNumber { name, help, is_counter, label, value } in numbers {
        if name != family {
            out.family(name, if is_counter { MetricKind::Counter } else { MetricKind::Gauge }, help);
            family = name;
        }
        match label {
            Some(label) => out.sample(&[label], value),
            None => out.sample(&[], value),
        }
    }
}

/// Packets lost for a reason, and what else was left out.
fn losses(report: &crate::aggregate::Report) -> Vec<ledger_json::LossPlace> {
    ledger_json::losses(&report.totals, &[])
}
