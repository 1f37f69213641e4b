//! Filters and orders of flows as requests name them.
//!
//! Owns the way from a request's text to the filter language. Everything that knows the language is here. Invariant: a filter that is not
//! understood is an error with its column.

use super::board::Board;
use super::error::{ApiError, ErrorCode};
use super::packet_facts::PacketSummary;
use super::rates::RatesNow;
use super::setup::RecordStyle;
use super::window::client;
use crate::engine::{Predicate, SortKey};
use crate::flow::{FlowRecord, TopFlow};
use crate::query::{self, FlowFilter, LiveValues, QueryError, RecordContext, SortRank};
use crate::record::{FieldType, ports};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

/// A filter over flows and packets.
#[derive(Clone, Debug)]
pub struct PageFilter {
    text: String,
    filter: FlowFilter,
}

impl PageFilter {
    /// Reads a filter; all flows without one.
    ///
    /// # Errors
    /// Where it is not understood.
    pub fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        let text = text.unwrap_or_default();
        Ok(Self { text: text.to_owned(), filter: FlowFilter::parse(text).map_err(not_understood)? })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// For the workers; `None`: all flows.
    pub fn predicate(&self, style: &RecordStyle) -> Option<Predicate> {
        let &RecordStyle { community_id_seed, times, interfaces } = style;
        self.filter.predicate(RecordContext { community_id_seed, times, interfaces })
    }

    /// Whether a sampled packet fits.
    pub fn matches_packet(&self, packet: &PacketSummary) -> bool {
        self.filter.matches_packet(&packet.subject)
    }
}

fn not_understood(error: QueryError) -> ApiError {
    let QueryError { column, message, expected, hint, .. } = error;
    let told = ApiError::new(ErrorCode::BadFilter, message).at_column(column, expected);
    match hint {
        Some(hint) => told.with_hint(hint),
        None => told,
    }
}

/// The order of flows by a field's name, a short word of the filter language, `rate` or `service`.
///
/// # Errors
/// When there is no such order.
pub fn sort_key(name: &str, is_descending: bool, rates: Arc<RatesNow>) -> Result<SortKey, ApiError> {
    let rank: SortRank = match name {
        "rate" => Arc::new(move |record: &FlowRecord| rates.rank(record)),
        // Services are names of ports.
        "service" => query::sort_rank("server_port").unwrap_or_else(|| Arc::new(|_| 0)),
        name => query::sort_rank(name)
            .ok_or_else(|| ApiError::bad_request(format!("flows cannot be sorted by {:?}", super::params::shortened(name))))?,
    };
    Ok(SortKey::By(if is_descending { rank } else { Arc::new(move |record| u64::MAX - rank(record)) }))
}

const fn type_name(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Text => "text",
        FieldType::Word => "word",
        FieldType::Number => "number",
        FieldType::Seconds => "seconds",
        FieldType::Milliseconds => "milliseconds",
        FieldType::Rate => "rate",
        FieldType::Endpoint => "endpoint",
        FieldType::Address => "address",
        FieldType::List => "list",
        FieldType::Boolean => "boolean",
        FieldType::Object => "object",
    }
}

/// The columns of flows, for `fields`.
pub fn fields() -> Value {
    let columns = query::words().into_iter().filter_map(|word| Some((word.kind?, word)));
    let rows = columns.map(|(kind, word)| {
        json!({"name": word.name, "label": word.label, "group": word.group, "type": type_name(kind), "unit": word.unit,
            "description": word.description, "sortable": word.is_sortable, "filter_word": word.shortest()})
    });
    rows.collect()
}

/// What may stand behind `at` characters of a filter.
pub fn complete(board: &Board, text: &str, at: usize) -> Value {
    let completion = query::complete(text, at, &TopValues(board.report().map_or_else(Vec::new, |report| report.top.clone())));
    let suggestions: Vec<Value> = completion
        .suggestions
        .iter()
        .map(|suggestion| json!({"text": suggestion.text, "label": suggestion.label, "detail": suggestion.detail}))
        .collect();
    json!({"from": completion.from, "to": completion.to, "suggestions": suggestions})
}

/// Values of the flows that had the most bytes in the latest tick.
struct TopValues(Vec<TopFlow>);

impl LiveValues for TopValues {
    fn values(&self, word: &str, prefix: &str, max: usize) -> Vec<String> {
        let mut counts: HashMap<String, u64> = HashMap::new();
        for flow in &self.0 {
            for value in values_of(word, flow) {
                *counts.entry(value).or_default() += 1;
            }
        }
        let mut values: Vec<(String, u64)> = counts.into_iter().filter(|(value, _)| value.starts_with(prefix)).collect();
        values.sort_unstable_by(|a, b| (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0)));
        values.into_iter().take(max).map(|(value, _)| value).collect()
    }
}

/// What a flow has under a word that has live values.
fn values_of(word: &str, flow: &TopFlow) -> Vec<String> {
    let (ips, (a, b)) = ([flow.key.a_ip(), flow.key.b_ip()], ports(&flow.key));
    let ports = [a, b];
    let source = client(flow);
    let (client, server) = (source.index(), source.reverse().index());
    match word {
        "host" => ips.map(|ip| ip.to_string()).into(),
        "src" | "client_ip" => vec![ips[client].to_string()],
        "dst" | "server_ip" => vec![ips[server].to_string()],
        "port" | "dport" | "server_port" => vec![ports[server].to_string()],
        "sport" | "client_port" => vec![ports[client].to_string()],
        _ => Vec::new(),
    }
}

/// A filter and another term together.
pub fn and(filter: &str, term: &str) -> String {
    match (filter.trim(), term) {
        ("", term) => term.to_owned(),
        (filter, "") => filter.to_owned(),
        (filter, term) => format!("({filter}) {term}"),
    }
}
