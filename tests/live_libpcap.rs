//! Live capture by libpcap on a wire inside a namespace: the same packets give the same flows as reading the file; a silent link,
//! signals.
//!
//! Limits on waiting are there to end a hung run, not to measure.
#![cfg(target_os = "linux")]

mod common;

use common::live::{self, Exports, datagrams, frames, send, timeless};
use common::netns::{NetNs, RECEIVER};
use common::{RUN_LIMIT, RunningProgram, corpus, fixture, netscope};
use nix::sys::signal::Signal;
use std::path::Path;
use std::time::Duration;

/// A program that does not hear a signal on a silent link would not end at all.
const SIGNAL_LIMIT: Duration = Duration::from_secs(10);

/// Captures of the corpus that are sent over the wire: short, Ethernet, every packet whole.
const CORPUS_CAPTURES: &[&str] =
    &["dpkt__nb6-http.pcap", "ipfixprobe__mixed.pcap", "joy__kali-normal-ssh.pcap", "arkime__wireshark-retrans.pcap"];

/// netscope on the receiving end by libpcap, with all exports; it captures as soon as this returns.
fn capture(namespace: &NetNs, exports: &Exports, more: &[&str]) -> RunningProgram {
    let by_libpcap = ["--backend", "libpcap", "--timeout-ms", "20"];
    live::capture(namespace, exports, &[&by_libpcap[..], more].concat())
}

#[track_caller]
fn same_flows_live_and_from_file(path: &Path) {
    let Some(namespace) = NetNs::with_veth() else { return };
    let frames = frames(path).unwrap_or_else(|reason| panic!("{}: {reason}", path.display()));
    let from_file = live::from_file(path);
    assert!(!from_file.flows().is_empty(), "{}", path.display());
    for workers in ["1", "2"] {
        let live = Exports::new();
        let running = capture(&namespace, &live, &["--workers", workers, "--count", &frames.len().to_string()]);
        send(&namespace, &frames);
        running.finish(RUN_LIMIT).expect_code(0);
        let what = format!("{}, {workers} workers", path.display());
        assert_eq!(timeless(&live.flows()), timeless(&from_file.flows()), "{what}");
    }
}

#[test]
fn the_demo_recording_gives_the_same_flows_live_as_from_the_file() {
    same_flows_live_and_from_file(&fixture("demo.pcapng"));
}

#[test]
fn captures_of_the_corpus_give_the_same_flows_live_as_from_the_file() {
    let Some(corpus) = corpus() else { return };
    for name in CORPUS_CAPTURES {
        same_flows_live_and_from_file(&corpus.join("captures").join(name));
    }
}

/// Ends an idle capture by a signal: exit code 0, exports complete.
fn ends_while_idle(signal: Signal) {
    let Some(namespace) = NetNs::with_veth() else { return };
    let exports = Exports::new();
    let mut running = capture(&namespace, &exports, &[]);
    send(&namespace, &datagrams(60, 20, 1));
    // The link is silent from here on, and ticks go on.
    for _ in 0..4 {
        running.wait_for_line("[stats]");
    }
    running.signal(signal);
    running.finish(SIGNAL_LIMIT).expect_code(0);
    assert_eq!(exports.check_complete(), 20);
}

#[test]
fn ctrl_c_on_a_silent_link_ends_with_all_exports() {
    ends_while_idle(Signal::SIGINT);
}

#[test]
fn sigterm_on_a_silent_link_ends_with_all_exports() {
    ends_while_idle(Signal::SIGTERM);
}

#[test]
fn a_link_that_never_carried_a_packet_ticks_and_ends_with_empty_exports() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let exports = Exports::new();
    let mut running = capture(&namespace, &exports, &[]);
    for _ in 0..4 {
        running.wait_for_line("[stats]");
    }
    running.signal(Signal::SIGINT);
    running.finish(SIGNAL_LIMIT).expect_code(0);
    assert_eq!(exports.check_complete(), 0);
}

#[test]
fn immediate_mode_shows_a_packet_at_once() {
    let Some(namespace) = NetNs::with_veth() else { return };
    // Ticks between sending a packet and seeing its line; the kernel would keep it for the read timeout, 3 s.
    let ticks_until_seen = |more: &[&str]| {
        let program = netscope();
        let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
        command
            .args([
                "--interface",
                RECEIVER,
                "--backend",
                "libpcap",
                "--timeout-ms",
                "3000",
                "--stats",
                "--stats-interval-ms",
                "100",
            ])
            .args(more);
        let mut running = RunningProgram::start(&mut command);
        running.wait_for_line("[stats]");
        send(&namespace, &datagrams(60, 1, 6));
        let mut ticks = 0;
        while !running.wait_for_line("").starts_with("#1 ") {
            ticks += 1;
        }
        running.signal(Signal::SIGINT);
        running.finish(SIGNAL_LIMIT).expect_code(0);
        ticks
    };
    let (immediate, buffered) = (ticks_until_seen(&["--immediate-mode"]), ticks_until_seen(&[]));
    assert!(immediate * 2 < buffered, "{immediate} ticks in immediate mode, {buffered} without");
}
