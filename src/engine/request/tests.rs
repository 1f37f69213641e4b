//! Questions and their answers, over flows that lie in a list.

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
    let predicate = Predicate::new(|record, _| record.first_packet % 3 == 0);
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
    let predicate = Predicate::new(|_, facts| matches!(facts.get(NUMBER), Some(FactValue::Number(number)) if number % 5 == 0));
    for limit in [0, 10_000] {
        let query = FlowQuery { predicate: Some(predicate.clone()), limit, ..FlowQuery::all(0) };
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
