//! The answers of all queues to a question about live flows, while they come in.
//!
//! Owns the records of one question. Knows no table. Invariant: a flow that ended while the question was under way is among the ended
//! ones or among the answers, never in both.

use super::merge::Inbox;
use crate::engine::{EndedChunk, FlowAnswer, FlowQuery};
use crate::flow::FlowRecord;
use std::collections::HashSet;
use std::sync::Arc;

/// Flows that may end while a question is open, 1,048,576 (about 40 MiB): a queue whose worker stands still keeps it open. With more
/// it is given up.
const ENDED_MAX: usize = 1 << 20;

/// What is to come of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// [`Event::Answer`](super::Event::Answer): the records that were asked for.
    Records,
    /// [`Event::Table`](super::Event::Table): the table of all flows, those that ended and are kept for the exports included.
    Table,
}

/// A question under way.
pub struct Answers {
    query: Arc<FlowQuery>,
    purpose: Purpose,
    /// With the queue each came from.
    records: Vec<(u16, FlowRecord)>,
    /// By queue: how many boxes of ended flows belong to its answer; `None` while it is not complete.
    ended_boxes: Vec<Option<u64>>,
    /// Queue and first packet, which name a record, of flows that ended since the question.
    ended: HashSet<(u16, u64)>,
    /// By queue: its last flows have arrived, and it has no others.
    has_last: Vec<bool>,
    is_given_up: bool,
}

impl Answers {
    /// A question to `queues` queues.
    pub fn new(query: Arc<FlowQuery>, purpose: Purpose, queues: usize) -> Self {
        Self {
            query,
            purpose,
            records: Vec::new(),
            ended_boxes: vec![None; queues],
            ended: HashSet::new(),
            has_last: vec![false; queues],
            is_given_up: false,
        }
    }

    /// What is to come of it.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Empties a box of answers; one to an older question says nothing.
    pub fn accept(&mut self, queue: u16, answer: &mut FlowAnswer) {
        if answer.query == self.query.id && !self.has_last[usize::from(queue)] && !self.is_given_up {
            self.records.extend(answer.records.drain(..).map(|record| (queue, record)));
            self.ended_boxes[usize::from(queue)] = answer.ended_boxes;
        }
        answer.records.clear();
    }

    /// Flows have ended meanwhile. Where they are the last ones, they take the place of what the queue has answered.
    pub fn note_ended(&mut self, queue: u16, ended: &EndedChunk) {
        if self.is_given_up {
            return;
        }
        self.ended.extend(ended.flows.iter().map(|flow| (queue, flow.record.first_packet)));
        if ended.last.is_some() && self.purpose == Purpose::Table {
            self.has_last[usize::from(queue)] = true;
            self.records.retain(|(of, _)| *of != queue);
        }
        if self.ended.len() > ENDED_MAX {
            (self.is_given_up, self.ended, self.records) = (true, HashSet::new(), Vec::new());
        }
    }

    /// True when too many flows ended before all queues had answered.
    pub fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// True when all queues have answered, and what ended before their answers has arrived, too.
    pub fn is_complete(&self, inboxes: &[Inbox]) -> bool {
        self.ended_boxes.iter().zip(&self.has_last).zip(inboxes).all(|((boxes, has_last), inbox)| {
            *has_last || inbox.is_finished() || boxes.is_some_and(|boxes| inbox.ended_boxes() >= boxes)
        })
    }

    /// The records of flows that are still alive, with their queues.
    pub fn alive(&self) -> impl Iterator<Item = &(u16, FlowRecord)> {
        self.records.iter().filter(|(queue, record)| !self.ended.contains(&(*queue, record.first_packet)))
    }

    /// The records that were asked for.
    pub fn chosen(self) -> Vec<FlowRecord> {
        let mut records = self.records.into_iter().map(|(_, record)| record).collect();
        self.query.choose(&mut records);
        records
    }
}
