//! `/api/v1/graph`: flows as a graph of columns, for a Sankey diagram.
//!
//! Owns the adding up. Knows no drawing. Invariants: each column has all flows that were looked at; what is not among the largest is
//! in one node, `other`, so the sums of neighbouring columns are equal; every node and link says by which filter it is selected, or that there
//! is none because it would be too long.

use super::asking::{FLOWS_MAX, FlowAsk, FlowScope, KeptAnswer};
use super::board::Board;
use super::error::ApiError;
use super::filtering::{PageFilter, and, offered};
use super::grouping::{GroupColumn, GroupMetric, GroupName, GroupSum, largest, other_filter};
use super::params::Params;
use super::responding::json;
use super::unix::seconds;
use crate::dashboard::{ApiRequest, ApiResponse};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Nodes of a column besides `other`.
const LIMIT_MAX: usize = 50;
/// Columns.
const COLUMNS_MAX: usize = 4;

/// The answer.
///
/// # Errors
/// When a parameter is wrong, or why there is no answer.
pub async fn answer(board: &Arc<Board>, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    let params = Params::new(&request.query, &["filter", "by", "metric", "limit", "scope"], &[])?;
    let columns = params.text("by").unwrap_or("client,service,server").split(',');
    let columns = columns.map(GroupColumn::of_name).collect::<Result<Vec<_>, _>>()?;
    let has_double = columns.iter().enumerate().any(|(at, column)| columns[..at].contains(column));
    if !(2..=COLUMNS_MAX).contains(&columns.len()) || has_double || columns.contains(&GroupColumn::Host) {
        return Err(ApiError::bad_request(format!("by names two to {COLUMNS_MAX} different columns, and not host")));
    }
    let metric = GroupMetric::of(params)?;
    let filter = PageFilter::parse(params.text("filter"))?;
    let limit = params.number("limit", 12, 1..=LIMIT_MAX)?;
    let scope = FlowScope::of_name(params.choice("scope", &["all", "live", "ended"])?);
    let text = filter.text().to_owned();
    let ask = FlowAsk { filter, sort: metric.sort().to_owned(), is_descending: true, scope, count: FLOWS_MAX };
    let found = board.flows(ask).await?;
    Ok(json(&board.heavy(move || Ok(object(&found, &columns, metric, &text, limit))).await?))
}

/// A column's nodes.
struct GraphColumn {
    column: GroupColumn,
    rows: Vec<(GroupName, GroupSum)>,
    other: GroupSum,
    other_count: usize,
    /// Number of its first node.
    first: usize,
    places: HashMap<GroupName, usize>,
}

impl GraphColumn {
    /// Number of the node of a group.
    fn node(&self, group: &GroupName) -> usize {
        self.first + self.places.get(group).copied().unwrap_or(self.rows.len())
    }

    fn node_count(&self) -> usize {
        self.rows.len() + usize::from(self.other_count > 0)
    }

    /// The term that selects a node, from the column's first; `None` where no filter does.
    fn term(&self, at: usize) -> Option<String> {
        match self.rows.get(at) {
            Some((name, _)) => name.term(),
            None => other_filter("", self.rows.iter().map(|(name, _)| name)),
        }
    }
}

fn object(answer: &KeptAnswer, columns: &[GroupColumn], metric: GroupMetric, filter: &str, limit: usize) -> Value {
    let flows = &answer.found.flows;
    let mut made: Vec<GraphColumn> = Vec::new();
    for &column in columns {
        let mut sums: HashMap<GroupName, GroupSum> = HashMap::new();
        for flow in flows {
            sums.entry(column.groups(flow).0).or_default().add(&GroupSum::of(flow, &answer.rates));
        }
        let (rows, other, other_count) = largest(sums, metric, limit);
        let first = made.last().map_or(0, |last| last.first + last.node_count());
        let places = rows.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
        made.push(GraphColumn { column, rows, other, other_count, first, places });
    }
    let mut links: BTreeMap<(usize, usize, usize), GroupSum> = BTreeMap::new();
    for flow in flows {
        let sum = GroupSum::of(flow, &answer.rates);
        let nodes: Vec<usize> = made.iter().map(|column| column.node(&column.column.groups(flow).0)).collect();
        for (at, ends) in nodes.windows(2).enumerate() {
            links.entry((at, ends[0], ends[1])).or_default().add(&sum);
        }
    }
    let nodes: Vec<Value> = made.iter().flat_map(|column| nodes_of(column, metric, filter)).collect();
    let link = |((at, source, target), sum): (&(usize, usize, usize), &GroupSum)| {
        let (left, right) = (&made[*at], &made[at + 1]);
        let terms = left.term(source - left.first).zip(right.term(target - right.first));
        let term = terms.map(|(left, right)| and(&left, &right));
        json!({
            "source": source, "target": target, "value": metric.of_sum(sum), "flows": sum.flows,
            "filter": term.and_then(|term| offered(and(filter, &term))),
        })
    };
    let other = made.iter().map(|column| {
        let value = json!({"nodes": column.other_count, "value": metric.of_sum(&column.other), "flows": column.other.flows});
        (column.column.name().to_owned(), value)
    });
    let found = &answer.found;
    let why = match answer.why(columns.iter().any(|column| column.asks_for_facts())) {
        None if found.matched.flows > flows.len() as u64 => Some("of the largest 10,000 flows"),
        why => why,
    };
    json!({
        "time": seconds(found.time), "whole": why.is_none(), "why": why, "metric": metric.name(),
        "by": columns.iter().map(|column| column.name()).collect::<Vec<_>>(), "nodes": nodes,
        "links": links.iter().map(link).collect::<Vec<_>>(), "other": other.collect::<Map<_, _>>(),
    })
}

fn nodes_of(column: &GraphColumn, metric: GroupMetric, filter: &str) -> Vec<Value> {
    let name = column.column.name();
    let object = |at: usize, label: String, sum: &GroupSum| {
        json!({
            "id": format!("{name}:{label}"), "label": label, "column": name, "value": metric.of_sum(sum), "flows": sum.flows,
            "filter": column.term(at).and_then(|term| offered(and(filter, &term))),
        })
    };
    let rows = column.rows.iter().enumerate().map(|(at, (group, sum))| object(at, group.label(), sum));
    let other = (column.other_count > 0).then(|| {
        let mut other = object(column.rows.len(), format!("{} others", column.other_count), &column.other);
        other["is_other"] = true.into();
        other
    });
    rows.chain(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{FlowTotals, FlowsFound, FoundFlow};
    use crate::dashboard::api::asking::answer_of;
    use crate::flow::{FlowFacts, FlowRecord};
    use crate::record::test_records::{key, udp6_record};
    use netscope_backends::Timestamp;

    #[test]
    fn a_filter_that_would_be_too_long_is_none() {
        let flows: Vec<FoundFlow> = (0..120_u16)
            .map(|number| {
                let end = |side: u16| format!("2001:db8:1234:5678:9abc:def0:{side:x}:{:x}", 0x1000 + number);
                let record = FlowRecord { key: key(17, &end(0x1111), 40_000, &end(0x2222), 53), ..udp6_record() };
                FoundFlow::new(record, false, FlowFacts::default())
            })
            .collect();
        let found = FlowsFound { flows, is_whole: true, ..FlowsFound::default() };
        let graph = object(&answer_of(found), &[GroupColumn::Pair, GroupColumn::Server], GroupMetric::Bytes, "", 50);
        let rows = ["nodes", "links"].map(|list| graph[list].as_array().expect("a list").clone()).concat();
        let (some, none): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row["filter"].is_string());
        assert!(some.iter().all(|row| PageFilter::parse(row["filter"].as_str()).is_ok()), "each can be asked for");
        assert!(none.iter().all(|row| row["filter"].is_null()));
        assert_eq!((some.len(), none.iter().filter(|row| row["is_other"] == true).count()), (50 + 51 + 50, 1));
    }

    #[test]
    fn columns_have_the_same_sums() {
        let flows: Vec<FoundFlow> = (0..40_u16)
            .map(|number| {
                let key = key(17, &format!("10.0.0.{}", number + 1), 40_000, &format!("10.1.0.{}", number % 5), 53 + number % 3);
                let record = FlowRecord { key, bytes: [u64::from(number), 1], ..udp6_record() };
                FoundFlow::new(record, false, FlowFacts::default())
            })
            .collect();
        let bytes: u64 = flows.iter().map(|flow| flow.record.bytes[0] + flow.record.bytes[1]).sum();
        let matched = FlowTotals { flows: 40, packets: 80, bytes };
        let found = FlowsFound { time: Timestamp(0), flows, facts_left_out: 0, matched, looked_at: 40, is_whole: true };
        let columns = [GroupColumn::Client, GroupColumn::Service, GroupColumn::Server];
        let graph = object(&answer_of(found), &columns, GroupMetric::Bytes, "proto:udp", 4);
        let of = |list: &str, column: &str| -> u64 {
            let rows = graph[list].as_array().expect("a list").iter();
            rows.filter(|row| column.is_empty() || row["column"] == column)
                .map(|row| row["value"].as_u64().expect("a number"))
                .sum()
        };
        assert_eq!(columns.map(|column| of("nodes", column.name())), [bytes; 3]);
        assert_eq!(of("links", ""), 2 * bytes);
        assert_eq!((&graph["whole"], &graph["other"]["client"]["nodes"]), (&json!(true), &json!(36)));
        let nodes = graph["nodes"].as_array().expect("a list");
        assert_eq!(nodes.len(), 5 + 3 + 5);
        let links = graph["links"].as_array().expect("a list");
        assert!(links.iter().all(|link| {
            let end = |name: &str| nodes.get(link[name].as_u64().expect("an index") as usize).expect("a node");
            end("source")["column"] != end("target")["column"] && PageFilter::parse(link["filter"].as_str()).is_ok()
        }));
    }
}
