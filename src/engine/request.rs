//! Requests to a worker: questions about the flows in its table, which it answers, and which flows a tap is
//! to follow.
//!
//! Owns the question under way and how far it has come. Knows no table but by its places. Invariants: one batch looks at a bounded
//! number of places, and a question that finds no empty box waits without holding up a packet; each flow that lived from the
//! question's beginning to its end is looked at once; a question that is over costs no more looks.

use super::mailbox::{Parker, Receiver, Sender, mailbox_to};
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

/// Says of a record, with what is known of its flow, whether it is asked for.
pub type Predicate = Arc<dyn Fn(&FlowRecord, FactSet<'_>) -> bool + Send + Sync>;

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
        self.predicate.as_ref().is_none_or(|predicate| predicate(record, facts))
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
    /// What it answers.
    pub answers: Receiver<FlowAnswer>,
}

impl RequestSender {
    /// Asks; false when too many requests wait already.
    pub fn ask(&self, query: &Arc<FlowQuery>) -> bool {
        self.requests.push(WorkerRequest::Flows(Arc::clone(query))).is_ok()
    }

    /// Tells which flows tap number `tap` of [`EngineSettings::taps`](super::EngineSettings::taps) is to
    /// follow from now on, in place of those before; no effect on a tap that follows none. It is heard once
    /// the questions before it are answered. False when too many requests wait already.
    pub fn select_tap_flows(&self, tap: usize, flows: &TapFlows) -> bool {
        self.requests.push(WorkerRequest::Tap(tap, flows.clone())).is_ok()
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
    (RequestSender { requests: Arc::clone(&requests), answers }, RequestReceiver { requests, answers: sender, cursor: None })
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
mod tests {
    use super::*;
    use crate::flow::{FactBuffer, FactId, FactValue};
    use crate::record::test_records::udp6_record;

    /// The fact of every second flow: its place.
    const NUMBER: FactId = FactId { object: 0, member: 0 };

    /// A table with a flow at every second place.
    struct Table(u32);

    impl LiveFlows for Table {
        fn live_records(&self, from: u32, look_max: u32, visitor: &mut dyn FlowVisitor) -> Option<u32> {
            let end = self.0.min(from + look_max);
            (from..end).filter(|place| place % 2 == 1).for_each(|place| {
                let number = u64::from(place);
                let record = FlowRecord { first_packet: number, bytes: [number * 7919 % 1009, 0], ..udp6_record() };
                if visitor.wants(&FlowWeight::of(&record)) {
                    let mut facts = FactBuffer::default();
                    assert!(place % 4 == 1 || facts.number(NUMBER, number));
                    visitor.visit(&record, facts.facts());
                }
            });
            (end < self.0).then_some(end)
        }

        fn now(&self) -> Timestamp {
            Timestamp(99)
        }

        fn flush_ended(&mut self) -> u64 {
            17
        }

        fn select_tap_flows(&mut self, _tap: usize, _flows: &TapFlows) {}
    }

    /// Sums up the flows that a question wants.
    struct Everything<'a>(&'a FlowQuery, &'a mut FlowTotals);

    impl FlowVisitor for Everything<'_> {
        fn visit(&mut self, record: &FlowRecord, facts: FactSet<'_>) {
            if self.0.wants(record, facts) {
                self.1.add(&FlowWeight::of(record));
            }
        }
    }

    /// The records of a whole answer, and how many calls it took.
    fn answered(query: FlowQuery, places: u32, idle: bool) -> (Vec<FlowRecord>, u32) {
        let (sender, mut receiver) = requests(&Arc::default());
        assert!(!receiver.is_asked());
        assert!(sender.ask(&Arc::new(query.clone())));
        let (mut records, mut calls) = (Vec::new(), 0);
        loop {
            if receiver.is_asked() {
                receiver.answer(&mut Table(places), idle);
                calls += 1;
            }
            let Some(mut answer) = sender.answers.receive() else { continue };
            for record in answer.records.drain(..) {
                let expected = (record.first_packet % 4 == 3).then_some(FactValue::Number(record.first_packet));
                assert_eq!(answer.facts.get(record.facts).get(NUMBER), expected);
                records.push(FlowRecord { facts: FactRef::NONE, ..record });
            }
            let end = answer.end;
            sender.answers.give_back(answer);
            if let Some(AnswerEnd { ended_boxes, matched, looked_at, time }) = end {
                assert_eq!((ended_boxes, receiver.is_asked()), (17, false));
                assert_eq!((looked_at, time), (u64::from(places / 2), Timestamp(99)));
                let mut all = FlowTotals::default();
                Table(places).live_records(0, places, &mut Everything(&query, &mut all));
                assert_eq!(matched, all, "whatever is among the best");
                return (records, calls);
            }
        }
    }

    #[test]
    fn all_flows_come_once_however_large_the_table() {
        for places in [0, 1, 2, 255, 256, 257, 100_000] {
            for idle in [false, true] {
                let (records, calls) = answered(FlowQuery::all(3), places, idle);
                let numbers: Vec<u64> = records.iter().map(|record| record.first_packet).collect();
                assert_eq!(numbers, (0..u64::from(places)).filter(|place| place % 2 == 1).collect::<Vec<_>>(), "{places}");
                assert!(idle || calls >= places.div_ceil(LOOK_MAX), "each call looks at few places: {calls}");
            }
        }
    }

    #[test]
    fn the_best_are_chosen_and_a_predicate_heard() {
        let predicate: Predicate = Arc::new(|record, _| record.first_packet % 3 == 0);
        let query = FlowQuery { predicate: Some(predicate), limit: 300, ..FlowQuery::all(0) };
        let (mut records, _) = answered(query.clone(), 10_000, false);
        query.choose(&mut records);
        let everything = FlowQuery { limit: 0, ..query.clone() };
        let (mut expected, _) = answered(everything, 10_000, false);
        query.choose(&mut expected);
        assert_eq!(records.len(), 300);
        assert!(records == expected && records.is_sorted_by_key(|record| Reverse(record.bytes[0])));
    }

    #[test]
    fn a_predicate_is_told_what_is_known_of_a_flow() {
        let predicate: Predicate =
            Arc::new(|_, facts| matches!(facts.get(NUMBER), Some(FactValue::Number(number)) if number % 5 == 0));
        for limit in [0, 10_000] {
            let query = FlowQuery { predicate: Some(Arc::clone(&predicate)), limit, ..FlowQuery::all(0) };
            let (mut records, _) = answered(query, 2000, true);
            records.sort_unstable_by_key(|record| record.first_packet);
            assert!(records.iter().map(|record| record.first_packet).eq((15..2000).step_by(20)));
        }
    }

    #[test]
    fn a_box_has_room_for_the_facts_of_all_its_records() {
        let (mut answer, mut facts) = (FlowAnswer::new(), FactBuffer::default());
        assert!(facts.text(NUMBER, &[b'x'; FACTS_LEN_MAX - 5]));
        for _ in 0..2 {
            (0..FlowAnswer::CAPACITY).for_each(|_| answer.push(&udp6_record(), facts.facts()));
            assert!(answer.records.iter().all(|record| answer.facts.get(record.facts) == facts.facts()));
            answer.clear();
        }
    }

    #[test]
    fn without_a_box_the_question_waits() {
        let (sender, mut receiver) = requests(&Arc::default());
        assert!(sender.ask(&Arc::new(FlowQuery::all(0))));
        (0..100).for_each(|_| receiver.answer(&mut Table(100_000), true));
        assert!(receiver.is_asked());
        let taken = std::iter::from_fn(|| sender.answers.receive()).count();
        assert_eq!(taken, ANSWER_BOXES);
        assert!((0..REQUESTS_MAX).all(|_| sender.ask(&Arc::new(FlowQuery::all(1)))));
        assert!(!sender.ask(&Arc::new(FlowQuery::all(2))), "too many wait");
    }

    #[test]
    fn a_question_that_is_over_is_looked_at_no_further() {
        for limit in [0, 100] {
            let (sender, mut receiver) = requests(&Arc::default());
            let queries = [0, 1, 2].map(|id| Arc::new(FlowQuery { limit, ..FlowQuery::all(id) }));
            queries.iter().for_each(|query| assert!(sender.ask(query)));
            (0..3).for_each(|_| receiver.answer(&mut Table(100_000), false));
            queries[..2].iter().for_each(|query| query.give_up());
            // One call for each that is over: the one under way, and the one that had not begun.
            (0..2).for_each(|_| receiver.answer(&mut Table(100_000), false));
            assert!(receiver.is_asked());
            let (mut looked_at, mut calls) = (0, 0);
            while receiver.is_asked() {
                receiver.answer(&mut Table(100_000), true);
                calls += 1;
                while let Some(answer) = sender.answers.receive() {
                    assert!(answer.query == 2 || answer.query == 0 && answer.end.is_none(), "limit {limit}: {answer:?}");
                    looked_at += answer.end.map_or(0, |end| end.looked_at);
                    sender.answers.give_back(answer);
                }
                assert!(calls < 1000, "all boxes are there again");
            }
            assert_eq!(looked_at, 50_000);
        }
    }
}
