//! What must not cost much more than the common case: many flows, a flood against the bound, one flow, fragments, malformed packets,
//! tuples made to collide. Without export, as the table is what is looked at; the summary shows that the work was done.

use super::capture::Capture;
use super::count::Summary;
use super::report::{Report, SPREAD_NOTE, verdict};
use super::series::{Candidate, Series, alternate};
use super::{Bench, candidate, machine};
use netscope_perf::Profile;
use std::path::Path;

/// Flows at most in the rows with a bound.
const BOUND: u64 = 1_000_000;

/// What a case's summary must say beside that every packet is in it.
#[derive(Clone, Copy)]
enum Proof {
    /// As many flows as were generated, and all packets in them.
    AllInFlows,
    /// The bound was reached, held exactly, and every other flow was evicted.
    Bound(u64),
    /// Every packet is a fragment; those whose first fragment was forgotten again are in no flow.
    Fragments,
    /// Every packet was seen to be malformed, in one layer or another.
    Malformed,
}

struct Case {
    name: &'static str,
    capture: Capture,
    proof: Proof,
    /// Names of the cases it is compared with, and the goal in times their cost per packet.
    compared: &'static [(&'static str, Option<f64>)],
}

const COMMON: &str = "common case";
const SHORT: &str = "3 packets a flow, 100 k flows";
const BENIGN: &str = "1 M flows within the bound";

fn cases(is_quick: bool) -> Vec<Case> {
    let make = |profile, packets, flows| Capture::new("", profile, packets, flows).scaled(is_quick);
    let bound = if is_quick { BOUND / 10 } else { BOUND };
    let all = Proof::AllInFlows;
    let fragments = make(Profile::Fragments, 10_000_000, 100_000);
    let case = |name, capture, proof, compared| Case { name, capture, proof, compared };
    vec![
        case(COMMON, Capture::SMALL.scaled(is_quick), all, &[]),
        case(SHORT, make(Profile::SmallPackets, 300_000, 100_000), all, &[(COMMON, None)]),
        case("10 M flows", make(Profile::SmallPackets, 30_000_000, 10_000_000), all, &[(COMMON, Some(3.0)), (SHORT, None)]),
        case(BENIGN, Capture::MANY.scaled(is_quick), Proof::Bound(bound), &[(COMMON, None)]),
        case(
            "SYN flood, 10 M tuples against the bound",
            make(Profile::SmallPackets, 10_000_000, 10_000_000),
            Proof::Bound(bound),
            &[(COMMON, Some(2.0)), (BENIGN, Some(2.0))],
        ),
        case("one flow", make(Profile::SmallPackets, 10_000_000, 1), all, &[(COMMON, Some(2.0))]),
        case("fragments, one half of 100 k datagrams waiting for the other", fragments, Proof::Fragments, &[(COMMON, Some(2.0))]),
        case(
            "fragments, 1 k datagrams at a time",
            Capture { live_flows: 1_000, ..fragments },
            Proof::Fragments,
            &[(COMMON, Some(2.0))],
        ),
        case("all malformed", make(Profile::Malformed, 10_000_000, 100_000), Proof::Malformed, &[(COMMON, Some(2.0))]),
        case("colliding tuples", make(Profile::Colliding, 10_000_000, 100_000), all, &[(COMMON, Some(1.1))]),
    ]
}

pub fn run(bench: &Bench) -> Result<Report, String> {
    let mut report = Report::new("cliffs", "cases that must not cost much more than the common one");
    report.version("netscope", &machine::said(&bench.netscope.to_string_lossy(), &["--version"]));
    let cases = cases(bench.quick);
    let mut candidates = Vec::new();
    for case in &cases {
        let path = case.capture.ready(&bench.captures)?;
        candidates.push(netscope(bench, case, &path));
    }
    // All cases in turn, so that the drift of the machine hits each of them as it hits the common case.
    let all = alternate("cliffs", &candidates, bench.repeats(f64::INFINITY));
    let compared = |case: &Case| -> Vec<String> {
        case.compared.iter().filter_map(|(name, goal)| compare(&cases, &all, case, name, *goal)).collect()
    };
    let compared: Vec<String> = cases.iter().map(|case| compared(case).join("; ")).collect();
    for ((case, series), compared) in cases.iter().zip(all).zip(compared) {
        let series = Series { name: "netscope".to_owned(), ..series };
        report.row(&format!("{} ({})", case.name, case.capture.size()), case.capture.packets, &series, &compared);
    }
    report.note(SPREAD_NOTE);
    report.note(
        "No export here: the cost of the table is what is looked at. Ratios are of CPU time per packet, start and exit included.",
    );
    report.note(
        "The flood and the million flows within the bound have `--max-flows`; their summaries show that the bound was held exactly \
         (flows alive at the end = bound, evicted = all others).",
    );
    report.note("All addresses and ports of the colliding tuples have the same XOR, sum and symmetric Toeplitz hash.");
    Ok(report)
}

fn netscope(bench: &Bench, case: &Case, path: &Path) -> Candidate {
    let summary = bench.output("netscope-summary.json");
    let bound = if let Proof::Bound(bound) = case.proof { bound } else { 0 };
    let mut words = bench.netscope_words(path, &["--workers", "1", "--max-flows", &bound.to_string(), "--summary-json"]);
    words.push(summary.clone().into());
    let (capture, proof, output) = (case.capture, case.proof, summary.clone());
    let count = move || flows(&Summary::read(&output, capture.packets)?, &capture, proof);
    Candidate { outputs: vec![summary], ..candidate(case.name, words, count) }
}

/// Flows opened, when the summary proves what it should.
fn flows(summary: &Summary, capture: &Capture, proof: Proof) -> Result<u64, String> {
    match proof {
        Proof::AllInFlows => {
            summary.expect("/packets_in_flows", capture.packets)?;
            summary.expect("/flows/opened", capture.flows)?;
        }
        Proof::Bound(bound) => {
            summary.expect("/flows/opened", capture.flows)?;
            summary.expect("/flows/alive_at_exit", bound)?;
            summary.expect("/flows/ended/eviction", capture.flows - bound)?;
        }
        Proof::Fragments => {
            summary.expect("/fragments/first", capture.packets / 2)?;
            summary.expect("/fragments/later", capture.packets / 2)?;
        }
        Proof::Malformed => match summary.faults("malformed")? {
            seen if seen == capture.packets => {}
            seen => return Err(format!("{seen} packets were malformed, not {}", capture.packets)),
        },
    }
    summary.get("/flows/opened")
}

/// The medians' cost per packet against that of the case called `name`.
fn compare(cases: &[Case], all: &[Series], case: &Case, name: &str, goal: Option<f64>) -> Option<String> {
    let per_packet = |name: &str| {
        let (case, series) = cases.iter().zip(all).find(|(case, _)| case.name == name)?;
        Some(series.cpu()?.median / case.capture.packets as f64)
    };
    let ratio = per_packet(case.name)? / per_packet(name)?;
    let goal = goal.map_or_else(String::new, |goal| format!(" (goal at most {goal}: {})", verdict(ratio <= goal)));
    Some(format!("{ratio:.2} x {name}{goal}"))
}
