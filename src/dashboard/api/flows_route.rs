//! `/api/v1/flows` and `/api/v1/flows/{id}`.
//!
//! Owns their parameters and answers. Knows no table.

use super::asking::{FLOWS_MAX, FlowAsk, FlowScope, KeptAnswer};
use super::board::Board;
use super::error::{ApiError, ErrorCode};
use super::filtering::PageFilter;
use super::flow_name::FlowName;
use super::flow_rows::{FlowColumns, RowStyle, course_value, flow_value, push_flow, write_csv, write_json};
use super::params::Params;
use super::responding::{JSON, download, full, json};
use super::setup::RecordStyle;
use super::unix::seconds;
use crate::dashboard::{ApiRequest, ApiResponse};
use crate::engine::{Predicate, SortKey};
use crate::record::TextBuffer;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Rows of a page at most.
const PAGE_MAX: usize = 1000;
/// Alerts named with a flow.
const ALERTS_MAX: usize = 100;
const PARAMS: &[&str] = &["filter", "sort", "order", "offset", "limit", "scope", "columns", "format", "snapshot"];

/// A list of flows.
///
/// # Errors
/// When a parameter is wrong, or why there is no answer.
pub async fn list(board: &Arc<Board>, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    let params = Params::new(&request.query, PARAMS, &[])?;
    let format = params.choice("format", &["rows", "csv", "json"])?;
    let limit_max = if format == "rows" { PAGE_MAX } else { FLOWS_MAX };
    let limit = params.number("limit", if format == "rows" { 100 } else { FLOWS_MAX }, 1..=limit_max)?;
    let offset = params.number("offset", 0, 0..=FLOWS_MAX.saturating_sub(limit))?;
    let is_descending = params.choice("order", &["desc", "asc"])? == "desc";
    let scope = FlowScope::of_name(params.choice("scope", &["all", "live", "ended"])?);
    let filter = PageFilter::parse(params.text("filter"))?;
    let sort = params.text("sort").unwrap_or("rate").to_owned();
    let columns = FlowColumns::parse(params.text("columns"))?;
    let answer = match params.text("snapshot") {
        Some(number) => kept(board, number, offset + limit)?,
        None => {
            let ask = FlowAsk { filter, sort: sort.clone(), is_descending, scope, count: offset + limit };
            board.flows(ask).await?
        }
    };
    let records = board.settings.records;
    if format != "rows" {
        let place = board.downloads.flows()?;
        return Ok(file(&answer, format, offset..offset + limit, columns, records, place));
    }
    let has_facts = columns.has_facts();
    let (shown, order) = (Arc::clone(&answer), if is_descending { "desc" } else { "asc" });
    let body = board.heavy(move || Ok(rows(&shown, offset..offset + limit, &columns, records))).await?;
    let found = &answer.found;
    let bps: f64 = found
        .flows
        .iter()
        .filter(|flow| flow.is_alive)
        .filter_map(|flow| answer.rates.of(&flow.record))
        .map(|rates| rates[0] + rates[1])
        .sum();
    let why = answer.why(has_facts);
    let head = json!({
        "time": seconds(found.time), "whole": why.is_none(), "why": why, "took_ms": answer.took.as_secs_f64() * 1e3,
        "scope": scope.name(), "snapshot": answer.number.to_string(),
        "matched": {
            "flows": found.matched.flows, "packets": found.matched.packets, "bytes": found.matched.bytes, "bps": bps.round(),
        },
        "looked_at": found.looked_at, "offset": offset, "limit": limit, "sort": sort, "order": order,
    });
    let mut text = head.to_string().into_bytes();
    text.pop();
    text.extend_from_slice(b",\"flows\":[");
    text.extend_from_slice(&body);
    text.extend_from_slice(b"]}");
    Ok(full(200, JSON, text))
}

/// The answer of a snapshot, which has to have the rows up to `end`.
fn kept(board: &Board, number: &str, end: usize) -> Result<Arc<KeptAnswer>, ApiError> {
    let number = number.parse().map_err(|_| ApiError::bad_request("parameter snapshot is the one of an answer"))?;
    let gone = |why: String| ApiError::new(ErrorCode::Gone, why).with_hint("ask again without snapshot");
    let answer = board.answers.kept(number).ok_or_else(|| gone("the snapshot is not kept any more".to_owned()))?;
    let (rows, matched) = (answer.found.flows.len(), answer.found.matched.flows);
    if end > rows && matched > rows as u64 {
        return Err(gone(format!("the snapshot keeps the first {rows} of {matched} flows, and rows up to {end} are asked for")));
    }
    Ok(answer)
}

/// Rows with commas between them.
fn rows(answer: &KeptAnswer, range: std::ops::Range<usize>, columns: &FlowColumns, records: RecordStyle) -> Vec<u8> {
    let (mut out, mut text) = (Vec::new(), TextBuffer::default());
    for (at, flow) in answer.found.flows.iter().skip(range.start).take(range.len()).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push_flow(&mut out, &mut text, flow, &answer.rates, RowStyle { columns, records });
    }
    out
}

/// Rows as a file.
fn file(
    answer: &Arc<KeptAnswer>,
    format: &'static str,
    range: std::ops::Range<usize>,
    columns: FlowColumns,
    records: RecordStyle,
    place: OwnedSemaphorePermit,
) -> ApiResponse {
    let answer = Arc::clone(answer);
    let (content_type, name) = if format == "csv" { ("text/csv; charset=utf-8", "flows.csv") } else { (JSON, "flows.json") };
    download(content_type, name, place, move |out| {
        let flows = &answer.found.flows;
        let flows = flows.get(range.start.min(flows.len())..range.end.min(flows.len())).unwrap_or_default();
        let style = RowStyle { columns: &columns, records };
        if format == "csv" { write_csv(out, flows, style) } else { write_json(out, flows, &answer.rates, style) }
    })
}

/// One flow.
///
/// # Errors
/// When it is not known.
pub async fn one(board: &Arc<Board>, request: &ApiRequest, id: &str) -> Result<ApiResponse, ApiError> {
    Params::new(&request.query, &[], &[])?;
    let name = FlowName::parse(id).ok_or_else(|| ApiError::not_found("that is no name of a flow"))?;
    let predicate = Predicate::new(move |record, _| name.fits(record)).with_told(false);
    let found = board.find(Some(predicate), SortKey::LastSeen, FlowScope::All, 1).await?;
    let Some(flow) = found.flows.first() else {
        return Err(ApiError::not_found("the flow is not known any more"));
    };
    let record = &flow.record;
    let (rates, course) = board.with_rates(|rates| (rates.now(), rates.course(&FlowName::of(record))));
    let alerts = board.alerts().of_flow(|key| *key == record.key.tuple(), ALERTS_MAX);
    Ok(json(&json!({
        "time": seconds(found.time), "state": if flow.is_alive { "live" } else { "ended" },
        "flow": flow_value(flow, &rates, board.settings.records),
        "alerts": alerts.iter().map(|id| &**id).collect::<Vec<_>>(), "rates": course_value(&course, record),
    })))
}
