//! Every packet of an overload under a name, whoever stands still: the program, its reader of flows, its reader of packets. And what
//! waiting costs.
//!
//! The load is made inside the kernel, which counts what it sent. Limits on waiting are there to end a hung run, not to measure.
#![cfg(target_os = "linux")]

mod common;

use common::live::{self, Exports, flow_count, on_receiver, stop, wait_for_silence};
use common::netns::{NetNs, Wire};
use common::{RUN_LIMIT, RunningProgram};
use netscope_perf::live::{Load, LoadGenerator, Offered, Pace, RunTime, Via};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest time that a load may take.
const LOAD_TIME_MAX: Duration = Duration::from_secs(20);

/// A way to capture, and the way by which the generator reaches it.
struct LoadPath {
    flags: &'static [&'static str],
    via: Via,
}

const WAYS: [LoadPath; 4] = [
    LoadPath { flags: &["--backend", "tpacket"], via: Via::Stack },
    LoadPath { flags: &["--backend", "xdp", "--xdp-mode", "native"], via: Via::Wire },
    LoadPath { flags: &["--backend", "xdp", "--xdp-mode", "generic"], via: Via::Stack },
    LoadPath { flags: &["--backend", "libpcap"], via: Via::Stack },
];

/// A namespace whose wire takes native XDP.
fn wire() -> Option<NetNs> {
    NetNs::with_wire(&Wire { queues: 1, mtu: 1500 })
}

/// Offers `packets` frames as fast as it goes.
#[track_caller]
fn offer(namespace: &NetNs, load: Load, via: Via, packets: u64) -> Offered {
    let offered = namespace
        .inside(|| LoadGenerator::new(&load, via).and_then(|generator| generator.run(&Pace::flat_out(packets, LOAD_TIME_MAX))));
    let offered = offered.unwrap_or_else(|reason| panic!("{reason}"));
    assert_eq!(offered.sent + offered.undelivered, packets, "{offered:?}");
    assert!(offered.sent > 0, "{offered:?}");
    offered
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is a number"))
}

/// What was sent is what was processed and each named loss; the losses.
#[track_caller]
fn check_ledger(summary: &Value, sent: u64, what: &str) -> u64 {
    let source = &summary["source"];
    let lost: u64 = ["filtered", "kernel_drops", "damaged", "skipped", "beyond_count", "unread"]
        .iter()
        .map(|name| number(&source[*name]))
        .sum();
    assert_eq!(number(&summary["packets"]) + lost, sent, "{what}: {summary:#}");
    assert_eq!(number(&source["received"]), sent, "{what}: {summary:#}");
    assert_eq!((&summary["unaccounted"], &source["unread"]), (&0.into(), &0.into()), "{what}: {summary:#}");
    let parts = number(&source["ring_full_drops"]) + number(&source["fill_empty_drops"]);
    assert!(parts <= number(&source["kernel_drops"]), "{what}: {summary:#}");
    lost
}

#[test]
fn what_is_sent_flat_out_is_processed_or_lost_by_name() {
    for way in &WAYS {
        let Some(namespace) = wire() else { return };
        let exports = Exports::new();
        let mut running = live::capture(&namespace, &exports, way.flags);
        let offered = offer(&namespace, Load::tcp(100_000), way.via, 1_000_000);
        wait_for_silence(&mut running);
        stop(running);
        let lost = check_ledger(&exports.summary(), offered.sent, &format!("{:?}", way.flags));
        eprintln!("{:?}: {:.2} Mpps made; {} sent, {lost} lost", way.flags, offered.rate_made() / 1e6, offered.sent);
    }
}

#[test]
fn a_program_that_is_stopped_for_a_while_names_what_it_missed() {
    for way in &WAYS {
        let Some(namespace) = wire() else { return };
        let exports = Exports::new();
        // Buffers that the load is sure to fill.
        let mut running =
            live::capture(&namespace, &exports, &[way.flags, SMALL_BUFFERS[usize::from(way.flags[1] == "xdp")]].concat());
        running.signal(Signal::SIGSTOP);
        let offered = offer(&namespace, Load::udp(1000), way.via, 200_000);
        running.signal(Signal::SIGCONT);
        wait_for_silence(&mut running);
        stop(running);
        let summary = exports.summary();
        let lost = check_ledger(&summary, offered.sent, &format!("{:?}", way.flags));
        assert!(lost > 0 && number(&summary["packets"]) > 0, "{:?}: {summary:#}", way.flags);
        eprintln!("{:?}: {} sent, {lost} lost", way.flags, offered.sent);
    }
}

/// Of packet sockets, and of AF_XDP.
const SMALL_BUFFERS: [&[&str]; 2] = [&["--buffer-size-mb", "4"], &["--xdp-frames", "8192"]];

/// A FIFO that is read as slowly as a test likes.
struct Fifo {
    path: PathBuf,
    opened: Receiver<File>,
}

impl Fifo {
    fn new(path: PathBuf) -> Self {
        assert!(Command::new("mkfifo").arg(&path).status().is_ok_and(|status| status.success()), "{}", path.display());
        let (sender, opened) = channel();
        let reader = path.clone();
        // Opening it for reading waits for the writer, and the writer's for this.
        std::thread::spawn(move || sender.send(File::open(reader).expect("our own FIFO")));
        Self { path, opened }
    }

    /// What the program that writes to it writes.
    fn reader(&self) -> FifoReader {
        FifoReader(BufReader::new(self.opened.recv_timeout(RUN_LIMIT).expect("the program opens it")))
    }
}

struct FifoReader(BufReader<File>);

impl FifoReader {
    /// The next line; `None` at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let len = self.0.read_line(&mut line).expect("UTF-8");
        (len > 0).then_some(line)
    }

    /// The number of lines to the end that begin with `start`.
    fn count(mut self, start: char) -> u64 {
        let mut count = 0;
        while let Some(line) = self.line() {
            count += u64::from(line.starts_with(start));
        }
        count
    }
}

/// Waits until the program does next to nothing; for one that cannot tell by its ticks.
#[track_caller]
fn wait_until_idle(running: &RunningProgram) {
    let deadline = Instant::now() + RUN_LIMIT;
    let time = || RunTime::of_process(running.id()).expect("it runs");
    let mut quiet = 0;
    while quiet < 3 {
        let before = time();
        std::thread::sleep(Duration::from_millis(100));
        let RunTime { ran, waited } = time().since(&before);
        quiet = if ran + waited < Duration::from_millis(5) { quiet + 1 } else { 0 };
        assert!(Instant::now() < deadline, "it never comes to rest");
    }
}

#[test]
fn a_reader_of_ended_flows_that_stands_still_costs_flows_not_packets() {
    /// Fewer than the boxes on the way to the outputs hold; so many times, more than may wait for the FIFO.
    const FLOWS: u32 = 10_000;
    const TIMES: u64 = 10;
    for way in WAYS.iter().take(2) {
        let Some(namespace) = wire() else { return };
        let exports = Exports::new();
        let fifo = Fifo::new(exports.file("fifo"));
        // A table so small that each packet ends a flow.
        let mut command = on_receiver(&namespace, &[way.flags, &["--quiet", "--no-dpi", "--max-flows", "100"]].concat());
        command.arg("--expired-flows-jsonl").arg(&fifo.path).arg("--summary-json").arg(exports.file("summary.json"));
        command.arg("--expired-flows-csv").arg(exports.file("ended.csv"));
        let mut running = RunningProgram::start(&mut command);
        running.wait_for_line("[stats]");
        let reader = fifo.reader();
        let mut sent = 0;
        for _ in 0..TIMES {
            sent += offer(&namespace, Load::udp(FLOWS), way.via, FLOWS.into()).sent;
            running.skip_lines();
            // A tick that comes later has taken the boxes along.
            (0..2).for_each(|_| drop(running.wait_for_line("[stats]")));
        }
        wait_until_idle(&running);
        running.signal(Signal::SIGTERM);
        let written = reader.count('{');
        running.finish(RUN_LIMIT).expect_code(0);
        let summary = exports.summary();
        // Nothing is unread: the worker did not wait for the FIFO.
        check_ledger(&summary, sent, &format!("{:?}", way.flags));
        let ended: u64 = summary["flows"]["ended"].as_object().expect("an object").values().map(number).sum();
        let skipped = number(&summary["ended_flows_not_written"]);
        let losses = summary["left_out_of_outputs"].as_array().expect("an array");
        assert_eq!(losses.len(), 1, "{:?}: the FIFO did not fill, or another output lost something: {summary:#}", way.flags);
        assert_eq!(losses[0]["output"], fifo.path.to_str().expect("UTF-8"), "{:?}: {summary:#}", way.flags);
        let left_out = number(&losses[0]["ended_flows"]);
        assert_eq!(written + left_out + skipped, ended, "{:?}: {summary:#}", way.flags);
        // The other output was kept waiting by nobody.
        assert_eq!(exports.lines("ended.csv") as u64 + skipped, ended + 1, "{:?}: {summary:#}", way.flags);
    }
}

#[test]
fn a_disk_that_fails_costs_its_own_output() {
    const FLOWS: u32 = 20_000;
    let Some(namespace) = wire() else { return };
    let exports = Exports::new();
    let mut command = on_receiver(&namespace, &["--quiet", "--max-flows", "100"]);
    command.args(["--expired-flows-jsonl", "/dev/full"]).arg("--expired-flows-csv").arg(exports.file("ended.csv"));
    let mut running = RunningProgram::start(command.arg("--summary-json").arg(exports.file("summary.json")));
    running.wait_for_line("[stats]");
    let offered = offer(&namespace, Load::udp(FLOWS), Via::Stack, FLOWS.into());
    wait_for_silence(&mut running);
    running.signal(Signal::SIGTERM);
    let finished = running.finish(RUN_LIMIT).expect_code(1);
    let told = finished.stderr.lines().filter(|line| line.starts_with("netscope: ") && line.contains("/dev/full"));
    assert_eq!(told.count(), 1, "told once: {}", finished.stderr);
    let summary = exports.summary();
    check_ledger(&summary, offered.sent, "/dev/full");
    assert_eq!(summary["left_out_of_outputs"], Value::Array(Vec::new()), "the failure was told: {summary:#}");
    let ended: u64 = summary["flows"]["ended"].as_object().expect("an object").values().map(number).sum();
    // On a busy machine some are skipped before any output.
    let skipped = number(&summary["ended_flows_not_written"]);
    assert_eq!(exports.lines("ended.csv") as u64 + skipped, ended + 1, "{summary:#}");
    let lacks = |output: usize| summary["outputs"][output]["rows_not_written"].as_u64();
    assert_eq!(
        [lacks(0), lacks(1)],
        [Some(ended), Some(skipped)],
        "what was given after the failure is lacking, too: {summary:#}"
    );
}

/// The thread of a process with this name.
fn thread_of(process: u32, name: &str) -> Pid {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let found = threads
        .map(|thread| thread.expect("a thread").path())
        .find(|thread| std::fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim_end() == name));
    let found = found.unwrap_or_else(|| panic!("no thread {name}"));
    Pid::from_raw(found.file_name().and_then(|id| id.to_str()).and_then(|id| id.parse().ok()).expect("a thread's number"))
}

/// Holds a thread of the program until it is detached.
fn hold(running: &RunningProgram, name: &str) -> Pid {
    let thread = thread_of(running.id(), name);
    ptrace::seize(thread, ptrace::Options::empty()).expect("root may hold a thread");
    ptrace::interrupt(thread).expect("it is ours");
    waitpid(thread, Some(WaitPidFlag::__WALL)).expect("it stops");
    thread
}

#[test]
fn a_worker_that_was_held_finds_its_ring_filled() {
    const PACKETS: u64 = 2000;
    // Blocks are closed every few ms, and it is held for longer than a tenth of a second; descriptors are packets.
    for (way, waiting_min) in WAYS.iter().zip([Some(4), Some(PACKETS / 4), Some(PACKETS / 4), None]) {
        let Some(namespace) = wire() else { return };
        let exports = Exports::new();
        let mut running = live::capture(&namespace, &exports, way.flags);
        let held = waiting_min.map(|_| hold(&running, "netscope-w0"));
        live::send(&namespace, &live::datagrams(PACKETS, 200, 1));
        held.into_iter().for_each(|thread| ptrace::detach(thread, None).expect("it goes on"));
        wait_for_silence(&mut running);
        stop(running);
        let summary = exports.summary();
        let ring = &summary["queues"][0]["ring"];
        match waiting_min {
            Some(min) => {
                assert!((min..=number(&ring["size"])).contains(&number(&ring["waiting_max"])), "{:?}: {summary:#}", way.flags);
                assert_eq!(ring["waiting"], 0, "{:?}: {summary:#}", way.flags);
            }
            None => assert_eq!(ring, &Value::Null, "{:?}: {summary:#}", way.flags),
        }
    }
}

#[test]
fn a_worker_that_is_held_holds_up_no_report_and_loses_nothing() {
    /// So many ticks without it, after those that it is waited for.
    const TICKS: usize = 20;
    let Some(namespace) = wire() else { return };
    let exports = Exports::new();
    let mut running = live::capture(&namespace, &exports, &["--backend", "tpacket", "--workers", "2"]);
    let worker = hold(&running, "netscope-w1");
    live::send(&namespace, &live::datagrams(2000, 200, 1));
    running.skip_lines();
    let ticks: Vec<String> = (0..TICKS).map(|_| running.wait_for_line("[stats]")).collect();
    assert!(ticks.last().is_some_and(|line| line.ends_with(" | silent queues: 1")), "{ticks:#?}");
    ptrace::detach(worker, None).expect("it goes on");
    wait_for_silence(&mut running);
    stop(running);
    let summary = exports.summary();
    assert_eq!(check_ledger(&summary, 2000, "held"), 0);
    assert_eq!(summary["left_out_of_outputs"], Value::Array(Vec::new()));
    let queues = summary["queues"].as_array().expect("an array");
    assert!(queues.len() == 2 && number(&queues[1]["times_silent"]) > 0, "{summary:#}");
    assert_eq!(queues.iter().map(|queue| number(&queue["protocols"]["udp"]["packets"])).sum::<u64>(), 2000, "{summary:#}");
    assert_eq!(exports.check_complete(), 200);
}

/// `command` with its standard output going to `path`.
fn with_output_to(command: &Command, path: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "out=$1; shift; exec \"$@\" >\"$out\"", "sh"]).arg(path);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

#[test]
fn a_reader_of_the_packet_view_that_stands_still_costs_lines_not_packets() {
    for way in WAYS.iter().take(2) {
        let Some(namespace) = wire() else { return };
        let exports = Exports::new();
        let fifo = Fifo::new(exports.file("fifo"));
        let mut command = on_receiver(&namespace, way.flags);
        command.arg("--summary-json").arg(exports.file("summary.json"));
        let running = RunningProgram::start(&mut with_output_to(&command, &fifo.path));
        let mut reader = fifo.reader();
        while !reader.line().expect("ended before a tick").contains("[stats]") {}
        // More than the boxes of copied packets hold.
        let offered = offer(&namespace, Load::udp(1000), way.via, 400_000);
        wait_until_idle(&running);
        running.signal(Signal::SIGTERM);
        let shown = reader.count('#');
        running.finish(RUN_LIMIT).expect_code(0);
        let summary = exports.summary();
        let lost = check_ledger(&summary, offered.sent, &format!("{:?}", way.flags));
        let not_shown = number(&summary["packets_not_copied"]);
        assert!(not_shown > 0, "{:?}: the FIFO did not fill: {summary:#}", way.flags);
        assert_eq!(shown + not_shown, offered.sent - lost, "{:?}: {summary:#}", way.flags);
    }
}

#[test]
fn silence_costs_next_to_nothing() {
    const SILENCE: Duration = Duration::from_secs(3);
    let mut programs = Vec::new();
    for way in WAYS.iter().take(3) {
        let Some(namespace) = wire() else { return };
        // Ticks as by default.
        let mut command = on_receiver(&namespace, &[way.flags, &["--quiet", "--stats-interval-ms", "1000"]].concat());
        let mut running = RunningProgram::start(&mut command);
        running.wait_for_line("[stats]");
        programs.push((way, running, namespace));
    }
    let times = || programs.iter().map(|(_, running, _)| RunTime::of_process(running.id()).expect("it runs")).collect::<Vec<_>>();
    let before = times();
    std::thread::sleep(SILENCE);
    let after = times();
    for ((way, ..), (before, after)) in programs.iter().zip(before.iter().zip(&after)) {
        let share = after.since(before).ran.as_secs_f64() / SILENCE.as_secs_f64();
        eprintln!("{:?}: {:.2} % of a core in silence", way.flags, share * 100.0);
        // Processor time, so others do not lengthen it; a build without optimisation is allowed some more than the 1 % of a release.
        assert!(share < 0.03, "{:?}: {share}", way.flags);
    }
}

#[test]
fn a_packet_is_in_the_next_ticks() {
    for way in WAYS.iter().take(3) {
        let Some(namespace) = wire() else { return };
        let exports = Exports::new();
        let mut running = live::capture(&namespace, &exports, way.flags);
        let packets = live::datagrams(5, 5, 1);
        for (packet, count) in packets.chunks(1).zip(1..) {
            live::send(&namespace, packet);
            running.skip_lines();
            // One line may be on its way, one tick may have ended; the next has it.
            let seen = (0..3).any(|_| flow_count(&running.wait_for_line("[stats]")) == count);
            assert!(seen, "{:?}: packet {count} is in no tick", way.flags);
        }
        stop(running);
        assert_eq!(exports.check_complete(), 5);
    }
}
