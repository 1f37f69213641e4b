//! `/api/health`, `/api/v1/status`, `config`, `doctor`, `fields`, `complete`, and the message that a new client gets first.
//!
//! Owns their shapes. Knows no socket.

use super::alert_store::ALERTS_MAX;
use super::asking::FLOWS_MAX;
use super::board::Board;
use super::error::{ApiError, ErrorCode};
use super::filtering;
use super::params::Params;
use super::responding::{TEXT, full, json};
use super::setup::PageSource;
use super::unix::{now, seconds};
use super::{frames, ledger_json, mute_book, process, tick};
use crate::dashboard::{ApiRequest, ApiResponse, Role};
use serde_json::{Value, json};
use std::sync::Arc;

/// Longest text that is completed, in bytes.
const COMPLETE_LEN_MAX: usize = 4096;

fn source(source: &PageSource) -> Value {
    json!({
        "kind": if source.is_file { "file" } else { "live" }, "name": source.name, "interfaces": source.interfaces,
        "backend": source.backend, "link_speed_bps": source.link_speed_bps, "replay_speed": source.replay_speed,
    })
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Look => "look",
        Role::Download => "download",
    }
}

/// The `hello` message.
pub fn hello(board: &Board, role: Role) -> Value {
    let (facts, settings) = (&board.facts, &board.settings);
    json!({
        "type": "hello", "version": facts.version, "tick_ms": settings.tick_ns / 1_000_000, "boot_id": board.boot_id,
        "started": seconds(facts.started), "server_ts": seconds(now()), "source": source(&facts.source), "host": facts.host,
        "role": role_name(role),
        "sampling": {
            "sample_rate": settings.sample_rate, "payload_bytes": settings.payload_bytes, "packet_buffer": board.packets.buffer(),
        },
        "has": {
            "detection": facts.has_detection, "recorder": board.hooks.flight.is_some(), "history": settings.has_history,
            "packets": settings.sample_rate > 0, "direction_history": settings.has_history && facts.has_directions,
        },
    })
}

/// That the server answers.
///
/// # Errors
/// When a parameter is given.
pub fn health(request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    Params::new(&request.query, &[], &[])?;
    Ok(full(200, TEXT, "ok"))
}

/// How the run is.
///
/// # Errors
/// When a parameter is given.
pub fn status(board: &Board, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    Params::new(&request.query, &[], &[])?;
    let (facts, report) = (&board.facts, board.report());
    let has_ended = board.has_ended();
    let state = match (has_ended, facts.source.is_file) {
        (true, _) => "ended",
        (false, true) => "replay",
        (false, false) => "live",
    };
    let ledger =
        report.as_ref().map(|report| ledger_json::ledger_object(&report.totals, &report.outputs, has_ended, board.last_loss()));
    let samples_skipped = report.as_ref().map_or(0, |report| report.totals.ledger.samples_skipped);
    let queues = report.as_ref().map(|report| tick::queues(facts, report, None)).unwrap_or_default();
    let settings = &board.settings;
    Ok(json(&json!({
        "version": facts.version, "boot_id": board.boot_id, "host": facts.host, "started": seconds(facts.started),
        "uptime_secs": now().since(facts.started) as f64 / 1e9, "source": source(&facts.source), "state": state,
        "tick": board.tick(), "ledger": ledger, "samples_skipped": samples_skipped, "queues": queues,
        "memory_bytes": process::resident_bytes(),
        "limits": {
            "top_n": settings.top_n, "top_count": settings.top_count, "packet_buffer": board.packets.buffer(),
            "flows_per_answer": FLOWS_MAX, "alerts_kept": ALERTS_MAX, "alerts_per_frame": frames::ALERTS_MAX,
            "packets_per_frame": frames::PACKETS_MAX, "queues_per_frame": tick::QUEUES_MAX, "mutes": mute_book::MUTES_MAX,
        },
    })))
}

/// The configuration in force.
///
/// # Errors
/// When a parameter is given.
pub fn config(board: &Board, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    Params::new(&request.query, &[], &[])?;
    Ok(json(&json!({"toml": board.facts.config_text, "json": board.facts.config})))
}

/// What a doctor finds.
///
/// # Errors
/// When looking fails.
pub async fn doctor(board: &Arc<Board>, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    Params::new(&request.query, &[], &[])?;
    let Some(call) = board.hooks.doctor.clone() else {
        return Ok(json(&json!({"findings": [], "why": "there is no interface to look at in this run"})));
    };
    let found = board.heavy(move || call().map_err(|why| ApiError::new(ErrorCode::Unavailable, why))).await?;
    let found: Value = serde_json::from_str(&found)
        .map_err(|error| ApiError::new(ErrorCode::Unavailable, format!("what was found is no JSON: {error}")))?;
    Ok(json(&found))
}

/// The columns of flows.
///
/// # Errors
/// When a parameter is given.
pub fn fields(board: &Board, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    Params::new(&request.query, &[], &[])?;
    Ok(json(&json!({"fields": filtering::fields(board.settings.has_facts)})))
}

/// What may stand at a place of a filter.
///
/// # Errors
/// When a parameter is wrong.
pub fn complete(board: &Board, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    let params = Params::new(&request.query, &["filter", "at"], &[])?;
    let text = params.text("filter").unwrap_or_default();
    if text.len() > COMPLETE_LEN_MAX {
        return Err(ApiError::bad_request(format!("a filter has at most {COMPLETE_LEN_MAX} bytes")));
    }
    let len = text.chars().count();
    let at = params.number("at", len, 0..=len)?;
    Ok(json(&filtering::complete(board, text, at)))
}
