//! The live flow table on request: SIGUSR1 writes the export files while the capture goes on.
//!
//! Limits on waiting are there to end a hung run, not to measure.
#![cfg(target_os = "linux")]

mod common;

use common::live::{self, Exports, counted, flow_count, on_receiver, stop, tally, wait_for_silence};
use common::netns::{NetNs, Wire};
use common::{RUN_LIMIT, RunningProgram};
use netscope_perf::live::{Load, LoadGenerator, Offered, Pace, Via};
use nix::sys::signal::Signal;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::Command;
use std::time::{Duration, Instant};

const FLOWS: u64 = 500;
/// Fewer than that, so that most have ended when the table is asked for.
const FLOWS_MAX: &str = "100";

/// Has the table written, and reads it.
fn ask(running: &RunningProgram, exports: &Exports) -> Vec<Map<String, Value>> {
    running.signal(Signal::SIGUSR1);
    exports.wait_for("flows.json");
    exports.wait_for("flows.csv");
    let flows = exports.flows();
    assert_eq!(exports.lines("flows.csv"), flows.len() + 1);
    flows
}

fn packets_in(flows: &[Map<String, Value>]) -> u64 {
    flows.iter().filter_map(|flow| flow["packets_total"].as_u64()).sum()
}

/// What a flow says that does not depend on when it was asked for.
fn lines(flows: &[Map<String, Value>]) -> BTreeMap<String, usize> {
    tally(flows.iter().map(|flow| format!("{} {}", counted(flow), flow["first_seen"])))
}

#[test]
fn the_table_is_written_while_the_capture_goes_on_by_every_backend() {
    for flags in [["--backend", "tpacket"], ["--backend", "xdp"], ["--backend", "libpcap"]] {
        let Some(namespace) = NetNs::with_wire(&Wire { queues: 1, mtu: 1500 }) else { return };
        let exports = Exports::new();
        let mut running = live::capture(
            &namespace,
            &exports,
            &[&flags[..], &["--max-flows", FLOWS_MAX, "--export-ended-max", "100000"]].concat(),
        );
        let packets = live::datagrams(FLOWS * 4, FLOWS, 1);
        let (earlier, later) = packets.split_at(packets.len() / 2);
        live::send(&namespace, earlier);
        wait_for_silence(&mut running);
        assert!(!exports.file("flows.json").exists(), "{flags:?}: nobody asked yet");
        let asked = ask(&running, &exports);
        assert_eq!(packets_in(&asked), earlier.len() as u64, "{flags:?}: every packet is in a flow");
        // The run goes on; asked again, it says what it says at its end.
        live::send(&namespace, later);
        wait_for_silence(&mut running);
        ["flows.json", "flows.csv"].iter().for_each(|name| std::fs::remove_file(exports.file(name)).expect("it was there"));
        let asked = ask(&running, &exports);
        stop(running);
        assert_eq!(exports.summary()["packets"], FLOWS * 4, "{flags:?}");
        exports.check_complete();
        assert_eq!(lines(&asked), lines(&exports.flows()), "{flags:?}");
    }
}

/// Packets a second: what a build without optimisation keeps up with, and as many as two cores make and take.
const RATE: f64 = if cfg!(debug_assertions) { 50_000.0 } else { 1_000_000.0 };

/// Datagrams of many flows at a pace, the table asked for once all are there if `is_asked`. What was offered, the batch times of the
/// run, packets that the kernel dropped, and how long the table took.
fn under_load(flags: &[&str], via: Via, is_asked: bool) -> Option<(Offered, Value, u64, Duration)> {
    const FLOWS: u32 = 100_000;
    const LOAD_TIME: Duration = Duration::from_secs(10);
    let namespace = NetNs::with_wire(&Wire { queues: 1, mtu: 1500 })?;
    let exports = Exports::new();
    let mut command = on_receiver(&namespace, &[flags, &["--quiet", "--max-flows", "200000"]].concat());
    command.arg("--export-csv").arg(exports.file("flows.csv")).arg("--summary-json").arg(exports.file("summary.json"));
    let mut running = RunningProgram::start(&mut command);
    running.wait_for_line("[stats]");
    let mut took = Duration::ZERO;
    let offered = std::thread::scope(|scope| {
        let generating = scope.spawn(|| {
            namespace.inside(|| {
                let generator = LoadGenerator::new(&Load::udp(FLOWS), via)?;
                generator.run(&Pace::at_rate(RATE, LOAD_TIME))
            })
        });
        while flow_count(&running.wait_for_line("[stats]")) < u64::from(FLOWS) {}
        if is_asked {
            let start = Instant::now();
            running.signal(Signal::SIGUSR1);
            exports.wait_for("flows.csv");
            took = start.elapsed();
            assert!(!generating.is_finished(), "{flags:?}: the answer took longer than the load: {took:?}");
            assert_eq!(exports.lines("flows.csv"), FLOWS as usize + 1, "{flags:?}: every flow is in the table");
        }
        generating.join().expect("no panic").unwrap_or_else(|reason| panic!("{reason}"))
    });
    wait_for_silence(&mut running);
    stop(running);
    let summary = exports.summary();
    let number = |value: &Value| value.as_u64().expect("a number");
    let lost = number(&summary["source"]["kernel_drops"]);
    assert_eq!(number(&summary["packets"]) + lost, offered.sent, "{flags:?}: {summary:#}");
    assert_eq!(summary["unaccounted"], 0, "{flags:?}: {summary:#}");
    // The large ring outlasts any wait for a processor; AF_XDP gives the kernel frames for some tens of ms.
    assert!(via == Via::Wire || lost == 0 || !cfg!(debug_assertions), "{flags:?}: {summary:#}");
    Some((offered, summary["batch_ns"].clone(), lost, took))
}

#[test]
fn all_of_a_hundred_thousand_flows_are_told_under_load_and_no_packet_is_missing() {
    let ways: [(&[&str], _); 2] = [
        (&["--backend", "tpacket", "--buffer-size-mb", "256"], Via::Stack),
        (&["--backend", "xdp", "--xdp-mode", "native", "--xdp-frames", "65536"], Via::Wire),
    ];
    for (flags, via) in ways {
        for is_asked in [false, true] {
            let Some((offered, batches, lost, took)) = under_load(flags, via, is_asked) else { return };
            let rate = offered.rate() / 1e6;
            eprintln!(
                "{flags:?}, asked: {is_asked}: {rate:.2} Mpps, {lost} lost, table after {took:.1?}, batch times in ns {batches}"
            );
        }
    }
}

#[test]
fn a_fifo_gets_every_table_and_is_not_opened_again() {
    for reader_stays in [true, false] {
        let Some(namespace) = NetNs::with_veth() else { return };
        let exports = Exports::new();
        let fifo = exports.file("fifo");
        let make = || assert!(Command::new("mkfifo").arg(&fifo).status().is_ok_and(|status| status.success()));
        make();
        let opened = std::thread::spawn({
            let fifo = fifo.clone();
            move || BufReader::new(File::open(fifo).expect("our own FIFO"))
        });
        let mut running = RunningProgram::start(on_receiver(&namespace, &["--quiet"]).arg("--export-csv").arg(&fifo));
        running.wait_for_line("[stats]");
        let mut lines = opened.join().expect("it opens").lines().map(|line| line.expect("UTF-8"));
        // Nobody reads this one: who opens it waits for ever.
        std::fs::remove_file(&fifo).expect("it is there");
        make();
        live::send(&namespace, &live::datagrams(3, 3, 1));
        wait_for_silence(&mut running);
        running.signal(Signal::SIGUSR1);
        let asked: Vec<String> = lines.by_ref().take(4).collect();
        assert_eq!(asked.len(), 4, "a header and three flows");
        if reader_stays {
            running.signal(Signal::SIGTERM);
            assert_eq!(lines.collect::<Vec<_>>(), asked);
        } else {
            drop(lines);
            running.signal(Signal::SIGTERM);
        }
        running.finish(RUN_LIMIT).expect_code(0);
    }
}

#[test]
fn a_table_that_cannot_be_written_is_told_and_the_last_one_is_written() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let exports = Exports::new();
    let (directory, moved) = (exports.file("here"), exports.file("moved"));
    std::fs::create_dir(&directory).expect("a directory of our own");
    let mut command = on_receiver(&namespace, &["--quiet"]);
    let mut running = RunningProgram::start(command.arg("--export-json").arg(directory.join("flows.json")));
    running.wait_for_line("[stats]");
    live::send(&namespace, &live::datagrams(3, 3, 1));
    wait_for_silence(&mut running);
    std::fs::rename(&directory, &moved).expect("it is there");
    running.signal(Signal::SIGUSR1);
    running.skip_lines();
    for _ in 0..5 {
        running.wait_for_line("[stats]");
    }
    std::fs::rename(&moved, &directory).expect("it is there");
    let finished = stop(running);
    assert_eq!(finished.stderr.matches("did not write what was asked for").count(), 1, "{}", finished.stderr);
    // Beside it what the table will hold, and the summary.
    let said = finished.stderr.lines().filter(|line| line.starts_with("netscope: "));
    assert_eq!(said.count(), 2, "{}", finished.stderr);
    let text = std::fs::read_to_string(directory.join("flows.json")).expect("it was written");
    assert_eq!(serde_json::from_str::<Vec<Value>>(&text).expect("an array").len(), 3);
}

#[test]
fn without_a_file_to_write_it_is_said_and_nothing_happens() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let mut running = RunningProgram::start(on_receiver(&namespace, &["--quiet"]).arg("--flow-table").arg("3"));
    running.wait_for_line("[stats]");
    running.signal(Signal::SIGUSR1);
    for _ in 0..3 {
        running.wait_for_line("[stats]");
    }
    running.signal(Signal::SIGTERM);
    let finished = running.finish(RUN_LIMIT).expect_code(0);
    assert_eq!(finished.stderr.matches("add --export-json, --export-csv or --history-json").count(), 1, "{}", finished.stderr);
    // Beside it what the table will hold, and the summary.
    let said = finished.stderr.lines().filter(|line| line.starts_with("netscope: "));
    assert_eq!(said.count(), 2, "{}", finished.stderr);
}

/// Flows of the logs of Zeek, and events of type flow of EVE.
fn logged(exports: &Exports) -> [usize; 2] {
    let read = |name: &str| std::fs::read_to_string(exports.file(name)).expect("it was written");
    let conn = read("logs/conn.log");
    let (head, last) = (conn.lines().next().unwrap_or_default(), conn.lines().last().unwrap_or_default());
    assert!(head.starts_with("#separator") && last.starts_with("#close"), "the log is whole: {conn}");
    let events: Vec<Value> = read("eve.json").lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    [
        conn.lines().filter(|line| !line.starts_with('#')).count(),
        events.iter().filter(|event| event["event_type"] == "flow").count(),
    ]
}

#[test]
fn eve_and_logs_of_zeek_are_written_whole_each_time() {
    let Some(namespace) = NetNs::with_wire(&Wire { queues: 1, mtu: 1500 }) else { return };
    let exports = Exports::new();
    std::fs::create_dir(exports.file("logs")).expect("a directory");
    let (eve, logs) = (exports.file("eve.json"), exports.file("logs"));
    let (eve, logs) = (eve.to_str().expect("UTF-8"), logs.to_str().expect("UTF-8"));
    let flags = ["--backend", "tpacket", "--export-eve", eve, "--export-zeek", logs];
    let mut running = live::capture(&namespace, &exports, &flags);
    let packets = live::datagrams(FLOWS, FLOWS, 1);
    let (earlier, later) = packets.split_at(packets.len() / 2);
    live::send(&namespace, earlier);
    wait_for_silence(&mut running);
    running.signal(Signal::SIGUSR1);
    // All outputs write the table in threads of their own.
    ["eve.json", "logs/conn.log", "logs/quic.log"].iter().for_each(|name| exports.wait_for(name));
    assert_eq!(logged(&exports), [earlier.len(); 2]);
    live::send(&namespace, later);
    wait_for_silence(&mut running);
    stop(running);
    assert_eq!(logged(&exports), [packets.len(); 2], "what was there is replaced");
    let left = std::fs::read_dir(exports.file("logs")).expect("a directory");
    assert!(left.into_iter().all(|entry| !entry.expect("an entry").file_name().to_string_lossy().starts_with('.')));
}
