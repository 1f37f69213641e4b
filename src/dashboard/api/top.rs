//! `/api/v1/top`: the largest hosts, services, pairs.
//!
//! Owns the adding up. Knows no worker. Invariant: where rows are not of all flows, `whole` is false and `why` says it.

use super::asking::{FLOWS_MAX, FlowAsk, FlowScope, KeptAnswer};
use super::board::Board;
use super::error::ApiError;
use super::filtering::{PageFilter, and, offered};
use super::grouping::{GroupColumn, GroupMetric, GroupName, GroupSum, largest};
use super::packet_facts::has_ports;
use super::params::Params;
use super::rates::RatesNow;
use super::responding::json;
use super::unix::seconds;
use crate::aggregate::{EndedSlot, FoundFlow, HistorySnapshot, KeptSlot, Tally};
use crate::dashboard::{ApiRequest, ApiResponse};
use crate::engine::{Predicate, SortKey};
use netscope_backends::Timestamp;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// Rows of an answer.
const LIMIT_MAX: usize = 1000;
/// A span up to this long, in seconds, that lies in the last hour is answered from seconds.
const SECONDS_SPAN_MAX: u64 = 3600;

/// The answer.
///
/// # Errors
/// When a parameter is wrong, or why there is no answer.
pub async fn answer(board: &Arc<Board>, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    let params = Params::new(&request.query, &["by", "metric", "filter", "from", "to", "limit", "scope"], &[])?;
    let column = GroupColumn::of_name(params.text("by").unwrap_or("host"))?;
    let metric = GroupMetric::of(params)?;
    let filter = PageFilter::parse(params.text("filter"))?;
    let limit = params.number("limit", 20, 1..=LIMIT_MAX)?;
    let (from, to) = (params.time("from")?, params.time("to")?);
    let scope = FlowScope::of_name(params.choice("scope", &["all", "live", "ended"])?);
    if from.is_some() || to.is_some() {
        let latest = board.report().map_or_else(super::unix::now, |report| report.time);
        let span = from.unwrap_or_default()..to.unwrap_or_else(|| latest.plus(Timestamp::NS_PER_SEC));
        return of_span(board, column, metric, &filter, span, limit).await;
    }
    let text = filter.text().to_owned();
    let ask = FlowAsk { filter, sort: metric.sort().to_owned(), is_descending: true, scope, count: FLOWS_MAX };
    let found = board.flows(ask).await?;
    let body = board.heavy(move || Ok(of_flows(&found, column, metric, &text, limit))).await?;
    Ok(json(&body))
}

fn of_flows(answer: &KeptAnswer, column: GroupColumn, metric: GroupMetric, filter: &str, limit: usize) -> Value {
    let found = &answer.found;
    let mut sums = HashMap::new();
    found.flows.iter().for_each(|flow| add(&mut sums, column, flow, &answer.rates));
    let matched = &found.matched;
    let mut bps = 0;
    found.flows.iter().for_each(|flow| bps += GroupSum::of(flow, &answer.rates).bps);
    let total = GroupSum { flows: matched.flows, packets: matched.packets, bytes: matched.bytes, bps };
    let has_all = matched.flows <= found.flows.len() as u64;
    let why = match answer.why(column.asks_for_facts()) {
        None if !has_all => Some("rows are of the largest 10,000 flows; the total is of all"),
        why => why,
    };
    object(found.time, why, column, metric, rows(sums, metric, filter, limit), &total)
}

fn add(sums: &mut HashMap<GroupName, GroupSum>, column: GroupColumn, flow: &FoundFlow, rates: &RatesNow) {
    let sum = GroupSum::of(flow, rates);
    let (first, second) = column.groups(flow);
    for group in [Some(first), second].into_iter().flatten() {
        sums.entry(group).or_default().add(&sum);
    }
}

fn rows(sums: HashMap<GroupName, GroupSum>, metric: GroupMetric, filter: &str, limit: usize) -> Vec<Value> {
    let (rows, _, _) = largest(sums, metric, limit);
    let object = |(name, sum): &(GroupName, GroupSum)| {
        json!({
            "label": name.label(), "value": metric.of_sum(sum), "flows": sum.flows, "bytes": sum.bytes, "packets": sum.packets,
            "bps": sum.bps, "filter": name.term().and_then(|term| offered(and(filter, &term))),
        })
    };
    rows.iter().map(object).collect()
}

fn object(
    time: Timestamp,
    why: Option<&str>,
    column: GroupColumn,
    metric: GroupMetric,
    rows: Vec<Value>,
    total: &GroupSum,
) -> Value {
    json!({
        "time": seconds(time), "whole": why.is_none(), "why": why, "by": column.name(), "metric": metric.name(), "rows": rows,
        "total": {
            "value": metric.of_sum(total), "flows": total.flows, "bytes": total.bytes, "packets": total.packets, "bps": total.bps,
        },
    })
}

/// Of a span of time: flows that ended in it, from the history where that has them, and live flows that had packets in it.
async fn of_span(
    board: &Arc<Board>,
    column: GroupColumn,
    metric: GroupMetric,
    filter: &PageFilter,
    span: std::ops::Range<Timestamp>,
    limit: usize,
) -> Result<ApiResponse, ApiError> {
    let has_history = filter.text().trim().is_empty()
        && matches!(column, GroupColumn::Host | GroupColumn::Service | GroupColumn::Pair)
        && metric != GroupMetric::Rate
        && board.settings.has_history;
    let history = if has_history { Some(board.history.get(&board.hooks.questions).await?) } else { None };
    let (own, start, end) = (filter.predicate(board.settings.records), span.start, span.end);
    let asks_for_told = own.as_ref().is_some_and(Predicate::asks_for_told);
    let overlaps = Predicate::new(move |record, facts| {
        record.first_seen < end && record.last_seen >= start && own.as_ref().is_none_or(|own| own.is_true(record, facts))
    })
    .with_told(asks_for_told);
    let scope = if has_history { FlowScope::Live } else { FlowScope::All };
    let found = board.find(Some(overlaps), SortKey::Bytes, scope, FLOWS_MAX).await?;
    let rates = board.with_rates(super::rates::FlowRates::now);
    let text = filter.text().to_owned();
    let body = board.heavy(move || {
        let mut sums = HashMap::new();
        found.flows.iter().for_each(|flow| add(&mut sums, column, flow, &rates));
        let matched = &found.matched;
        let mut total = GroupSum { flows: matched.flows, packets: matched.packets, bytes: matched.bytes, bps: 0 };
        if let Some(history) = &history {
            let ended = add_ended(&mut sums, column, history, &span);
            total.add(&ended);
        }
        let why =
            "flows that had packets in the span count with all they ever had; of small ones that ended, only the sum is known";
        Ok(object(found.time, Some(why), column, metric, rows(sums, metric, &text, limit), &total))
    });
    Ok(json(&body.await?))
}

/// Adds the best of each slot; returns what all flows that ended have.
fn add_ended(
    sums: &mut HashMap<GroupName, GroupSum>,
    column: GroupColumn,
    history: &HistorySnapshot,
    span: &std::ops::Range<Timestamp>,
) -> GroupSum {
    let of = |tally: &Tally| GroupSum { flows: tally.flows, packets: tally.packets, bytes: tally.bytes, bps: 0 };
    let mut total = GroupSum::default();
    for (_, slot) in slots(history, span) {
        total.add(&of(&slot.total));
        match column {
            GroupColumn::Host => {
                slot.hosts
                    .best
                    .iter()
                    .for_each(|(host, tally)| sums.entry(GroupName::Host(host.ip())).or_default().add(&of(tally)));
            }
            GroupColumn::Service => slot.ports.best.iter().for_each(|((protocol, port), tally)| {
                let name = GroupName::Service(*protocol, has_ports(*protocol).then_some(*port));
                sums.entry(name).or_default().add(&of(tally));
            }),
            GroupColumn::Pair => slot.flows.best.iter().for_each(|(key, tally)| {
                // The 5-tuple alone does not say who asked; as a rule the larger port did.
                let (a, b) = (key.a_ip(), key.b_ip());
                let name = if key.a_port() < key.b_port() { GroupName::Pair(b, a) } else { GroupName::Pair(a, b) };
                sums.entry(name).or_default().add(&of(tally));
            }),
            _ => {}
        }
    }
    total
}

/// Slots of a span: seconds for one that is short and in the last hour, else minutes.
fn slots<'a>(history: &'a HistorySnapshot, span: &std::ops::Range<Timestamp>) -> &'a [KeptSlot<EndedSlot>] {
    let seconds = &history.ended.seconds;
    let is_short = span.end.0.saturating_sub(span.start.0) <= SECONDS_SPAN_MAX * Timestamp::NS_PER_SEC;
    let is_recent = seconds.first().is_some_and(|(first, _)| *first <= span.start) || history.ended.minutes.len() <= 1;
    // A minute that the span begins in is in it.
    let minute = 60 * Timestamp::NS_PER_SEC;
    let (slots, step) = if is_short && is_recent { (seconds, Timestamp::NS_PER_SEC) } else { (&history.ended.minutes, minute) };
    let place = |time: Timestamp| slots.partition_point(|(start, _)| *start < time);
    let first = Timestamp(span.start.0 / step * step);
    slots.get(place(first)..place(span.end)).unwrap_or_default()
}
