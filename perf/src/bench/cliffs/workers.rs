//! Cases about how many workers there are, what they wait for and what they keep, and about a time that is wrong.
//!
//! Owns these cases. Their captures are those of the other cases, but for the wrong time.

use super::cases::{COMMON, CliffCase, ComparedBy, Comparison, Input, Proof};
use crate::bench::capture::Capture;
use netscope_perf::Profile;

/// Numbers of workers: as many as two processors have use for, and more.
const WORKERS: [u32; 5] = [2, 8, 16, 64, 256];

/// What more workers than help cost.
pub fn workers(is_quick: bool) -> Vec<CliffCase> {
    let fragments = Capture { live_flows: 1_000, ..Capture::new("", Profile::Fragments, 10_000_000, 100_000) }.scaled(is_quick);
    let long = Capture::new("", Profile::BigPackets, 600_000, 1_000).scaled(is_quick);
    let common = Capture::SMALL.scaled(is_quick);
    let all = Proof::AllInFlows;
    let mut cases: Vec<CliffCase> = WORKERS
        .iter()
        .map(|&workers| CliffCase {
            workers,
            ..CliffCase::new(&format!("workers: {workers}"), common, all, &[(COMMON, Some(2.0))])
        })
        .collect();
    cases.push(CliffCase { workers: 0, ..CliffCase::new("workers: as many as help", common, all, &[]) });
    if let Some(chosen) = cases.last_mut() {
        chosen.compared = [COMMON, "workers: 2"].map(|with| compared(with, ComparedBy::Wall, None)).into();
    }
    for (how, input, capture, proof) in [
        ("gzip", Input::Gzip, common, all),
        ("standard input", Input::Stdin, common, all),
        ("fragments", Input::File, fragments, Proof::Fragments),
    ] {
        let one = format!("workers: {how}, 1");
        cases.push(CliffCase { input, ..CliffCase::new(&one, capture, proof, &[]) });
        for workers in [2, 64] {
            let case = CliffCase::new(&format!("workers: {how}, {workers}"), capture, proof, &[(&one, Some(2.0))]);
            cases.push(CliffCase { input, workers, ..case });
        }
    }
    // A file much larger than what its readers may have of it at a time.
    let one = "workers: long packets, 1";
    cases.push(CliffCase::new(one, long, all, &[]));
    for workers in [2, 16, 64] {
        let name = format!("workers: long packets, {workers}");
        let compared = vec![compared(one, ComparedBy::Memory, Some(2.0)), compared(one, ComparedBy::CpuPerPacket, Some(2.0))];
        cases.push(CliffCase { workers, compared, ..CliffCase::new(&name, long, all, &[]) });
    }
    cases
}

/// A pipe that says nothing for a while, behind few packets.
pub fn silence(is_quick: bool) -> Vec<CliffCase> {
    let few = Capture::new("", Profile::SmallPackets, 100_000, 1_000).scaled(is_quick);
    let one = "silence: 1 worker";
    let case = |name: &str, workers| {
        let input = Input::SilentPipe;
        CliffCase { input, workers, ..CliffCase::new(name, few, Proof::AllInFlows, &[]) }
    };
    let several = |workers: u32| CliffCase {
        compared: vec![compared(one, ComparedBy::CpuPerPacket, Some(2.0))],
        ..case(&format!("silence: {workers} workers"), workers)
    };
    vec![case(one, 1), several(2), several(16)]
}

/// An hour of short flows, and the same with one packet of the year 2106: as many flows are alive at a time.
pub fn wrong_time(is_quick: bool) -> Vec<CliffCase> {
    // 1.2 ms apart; closed connections wait as long as open ones, so that no flow is split.
    const TIMEOUT: &[&str] = &["--closed-timeout-s", "60"];
    let hour = Capture { live_flows: 100, gap_ns: 1_200_000, ..Capture::new("", Profile::SmallPackets, 3_000_000, 1_000_000) };
    let right = "time: an hour of short flows";
    let mut cases = Vec::new();
    for workers in [1, 2] {
        let name = format!("{right}, workers {workers}");
        cases.push(CliffCase { workers, flags: TIMEOUT, ..CliffCase::new(&name, hour.scaled(is_quick), Proof::AllInFlows, &[]) });
        let wrong = Capture { wrong_time_at: Some(1_000), ..hour.scaled(is_quick) };
        let compared = vec![compared(&name, ComparedBy::Memory, Some(1.1)), compared(&name, ComparedBy::CpuPerPacket, Some(1.1))];
        let name = format!("time: the same with a packet of 2106, workers {workers}");
        cases.push(CliffCase { workers, flags: TIMEOUT, compared, ..CliffCase::new(&name, wrong, Proof::AllInFlows, &[]) });
    }
    cases
}

fn compared(with: &str, measured: ComparedBy, goal: Option<f64>) -> Comparison {
    Comparison { with: with.to_owned(), measured, goal }
}
