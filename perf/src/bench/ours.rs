//! NetScope against the floor, with one worker and with two, and its memory for a stated number of flows.

use super::capture::Capture;
use super::report::{BenchReport, SPREAD_NOTE, at_most, verdict};
use super::series::{MeasuredCommand, Repeats, Series, alternate};
use super::{Bench, PayloadFlag, candidate, count, machine, words};
use std::path::Path;

/// CPU time in times the floor's that NetScope may take.
const GOALS: &[(Capture, f64)] = &[(Capture::SMALL, 2.0), (Capture::MANY, 2.0), (Capture::HTTP, 1.5)];
/// Throughput that two workers must reach in times that of one.
const TWO_WORKERS_GOAL: f64 = 1.7;
/// Peak memory for a million flows, in MiB.
const MEMORY_GOAL_MIB: f64 = 256.0;
/// The same when no TCP connection is analysed.
const COMPACT_MEMORY_GOAL_MIB: f64 = 128.0;

pub fn run(bench: &Bench) -> Result<BenchReport, String> {
    let mut report = BenchReport::new("ours-and-floor", "NetScope and the floor");
    let netscope = bench.netscope.to_string_lossy().into_owned();
    report.version("netscope", &machine::said(&netscope, &["--version"]));
    report.version("rustc", &machine::said("rustc", &["--version"]));
    for (capture, goal) in GOALS {
        let capture = capture.scaled(bench.quick);
        let path = capture.ready(&bench.captures)?;
        let candidates = [
            floor(bench, &path, &capture)?,
            bench.netscope("netscope", 1, &path, &capture),
            bench.netscope("netscope, 2 workers", 2, &path, &capture),
        ];
        let all = alternate(capture.name, &candidates, bench.repeats(f64::INFINITY));
        let label = format!("{} ({})", capture.name, capture.size());
        let [floor, one, two] = &all[..] else { return Err("three candidates give three series".to_owned()) };
        report.row(&label, capture.packets, floor, "");
        report.row(&label, capture.packets, one, &at_most(one, floor, Some(*goal)));
        report.row(&label, capture.packets, two, &throughput(one, two));
    }
    memory(bench, 1_000_000, true, &mut report)?;
    memory(bench, 1_000_000, false, &mut report)?;
    if !bench.quick {
        memory(bench, 10_000_000, true, &mut report)?;
    }
    report.note(SPREAD_NOTE);
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() < 3) {
        report
            .note("Two workers, the aggregator and everything else share the cores, so the throughput of two is a lower bound.");
    }
    if bench.quick {
        report.note("Quick: a tenth of the packets and flows; start and exit weigh more than in a full run.");
    }
    Ok(report)
}

fn floor(bench: &Bench, path: &Path, capture: &Capture) -> Result<MeasuredCommand, String> {
    let own = std::env::current_exe().map_err(|error| format!("our own program is not found: {error}"))?;
    let csv = bench.output("floor.csv");
    let words = vec![own.into(), "floor".into(), path.into(), "--csv".into(), csv.clone().into()];
    let packets = capture.packets;
    Ok(MeasuredCommand { outputs: vec![csv.clone()], ..candidate("floor", words, move || count::csv(&csv, packets)) })
}

/// By wall-clock time, as this is what a second worker is for.
fn throughput(one: &Series, two: &Series) -> String {
    let (Some(alone), Some(both)) = (one.spread(|run| run.wall_s), two.spread(|run| run.wall_s)) else { return String::new() };
    let gain = alone.median / both.median;
    format!("{gain:.2} x the throughput of one (goal at least {TWO_WORKERS_GOAL}: {})", verdict(gain >= TWO_WORKERS_GOAL))
}

/// One run: memory does not vary as time does.
fn memory(bench: &Bench, flows: u64, analyses: bool, report: &mut BenchReport) -> Result<(), String> {
    let said = bench.output("synthetic-flows.txt");
    let mut command = words(&[PayloadFlag::Ignored.word(), "--synthetic-flows", &flows.to_string()]);
    command.insert(0, bench.netscope.clone().into());
    let (said_of, goal) = if analyses { ("all analyses", MEMORY_GOAL_MIB) } else { ("no analysis", COMPACT_MEMORY_GOAL_MIB) };
    if !analyses {
        let off = bench.output("no-analysis.toml");
        std::fs::write(&off, "[analysis]\nrtt = false\nretrans = false\nout_of_order = false\n")
            .map_err(|error| format!("{}: {error}", off.display()))?;
        command.extend(["--config".into(), off.into()]);
    }
    let path = said.clone();
    let count = move || count::named(&path, "flows:");
    let candidate = MeasuredCommand { stdout: Some(said.clone()), ..candidate("netscope", command, count) };
    let label = format!("live TCP flows, {said_of}: {flows}");
    let mut all = alternate(&label, std::slice::from_ref(&candidate), Repeats { runs: 1, once_above_s: 0.0, retries: 0 });
    let Some(mut series) = all.pop() else { return Ok(()) };
    if let (Some(reason), Ok(text)) = (&mut series.failure, std::fs::read_to_string(&said)) {
        *reason = format!("{reason}; {}", text.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let compared = match series.spread(|run| run.peak_mib) {
        Some(peak) if flows == 1_000_000 => {
            format!("peak memory (goal at most {goal} MiB: {})", verdict(peak.most <= goal))
        }
        Some(_) => "peak memory".to_owned(),
        None => String::new(),
    };
    report.row(&label, 0, &series, &compared);
    Ok(())
}
