//! `[analysis.anomalies]`: what is detected, a file per detector.
//!
//! Owns the switch, the memory and the list of detectors. A detector's keys, defaults and ranges are in its own file.
#![allow(rustdoc::broken_intra_doc_links, reason = "help texts say [default], which is no link")]

mod arp_spoofing;
mod dhcp_flood;
mod microburst;
mod port_scan;
mod rogue_dhcp;
mod syn_flood;
mod volume_flood;

use self::arp_spoofing::ArpSpoofingOptions;
use self::dhcp_flood::DhcpFloodOptions;
use self::microburst::MicroburstOptions;
use self::port_scan::PortScanOptions;
use self::rogue_dhcp::RogueDhcpOptions;
use self::syn_flood::SynFloodOptions;
use self::volume_flood::VolumeFloodOptions;
use super::alerting::mutes;
use super::analysis_options::AnalysisOptions;
use super::error::ConfigError;
use super::resolve::{MIB, nanoseconds, size, within};
use super::settings::DetectSettings;
use crate::detect::{DetectionSettings, DetectorSettings, EvidenceHash};
use crate::flow::HostAddress;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Evidence of a day is no evidence of a moment.
const WINDOW_SECS_MAX: f64 = 86_400.0;
/// A window of five bins of 10 ms.
const WINDOW_SECS_MIN: f64 = 0.05;
const TABLE_MB_MAX: u32 = 1024;
const THRESHOLD_MAX: u64 = 1_000_000_000;

/// The name of a detector's key.
macro_rules! key {
    ($detector:literal, $key:literal) => {
        concat!("analysis.anomalies.", $detector, ".", $key)
    };
}
use key;

/// `[analysis.anomalies]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct AnomalyOptions {
    #[arg(skip)]
    pub enabled: Option<bool>,
    /// Detect attacks and other trouble, and print alerts: SYN floods and port scans, and what the configuration file adds
    #[arg(id = "anomalies_yes", long = "anomalies", conflicts_with = "anomalies_no")]
    #[serde(skip)]
    pub enabled_yes: bool,
    /// Detect nothing [default]
    #[arg(id = "anomalies_no", long = "no-anomalies")]
    #[serde(skip)]
    pub enabled_no: bool,

    /// Memory of one table of evidence, in MiB.
    #[arg(skip)]
    pub table_mb: Option<u32>,

    /// SYN floods.
    #[arg(skip)]
    pub syn_flood: SynFloodOptions,
    /// Port scans.
    #[arg(skip)]
    pub port_scan: PortScanOptions,
    /// Floods by volume.
    #[arg(skip)]
    pub volume_flood: VolumeFloodOptions,
    /// Microbursts.
    #[arg(skip)]
    pub microburst: MicroburstOptions,
    /// Addresses of IPv4 that several stations claim.
    #[arg(skip)]
    pub arp_spoofing: ArpSpoofingOptions,
    /// Clients of DHCP that are none.
    #[arg(skip)]
    pub dhcp_flood: DhcpFloodOptions,
    /// Servers of DHCP that should not be there.
    #[arg(skip)]
    pub rogue_dhcp: RogueDhcpOptions,
}

impl AnomalyOptions {
    pub(super) fn settle(&mut self) {
        self.enabled = match (self.enabled_yes, self.enabled_no) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => self.enabled,
        };
    }

    pub(super) fn over(self, under: Self) -> Self {
        Self {
            enabled: self.enabled.or(under.enabled),
            enabled_yes: self.enabled_yes,
            enabled_no: self.enabled_no,
            table_mb: self.table_mb.or(under.table_mb),
            syn_flood: self.syn_flood.over(under.syn_flood),
            port_scan: self.port_scan.over(under.port_scan),
            volume_flood: self.volume_flood.over(under.volume_flood),
            microburst: self.microburst.over(under.microburst),
            arp_spoofing: self.arp_spoofing.over(under.arp_spoofing),
            dhcp_flood: self.dhcp_flood.over(under.dhcp_flood),
            rogue_dhcp: self.rogue_dhcp.over(under.rogue_dhcp),
        }
    }

    fn detectors(&self) -> Result<DetectorSettings, ConfigError> {
        Ok(DetectorSettings {
            syn_flood: self.syn_flood.settings()?,
            port_scan: self.port_scan.settings()?,
            volume_flood: self.volume_flood.settings()?,
            arp_spoofing: self.arp_spoofing.settings()?,
            dhcp_flood: self.dhcp_flood.settings()?,
            rogue_dhcp: self.rogue_dhcp.settings()?,
        })
    }
}

impl DetectSettings {
    /// As detectors take them, with a run's hash.
    pub fn with_hash(&self, hash: EvidenceHash) -> DetectionSettings {
        DetectionSettings { detectors: self.detectors.clone(), table_bytes: self.table_bytes, hash }
    }
}

/// `None` where nothing is detected. `interval_ns`: of statistics.
pub(super) fn detection(options: &AnalysisOptions, interval_ns: u64) -> Result<Option<DetectSettings>, ConfigError> {
    let settings = detect_settings(options, interval_ns)?;
    Ok(options.anomalies.enabled.unwrap_or(false).then_some(settings))
}

/// How it is or would be detected.
pub(super) fn detect_settings(options: &AnalysisOptions, interval_ns: u64) -> Result<DetectSettings, ConfigError> {
    let anomalies = &options.anomalies;
    let table_mb = within("analysis.anomalies.table_mb", anomalies.table_mb.unwrap_or(4), 1, TABLE_MB_MAX)?;
    let parse = |text: &String| {
        text.parse()
            .map_err(|error| ConfigError::Value { name: "analysis.local_networks", what: format!("has \"{text}\": {error}") })
    };
    let local_networks = options.local_networks.iter().flatten().map(parse).collect::<Result<Vec<_>, _>>()?;
    Ok(DetectSettings {
        detectors: anomalies.detectors()?,
        microburst: anomalies.microburst.settings(interval_ns, anomalies.enabled.unwrap_or(false))?,
        table_bytes: size(u64::from(table_mb) * MIB),
        local_networks,
        mutes: mutes(&options.alerts)?,
    })
}

/// Length of a window.
fn window(name: &'static str, said: Option<f64>, default: f64) -> Result<u64, ConfigError> {
    nanoseconds(name, within(name, said.unwrap_or(default), WINDOW_SECS_MIN, WINDOW_SECS_MAX)?)
}

/// A count from which on a rule holds.
fn threshold(name: &'static str, said: Option<u64>, default: u64) -> Result<u64, ConfigError> {
    within(name, said.unwrap_or(default), 1, THRESHOLD_MAX)
}

/// Addresses of IPv4.
fn addresses(name: &'static str, said: Option<&[String]>) -> Result<Vec<HostAddress>, ConfigError> {
    let parse = |text: &String| match text.parse::<Ipv4Addr>() {
        Ok(address) => Ok(HostAddress::v4(address.octets())),
        Err(_) => Err(ConfigError::Value { name, what: format!("has \"{text}\": give an address such as 192.0.2.1") }),
    };
    said.unwrap_or_default().iter().map(parse).collect()
}
