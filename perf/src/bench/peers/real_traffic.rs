//! Application inspection on real traffic: ours without and with it, and the two peers that do the same. Owns where the
//! captures come from and the goals. Its one invariant: a run that names no application has no figure.

use super::ONCE_ABOVE_S;
use super::commands::{self, APPLICATION_LOG, NDPI_READER, NDPI_SAID};
use crate::bench::capture::made_once;
use crate::bench::count::{self, WrittenSummary};
use crate::bench::report::{BenchReport, at_least, at_most};
use crate::bench::series::{MeasuredCommand, Series, alternate};
use crate::bench::{Bench, PayloadFlag, candidate};
use netscope_perf::real::RealTraffic;
use std::path::{Path, PathBuf};

pub const NAME: &str = "real traffic";
/// Packets at least.
const PACKETS: u64 = 2_000_000;
/// CPU time with inspection, in times that without.
const INSPECTION_GOAL: f64 = 1.35;
/// CPU time of each peer, in times ours with inspection.
const PEER_GOAL: f64 = 4.0;
/// Goes up when other bytes are written of the same captures.
const GENERATION: u32 = 1;
/// What suricata logs of applications.
const EVENTS: [&str; 5] = ["dns", "tls", "http", "ssh", "quic"];
/// Where the summary has the flows whose application is known.
const NAMED: &str = "/inspection/recognised";
const IGNORED: &str = "netscope --no-dpi";
const INSPECTED: &str = "netscope --dpi";

/// The capture that is read.
pub struct ReadyCapture {
    path: PathBuf,
    packets: u64,
    /// "real traffic (2.0 M packets, 1400 MB)".
    label: String,
    /// What it is made of.
    origin: String,
}

/// Adds the rows and what each program found.
///
/// # Errors
/// When suricata's settings cannot be written.
pub fn add(bench: &Bench, capture: &ReadyCapture, report: &mut BenchReport) -> Result<(), String> {
    let text = capture.path.to_string_lossy();
    let candidates = [
        netscope(bench, IGNORED, PayloadFlag::Ignored, capture),
        netscope(bench, INSPECTED, PayloadFlag::Inspected, capture),
        commands::ndpi_reader(bench, &text),
        commands::suricata(bench, &text, APPLICATION_LOG)?,
    ];
    let all = alternate(NAME, &candidates, bench.repeats(ONCE_ABOVE_S));
    let [ignored, inspected, peers @ ..] = &all[..] else { return Err("four candidates give four series".to_owned()) };
    report.row(&capture.label, capture.packets, ignored, "");
    report.row(&capture.label, capture.packets, inspected, &at_most(inspected, ignored, Some(INSPECTION_GOAL)));
    for peer in peers {
        report.row(&capture.label, capture.packets, peer, &at_least(peer, inspected, PEER_GOAL));
    }
    report.note(&*capture.origin);
    report.note(found(bench, &all, capture.packets));
    Ok(())
}

/// The capture, written where it is not there yet.
///
/// # Errors
/// When there are no captures to make it of, or it cannot be written.
pub fn ready(bench: &Bench) -> Result<ReadyCapture, String> {
    let directory = captures();
    let traffic = RealTraffic::read(&directory)?;
    let least = if bench.quick { PACKETS / 10 } else { PACKETS };
    let file = format!("real-traffic-{least}-{:016x}-g{GENERATION}.pcap", traffic.fingerprint());
    let path = bench.output(&file);
    made_once(&path, |out| traffic.write(least, out).map(|_multiplied| ()))?;
    let copies = traffic.copies(least);
    let packets = copies * traffic.packets();
    let bytes = path.metadata().map_err(|error| format!("{}: {error}", path.display()))?.len();
    let label = format!("{NAME} ({:.1} M packets, {} MB)", packets as f64 / 1e6, bytes / 1_000_000);
    let origin = format!(
        "Real traffic: {} captures with {} packets, {copies} times, each time with other addresses and another start, merged by \
         time. Left out: {} captures, and {} packets of those that are taken (no TCP or UDP right behind IP, fragments, tunnels, cut).",
        traffic.captures(),
        traffic.packets(),
        traffic.left_out().len(),
        traffic.skipped()
    );
    Ok(ReadyCapture { path, packets, label, origin })
}

/// Those of the corpus, which lies where NETSCOPE_CORPUS says, else beside the repository; without one those of the
/// tests.
fn captures() -> PathBuf {
    if let Some(corpus) = std::env::var_os("NETSCOPE_CORPUS") {
        return PathBuf::from(corpus).join("captures");
    }
    let beside = PathBuf::from("../shared/corpus/captures");
    if beside.is_dir() { beside } else { PathBuf::from("tests/fixtures") }
}

/// One worker, the CSV of all flows, and the summary, in which every packet must be.
fn netscope(bench: &Bench, name: &str, payload: PayloadFlag, capture: &ReadyCapture) -> MeasuredCommand {
    let (csv, summary) = (bench.output("netscope.csv"), summary(bench, payload));
    let mut words = bench.exporting(&capture.path, payload, 1, &csv);
    words.extend(["--summary-json".into(), summary.clone().into()]);
    let (outputs, packets) = (vec![csv.clone(), summary.clone()], capture.packets);
    let count = move || {
        let written = WrittenSummary::read(&summary, packets)?;
        if payload == PayloadFlag::Inspected && written.get(NAMED)? == 0 {
            return Err("it names no application".to_owned());
        }
        count::csv(&csv, written.get("/packets_in_flows")?)
    };
    MeasuredCommand { outputs, ..candidate(name, words, count) }
}

fn summary(bench: &Bench, payload: PayloadFlag) -> PathBuf {
    bench.output(&format!("netscope{}.json", payload.word()))
}

/// What each program found in its last run, so that figures stand beside the work that they are of.
fn found(bench: &Bench, all: &[Series], packets: u64) -> String {
    let found = |series: &Series| match series.name.as_str() {
        IGNORED => None,
        INSPECTED => Some(named_flows(&summary(bench, PayloadFlag::Inspected), packets)),
        NDPI_READER => Some(by_content(&bench.output(NDPI_SAID))),
        _ => Some(events(&bench.output(APPLICATION_LOG.file).join("eve.json"))),
    };
    let told = all.iter().filter(|series| series.failure.is_none()).filter_map(|series| {
        let found = found(series)?.unwrap_or_else(|reason| format!("unknown ({reason})"));
        Some(format!("{}: {found}", series.name))
    });
    format!("Applications found on real traffic: {}.", told.collect::<Vec<_>>().join("; "))
}

fn named_flows(summary: &Path, packets: u64) -> Result<String, String> {
    let written = WrittenSummary::read(summary, packets)?;
    let bounds = ["flows", "bytes", "facts"].map(|bound| written.get(&format!("/inspection/{bound}_too_many")));
    let bounded = bounds.into_iter().sum::<Result<u64, String>>()?;
    Ok(format!("{} flows ({bounded} left alone because of a bound)", written.get(NAMED)?))
}

/// "Confidence: DPI        303           (flows)"; other kinds have more words in front of the number.
fn by_content(said: &Path) -> Result<String, String> {
    count::named(said, "Confidence: DPI  ").map(|flows| format!("{flows} flows by content"))
}

fn events(log: &Path) -> Result<String, String> {
    let kinds = EVENTS.iter().map(|kind| Ok(format!("{} {kind}", commands::events(log, kind)?)));
    kinds.collect::<Result<Vec<_>, String>>().map(|kinds| format!("events of {}", kinds.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_was_found_is_read_from_what_each_program_wrote() {
        let path = std::env::temp_dir().join(format!("netscope-perf-found-{}", std::process::id()));
        let wrote = |text: &str| fs::write(&path, text).unwrap();
        wrote(
            "\tConfidence: Unknown    18            (flows)\n\tConfidence: DPI (cache) 13            (flows)\n\tConfidence: DPI        303           (flows)\n",
        );
        assert_eq!(by_content(&path), Ok("303 flows by content".to_owned()));
        wrote(
            "{\"event_type\":\"dns\"}\n{\"event_type\":\"tls\"}\n{\"event_type\":\"dns\"}\n{\"event_type\":\"flow\",\"app_proto\":\"ssh\"}\n",
        );
        assert_eq!(events(&path), Ok("events of 2 dns, 1 tls, 0 http, 0 ssh, 0 quic".to_owned()));
        wrote(
            r#"{"packets": 9, "unaccounted": 0, "inspection": {"recognised": 4, "flows_too_many": 1, "bytes_too_many": 0, "facts_too_many": 2}}"#,
        );
        let named = named_flows(&path, 9);
        fs::remove_file(&path).unwrap();
        assert_eq!(named, Ok("4 flows (3 left alone because of a bound)".to_owned()));
    }
}
