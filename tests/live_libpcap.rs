//! Live capture by libpcap on a wire inside a namespace: the same packets give the same flows as reading the file; a silent link,
//! signals, an interface that goes down, comes back, or vanishes.
//!
//! Limits on waiting are there to end a hung run, not to measure.
#![cfg(target_os = "linux")]

mod common;

use common::netns::{NetNs, RECEIVER, SENDER};
use common::{Finished, RUN_LIMIT, Running, corpus, fixture, netscope, run};
use netscope_perf::{Generator, Profile, Settings};
use nix::sys::signal::Signal;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A program that does not hear a signal on a silent link would not end at all.
const SIGNAL_LIMIT: Duration = Duration::from_secs(10);

/// Captures of the corpus that are sent over the wire: short, Ethernet, every packet whole.
const CORPUS_CAPTURES: &[&str] =
    &["dpkt__nb6-http.pcap", "ipfixprobe__mixed.pcap", "joy__kali-normal-ssh.pcap", "arkime__wireshark-retrans.pcap"];

struct Exports {
    directory: TempDir,
}

impl Exports {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    fn arguments(&self, command: &mut Command) {
        let file = |name: &str| self.directory.path().join(name);
        command.arg("--export-json").arg(file("flows.json"));
        command.arg("--export-csv").arg(file("flows.csv"));
        command.arg("--expired-flows-jsonl").arg(file("ended.jsonl"));
    }

    fn flows(&self) -> Vec<Map<String, Value>> {
        let text = std::fs::read_to_string(self.directory.path().join("flows.json")).expect("flows.json was written");
        serde_json::from_str(&text).expect("flows.json is an array of objects")
    }

    /// All three files are there and agree on the number of flows.
    #[track_caller]
    fn check_complete(&self) -> usize {
        let lines = |name: &str| {
            std::fs::read_to_string(self.directory.path().join(name))
                .unwrap_or_else(|error| panic!("{name}: {error}"))
                .lines()
                .count()
        };
        let flows = self.flows().len();
        assert_eq!(lines("flows.csv"), flows + 1, "flows.csv has a header and every flow");
        assert_eq!(lines("ended.jsonl"), flows, "ended.jsonl has every flow");
        flows
    }
}

/// netscope on [`RECEIVER`], quiet, with all exports and a tick every 100 ms; it captures as soon as the first tick is out.
fn capture(namespace: &NetNs, exports: &Exports, more: &[&str]) -> Running {
    let program = netscope();
    let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
    command.args(["--interface", RECEIVER, "--backend", "libpcap", "--quiet", "--stats", "--stats-interval-ms", "100"]);
    command.args(["--timeout-ms", "20", "--flow-timeout-s", "0"]).args(more);
    exports.arguments(&mut command);
    let mut running = Running::start(&mut command);
    running.wait_for_line("[stats]");
    running
}

/// All frames of a capture, or why it cannot be sent.
fn frames(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let mut capture = pcap::Capture::from_file(path).map_err(|error| error.to_string())?;
    if capture.get_datalink() != pcap::Linktype::ETHERNET {
        return Err("not Ethernet".to_owned());
    }
    let mut frames = Vec::new();
    loop {
        match capture.next_packet() {
            Ok(packet) if packet.header.caplen < packet.header.len => return Err("packets are cut".to_owned()),
            Ok(packet) => frames.push(packet.data.to_vec()),
            Err(pcap::Error::NoMorePackets) => return Ok(frames),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Sends the frames in bursts that any receive buffer holds.
fn send(namespace: &NetNs, frames: &[Vec<u8>]) {
    namespace.inside(|| {
        let inactive = pcap::Capture::from_device(SENDER).expect("the device is there");
        let mut out = inactive.open().expect("root may open it");
        for burst in frames.chunks(32) {
            for frame in burst {
                out.sendpacket(frame.as_slice()).expect("the frame fits the link");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    });
}

/// UDP datagrams of `flows` flows.
fn datagrams(packets: u64, flows: u64, seed: u64) -> Vec<Vec<u8>> {
    let mut generator = Generator::new(&Settings::new(Profile::Udp, packets, flows, seed)).expect("settings that can be met");
    let mut frames = Vec::new();
    while let Some((_, frame)) = generator.next_packet() {
        frames.push(frame.to_vec());
    }
    frames
}

/// What does not depend on when packets came. What resent data is called does; the number of resent or late segments does not.
fn timeless(flows: &[Map<String, Value>]) -> BTreeMap<String, usize> {
    let fields = [
        "protocol",
        "endpoint_a",
        "endpoint_b",
        "packets_a_to_b",
        "packets_b_to_a",
        "bytes_a_to_b",
        "bytes_b_to_a",
        "packets_total",
        "bytes_total",
        "tcp_state",
        "client",
        "community_id",
    ];
    let mut seen = BTreeMap::new();
    for flow in flows {
        let mut text: Vec<String> = fields.iter().map(|field| format!("{field}={}", flow[*field])).collect();
        let count = |field: &str| flow[field].as_u64().unwrap_or_else(|| panic!("{field} is a number in {flow:?}"));
        text.push(format!("resent_or_late={}", count("retransmissions") + count("out_of_order")));
        *seen.entry(text.join(" ")).or_insert(0) += 1;
    }
    seen
}

#[track_caller]
fn same_flows_live_and_from_file(path: &Path) {
    let Some(namespace) = NetNs::with_veth() else { return };
    let frames = frames(path).unwrap_or_else(|reason| panic!("{}: {reason}", path.display()));
    let from_file = Exports::new();
    let mut command = netscope();
    command.arg("--read-pcap").arg(path).args(["--quiet", "--flow-timeout-s", "0"]);
    from_file.arguments(&mut command);
    run(&mut command).expect_code(0);
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
fn an_interface_that_vanishes_is_named_and_waited_for() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let exports = Exports::new();
    let mut running = capture(&namespace, &exports, &[]);
    send(&namespace, &datagrams(60, 20, 2));
    for _ in 0..2 {
        running.wait_for_line("[stats]");
    }
    namespace.ip(&["link", "delete", "dev", RECEIVER]);
    // Ticks go on without it.
    for _ in 0..5 {
        running.wait_for_line("[stats]");
    }
    namespace.add_veth();
    // What is sent before the program has the interface back is lost, as on any wire, so this is sent until ticks have shown it.
    let more = datagrams(80, 40, 5);
    let back = (0..400).any(|_| {
        send(&namespace, &more);
        flow_count(&running.wait_for_line("[stats]")) >= 40
    });
    assert!(back, "no flow was seen after the interface came back");
    running.signal(Signal::SIGINT);
    let Finished { stderr, .. } = running.finish(SIGNAL_LIMIT).expect_code(0);
    for said in ["is gone", "is back"] {
        assert!(stderr.contains(&format!("{RECEIVER} {said}")), "{stderr}");
    }
    assert_eq!(exports.check_complete(), 40, "the flows of before and the new ones");
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
        let mut running = Running::start(&mut command);
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

#[test]
fn an_interface_that_comes_back_is_captured_again() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let exports = Exports::new();
    let mut running = capture(&namespace, &exports, &[]);
    send(&namespace, &datagrams(60, 20, 3));
    running.wait_for_line("[stats]");
    namespace.ip(&["link", "set", "dev", RECEIVER, "down"]);
    for _ in 0..5 {
        running.wait_for_line("[stats]");
    }
    namespace.ip(&["link", "set", "dev", RECEIVER, "up"]);
    // What is sent before the program has the interface back is lost, as on any wire, so this is sent until ticks have shown it.
    let more = datagrams(80, 40, 4);
    let mut back = false;
    for _ in 0..200 {
        send(&namespace, &more);
        let line = running.wait_for_line("[stats]");
        if flow_count(&line) >= 40 {
            back = true;
            break;
        }
    }
    assert!(back, "no flow was seen after the interface came back");
    running.signal(Signal::SIGINT);
    running.finish(SIGNAL_LIMIT).expect_code(0);
    assert_eq!(exports.check_complete(), 40, "the flows of before and the new ones");
}

/// N of `... | N flows | ...` in a tick.
fn flow_count(line: &str) -> u64 {
    let part = line.split('|').find(|part| part.trim().ends_with("flows")).unwrap_or_else(|| panic!("no flows in {line:?}"));
    part.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number in {part:?}"))
}
