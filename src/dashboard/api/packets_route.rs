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
        let mut rows = String::new();
        let mut info = store.info();
        let packets = store.before(before);
        let fitting = packets
            .iter()
            .map(|packet| (packet, packet.summary(&mut info)))
            .filter(|(_, summary)| filter.matches_packet(&summary.subject));
        for (at, (_, summary)) in fitting.take(limit).enumerate() {
            rows.push_str(if at > 0 { "," } else { "" });
            rows.push_str(&summary.json);
        }
        let (seen, kept) = store.counts();
        let sampled = json!({"seen": seen, "kept": kept, "buffer": store.buffer(), "sample_rate": rate});
        Ok(format!("{{\"packets\":[{rows}],\"sampled\":{sampled}}}"))
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
