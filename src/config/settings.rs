//! What we will do: checked values in the units of their consumers, one struct per consumer.

use super::Reloader;
use super::choices::{BackendChoice, ColorWhen, FanoutChoice, RssChoice, TimeChoice, XdpModeChoice, XdpTimes, XdpUnmatched};
use crate::aggregate::MuteRule;
use crate::dashboard::ServerSettings;
use crate::detect::{DetectorSettings, IpPrefix, MicroburstSettings};
use crate::flight::FlightSettings;
use crate::flow::FlowSettings;
use crate::output::{ExportSettings, HookSettings, SyslogSettings, WebhookSettings, ZeekFiles};
use crate::query::FlowFilter;
use crate::record::{ZeekFormat, ZeekLog};
use crate::wire::DepthLimits;
use netscope_backends::writing::RotationOptions;
use netscope_backends::{CaptureLimits, ReplaySpeed};
use std::path::PathBuf;
use std::time::Duration;

/// Everything a run needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where packets come from.
    pub source: SourceSettings,
    /// What reads the configuration file again, where there is one.
    pub reloader: Option<Reloader>,
    /// BPF expression.
    pub filter: Option<String>,
    /// List of addresses.
    pub filter_file: Option<PathBuf>,
    /// How deep headers are followed.
    pub depth: DepthLimits,
    /// Packets to process, 0 = all.
    pub count_max: u64,
    /// When else to stop.
    pub limits: CaptureLimits,
    /// Who to go on as once everything is open.
    pub user: Option<String>,
    /// Flow table; `flow_count_max` is global, 0 = unlimited; `top_count` is 0 unless statistics are shown.
    pub flow: FlowSettings,
    /// Ticks.
    pub stats: StatsSettings,
    /// Networks that are inside; empty = private ranges and the interface's own.
    pub local_networks: Vec<IpPrefix>,
    /// What is detected; `None` = nothing.
    pub detection: Option<DetectSettings>,
    /// The flight recorder; `None` = there is none. Where packets come from is not known yet.
    pub recorder: Option<FlightSettings>,
    /// Every key with its value, for the page; secrets are left out.
    pub in_force: toml::Table,
    /// The page; `None` = there is none.
    pub web: Option<WebSettings>,
    /// Files and tables.
    pub output: OutputSettings,
    /// How packets are shown; `None`: they are not.
    pub view: Option<PacketView>,
    /// What is captured is said at the start.
    pub announces: bool,
    /// Cores.
    pub pipeline: PipelineSettings,
    /// How much is said on standard error.
    pub verbosity: Verbosity,
}

/// Where packets come from.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceSettings {
    /// A capture file.
    File(FileSettings),
    /// An interface.
    Live(LiveSettings),
}

/// How to read a capture file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSettings {
    /// The files and directories, at least one; `-` is standard input.
    pub paths: Vec<PathBuf>,
    /// Several files are merged by time.
    pub merge: bool,
    /// At the pace of their packets; `None` = as fast as possible.
    pub replay_speed: Option<ReplaySpeed>,
    /// Bytes used of each packet at most; `None` = all that are in the file.
    pub snaplen: Option<u32>,
    /// Longest wait for a pipe.
    pub timeout: Duration,
}

/// How to capture on interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSettings {
    /// Their names, each once; without any the system's default.
    pub interfaces: Vec<String>,
    /// What captures.
    pub backend: BackendChoice,
    /// Also packets for other stations.
    pub promiscuous: bool,
    /// Bytes kept of each packet.
    pub snaplen: u32,
    /// Longest wait for packets.
    pub timeout: Duration,
    /// Kernel buffer in bytes.
    pub buffer_bytes: u64,
    /// Each packet as it arrives.
    pub immediate_mode: bool,
    /// What is done about the card's spreading over queues.
    pub rss: RssChoice,
    /// For tpacket.
    pub tpacket: TpacketSettings,
    /// For AF_XDP.
    pub xdp: XdpSettings,
}

/// Packets from the driver, past the host's stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpSettings {
    /// How packets are handed over.
    pub mode: XdpModeChoice,
    /// Receive queues to take; `None` = all.
    pub queues: Option<Vec<u32>>,
    /// Bytes of a frame.
    pub frame_bytes: u32,
    /// Frames of each queue.
    pub frame_count: u32,
    /// Places of each queue's receive ring; `None` = as many as frames.
    pub rx_ring: Option<u32>,
    /// Microseconds of busy polling; `None` = interrupts and naps.
    pub busy_poll_us: Option<u32>,
    /// Where times come from.
    pub times: XdpTimes,
    /// What becomes of packets that do not match the filter.
    pub unmatched: XdpUnmatched,
    /// Also on an interface that the host uses.
    pub insist: bool,
}

/// The memory-mapped rings of Linux packet sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TpacketSettings {
    /// Bytes of a block.
    pub block_bytes: u32,
    /// Blocks of all rings together.
    pub block_count: u32,
    /// Milliseconds after which a block that is not full is handed over.
    pub retire_ms: u32,
    /// How packets are dealt.
    pub fanout: FanoutChoice,
    /// Fragments are put together first.
    pub defrag: bool,
}

/// Ticks and their line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsSettings {
    /// A line per tick.
    pub enabled: bool,
    /// Length of a tick in ns.
    pub interval_ns: u64,
    /// Top flows per tick.
    pub top_count: usize,
    /// Silence of an interface that is told; `None` = none is.
    pub silence: Option<Duration>,
}

/// What is detected, and with how much memory.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectSettings {
    /// The detectors.
    pub detectors: DetectorSettings,
    /// Microbursts; `None` = off.
    pub microburst: Option<MicroburstSettings>,
    /// Bytes of one table of evidence.
    pub table_bytes: usize,
    /// Networks that are inside; empty = private ranges and the interface's own.
    pub local_networks: Vec<IpPrefix>,
    /// Alerts that nobody is told of.
    pub mutes: Vec<MuteRule>,
}

/// The page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSettings {
    /// Address, TLS, auth.
    pub server: ServerSettings,
    /// Time between two frames: the length of a tick.
    pub tick: Duration,
    /// Flows of each frame, those with the most bytes in the tick.
    pub top_n: usize,
    /// Packets kept for clients.
    pub packet_buffer: usize,
    /// One packet of so many is kept; `None` = none is.
    pub sample_rate: Option<u32>,
    /// Packets kept per second at most.
    pub sample_per_second: u32,
    /// Bytes kept of each.
    pub payload_bytes: usize,
    /// After the end of a capture file, the page stays until a signal comes.
    pub stay: bool,
}

/// Receivers of alerts, each on or off.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiverSettings {
    /// Syslog.
    pub syslog: Option<SyslogSettings>,
    /// A webhook.
    pub webhook: Option<WebhookSettings>,
    /// A command.
    pub command: Option<HookSettings>,
}

/// Files and tables.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSettings {
    /// Every packet to a capture file.
    pub write_pcap: Option<RotationOptions>,
    /// The flow table at the end as JSON.
    pub export_json: Option<PathBuf>,
    /// The flow table at the end as CSV.
    pub export_csv: Option<PathBuf>,
    /// The flow table at the end as EVE.
    pub export_eve: Option<PathBuf>,
    /// The flow table at the end as logs of Zeek.
    pub export_zeek: Option<ZeekFiles>,
    /// Ended flows, the latest, that the flow table at the end holds besides the live ones.
    pub export_ended_max: usize,
    /// Flows as they end as JSON lines.
    pub expired_flows_jsonl: Option<RotationOptions>,
    /// Flows as they end as CSV.
    pub expired_flows_csv: Option<RotationOptions>,
    /// Flows as they end as EVE.
    pub expired_flows_eve: Option<RotationOptions>,
    /// Flows as they end as logs of Zeek.
    pub expired_flows_zeek: Vec<(RotationOptions, ZeekLog, ZeekFormat)>,
    /// The program that is run after each file that rotation closed.
    pub post_rotate: Option<PathBuf>,
    /// Alerts as JSON lines.
    pub alerts_jsonl: Option<PathBuf>,
    /// Who else is told of alerts.
    pub receivers: ReceiverSettings,
    /// The summary as JSON.
    pub summary_json: Option<PathBuf>,
    /// The history as JSON.
    pub history_json: Option<PathBuf>,
    /// Ticks as JSON lines.
    pub stats_jsonl: Option<PathBuf>,
    /// The summary as text.
    pub summary: bool,
    /// Rows of the table printed at the end, 0 = no table.
    pub flow_table_rows: usize,
    /// One of the files is standard output, so nothing else goes there.
    pub has_stdout: bool,
    /// Which flows these get, as they end and in tables; `None`: all.
    pub selected: Option<FlowFilter>,
    /// How records are exported.
    pub record: ExportSettings,
}

impl OutputSettings {
    /// Flows are written as they end.
    pub const fn has_every_flow(&self) -> bool {
        let files = self.expired_flows_jsonl.is_some() || self.expired_flows_csv.is_some();
        files || self.expired_flows_eve.is_some() || !self.expired_flows_zeek.is_empty()
    }

    /// True when something shows all flows at the end.
    pub const fn has_tables(&self) -> bool {
        let files = self.export_json.is_some() || self.export_csv.is_some() || self.export_eve.is_some();
        files || self.export_zeek.is_some() || self.flow_table_rows > 0
    }
}

/// How packets are shown: a line each, and what is asked for beyond that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketView {
    /// What stands for the time.
    pub time: TimeChoice,
    /// Whether lines have colours.
    pub color: ColorWhen,
    /// With link headers.
    pub link: bool,
    /// TCP numbers as sent.
    pub absolute_seq: bool,
    /// With what the payload says.
    pub payload: bool,
    /// With every layer.
    pub layers: bool,
    /// With what the packet's flow is.
    pub flow: bool,
    /// With the first bytes in hex.
    pub hex: bool,
}

/// Cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineSettings {
    /// Workers; 0 on an interface = one per receive queue.
    pub workers: usize,
    /// How many were asked for; 0 = as many as help. For a file there are no more than processors have use for.
    pub asked: usize,
    /// Processors that this process may use.
    pub processors: usize,
    /// One worker, because the pipeline was turned off and not because of a number.
    pub is_off: bool,
    /// CPUs to pin them to, in order; empty = not pinned.
    pub cpus: Vec<usize>,
    /// Chunks of 1 MiB between one reader and several workers.
    pub reader_chunks: usize,
}

/// How much is said on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// What is wrong.
    Warn,
    /// What is done.
    Info,
    /// How it is done.
    Debug,
    /// Everything.
    Trace,
}
