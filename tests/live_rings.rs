//! Live capture by rings: what is sent over a wire with 1, 2 and 4 queues gives the flow records of reading the file, TCP analysis
//! included, by every backend.
//!
//! The sender says on which queue a packet comes, as the hash of a card would.
#![cfg(target_os = "linux")]

mod common;

use common::live::{self, Exports, analysed, counted, frames, send_here, stop, tally, timeless, wait_for_silence};
use common::netns::{NetNs, SENDER, Wire};
use common::{corpus, fixture};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
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
struct Way {
    flags: &'static [&'static str],
    /// What several workers take.
    several: &'static [&'static str],
    /// It takes a worker per queue by itself, and a flow stays where the sender puts it.
    by_queue: bool,
}

impl Way {
    fn flags(&self, queues: u32) -> Vec<String> {
        let mut flags = self.flags.to_vec();
        let workers = queues.to_string();
        if !self.by_queue {
            flags.extend(["--workers", &workers]);
        }
        if queues > 1 {
            flags.extend(self.several);
        }
        flags.into_iter().map(str::to_owned).collect()
    }
}

const WAYS: [Way; 4] = [
    Way { flags: &["--backend", "xdp", "--xdp-mode", "native"], several: &[], by_queue: true },
    Way { flags: &["--backend", "xdp", "--xdp-mode", "generic"], several: &[], by_queue: true },
    // Put together by the kernel, fragments would not be those of the file.
    Way { flags: &["--backend", "tpacket"], several: &["--no-fanout-defrag"], by_queue: false },
    Way { flags: &["--backend", "libpcap"], several: &[], by_queue: false },
];

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

/// Sends the frames so that each comes on the queue that `choose` names; those of one queue in their order, queue after queue.
fn send_to_queues(namespace: &NetNs, frames: &[Vec<u8>], queues: u32, choose: fn(&[u8], u32) -> u32) {
    for queue in 0..queues {
        let own: Vec<Vec<u8>> = frames.iter().filter(|frame| choose(frame, queues) == queue).cloned().collect();
        namespace.inside(|| {
            let cpu = keep_to_one_cpu();
            steer(namespace, cpu, queue, queues);
            send_here(&own);
        });
    }
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

/// Sends a capture to netscope; the flow table it leaves.
#[track_caller]
fn live(namespace: &NetNs, flags: &[&str], frames: &[Vec<u8>], queues: u32, choose: fn(&[u8], u32) -> u32) -> Exports {
    let exports = Exports::new();
    let mut running = live::capture(namespace, &exports, flags);
    send_to_queues(namespace, frames, queues, choose);
    wait_for_silence(&mut running);
    stop(running);
    let summary = exports.summary();
    let expected = (frames.len().into(), 0.into(), 0.into());
    let found = (summary["packets"].clone(), summary["unaccounted"].clone(), summary["source"]["unread"].clone());
    assert_eq!(found, expected, "{flags:?}, {queues} queues: {summary:#}");
    exports
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

/// A capture as it is sent, and the flows of its file.
struct Sample {
    path: PathBuf,
    frames: Vec<Vec<u8>>,
    flows: Vec<Map<String, Value>>,
}

impl Sample {
    #[track_caller]
    fn new(path: PathBuf) -> Self {
        let frames = frames(&path).unwrap_or_else(|reason| panic!("{}: {reason}", path.display()));
        let flows = live::from_file(&path).flows();
        assert!(!flows.is_empty(), "{}", path.display());
        Self { path, frames, flows }
    }
}

#[track_caller]
fn same_flows_by_every_backend(samples: &[Sample], queue_counts: &[u32]) {
    for &queues in queue_counts {
        let Some(namespace) = NetNs::with_wire(&Wire { queues, mtu: MTU }) else { return };
        for (way, sample) in WAYS.iter().flat_map(|way| samples.iter().map(move |sample| (way, sample))) {
            let what = format!("{}, {:?}, {queues} queues", sample.path.display(), way.flags);
            let flags = way.flags(queues);
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let exports = live(&namespace, &flags, &sample.frames, queues, symmetric);
            let flows = exports.flows();
            if way.by_queue || queues == 1 {
                assert!(!flows.iter().any(joined), "{what}");
            }
            same_but_joined(&flows, &sample.flows, &what);
        }
    }
}

fn the_file(path: &Path) -> Sample {
    Sample::new(path.to_owned())
}

#[test]
fn the_demo_recording_gives_the_flows_of_the_file_by_every_backend() {
    same_flows_by_every_backend(&[the_file(&fixture("demo.pcapng"))], &QUEUES);
}

#[test]
fn captures_of_the_corpus_give_the_flows_of_the_file_by_every_backend() {
    let Some(corpus) = corpus() else { return };
    let samples: Vec<Sample> =
        CORPUS_CAPTURES.iter().map(|name| the_file(&corpus.join("captures").join(name))).collect();
    same_flows_by_every_backend(&samples, &QUEUES);
}

#[test]
fn halves_that_come_on_two_queues_are_joined_and_marked() {
    let Some(namespace) = NetNs::with_wire(&Wire { queues: 2, mtu: MTU }) else { return };
    let sample = the_file(&fixture("demo.pcapng"));
    let both_ways = |flow: &&Map<String, Value>| flow["packets_a_to_b"] != 0 && flow["packets_b_to_a"] != 0;
    let expected = sample.flows.iter().filter(both_ways).count();
    assert!(expected > 10, "a sample with few conversations shows little");
    for mode in ["native", "generic"] {
        let flags = ["--backend", "xdp", "--xdp-mode", mode];
        let exports = live(&namespace, &flags, &sample.frames, 2, by_direction);
        let flows = exports.flows();
        same_but_joined(&flows, &sample.flows, mode);
        let marked: Vec<_> = flows.iter().filter(|flow| joined(flow)).collect();
        assert!(marked.iter().all(|flow| both_ways(flow) && flow["queues"] == 2), "{mode}: {marked:#?}");
        assert_eq!(exports.summary()["flows"]["joined"], marked.len(), "{mode}");
        // Inside a tunnel the outer addresses decide, so a few conversations may be whole all the same.
        eprintln!("{mode}: {} of {expected} conversations were joined", marked.len());
        assert!(marked.len() * 10 >= expected * 9, "{mode}: {} of {expected}", marked.len());
        // What takes both directions to see is not made up.
        assert!(marked.iter().all(|flow| flow["rtt_samples"] == 0 && flow["handshake_rtt_ms"].is_null()), "{mode}: {marked:#?}");
    }
}
