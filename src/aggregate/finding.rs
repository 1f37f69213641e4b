//! The flows that fit a question, while they are being found: live ones of all queues, and those that ended lately.
//!
//! Owns what was found so far. Knows no queue but its number, and nobody who asks. Invariant: its memory is bounded by the
//! question's limit times the number of queues.

use super::answers::LiveFound;
use super::join::join_halves;
use super::merge::Ended;
use super::records::{RecordPlace, Records};
use super::{FlowTotals, FlowsFound, FoundFlow};
use crate::engine::{BestFlows, FlowQuery};
use crate::flow::{EndReason, FlowFacts, FlowRecord, FlowWeight, KeyScope};
use netscope_backends::Timestamp;
use std::cmp::Reverse;
use std::sync::Arc;

/// A search under way.
pub(super) struct FlowSearch {
    query: Arc<FlowQuery>,
    live: LiveFound,
    /// With their queue and their facts.
    ended: BestFlows<(u16, FlowFacts)>,
    /// Of the ended ones.
    matched: FlowTotals,
    looked_at: u64,
    /// Numbers of the ended flows that are still to be looked at.
    rest: Option<(u64, u64)>,
    is_whole: bool,
}

impl FlowSearch {
    /// A search that found `live` flows. `reported`: the time of the latest report.
    pub fn new(query: Arc<FlowQuery>, live: LiveFound, reported: Timestamp) -> Self {
        let live = LiveFound { time: live.time.max(reported), ..live };
        let (ended, is_whole) = (BestFlows::new(query.limit), live.is_whole);
        Self { query, live, ended, matched: FlowTotals::default(), looked_at: 0, rest: None, is_whole }
    }

    /// Kept flows before number `until` are to be looked at, too. `are_all`: none that ended is missing there.
    pub fn look_until(&mut self, until: u64, are_all: bool) {
        self.rest = Some((0, until));
        self.is_whole &= are_all;
    }

    /// Numbers of the kept flows that are still to be looked at: from, until.
    pub fn rest(&self) -> Option<(u64, u64)> {
        self.rest
    }

    /// Those before `next` were looked at; `None`: all were.
    pub fn go_on_from(&mut self, next: Option<u64>) {
        self.rest = self.rest.zip(next).map(|((_, until), next)| (next, until));
    }

    /// Looks at a flow that ended.
    pub fn look_at(&mut self, flow: &Ended, records: &Records) {
        let (record, facts) = (records.get(flow.place), records.facts(flow.place));
        self.looked_at += 1;
        if self.query.wants(&record, facts) {
            self.matched.add(&FlowWeight::of(&record));
            self.live.time = self.live.time.max(record.last_seen);
            self.ended.take(self.query.sort.of(&record, false), &record, || (flow.queue, facts.into()));
        }
    }

    /// What was found. `joins`: halves of flows may have come on several queues, and what tells flows apart.
    pub fn finish(self, joins: Option<KeyScope>) -> FlowsFound {
        let Self { query, live, ended, mut matched, looked_at, is_whole, .. } = self;
        let LiveFound { mut flows, mut facts_left_out, time, .. } = live;
        matched += live.matched;
        let ended = ended.into_flows().map(|(record, (queue, facts))| (queue, FoundFlow::new(record, false, facts)));
        flows.extend(ended);
        let mut flows: Vec<FoundFlow> = match joins {
            None => flows.into_iter().map(|(_, flow)| flow).collect(),
            Some(scope) => joined(flows, scope, &mut matched, &mut facts_left_out),
        };
        flows.sort_by_cached_key(|FoundFlow { record, is_alive, .. }| {
            (Reverse(query.sort.of(record, *is_alive)), record.key, record.first_packet)
        });
        flows.truncate(query.limit);
        let looked_at = looked_at.saturating_add(live.looked_at);
        let mut found = FlowsFound { time, flows, facts_left_out, matched, looked_at, is_whole };
        found.bound_facts();
        found
    }
}

/// Joins halves among these flows of queues, as the table does; a flow lives while one of its halves does. A half that is not here,
/// because it is none of the best of its queue, is missed.
fn joined(flows: Vec<(u16, FoundFlow)>, scope: KeyScope, matched: &mut FlowTotals, facts_left_out: &mut u64) -> Vec<FoundFlow> {
    let mut records = Records::default();
    let (queues, are_alive): (Vec<u16>, Vec<bool>) = flows.iter().map(|(queue, flow)| (*queue, flow.is_alive)).unzip();
    let mut shown: Vec<RecordPlace> =
        flows.into_iter().map(|(_, flow)| records.insert(&flow.record, flow.facts.facts())).collect();
    join_halves(&mut records, &mut shown, &queues, scope);
    let halves = queues.len() - shown.len();
    matched.flows = matched.flows.saturating_sub(halves as u64);
    *facts_left_out += records.facts_left_out();
    // A record that was not joined is where it was put.
    let is_alive = |place: RecordPlace, record: &FlowRecord| match are_alive.get(place.number() as usize) {
        Some(is_alive) if record.queues == 1 => *is_alive,
        _ => record.reason == EndReason::Exit,
    };
    let found = |place: RecordPlace| {
        let record = records.get(place);
        FoundFlow::new(record, is_alive(place, &record), records.facts(place).into())
    };
    shown.into_iter().map(found).collect()
}
