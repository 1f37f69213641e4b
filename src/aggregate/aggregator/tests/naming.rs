//! Passive DNS: names that queues were told, and the flows that get them.

use super::*;
use crate::engine::AddressName;
use crate::flow::{FactSet, FactValue};
use crate::record::{OTHERS_NAME, asked_name};

/// Some 100 names are kept.
fn naming(count: u16) -> AggregateSettings {
    AggregateSettings { address_names_max: usize::from(count), ..settings() }
}

/// A box in which the client of [`udp6_record`] was told names of its server at these events, and flows ended at those.
fn told_names(names: &[(u64, &str)], flows: &[u64], through: u64) -> EndedChunk {
    let mut chunk = ended(flows, through);
    let record = udp6_record();
    let (client, address) = (record.key.source(record.client()).0, record.key.destination(record.client()).0);
    for &(event, name) in names {
        assert!(chunk.names.push(AddressName { event, time: Timestamp(0), client, address }, name.as_bytes()));
    }
    chunk
}

fn text(facts: FactSet<'_>) -> String {
    match facts.get(OTHERS_NAME) {
        Some(FactValue::Text(name)) => String::from_utf8(name.to_vec()).expect("ASCII"),
        _ => String::new(),
    }
}

/// The names of the flows that ended, with the numbers of these.
fn ended_names(aggregator: &mut Aggregator, now: Instant) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    while let Some(event) = aggregator.poll(now) {
        if let Event::Ended(records) = event {
            found.extend(records.iter().map(|(record, facts)| (record.first_packet, text(facts))));
        }
    }
    found
}

#[test]
fn what_one_queue_was_told_names_flows_of_another_by_the_order_of_both() {
    let now = Instant::now();
    for turned in [false, true] {
        let setup = QueueSetup { count: 2, may_be_split: false, waits: true };
        let mut aggregator = Aggregator::new(naming(100), ALL, setup, now);
        let boxes = [told_names(&[(3, "three"), (7, "seven"), (20, "late")], &[], 12), told_names(&[], &[2, 5, 9, 11], 15)];
        let mut boxes: Vec<_> = boxes.into_iter().enumerate().collect();
        if turned {
            boxes.reverse();
        }
        let mut found = Vec::new();
        for (queue, chunk) in &mut boxes {
            aggregator.accept(*queue, Mail::Ended(chunk), now);
            assert!(chunk.names.is_empty(), "the box is empty again");
            found.extend(ended_names(&mut aggregator, now));
        }
        let expected = [(2, ""), (5, "three"), (9, "seven"), (11, "seven")];
        assert_eq!(found, expected.map(|(number, name)| (number, name.to_owned())));
    }
}

#[test]
fn live_flows_have_names_in_answers_and_in_tables_and_keep_what_they_told() {
    let now = Instant::now();
    let setup = QueueSetup { count: 1, may_be_split: false, waits: false };
    let mut aggregator = Aggregator::new(naming(100), ALL, setup, now);
    aggregator.accept(0, Mail::Ended(&mut told_names(&[(3, "three")], &[], 12)), now);
    assert!(told(&mut aggregator, now).is_empty());
    let answer = || {
        let mut answer = found(&[], 1);
        for (size, name) in [(20, ""), (10, "own")] {
            let mut facts = crate::flow::FactBuffer::default();
            assert!(facts.text(crate::record::ASKED_NAMES[0], name.as_bytes()));
            let record = with_bytes(size);
            answer.push(&record, if name.is_empty() { FactSet::NONE } else { facts.facts() });
        }
        answer
    };
    assert!(aggregator.ask(&Arc::new(FlowQuery { limit: 9, ..FlowQuery::all(1) }), LIVE));
    aggregator.accept(0, Mail::Answer(&mut answer()), now);
    let Some(Event::Found(flows)) = aggregator.poll(now) else { panic!("flows are found") };
    let names: Vec<_> = flows.flows.iter().map(|flow| asked_name(flow.facts.facts()).expect("a name")).collect();
    assert_eq!(names, [b"three".as_slice(), b"own"]);
    assert!(aggregator.ask(&Arc::new(FlowQuery::all(1)), Purpose::Table));
    aggregator.accept(0, Mail::Answer(&mut answer()), now);
    let Some(Event::Table(table)) = aggregator.poll(now) else { panic!("a table") };
    let names: Vec<_> = (0..table.len()).map(|index| asked_name(table.facts(index)).expect("a name")).collect();
    assert_eq!(names, [b"three".as_slice(), b"own"]);
}

#[test]
fn flows_alive_until_the_end_share_the_facts_of_their_name() {
    let now = Instant::now();
    for wants in [ALL, Wants { table: true, ..Wants::default() }] {
        let setup = QueueSetup { count: 1, may_be_split: false, waits: true };
        let mut aggregator = Aggregator::new(naming(100), wants, setup, now);
        let last = synthetic(50, &FlowSettings::default()).table.finish(&mut |_, _| {});
        let mut chunk = ended(&[], u64::MAX);
        for record in last.records() {
            let (client, address) = (record.key.source(record.client()).0, record.key.destination(record.client()).0);
            let address = AddressName { event: 1, time: Timestamp(0), client, address };
            assert!(chunk.names.push(address, b"all.example"));
        }
        chunk.last = Some((u64::MAX, Box::new(last)));
        aggregator.accept(0, Mail::Ended(&mut chunk), now);
        aggregator.accept(0, Mail::End, now);
        let end = std::iter::from_fn(|| aggregator.poll(now)).last();
        let Some(Event::End(end)) = end else { panic!("it ends") };
        let (table, summary) = *end;
        assert!((0..table.len()).all(|index| text(table.facts(index)) == "all.example"));
        assert_eq!((table.len(), summary.naming.named, summary.facts_left_out), (50, 50, 0));
    }
}

#[test]
fn a_half_that_told_something_goes_before_one_that_was_named() {
    let now = Instant::now();
    let setup = QueueSetup { count: 2, may_be_split: true, waits: true };
    let mut aggregator = Aggregator::new(naming(100), Wants { table: true, ..Wants::default() }, setup, now);
    let mut named = told_names(&[(1, "named")], &[5], u64::MAX);
    let mut own = ended(&[5], u64::MAX);
    let mut facts = crate::flow::FactBuffer::default();
    assert!(facts.text(crate::record::ASKED_NAMES[0], b"own"));
    let half = &mut own.flows[0].record;
    (half.facts, half.first_seen) = (own.facts.push(facts.facts()).expect("room"), half.first_seen.plus(1));
    for (queue, chunk) in [&mut named, &mut own].into_iter().enumerate() {
        aggregator.accept(queue, Mail::Ended(chunk), now);
        aggregator.accept(queue, Mail::End, now);
    }
    let Some(Event::End(end)) = std::iter::from_fn(|| aggregator.poll(now)).last() else { panic!("it ends") };
    let (table, summary) = *end;
    assert_eq!((table.len(), summary.flows_joined), (1, 1));
    assert_eq!(asked_name(table.facts(0)), Some(b"own".as_slice()));
    assert_eq!(table.facts(0).get(OTHERS_NAME), None);
}

#[test]
fn workers_are_asked_for_flows_with_what_others_told_of_them() {
    let now = Instant::now();
    let setup = QueueSetup { count: 1, may_be_split: false, waits: false };
    let mut aggregator = Aggregator::new(naming(100), ALL, setup, now);
    let asks = |name: &'static str| {
        let predicate = crate::engine::Predicate::new(move |_, facts| asked_name(facts) == Some(name.as_bytes()));
        Arc::new(FlowQuery { predicate: Some(predicate), limit: 9, ..FlowQuery::all(1) })
    };
    let query = asks("three");
    assert!(Arc::ptr_eq(&aggregator.for_workers(&query), &query), "nothing was told");
    aggregator.accept(0, Mail::Ended(&mut told_names(&[(3, "three")], &[], 12)), now);
    assert!(ended_names(&mut aggregator, now).is_empty());
    let (record, mut own) = (udp6_record(), crate::flow::FactBuffer::default());
    assert!(own.text(crate::record::ASKED_NAMES[0], b"own"));
    let asked = aggregator.for_workers(&query);
    assert!(asked.wants(&record, FactSet::NONE) && !asked.wants(&record, own.facts()));
    assert!(!query.wants(&record, FactSet::NONE));
    query.give_up();
    assert!(asked.is_over(), "both are one question");
    // What is told later counts for later questions.
    aggregator.accept(0, Mail::Ended(&mut told_names(&[(13, "four")], &[], 20)), now);
    assert!(ended_names(&mut aggregator, now).is_empty());
    assert!(asked.wants(&record, FactSet::NONE));
    assert!(aggregator.for_workers(&asks("four")).wants(&record, FactSet::NONE));
    let by_port =
        crate::query::FlowFilter::parse("port:443").expect("a filter").predicate(crate::query::RecordContext::default());
    let by_port = Arc::new(FlowQuery { predicate: by_port, ..FlowQuery::all(3) });
    assert!(Arc::ptr_eq(&aggregator.for_workers(&by_port), &by_port), "nothing told changes what it says");
    let all = Arc::new(FlowQuery::all(2));
    assert!(Arc::ptr_eq(&aggregator.for_workers(&all), &all), "without a condition nothing is copied");
}

#[test]
fn live_flows_are_what_was_announced_in_conditions_and_in_answers() {
    let now = Instant::now();
    let setup = QueueSetup { count: 1, may_be_split: false, waits: false };
    let mut aggregator = Aggregator::new(naming(0), ALL, setup, now);
    let record = udp6_record();
    let (address, port) = record.key.destination(record.client());
    let protocol = crate::app::AnnouncedProtocol::Rtp;
    let mut chunk = ended(&[], 12);
    let time = record.first_seen;
    assert!(chunk.announce(crate::engine::Announcement {
        event: 3,
        time,
        address,
        port,
        peer: None,
        control: record.key,
        protocol
    }));
    aggregator.accept(0, Mail::Ended(&mut chunk), now);
    assert!(chunk.announced.is_empty(), "the box is empty again");
    assert!(ended_names(&mut aggregator, now).is_empty());
    let predicate = crate::engine::Predicate::new(|_, facts| crate::record::spoken(facts) == Some(b"rtp"));
    let query = Arc::new(FlowQuery { predicate: Some(predicate), limit: 9, ..FlowQuery::all(1) });
    assert!(aggregator.for_workers(&query).wants(&record, FactSet::NONE));
    assert!(aggregator.ask(&query, LIVE));
    let mut answer = found(&[], 1);
    answer.push(&record, FactSet::NONE);
    aggregator.accept(0, Mail::Answer(&mut answer), now);
    let Some(Event::Found(flows)) = aggregator.poll(now) else { panic!("flows are found") };
    assert_eq!(crate::record::spoken(flows.flows[0].facts.facts()), Some(&b"rtp"[..]));
}

#[test]
fn conditions_see_no_more_facts_than_answers_take() {
    let now = Instant::now();
    let setup = QueueSetup { count: 1, may_be_split: false, waits: false };
    let mut aggregator = Aggregator::new(naming(100), ALL, setup, now);
    let (record, protocol) = (udp6_record(), crate::app::AnnouncedProtocol::Rtp);
    let (address, port) = record.key.destination(record.client());
    let mut chunk = told_names(&[(3, "a-name.example")], &[], 12);
    let (time, control) = (record.first_seen, record.key);
    assert!(chunk.announce(crate::engine::Announcement { event: 3, time, address, port, peer: None, control, protocol }));
    aggregator.accept(0, Mail::Ended(&mut chunk), now);
    assert!(ended_names(&mut aggregator, now).is_empty());
    let has = |id| {
        let predicate = crate::engine::Predicate::new(move |_, facts| facts.get(id).is_some());
        Arc::new(FlowQuery { predicate: Some(predicate), limit: 9, ..FlowQuery::all(1) })
    };
    let asked = [OTHERS_NAME, crate::record::SPOKEN].map(|id| aggregator.for_workers(&has(id)));
    // Room for both, for the shorter one, for none.
    for (len, expected) in [(100, [true, true]), (4060, [false, true]), (4088, [false, false])] {
        let mut own = crate::flow::FactBuffer::default();
        assert!(own.text(crate::record::fact_id("ssh", "banner"), &vec![b'x'; len]));
        assert_eq!([0, 1].map(|at| asked[at].wants(&record, own.facts())), expected, "{len} bytes, {}", own.facts().len());
        assert!(aggregator.ask(&has(OTHERS_NAME), LIVE));
        let mut answer = found(&[], 1);
        answer.push(&record, own.facts());
        aggregator.accept(0, Mail::Answer(&mut answer), now);
        let Some(Event::Found(flows)) = aggregator.poll(now) else { panic!("flows are found") };
        let facts = flows.flows[0].facts.facts();
        assert_eq!([OTHERS_NAME, crate::record::SPOKEN].map(|id| facts.get(id).is_some()), expected, "as in the answer");
    }
}

#[test]
fn records_that_end_at_one_event_are_known_in_one_order() {
    let now = Instant::now();
    let protocol = crate::app::AnnouncedProtocol::Rtp;
    const VALID_NS: u64 = 180_000_000_000;
    for turned in [false, true] {
        let setup = QueueSetup { count: 2, may_be_split: false, waits: true };
        let mut aggregator = Aggregator::new(naming(0), Wants { table: true, ..Wants::default() }, setup, now);
        let mut boxes = [ended(&[5], u64::MAX), ended(&[5], u64::MAX)];
        // The first part of a flow makes the announcement last for the second.
        let parts = if turned { [1, 0] } else { [0, 1] };
        for (chunk, part) in boxes.iter_mut().zip(parts) {
            let (first_seen, ended) = (Timestamp(part * 2 * VALID_NS), Timestamp((part * 2 + 1) * VALID_NS));
            let reason = EndReason::ActiveTimeout;
            chunk.flows[0].record = FlowRecord { first_seen, ended, reason, first_packet: part + 1, ..udp6_record() };
        }
        let record = boxes[0].flows[0].record;
        let (address, port) = record.key.destination(record.client());
        let (time, control) = (Timestamp(0), record.key);
        assert!(boxes[0].announce(crate::engine::Announcement { event: 1, time, address, port, peer: None, control, protocol }));
        for (queue, chunk) in boxes.iter_mut().enumerate() {
            aggregator.accept(queue, Mail::Ended(chunk), now);
            aggregator.accept(queue, Mail::End, now);
        }
        let Some(Event::End(end)) = std::iter::from_fn(|| aggregator.poll(now)).last() else { panic!("it ends") };
        assert_eq!(end.1.announced.flows, 2, "turned: {turned}");
    }
}
