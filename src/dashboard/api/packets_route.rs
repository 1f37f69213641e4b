//! `/api/v1/packets` and `/api/v1/packets/{id}`.
//!
//! Owns their parameters. Knows no ring.

use super::board::Board;
use super::error::{ApiError, ErrorCode};
use super::filtering::PageFilter;
use super::packet_facts::gone_detail;
use super::params::Params;
use super::responding::{JSON, full, json};
use crate::dashboard::{ApiRequest, ApiResponse};
use serde_json::json;
use std::sync::Arc;

/// Packets of an answer.
const LIMIT_MAX: usize = 1000;
/// Packets that are looked at for an answer.
const LOOKED_AT_MAX: usize = 20_000;

/// Sampled packets that fit, latest first.
///
/// # Errors
/// When a parameter is wrong.
pub async fn list(board: &Arc<Board>, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    let params = Params::new(&request.query, &["filter", "limit", "before"], &[])?;
    let filter = PageFilter::parse(params.text("filter"))?;
    let limit = params.number("limit", 100, 1..=LIMIT_MAX)?;
    let before = params.number("before", usize::MAX, 0..=usize::MAX)? as u64;
    let store = Arc::clone(&board.packets);
    let rate = board.settings.sample_rate;
    let body = move || {
        let (packets, has_older) = store.before(before, LOOKED_AT_MAX);
        let (mut rows, mut count, mut looked_at) = (String::new(), 0, 0);
        for packet in &packets {
            if count == limit {
                break;
            }
            looked_at += 1;
            let summary = packet.summary(store.info());
            if filter.matches_packet(&summary.subject) {
                rows.push_str(if count > 0 { "," } else { "" });
                rows.push_str(&summary.json);
                count += 1;
            }
        }
        let is_end = looked_at == packets.len() && !has_older;
        let is_whole = is_end || count == limit;
        let why = (!is_whole).then(|| format!("{looked_at} packets were looked at; older ones are asked for with `before`"));
        let next = packets.get(looked_at.wrapping_sub(1)).filter(|_| !is_end).map(|packet| packet.id);
        let (seen, kept) = store.counts();
        let sampled = json!({"seen": seen, "kept": kept, "buffer": store.buffer(), "sample_rate": rate});
        let about = json!({"whole": is_whole, "why": why, "next": next, "sampled": sampled}).to_string();
        Ok(format!("{{\"packets\":[{rows}],{}", about.trim_start_matches('{')))
    };
    Ok(full(200, JSON, board.heavy(body).await?))
}

/// One packet's layers and bytes.
///
/// # Errors
/// When it is not kept.
pub async fn one(board: &Arc<Board>, request: &ApiRequest, id: &str) -> Result<ApiResponse, ApiError> {
    Params::new(&request.query, &[], &[])?;
    let id: u64 = id.parse().map_err(|_| ApiError::not_found("a packet's id is a number"))?;
    let Some(packet) = board.packets.get(id) else {
        let (seen, _) = board.packets.counts();
        if id == 0 || id > seen {
            return Err(ApiError::not_found("no packet of this id was sampled"));
        }
        // The answer has the shape of the message, so that a page shows it in the same way.
        let mut body = gone_detail(id);
        let error = ApiError::new(ErrorCode::Gone, "the buffer no longer has this packet");
        body["error"] = json!({"code": error.code(), "message": error.message()});
        return Ok(full(410, JSON, body.to_string()));
    };
    board.heavy(move || Ok(json(&packet.detail()))).await
}
