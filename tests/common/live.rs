//! A run of the real program on a wire: started, waited for, its exports read; captures sent to it.
//!
//! Owns no expectations. Knows the program by its flags and files alone. Its one invariant: what is sent is sent in the order given, and
//! all of it.

use super::netns::{NetNs, RECEIVER, SENDER};
use super::{RUN_LIMIT, RunningProgram, netscope};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Ticks without a packet, in a row, after which nothing is on its way any more.
const SILENT_TICKS: usize = 3;

/// A directory with everything a run exports.
pub struct Exports {
    directory: TempDir,
}

impl Exports {
    /// An empty one.
    pub fn new() -> Self {
        Self { directory: super::temp_dir("exports") }
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Has `command` export everything.
    pub fn arguments(&self, command: &mut Command) {
        command.arg("--export-json").arg(self.file("flows.json"));
        command.arg("--export-csv").arg(self.file("flows.csv"));
        command.arg("--expired-flows-jsonl").arg(self.file("ended.jsonl"));
        command.arg("--summary-json").arg(self.file("summary.json"));
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Lines of a file in it.
    #[track_caller]
    pub fn lines(&self, name: &str) -> usize {
        self.text(name).lines().count()
    }

    /// Waits until a file is there.
    #[track_caller]
    pub fn wait_for(&self, name: &str) {
        let deadline = Instant::now() + RUN_LIMIT;
        while !self.file(name).exists() {
            assert!(Instant::now() < deadline, "{name} does not appear");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The flow table.
    #[track_caller]
    pub fn flows(&self) -> Vec<Map<String, Value>> {
        serde_json::from_str(&self.text("flows.json")).expect("flows.json is an array of objects")
    }

    /// The summary.
    #[track_caller]
    pub fn summary(&self) -> Value {
        serde_json::from_str(&self.text("summary.json")).expect("summary.json is an object")
    }

    /// All files are there and agree on the number of flows, which came on one queue; and the ledger has no hole.
    #[track_caller]
    pub fn check_complete(&self) -> usize {
        let flows = self.flows().len();
        assert_eq!(self.text("flows.csv").lines().count(), flows + 1, "flows.csv has a header and every flow");
        assert_eq!(self.text("ended.jsonl").lines().count(), flows, "ended.jsonl has every flow");
        let summary = self.summary();
        assert_eq!(summary["unaccounted"], 0);
        assert_eq!(summary["flows"]["alive_at_exit"], summary["flows"]["ended"]["exit"], "{summary:#}");
        for output in summary["outputs"].as_array().expect("an array") {
            let counts = (&output["rows_written"], &output["rows_not_written"]);
            assert_eq!(counts, (&flows.into(), &0.into()), "{output}");
        }
        flows
    }
}

/// netscope on [`RECEIVER`], not started: a line per packet, a tick every 100 ms, flows that do not end by silence.
pub fn on_receiver(namespace: &NetNs, more: &[&str]) -> Command {
    let program = netscope();
    let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
    command.args(["--interface", RECEIVER, "--stats", "--flow-timeout-s", "0"]).args(more);
    if !more.contains(&"--stats-interval-ms") {
        command.args(["--stats-interval-ms", "100"]);
    }
    command
}

/// That, started, with all exports and no lines per packet; it captures as soon as the first tick is out.
pub fn capture(namespace: &NetNs, exports: &Exports, more: &[&str]) -> RunningProgram {
    let mut command = on_receiver(namespace, more);
    command.arg("--quiet");
    exports.arguments(&mut command);
    let mut running = RunningProgram::start(&mut command);
    running.wait_for_line("[stats]");
    running
}

/// The exports of reading a file.
pub fn from_file(path: &Path) -> Exports {
    let exports = Exports::new();
    let mut command = netscope();
    command.arg("--read-pcap").arg(path).args(["--quiet", "--flow-timeout-s", "0"]);
    exports.arguments(&mut command);
    super::run(&mut command).expect_code(0);
    exports
}

/// Waits until ticks say that nothing arrives any more.
#[track_caller]
pub fn wait_for_silence(running: &mut RunningProgram) {
    running.skip_lines();
    let mut silent = 0;
    while silent < SILENT_TICKS {
        silent = if running.wait_for_line("[stats]").contains("| 0 pps |") { silent + 1 } else { 0 };
    }
}

/// Asks it to end, and waits for that.
#[track_caller]
pub fn stop(running: RunningProgram) -> super::Finished {
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.finish(RUN_LIMIT).expect_code(0)
}

/// N of `... | N flows | ...` in a tick.
#[track_caller]
pub fn flow_count(line: &str) -> u64 {
    let part = line.split('|').find(|part| part.trim().ends_with("flows")).unwrap_or_else(|| panic!("no flows in {line:?}"));
    part.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number in {part:?}"))
}

/// All frames of a capture, or why it cannot be sent.
pub fn frames(path: &Path) -> Result<Vec<Vec<u8>>, String> {
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
pub fn send(namespace: &NetNs, frames: &[Vec<u8>]) {
    namespace.inside(|| send_here(frames));
}

/// The same from a thread that is inside the namespace.
pub fn send_here(frames: &[Vec<u8>]) {
    let inactive = pcap::Capture::from_device(SENDER).expect("the device is there");
    let mut out = inactive.open().expect("root may open it");
    for burst in frames.chunks(32) {
        for frame in burst {
            out.sendpacket(frame.as_slice()).expect("the frame fits the link");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// UDP datagrams of `flows` flows.
pub fn datagrams(packets: u64, flows: u64, seed: u64) -> Vec<Vec<u8>> {
    let settings = netscope_perf::GeneratorSettings::new(netscope_perf::Profile::Udp, packets, flows, seed);
    let mut generator = netscope_perf::Generator::new(&settings).expect("settings that can be met");
    let mut frames = Vec::new();
    while let Some((_, frame)) = generator.next_packet() {
        frames.push(frame.to_vec());
    }
    frames
}

/// What of a flow is the same however its packets are spread over workers: who talked, and how much.
const COUNTED: &[&str] = &[
    "protocol",
    "endpoint_a",
    "endpoint_b",
    "packets_a_to_b",
    "packets_b_to_a",
    "bytes_a_to_b",
    "bytes_b_to_a",
    "packets_total",
    "bytes_total",
    "community_id",
];

/// A flow in one line without what depends on when packets came.
pub fn counted(flow: &Map<String, Value>) -> String {
    COUNTED.iter().map(|field| format!("{field}={}", flow[*field])).collect::<Vec<_>>().join(" ")
}

/// The analysis of a flow in one line. What resent data is called depends on time; the number of resent or late segments does not.
pub fn analysed(flow: &Map<String, Value>) -> String {
    let count = |field: &str| flow[field].as_u64().unwrap_or_else(|| panic!("{field} is a number in {flow:?}"));
    let resent_or_late = count("retransmissions") + count("out_of_order");
    format!("tcp_state={} client={} resent_or_late={resent_or_late}", flow["tcp_state"], flow["client"])
}

/// Lines and how often each occurs.
pub fn tally<T: IntoIterator<Item = String>>(lines: T) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    for line in lines {
        *seen.entry(line).or_insert(0) += 1;
    }
    seen
}

/// What does not depend on when packets came.
pub fn timeless(flows: &[Map<String, Value>]) -> BTreeMap<String, usize> {
    tally(flows.iter().map(|flow| format!("{} {}", counted(flow), analysed(flow))))
}
