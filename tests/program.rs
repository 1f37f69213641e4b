//! The program as its user meets it: signals, full disks, closed pipes, contradictory flags, many flows; exit codes and what is said.
//!
//! Limits on waiting are there to end a hung run, not to measure.
#![cfg(target_os = "linux")]

mod common;

use common::{RUN_LIMIT, RunningProgram, fixture, netscope, run, temp_dir};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A program that does not hear a signal would not end at all.
const SIGNAL_LIMIT: Duration = Duration::from_secs(10);

/// Writes a capture of `flows` UDP flows in turn, `rounds` times, one microsecond apart.
fn write_capture(path: &Path, flows: u32, rounds: u32) {
    let mut bytes = Vec::new();
    let mut words = |words: &[u32]| words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1]);
    for number in 0..flows * rounds {
        let [a, b, c, d] = (0x0a00_0000 + number % flows).to_be_bytes();
        let frame = [
            2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, // Ethernet
            0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, a, b, c, d, 192, 0, 2, 1, // IPv4
            4, 0, 0, 53, 0, 8, 0, 0, // UDP
        ];
        for word in [1_700_000_000 + number / 1_000_000, number % 1_000_000, frame.len() as u32, frame.len() as u32] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&frame);
    }
    fs::write(path, bytes).expect("the capture is written");
}

fn capture(directory: &Path, flows: u32, rounds: u32) -> PathBuf {
    let path = directory.join("made.pcap");
    write_capture(&path, flows, rounds);
    path
}

fn read_summary(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).expect("the summary is there")).expect("it is JSON")
}

/// A FIFO and its open writing end, so that its reader sees neither bytes nor the end.
fn fifo(directory: &Path) -> (PathBuf, File) {
    let path = directory.join("fifo");
    let made = Command::new("mkfifo").arg(&path).status().expect("there is mkfifo");
    assert!(made.success(), "a FIFO can be made");
    let writer = OpenOptions::new().read(true).write(true).open(&path).expect("it can be opened");
    (path, writer)
}

#[test]
fn more_flows_than_may_wait_at_once_end_at_one_packet() {
    let directory = temp_dir("program");
    let path = capture(directory.path(), 90_000, 1);
    let mut outputs = Vec::new();
    for workers in ["1", "2"] {
        let ended = directory.path().join(format!("ended-{workers}.jsonl"));
        let mut command = netscope();
        command.arg("--read-pcap").arg(&path).args(["--quiet", "--max-flows", "0", "--workers", workers]);
        run(command.arg("--expired-flows-jsonl").arg(&ended)).expect_code(0);
        outputs.push(fs::read(&ended).expect("ended flows"));
    }
    assert_eq!(outputs[0].iter().filter(|&&byte| byte == b'\n').count(), 90_000);
    assert!(outputs[0] == outputs[1], "two workers give the same bytes as one");
}

#[test]
fn the_table_stands_behind_the_last_packet() {
    let directory = temp_dir("program");
    let path = capture(directory.path(), 10, 2000);
    let finished = run(netscope().args(["--flow-table", "3", "--read-pcap"]).arg(&path)).expect_code(0);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    let table = lines.iter().position(|line| line.starts_with("PROTO"));
    assert_eq!(table, Some(20_000), "a line for each packet before it");
    assert!(finished.stderr.contains("\nSummary\n  packets: 20000 "), "{}", finished.stderr);
}

#[test]
fn ended_early_by_a_count_nothing_is_unaccounted_for() {
    let directory = temp_dir("program");
    let path = capture(directory.path(), 1000, 30);
    for workers in ["1", "2", "3"] {
        for from_pipe in [false, true] {
            let summary = directory.path().join("summary.json");
            let mut command = netscope();
            command.args(["--quiet", "--count", "5003", "--workers", workers]).arg("--summary-json").arg(&summary);
            let finished = if from_pipe {
                let (fifo, mut writer) = fifo(directory.path());
                let bytes = fs::read(&path).expect("the capture");
                let feeding = std::thread::spawn(move || writer.write_all(&bytes));
                let finished = run(command.arg("--read-pcap").arg(&fifo));
                fs::remove_file(fifo).expect("our FIFO");
                // Its reader may be gone before everything was written, which ends the thread.
                drop(feeding);
                finished
            } else {
                run(command.arg("--read-pcap").arg(&path))
            };
            finished.expect_code(0);
            let summary = read_summary(&summary);
            assert_eq!(
                (&summary["packets"], &summary["unaccounted"]),
                (&5003.into(), &0.into()),
                "{workers} {from_pipe} {summary:#}"
            );
        }
    }
}

#[test]
fn a_signal_amid_a_file_or_pipe_leaves_nothing_unaccounted_for() {
    let directory = temp_dir("program");
    let path = capture(directory.path(), 1000, 2000);
    for workers in ["1", "2", "4"] {
        let summary = directory.path().join("summary.json");
        let mut command = netscope();
        command.args(["--quiet", "--stats", "--stats-interval-ms", "1", "--workers", workers]).arg("--read-pcap").arg(&path);
        let mut running = RunningProgram::start(command.arg("--summary-json").arg(&summary));
        running.wait_for_line("[stats]");
        running.signal(Signal::SIGINT);
        running.finish(RUN_LIMIT).expect_code(0);
        let read = read_summary(&summary);
        assert_eq!(read["unaccounted"], 0, "{workers} workers: {read:#}");
        // From a pipe that stays open, so only the signal can end it.
        let (fifo, mut writer) = fifo(directory.path());
        let mut command = netscope();
        command.args(["--quiet", "--stats", "--stats-interval-ms", "1", "--workers", workers]).arg("--read-pcap").arg(&fifo);
        let mut running = RunningProgram::start(command.arg("--summary-json").arg(&summary));
        let bytes = fs::read(&path).expect("the capture");
        writer.write_all(&bytes[..4_000_000]).expect("it is read");
        running.wait_for_line("[stats]");
        running.signal(Signal::SIGTERM);
        running.finish(RUN_LIMIT).expect_code(0);
        let read = read_summary(&summary);
        assert_eq!(read["unaccounted"], 0, "{workers} workers: {read:#}");
        fs::remove_file(fifo).expect("our FIFO");
    }
}

#[test]
fn a_signal_before_a_pipe_said_anything_writes_the_exports() {
    // The last is what a closed terminal sends.
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let directory = temp_dir("program");
        let (fifo, _writer) = fifo(directory.path());
        let summary = directory.path().join("summary.json");
        let flows = directory.path().join("flows.json");
        let mut command = netscope();
        command.arg("--read-pcap").arg(&fifo).args(["--quiet", "--workers", "2"]);
        let running = RunningProgram::start(command.arg("--summary-json").arg(&summary).arg("--export-json").arg(&flows));
        wait_for_handlers(running.id(), signal);
        running.signal(signal);
        running.finish(SIGNAL_LIMIT).expect_code(0);
        assert_eq!(read_summary(&summary)["packets"], 0, "{signal}");
        assert_eq!(read_summary(&flows), Value::Array(Vec::new()), "{signal}");
    }
}

/// Waits until a process catches this signal, which would kill it before that.
fn wait_for_handlers(pid: u32, signal: Signal) {
    let caught = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("our child lives");
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("the kernel tells").trim().to_owned();
        u64::from_str_radix(&mask, 16).expect("hexadecimal") & (1 << (signal as u64 - 1)) != 0
    };
    while !caught() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let directory = temp_dir("program");
    let path = capture(directory.path(), 1000, 100);
    // A pipe that nobody reads holds up the packet view, so the first signal cannot end the run.
    let mut child =
        netscope().arg("--read-pcap").arg(&path).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    wait_for_handlers(child.id(), Signal::SIGINT);
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().expect("process ids fit"));
    std::thread::sleep(Duration::from_millis(300));
    for _ in 0..2 {
        nix::sys::signal::kill(pid, Signal::SIGINT).expect("our own child");
        // Longer than what is taken for one wish.
        std::thread::sleep(Duration::from_millis(400));
    }
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}

#[test]
fn two_signals_at_once_are_one_wish_as_timeout_sends_them() {
    let directory = temp_dir("program");
    for round in 0..5 {
        let out = directory.path().join(format!("{round}.csv"));
        let mut command = Command::new("timeout");
        command.arg("0.7").arg(netscope().get_program()).args(["-i", "lo", "-q", "--export-csv"]).arg(&out).arg("udp port 9");
        run(&mut command).expect_code(124);
        assert!(out.exists(), "the export is there in round {round}");
    }
}

#[test]
fn a_closed_terminal_does_not_end_what_nohup_started() {
    let mut command = Command::new("nohup");
    command.arg(netscope().get_program()).args(["-i", "lo", "-q", "--duration", "1.5", "--no-summary", "udp port 9"]);
    let running = RunningProgram::start(&mut command);
    std::thread::sleep(Duration::from_millis(700));
    running.signal(Signal::SIGHUP);
    let started = std::time::Instant::now();
    running.finish(RUN_LIMIT).expect_code(0);
    assert!(started.elapsed() > Duration::from_millis(300), "it went on to its own end");
}

#[test]
fn a_full_disk_is_told_for_every_output() {
    let directory = temp_dir("program");
    let path = capture(directory.path(), 100, 10);
    for flag in
        ["--export-json", "--export-csv", "--expired-flows-jsonl", "--expired-flows-csv", "--summary-json", "--write-pcap"]
    {
        let finished = run(netscope().arg("--read-pcap").arg(&path).args(["--quiet", flag, "/dev/full"])).expect_code(1);
        assert!(finished.stderr.contains("No space left on device"), "{flag}: {}", finished.stderr);
        assert_eq!(finished.stderr.matches("No space left on device").count(), 1, "{flag}: {}", finished.stderr);
        assert!(finished.stderr.contains("packets: 1000 ") && finished.stdout.is_empty(), "{flag}: {}", finished.stderr);
    }
    let read = format!("--read-pcap={}", path.display());
    for arguments in [
        vec![&*read],
        vec![&*read, "--stats"],
        vec![&*read, "--quiet", "--flow-table", "1"],
        vec!["--synthetic-flows", "10"],
        vec!["--man"],
        vec!["--list-interfaces"],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("it is there");
        let output = netscope().args(&arguments).stdout(full).stderr(Stdio::piped()).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert_eq!(said.matches("No space left on device").count(), 1, "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
    let full = OpenOptions::new().write(true).open("/dev/full").expect("it is there");
    let nobody_hears = netscope().args(["--read-pcap", "/nowhere/at-all.pcap"]).stderr(full).output().expect("it starts");
    assert_eq!(nobody_hears.status.code(), Some(1));
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    for (arguments, expected) in [
        (vec!["--read-pcap", "x", "--interface", "y"], "--interface"),
        (vec!["--read-pcap", "x", "--quiet", "--hex-dump"], "--hex-dump"),
        (vec!["--read-pcap", "x", "--top-flows", "3"], "--stats"),
        (vec!["--read-pcap", "x", "--max-flows", "1", "--workers", "2"], "--max-flows"),
        (vec!["--read-pcap", "x", "--write-pcap-rotate-mb", "1"], "--write-pcap"),
        (vec!["--interface", "no-such-if0"], "lo"),
    ] {
        let finished = run(netscope().args(&arguments)).expect_code(1);
        assert!(finished.stderr.contains(expected), "{arguments:?}: {}", finished.stderr);
    }
}

#[test]
fn synthetic_flows_keep_to_their_budget() {
    // The budget is for the program as it is delivered; a debug build needs more around its table.
    let dir = temp_dir("no-analysis");
    let off = dir.path().join("netscope.toml");
    fs::write(&off, "[analysis]\nrtt = false\nretrans = false\nout_of_order = false\n").expect("a file");
    let [analysed, compact] = [keeps_to_its_budget(&[]), keeps_to_its_budget(&["--config".as_ref(), off.as_ref()])];
    assert!(analysed - compact > 110.0, "{compact} of {analysed} MiB");
    let with_headers = keeps_to_its_budget(&["--headers".as_ref()]);
    assert!((70.0..82.0).contains(&(with_headers - analysed)), "{with_headers} and {analysed} MiB");
}

/// The peak of the resident set in MiB.
fn keeps_to_its_budget(arguments: &[&OsStr]) -> f64 {
    let finished = run(netscope().args(["--synthetic-flows", "1000000"]).args(arguments));
    let code = finished.status.code();
    let mebibytes = |name: &str| -> f64 {
        let line = finished.stdout.lines().find_map(|line| line.strip_prefix(name)).expect("the line is there");
        line.trim().trim_end_matches(" MiB").parse().expect("a number")
    };
    let peak = mebibytes("resident set, peak:");
    let is_within = peak <= mebibytes("budget:");
    assert_eq!(code, Some(if is_within { 0 } else { 2 }), "{finished:#?}");
    assert!(is_within || cfg!(debug_assertions), "{finished:#?}");
    peak
}

#[test]
fn snaplen_cuts_the_packets_of_a_file() {
    let dir = temp_dir("snaplen");
    let (copy, json) = (dir.path().join("cut.pcap"), dir.path().join("flows.json"));
    run(netscope()
        .args(["--quiet", "--snaplen", "54", "--read-pcap"])
        .arg(fixture("loss.pcap"))
        .arg("--write-pcap")
        .arg(&copy)
        .arg("--export-json")
        .arg(&json))
    .expect_code(0);
    let cut = netscope_backends::memory::read_all(&copy).expect("a capture was written");
    let whole = netscope_backends::memory::read_all(&fixture("loss.pcap")).expect("a recording");
    assert_eq!(cut.len(), whole.len());
    assert!(cut.iter().zip(&whole).all(|(cut, whole)| cut.data == whole.data[..whole.data.len().min(54)]));
    assert!(cut.iter().zip(&whole).all(|(cut, whole)| cut.wire_len == whole.wire_len), "the length on the wire stays");
}
