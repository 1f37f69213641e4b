//! Outputs of a live capture: the table holds the flows that ended, pipes are fed as packets come, a deleted interface drops nothing.
#![cfg(target_os = "linux")]

mod common;

use common::live::{Exports, capture, datagrams, on_receiver, send, stop, wait_for_silence};
use common::netns::{NetNs, RECEIVER};
use common::{RUN_LIMIT, RunningProgram, netscope, skip};
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

const FLOWS: usize = 1000;
const ALIVE: usize = 100;

#[test]
fn the_table_holds_the_flows_that_ended() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let exports = Exports::new();
    let mut running = capture(&namespace, &exports, &["--max-flows", "100"]);
    send(&namespace, &datagrams(FLOWS as u64, FLOWS as u64, 1));
    wait_for_silence(&mut running);
    let finished = stop(running);
    assert_eq!(exports.check_complete(), FLOWS);
    assert_eq!(exports.summary()["flows"]["alive_at_exit"], ALIVE);
    let said = finished.stderr.lines().find(|line| line.contains("--export-ended-max")).expect("the bound is said");
    assert!(said.contains("the 100000 that ended last") && said.contains("15 MB"), "{said}");
    assert!(!said.contains("--expired-flows-jsonl"), "it is given: {said}");
}

#[test]
fn beyond_the_bound_the_table_keeps_the_latest() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let exports = Exports::new();
    let mut running = capture(&namespace, &exports, &["--max-flows", "100", "--export-ended-max", "10"]);
    send(&namespace, &datagrams(FLOWS as u64, FLOWS as u64, 1));
    wait_for_silence(&mut running);
    stop(running);
    assert_eq!(exports.flows().len(), ALIVE + 10);
    let first = exports.flows().iter().map(|flow| flow["first_packet"].as_u64().expect("a number")).min();
    assert_eq!(first, Some((FLOWS - ALIVE - 10 + 1) as u64), "the oldest that is left");
    assert_eq!(exports.summary()["flows"]["left_out_of_exports"], FLOWS - ALIVE - 10);
}

/// Killed and waited for when dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

#[test]
fn a_pipe_is_fed_as_packets_come() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let program = netscope();
    let mut command = namespace.command(program.get_program().to_str().expect("UTF-8"));
    command
        .args(["--interface", RECEIVER, "--write-pcap", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut writer = Ended(command.spawn().expect("it starts"));
    let mut command = Command::new("tcpdump");
    command.args(["-nlr", "-"]).stdin(writer.0.stdout.take().expect("it is piped")).stdout(Stdio::piped()).stderr(Stdio::null());
    let Ok(reader) = command.spawn() else {
        skip("tcpdump is not installed");
        return;
    };
    let mut reader = Ended(reader);
    // It holds the reading end, too.
    drop(command);
    let lines = BufReader::new(reader.0.stdout.take().expect("it is piped")).lines();
    let (told, seen) = channel();
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(told.send(line))));
    // Sent again until the capture has begun.
    let line = (0..600).find_map(|_| {
        send(&namespace, &datagrams(1, 1, 1));
        seen.recv_timeout(Duration::from_millis(100)).ok()
    });
    assert!(line.is_some_and(|line| line.contains("IP ")), "while the capture goes on");
    assert!(writer.0.try_wait().expect("our child").is_none());
    // Its reader leaves, which it notices with the next packet.
    drop(reader);
    let code = (0..600).find_map(|_| {
        send(&namespace, &datagrams(1, 1, 1));
        std::thread::sleep(Duration::from_millis(50));
        writer.0.try_wait().expect("our child")
    });
    assert_eq!(code.and_then(|status| status.code()), Some(0));
}

#[test]
fn a_deleted_interface_invents_no_drops() {
    for round in 0..3_usize {
        let Some(namespace) = NetNs::with_veth() else { return };
        let exports = Exports::new();
        let mut command = on_receiver(&namespace, &["--backend", "libpcap", "--quiet"]);
        let mut running = RunningProgram::start(command.arg("--summary-json").arg(exports.file("summary.json")));
        running.wait_for_line("[stats]");
        let sent = 20 * (round + 1);
        send(&namespace, &datagrams(sent as u64, 4, 1));
        // While the kernel still gathers them.
        namespace.ip(&["link", "delete", RECEIVER]);
        wait_for_silence(&mut running);
        running.signal(Signal::SIGTERM);
        let stderr = running.finish(RUN_LIMIT).expect_code(0).stderr;
        let summary = exports.summary();
        let counts = ["/source/kernel_drops", "/packets", "/source/unread", "/unaccounted"].map(|at| summary.pointer(at));
        assert_eq!(counts, [0, sent, 0, 0].map(serde_json::Value::from).each_ref().map(Some), "{stderr} {summary:#}");
    }
}
