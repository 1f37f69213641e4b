//! What can be said on the command line and in the configuration file: one struct per section, read by clap and by serde.
//!
//! Owns names and help texts. Knows no default: `None` is "not said". Invariant: a field that is added is in the overlay, or the
//! code does not compile.
#![allow(rustdoc::broken_intra_doc_links, reason = "help texts say [default], which is no link")]

use super::analysis_options::AnalysisOptions;
use super::choices::{BackendChoice, FanoutChoice, KeyChoice, RssChoice, XdpModeChoice, XdpTimes, XdpUnmatched};
use super::recorder_options::RecorderOptions;
use super::said::{names, path_unset_when_empty, paths, unset_when_empty};
use super::timeouts::TimeoutOptions;
use super::web_options::WebOptions;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Makes the overlay of a section. A switch is a pair of flags that becomes one value.
macro_rules! section {
    ($section:ident { $($field:ident),* $(,)? }) => {
        impl $section {
            /// `self` where it says something, else `under`.
            pub(in crate::config) fn over(self, under: Self) -> Self {
                Self { $($field: self.$field.or(under.$field),)* }
            }
        }
    };
    ($section:ident { $($field:ident),* $(,)? } switches { $($switch:ident: $yes:ident, $no:ident);* $(;)? }) => {
        impl $section {
            /// Turns the pairs of flags into values.
            pub(in crate::config) fn settle(&mut self) {
                $(self.$switch = match (self.$yes, self.$no) {
                    (true, _) => Some(true),
                    (_, true) => Some(false),
                    _ => self.$switch,
                };)*
            }

            /// `self` where it says something, else `under`.
            pub(in crate::config) fn over(self, under: Self) -> Self {
                Self {
                    $($field: self.$field.or(under.$field),)*
                    $($switch: self.$switch.or(under.$switch), $yes: self.$yes, $no: self.$no,)*
                }
            }
        }
    };
}

mod output;

pub use output::OutputOptions;
pub(super) use section;

/// All sections.
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Where packets come from.
    #[command(flatten)]
    pub capture: CaptureOptions,
    /// The memory-mapped rings of Linux packet sockets.
    #[command(flatten)]
    pub tpacket: TpacketOptions,
    /// Packets from the driver, past the host's stack.
    #[command(flatten)]
    pub xdp: XdpOptions,
    /// How long to run, and as whom.
    #[command(flatten)]
    pub run: RunOptions,
    /// What is written.
    #[command(flatten)]
    pub output: OutputOptions,
    /// The flow table.
    #[command(flatten)]
    pub flow: FlowOptions,
    /// The periodic line.
    #[command(flatten)]
    pub stats: StatsOptions,
    /// The last hour and day.
    #[command(flatten)]
    pub history: HistoryOptions,
    /// What is analysed.
    #[command(flatten)]
    pub analysis: AnalysisOptions,
    /// Packets kept for alerts.
    #[command(flatten)]
    pub recorder: RecorderOptions,
    /// The page.
    #[command(flatten)]
    pub web: WebOptions,
    /// Cores.
    #[command(flatten)]
    pub pipeline: PipelineOptions,
}

impl Options {
    /// Turns the pairs of flags into values; called once after the command line was read.
    pub fn settle(&mut self) {
        self.capture.settle();
        self.tpacket.settle();
        self.xdp.settle();
        self.run.settle();
        self.output.settle();
        self.stats.settle();
        self.analysis.settle();
        self.recorder.settle();
        self.web.settle();
        self.pipeline.settle();
    }

    /// `self` where it says something, else `under`.
    pub fn over(self, under: Self) -> Self {
        Self {
            capture: self.capture.over(under.capture),
            tpacket: self.tpacket.over(under.tpacket),
            xdp: self.xdp.over(under.xdp),
            run: self.run.over(under.run),
            output: self.output.over(under.output),
            flow: self.flow.over(under.flow),
            stats: self.stats.over(under.stats),
            history: self.history.over(under.history),
            analysis: self.analysis.over(under.analysis),
            recorder: self.recorder.over(under.recorder),
            web: self.web.over(under.web),
            pipeline: self.pipeline.over(under.pipeline),
        }
    }
}

/// `[capture]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[command(next_help_heading = "Capture")]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct CaptureOptions {
    /// Capture on this interface [default: the first that is up]. Given several times, all of them are captured at once, each with
    /// workers of its own; flows of different interfaces stay apart
    #[arg(short, long, value_name = "NAME", conflicts_with = "read_pcap")]
    #[serde(deserialize_with = "names")]
    pub interface: Option<Vec<String>>,

    /// Read this capture file (pcap or pcapng, also gzip or zstd) instead of an interface; - is standard input. Given several times,
    /// the files are read one after the other; a directory stands for the capture files in it, in the order of their first packets
    #[arg(short, long, value_name = "PATH", conflicts_with_all = ["promiscuous_yes", "promiscuous_no"])]
    #[serde(deserialize_with = "paths")]
    pub read_pcap: Option<Vec<PathBuf>>,

    #[arg(skip)]
    pub merge: Option<bool>,
    /// Read several capture files as one, by the times of their packets
    #[arg(long = "merge", conflicts_with = "merge_no")]
    #[serde(skip)]
    pub merge_yes: bool,
    /// Read them one after the other [default]
    #[arg(long = "no-merge")]
    #[serde(skip)]
    pub merge_no: bool,

    /// Replay capture files by the times of their packets: 1 as captured, 2 twice as fast, 0.5 half as fast; a gap takes as long as
    /// it is [default: 0, as fast as possible]
    #[arg(long, value_name = "FACTOR")]
    pub replay_speed: Option<f64>,

    /// How to capture on the interface [default: auto]
    #[arg(long, value_enum, value_name = "NAME", conflicts_with = "read_pcap")]
    pub backend: Option<BackendChoice>,

    /// Only packets that match this BPF expression, on an interface and from a file
    #[arg(short, long, value_name = "EXPR")]
    #[serde(deserialize_with = "unset_when_empty")]
    pub filter: Option<String>,

    /// Only packets from or to an address of this file, one IPv4 or IPv6 address or network a line, up to a million; with --filter, packets
    /// that both take. The outermost addresses count, also behind VLAN tags
    #[arg(long, value_name = "FILE")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub filter_file: Option<PathBuf>,

    #[arg(skip)]
    pub promiscuous: Option<bool>,
    /// Also packets for other stations [default]
    #[arg(short, long = "promiscuous", conflicts_with = "promiscuous_no")]
    #[serde(skip)]
    pub promiscuous_yes: bool,
    /// Only packets for this station
    #[arg(long = "no-promiscuous")]
    #[serde(skip)]
    pub promiscuous_no: bool,

    /// Bytes kept of each packet, 1 to 262144 [default: 65535 on an interface, all that are there from a file]
    #[arg(short, long, value_name = "BYTES")]
    pub snaplen: Option<u32>,

    /// Longest wait for packets on an interface or from a pipe, in ms [default: 100]
    #[arg(short, long, value_name = "MS")]
    pub timeout_ms: Option<u32>,

    /// Memory for packets between the kernel and us, in MiB, of all workers together; by tpacket, each has 8 blocks at least [default: 64]
    #[arg(long, value_name = "MB", conflicts_with = "read_pcap")]
    pub buffer_size_mb: Option<u32>,

    /// How the card spreads packets over its queues while we capture [default: unchanged]
    #[arg(long, value_enum, value_name = "NAME")]
    pub rss: Option<RssChoice>,

    #[arg(skip)]
    pub immediate_mode: Option<bool>,
    /// Get each packet as it arrives: less delay, more CPU time
    #[arg(long = "immediate-mode", conflicts_with_all = ["immediate_mode_no", "read_pcap"])]
    #[serde(skip)]
    pub immediate_mode_yes: bool,
    /// Get packets in batches [default]
    #[arg(long = "no-immediate-mode", conflicts_with = "read_pcap")]
    #[serde(skip)]
    pub immediate_mode_no: bool,
}

section!(CaptureOptions { interface, read_pcap, replay_speed, backend, filter, filter_file, snaplen, timeout_ms, buffer_size_mb, rss }
    switches { merge: merge_yes, merge_no; promiscuous: promiscuous_yes, promiscuous_no;
        immediate_mode: immediate_mode_yes, immediate_mode_no });

/// `[tpacket]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[command(next_help_heading = "Capture by tpacket")]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct TpacketOptions {
    /// Size of a ring's blocks in KiB, a multiple of 64 from 128; a ring has 8 blocks at least [default: 1024]
    #[arg(long = "tpacket-block-kb", value_name = "KB")]
    pub block_kb: Option<u32>,

    /// Hand a block over after this time though it is not full, in ms [default: 10]
    #[arg(long = "tpacket-retire-ms", value_name = "MS")]
    pub retire_ms: Option<u32>,

    /// How packets are distributed to several workers [default: hash]
    #[arg(long, value_enum, value_name = "NAME")]
    pub fanout: Option<FanoutChoice>,

    #[arg(skip)]
    pub fanout_defrag: Option<bool>,
    /// Put IPv4 fragments together before they are distributed by hash, so that each comes to its flow's
    /// worker [default]
    #[arg(long = "fanout-defrag", conflicts_with = "fanout_defrag_no")]
    #[serde(skip)]
    pub fanout_defrag_yes: bool,
    /// Distribute fragments as they are
    #[arg(long = "no-fanout-defrag")]
    #[serde(skip)]
    pub fanout_defrag_no: bool,
}

section!(TpacketOptions { block_kb, retire_ms, fanout } switches { fanout_defrag: fanout_defrag_yes, fanout_defrag_no });

/// `[xdp]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[command(next_help_heading = "Capture by AF_XDP")]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct XdpOptions {
    /// How packets are handed over [default: auto]
    #[arg(long = "xdp-mode", value_enum, value_name = "NAME")]
    pub mode: Option<XdpModeChoice>,

    /// Receive queues to take, such as 0,2-3; a worker each [default: all]
    #[arg(long = "xdp-queues", value_name = "LIST")]
    #[serde(deserialize_with = "unset_when_empty")]
    pub queues: Option<String>,

    /// Bytes of a frame, 2048 or 4096 [default: 2048]
    #[arg(long = "xdp-frame-size", value_name = "BYTES")]
    pub frame_size: Option<u32>,

    /// Frames of each queue, 64 to 1048576: the packets that may wait for us [default: 32768]
    #[arg(long = "xdp-frames", value_name = "N")]
    pub frames: Option<u32>,

    /// Places of each queue's receive ring, a power of two, 0 = as many as frames [default: 0]
    #[arg(long = "xdp-ring-size", value_name = "N")]
    pub ring_size: Option<u32>,

    /// Poll the driver from the worker's thread for this many microseconds at a time, 0 = interrupts and
    /// sleeps [default: 0]
    #[arg(long = "xdp-busy-poll-us", value_name = "US")]
    pub busy_poll_us: Option<u32>,

    /// How often the clock is read [default: batch]
    #[arg(long = "xdp-timestamps", value_enum, value_name = "NAME")]
    pub timestamps: Option<XdpTimes>,

    /// What becomes of packets that do not match --filter [default: pass]
    #[arg(long = "xdp-unmatched", value_enum, value_name = "NAME")]
    pub unmatched: Option<XdpUnmatched>,

    #[arg(skip)]
    pub insist: Option<bool>,
    /// Allow AF_XDP on an interface in use; the host stops receiving its traffic
    #[arg(long = "xdp-insist", conflicts_with = "insist_no")]
    #[serde(skip)]
    pub insist_yes: bool,
    /// Refuse such an interface [default]
    #[arg(long = "no-xdp-insist")]
    #[serde(skip)]
    pub insist_no: bool,
}

section!(XdpOptions { mode, queues, frame_size, frames, ring_size, busy_poll_us, timestamps, unmatched }
    switches { insist: insist_yes, insist_no });

/// `[run]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[command(next_help_heading = "Capture")]
#[serde(default, deny_unknown_fields)]
pub struct RunOptions {
    /// Stop after N packets, 0 = never [default: 0]
    #[arg(short, long, value_name = "N")]
    pub count: Option<u64>,

    /// Stop after this many seconds: by the clock on an interface, by the packets' times from a file; 0 = never [default: 0]
    #[arg(long = "duration", value_name = "SECS")]
    pub duration_secs: Option<f64>,

    /// Stop with the packet by which this many bytes were on the wire, 0 = never [default: 0]
    #[arg(long, value_name = "BYTES")]
    pub stop_after_bytes: Option<u64>,

    /// Drop root to this user after opening the interface; keeps only the rights that opening it again takes
    #[arg(long, value_name = "NAME")]
    #[serde(deserialize_with = "unset_when_empty")]
    pub user: Option<String>,
}

section!(RunOptions { count, duration_secs, stop_after_bytes, user } switches {});

/// `[flow]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[command(next_help_heading = "Flows")]
#[serde(default, deny_unknown_fields)]
pub struct FlowOptions {
    /// End a flow after this time without a packet, 0 = never [default: 60]
    #[arg(long = "flow-timeout-s", value_name = "SECS")]
    pub timeout_secs: Option<f64>,

    /// End a TCP flow this long after it was closed or reset [default: 10]
    #[arg(long = "closed-timeout-s", value_name = "SECS")]
    pub closed_timeout_secs: Option<f64>,

    /// End a flow when it is this old and begin a new record, 0 = never [default: 0]
    #[arg(long = "active-timeout-s", value_name = "SECS")]
    pub active_timeout_secs: Option<f64>,

    /// Flows in memory at most, over all cores, 0 = unlimited [default: 100000]
    #[arg(long, value_name = "N")]
    pub max_flows: Option<u64>,

    /// What makes a flow beside protocol, addresses and ports [default: tuple]
    #[arg(long = "flow-key", value_enum, value_name = "NAME")]
    pub key: Option<KeyChoice>,

    /// Other timeouts by protocol and state.
    #[arg(skip)]
    pub timeouts: TimeoutOptions,
}

impl FlowOptions {
    /// `self` where it says something, else `under`.
    pub(super) fn over(self, under: Self) -> Self {
        Self {
            timeout_secs: self.timeout_secs.or(under.timeout_secs),
            closed_timeout_secs: self.closed_timeout_secs.or(under.closed_timeout_secs),
            active_timeout_secs: self.active_timeout_secs.or(under.active_timeout_secs),
            max_flows: self.max_flows.or(under.max_flows),
            key: self.key.or(under.key),
            timeouts: self.timeouts.over(under.timeouts),
        }
    }
}

/// `[stats]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[command(next_help_heading = "Statistics")]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct StatsOptions {
    #[arg(skip)]
    pub enabled: Option<bool>,
    /// Print rates and losses periodically
    #[arg(id = "stats_yes", long = "stats", conflicts_with = "stats_no")]
    #[serde(skip)]
    pub enabled_yes: bool,
    /// No periodic statistics [default]
    #[arg(id = "stats_no", long = "no-stats")]
    #[serde(skip)]
    pub enabled_no: bool,

    /// How often, in ms of packet time [default: 1000]
    #[arg(long = "stats-interval-ms", value_name = "MS")]
    pub interval_ms: Option<u64>,

    /// With --stats: also the N flows with the most bytes in the interval, up to 100000, and 10000 for each second of it [default: 0]
    #[arg(long, value_name = "N")]
    pub top_flows: Option<u32>,

    /// Write the statistics of each interval to this file, one JSON object per line
    #[arg(id = "stats_jsonl", long = "stats-jsonl", value_name = "PATH")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub jsonl: Option<PathBuf>,

    /// Say so when an interface is silent for this long, in seconds, 0 = never [default: 60]
    #[arg(long = "silence-s", value_name = "SECS")]
    pub silence_secs: Option<f64>,
}

section!(StatsOptions { interval_ms, top_flows, jsonl, silence_secs } switches { enabled: enabled_yes, enabled_no });

/// `[history]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[command(next_help_heading = "Statistics")]
#[serde(default, deny_unknown_fields)]
pub struct HistoryOptions {
    /// Keep a history, each second of the last hour and each minute of the last day, and write it to this file as JSON: at the end and on
    /// SIGUSR1
    #[arg(id = "history_json", long = "history-json", value_name = "PATH")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub json: Option<PathBuf>,
}

section!(HistoryOptions { json });

/// `[pipeline]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[command(next_help_heading = "Performance")]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct PipelineOptions {
    #[arg(skip)]
    pub enabled: Option<bool>,
    /// Use several workers
    #[arg(id = "pipeline_yes", long = "pipeline", conflicts_with = "pipeline_no")]
    #[serde(skip)]
    pub enabled_yes: bool,
    /// Use one worker [default]
    #[arg(id = "pipeline_no", long = "no-pipeline", conflicts_with = "workers")]
    #[serde(skip)]
    pub enabled_no: bool,

    /// Number of workers, 0 = as many as help: one per core for a file, at most 8, and 2 for one that is compressed or comes by a pipe;
    /// one per queue live; turns --pipeline on. A file is read by at most 4 per core. As many threads, at most 8, write the flow table at
    /// the end
    #[arg(long, value_name = "N")]
    pub workers: Option<u32>,

    /// Pin workers to these CPUs, in order, such as 0,2-3; with more workers than CPUs, from the first one again [default: not pinned, or
    /// to the CPUs that serve the queues]
    #[arg(long, value_name = "LIST")]
    #[serde(deserialize_with = "unset_when_empty")]
    pub cpus: Option<String>,

    /// Packets of 2 KiB that may wait between one reader and several workers; in chunks of 1 MiB, 2 to 64 of
    /// them.
    #[arg(skip)]
    pub channel_capacity: Option<u32>,
}

section!(PipelineOptions { workers, cpus, channel_capacity } switches { enabled: enabled_yes, enabled_no });
