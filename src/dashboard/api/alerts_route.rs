//! `/api/v1/alerts`, their acknowledgment, and `/api/v1/mutes`.
//!
//! Owns parameters, bodies and answers. Knows no detector.

use super::alert_store::{ALERTS_MAX, AlertFilter, NOTE_LEN_MAX};
use super::board::Board;
use super::error::{ApiError, ErrorCode};
use super::mute_book::{MUTES_MAX, object};
use super::params::{Params, shortened};
use super::responding::{JSON, full, json};
use crate::aggregate::MuteRule;
use crate::dashboard::{ApiRequest, ApiResponse};
use crate::detect::{ALERT_KINDS, AlertSeverity, IpPrefix};
use netscope_backends::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Alerts of an answer.
const LIMIT_MAX: usize = 1000;
/// Characters of a mute rule's reason.
const REASON_LEN_MAX: usize = 500;
/// Longest life of a mute rule with an end, in seconds: ten years.
const SECONDS_MAX: u64 = 10 * 366 * 86_400;

/// A list of alerts.
///
/// # Errors
/// When a parameter is wrong.
pub fn list(board: &Board, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    let params = Params::new(&request.query, &["state", "kind", "severity", "from", "to", "limit", "offset"], &[])?;
    let is_open = params.text("state").map(|_| params.choice("state", &["open", "ended"])).transpose()?;
    let severity = params.text("severity").map(|_| params.choice("severity", &["low", "medium", "high"])).transpose()?;
    let kind = params.text("kind");
    if let Some(kind) = kind.filter(|kind| !ALERT_KINDS.contains(kind)) {
        return Err(no_kind(kind));
    }
    let filter = AlertFilter {
        is_open: is_open.map(|state| state == "open"),
        kind,
        severity: severity.and_then(severity_of),
        from: params.time("from")?,
        to: params.time("to")?,
    };
    let limit = params.number("limit", 100, 1..=LIMIT_MAX)?;
    let offset = params.number("offset", 0, 0..=ALERTS_MAX)?;
    let alerts = board.alerts();
    let (found, total) = alerts.find(&filter, offset, limit);
    let seed = board.settings.records.community_id_seed;
    let hours: Vec<Value> = alerts
        .hours()
        .map(|(hour, [low, medium, high])| json!({"hour": hour, "low": low, "medium": medium, "high": high}))
        .collect();
    Ok(json(&json!({
        "alerts": found.iter().map(|kept| kept.object(seed)).collect::<Vec<_>>(), "total": total, "kept_max": ALERTS_MAX,
        "left_out": alerts.left_out(), "per_hour": hours,
    })))
}

fn severity_of(name: &str) -> Option<AlertSeverity> {
    [AlertSeverity::Low, AlertSeverity::Medium, AlertSeverity::High].into_iter().find(|severity| severity.name() == name)
}

fn no_kind(kind: &str) -> ApiError {
    ApiError::bad_request(format!("there is no kind of alert {:?}", shortened(kind)))
        .with_hint(format!("kinds: {}", ALERT_KINDS.join(", ")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcknowledgeBody {
    #[serde(default)]
    note: String,
}

/// Somebody has seen an alert.
///
/// # Errors
/// When the body is wrong or the alert is not kept.
pub fn acknowledge(board: &Board, request: &ApiRequest, id: &str) -> Result<ApiResponse, ApiError> {
    Params::new(&request.query, &[], &[])?;
    let body: AcknowledgeBody = if request.body.is_empty() { AcknowledgeBody { note: String::new() } } else { read(request)? };
    if body.note.chars().count() > NOTE_LEN_MAX {
        return Err(ApiError::bad_request(format!("a note has at most {NOTE_LEN_MAX} characters")));
    }
    changed(board, id, Some((request.user.clone(), body.note)))
}

/// Nobody has, after all.
///
/// # Errors
/// When the alert is not kept.
pub fn unacknowledge(board: &Board, request: &ApiRequest, id: &str) -> Result<ApiResponse, ApiError> {
    Params::new(&request.query, &[], &[])?;
    changed(board, id, None)
}

fn changed(board: &Board, id: &str, by: Option<(Option<String>, String)>) -> Result<ApiResponse, ApiError> {
    let kept = board.alerts().acknowledge(id, by);
    let kept = kept.ok_or_else(|| ApiError::not_found("there is no such alert, or it is not kept any more"))?;
    Ok(json(&kept.object(board.settings.records.community_id_seed)))
}

/// The mute rules.
///
/// # Errors
/// When a parameter is given.
pub fn mutes(board: &Board, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    Params::new(&request.query, &[], &[])?;
    let report = board.report();
    let counts = report.as_ref().map(|report| &report.totals.mutes[..]).unwrap_or_default();
    let now = report.as_ref().map_or(Timestamp(0), |report| report.time);
    Ok(json(&json!({"mutes": board.mutes().objects(counts, now)})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MuteBody {
    kind: Option<String>,
    network: Option<String>,
    port: Option<u16>,
    #[serde(default)]
    reason: String,
    seconds: Option<u64>,
}

/// A new mute rule. Its end is compared with alerts' own times, so it is counted from the packets' clock.
///
/// # Errors
/// When the body is wrong, or there are too many.
pub fn add_mute(board: &Board, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    Params::new(&request.query, &[], &[])?;
    if !board.facts.has_detection {
        return Err(ApiError::new(ErrorCode::Unavailable, "nothing is detected in this run").with_hint("--anomalies"));
    }
    let MuteBody { kind, network, port, reason, seconds } = read(request)?;
    if kind.is_none() && network.is_none() && port.is_none() {
        return Err(ApiError::bad_request("a rule names a kind, a network or a port"));
    }
    if let Some(kind) = kind.as_deref().filter(|kind| !ALERT_KINDS.contains(kind)) {
        return Err(no_kind(kind));
    }
    let network = network
        .map(|text| text.parse::<IpPrefix>().map_err(|_| ApiError::bad_request(format!("{:?} is no network", shortened(&text)))));
    let network = network.transpose()?;
    if reason.chars().count() > REASON_LEN_MAX {
        return Err(ApiError::bad_request(format!("a reason has at most {REASON_LEN_MAX} characters")));
    }
    if seconds.is_some_and(|seconds| seconds == 0 || seconds > SECONDS_MAX) {
        return Err(ApiError::bad_request(format!("seconds are 1 to {SECONDS_MAX}, or null for ever")));
    }
    let now = board.report().map_or_else(super::unix::now, |report| report.time);
    let until = seconds.map(|seconds| now.plus(seconds * Timestamp::NS_PER_SEC));
    let rule = MuteRule { kind, network, port, until, reason };
    let mut book = board.mutes();
    let number = book.add(rule.clone(), now).ok_or_else(|| {
        ApiError::new(ErrorCode::TooLarge, format!("there are {MUTES_MAX} mute rules already")).with_hint("delete some")
    })?;
    // Under the lock, so that the judge gets rules in the order in which they changed.
    board.hooks.reloads.bring_mutes(book.own());
    drop(book);
    Ok(full(201, JSON, object(&format!("p{number}"), &rule, &[], false).to_string()))
}

/// A mute rule of the page goes.
///
/// # Errors
/// When there is none.
pub fn remove_mute(board: &Board, request: &ApiRequest, id: &str) -> Result<ApiResponse, ApiError> {
    Params::new(&request.query, &[], &[])?;
    if id.starts_with('c') {
        let error = ApiError::new(ErrorCode::Forbidden, "the rule is in the configuration");
        return Err(error.with_hint("take it out of the configuration file and send SIGHUP"));
    }
    let mut book = board.mutes();
    let is_gone = id.strip_prefix('p').and_then(|number| number.parse().ok()).is_some_and(|number| book.remove(number));
    if !is_gone {
        return Err(ApiError::not_found("there is no such mute rule"));
    }
    board.hooks.reloads.bring_mutes(book.own());
    Ok(json(&json!({"id": id})))
}

/// The body as JSON.
fn read<T: DeserializeOwned>(request: &ApiRequest) -> Result<T, ApiError> {
    serde_json::from_slice(&request.body).map_err(|error| ApiError::bad_request(format!("the body is wrong: {error}")))
}
