//! Capture files at the pace of their packets: how long that takes at least, that nothing else changes, that it ends when asked.
#![cfg(target_os = "linux")]

mod common;

use common::{RUN_LIMIT, RunningProgram, fixture, netscope, run, temp_dir};
use netscope_perf::scenario::{MS, SEC, Script};
use nix::sys::signal::Signal;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// The demo capture lasts 21 s.
const CAPTURE_SECS: f64 = 21.0;
const SPEED: f64 = 40.0;
/// The files that a run writes here.
const FILES: [&str; 3] = ["flows.json", "flows.csv", "ended.jsonl"];

fn demo() -> String {
    fixture("demo.pcapng").to_str().expect("a path in UTF-8").to_owned()
}

/// Runs to the end; what was written, and how long it took.
fn written(arguments: &[&str]) -> (Vec<String>, Duration) {
    let directory = temp_dir("replay");
    let at = |name: &str| directory.path().join(name);
    let started = Instant::now();
    let mut command = netscope();
    for (flag, name) in ["--export-json", "--export-csv", "--expired-flows-jsonl"].iter().zip(FILES) {
        command.arg(flag).arg(at(name));
    }
    run(command.args(["-q", "--flow-timeout-s", "3"]).args(arguments)).expect_code(0);
    let took = started.elapsed();
    (FILES.iter().map(|name| fs::read_to_string(at(name)).expect("it was written")).collect(), took)
}

#[test]
fn a_replay_takes_its_time_and_writes_the_same() {
    let demo = demo();
    let (expected, _) = written(&["-r", &demo]);
    let speed = SPEED.to_string();
    for workers in ["1", "3"] {
        let (paced, took) = written(&["-r", &demo, "--workers", workers, "--replay-speed", &speed]);
        assert!(took.as_secs_f64() >= CAPTURE_SECS / SPEED, "{took:?} with {workers} workers");
        assert!(paced == expected, "other records with {workers} workers");
    }
    let said = run(netscope().args(["-r", &demo, "-c", "1", "--replay-speed", "0.5"])).expect_code(0);
    assert!(said.stderr.contains("at 0.5 times the speed of its capture"), "{}", said.stderr);
}

#[test]
fn several_files_and_pipes_have_a_pace_too() {
    let directory = temp_dir("replay-files");
    let (demo, copy) = (demo(), directory.path().join("copy.pcapng"));
    fs::copy(&demo, &copy).expect("it can be copied");
    let copy = copy.to_str().expect("a path in UTF-8");
    for way in [
        &["-r", &demo, "-r", copy, "--merge"][..],
        &["-r", &demo, "-r", copy],
        &["-r", directory.path().to_str().expect("UTF-8")],
    ] {
        let (expected, _) = written(way);
        let (paced, took) = written(&[way, &["--replay-speed", "100"]].concat());
        assert!(took.as_secs_f64() >= CAPTURE_SECS / 100.0, "{took:?}: {way:?}");
        assert!(paced == expected, "other records: {way:?}");
    }
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "cat \"$1\" | \"$2\" -q -r - --replay-speed 50 --workers 2",
        "sh",
        &demo,
        env!("CARGO_BIN_EXE_netscope"),
    ]);
    let started = Instant::now();
    run(&mut command).expect_code(0);
    assert!(started.elapsed().as_secs_f64() >= CAPTURE_SECS / 50.0);
}

#[test]
fn a_signal_ends_a_wait_at_once_and_what_came_before_is_written() {
    for workers in ["1", "2"] {
        let directory = temp_dir("replay-signal");
        let (json, summary) = (directory.path().join("flows.json"), directory.path().join("summary.json"));
        let mut command = netscope();
        command.args(["-r", &demo(), "--workers", workers, "--replay-speed", "0.001"]);
        command.arg("--export-json").arg(&json).arg("--summary-json").arg(&summary);
        let mut running = RunningProgram::start(&mut command);
        running.wait_for_line(".");
        running.signal(Signal::SIGINT);
        let asked = Instant::now();
        running.finish(RUN_LIMIT).expect_code(0);
        assert!(asked.elapsed() < Duration::from_secs(20), "the next packet is minutes away");
        let summary: serde_json::Value = read(&summary);
        assert_eq!(
            (&summary["unaccounted"], summary["packets"].as_u64().expect("a number") < 1000),
            (&0.into(), true),
            "{summary}"
        );
        assert!(!read(&json).as_array().expect("an array").is_empty());
    }
}

#[test]
fn flows_that_end_in_a_gap_are_told_in_it_by_any_number_of_workers() {
    const FLOWS: u16 = 40;
    let directory = temp_dir("replay-gap");
    let (capture, ended) = (directory.path().join("gap.pcap"), directory.path().join("ended.jsonl"));
    let mut script = Script::default();
    let server = (Ipv4Addr::new(192, 0, 2, 53), 53);
    (0..FLOWS).for_each(|i| script.udp(u64::from(i) * 50 * MS, (Ipv4Addr::new(10, 0, 0, 1), 1000 + i), server));
    // Minutes away.
    script.udp(3600 * SEC, (Ipv4Addr::new(10, 0, 0, 2), 1), server);
    script.write(&capture);
    let mut told = Vec::new();
    for workers in ["1", "3"] {
        let mut command = netscope();
        command.args(["-q", "--flow-timeout-s", "3", "--replay-speed", "10", "--workers", workers, "-r"]).arg(&capture);
        command.arg("--expired-flows-jsonl").arg(&ended);
        let running = RunningProgram::start(&mut command);
        let started = Instant::now();
        let lines = || fs::read_to_string(&ended).map_or(0, |text| text.lines().count());
        while lines() < usize::from(FLOWS) {
            assert!(started.elapsed() < Duration::from_secs(60), "{} flows told with {workers} workers", lines());
            thread::sleep(Duration::from_millis(20));
        }
        running.signal(Signal::SIGINT);
        running.finish(RUN_LIMIT).expect_code(0);
        told.push(fs::read_to_string(&ended).expect("it was written"));
        fs::remove_file(&ended).expect("it is there");
    }
    assert!(told[0] == told[1], "another order with several workers");
}

fn read(path: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(path).expect("it was written")).expect("it is JSON")
}

#[test]
fn a_pace_that_makes_no_sense_is_refused_by_name() {
    let demo = demo();
    for (arguments, tip) in [
        (&["-i", "lo", "--replay-speed", "2"][..], "--replay-speed (capture.replay_speed) is about capture files"),
        (&["-r", &demo, "--replay-speed", "-1"], "--replay-speed"),
        (&["-r", &demo, "--replay-speed", "nan"], "give a number from 0.000001 to 1000000000, or 0"),
        (&["-r", &demo, "--replay-speed", "2e10"], "--replay-speed (capture.replay_speed) is 20000000000"),
    ] {
        let refused = run(netscope().args(arguments)).expect_code(1);
        assert!(refused.stderr.contains(tip), "{arguments:?}: {}", refused.stderr);
    }
}
