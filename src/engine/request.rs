//! Requests to a worker: questions about the flows in its table, which it answers, and which flows a tap is
//! to follow.
//!
//! Owns the question under way and how far it has come. Knows no table but by its places. Invariants: one batch looks at a bounded
//! number of places, and a question that finds no empty box waits without holding up a packet; each flow that lived from the
//! question's beginning to its end is looked at once; a question that is over costs no more looks.

use super::mailbox::{Parker, Receiver, Sender, mailbox_to};
use super::scheduler::WorkerBell;
use super::{BestFlows, FlowTotals, SortKey, TapFlows};
use crate::flow::{FACTS_LEN_MAX, FactArena, FactRef, FactSet, FlowFacts, FlowRecord, FlowVisitor, FlowWeight};
use crossbeam_queue::ArrayQueue;
use netscope_backends::Timestamp;
use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Places that are looked at after a batch, and after a poll: some µs, less than a batch takes.
const LOOK_MAX: u32 = 32;
/// The same after a poll that lent less than a batch, and where no ring waits: less than half a millisecond.
const IDLE_LOOK_MAX: u32 = 1024;
/// Records of the best that are put into boxes where there is no time; a box of them where there is.
const SEND_MAX: usize = 8;
/// Requests that may wait for one worker.
const REQUESTS_MAX: usize = 4;
/// Boxes of answers under way per queue.
const ANSWER_BOXES: usize = 8;
/// Most records that a question for the best ones gets from each queue. With [`FACTS_LEN_MAX`] of facts each they take 45 MB there.
const LIMIT_MAX: usize = 10_000;

type FlowTest = dyn Fn(&FlowRecord, FactSet<'_>) -> bool + Send + Sync;

/// Says of a record, with what is known of its flow, whether it is asked for.
#[derive(Clone)]
pub struct Predicate {
    test: Arc<FlowTest>,
    asks_for_told: bool,
}

impl Predicate {
    /// One that may ask for anything.
    pub fn new(test: impl Fn(&FlowRecord, FactSet<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self { test: Arc::new(test), asks_for_told: true }
    }

    /// The same, which asks for what other flows told of a flow (its `app` facts) only if `asks`.
    #[must_use]
    pub fn with_told(self, asks: bool) -> Self {
        Self { asks_for_told: asks, ..self }
    }

    /// False where what other flows told of a flow changes nothing.
    pub const fn asks_for_told(&self) -> bool {
        self.asks_for_told
    }

    /// True when this flow is asked for.
    pub fn is_true(&self, record: &FlowRecord, facts: FactSet<'_>) -> bool {
        (self.test)(record, facts)
    }
}

/// A question about live flows. Their records are as if the run ended now.
#[derive(Clone)]
pub struct FlowQuery {
    /// Tells this question's answers from those to others.
    pub id: u64,
    /// Which flows; `None`: all.
    pub predicate: Option<Predicate>,
    /// By what they are chosen where there are more than `limit`.
    pub sort: SortKey,
    /// How many at most, best first; 0: all of them, in no order. Above 10,000 it counts as that.
    pub limit: usize,
    /// Nobody awaits an answer any more; shared by all copies. Set (Relaxed) by [`FlowQuery::give_up`], read (Relaxed) by
    /// [`FlowQuery::is_over`]: it carries no data, and a worker that sees it late looks at some more places.
    pub over: Arc<AtomicBool>,
}

impl FlowQuery {
    /// A question for all live flows.
    pub fn all(id: u64) -> Self {
        Self { id, predicate: None, sort: SortKey::Bytes, limit: 0, over: Arc::default() }
    }

    /// From now on no worker looks for an answer.
    pub fn give_up(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// True when nobody awaits an answer.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// True when this flow is asked for.
    pub fn wants(&self, record: &FlowRecord, facts: FactSet<'_>) -> bool {
        self.predicate.as_ref().is_none_or(|predicate| predicate.is_true(record, facts))
    }

    /// Brings the best live records of all queues together: best first, no more than were asked for.
    pub fn choose(&self, records: &mut Vec<FlowRecord>) {
        if self.limit > 0 {
            records.sort_unstable_by_key(|record| (Reverse(self.sort.of(record, true)), record.key, record.first_packet));
            records.truncate(self.limit);
        }
    }
}

impl fmt::Debug for FlowQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, predicate, sort, limit, over } = self;
        let (id, chosen) = (id, predicate.is_some());
        f.debug_struct("FlowQuery")
            .field("id", id)
            .field("has_predicate", &chosen)
            .field("sort", sort)
            .field("limit", limit)
            .field("over", over)
            .finish()
    }
}

/// A box of records that answer a question.
#[derive(Debug)]
pub struct FlowAnswer {
    /// Which question.
    pub query: u64,
    /// The records. Their facts are in `facts`.
    pub records: Vec<FlowRecord>,
    /// Facts of these records; there is room for those of all.
    pub facts: FactArena,
    /// In the last box.
    pub end: Option<AnswerEnd>,
}

/// What the last box of an answer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerEnd {
    /// How many boxes of ended flows this queue has begun. What is in them had ended before the answer was complete; nothing that
    /// ended before is in a later one.
    pub ended_boxes: u64,
    /// All flows that fit, those included that are not among the best. Each as it was when it was looked at.
    pub matched: FlowTotals,
    /// Live flows that were looked at.
    pub looked_at: u64,
    /// Packet time on this queue.
    pub time: Timestamp,
}

impl FlowAnswer {
    /// Records that fit into one box.
    pub const CAPACITY: usize = 256;

    /// Bytes of facts in a box, 1 MiB: of each record its facts and their length, which takes two more.
    const FACTS_MAX: usize = Self::CAPACITY * (FACTS_LEN_MAX + 2);

    /// An empty box.
    pub fn new() -> Self {
        Self { query: 0, records: Vec::with_capacity(Self::CAPACITY), facts: FactArena::new(Self::FACTS_MAX), end: None }
    }

    /// Puts a record in, of at most [`Self::CAPACITY`].
    pub fn push(&mut self, record: &FlowRecord, facts: FactSet<'_>) {
        // There is room: a record's facts are no longer.
        let facts = self.facts.push(facts).unwrap_or(FactRef::NONE);
        self.records.push(FlowRecord { facts, ..*record });
    }

    /// Forgets the records and their facts; keeps the memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.facts.clear();
    }
}

impl Default for FlowAnswer {
    fn default() -> Self {
        Self::new()
    }
}

/// What one worker is asked for.
enum WorkerRequest {
    Flows(Arc<FlowQuery>),
    /// Which flows one of the engine's taps is to follow.
    Tap(usize, TapFlows),
}

/// Who asks one queue.
pub struct RequestSender {
    requests: Arc<ArrayQueue<WorkerRequest>>,
    /// Wakes the worker where it waits for others.
    bell: Option<WorkerBell>,
    /// What it answers.
    pub answers: Receiver<FlowAnswer>,
}

impl RequestSender {
    /// The same for a worker that waits for others, who is woken by `bell`.
    #[must_use]
    pub(super) fn with_bell(self, bell: Option<WorkerBell>) -> Self {
        Self { bell, ..self }
    }

    /// Asks; false when too many requests wait already.
    pub fn ask(&self, query: &Arc<FlowQuery>) -> bool {
        self.send(WorkerRequest::Flows(Arc::clone(query)))
    }

    /// Tells which flows tap number `tap` of [`EngineSettings::taps`](super::EngineSettings::taps) is to
    /// follow from now on, in place of those before; no effect on a tap that follows none. It is heard once
    /// the questions before it are answered. False when too many requests wait already.
    pub fn select_tap_flows(&self, tap: usize, flows: &TapFlows) -> bool {
        self.send(WorkerRequest::Tap(tap, flows.clone()))
    }

    fn send(&self, request: WorkerRequest) -> bool {
        let is_taken = self.requests.push(request).is_ok();
        self.bell.iter().for_each(WorkerBell::ring);
        is_taken
    }
}

/// The worker's side: takes requests and answers questions, a part after each batch and each poll.
pub struct RequestReceiver {
    requests: Arc<ArrayQueue<WorkerRequest>>,
    answers: Sender<FlowAnswer>,
    cursor: Option<Cursor>,
}

/// Both sides, the asking one being woken through `parker`.
pub fn requests(parker: &Arc<Parker>) -> (RequestSender, RequestReceiver) {
    let requests = Arc::new(ArrayQueue::new(REQUESTS_MAX));
    let (sender, answers) = mailbox_to(parker, ANSWER_BOXES, FlowAnswer::new);
    let asking = RequestSender { requests: Arc::clone(&requests), bell: None, answers };
    (asking, RequestReceiver { requests, answers: sender, cursor: None })
}

/// Where live flows lie by place, what is known of those that ended, and whose packets are copied.
pub trait LiveFlows {
    /// Looks at up to `look_max` places from `from` on and shows the live flows there; the place after them, `None` behind the last
    /// one.
    fn live_records(&self, from: u32, look_max: u32, visitor: &mut dyn FlowVisitor) -> Option<u32>;

    /// Packet time now.
    fn now(&self) -> Timestamp;

    /// Sends what ended so far, if there is a box for it; boxes of ended flows begun so far.
    fn flush_ended(&mut self) -> u64;

    /// From now on this tap follows these flows.
    fn select_tap_flows(&mut self, tap: usize, flows: &TapFlows);
}

/// A question under way.
struct Cursor {
    query: Arc<FlowQuery>,
    /// The next place to look at; `None` when all were.
    place: Option<u32>,
    /// The best so far; empty where all are wanted.
    best: BestFlows<FlowFacts>,
    matched: FlowTotals,
    looked_at: u64,
    open: Option<Box<FlowAnswer>>,
}

/// What is done with flows that are looked at.
struct Looking<'a> {
    query: &'a FlowQuery,
    best: &'a mut BestFlows<FlowFacts>,
    /// Where all are sent: here.
    all: Option<&'a mut FlowAnswer>,
    matched: &'a mut FlowTotals,
    looked_at: &'a mut u64,
}

impl FlowVisitor for Looking<'_> {
    #[inline]
    fn wants(&mut self, weight: &FlowWeight) -> bool {
        *self.looked_at += 1;
        if self.query.predicate.is_some() {
            return true;
        }
        self.matched.add(weight);
        self.all.is_some() || self.query.sort.of_weight(weight).is_none_or(|value| self.best.may_take(value, &weight.key))
    }

    fn visit(&mut self, record: &FlowRecord, facts: FactSet<'_>) {
        let Self { query, best, all, matched, .. } = self;
        if query.predicate.is_some() {
            if !query.wants(record, facts) {
                return;
            }
            matched.add(&FlowWeight::of(record));
        }
        match all {
            Some(all) => all.push(record, facts),
            None => best.take(query.sort.of(record, true), record, || facts.into()),
        }
    }
}

impl RequestReceiver {
    /// True when there is a request: the next poll is not to wait long.
    #[inline]
    pub fn is_asked(&self) -> bool {
        self.cursor.is_some() || !self.requests.is_empty()
    }

    /// True when there is more to do at once: a question is under way and has a box for what it finds.
    pub fn goes_on(&self) -> bool {
        self.is_asked() && !self.answers.is_out()
    }

    /// Does what is asked next, if anything; of a question a part, a larger one where there is time.
    #[cold]
    pub fn answer(&mut self, flows: &mut impl LiveFlows, has_time: bool) {
        let mut cursor = match self.cursor.take() {
            Some(cursor) => cursor,
            None => match self.requests.pop() {
                Some(WorkerRequest::Flows(query)) => Cursor::new(query),
                Some(WorkerRequest::Tap(tap, selected)) => return flows.select_tap_flows(tap, &selected),
                None => return,
            },
        };
        if cursor.query.is_over() {
            return cursor.stop(&self.answers);
        }
        let (look_max, send_max) = if has_time { (IDLE_LOOK_MAX, FlowAnswer::CAPACITY) } else { (LOOK_MAX, SEND_MAX) };
        let is_done = if cursor.query.limit == 0 {
            cursor.send_all(&self.answers, flows, look_max)
        } else {
            cursor.look_for_best(flows, look_max) && cursor.send_best(&self.answers, send_max)
        };
        if !is_done || !cursor.send_end(&self.answers, flows) {
            self.cursor = Some(cursor);
        }
    }
}

impl Cursor {
    fn new(query: Arc<FlowQuery>) -> Self {
        let best = BestFlows::new(query.limit.min(LIMIT_MAX));
        Self { query, place: Some(0), best, matched: FlowTotals::default(), looked_at: 0, open: None }
    }

    /// The box that is being filled, or an empty one; `None` while there is none.
    fn open(&mut self, answers: &Sender<FlowAnswer>) -> Option<&mut FlowAnswer> {
        if self.open.is_none() {
            let mut open = answers.try_take()?;
            open.clear();
            (open.query, open.end) = (self.query.id, None);
            self.open = Some(open);
        }
        self.open.as_deref_mut()
    }

    fn send_if_full(&mut self, answers: &Sender<FlowAnswer>) {
        if let Some(full) = self.open.take_if(|open| open.records.len() == FlowAnswer::CAPACITY) {
            answers.send(full);
        }
    }

    /// Sends records as they are found; true when all places were looked at.
    fn send_all(&mut self, answers: &Sender<FlowAnswer>, flows: &impl LiveFlows, look_max: u32) -> bool {
        let mut left = look_max;
        while left > 0
            && let Some(place) = self.place
        {
            if self.open(answers).is_none() {
                return false;
            }
            let Self { query, best, matched, looked_at, open: Some(open), .. } = self else { return false };
            let room = (FlowAnswer::CAPACITY - open.records.len()) as u32;
            let looked = room.min(left);
            let all = Some(&mut **open);
            self.place = flows.live_records(place, looked, &mut Looking { query, best, all, matched, looked_at });
            left -= looked;
            self.send_if_full(answers);
        }
        self.place.is_none()
    }

    /// Keeps the best records found; true when all places were looked at.
    fn look_for_best(&mut self, flows: &impl LiveFlows, look_max: u32) -> bool {
        let Self { query, place, best, matched, looked_at, .. } = self;
        let Some(from) = *place else { return true };
        *place = flows.live_records(from, look_max, &mut Looking { query, best, all: None, matched, looked_at });
        place.is_none()
    }

    /// Sends up to `send_max` of the best records; true when all were sent.
    fn send_best(&mut self, answers: &Sender<FlowAnswer>, send_max: usize) -> bool {
        for _ in 0..send_max {
            if self.best.is_empty() {
                break;
            }
            if self.open(answers).is_none() {
                return false;
            }
            if let (Some((record, facts)), Some(open)) = (self.best.pop(), &mut self.open) {
                open.push(&record, facts.facts());
            }
            self.send_if_full(answers);
        }
        self.best.is_empty()
    }

    /// Looks no further. The box that was being filled goes back.
    fn stop(&mut self, answers: &Sender<FlowAnswer>) {
        if let Some(open) = self.open.take() {
            answers.send(open);
        }
    }

    /// Sends the last box; false while there is none.
    fn send_end(&mut self, answers: &Sender<FlowAnswer>, flows: &mut impl LiveFlows) -> bool {
        if self.open(answers).is_none() {
            return false;
        }
        if let Some(mut last) = self.open.take() {
            let (matched, looked_at, time) = (self.matched, self.looked_at, flows.now());
            last.end = Some(AnswerEnd { ended_boxes: flows.flush_ended(), matched, looked_at, time });
            answers.send(last);
        }
        true
    }
}

#[cfg(test)]
mod tests;
