//! An alert: a plain value that says what was found, of whom, and by what evidence.
//!
//! Owns no rule and no format.

use super::{Cardinality, SamplePacket};
use crate::flow::HostAddress;
use netscope_backends::Timestamp;
use std::fmt;

/// Where an alert stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertPhase {
    /// The rule holds for the first time.
    Begin,
    /// It goes on, and has grown tenfold.
    Update,
    /// It is over.
    End(AlertEnd),
}

/// Why an alert is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertEnd {
    /// The rule did not hold for the cooldown.
    Quiet,
    /// The run is over.
    Exit,
}

impl AlertPhase {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Update => "update",
            Self::End(_) => "end",
        }
    }
}

impl AlertPhase {
    /// What follows the name of the trouble in a description: nothing, ` goes on` or ` ended`.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Begin => "",
            Self::Update => " goes on",
            Self::End(_) => " ended",
        }
    }
}

impl AlertEnd {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Exit => "exit",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertSeverity {
    /// Somebody should know.
    Low,
    /// Somebody should look.
    Medium,
    /// A service suffers, or an attack goes on.
    High,
}

impl AlertSeverity {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// A host, a service or a network that an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertSubject {
    /// The host, or the network's first address.
    pub host: HostAddress,
    /// Set for a network: how many bits of the address count.
    pub prefix_len: Option<u8>,
    /// Set for a service.
    pub port: Option<u16>,
}

impl AlertSubject {
    /// A host.
    pub const fn host(host: HostAddress) -> Self {
        Self { host, prefix_len: None, port: None }
    }
}

impl fmt::Display for AlertSubject {
    /// `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`, `192.0.2.0/24`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.prefix_len, self.port) {
            (Some(len), _) => write!(f, "{}/{len}", self.host),
            (None, Some(port)) if self.host.is_v4() => write!(f, "{}:{port}", self.host),
            (None, Some(port)) => write!(f, "[{}]:{port}", self.host),
            (None, None) => self.host.fmt(f),
        }
    }
}

/// A threshold, and what was beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossedThreshold {
    /// Its key in the configuration.
    pub name: &'static str,
    /// The least value that crosses it.
    pub limit: u64,
    /// The value in the window, when the rule held last.
    pub value: u64,
}

/// What a detector tells. Counts are of the alert's whole life, from the start of the window in which it began.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// When: of a begin or an update the latest observation, of an end when it was over.
    pub time: Timestamp,
    /// The detector's name.
    pub kind: &'static str,
    /// For a person, without what changes with the format.
    pub description: String,
    /// Where in its life.
    pub phase: AlertPhase,
    /// How bad it is.
    pub severity: AlertSeverity,
    /// The same in each phase of one alert, and in each alert about the same.
    pub key: String,
    /// What sort of its kind.
    pub variant: &'static str,
    /// By which packets.
    pub technique: Option<&'static str>,
    /// Time of the first observation.
    pub began: Timestamp,
    /// Who does it, where that is one.
    pub attacker: Option<AlertSubject>,
    /// To whom, where that is one.
    pub victim: Option<AlertSubject>,
    /// From inside or outside, to inside or outside; `None` where an end is not known.
    pub direction: Option<&'static str>,
    /// Named counts.
    pub counts: Vec<(&'static str, u64)>,
    /// Named numbers of different things.
    pub distinct: Vec<(&'static str, Cardinality)>,
    /// Completed handshakes, or answered contacts, of all; `None` where that is not what counts.
    pub completion_ratio: Option<f64>,
    /// The sources with the most packets among those listed, with their packets.
    pub top_sources: Vec<(HostAddress, u64)>,
    /// Ports with the most hosts, or none.
    pub ports: Vec<u16>,
    /// Named facts that are no numbers, such as a hardware address.
    pub details: Vec<(&'static str, String)>,
    /// Example packets and their flows.
    pub samples: Vec<SamplePacket>,
    /// What was crossed.
    pub thresholds: Vec<CrossedThreshold>,
    /// Some observations found no room: numbers are what was seen at least.
    pub is_at_least: bool,
    /// Length of the window in ns.
    pub window_ns: u64,
    /// Time without evidence that ends it, in ns.
    pub cooldown_ns: u64,
    /// The file in which the flight recorder puts the packets that concern it. No detector knows it.
    pub recording: Option<String>,
}

impl Alert {
    /// An alert that says nothing but its kind, variant and phase; for what a detector has nothing to say of.
    pub const fn bare(kind: &'static str, variant: &'static str, phase: AlertPhase) -> Self {
        Self {
            time: Timestamp(0),
            kind,
            description: String::new(),
            phase,
            severity: AlertSeverity::Low,
            key: String::new(),
            variant,
            technique: None,
            began: Timestamp(0),
            attacker: None,
            victim: None,
            direction: None,
            counts: Vec::new(),
            distinct: Vec::new(),
            completion_ratio: None,
            top_sources: Vec::new(),
            ports: Vec::new(),
            details: Vec::new(),
            samples: Vec::new(),
            thresholds: Vec::new(),
            is_at_least: false,
            window_ns: 0,
            cooldown_ns: 0,
            recording: None,
        }
    }
}
