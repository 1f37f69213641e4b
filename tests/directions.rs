//! Which way packets go: the same for any number of workers and whatever else is done for packets, and nothing unless it is asked for.

mod common;

use common::{captures, engine};
use netscope::detect::LocalNetworks;
use netscope::engine::{DirectionCounts, EngineSettings, Ledger, NoFlowReason, Source, TrafficDirection};
use netscope::flow::{Direction, FlowRecord, FlowSettings, HostAddress};
use netscope_backends::file::{CaptureFile, FileOptions};
use std::path::Path;

fn mapped(path: &Path) -> Source {
    let file = CaptureFile::open(path, &FileOptions::default()).expect("a capture");
    Source::Mapped(Box::new(file.scanner().expect("it is read").expect("it is mapped")))
}

fn run(path: &Path, workers: usize, headers: bool, directions: Option<LocalNetworks>) -> (Ledger, u64, Vec<FlowRecord>) {
    let flow = FlowSettings { headers, flow_count_max: 0, ..engine::settings().flow };
    let (outcome, records) =
        engine::run_source(mapped(path), &EngineSettings { flow, workers, directions, ..engine::settings() });
    let queues = outcome.summary.queues.iter().map(|queue| queue.busy_ns).sum();
    (outcome.summary.ledger, queues, records)
}

/// What the records say.
fn expected(records: &[FlowRecord], inside: &LocalNetworks) -> DirectionCounts {
    let mut counts = DirectionCounts::default();
    for record in records {
        let (a, b): (HostAddress, HostAddress) = (record.key.a_ip().into(), record.key.b_ip().into());
        for (way, from, to) in [(Direction::AToB, a, b), (Direction::BToA, b, a)] {
            let direction = match inside.direction(from, to) {
                "inbound" => TrafficDirection::In,
                "outbound" => TrafficDirection::Out,
                "internal" => TrafficDirection::Internal,
                _ => TrafficDirection::Through,
            };
            counts[direction as usize].packets += record.packets[way.index()];
            counts[direction as usize].bytes += record.bytes[way.index()];
        }
    }
    counts
}

#[test]
fn they_are_those_of_the_records_however_many_workers_there_are() {
    let (mut compared, mut ways) = (0, [false; 2]);
    for capture in captures() {
        if !CaptureFile::open(&capture, &FileOptions::default()).is_ok_and(|file| file.is_mapped()) {
            continue;
        }
        let (ledger, _, records) = run(&capture, 1, false, None);
        // One host is inside.
        let Some(host) = records.first().map(|record| record.key.a_ip().to_string()) else { continue };
        let inside = || LocalNetworks::of(vec![host.parse().expect("a network")]);
        assert_eq!(ledger.directions, DirectionCounts::default(), "nobody asked");
        let expected = expected(&records, &inside());
        // Packets behind the end of their connection are in no record.
        let has_odd_ones = ledger.no_flow[NoFlowReason::AfterClose as usize] > 0;
        for (workers, headers) in [(1, false), (3, false), (1, true), (2, true)] {
            let (ledger, busy_ns, _) = run(&capture, workers, headers, Some(inside()));
            assert!(busy_ns > 0 || ledger.packets == 0);
            if !has_odd_ones {
                assert_eq!(ledger.directions, expected, "{}, {workers} workers, headers: {headers}", capture.display());
                compared += 1;
                ways.iter_mut().zip(expected).for_each(|(has, count)| *has |= count.packets > 0);
            }
        }
    }
    assert!(compared >= 8 && ways.iter().all(|&has| has), "{compared} compared, ways: {ways:?}");
}
