//! Live capture by rings: what is sent over a wire with 1, 2 and 4 queues gives the flow records of reading the file, TCP analysis
//! included, by every backend.
//!
//! The sender says on which queue a packet comes, as the hash of a card would.
#![cfg(target_os = "linux")]

mod common;

use common::live::{self, Exports, analysed, counted, frames, send_here, stop, tally, timeless, wait_for_silence};
use common::netns::{NetNs, SENDER, Wire};
use common::{corpus, fixture, temp_dir};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const QUEUES: [u32; 3] = [1, 2, 4];

/// Longest packet of the captures, tags included.
const MTU: u32 = 1800;

/// Captures of the corpus that are sent over the wire: short, Ethernet, every packet whole.
const CORPUS_CAPTURES: &[&str] =
    &["dpkt__nb6-http.pcap", "ipfixprobe__mixed.pcap", "joy__kali-normal-ssh.pcap", "arkime__wireshark-retrans.pcap"];

/// A way to capture.
struct CaptureMode {
    flags: &'static [&'static str],
    /// What several workers take.
    several: &'static [&'static str],
    /// It takes a worker per queue by itself, and a flow stays where the sender puts it.
    by_queue: bool,
    /// Without NAPI a packet that a veth sends by queue n arrives, to generic XDP, on n - 1 (`skb_record_rx_queue` counts from 1).
    queues_before: u32,
}

impl CaptureMode {
    const NATIVE: Self =
        Self { flags: &["--backend", "xdp", "--xdp-mode", "native"], several: &[], by_queue: true, queues_before: 0 };
    const GENERIC: Self = Self { flags: &["--backend", "xdp", "--xdp-mode", "generic"], queues_before: 1, ..Self::NATIVE };
    // Put together by the kernel, fragments would not be those of the file.
    const TPACKET: Self =
        Self { flags: &["--backend", "tpacket"], several: &["--no-fanout-defrag"], by_queue: false, queues_before: 0 };
    const LIBPCAP: Self = Self { flags: &["--backend", "libpcap"], several: &[], ..Self::TPACKET };
    const ALL: [Self; 4] = [Self::NATIVE, Self::GENERIC, Self::TPACKET, Self::LIBPCAP];

    fn flags(&self, queues: u32) -> Vec<String> {
        let mut flags: Vec<String> = self.flags.iter().map(|&flag| flag.to_owned()).collect();
        if !self.by_queue {
            flags.extend(["--workers".to_owned(), queues.to_string()]);
        } else if self.queues_before > 0 {
            let chosen: Vec<String> = (0..queues).map(|queue| queue.to_string()).collect();
            flags.extend(["--xdp-queues".to_owned(), chosen.join(",")]);
        }
        if queues > 1 {
            flags.extend(self.several.iter().map(|&flag| flag.to_owned()));
        }
        flags
    }

    /// Sends frames to netscope on `queues` queues; what it leaves. `None` where that cannot be.
    #[track_caller]
    fn capture(&self, frames: &[Vec<u8>], queues: u32, choose: Choose) -> Option<Exports> {
        let namespace = NetNs::with_wire(&Wire { queues: queues + self.queues_before, mtu: MTU })?;
        let exports = Exports::new();
        let flags = self.flags(queues);
        let mut running = live::capture(&namespace, &exports, &flags.iter().map(String::as_str).collect::<Vec<_>>());
        for queue in 0..queues {
            let own: Vec<Vec<u8>> = frames.iter().filter(|frame| choose(frame, queues) == queue).cloned().collect();
            namespace.inside(|| {
                let cpu = keep_to_one_cpu();
                steer(&namespace, cpu, queue + self.queues_before, queues + self.queues_before);
                send_here(&own);
            });
        }
        wait_for_silence(&mut running);
        // The table on request is that of the end.
        running.signal(Signal::SIGUSR1);
        exports.wait_for("flows.json");
        let asked = exports.flows();
        stop(running);
        let with_queues = |flows: &[Map<String, Value>]| {
            tally(flows.iter().map(|flow| format!("{} {} {}", counted(flow), analysed(flow), flow["queues"])))
        };
        assert_eq!(with_queues(&asked), with_queues(&exports.flows()), "{flags:?}, {queues} queues");
        let summary = exports.summary();
        let expected = (frames.len().into(), 0.into(), 0.into());
        let found = (summary["packets"].clone(), summary["unaccounted"].clone(), summary["source"]["unread"].clone());
        assert_eq!(found, expected, "{flags:?}, {queues} queues: {summary:#}");
        Some(exports)
    }
}

/// The queue of a frame, of so many.
type Choose = fn(&[u8], u32) -> u32;

/// Addresses of an IP packet behind tags; `None` for others.
fn addresses(frame: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 12;
    loop {
        let (range, len) = match u16::from_be_bytes(*frame.get(at..)?.first_chunk()?) {
            0x8100 | 0x88a8 => {
                at += 4;
                continue;
            }
            0x0800 => (at + 14, 4),
            0x86dd => (at + 10, 16),
            _ => return None,
        };
        return Some((frame.get(range..range + len)?, frame.get(range + len..range + 2 * len)?));
    }
}

/// The queue of a card with a symmetric hash: both directions of a flow, and all fragments, on one.
fn symmetric(frame: &[u8], queues: u32) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    addresses(frame).map_or(0, |(from, to)| (sum(from) + sum(to)) % queues)
}

/// Each direction on a queue of its own.
fn by_direction(frame: &[u8], _queues: u32) -> u32 {
    addresses(frame).map_or(0, |(from, to)| u32::from(from < to))
}

/// The first CPU that the calling thread may use, and from now on the only one.
fn keep_to_one_cpu() -> usize {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).expect("a thread knows its CPUs");
    let cpu = (0..CpuSet::count()).find(|&cpu| allowed.is_set(cpu).unwrap_or(false)).expect("it has one");
    let mut one = CpuSet::new();
    one.set(cpu).expect("it is in the set");
    sched_setaffinity(this, &one).expect("it may have fewer");
    cpu
}

/// What `cpu` sends goes by this queue: XPS, Documentation/networking/scaling.rst.
fn steer(namespace: &NetNs, cpu: usize, queue: u32, queues: u32) {
    if queues == 1 {
        return;
    }
    let mask = format!("{:x}{}", 1_u32 << (cpu % 32), ",00000000".repeat(cpu / 32));
    let lines: Vec<String> = (0..queues)
        .map(|each| {
            let mask = if each == queue { &mask } else { "0" };
            format!("echo {mask} >/sys/class/net/{SENDER}/queues/tx-{each}/xps_cpus")
        })
        .collect();
    let mut command: Command = namespace.command("sh");
    command.args(["-e", "-c", &lines.join("\n")]);
    assert!(command.status().is_ok_and(|status| status.success()), "{command:?}");
}

fn joined(flow: &Map<String, Value>) -> bool {
    flow["queues"] != 1
}

/// Records that are whole are those of the file; those joined from halves have their counts.
#[track_caller]
fn same_but_joined(found: &[Map<String, Value>], expected: &[Map<String, Value>], what: &str) {
    let all = |flows: &[Map<String, Value>]| tally(flows.iter().map(counted));
    assert_eq!(all(found), all(expected), "{what}");
    let mut left: BTreeMap<String, usize> = timeless(expected);
    for flow in found.iter().filter(|flow| !joined(flow)) {
        let line = format!("{} {}", counted(flow), analysed(flow));
        let count = left.get_mut(&line).filter(|count| **count > 0);
        *count.unwrap_or_else(|| panic!("{what}: not in the file: {line}")) -= 1;
    }
}

/// Captures one after the other, and the flows that reading them as one file gives.
struct Sample {
    frames: Vec<Vec<u8>>,
    flows: Vec<Map<String, Value>>,
}

impl Sample {
    #[track_caller]
    fn new(paths: &[PathBuf]) -> Self {
        let sent = |path: &PathBuf| frames(path).unwrap_or_else(|reason| panic!("{}: {reason}", path.display()));
        let frames: Vec<Vec<u8>> = paths.iter().flat_map(sent).collect();
        let directory = temp_dir("sample");
        let joined = directory.path().join("joined.pcap");
        write_capture(&joined, &frames);
        let flows = live::from_file(&joined).flows();
        assert!(flows.len() > paths.len(), "{paths:?}");
        Self { frames, flows }
    }
}

/// A classic pcap file, a packet per microsecond.
fn write_capture(path: &Path, frames: &[Vec<u8>]) {
    let mut bytes: Vec<u8> = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0x4_0000, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for (frame, time) in frames.iter().zip(0_u32..) {
        let len = u32::try_from(frame.len()).expect("frames are short");
        for word in [time / 1_000_000, time % 1_000_000, len, len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    std::fs::write(path, bytes).expect("a directory of ours");
}

#[track_caller]
fn same_flows_by_every_backend(paths: &[PathBuf]) {
    let sample = Sample::new(paths);
    let try_one = |way: &CaptureMode, queues: u32| {
        let Some(exports) = way.capture(&sample.frames, queues, symmetric) else { return };
        let (flows, what) = (exports.flows(), format!("{:?}, {queues} queues", way.flags));
        if way.by_queue || queues == 1 {
            assert!(!flows.iter().any(joined), "{what}");
        }
        same_but_joined(&flows, &sample.flows, &what);
    };
    for queues in QUEUES {
        // All ways at once: each mostly waits.
        std::thread::scope(|scope| {
            for way in &CaptureMode::ALL {
                scope.spawn(|| try_one(way, queues));
            }
        });
    }
}

#[test]
fn the_demo_recording_gives_the_flows_of_the_file_by_every_backend() {
    same_flows_by_every_backend(&[fixture("demo.pcapng")]);
}

#[test]
fn captures_of_the_corpus_give_the_flows_of_the_file_by_every_backend() {
    let Some(corpus) = corpus() else { return };
    let paths: Vec<PathBuf> = CORPUS_CAPTURES.iter().map(|name| corpus.join("captures").join(name)).collect();
    same_flows_by_every_backend(&paths);
}

#[test]
fn halves_that_come_on_two_queues_are_joined_and_marked() {
    let sample = Sample::new(&[fixture("demo.pcapng")]);
    let both_ways = |flow: &&Map<String, Value>| flow["packets_a_to_b"] != 0 && flow["packets_b_to_a"] != 0;
    let expected = sample.flows.iter().filter(both_ways).count();
    assert!(expected > 10, "a sample with few conversations shows little");
    for way in [CaptureMode::NATIVE, CaptureMode::GENERIC] {
        let Some(exports) = way.capture(&sample.frames, 2, by_direction) else { return };
        let (flows, what) = (exports.flows(), format!("{:?}", way.flags));
        same_but_joined(&flows, &sample.flows, &what);
        let marked: Vec<_> = flows.iter().filter(|flow| joined(flow)).collect();
        assert!(marked.iter().all(|flow| both_ways(flow) && flow["queues"] == 2), "{what}: {marked:#?}");
        assert_eq!(exports.summary()["flows"]["joined"], marked.len(), "{what}");
        assert_eq!(marked.len(), expected, "{what}: every conversation");
        // What takes both directions to see is not made up; a client's SYN and ACK are one direction.
        assert!(marked.iter().all(|flow| flow["rtt_samples"] == 0), "{what}: {marked:#?}");
    }
}
