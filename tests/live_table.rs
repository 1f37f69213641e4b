//! The live flow table on request: SIGUSR1 writes the export files while the capture goes on.
//!
//! Limits on waiting are there to end a hung run, not to measure.
#![cfg(target_os = "linux")]

mod common;

use common::live::{self, Exports, counted, on_receiver, stop, tally, wait_for_silence};
use common::netns::NetNs;
use common::{RUN_LIMIT, RunningProgram};
use nix::sys::signal::Signal;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

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
        let Some(namespace) = NetNs::with_wire(&common::netns::Wire { queues: 1, mtu: 1500 }) else { return };
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
    assert_eq!(finished.stderr.matches("add --export-json or --export-csv").count(), 1, "{}", finished.stderr);
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
}
