//! What is known of flows beyond their records, on its way from the queues to answers and tables.

use super::*;
use crate::aggregate::FoundFlow;
use crate::aggregate::fact_store::FACT_BYTES_MAX;
use crate::flow::{FactBuffer, FactId, FactRef, FactSet, FactValue};

const SNI: FactId = FactId { object: 1, member: 0 };

fn sni(name: &[u8]) -> FactBuffer {
    let mut facts = FactBuffer::default();
    assert!(facts.text(SNI, name));
    facts
}

/// A queue's whole answer to question 1: flows of these sizes with these names, none where it is empty.
fn named(flows: &[(u64, &[u8])]) -> FlowAnswer {
    let sizes: Vec<u64> = flows.iter().map(|(size, _)| *size).collect();
    let FlowAnswer { records, end, .. } = found(&sizes, 0);
    let mut answer = FlowAnswer { query: 1, end, ..FlowAnswer::new() };
    for (record, (_, name)) in records.iter().zip(flows) {
        let facts = sni(name);
        answer.push(record, if name.is_empty() { FactSet::NONE } else { facts.facts() });
    }
    answer
}

/// The flows that were found, with their names.
fn names(event: Option<Event>) -> Vec<(u64, Option<Vec<u8>>)> {
    let Some(Event::Found(found)) = event else { panic!("flows are found") };
    let name = |flow: &FoundFlow| match flow.facts.facts().get(SNI) {
        Some(FactValue::Text(text)) => Some(text.to_vec()),
        _ => None,
    };
    assert!(found.flows.iter().all(|flow| flow.record.facts == FactRef::NONE), "their arena is gone");
    found.flows.iter().map(|flow| (flow.record.bytes[0], name(flow))).collect()
}

#[test]
fn what_is_known_of_a_flow_comes_with_it_whether_it_lives_or_has_ended() {
    let now = Instant::now();
    let mut aggregator = aggregator(1, false, now);
    let mut chunk = ended_flows(&[20, 30], 1, 3);
    let facts = chunk.facts.push(sni(b"ended").facts()).expect("room");
    chunk.flows[0].record.facts = facts;
    aggregator.accept(0, Mail::Ended(&mut chunk), now);
    assert_eq!(told(&mut aggregator, now), ["ended [20, 30]"]);
    let ask = |aggregator: &mut Aggregator, predicate| {
        assert!(aggregator.ask(&Arc::new(FlowQuery { limit: 9, predicate, ..FlowQuery::all(1) }), BOTH));
        aggregator.accept(0, Mail::Answer(&mut named(&[(50, b"alive"), (40, b"")])), now);
        names(aggregator.poll(now))
    };
    let some = |name: &[u8]| Some(name.to_vec());
    assert_eq!(ask(&mut aggregator, None), [(50, some(b"alive")), (40, None), (30, None), (20, some(b"ended"))]);
    // Those that ended are looked at here, live ones where they are.
    let filter = crate::query::FlowFilter::parse("sni:ended").expect("a filter");
    let found = ask(&mut aggregator, filter.predicate(crate::query::RecordContext::default()));
    assert_eq!(found, [(50, some(b"alive")), (40, None), (20, some(b"ended"))]);
}

#[test]
fn an_answer_has_so_many_bytes_of_facts_and_no_more() {
    let now = Instant::now();
    let mut aggregator = aggregator(1, false, now);
    let (name, fit) = ([b'x'; 4000], FlowsFound::FACT_BYTES_MAX / 4005);
    let flows: Vec<(u64, &[u8])> = (1..=fit as u64 + 4).map(|size| (size, &name[..])).collect();
    assert!(aggregator.ask(&Arc::new(FlowQuery { limit: 100, ..FlowQuery::all(1) }), LIVE));
    aggregator.accept(0, Mail::Answer(&mut named(&flows)), now);
    let Some(Event::Found(found)) = aggregator.poll(now) else { panic!("flows are found") };
    let (best, rest) = found.flows.split_at(fit);
    assert!(best.iter().all(|flow| flow.facts.facts() == sni(&name).facts()), "the best have theirs");
    assert!(rest.iter().all(|flow| flow.facts.facts().is_empty()));
    assert_eq!((rest.len(), found.facts_left_out), (4, 4));
}

#[test]
fn live_flows_have_their_facts_in_a_table() {
    let now = Instant::now();
    let mut aggregator = aggregator(1, false, now);
    assert!(aggregator.ask(&Arc::new(FlowQuery::all(1)), Purpose::Table));
    aggregator.accept(0, Mail::Answer(&mut named(&[(50, b"alive"), (40, b"")])), now);
    let Some(Event::Table(table)) = aggregator.poll(now) else { panic!("a table") };
    let names: Vec<_> = (0..table.len()).map(|index| table.facts(index).get(SNI)).collect();
    assert_eq!(names, [Some(FactValue::Text(b"alive")), None]);
}

#[test]
fn live_flows_of_a_table_whose_facts_find_no_room_are_counted() {
    let now = Instant::now();
    let mut aggregator = aggregator(1, false, now);
    assert!(aggregator.ask(&Arc::new(FlowQuery::all(1)), Purpose::Table));
    let (long, kept) = ([b'x'; 4000], FACT_BYTES_MAX / 4005);
    let flows: Vec<(u64, &[u8])> = (1..=256).map(|size| (size, &long[..])).collect();
    for _ in 0..2 {
        let mut answer = FlowAnswer { end: None, ..named(&flows) };
        aggregator.accept(0, Mail::Answer(&mut answer), now);
        assert!(
            answer.records.is_empty() && answer.facts.get(FactRef::to_index(0).expect("a place")).is_empty(),
            "it is empty again"
        );
    }
    aggregator.accept(0, Mail::Answer(&mut named(&[])), now);
    let Some(Event::Table(table)) = aggregator.poll(now) else { panic!("a table") };
    assert_eq!((0..table.len()).filter(|&index| !table.facts(index).is_empty()).count(), kept);
    aggregator.sum_up();
    assert_eq!(aggregator.summary.facts_left_out, 512 - kept as u64);
}

#[test]
fn the_facts_of_one_half_are_those_of_the_flow() {
    let now = Instant::now();
    let mut aggregator = aggregator(2, false, now);
    aggregator.shown_queues = Some(Vec::new());
    let one = FlowRecord { key: tcp_record().key, ..with_bytes(30) };
    let other = FlowRecord { bytes: [0, 5], first_packet: 77, ..one };
    assert!(aggregator.ask(&Arc::new(FlowQuery { limit: 9, ..FlowQuery::all(1) }), LIVE));
    for (queue, (half, facts)) in [(one, FactBuffer::default()), (other, sni(b"of the other"))].iter().enumerate() {
        let mut answer = found(&[], 0);
        answer.push(half, facts.facts());
        aggregator.accept(queue, Mail::Answer(&mut answer), now);
    }
    assert_eq!(names(aggregator.poll(now)), [(30, Some(b"of the other".to_vec()))]);
}
