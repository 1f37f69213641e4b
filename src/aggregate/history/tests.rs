//! What goes in, what can be asked, and how much memory it takes.

use super::slots::{OpenEnded, OpenTraffic};
use super::timeline::{MINUTE_COUNT_MAX, OpenSlot, SECOND_COUNT_MAX};
use super::*;
use crate::aggregate::Summary;
use crate::detect::{AlertEnd, AlertSeverity};
use crate::flow::{FlowCounters, FlowKey};
use crate::record::test_records::{tcp_record, udp6_record};
use crate::wire::{IpVersion, Network, Ports};

const SEC: u64 = Timestamp::NS_PER_SEC;

/// The report of half a second that begins at `tick` half seconds, after packets and bytes so far.
fn report(tick: u64, packets: u64, total: u64) -> Report {
    let mut totals = Summary { flows: FlowCounters { opened: total, ..FlowCounters::default() }, ..Summary::default() };
    totals.ledger.protocols[ProtocolClass::Udp as usize] = TrafficCount { packets: total, bytes: total * 100 };
    totals.source.kernel_drops = total / 2;
    Report { tick, packets, bytes: packets * 100, active_flows: packets, totals, ..Report::default() }
}

fn ask(history: &History, metric: HistoryMetric, from: u64, to: u64, step: u64) -> Vec<Option<u64>> {
    let query = HistoryQuery { metric, from: Timestamp(from * SEC), to: Timestamp(to * SEC), step_ns: step * SEC };
    history.snapshot().query(&query).iter().map(|point| point.value).collect()
}

#[test]
fn reports_fall_into_seconds_and_minutes_and_questions_are_answered() {
    let mut history = History::new(SEC / 2);
    let mut total = 0;
    for (tick, packets) in [(100, 4), (101, 6), (103, 2), (400, 10)] {
        total += packets;
        history.note_report(&report(tick, packets, total), &[]);
    }
    assert_eq!(ask(&history, HistoryMetric::Packets, 50, 53, 1), [Some(10), Some(2), None]);
    assert_eq!(ask(&history, HistoryMetric::Bytes, 50, 53, 2), [Some(1200), None], "a point begins at a multiple of its step");
    assert_eq!(ask(&history, HistoryMetric::ProtocolBytes(ProtocolClass::Udp), 0, 240, 60), [Some(1200), None, None, Some(1000)]);
    assert_eq!(ask(&history, HistoryMetric::FlowsActive, 0, 60, 60), [Some(6)]);
    assert_eq!(ask(&history, HistoryMetric::FlowsOpened, 0, 240, 240), [Some(22)]);
    assert_eq!(ask(&history, HistoryMetric::Drops, 0, 240, 240), [Some(11)]);
    assert_eq!(ask(&history, HistoryMetric::PacketSize(0.5), 0, 60, 60), [None], "no queue counted any");
    assert_eq!(ask(&history, HistoryMetric::Packets, 0, u64::MAX / SEC, 1).len(), 100_000, "an answer has a bound");
}

#[test]
fn flows_are_counted_when_they_end_by_port_host_and_size() {
    let mut history = History::new(SEC);
    let (tcp, udp) = (tcp_record(), udp6_record());
    let at = |record: &FlowRecord, second: u64| FlowRecord { ended: Timestamp(second * SEC), ..*record };
    (0..3).for_each(|i| history.note_ended(&at(&tcp, 1000 + i)));
    history.note_ended(&at(&udp, 1001));
    let bytes = |record: &FlowRecord| record.bytes[0] + record.bytes[1];
    assert_eq!(ask(&history, HistoryMetric::FlowsEnded, 1000, 1003, 1), [Some(1), Some(1), Some(2)], "time does not go back");
    let port = if tcp.client() == crate::flow::Direction::AToB { tcp.key.b_port() } else { tcp.key.a_port() };
    assert_eq!(ask(&history, HistoryMetric::PortBytes(6, port), 960, 1020, 60), [Some(3 * bytes(&tcp))]);
    let minute = &history.snapshot().ended.minutes[0].1;
    assert_eq!((minute.total.bytes, minute.total.flows), (3 * bytes(&tcp) + bytes(&udp), 4));
    assert_eq!(minute.ports.total(), minute.total);
    assert_eq!(minute.flows.total(), minute.total);
    assert_eq!(minute.hosts.total().flows, 8, "each has two ends");
    assert_eq!(
        (minute.durations.count(), minute.rtt.count()),
        (4, 3 * u64::from(tcp.tcp.is_some_and(|tcp| tcp.typical_rtt_ns().is_some())))
    );
}

#[test]
fn only_alerts_that_begin_count() {
    let mut history = History::new(SEC);
    let alert = |phase, kind| Alert { time: Timestamp(5 * SEC), severity: AlertSeverity::High, ..Alert::bare(kind, "", phase) };
    for (phase, kind) in
        [(AlertPhase::Begin, "b"), (AlertPhase::Update, "b"), (AlertPhase::End(AlertEnd::Exit), "b"), (AlertPhase::Begin, "a")]
    {
        history.note_alert(&alert(phase, kind));
    }
    let tally = |kind| AlertTally { kind, severity: AlertSeverity::High, count: 1 };
    assert_eq!(*history.snapshot().alerts.minutes[0].1, [tally("a"), tally("b")]);
    assert_eq!(ask(&history, HistoryMetric::Alerts, 0, 60, 60), [Some(2)]);
}

/// A flow that is the only one with these addresses and ports.
fn flow(number: u16) -> FlowRecord {
    let (mut source, mut destination) = ([0; 16], [0; 16]);
    source[..2].copy_from_slice(&number.to_be_bytes());
    destination[2..4].copy_from_slice(&number.to_be_bytes());
    let network = Network { version: IpVersion::V4, protocol: 6, ttl: 64, traffic_class: 0, source, destination, fragment: None };
    let (key, initiator) = FlowKey::new(&network, Ports { source: number, destination: number ^ 0xfff });
    FlowRecord { key, initiator, ..tcp_record() }
}

/// The memory of a day in which every slot has as much as a slot can have.
#[test]
fn memory_has_a_bound_of_64_mib() {
    let mut traffic = OpenTraffic::new();
    let mut ended = OpenEnded::new();
    // 100,000 values in every bucket: a slot in which more happens has no more buckets.
    for shift in 0..37 {
        for step in 0..64_u64 {
            let value = (64 + step) << shift >> 6;
            traffic.sizes.add(value, 100_000);
            traffic.batches.add(value, 100_000);
            ended.fill(value, 100_000);
        }
    }
    // Other flows are the best by each measure.
    for number in 0..5000_u16 {
        let mut record = flow(number);
        record.bytes = [u64::from(number % 97) * 1000, 0];
        record.packets = [u64::from(number % 89), 0];
        ended.add(&record);
    }
    let (traffic, ended) = (traffic.keep(), ended.keep());
    let slot = traffic.memory()
        + ended.memory()
        + slots::alerts_memory(&[AlertTally { kind: "", severity: AlertSeverity::Low, count: 0 }; 16]);
    let all = slot * (SECOND_COUNT_MAX + MINUTE_COUNT_MAX);
    assert!((6 << 20..64 << 20).contains(&all), "{slot} bytes a slot, {} MiB", all >> 20);
}
