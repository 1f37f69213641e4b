//! Filters and orders of flows as requests name them.
//!
//! Owns the way from text to predicate; the language is that of [`crate::query`]. Invariant: a filter that is not understood is an
//! error with its column.

use super::board::Board;
use super::error::{ApiError, ErrorCode};
use super::params::shortened;
use super::rates::RatesNow;
use super::setup::RecordStyle;
use crate::engine::{Predicate, SortKey};
use crate::query::{self, FlowFilter, LiveValues, PacketSubject, QueryError, SortRank};
use crate::record::{FACT_SCHEMA, FieldType, protocol_name};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Values of live flows that are suggested.
const VALUES_MAX: usize = 20;

/// A filter over flows and packets.
#[derive(Clone, Debug)]
pub struct PageFilter {
    text: String,
    filter: FlowFilter,
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let QueryError { column, message, expected, hint, .. } = error;
        let error = Self::new(ErrorCode::BadFilter, message).at_column(column, expected);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

impl PageFilter {
    /// Reads a filter; all flows without one.
    ///
    /// # Errors
    /// Where it is not understood.
    pub fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        let text = text.unwrap_or_default();
        Ok(Self { text: text.to_owned(), filter: FlowFilter::parse(text)? })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// It asks for what inspection of payload finds.
    pub fn asks_for_facts(&self) -> bool {
        self.filter.asks_for_facts()
    }

    /// For the workers; `None`: all flows.
    pub fn predicate(&self, records: RecordStyle) -> Option<Predicate> {
        self.filter.predicate(records.context())
    }

    /// Whether a sampled packet fits.
    pub fn matches_packet(&self, packet: &PacketSubject) -> bool {
        self.filter.matches_packet(packet)
    }
}

/// The order of flows by a field's name or `rate`.
///
/// # Errors
/// When there is no such order.
pub fn sort_key(name: &str, is_descending: bool, rates: Arc<RatesNow>) -> Result<SortKey, ApiError> {
    if name == "rate" {
        return Ok(SortKey::ByState(match is_descending {
            true => Arc::new(move |record, is_alive| rates.rank(record, is_alive)),
            false => Arc::new(move |record, is_alive| u64::MAX - rates.rank(record, is_alive)),
        }));
    }
    let rank: SortRank = query::sort_rank(name).ok_or_else(|| {
        ApiError::bad_request(format!("flows cannot be sorted by {:?}", shortened(name)))
            .with_hint("rate, or a field that /api/v1/fields says is sortable")
    })?;
    Ok(match (name, is_descending) {
        // These need no record, so that they are quick to answer.
        ("bytes_total", true) => SortKey::Bytes,
        ("packets_total", true) => SortKey::Packets,
        ("last_seen", true) => SortKey::LastSeen,
        (_, true) => SortKey::By(rank),
        (_, false) => SortKey::By(Arc::new(move |record| u64::MAX - rank(record))),
    })
}

/// The columns of flows, for `fields`; those of facts where there are facts.
pub fn fields(has_facts: bool) -> Value {
    let words = query::words_of(if has_facts { FACT_SCHEMA } else { &[] });
    let rows = words.iter().filter_map(|word| {
        let kind = kind_name(word.kind?);
        Some(json!({
            "name": word.name, "label": word.label, "group": word.group, "type": kind, "unit": word.unit,
            "description": word.description, "sortable": word.is_sortable, "filter_word": word.shortest(),
        }))
    });
    rows.collect()
}

const fn kind_name(kind: FieldType) -> &'static str {
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

/// Values of the flows that the latest report named.
struct ReportValues<'a>(&'a Board);

impl LiveValues for ReportValues<'_> {
    fn values(&self, word: &str, prefix: &str, max: usize) -> Vec<String> {
        let Some(report) = self.0.report() else { return Vec::new() };
        let mut values: BTreeSet<String> = BTreeSet::new();
        for flow in &report.top {
            let (ips, ports) = ([flow.key.a_ip(), flow.key.b_ip()], [flow.key.a_port(), flow.key.b_port()]);
            match word {
                "host" | "src" | "dst" | "client" | "server" | "client_ip" | "server_ip" => {
                    values.extend(ips.map(|ip| ip.to_string()));
                }
                "port" | "sport" | "dport" | "client_port" | "server_port" => values.extend(ports.map(|port| port.to_string())),
                "proto" | "protocol" => values.extend([protocol_name(flow.key.protocol()).to_owned()]),
                _ => {}
            }
        }
        values.into_iter().filter(|value| value.starts_with(prefix)).take(max.min(VALUES_MAX)).collect()
    }
}

/// What may stand at character `at` of a filter.
pub fn complete(board: &Board, text: &str, at: usize) -> Value {
    let found = query::complete(text, at, &ReportValues(board));
    let rows: Vec<Value> = found
        .suggestions
        .iter()
        .map(|suggestion| json!({"text": suggestion.text, "label": suggestion.label, "detail": suggestion.detail}))
        .collect();
    json!({"from": found.from, "to": found.to, "suggestions": rows})
}

/// A filter as an answer offers it; `None` where it is longer, or has more terms, than a filter may be.
pub fn offered(text: String) -> Option<String> {
    FlowFilter::parse(&text).is_ok().then_some(text)
}

/// A filter and another term together.
pub fn and(filter: &str, term: &str) -> String {
    match (filter.trim(), term) {
        ("", term) => term.to_owned(),
        (filter, "") => filter.to_owned(),
        (filter, term) => format!("({filter}) {term}"),
    }
}
