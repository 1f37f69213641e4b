//! Programs on a live wire at the same offered loads: bare rings, ours with everything on, and peers; what an
//! idle wire costs, and how old a packet is when it is seen.
//!
//! Owns the loads, the order of runs and the table; who runs is in `live_programs`. Its one invariant: a
//! program's figures are those of runs in which it received a load that was really offered.

use super::live_programs::{CountedRun, LiveProgram, all};
use super::report::{BenchReport, verdict};
use super::series::Spread;
use super::{Bench, machine};
use netscope_perf::live::{BUFFER_BYTES, LiveTrial, Load, Pace, RingKind, Tried, trickle_ages};
use std::time::Duration;

const COLUMNS: &str = "\
| load | program | offered, Mpps | received, Mpps: median (least to most) | received of sent | lost | CPU ns per packet received: median (least to most) | CPU of a core | generator, ns per packet | runs |
|---|---|---|---|---|---|---|---|---|---|
";
const HOW: &str = "each in a namespace of its own, the generator on the first processor, the program on the second";

/// A disturbed run is made again at most so often.
const RETRIES: u32 = 2;
/// Rate that ours on AF_XDP must reach, in packets a second.
const XDP_GOAL: f64 = 4e6;

struct Offer {
    name: &'static str,
    flows: u32,
    /// `None`: as much as the kernel makes.
    rate: Option<f64>,
}

const OFFERS: &[Offer] = &[
    Offer { name: "0.5 Mpps, 1 k flows", flows: 1_000, rate: Some(0.5e6) },
    Offer { name: "1 Mpps, 1 k flows", flows: 1_000, rate: Some(1e6) },
    Offer { name: "2 Mpps, 1 k flows", flows: 1_000, rate: Some(2e6) },
    Offer { name: "full rate, 100 k flows", flows: 100_000, rate: None },
];

/// A run that counts.
struct LiveRun {
    tried: Tried,
    counted: CountedRun,
}

struct Runs {
    runs: Vec<LiveRun>,
    disturbed: usize,
    failure: Option<String>,
}

pub fn run(bench: &Bench) -> Result<BenchReport, String> {
    if let Some(reason) = netscope_perf::live::Rig::obstacle() {
        return Err(format!("the live rig cannot be made: {reason}"));
    }
    let mut report = BenchReport::new("live", "programs on a live wire").with_columns(COLUMNS, HOW);
    let programs = all(bench)?;
    for program in &programs {
        report.version(&program.name, &program.version);
    }
    let usual = if bench.quick { 1 } else { 5 };
    let count = bench.runs.unwrap_or(usual).max(1);
    for offer in OFFERS {
        let mut series: Vec<Runs> = programs.iter().map(|_| Runs { runs: Vec::new(), disturbed: 0, failure: None }).collect();
        for number in 1..=count {
            for (program, runs) in programs.iter().zip(&mut series).filter(|(_, runs)| runs.failure.is_none()) {
                let label = format!("{}: {}, run {number} of {count}", offer.name, program.name);
                if let Err(reason) = add_run(bench, offer, program, runs, &label) {
                    println!("{label}: {reason}");
                    runs.failure = Some(reason);
                }
            }
        }
        for (program, runs) in programs.iter().zip(&series) {
            report.line(row(offer, program, runs));
        }
        goals(offer, &programs, &series, &mut report);
    }
    for program in &programs {
        report.command(format!("{}: `{}`", program.name, program.shown()));
    }
    quiet_wire(bench, &programs, &mut report);
    notes(bench, &mut report);
    Ok(report)
}

fn add_run(bench: &Bench, offer: &Offer, program: &LiveProgram, runs: &mut Runs, label: &str) -> Result<(), String> {
    let mut run = run_once(bench, offer, program, Duration::ZERO)?;
    for _ in 0..if bench.quick { 0 } else { RETRIES } {
        if !run.tried.is_disturbed() {
            break;
        }
        println!("{label}: disturbed, made again");
        run = run_once(bench, offer, program, Duration::ZERO)?;
    }
    println!(
        "{label}: {:.3} of {:.3} Mpps, {:.1} ns a packet{}",
        received_rate(&run) / 1e6,
        run.tried.offered.rate() / 1e6,
        cost_ns(&run),
        if run.tried.is_disturbed() { ", disturbed" } else { "" }
    );
    runs.disturbed += usize::from(run.tried.is_disturbed());
    runs.runs.push(run);
    Ok(())
}

fn run_once(bench: &Bench, offer: &Offer, program: &LiveProgram, idle: Duration) -> Result<LiveRun, String> {
    program.clear()?;
    let time = Duration::from_secs(if bench.quick { 1 } else { 5 });
    let trial = LiveTrial {
        words: &program.words,
        ready: program.ready,
        output: bench.output("live-output.txt"),
        load: Load::tcp(offer.flows),
        via: program.via,
        pace: offer.rate.map_or_else(|| Pace::flat_out(u64::MAX, time), |rate| Pace::at_rate(rate, time)),
        idle,
    };
    let tried = trial.run()?;
    let counted = (program.count)(&tried.said).map_err(|reason| format!("its packets cannot be counted: {reason}"))?;
    if counted.received < tried.offered.sent / 100 {
        return Err(format!("it started, and received {} of {} packets", counted.received, tried.offered.sent));
    }
    Ok(LiveRun { tried, counted })
}

/// Of the packets sent, those it did not work on.
fn lost_share(run: &LiveRun) -> f64 {
    1.0 - run.counted.received as f64 / run.tried.offered.sent.max(1) as f64
}

fn received_rate(run: &LiveRun) -> f64 {
    run.counted.received as f64 / run.tried.offered.elapsed.as_secs_f64()
}

fn cost_ns(run: &LiveRun) -> f64 {
    run.tried.run_time.ran.as_nanos() as f64 / run.counted.received.max(1) as f64
}

impl Runs {
    fn spread(&self, of: impl Fn(&LiveRun) -> f64) -> Option<Spread> {
        Spread::of(self.runs.iter().map(of))
    }

    fn median(&self, of: impl Fn(&LiveRun) -> f64) -> f64 {
        self.spread(of).map_or(f64::NAN, |spread| spread.median)
    }
}

fn row(offer: &Offer, program: &LiveProgram, runs: &Runs) -> String {
    let (Some(received), Some(cost), None) = (runs.spread(received_rate), runs.spread(cost_ns), &runs.failure) else {
        let reason = runs.failure.as_deref().unwrap_or("not run").replace('|', "/");
        return format!("| {} | {} | no figure: {reason} | | | | | | | |", offer.name, program.name);
    };
    let share = runs.median(|run| 100.0 * run.counted.received as f64 / run.tried.offered.sent.max(1) as f64);
    let core = runs.median(|run| 100.0 * run.tried.run_time.ran.as_secs_f64() / run.tried.offered.elapsed.as_secs_f64());
    let generator = runs.median(|run| run.tried.offered.run_time.ran.as_nanos() as f64 / run.tried.offered.sent.max(1) as f64);
    let runs_text = match runs.disturbed {
        0 => runs.runs.len().to_string(),
        disturbed => format!("{}, {disturbed} disturbed", runs.runs.len()),
    };
    format!(
        "| {} | {} | {:.3} | {:.3} ({:.3} to {:.3}) | {share:.2} % | {} | {:.1} ({:.1} to {:.1}) | {core:.0} % | {generator:.0} | {runs_text} |",
        offer.name,
        program.name,
        runs.median(|run| run.tried.offered.rate()) / 1e6,
        received.median / 1e6,
        received.least / 1e6,
        received.most / 1e6,
        losses(runs),
        cost.median,
        cost.least,
        cost.most
    )
}

/// Medians of each named loss, and of what no counter of the program names.
fn losses(runs: &Runs) -> String {
    let Some(first) = runs.runs.first() else { return String::new() };
    let mut named: Vec<(String, f64)> = Vec::new();
    for (index, (name, _)) in first.counted.lost.iter().enumerate() {
        named.push(((*name).to_owned(), runs.median(|run| run.counted.lost.get(index).map_or(0, |(_, lost)| *lost) as f64)));
    }
    named.push(("undelivered by the wire".to_owned(), runs.median(|run| run.tried.offered.undelivered as f64)));
    let unnamed = runs.median(|run| {
        let named: u64 = run.counted.lost.iter().map(|(_, lost)| lost).sum();
        run.tried.offered.sent as f64 - run.counted.received as f64 - named as f64
    });
    named.push(("**unnamed**".to_owned(), unnamed));
    named.retain(|(_, lost)| *lost != 0.0);
    named.iter().map(|(name, lost)| format!("{lost:.0} {name}")).collect::<Vec<_>>().join(", ")
}

/// What was to be shown at this load, and whether it was.
fn goals(offer: &Offer, programs: &[LiveProgram], series: &[Runs], report: &mut BenchReport) {
    let of = |name: &str| {
        let found = programs.iter().zip(series).find(|(program, _)| program.name == name);
        found.map(|(_, runs)| runs).filter(|runs| !runs.runs.is_empty())
    };
    let say = |report: &mut BenchReport, name: &str, what: &str, ratio: f64, is_met: bool| {
        report.note(format!("{}: {name}: {what} {ratio:.2}: {}", offer.name, verdict(is_met)));
    };
    for ring in RingKind::ALL {
        let name = format!("netscope, {}", ring.name());
        let Some(own) = of(&name) else { continue };
        let bare = of(&format!("bare {}", ring.name()));
        let cost = own.median(cost_ns);
        if let (RingKind::Tpacket, Some(bare)) = (ring, bare) {
            let (lost, most) = (own.median(lost_share), bare.median(lost_share));
            let what = format!("share of packets lost (goal at most the bare ring's, {most:.4})");
            report.note(format!("{}: {name}: {what} {lost:.4}: {}", offer.name, verdict(lost <= most)));
        }
        if offer.rate.is_some() {
            for (peer, most) in [("tcpdump", 1.0), ("dumpcap", 0.2), ("suricata, af-packet", 1.0 / 3.0)] {
                let Some(theirs) = of(peer) else { continue };
                let ratio = cost / theirs.median(cost_ns);
                say(report, &name, &format!("CPU per packet in times {peer}'s (goal at most {most:.2})"), ratio, ratio <= most);
            }
        } else if let Some(bare) = bare {
            let ratio = own.median(received_rate) / bare.median(received_rate);
            let enough = *ring != RingKind::XdpNative || own.median(received_rate) >= XDP_GOAL;
            let goal = if *ring == RingKind::XdpNative { "goal at least 0.90, and 4 Mpps" } else { "goal at least 0.90" };
            say(report, &name, &format!("rate in times the bare ring's ({goal})"), ratio, ratio >= 0.9 && enough);
        }
    }
}

/// Idle cost of ours, and the age of packets in a trickle.
fn quiet_wire(bench: &Bench, programs: &[LiveProgram], report: &mut BenchReport) {
    let idle = Duration::from_secs(5);
    let trickle = Offer { name: "100 packets a second", flows: 10, rate: Some(100.0) };
    for program in programs.iter().filter(|program| program.name.starts_with("netscope")) {
        match run_once(bench, &trickle, program, idle) {
            Ok(run) => report.note(format!(
                "{}: {:.2} % of a core while nothing arrives for 5 s (goal below 1), {:.2} % at 100 packets a second",
                program.name,
                100.0 * run.tried.idle.ran.as_secs_f64() / idle.as_secs_f64(),
                100.0 * run.tried.run_time.ran.as_secs_f64() / run.tried.offered.elapsed.as_secs_f64()
            )),
            Err(reason) => report.note(format!("{}: no idle figure: {reason}", program.name)),
        }
    }
    for ring in RingKind::ALL {
        match trickle_ages(*ring, 100.0, Duration::from_secs(2)) {
            Ok(ages) if !ages.is_empty() => report.note(format!(
                "{}: packets of a trickle of 100 a second are {:.2} ms old when the ring's reader sees them, {:.2} ms at most (goal 20)",
                ring.name(),
                ages[ages.len() / 2].as_secs_f64() * 1e3,
                ages[ages.len() - 1].as_secs_f64() * 1e3
            )),
            Ok(_) => report.note(format!("{}: no packet of a trickle arrived", ring.name())),
            Err(reason) => report.note(format!("{}: no age of packets: {reason}", ring.name())),
        }
    }
}

fn notes(bench: &Bench, report: &mut BenchReport) {
    report.note(format!(
        "All frames are 64 bytes on a cable, TCP with handshakes and data by turns, in order, checksums right. Each program has {} MiB \
         between the kernel and itself. Offered is what reached the receiving interface. A generator's core does the kernel's part of \
         receiving, too, so at full rate each program throttles the load as its kernel path allows.",
        BUFFER_BYTES >> 20
    ));
    report.note(
        "Programs ran in turn; a run in which the generator or the program waited for a processor more than 6 % of the time, or the \
         rate was not kept, was made again, at most twice; what was still disturbed is kept and counted under `runs`. CPU is that of all \
         threads of the program (schedstat), from the first packet until 0.7 s after the last.",
    );
    report.note(
        "NetScope runs with all analyses, statistics each second and the export of ended flows as CSV to /dev/null. What ends while the load lasts is \
         written in the measured time; flows that are alive at the end, most of them here, are written after it.",
    );
    if bench.quick {
        report.note("Quick: a second of load and a single run; the figures only show that it works.");
    }
    report.note(format!("Kernel: {}", machine::said("uname", &["-r"])));
}
