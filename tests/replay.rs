//! One answer per capture: however many workers, whatever the container or the backend, the same bytes come out, and the ledger
//! closes.

mod common;

use common::{captures, engine, netscope, temp_dir};
use flate2::Compression;
use flate2::write::GzEncoder;
use netscope::aggregate::Output;
use netscope::engine::{EngineSettings, Source};
use netscope::flow::FlowSettings;
use netscope::output::{CsvLine, CsvLines, CsvTable, DocumentFile, ExportSettings, JsonLine, JsonLines, JsonTable};
use netscope_backends::LinkType;
use netscope_backends::memory::{MemoryBackend, read_all};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

const EXPORTS: [&str; 4] = ["flows.json", "flows.csv", "ended.jsonl", "ended.csv"];

/// Runs the program on `input` with exports into `dir`; the exports' bytes by name.
fn exports(dir: &Path, input: &Path, extra: &[&str], stdin: Option<&Path>) -> BTreeMap<&'static str, Vec<u8>> {
    let mut command = netscope();
    command.args(["--quiet", "--read-pcap"]).arg(input).args(extra);
    for (flag, name) in ["--export-json", "--export-csv", "--expired-flows-jsonl", "--expired-flows-csv"].iter().zip(EXPORTS) {
        command.arg(flag).arg(dir.join(name));
    }
    command.arg("--summary-json").arg(dir.join("summary.json"));
    if let Some(path) = stdin {
        command.stdin(fs::File::open(path).expect("input"));
    }
    let output = command.output().expect("netscope runs");
    assert!(output.status.success(), "{} {extra:?}: {}", input.display(), String::from_utf8_lossy(&output.stderr));
    EXPORTS.iter().map(|&name| (name, fs::read(dir.join(name)).expect(name))).collect()
}

fn summary(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("summary.json")).expect("summary")).expect("summary is JSON")
}

fn assert_same(what: &str, reference: &BTreeMap<&str, Vec<u8>>, other: &BTreeMap<&str, Vec<u8>>) {
    for name in EXPORTS {
        assert!(reference[name] == other[name], "{what}: {name} differs");
    }
}

#[test]
fn workers_and_runs_give_identical_bytes() {
    let dir = temp_dir("workers");
    for capture in captures() {
        // The second setting makes flows time out, close and be evicted while the file is read.
        for extra in [&[][..], &["--flow-timeout-s", "0.5", "--closed-timeout-s", "0.1"][..]] {
            let reference = exports(dir.path(), &capture, extra, None);
            for workers in ["1", "1", "2", "4"] {
                let mut arguments = vec!["--workers", workers];
                arguments.extend(extra);
                let other = exports(dir.path(), &capture, &arguments, None);
                assert_same(&format!("{} with {workers} workers {extra:?}", capture.display()), &reference, &other);
            }
        }
    }
}

#[test]
fn packets_in_memory_give_the_same_bytes_as_the_file() {
    let dir = temp_dir("memory");
    // The program's defaults, but that no payload is looked into.
    let settings = EngineSettings {
        flow: FlowSettings { closed_timeout_ns: 10_000_000_000, ..FlowSettings::default() },
        ..engine::settings()
    };
    for capture in captures() {
        let reference = exports(dir.path(), &capture, &["--no-dpi"], None);
        let packets = read_all(&capture).expect("a sound capture");
        let link_type = packets.first().map_or(LinkType::ETHERNET, |packet| packet.link_type);
        let backend = MemoryBackend::new(link_type, packets);
        let (path, record) = (|name: &str| dir.path().join(name), ExportSettings::default());
        let outputs: Vec<Box<dyn Output>> = vec![
            Box::new(DocumentFile::create(&path(EXPORTS[0]), JsonTable(record)).expect("export")),
            Box::new(DocumentFile::create(&path(EXPORTS[1]), CsvTable(record)).expect("export")),
            Box::new(JsonLines::create(&path(EXPORTS[2]), JsonLine, record).expect("export")),
            Box::new(CsvLines::create(&path(EXPORTS[3]), CsvLine, record).expect("export")),
        ];
        let outcome = engine::run_into(Source::Queues(vec![Box::new(backend)]), &settings, outputs);
        assert!(outcome.errors.is_empty() && outcome.failures.is_empty(), "{outcome:?}");
        let memory = EXPORTS.iter().map(|&name| (name, fs::read(path(name)).expect(name))).collect();
        assert_same(&format!("{} in memory", capture.display()), &reference, &memory);
    }
}

#[test]
fn two_runs_that_evict_give_identical_bytes() {
    let dir = temp_dir("evict");
    for capture in captures() {
        for workers in ["1", "2"] {
            let arguments = ["--workers", workers, "--max-flows", "5"];
            let first = exports(dir.path(), &capture, &arguments, None);
            let second = exports(dir.path(), &capture, &arguments, None);
            assert_same(&format!("{} with {workers} workers", capture.display()), &first, &second);
        }
    }
}

fn gzipped(dir: &Path, capture: &[u8]) -> PathBuf {
    let path = dir.join("packed.gz");
    let mut file = GzEncoder::new(fs::File::create(&path).expect("compressed file"), Compression::fast());
    file.write_all(capture).and_then(|()| file.finish()).expect("compressed file");
    path
}

fn zstandard(dir: &Path, capture: &[u8]) -> PathBuf {
    let path = dir.join("packed.zst");
    let file = fs::File::create(&path).expect("compressed file");
    zstd::stream::copy_encode(capture, file, 1).expect("compressed file");
    path
}

#[test]
fn streams_give_the_same_as_files() {
    let dir = temp_dir("streams");
    for capture in captures().into_iter().take(12) {
        let reference = exports(dir.path(), &capture, &[], None);
        let bytes = fs::read(&capture).expect("capture");
        let (gz, zst) = (gzipped(dir.path(), &bytes), zstandard(dir.path(), &bytes));
        for workers in ["1", "3"] {
            let arguments = ["--workers", workers];
            let name = capture.display();
            assert_same(&format!("{name}, gzip"), &reference, &exports(dir.path(), &gz, &arguments, None));
            assert_same(&format!("{name}, zstd"), &reference, &exports(dir.path(), &zst, &arguments, None));
            let stdin = exports(dir.path(), Path::new("-"), &arguments, Some(&capture));
            assert_same(&format!("{name}, standard input"), &reference, &stdin);
        }
    }
}

#[test]
fn every_packet_is_in_a_flow_or_under_a_name() {
    let dir = temp_dir("ledger");
    for capture in captures() {
        for workers in ["1", "3"] {
            for extra in [&[][..], &["--count", "7"][..], &["--filter", "tcp"][..], &["--max-flows", "3"][..]] {
                let mut arguments = vec!["--workers", workers, "--flow-timeout-s", "0"];
                arguments.extend(extra);
                let what = format!("{} {arguments:?}", capture.display());
                let written = exports(dir.path(), &capture, &arguments, None);
                let summary = summary(dir.path());
                assert_eq!(summary["unaccounted"], 0, "{what}: {summary:#}");
                let flows: Vec<Value> = serde_json::from_slice(&written["flows.json"]).expect("JSON");
                let in_flows: u64 = flows.iter().map(|flow| flow["packets_total"].as_u64().expect("packets")).sum();
                assert_eq!(summary["packets_in_flows"], in_flows, "{what}");
                let no_flow: u64 = summary["packets_in_no_flow"]
                    .as_object()
                    .expect("no_flow")
                    .values()
                    .map(|packets| packets.as_u64().expect("count"))
                    .sum();
                assert_eq!(summary["packets"], in_flows + no_flow, "{what}");
                assert_eq!(summary["packets_in_no_flow"]["fragments_held"], 0, "{what}");
                let ended = written["ended.jsonl"].split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
                let in_ended: u64 = ended
                    .map(|line| serde_json::from_slice::<Value>(line).expect("JSON line"))
                    .map(|flow| flow["packets_total"].as_u64().expect("packets"))
                    .sum();
                assert_eq!(in_ended, in_flows, "{what}: ended flows");
            }
        }
    }
}

#[test]
fn recording_a_capture_and_reading_it_again_changes_nothing() {
    let dir = temp_dir("record");
    for capture in captures() {
        let reference = exports(dir.path(), &capture, &[], None);
        let copy = dir.path().join("copy.pcapng");
        let recorded = exports(dir.path(), &capture, &["--write-pcap", copy.to_str().expect("UTF-8")], None);
        assert_same(&format!("{} while recording", capture.display()), &reference, &recorded);
        assert_same(&format!("{} recorded", capture.display()), &reference, &exports(dir.path(), &copy, &[], None));
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let Some(capture) = captures().into_iter().max_by_key(|path| fs::metadata(path).map_or(0, |meta| meta.len())) else {
        panic!("no captures");
    };
    let mut child =
        netscope().arg("--read-pcap").arg(capture).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("netscope runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("netscope ends");
    // The line that says what is read was there before.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.lines().count() <= 1 && said.starts_with("netscope: reading "), "{said}");
    assert!(output.status.success(), "{:?}", output.status);
}

#[test]
fn a_file_cut_short_is_read_to_the_cut_and_reported() {
    let dir = temp_dir("cut");
    for capture in captures() {
        let bytes = fs::read(&capture).expect("capture");
        exports(dir.path(), &capture, &[], None);
        let whole = summary(dir.path())["packets"].as_u64().expect("packets");
        let cut = dir.path().join("cut.pcap");
        fs::write(&cut, &bytes[..bytes.len() - 5]).expect("cut file");
        let (json, summary) = (dir.path().join("cut.json"), dir.path().join("summary.json"));
        let output = netscope()
            .args(["--quiet", "--read-pcap"])
            .arg(&cut)
            .arg("--export-json")
            .arg(&json)
            .arg("--summary-json")
            .arg(&summary)
            .output()
            .expect("netscope runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let what = capture.display();
        assert_eq!(output.status.code(), Some(1), "{what}: {stderr}");
        assert!(stderr.contains("cut.pcap") && stderr.contains("damaged"), "{what}: {stderr}");
        let flows: Vec<Value> = serde_json::from_slice(&fs::read(&json).expect("export")).expect("JSON");
        let summary: Value = serde_json::from_slice(&fs::read(&summary).expect("summary")).expect("JSON");
        // The last record of a pcapng file may be one without a packet.
        let read = summary["packets"].as_u64().expect("packets");
        assert!(read == whole || read + 1 == whole, "{what}: {read} of {whole} packets");
        let in_flows: u64 = flows.iter().map(|flow| flow["packets_total"].as_u64().expect("packets")).sum();
        assert_eq!(summary["packets_in_flows"], in_flows, "{what}");
    }
}
