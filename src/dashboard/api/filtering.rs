//! Filters and orders of flows as requests name them.
//!
//! Owns the way from text to predicate. Everything that knows the filter language is here. Invariant: a filter that is not understood
//! is an error with its column.

use super::board::Board;
use super::error::{ApiError, ErrorCode};
use super::packet_facts::PacketSummary;
use super::rates::RatesNow;
use crate::engine::{Predicate, SortKey};
use crate::flow::FlowRecord;
use crate::record::{FIELDS, FieldType, ports, protocol_name};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;

/// Longest filter, in bytes.
const FILTER_LEN_MAX: usize = 4096;
/// Words of a filter.
const WORDS: &[&str] = &["proto", "host", "src", "dst", "port", "sport", "dport", "vlan"];

#[derive(Clone, Debug, PartialEq, Eq)]
enum FilterTerm {
    Proto(String),
    Host(IpAddr),
    Src(IpAddr),
    Dst(IpAddr),
    Port(u16),
    SrcPort(u16),
    DstPort(u16),
    Vlan(u16),
}

/// A filter over flows and packets.
#[derive(Clone, Debug)]
pub struct PageFilter {
    text: String,
    terms: Vec<FilterTerm>,
}

impl PageFilter {
    /// Reads a filter; all flows without one.
    ///
    /// # Errors
    /// Where it is not understood.
    pub fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        let text = text.unwrap_or_default();
        if text.len() > FILTER_LEN_MAX {
            return Err(ApiError::new(ErrorCode::BadFilter, format!("a filter has at most {FILTER_LEN_MAX} bytes")));
        }
        let mut terms = Vec::new();
        let mut column = 1;
        for part in text.split(' ') {
            let plain = part.trim_matches(['(', ')']);
            if !plain.is_empty() {
                terms.push(read_term(plain).ok_or_else(|| {
                    ApiError::new(ErrorCode::BadFilter, "a term is a word, a colon and a value")
                        .at_column(column, WORDS.iter().map(|word| format!("{word}:")).collect())
                })?);
            }
            column += part.chars().count() + 1;
        }
        Ok(Self { text: text.to_owned(), terms })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// For the workers; `None`: all flows.
    pub fn predicate(&self) -> Option<Predicate> {
        if self.terms.is_empty() {
            return None;
        }
        let terms = self.terms.clone();
        Some(Arc::new(move |record: &FlowRecord| terms.iter().all(|term| term_fits(term, record))))
    }

    /// Whether a sampled packet fits.
    pub fn matches_packet(&self, packet: &PacketSummary, _wire_len: u32) -> bool {
        self.terms.iter().all(|term| packet_fits(term, packet))
    }
}

fn read_term(text: &str) -> Option<FilterTerm> {
    let (word, value) = text.split_once(':')?;
    Some(match word {
        "proto" => FilterTerm::Proto(value.to_ascii_lowercase()),
        "host" => FilterTerm::Host(value.parse().ok()?),
        "src" => FilterTerm::Src(value.parse().ok()?),
        "dst" => FilterTerm::Dst(value.parse().ok()?),
        "port" => FilterTerm::Port(value.parse().ok()?),
        "sport" => FilterTerm::SrcPort(value.parse().ok()?),
        "dport" => FilterTerm::DstPort(value.parse().ok()?),
        "vlan" => FilterTerm::Vlan(value.parse().ok()?),
        _ => return None,
    })
}

fn term_fits(term: &FilterTerm, record: &FlowRecord) -> bool {
    let (ips, (a, b)) = ([record.key.a_ip(), record.key.b_ip()], ports(&record.key));
    let (ports, client) = ([a, b], record.client());
    let (src, dst) = (client.index(), client.reverse().index());
    match term {
        FilterTerm::Proto(name) => protocol_name(record.key.protocol()) == name,
        FilterTerm::Host(ip) => ips.contains(ip),
        FilterTerm::Src(ip) => ips[src] == *ip,
        FilterTerm::Dst(ip) => ips[dst] == *ip,
        FilterTerm::Port(port) => ports.contains(port),
        FilterTerm::SrcPort(port) => ports[src] == *port,
        FilterTerm::DstPort(port) => ports[dst] == *port,
        FilterTerm::Vlan(id) => record.vlan.ids.iter().take(record.vlan.count.into()).any(|own| own == id),
    }
}

fn packet_fits(term: &FilterTerm, packet: &PacketSummary) -> bool {
    match term {
        FilterTerm::Proto(name) => packet.protocol.eq_ignore_ascii_case(name),
        FilterTerm::Host(ip) => packet.ips.is_some_and(|(src, dst)| src == *ip || dst == *ip),
        FilterTerm::Src(ip) => packet.ips.is_some_and(|(src, _)| src == *ip),
        FilterTerm::Dst(ip) => packet.ips.is_some_and(|(_, dst)| dst == *ip),
        FilterTerm::Port(port) => packet.ports.is_some_and(|(src, dst)| src == *port || dst == *port),
        FilterTerm::SrcPort(port) => packet.ports.is_some_and(|(src, _)| src == *port),
        FilterTerm::DstPort(port) => packet.ports.is_some_and(|(_, dst)| dst == *port),
        FilterTerm::Vlan(id) => packet.vlan.contains(id),
    }
}

/// The order of flows by a field's name or `rate`.
///
/// # Errors
/// When there is no such order.
pub fn sort_key(name: &str, is_descending: bool, rates: Arc<RatesNow>) -> Result<SortKey, ApiError> {
    let rank: Arc<dyn Fn(&FlowRecord) -> u64 + Send + Sync> = match name {
        "rate" => Arc::new(move |record| rates.rank(record)),
        "bytes_total" => Arc::new(|record| record.bytes[0].saturating_add(record.bytes[1])),
        "packets_total" => Arc::new(|record| record.packets[0].saturating_add(record.packets[1])),
        "last_seen" => Arc::new(|record| record.last_seen.0),
        "first_seen" => Arc::new(|record| record.first_seen.0),
        _ => return Err(ApiError::bad_request(format!("flows cannot be sorted by {:?}", super::params::shortened(name)))),
    };
    Ok(SortKey::By(if is_descending { rank } else { Arc::new(move |record| u64::MAX - rank(record)) }))
}

/// The columns of flows, for `fields`.
pub fn fields() -> Value {
    let rows = FIELDS.iter().map(|field| {
        let kind = match field.field.kind {
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
        };
        let name = field.field.name;
        json!({"name": name, "label": name, "group": "", "type": kind, "unit": field.field.unit, "description": "",
            "sortable": false, "filter_word": null})
    });
    rows.collect()
}

/// What may stand at character `at` of a filter.
pub fn complete(_board: &Board, text: &str, at: usize) -> Value {
    let head: String = text.chars().take(at).collect();
    let from = head.rfind([' ', '(']).map_or(0, |place| head[..=place].chars().count());
    let begun: String = head.chars().skip(from).collect();
    let suggestions: Vec<Value> = WORDS
        .iter()
        .filter(|word| word.starts_with(&begun))
        .map(|word| json!({"text": format!("{word}:"), "label": word, "detail": ""}))
        .collect();
    json!({"from": from, "to": at.min(text.chars().count()), "suggestions": suggestions})
}

/// A filter and another term together.
pub fn and(filter: &str, term: &str) -> String {
    match (filter.trim(), term) {
        ("", term) => term.to_owned(),
        (filter, "") => filter.to_owned(),
        (filter, term) => format!("({filter}) {term}"),
    }
}
