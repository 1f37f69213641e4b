//! Settings that are one of several words, on the command line and in the configuration file.
//!
//! Owns the words and what each means to a reader. Knows no setting that it belongs to. Its invariant: each has a
//! default, which is what nobody has to say.

use crate::flow::KeyScope;
use crate::output::AlertFormat;
use crate::record::ZeekFormat;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// How packets are captured.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BackendChoice {
    /// tpacket where that is possible, else libpcap
    #[default]
    Auto,
    /// libpcap, everywhere
    Libpcap,
    /// The memory-mapped rings of Linux packet sockets (TPACKET_V3), one per worker
    Tpacket,
    /// AF_XDP (Linux): from the driver, one queue per worker; takes the packets away from this host
    Xdp,
}

/// How AF_XDP hands packets over.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum XdpModeChoice {
    /// The fastest that the driver takes
    #[default]
    Auto,
    /// The driver writes into our memory
    Zerocopy,
    /// The driver runs the program, packets are copied
    Native,
    /// The kernel's stack runs the program, with any driver
    Generic,
}

/// Where a packet's time comes from under AF_XDP.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum XdpTimes {
    /// The clock is read once per batch
    #[default]
    Batch,
    /// Each packet has a time of its own: the card's where its driver tells it, else the XDP program reads the clock
    Packet,
}

/// What becomes of packets that do not match the filter under AF_XDP.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum XdpUnmatched {
    /// They go to this host's stack
    #[default]
    Pass,
    /// They are dropped
    Drop,
}

/// What is done about the card's spreading of packets over queues.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RssChoice {
    /// Nothing
    #[default]
    Unchanged,
    /// A hash key by which both directions of a flow come to one queue, until the end of the run
    Symmetric,
}

/// How the kernel distributes packets to several rings.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FanoutChoice {
    /// By the outermost addresses and ports: both directions of a flow come to one worker, those inside a UDP tunnel perhaps to two and
    /// are joined at the end
    #[default]
    Hash,
    /// By the CPU that received the packet
    Cpu,
    /// By the card's receive queue
    Queue,
}

/// What stands for the time of a packet.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum TimeChoice {
    /// Local on a terminal, UTC otherwise
    #[default]
    Auto,
    /// Time of day, UTC, and a line with each date
    Utc,
    /// The same in the zone of this machine, or the one that TZ names
    Local,
    /// Seconds since 1970, UTC
    Epoch,
    /// Seconds since the packet before
    Delta,
}

/// How lines of Zeek's logs look.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ZeekChoice {
    /// Tab-separated values with a header, as zeek-cut reads them
    #[default]
    Tsv,
    /// A JSON object per line
    Json,
}

impl From<ZeekChoice> for ZeekFormat {
    fn from(choice: ZeekChoice) -> Self {
        match choice {
            ZeekChoice::Tsv => Self::Tsv,
            ZeekChoice::Json => Self::Json,
        }
    }
}

/// How files of a directory are compressed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum CompressionChoice {
    /// Not at all
    #[default]
    None,
    /// gzip: .log.gz
    Gz,
    /// Zstandard: .log.zst
    Zst,
}

impl CompressionChoice {
    /// What stands behind a file's name.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gz => ".gz",
            Self::Zst => ".zst",
        }
    }
}

/// Whether packet lines have colours.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set; anywhere if CLICOLOR_FORCE is
    #[default]
    Auto,
    /// In any case
    Always,
    /// Never
    Never,
}

/// What tells two flows with the same protocol, addresses and ports apart.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum KeyChoice {
    /// Nothing
    #[default]
    Tuple,
    /// Their VLAN tags
    Vlan,
    /// Their VLAN tags and their innermost tunnel, by its protocol and number
    #[serde(rename = "vlan+tunnel")]
    #[value(name = "vlan+tunnel")]
    VlanTunnel,
}

impl From<KeyChoice> for KeyScope {
    fn from(choice: KeyChoice) -> Self {
        match choice {
            KeyChoice::Tuple => Self::Tuple,
            KeyChoice::Vlan => Self::Vlan,
            KeyChoice::VlanTunnel => Self::VlanTunnel,
        }
    }
}

/// What the holder of a token may do.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleChoice {
    /// See everything but packets' bytes as a file
    #[default]
    Look,
    /// The same, and download packets
    Download,
}

/// What names an alert's fields have.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertFormatChoice {
    /// None: a line for people
    Text,
    /// Ours, as in --alerts-jsonl
    #[default]
    Json,
    /// Those of the Common Event Format
    Cef,
    /// Those of the Elastic Common Schema
    Ecs,
}

impl From<AlertFormatChoice> for AlertFormat {
    fn from(choice: AlertFormatChoice) -> Self {
        match choice {
            AlertFormatChoice::Text => Self::Text,
            AlertFormatChoice::Json => Self::Json,
            AlertFormatChoice::Cef => Self::Cef,
            AlertFormatChoice::Ecs => Self::Ecs,
        }
    }
}
