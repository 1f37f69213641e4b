//! The flight recorder of the real program on files: an attack at a known time leaves the packets that concern it, from before and after,
//! whatever the number of workers; what the disk refuses is counted, and old recordings go.
#![cfg(target_os = "linux")]

mod common;

use common::{Finished, netscope, run, skip, temp_dir};
use netscope_backends::memory::{OwnedPacket, read_all};
use netscope_perf::scenario::{MS, Outcome, SEC, Script, host};
use serde_json::{Value, json};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const VICTIM: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const OTHER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// When the flood of [`attacked`] begins, after the start.
const FLOOD_AT: u64 = 30 * SEC;
const SETTINGS: &str = "[recorder]\nseconds = 20.0\nbefore_secs = 6.0\nafter_secs = 3.0\n";

/// A minute of good clients of two servers, and half a minute in, for two seconds, a flood of one of them.
fn attacked(path: &Path) {
    let mut script = Script::default();
    for i in 0..600_u32 {
        let at = u64::from(i) * 100 * MS;
        script.connect(at, (host([10, 0, 0, 1], i % 9), 20_000 + i as u16), (VICTIM, 80), 3 * MS, Outcome::Completed);
        script.connect(at + MS, (host([10, 0, 1, 1], i % 9), 20_000 + i as u16), (VICTIM, 22), 3 * MS, Outcome::Completed);
        script.connect(at + 2 * MS, (host([10, 0, 2, 1], i % 9), 20_000 + i as u16), (OTHER, 80), 3 * MS, Outcome::Completed);
    }
    for i in 0..1000_u32 {
        let source = (host([11, 0, 0, 0], i * 7919), 1024);
        script.connect(FLOOD_AT + u64::from(i) * 2 * MS, source, (VICTIM, 80), MS, Outcome::Unfinished);
    }
    script.write(path);
}

/// A run in a directory of its own.
struct Recorded {
    directory: tempfile::TempDir,
    finished: Finished,
}

impl Recorded {
    fn of(capture: &Path, settings: &str, flags: &[&str]) -> Self {
        let directory = temp_dir("recorder");
        let at = |name: &str| directory.path().join(name);
        fs::write(at("netscope.toml"), settings).expect("the file is written");
        let mut command = netscope();
        command.args(["--quiet", "--anomalies", "--read-pcap"]).arg(capture).args(flags);
        command.arg("--config").arg(at("netscope.toml")).arg("--recorder").arg(at("recordings"));
        command.arg("--alerts-jsonl").arg(at("alerts.jsonl")).arg("--summary-json").arg(at("summary.json"));
        Self { finished: run(&mut command), directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        names(&self.file("recordings"))
    }

    fn alerts(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.file("alerts.jsonl")).expect("it is there");
        text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
    }

    fn counts(&self) -> Value {
        let text = fs::read(self.file("summary.json")).expect("it is there");
        serde_json::from_slice::<Value>(&text).expect("an object")["recorder"].clone()
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// True for a segment from or to the service.
fn concerns(packet: &OwnedPacket, address: Ipv4Addr, port: u16) -> bool {
    let at = |host: usize, port_at: usize| {
        packet.data[host..host + 4] == address.octets() && packet.data[port_at..port_at + 2] == port.to_be_bytes()
    };
    at(26, 34) || at(30, 36)
}

fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        skip(&format!("{program} is not installed"));
    }
    found
}

#[test]
fn an_attack_at_a_known_time_leaves_its_packets_from_before_and_after() {
    let directory = temp_dir("attack");
    let capture = directory.path().join("attack.pcap");
    attacked(&capture);
    let first = Recorded::of(&capture, SETTINGS, &["--workers", "1"]);
    assert_eq!(first.finished.status.code(), Some(0), "{}", first.finished.stderr);
    let [name] = &first.names()[..] else { panic!("one recording: {:?}", first.names()) };
    assert!(name.starts_with("flight-20231114T2213") && name.ends_with("Z-syn_flood-192.0.2.80-80.pcapng"), "{name}");
    let recording = first.file("recordings").join(name);
    let alerts = first.alerts();
    assert!(alerts.iter().all(|alert| alert["recording"] == json!(recording)), "{alerts:?}");
    let begin = alerts.iter().find(|alert| alert["phase"] == "begin").expect("it began");
    let ns = |name: &str| (begin[name].as_f64().expect("seconds") * 1e6).round() as u64 * 1000;
    let (from, to) = (ns("began") - 6 * SEC, ns("ts") + 3 * SEC);
    let all = read_all(&capture).expect("a capture");
    let start = all[0].time.0;
    let told_after = ns("ts") - start - FLOOD_AT;
    assert!(told_after < SEC, "the truth of the attack: {told_after}");
    // The window's first observation: clients of the five seconds before.
    assert!((FLOOD_AT - 6 * SEC..FLOOD_AT + SEC).contains(&(ns("began") - start)));
    let expected: Vec<OwnedPacket> =
        all.into_iter().filter(|packet| concerns(packet, VICTIM, 80) && (from..=to).contains(&packet.time.0)).collect();
    let found = read_all(&recording).expect("a recording");
    assert_eq!(found.len(), expected.len());
    assert!(found == expected, "the packets of the service and no other");
    let before: Vec<&OwnedPacket> = found.iter().filter(|packet| packet.time.0 < start + FLOOD_AT).collect();
    assert!(before[0].time.0 <= start + FLOOD_AT - 5 * SEC && before.len() >= 300, "ten clients a second, six segments each");
    let counts = first.counts();
    assert_eq!((&counts["recordings"], &counts["packets"]), (&json!(1), &json!(found.len())), "{counts}");
    assert_eq!((&counts["bytes"], &counts["incomplete"]), (&json!(fs::metadata(&recording).expect("a file").len()), &json!(0)));
    let bytes = fs::read(&recording).expect("a file");
    for flags in [&["--workers", "2"][..], &["--workers", "4"], &["--workers", "2"]] {
        let other = Recorded::of(&capture, SETTINGS, flags);
        assert_eq!(other.names(), first.names(), "{flags:?}");
        assert!(fs::read(other.file("recordings").join(name)).expect("a file") == bytes, "the same bytes, {flags:?}");
    }
    if has("tshark") {
        let fields = ["-T", "fields", "-e", "ip.addr", "-e", "tcp.port"];
        let listed = Command::new("tshark").arg("-r").arg(&recording).args(fields).output().expect("tshark is installed");
        let listed = String::from_utf8(listed.stdout).expect("text");
        assert_eq!(listed.lines().count(), found.len());
        assert!(listed.lines().all(|line| line.contains("192.0.2.80") && line.contains("80")), "{listed}");
        let shown = Command::new("capinfos").arg(&recording).output().expect("capinfos comes with tshark");
        let shown = String::from_utf8(shown.stdout).expect("text");
        for part in
            ["alert: syn_flood (distributed, syn)", "key: syn_flood 192.0.2.80:80", "evidence: ", "crossed: syn_threshold 200"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}

#[test]
fn a_pipe_and_a_compressed_file_give_the_same() {
    let directory = temp_dir("pipe");
    let capture = directory.path().join("attack.pcap");
    attacked(&capture);
    let mapped = Recorded::of(&capture, SETTINGS, &["--workers", "1"]);
    let compressed = directory.path().join("attack.pcap.gz");
    let written = Command::new("sh").arg("-c").arg("gzip -c \"$1\" >\"$2\"").arg("sh").arg(&capture).arg(&compressed).status();
    assert!(written.is_ok_and(|status| status.success()));
    for workers in ["1", "2"] {
        let read = Recorded::of(&compressed, SETTINGS, &["--workers", workers]);
        assert_eq!(read.names(), mapped.names());
        let bytes = |run: &Recorded| fs::read(run.file("recordings").join(&run.names()[0])).expect("a file");
        assert!(bytes(&read) == bytes(&mapped), "{workers} workers");
    }
}

#[test]
fn a_recording_has_a_largest_size_and_a_snap_length() {
    let directory = temp_dir("size");
    let capture = directory.path().join("attack.pcap");
    let mut script = Script::default();
    for i in 0..30_000_u32 {
        script.connect(u64::from(i) * MS / 20, (host([11, 0, 0, 0], i * 7919), 1024), (VICTIM, 80), MS, Outcome::Silent);
    }
    script.write(&capture);
    let settings = format!("{SETTINGS}max_recording_mb = 1\nsnaplen = 40\n");
    let cut = Recorded::of(&capture, &settings, &[]);
    let path = cut.file("recordings").join(&cut.names()[0]);
    let len = fs::metadata(&path).expect("a file").len();
    assert!((1_000_000..(1 << 20) + 5000).contains(&len), "{len}");
    let found = read_all(&path).expect("a recording");
    assert_eq!(found.len(), (1 << 20) / (32 + 40));
    assert!(found.iter().all(|packet| packet.data.len() == 40 && packet.wire_len == 66));
    assert_eq!((&cut.counts()["incomplete"], &cut.counts()["recordings"]), (&json!(1), &json!(1)));
    assert!(cut.finished.stderr.contains("incomplete"), "{}", cut.finished.stderr);
}

#[test]
fn old_recordings_go_and_files_of_others_stay() {
    let directory = temp_dir("prune");
    let capture = directory.path().join("attacks.pcap");
    let mut script = Script::default();
    for attack in 0..5_u32 {
        for i in 0..400_u32 {
            let at = u64::from(attack) * 40 * SEC + u64::from(i) * 2 * MS;
            let victim = (host([192, 0, 2, 80], attack), 80);
            script.connect(at, (host([11, 0, 0, 0], i * 7919), 1024), victim, MS, Outcome::Silent);
        }
    }
    script.write(&capture);
    let recordings = directory.path().join("recordings");
    fs::create_dir(&recordings).expect("a directory");
    let theirs = ["capture.pcapng", "flight-theirs.pcapng"];
    theirs.iter().for_each(|name| fs::write(recordings.join(name), "theirs").expect("written"));
    let settings = directory.path().join("netscope.toml");
    fs::write(&settings, format!("{SETTINGS}max_files = 2\n")).expect("written");
    let summary = directory.path().join("summary.json");
    let mut command = netscope();
    command.args(["--quiet", "--anomalies", "--read-pcap"]).arg(&capture).arg("--config").arg(&settings);
    run(command.arg("--recorder").arg(&recordings).arg("--summary-json").arg(&summary)).expect_code(0);
    let left = names(&recordings);
    assert_eq!(left.len(), 4, "{left:?}");
    assert!(left.iter().any(|name| name.contains("192.0.2.83-80")) && left.iter().any(|name| name.contains("192.0.2.84-80")));
    assert!(theirs.iter().all(|name| fs::read(recordings.join(name)).is_ok_and(|text| text == b"theirs")));
    let summary: Value = serde_json::from_slice(&fs::read(&summary).expect("it is there")).expect("an object");
    let counts = &summary["recorder"];
    assert_eq!((&counts["recordings"], &counts["files_deleted"]), (&json!(5), &json!(3)), "{counts}");
}

#[test]
fn a_full_disk_loses_recordings_and_no_packet() {
    let directory = temp_dir("full");
    attacked(&directory.path().join("attack.pcap"));
    fs::create_dir(directory.path().join("full")).expect("a directory");
    let line = "unshare -m sh -c 'mount -t tmpfs -o size=64k tmpfs full || exit 99; \"$N\" --read-pcap attack.pcap --quiet --anomalies \
                --recorder full/recordings --summary-json summary.json; code=$?; ls -A full/recordings >left; exit $code'";
    let shell = Command::new("sh").args(["-c", line]).env("N", netscope().get_program()).current_dir(directory.path()).output();
    let output = shell.expect("there is a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(99) || stderr.contains("unshare") {
        return skip("a small disk cannot be mounted here");
    }
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("a recording is lost, the run goes on") && stderr.contains("No space left"), "{stderr}");
    let text = fs::read(directory.path().join("summary.json")).expect("it is there");
    let summary: Value = serde_json::from_slice(&text).expect("an object");
    assert_eq!((&summary["recorder"]["recordings"], &summary["recorder"]["lost"]["disk"]), (&json!(0), &json!(1)));
    assert_eq!((&summary["unaccounted"], &summary["recorder"]["packets_not_kept"]), (&json!(0), &json!(0)));
    assert_eq!(summary["packets"], json!(600 * 3 * 6 + 1000 * 2), "every packet was counted");
    assert_eq!(fs::read_to_string(directory.path().join("left")).expect("it is there"), "", "nothing half-written");
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_read() {
    let directory = temp_dir("refused");
    fs::write(directory.path().join("file"), "").expect("written");
    fs::write(directory.path().join("long.toml"), "[recorder]\nenabled = true\nseconds = 5.0\nbefore_secs = 6.0\n")
        .expect("written");
    fs::write(directory.path().join("large.toml"), "[recorder]\nenabled = true\nmax_recording_mb = 2000\n").expect("written");
    for (flags, part) in [
        (&["--recorder-filter", "tcp"][..], "add --recorder DIR"),
        (&["--recorder", "file/below"], "cannot create recordings in file/below (--recorder, recorder.directory)"),
        (&["--recorder", "r", "--recorder-filter", "port and"], "--recorder-filter (recorder.filter) is no filter"),
        (&["--recorder", "r", "--recorder-memory-mb", "7"], "--recorder-memory-mb (recorder.memory_mb) is 7"),
        (&["--config", "long.toml"], "recorder.before_secs 6 is more than packets are kept"),
        (&["--config", "large.toml"], "recorder.max_recording_mb 2000"),
    ] {
        let mut command = netscope();
        command.args(["--quiet", "--read-pcap"]).arg(common::fixture("loss.pcap")).args(flags).current_dir(directory.path());
        let finished = run(&mut command).expect_code(1);
        assert!(finished.stderr.contains(part), "{flags:?}: {}", finished.stderr);
    }
    assert!(!directory.path().join("recordings").exists());
    let read = directory.path().join("captures");
    fs::create_dir(&read).expect("a directory");
    fs::copy(common::fixture("loss.pcap"), read.join("loss.pcap")).expect("a copy");
    let finished = run(netscope().arg("--read-pcap").arg(&read).arg("--recorder").arg(&read)).expect_code(1);
    assert!(finished.stderr.contains("the same directory: give them different ones"), "{}", finished.stderr);
}
