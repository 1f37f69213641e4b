//! The machine by its mail and its events alone: no thread, no clock but the times that are given.

mod facts;
mod naming;

use super::*;
use crate::aggregate::{FlowTotals, Purpose};
use crate::engine::{AnswerEnd, EndedFlow, FlowQuery, SortKey, TickEvidence};
use crate::flow::{EndReason, FlowRecord, FlowSettings, FlowWeight, synthetic};
use crate::record::test_records::{tcp_record, udp6_record};
use std::sync::Arc;
use std::time::Duration;

const TICK_NS: u64 = 1_000_000_000;
const ALL: Wants =
    Wants { table: true, ended: true, reports: true, live_table: true, alerts: true, history: false, recent: false };

fn settings() -> AggregateSettings {
    AggregateSettings {
        tick_ns: TICK_NS,
        top_count: 2,
        export_ended_max: 100,
        flow_key: KeyScope::Tuple,
        judge: None,
        microbursts: None,
        alerting: AlertingSettings::default(),
        selection: None,
        address_names_max: 0,
    }
}

fn aggregator(count: u16, waits: bool, start: Instant) -> Aggregator {
    Aggregator::new(settings(), ALL, QueueSetup { count, may_be_split: false, waits }, start)
}

fn record(first_packet: u64) -> FlowRecord {
    FlowRecord { first_packet, reason: EndReason::Timeout, ..udp6_record() }
}

/// Flows that ended, at the events given.
fn ended(events: &[u64], through: u64) -> EndedChunk {
    let flows = events.iter().map(|&event| EndedFlow { event, record: record(event) }).collect();
    EndedChunk { flows, through, ..EndedChunk::default() }
}

fn snapshot(tick: u64, packets: u64) -> Snapshot {
    let ledger = Ledger { packets, in_flows: packets, ..Ledger::default() };
    Snapshot { tick, next_tick: tick + 1, time: Timestamp((tick + 1) * TICK_NS), ledger, ..Snapshot::new(2) }
}

/// What is told now, in short.
fn told(aggregator: &mut Aggregator, now: Instant) -> Vec<String> {
    std::iter::from_fn(|| aggregator.poll(now))
        .map(|event| match event {
            Event::Ended(records) => {
                format!("ended {:?}", records.iter().map(|(record, _)| record.first_packet).collect::<Vec<_>>())
            }
            Event::Report(report) => {
                let silent: Vec<_> =
                    report.totals.queues.iter().filter(|queue| queue.silent_since.is_some()).map(|q| q.queue).collect();
                format!("tick {} packets {} of {} silent {silent:?}", report.tick, report.packets, report.totals.ledger.packets)
            }
            Event::Found(found) => {
                let FlowsFound { flows, matched, looked_at, is_whole, .. } = *found;
                let flows: Vec<_> = flows
                    .iter()
                    .map(|flow| format!("{}{}", flow.record.first_packet, &["-", "+"][usize::from(flow.is_alive)]))
                    .collect();
                format!(
                    "found {} of {} in {looked_at}, {} bytes, whole: {is_whole}",
                    flows.join(" "),
                    matched.flows,
                    matched.bytes
                )
            }
            Event::History(history) => format!("history of {} seconds", history.traffic.seconds.len()),
            Event::GivenUp => "given up".to_owned(),
            Event::Alert(alert) => format!("alert {}", alert.key),
            Event::Table(table) => format!("table {:?}", numbers(&table)),
            Event::End(end) => format!("end {:?} packets {}", numbers(&end.0), end.1.ledger.packets),
        })
        .collect()
}

fn numbers(table: &Table) -> Vec<u64> {
    let mut numbers: Vec<u64> = table.iter().map(|record| record.first_packet).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn mail_of_two_queues_becomes_one_run_of_events() {
    let now = Instant::now();
    let mut aggregator = aggregator(2, true, now);
    aggregator.accept(0, Mail::Ended(&mut ended(&[3, 8], 8)), now);
    aggregator.accept(0, Mail::Snapshot(&snapshot(1, 10)), now);
    assert!(
        told(&mut aggregator, now + Duration::from_secs(3600)).is_empty(),
        "where the source waits every queue is waited for"
    );
    aggregator.accept(1, Mail::Ended(&mut ended(&[2, 5], 6)), now);
    aggregator.accept(1, Mail::Snapshot(&snapshot(1, 5)), now);
    assert_eq!(told(&mut aggregator, now), ["ended [2, 3, 5]", "tick 1 packets 15 of 15 silent []"]);
    aggregator.accept(0, Mail::Snapshot(&snapshot(2, 12)), now);
    aggregator.accept(0, Mail::End, now);
    aggregator.accept(1, Mail::Snapshot(&snapshot(3, 6)), now);
    aggregator.accept(1, Mail::End, now);
    assert_eq!(
        told(&mut aggregator, now),
        ["ended [8]", "tick 2 packets 2 of 17 silent []", "tick 3 packets 1 of 18 silent []", "end [2, 3, 5, 8] packets 18"]
    );
    assert!(aggregator.poll(now).is_none(), "the end is told once");
}

#[test]
fn a_silent_queue_of_a_wire_is_named_and_holds_up_nothing() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut aggregator = aggregator(2, false, start);
    for tick in 1..6 {
        aggregator.accept(0, Mail::Ended(&mut ended(&[tick], tick + 1)), at(tick));
        aggregator.accept(0, Mail::Snapshot(&snapshot(tick, tick)), at(tick));
        if tick == 1 {
            aggregator.accept(1, Mail::Ended(&mut ended(&[], 2)), at(1));
            aggregator.accept(1, Mail::Snapshot(&snapshot(1, 100)), at(1));
        }
        let expected: &[&str] = match tick {
            1 => &["ended [1]", "tick 1 packets 101 of 101 silent []"],
            2 => &[],
            3 => &["ended [2]", "ended [3]", "tick 2 packets 1 of 102 silent [1]", "tick 3 packets 1 of 103 silent [1]"],
            4 => &["ended [4]", "tick 4 packets 1 of 104 silent [1]"],
            _ => &["ended [5]", "tick 5 packets 1 of 105 silent [1]"],
        };
        let events = told(&mut aggregator, at(tick)).join(", ").replace("], ended [", ", ");
        assert_eq!(events, expected.join(", ").replace("], ended [", ", "), "tick {tick}");
    }
    // What it had to say counts when it comes.
    aggregator.accept(1, Mail::Ended(&mut ended(&[2], 7)), at(6));
    aggregator.accept(1, Mail::Snapshot(&snapshot(2, 120)), at(6));
    aggregator.accept(1, Mail::Snapshot(&snapshot(6, 150)), at(6));
    aggregator.accept(0, Mail::Snapshot(&snapshot(6, 6)), at(6));
    assert_eq!(told(&mut aggregator, at(6)), ["ended [2]", "tick 6 packets 51 of 156 silent []"]);
}

#[test]
fn evidence_of_a_late_snapshot_is_in_the_next_report() {
    let start = Instant::now();
    let mut aggregator = aggregator(2, false, start);
    let late = start + Duration::from_secs(10);
    aggregator.accept(0, Mail::Snapshot(&snapshot(1, 1)), late);
    assert_eq!(told(&mut aggregator, late), ["tick 1 packets 1 of 1 silent [1]"]);
    let record = tcp_record();
    let flow = TopFlow {
        key: record.key,
        packets: record.packets,
        bytes: record.bytes,
        delta_bytes: 7,
        first_seen: record.first_seen,
        last_seen: record.last_seen,
        tcp: None,
    };
    aggregator.accept(
        1,
        Mail::Snapshot(&Snapshot { evidence: TickEvidence { top: vec![flow], ..TickEvidence::default() }, ..snapshot(1, 3) }),
        late,
    );
    aggregator.accept(
        1,
        Mail::Snapshot(&Snapshot { evidence: TickEvidence { top: vec![flow], ..TickEvidence::default() }, ..snapshot(2, 4) }),
        late,
    );
    aggregator.accept(0, Mail::Snapshot(&snapshot(2, 1)), late);
    let Some(Event::Report(report)) = aggregator.poll(late) else { panic!("a report") };
    assert_eq!((report.tick, report.top.len(), report.top[0].delta_bytes), (2, 1, 14));
}

fn answer(query: u64, numbers: &[u64], ended_boxes: Option<u64>) -> FlowAnswer {
    FlowAnswer {
        query,
        records: numbers.iter().map(|&number| record(number)).collect(),
        end: ended_boxes.map(|ended_boxes| AnswerEnd { ended_boxes, ..AnswerEnd::default() }),
        ..FlowAnswer::new()
    }
}

#[test]
fn a_live_table_has_each_flow_once_and_the_run_goes_on() {
    let now = Instant::now();
    let mut aggregator = aggregator(1, false, now);
    aggregator.accept(0, Mail::Ended(&mut ended(&[1, 2], 3)), now);
    assert_eq!(told(&mut aggregator, now), ["ended [1, 2]"]);
    let query = Arc::new(FlowQuery::all(9));
    assert!(aggregator.ask(&query, Purpose::Table) && !aggregator.ask(&query, Purpose::Table), "one at a time");
    aggregator.accept(0, Mail::Answer(&mut answer(8, &[99], Some(0))), now);
    aggregator.accept(0, Mail::Answer(&mut answer(9, &[3, 4], None)), now);
    // 3 was alive when it was looked at and has ended since, 5 ended before it was looked at; neither is settled.
    aggregator.accept(0, Mail::Answer(&mut answer(9, &[6], Some(2))), now);
    assert!(told(&mut aggregator, now).is_empty(), "a box of ended flows is still to come");
    aggregator.accept(0, Mail::Ended(&mut ended(&[3, 5], 3)), now);
    assert_eq!(told(&mut aggregator, now), ["table [1, 2, 3, 4, 5, 6]"]);
    aggregator.accept(0, Mail::Ended(&mut ended(&[4, 6], u64::MAX)), now);
    aggregator.accept(0, Mail::Snapshot(&snapshot(1, 1)), now);
    aggregator.accept(0, Mail::End, now);
    let events = told(&mut aggregator, now);
    assert_eq!(events.last().map(String::as_str), Some("end [1, 2, 3, 4, 5, 6] packets 1"));
}

const LIVE: Purpose = Purpose::Flows { with_live: true, with_ended: false };
const BOTH: Purpose = Purpose::Flows { with_live: true, with_ended: true };

fn with_bytes(bytes: u64) -> FlowRecord {
    FlowRecord { bytes: [bytes, 0], first_packet: bytes, reason: EndReason::Exit, ..udp6_record() }
}

/// A queue's whole answer to question 1: these flows.
fn found(sizes: &[u64], ended_boxes: u64) -> FlowAnswer {
    let records: Vec<FlowRecord> = sizes.iter().map(|&bytes| with_bytes(bytes)).collect();
    let mut matched = FlowTotals::default();
    records.iter().for_each(|record| matched.add(&FlowWeight::of(record)));
    let end = AnswerEnd { ended_boxes, matched, looked_at: 10, time: Timestamp(7) };
    FlowAnswer { query: 1, records, end: Some(end), ..FlowAnswer::new() }
}

fn ended_flows(sizes: &[u64], event: u64, through: u64) -> EndedChunk {
    let flows =
        sizes.iter().map(|&size| EndedFlow { event, record: FlowRecord { reason: EndReason::Timeout, ..with_bytes(size) } });
    EndedChunk { flows: flows.collect(), ..ended(&[], through) }
}

#[test]
fn answers_of_all_queues_are_brought_together() {
    let now = Instant::now();
    let mut aggregator = aggregator(2, false, now);
    assert!(aggregator.ask(&Arc::new(FlowQuery { limit: 2, ..FlowQuery::all(1) }), LIVE));
    for (queue, sizes) in [[5, 1], [9, 3]].into_iter().enumerate() {
        assert!(told(&mut aggregator, now).is_empty());
        aggregator.accept(queue, Mail::Answer(&mut found(&sizes, 0)), now);
    }
    assert_eq!(told(&mut aggregator, now), ["found 9+ 5+ of 4 in 20, 18 bytes, whole: true"]);
}

#[test]
fn flows_that_ended_are_found_with_those_that_live() {
    let now = Instant::now();
    let mut aggregator = aggregator(1, false, now);
    aggregator.accept(0, Mail::Ended(&mut ended_flows(&[2, 20, 200], 1, 3)), now);
    assert_eq!(told(&mut aggregator, now), ["ended [2, 20, 200]"]);
    let predicate = crate::engine::Predicate::new(|record, _| record.bytes[0] > 2);
    assert!(aggregator.ask(&Arc::new(FlowQuery { limit: 4, predicate: Some(predicate), ..FlowQuery::all(1) }), BOTH));
    // 100 was alive when it was looked at, and has ended since; its place in the order is not settled.
    aggregator.accept(0, Mail::Answer(&mut found(&[100, 50, 3], 2)), now);
    assert!(told(&mut aggregator, now).is_empty(), "a box of ended flows is still to come");
    aggregator.accept(0, Mail::Ended(&mut ended_flows(&[100], 5, 3)), now);
    assert_eq!(told(&mut aggregator, now), ["found 200- 100- 50+ 20- of 5 in 14, 373 bytes, whole: true"]);
    // Only those that ended: no queue is asked.
    assert!(
        aggregator
            .ask(&Arc::new(FlowQuery { limit: 9, ..FlowQuery::all(1) }), Purpose::Flows { with_live: false, with_ended: true })
    );
    assert_eq!(told(&mut aggregator, now), ["found 200- 100- 20- 2- of 4 in 4, 322 bytes, whole: true"]);
}

#[test]
fn what_ended_takes_no_live_flows_place_where_the_order_asks_who_lives() {
    let now = Instant::now();
    let mut aggregator = aggregator(1, false, now);
    aggregator.accept(0, Mail::Ended(&mut ended_flows(&[60, 70, 80, 90], 1, 3)), now);
    assert_eq!(told(&mut aggregator, now), ["ended [60, 70, 80, 90]"]);
    let mut ask = |limit, sort: SortKey| {
        assert!(aggregator.ask(&Arc::new(FlowQuery { limit, sort, ..FlowQuery::all(1) }), BOTH));
        aggregator.accept(0, Mail::Answer(&mut found(&[2, 1], 0)), now);
        told(&mut aggregator, now)
    };
    // The smallest of those that ended is the best of them.
    let rate =
        SortKey::ByState(Arc::new(|record, is_alive| if is_alive { 1000 + record.bytes[0] } else { 1000 - record.bytes[0] }));
    assert_eq!(ask(2, rate.clone()), ["found 2+ 1+ of 6 in 14, 303 bytes, whole: true"]);
    assert_eq!(ask(3, rate), ["found 2+ 1+ 60- of 6 in 14, 303 bytes, whole: true"]);
    assert_eq!(ask(3, SortKey::Bytes), ["found 90- 80- 70- of 6 in 14, 303 bytes, whole: true"]);
}

#[test]
fn workers_are_told_when_nobody_awaits_their_answer() {
    let now = Instant::now();
    let mut aggregator = aggregator(2, false, now);
    let ask = |aggregator: &mut Aggregator, purpose| {
        let query = Arc::new(FlowQuery { limit: 2, ..FlowQuery::all(1) });
        assert!(aggregator.ask(&query, purpose) && !query.is_over());
        query
    };
    let dropped = ask(&mut aggregator, Purpose::Table);
    aggregator.drop_question();
    let late = ask(&mut aggregator, LIVE);
    aggregator.accept(0, Mail::Answer(&mut found(&[4], 0)), now);
    assert!(told(&mut aggregator, now).is_empty() && !late.is_over(), "one queue may still answer");
    aggregator.stop_waiting();
    assert_eq!(told(&mut aggregator, now), ["found 4+ of 1 in 10, 4 bytes, whole: false"]);
    assert!(dropped.is_over() && late.is_over());
}

#[test]
fn very_many_ended_flows_are_looked_at_in_parts_and_those_that_were_let_go_are_missed() {
    const FLOWS: u64 = 20_000;
    let now = Instant::now();
    let mut aggregator = aggregator(1, false, now);
    (aggregator.recent, aggregator.wants) = (RecentEnded::new(FLOWS as usize, true), Wants { recent: true, ..Wants::default() });
    aggregator.accept(0, Mail::Ended(&mut ended_flows(&(1..=FLOWS).collect::<Vec<_>>(), 1, 3)), now);
    assert!(told(&mut aggregator, now).is_empty());
    let ask = |aggregator: &mut Aggregator| {
        assert!(aggregator.ask(&Arc::new(FlowQuery { limit: 2, ..FlowQuery::all(1) }), BOTH));
        aggregator.accept(0, Mail::Answer(&mut found(&[7], 0)), now);
        (1..20).find_map(|calls| told(aggregator, now).pop().map(|found| (calls, found))).expect("an end")
    };
    let sum = FLOWS * (FLOWS + 1) / 2 + 7;
    assert_eq!(ask(&mut aggregator), (5, format!("found 20000- 19999- of 20001 in 20010, {sum} bytes, whole: true")));
    aggregator.accept(0, Mail::Ended(&mut ended_flows(&[30_000], 3, 4)), now);
    let sum = sum + 30_000 - 1;
    assert_eq!(ask(&mut aggregator), (5, format!("found 30000- 20000- of 20001 in 20010, {sum} bytes, whole: false")));
}

#[test]
fn halves_on_two_queues_are_one_flow() {
    let now = Instant::now();
    let mut aggregator = aggregator(2, false, now);
    aggregator.shown_queues = Some(Vec::new());
    let one = FlowRecord { key: tcp_record().key, ..with_bytes(30) };
    let other = FlowRecord { bytes: [0, 5], first_packet: 77, ..one };
    assert!(aggregator.ask(&Arc::new(FlowQuery { limit: 9, ..FlowQuery::all(1) }), LIVE));
    for (queue, more) in [one, other].into_iter().enumerate() {
        let mut answer = found(if queue == 0 { &[33] } else { &[] }, 0);
        answer.records.push(more);
        answer.end.as_mut().expect("it is the last box").matched.add(&FlowWeight::of(&more));
        aggregator.accept(queue, Mail::Answer(&mut answer), now);
    }
    assert_eq!(told(&mut aggregator, now), ["found 30+ 33+ of 2 in 20, 68 bytes, whole: true"]);
}

#[test]
fn a_queue_that_stands_still_is_not_waited_for_for_ever() {
    let now = Instant::now();
    let mut aggregator = aggregator(2, false, now);
    assert!(aggregator.ask(&Arc::new(FlowQuery { limit: 2, ..FlowQuery::all(1) }), LIVE));
    aggregator.accept(0, Mail::Answer(&mut found(&[4], 0)), now);
    assert!(told(&mut aggregator, now).is_empty());
    aggregator.stop_waiting();
    assert_eq!(told(&mut aggregator, now), ["found 4+ of 1 in 10, 4 bytes, whole: false"]);
    assert!(!aggregator.is_asked());
}

#[test]
fn a_queue_that_ends_during_a_question_has_each_flow_once_in_the_table() {
    let now = Instant::now();
    let mut aggregator = aggregator(2, false, now);
    assert!(aggregator.ask(&Arc::new(FlowQuery::all(1)), Purpose::Table));
    let last = synthetic(3, &FlowSettings::default()).table.finish(&mut |_, _| {});
    let alive: Vec<u64> = last.records().map(|record| record.first_packet).collect();
    // A part of its answer came before its last flows, a part after them.
    aggregator.accept(0, Mail::Answer(&mut answer(1, &alive[..2], None)), now);
    let mut ends = EndedChunk { last: Some((u64::MAX, Box::new(last))), ..ended(&[], u64::MAX) };
    aggregator.accept(0, Mail::Ended(&mut ends), now);
    aggregator.accept(0, Mail::Answer(&mut answer(1, &alive[2..], Some(7))), now);
    assert!(told(&mut aggregator, now).is_empty(), "the other queue has not answered");
    aggregator.accept(1, Mail::Answer(&mut answer(1, &[1_000_000], Some(0))), now);
    let mut expected = [&alive[..], &[1_000_000]].concat();
    expected.sort_unstable();
    assert_eq!(told(&mut aggregator, now), [format!("table {expected:?}")]);
}

#[test]
fn a_question_that_stays_open_for_too_long_is_given_up_and_the_run_goes_on() {
    /// Flows per box.
    const FLOWS: u64 = 1 << 16;
    let now = Instant::now();
    let mut aggregator = aggregator(2, false, now);
    assert!(aggregator.ask(&Arc::new(FlowQuery::all(1)), Purpose::Table));
    let mut chunk = ended(&(0..FLOWS).collect::<Vec<_>>(), 0);
    for _ in 0..17 {
        assert!(told(&mut aggregator, now).is_empty(), "it is open");
        aggregator.answers.as_mut().expect("it is open").note_ended(0, &chunk);
        chunk.flows.iter_mut().for_each(|flow| flow.record.first_packet += FLOWS);
    }
    assert_eq!(told(&mut aggregator, now), ["given up"]);
    assert!(aggregator.ask(&Arc::new(FlowQuery::all(2)), Purpose::Table));
    // The worker that stood still answers the first question, too.
    for (queue, id) in [(0, 2), (1, 1), (1, 2)] {
        assert!(told(&mut aggregator, now).is_empty());
        aggregator.accept(queue, Mail::Answer(&mut answer(id, &[id * 10 + queue as u64], Some(0))), now);
    }
    assert_eq!(told(&mut aggregator, now), ["table [20, 21]"]);
}

#[test]
fn the_run_ends_when_all_queues_have_that_are_waited_for() {
    let start = Instant::now();
    let late = start + Duration::from_secs(10);
    let mut aggregator = aggregator(2, false, start);
    assert!(told(&mut aggregator, late).is_empty());
    assert!(!aggregator.is_ending(), "both are silent and none has ended");
    aggregator.accept(0, Mail::Ended(&mut ended(&[1, 2], u64::MAX)), late);
    assert_eq!(told(&mut aggregator, late), ["ended [1, 2]"]);
    assert!(aggregator.is_ending(), "what the one that ended had is passed on, and may wait");
    aggregator.accept(1, Mail::Ended(&mut ended(&[3], 4)), late);
    assert!(!aggregator.is_ending(), "the other one is heard again");
    aggregator.accept(1, Mail::End, late);
    assert!(aggregator.is_ending());
}

/// One that gives outputs what this filter is true of.
fn choosing(filter: &str, may_be_split: bool, start: Instant) -> Aggregator {
    let filter = crate::query::FlowFilter::parse(filter).expect("a filter");
    let selection = Some(Arc::new(FlowSelection { filter, ..FlowSelection::default() }));
    Aggregator::new(AggregateSettings { selection, ..settings() }, ALL, QueueSetup { count: 2, may_be_split, waits: true }, start)
}

#[test]
fn outputs_get_what_is_chosen_and_the_rest_is_counted() {
    let now = Instant::now();
    for (filter, told_ended, in_table) in [("first_packet:3-5", "ended [3, 5]", vec![3, 5]), ("proto:tcp", "", vec![])] {
        let mut aggregator = choosing(filter, false, now);
        for (queue, events) in [(0, [3, 8]), (1, [2, 5])] {
            aggregator.accept(queue, Mail::Ended(&mut ended(&events, 10)), now);
            aggregator.accept(queue, Mail::End, now);
        }
        let mut ended = String::new();
        let (table, summary) = loop {
            match aggregator.poll(now).expect("an end comes") {
                Event::Ended(records) => {
                    ended = format!("ended {:?}", records.iter().map(|(record, _)| record.first_packet).collect::<Vec<_>>());
                }
                Event::End(end) => break *end,
                _ => {}
            }
        };
        assert_eq!((ended.as_str(), numbers(&table)), (told_ended, in_table.clone()), "{filter}");
        let left_out = 4 - in_table.len() as u64;
        assert_eq!((summary.unselected.ended, summary.unselected.table), (left_out, left_out), "{filter}");
    }
}

#[test]
fn halves_are_judged_together_in_tables() {
    let now = Instant::now();
    // Each half has two packets.
    for (filter, expected) in [("packets:>2", vec![2]), ("packets:2", vec![])] {
        let mut aggregator = choosing(filter, true, now);
        for (queue, event) in [(0, 2), (1, 3)] {
            aggregator.accept(queue, Mail::Ended(&mut ended(&[event], 10)), now);
            aggregator.accept(queue, Mail::End, now);
        }
        let end = std::iter::from_fn(|| aggregator.poll(now)).find_map(|event| match event {
            Event::End(end) => Some(*end),
            _ => None,
        });
        let (table, summary) = end.expect("an end");
        assert_eq!((numbers(&table), summary.flows_joined), (expected.clone(), 1), "{filter}");
        assert_eq!(summary.unselected.table, 1 - expected.len() as u64, "{filter}");
        assert_eq!(summary.unselected.ended, if expected.is_empty() { 0 } else { 2 }, "{filter}");
    }
}
