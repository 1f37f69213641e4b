//! Times of a file that cannot be right, and steps of time that are real, by the whole program: flows end as if the wrong time were not
//! there, a capture that goes on a year later has its times, and the number of workers changes no byte.

mod common;

use common::{netscope, temp_dir};
use netscope_perf::{GeneratorSettings, Profile, Resolution, write_pcap};
use serde_json::Value;
use std::fs;
use std::path::Path;

const FILE_HEADER_LEN: usize = 24;
const PACKETS: u64 = 6_000;
const FLOWS: u64 = 2_000;
const YEAR_S: u32 = 365 * 86_400;

/// Two thousand flows of three packets over ten minutes, as the bytes of a pcap file.
fn ten_minutes() -> Vec<u8> {
    let settings = GeneratorSettings::new(Profile::SmallPackets, PACKETS, FLOWS, 3);
    let mut bytes = Vec::new();
    write_pcap(&GeneratorSettings { live_flows: 10, gap_ns: 100_000_000, ..settings }, Resolution::Micro, &mut bytes)
        .expect("memory takes it");
    bytes
}

/// Where the record of each packet begins.
fn records(bytes: &[u8]) -> Vec<usize> {
    let mut at = FILE_HEADER_LEN;
    let mut records = Vec::new();
    while at < bytes.len() {
        records.push(at);
        at += 16 + u32::from_le_bytes(bytes[at + 8..at + 12].try_into().expect("four bytes")) as usize;
    }
    records
}

/// Changes the seconds of the packets that `of` names.
fn change(bytes: &mut [u8], of: impl Fn(usize) -> bool, to: impl Fn(u32) -> u32) {
    for (number, at) in records(bytes).into_iter().enumerate().filter(|(number, _)| of(*number)) {
        let seconds = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        assert!(number < PACKETS as usize);
        bytes[at..at + 4].copy_from_slice(&to(seconds).to_le_bytes());
    }
}

/// The ended flows and the summary of a run.
fn run(capture: &Path, workers: &str) -> (Vec<u8>, Value) {
    let (ended, summary) = (capture.with_extension("jsonl"), capture.with_extension("json"));
    let output = netscope()
        .args(["--quiet", "--no-summary", "--max-flows", "0", "--closed-timeout-s", "60", "--workers", workers, "--read-pcap"])
        .arg(capture)
        .arg("--expired-flows-jsonl")
        .arg(&ended)
        .arg("--summary-json")
        .arg(&summary)
        .output()
        .expect("netscope runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = serde_json::from_slice(&fs::read(summary).expect("summary")).expect("JSON");
    (fs::read(ended).expect("ended flows"), summary)
}

/// The same of these bytes by any number of workers.
fn runs(bytes: &[u8]) -> (Vec<Value>, Value) {
    let directory = temp_dir("wrong-times");
    let capture = directory.path().join("times.pcap");
    fs::write(&capture, bytes).expect("capture");
    let (ended, summary) = run(&capture, "1");
    for workers in ["2", "4"] {
        let (again, again_summary) = run(&capture, workers);
        assert!(again == ended, "{workers} workers");
        for pointer in ["/times_contradicted", "/time_regressions", "/flows"] {
            assert_eq!(again_summary.pointer(pointer), summary.pointer(pointer), "{pointer} with {workers} workers");
        }
    }
    let lines = String::from_utf8(ended).expect("text");
    (lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(), summary)
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer} in {value}"))
}

fn last_seen(flow: &Value) -> f64 {
    flow["last_seen"].as_f64().unwrap_or_else(|| panic!("no last_seen in {flow}"))
}

#[test]
fn a_packet_of_2106_ends_no_expiry() {
    let right = ten_minutes();
    let mut wrong = right.clone();
    change(&mut wrong, |number| matches!(number, 500 | 501 | 3_000), |_| u32::MAX);
    let ((right_flows, right), (flows, summary)) = (runs(&right), runs(&wrong));
    assert_eq!((number(&right, "/times_contradicted"), number(&summary, "/times_contradicted")), (0, 3));
    assert_eq!(flows.len(), right_flows.len());
    assert_eq!(number(&summary, "/flows/opened"), FLOWS);
    assert_eq!(summary["flows"]["ended"], right["flows"]["ended"], "as many flows ended, for the same reasons");
    let latest = right_flows.iter().map(last_seen).fold(0.0, f64::max);
    assert!(flows.iter().all(|flow| last_seen(flow) <= latest), "no record says 2106");
    let differing = flows.iter().filter(|flow| !right_flows.contains(flow)).count();
    assert!(differing <= 3, "{differing} flows differ: those that had the packets");
}

#[test]
fn a_capture_that_goes_on_a_year_later_has_its_times() {
    let mut bytes = ten_minutes();
    change(&mut bytes, |number| number >= 3_000, |seconds| seconds + YEAR_S);
    let (flows, summary) = runs(&bytes);
    assert_eq!((number(&summary, "/times_contradicted"), number(&summary, "/time_regressions")), (0, 0));
    let first = records(&bytes).first().map(|&at| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")));
    let middle = f64::from(first.expect("packets") + YEAR_S / 2);
    let (before, after): (Vec<&Value>, Vec<&Value>) = flows.iter().partition(|flow| last_seen(flow) < middle);
    assert!(before.len() > 900 && after.len() > 900, "{} before, {} after", before.len(), after.len());
    assert!(
        after.iter().all(|flow| last_seen(flow) > middle + f64::from(YEAR_S) / 2.0 - 1.0),
        "right away, not some packets later"
    );
}
