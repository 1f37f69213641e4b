//! The answers of all queues to a question about live flows, while they come in.
//!
//! Owns the records of one question, and their facts as far as they find room. Knows no table. Invariant: a flow that ended while the
//! question was under way is among the ended ones or among the answers, never in both.

use super::fact_store::FactStore;
use super::merge::Inbox;
use super::questions::FoundFlow;
use crate::engine::{AnswerEnd, EndedChunk, FlowAnswer, FlowQuery, FlowTotals};
use crate::flow::{FactSet, FlowRecord, FlowWeight};
use netscope_backends::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;

/// Flows that may end while a question is open, 1,048,576 (about 40 MiB): a queue whose worker stands still keeps it open. With more
/// it is given up.
const ENDED_MAX: usize = 1 << 20;

/// What is to come of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// [`Event::Found`](super::Event::Found): the flows that were asked for.
    Flows {
        /// The live ones; else no queue is asked.
        with_live: bool,
        /// Those that ended and are kept.
        with_ended: bool,
    },
    /// [`Event::Table`](super::Event::Table): the table of all flows, those that ended and are kept for the exports included.
    Table,
}

/// A question that workers are asked; over as soon as nobody has it any more.
struct AwaitedQuery(Arc<FlowQuery>);

impl Drop for AwaitedQuery {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// A question under way. Whatever its end, workers are then told that it is over.
pub struct Answers {
    query: AwaitedQuery,
    purpose: Purpose,
    /// With the queue each came from.
    records: Vec<(u16, FlowRecord)>,
    /// Of these records.
    facts: FactStore,
    /// By queue: what its last box said; `None` while its answer is not complete.
    ends: Vec<Option<AnswerEnd>>,
    /// Queue and first packet, which name a record, of flows that ended since the question.
    ended: HashSet<(u16, u64)>,
    /// By queue: its last flows have arrived, and it has no others.
    has_last: Vec<bool>,
    is_given_up: bool,
    /// What has not come by now is not waited for.
    is_late: bool,
}

/// The live flows that were found.
pub struct LiveFound {
    /// With the queue each came from.
    pub flows: Vec<(u16, FoundFlow)>,
    /// Of those that were sent, how many had facts for which there was no room.
    pub facts_left_out: u64,
    /// All that fit.
    pub matched: FlowTotals,
    /// Flows that were looked at.
    pub looked_at: u64,
    /// Packet time of the queue that is furthest.
    pub time: Timestamp,
    /// All queues have answered.
    pub is_whole: bool,
}

impl Answers {
    /// A question to `queues` queues.
    pub fn new(query: Arc<FlowQuery>, purpose: Purpose, queues: usize) -> Self {
        Self {
            query: AwaitedQuery(query),
            purpose,
            records: Vec::new(),
            facts: FactStore::default(),
            ends: vec![None; queues],
            ended: HashSet::new(),
            has_last: vec![false; queues],
            is_given_up: false,
            is_late: false,
        }
    }

    /// What was asked.
    pub fn query(&self) -> &Arc<FlowQuery> {
        &self.query.0
    }

    /// What is to come of it.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Empties a box of answers; one to an older question says nothing.
    pub fn accept(&mut self, queue: u16, answer: &mut FlowAnswer) {
        if answer.query == self.query.0.id && !self.has_last[usize::from(queue)] && !self.is_given_up {
            for record in &answer.records {
                let facts = self.facts.insert(answer.facts.get(record.facts));
                self.records.push((queue, FlowRecord { facts, ..*record }));
            }
            self.ends[usize::from(queue)] = answer.end;
        }
        answer.clear();
    }

    /// Flows have ended meanwhile. Where they are the last ones, they take the place of what the queue has answered.
    pub fn note_ended(&mut self, queue: u16, ended: &EndedChunk) {
        if self.is_given_up {
            return;
        }
        self.ended.extend(ended.flows.iter().map(|flow| (queue, flow.record.first_packet)));
        if ended.last.is_some() && self.purpose == Purpose::Table {
            self.has_last[usize::from(queue)] = true;
            let Self { records, facts, .. } = self;
            records.retain(|(of, record)| {
                let is_kept = *of != queue;
                if !is_kept {
                    facts.remove(record.facts);
                }
                is_kept
            });
        }
        if self.ended.len() > ENDED_MAX {
            (self.is_given_up, self.ended, self.records) = (true, HashSet::new(), Vec::new());
            self.facts = FactStore::default();
        }
    }

    /// True when too many flows ended before all queues had answered.
    pub fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// Waits for no queue any more.
    pub fn stop_waiting(&mut self) {
        self.is_late = true;
    }

    /// True when nothing is waited for: all queues have answered, and what ended before their answers has arrived, too.
    pub fn is_complete(&self, inboxes: &[Inbox]) -> bool {
        self.is_late || matches!(self.purpose, Purpose::Flows { with_live: false, .. }) || self.has_all(inboxes)
    }

    fn has_all(&self, inboxes: &[Inbox]) -> bool {
        self.ends.iter().zip(&self.has_last).zip(inboxes).all(|((end, has_last), inbox)| {
            *has_last || inbox.is_finished() || end.is_some_and(|end| inbox.ended_boxes() >= end.ended_boxes)
        })
    }

    /// The records of flows that are still alive, with their queues and what is known of them.
    pub fn alive(&self) -> impl Iterator<Item = (u16, &FlowRecord, FactSet<'_>)> {
        let alive = self.records.iter().filter(|(queue, record)| !self.ended.contains(&(*queue, record.first_packet)));
        alive.map(|(queue, record)| (*queue, record, self.facts.get(record.facts)))
    }

    /// Records whose facts found no room.
    pub fn facts_left_out(&self) -> u64 {
        self.facts.left_out()
    }

    /// The live flows that were asked for. One that has ended meanwhile is not among them.
    pub fn found(self, inboxes: &[Inbox]) -> LiveFound {
        let with_live = matches!(self.purpose, Purpose::Flows { with_live: true, .. });
        let is_whole = !with_live || self.has_all(inboxes);
        let (mut matched, mut looked_at, mut time) = (FlowTotals::default(), 0_u64, Timestamp(0));
        for end in self.ends.iter().flatten() {
            matched += end.matched;
            looked_at = looked_at.saturating_add(end.looked_at);
            time = time.max(end.time);
        }
        let facts_left_out = self.facts_left_out();
        let Self { records, mut facts, ended, ends, .. } = self;
        let mut flows = Vec::with_capacity(records.len());
        for (queue, record) in records {
            let facts = facts.take(record.facts);
            if !ended.contains(&(queue, record.first_packet)) {
                flows.push((queue, FoundFlow::new(record, true, facts)));
            } else if ends[usize::from(queue)].is_some() {
                matched.remove(&FlowWeight::of(&record));
            }
        }
        LiveFound { flows, facts_left_out, matched, looked_at, time, is_whole }
    }
}
