//! `/api/v1/history`: numbers over time.
//!
//! Owns the names of metrics. Knows no slot.

use super::board::Board;
use super::error::ApiError;
use super::params::{Params, shortened};
use super::responding::json;
use super::unix::seconds;
use crate::aggregate::{HistoryMetric, HistoryPoint, HistoryQuery, HistorySnapshot};
use crate::dashboard::{ApiRequest, ApiResponse};
use crate::engine::{ProtocolClass, TrafficDirection};
use netscope_backends::Timestamp;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Metrics of a request.
const METRICS_MAX: usize = 32;
/// Points of a metric.
const POINTS_MAX: u64 = 10_000;
const SECOND: u64 = Timestamp::NS_PER_SEC;
/// A span without a `step` that is longer than this is shown by minutes.
const SECONDS_SPAN_MAX: u64 = 3600 * SECOND;

/// A metric of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedMetric {
    name: String,
    unit: &'static str,
    metric: HistoryMetric,
    /// What a value is divided by to be in `unit`.
    divisor: f64,
    /// The largest second of each step is asked for, not the sum.
    is_peak: bool,
}

/// Metrics that have one name.
const PLAIN: &[(&str, &str, HistoryMetric)] = &[
    ("bytes", "bytes", HistoryMetric::Bytes),
    ("packets", "packets", HistoryMetric::Packets),
    ("drops", "packets", HistoryMetric::Drops),
    ("flows_opened", "flows", HistoryMetric::FlowsOpened),
    ("flows_active", "flows", HistoryMetric::FlowsActive),
    ("flows_ended", "flows", HistoryMetric::FlowsEnded),
    ("alerts", "alerts", HistoryMetric::Alerts),
    ("retransmissions", "segments", HistoryMetric::Retransmissions),
];

/// Reads the name of a metric; `None` when there is none.
fn metric_of(name: &str) -> Option<NamedMetric> {
    let named = |unit, metric, divisor, is_peak| Some(NamedMetric { name: name.to_owned(), unit, metric, divisor, is_peak });
    if let Some((_, unit, metric)) = PLAIN.iter().find(|(own, ..)| *own == name) {
        return named(unit, *metric, 1.0, false);
    }
    match name {
        "bytes_peak" => return named("bytes", HistoryMetric::Bytes, 1.0, true),
        "packets_peak" => return named("packets", HistoryMetric::Packets, 1.0, true),
        _ => {}
    }
    if let Some(class) = name.strip_prefix("bytes_") {
        if let Some(way) = TrafficDirection::ALL.into_iter().find(|way| way.name() == class) {
            return named("bytes", HistoryMetric::DirectionBytes(way), 1.0, false);
        }
        let class = ProtocolClass::ALL.into_iter().find(|own| own.name() == class)?;
        return named("bytes", HistoryMetric::ProtocolBytes(class), 1.0, false);
    }
    if let Some(port) = name.strip_prefix("port_bytes_") {
        let (protocol, port) = port.split_once('_')?;
        let protocol = (0..=255).find(|number| crate::record::protocol_name(*number) == protocol)?;
        return named("bytes", HistoryMetric::PortBytes(protocol, port.parse().ok()?), 1.0, false);
    }
    let (of, quantile) = name.rsplit_once("_p")?;
    let quantile: f64 = quantile.parse::<u8>().ok().filter(|percent| (1..=100).contains(percent))?.into();
    let share = quantile / 100.0;
    match of {
        "rtt" => named("ms", HistoryMetric::Rtt(share), 1e3, false),
        "packet_size" => named("bytes", HistoryMetric::PacketSize(share), 1.0, false),
        "batch" => named("us", HistoryMetric::BatchTime(share), 1e3, false),
        "flow_duration" => named("s", HistoryMetric::FlowDuration(share), 1e3, false),
        _ => None,
    }
}

/// The answer.
///
/// # Errors
/// When a parameter is wrong, or why there is no answer.
pub async fn answer(board: &Arc<Board>, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    let params = Params::new(&request.query, &["from", "to", "step"], &["metric"])?;
    let mut metrics: Vec<NamedMetric> = Vec::new();
    for name in params.all("metric") {
        let metric = metric_of(name).ok_or_else(|| {
            let hint = "docs/http-api.md lists the metrics: bytes, packets, bytes_tcp, rtt_p50 and others";
            ApiError::bad_request(format!("there is no metric {:?}", shortened(name))).with_hint(hint)
        })?;
        if metrics.len() >= METRICS_MAX {
            return Err(ApiError::bad_request(format!("at most {METRICS_MAX} metrics")));
        }
        metrics.push(metric);
    }
    if metrics.is_empty() {
        metrics.extend(metric_of("bytes"));
    }
    let latest = board.report().map_or_else(super::unix::now, |report| report.time);
    // The second that goes on is in it.
    let to = params.time("to")?.unwrap_or_else(|| latest.plus(SECOND));
    let from = params.time("from")?.unwrap_or(Timestamp(to.0.saturating_sub(SECONDS_SPAN_MAX)));
    if from >= to {
        return Err(ApiError::bad_request("from is before to"));
    }
    let default = if to.since(from) <= SECONDS_SPAN_MAX + SECOND { 1 } else { 60 };
    let step = params.number("step", default, 1..=86_400)? as u64 * SECOND;
    if to.since(from).div_ceil(step) > POINTS_MAX {
        return Err(ApiError::bad_request(format!("more than {POINTS_MAX} points")).with_hint("a larger step"));
    }
    let history = board.history.get(&board.hooks.questions).await?;
    let span = HistoryQuery { metric: HistoryMetric::Bytes, from, to, step_ns: step };
    Ok(json(&board.heavy(move || Ok(object(&history, &metrics, span))).await?))
}

fn object(history: &HistorySnapshot, metrics: &[NamedMetric], span: HistoryQuery) -> Value {
    let step = span.step_ns;
    let first = span.from.0 / step * step;
    let series = metrics.iter().map(|named| {
        let query = HistoryQuery { metric: named.metric, ..span };
        let points = if named.is_peak { peaks(history, query) } else { history.query(&query) };
        let value = |point: &HistoryPoint| point.value.map(|value| number(value, named.divisor));
        let values: Vec<Option<Value>> = points.iter().map(value).collect();
        (named.name.clone(), json!({"unit": named.unit, "values": values}))
    });
    let slots = [history.traffic.minutes.first().map(|slot| slot.0), history.traffic.seconds.first().map(|slot| slot.0)];
    json!({
        "from": seconds(Timestamp(first)), "to": seconds(span.to), "step": step / SECOND,
        "series": series.collect::<Map<_, _>>(), "start": slots.into_iter().flatten().min().map(seconds),
    })
}

/// The largest second of each step; nothing where there are no seconds any more.
fn peaks(history: &HistorySnapshot, query: HistoryQuery) -> Vec<HistoryPoint> {
    let step = query.step_ns;
    let (from, to) = (query.from.0 / step, query.to.0.div_ceil(step));
    // A query gives so many points at most, the latest ones: only those are asked for that there are.
    let kept = &history.traffic.seconds;
    let (first, last) = (kept.first().map_or(0, |slot| slot.0.0), kept.last().map_or(0, |slot| slot.0.0));
    let (start, end) = (from.saturating_mul(step).max(first), query.to.0.min(last.saturating_add(SECOND)));
    let fine = if start < end {
        history.query(&HistoryQuery { from: Timestamp(start), to: Timestamp(end), step_ns: SECOND, ..query })
    } else {
        Vec::new()
    };
    let mut peaks: Vec<HistoryPoint> =
        (from..to).map(|number| HistoryPoint { time: Timestamp(number * step), value: None }).collect();
    for point in fine {
        let place = (point.time.0 / step).checked_sub(from).and_then(|place| usize::try_from(place).ok());
        if let Some(peak) = place.and_then(|place| peaks.get_mut(place)) {
            peak.value = peak.value.max(point.value);
        }
    }
    peaks
}

fn number(value: u64, divisor: f64) -> Value {
    if divisor == 1.0 { value.into() } else { (value as f64 / divisor).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_metrics() {
        let of = |name: &str| metric_of(name).map(|named| (named.metric, named.unit));
        assert_eq!(of("bytes"), Some((HistoryMetric::Bytes, "bytes")));
        assert_eq!(of("bytes_tcp"), Some((HistoryMetric::ProtocolBytes(ProtocolClass::Tcp), "bytes")));
        assert_eq!(of("bytes_other_ip"), Some((HistoryMetric::ProtocolBytes(ProtocolClass::OtherIp), "bytes")));
        assert_eq!(of("rtt_p99"), Some((HistoryMetric::Rtt(0.99), "ms")));
        assert_eq!(of("batch_p50"), Some((HistoryMetric::BatchTime(0.5), "us")));
        assert_eq!(of("port_bytes_tcp_443"), Some((HistoryMetric::PortBytes(6, 443), "bytes")));
        for wrong in ["", "bytes_nothing", "rtt", "rtt_p0", "rtt_p101", "rtt_p-1", "port_bytes_tcp", "port_bytes_tcp_99999"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
