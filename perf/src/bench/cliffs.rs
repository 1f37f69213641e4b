//! What must not cost much more than the common case. Owns the running of the cases in [`cases`] and the
//! figures that are compared. Without export, as the table is what is looked at; the summary shows that the
//! work was done.

mod cases;
mod limits;
mod new_flows;
mod workers;

use super::count::WrittenSummary;
use super::report::{BenchReport, SPREAD_NOTE, verdict};
use super::series::{MeasuredCommand, Series, alternate};
use super::{Bench, PayloadFlag, candidate, machine};
use cases::{CliffCase, ComparedBy, Comparison, Input, Proof};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// A case whose first run takes longer than this runs once.
const ONCE_ABOVE_S: f64 = 20.0;

pub fn run(bench: &Bench) -> Result<BenchReport, String> {
    let mut report = BenchReport::new("cliffs", "cases that must not cost much more than the common one");
    report.version("netscope", &machine::said(&bench.netscope.to_string_lossy(), &["--version"]));
    let cases = cases::chosen(bench.quick, bench.only.as_deref())?;
    let mut candidates = Vec::new();
    for case in &cases {
        candidates.push(netscope(bench, case)?);
    }
    // All cases in turn, so that the drift of the machine hits each of them as it hits the common case.
    let all = alternate("cliffs", &candidates, bench.repeats(ONCE_ABOVE_S));
    let compared = |case: &CliffCase| -> Vec<String> {
        case.compared.iter().filter_map(|comparison| compare(&cases, &all, case, comparison)).collect()
    };
    let compared: Vec<String> = cases.iter().map(|case| compared(case).join("; ")).collect();
    for ((case, series), compared) in cases.iter().zip(all).zip(compared) {
        let series = Series { name: "netscope".to_owned(), ..series };
        report.row(&format!("{} ({})", case.name, case.capture.size()), case.capture.packets, &series, &compared);
    }
    report.note(SPREAD_NOTE);
    report.note(
        "No export here: the cost of the table is what is looked at. Ratios are of CPU time per packet, start and exit included, \
         those of long recordings of wall time.",
    );
    report.note(
        "The flood and the million flows within the bound have `--max-flows`; their summaries show that the bound was held exactly \
         (flows alive at the end = bound, evicted = all others).",
    );
    report.note("All addresses and ports of the colliding tuples have the same XOR, sum and symmetric Toeplitz hash.");
    report.note(
        "A long recording has the packets and the flows of the short one, farther apart. A tick is a second of packet time; its cost \
         is the wall time that `--stats` adds, divided by the recording's seconds.",
    );
    Ok(report)
}

/// Packets, and then nothing for ten seconds.
const SILENT_PIPE: &str = "{ cat \"$0\"; sleep 10; } | \"$@\"";

/// The run of a case, its input written and warm.
fn netscope(bench: &Bench, case: &CliffCase) -> Result<MeasuredCommand, String> {
    let capture = case.capture.ready(&bench.captures)?;
    let path = match case.input {
        Input::File => capture.clone(),
        Input::Gzip => compressed(&capture).map_err(|error| format!("{}: {error}", capture.display()))?,
        Input::Stdin | Input::SilentPipe => PathBuf::from("-"),
    };
    let summary = bench.output("netscope-summary.json");
    let bound = if let Proof::Bound(bound) = case.proof { bound } else { 0 };
    let (workers, bound) = (case.workers.to_string(), bound.to_string());
    let mut words = bench.netscope_words(&path, PayloadFlag::Ignored, &["--workers", &workers, "--max-flows", &bound]);
    if !case.config.is_empty() {
        let config = bench.output(&format!("{}.toml", case.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")));
        fs::write(&config, case.config).map_err(|error| format!("{}: {error}", config.display()))?;
        words.extend(["--config".into(), config.into()]);
    }
    for flag in case.flags {
        words.push(limits::written(bench, flag)?);
    }
    words.extend(["--summary-json".into(), summary.clone().into()]);
    if case.input == Input::SilentPipe {
        // The shell and what it starts take a few ms, in each of these cases.
        let pipe: [std::ffi::OsString; 4] = ["sh".into(), "-c".into(), SILENT_PIPE.into(), capture.clone().into()];
        words = pipe.into_iter().chain(words).collect();
    }
    let (expected, proof, output) = (case.capture, case.proof, summary.clone());
    let count = move || cases::flows(&WrittenSummary::read(&output, expected.packets)?, &expected, proof);
    let stdin = (case.input == Input::Stdin).then_some(capture);
    Ok(MeasuredCommand { stdin, outputs: vec![summary], ..candidate(&case.name, words, count) })
}

/// The capture through gzip, made once.
fn compressed(capture: &Path) -> io::Result<PathBuf> {
    let path = capture.with_extension("pcap.gz");
    if !path.exists() {
        println!("Compressing {}", capture.display());
        let unfinished = capture.with_extension("unfinished");
        let mut encoder = GzEncoder::new(File::create(&unfinished)?, Compression::default());
        io::copy(&mut BufReader::with_capacity(1 << 20, File::open(capture)?), &mut encoder)?;
        encoder.finish()?.sync_all()?;
        fs::rename(&unfinished, &path)?;
    }
    Ok(path)
}

/// The medians of one case against those of another.
fn compare(cases: &[CliffCase], all: &[Series], case: &CliffCase, comparison: &Comparison) -> Option<String> {
    let Comparison { with, measured, goal } = comparison;
    let of = |name: &str| {
        let (case, series) = cases.iter().zip(all).find(|(case, _)| case.name == name)?;
        let wall_s = series.spread(|run| run.wall_s)?.median;
        Some((series.cpu()?.median / case.capture.packets as f64, wall_s, series.spread(|run| run.peak_mib)?.median))
    };
    let ((cpu, wall_s, peak_mib), (other_cpu, other_wall_s, other_peak_mib)) = (of(&case.name)?, of(with)?);
    let (figure, unit) = match measured {
        ComparedBy::CpuPerPacket => (cpu / other_cpu, "x"),
        ComparedBy::Memory => (peak_mib / other_peak_mib, "x the memory of"),
        ComparedBy::Wall => (wall_s / other_wall_s, "x the wall time of"),
        ComparedBy::WallPerTick => ((wall_s - other_wall_s) / case.capture.seconds() * 1e6, "µs a tick more than"),
    };
    let goal = goal.map_or_else(String::new, |goal| format!(" (goal at most {goal}: {})", verdict(figure <= goal)));
    Some(format!("{figure:.2} {unit} {with}{goal}"))
}
