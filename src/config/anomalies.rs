//! `[analysis.anomalies]`: what is detected, a file per detector.
//!
//! Owns the switch, the memory and the list of detectors. A detector's keys, defaults and ranges are in its own file.
#![allow(rustdoc::broken_intra_doc_links, reason = "help texts say [default], which is no link")]

mod arp_spoofing;
mod beacon;
mod brute_force;
mod cleartext_password;
mod data_out;
mod dhcp_flood;
mod dns_tunnel;
mod long_connection;
mod microburst;
mod nxdomain_storm;
mod port_mismatch;
mod port_scan;
mod rogue_dhcp;
mod syn_flood;
mod tls_certificate;
mod volume_flood;

use self::arp_spoofing::ArpSpoofingOptions;
use self::beacon::BeaconOptions;
use self::brute_force::BruteForceOptions;
use self::cleartext_password::CleartextPasswordOptions;
use self::data_out::DataOutOptions;
use self::dhcp_flood::DhcpFloodOptions;
use self::dns_tunnel::DnsTunnelOptions;
use self::long_connection::LongConnectionOptions;
use self::microburst::MicroburstOptions;
use self::nxdomain_storm::NxdomainStormOptions;
use self::port_mismatch::PortMismatchOptions;
use self::port_scan::PortScanOptions;
use self::rogue_dhcp::RogueDhcpOptions;
use self::syn_flood::SynFloodOptions;
use self::tls_certificate::TlsCertificateOptions;
use self::volume_flood::VolumeFloodOptions;
use super::alerting::mutes;
use super::analysis_options::AnalysisOptions;
use super::error::ConfigError;
use super::resolve::{MIB, combination, nanoseconds, size, within};
use super::settings::DetectSettings;
use crate::detect::{DetectionSettings, DetectorSettings, EvidenceHash, IpPrefix, LocalNetworks};
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

/// Whether detectors that need facts can have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PayloadUse {
    /// Payload is inspected.
    Inspected,
    /// It is not, and something is detected.
    Missing,
    /// Nothing is detected.
    NotAsked,
}

impl PayloadUse {
    fn of(options: &AnalysisOptions) -> Self {
        match (options.inspects(), options.anomalies.enabled.unwrap_or(false)) {
            (true, _) => Self::Inspected,
            (false, true) => Self::Missing,
            (false, false) => Self::NotAsked,
        }
    }

    /// Whether a detector that needs facts is on: unless it is turned off, where payload is inspected. `key`: that turns it on.
    fn turns_on(self, key: &'static str, said: Option<bool>) -> Result<bool, ConfigError> {
        match (self, said) {
            (Self::Missing, Some(true)) => Err(combination(format!(
                "{key} = true looks for what payload says, and no payload is looked at: leave out --no-dpi (analysis.dpi = false)"
            ))),
            (Self::Inspected, said) => Ok(said.unwrap_or(true)),
            (Self::Missing | Self::NotAsked, _) => Ok(false),
        }
    }
}

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
    /// Detect attacks and other trouble, and print alerts: SYN floods, port scans, brute force of logins, and what the configuration file adds
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
    /// Brute force of logins.
    #[arg(skip)]
    pub brute_force: BruteForceOptions,
    /// Beacons.
    #[arg(skip)]
    pub beacon: BeaconOptions,
    /// Long connections.
    #[arg(skip)]
    pub long_connection: LongConnectionOptions,
    /// Data sent out.
    #[arg(skip)]
    pub data_out: DataOutOptions,
    /// DNS tunnels.
    #[arg(skip)]
    pub dns_tunnel: DnsTunnelOptions,
    /// Storms of NXDOMAIN.
    #[arg(skip)]
    pub nxdomain_storm: NxdomainStormOptions,
    /// Certificates of TLS servers that do not count.
    #[arg(skip)]
    pub tls_certificate: TlsCertificateOptions,
    /// Passwords in the clear.
    #[arg(skip)]
    pub cleartext_password: CleartextPasswordOptions,
    /// Protocols on ports of others.
    #[arg(skip)]
    pub port_mismatch: PortMismatchOptions,
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
            brute_force: self.brute_force.over(under.brute_force),
            beacon: self.beacon.over(under.beacon),
            long_connection: self.long_connection.over(under.long_connection),
            data_out: self.data_out.over(under.data_out),
            dns_tunnel: self.dns_tunnel.over(under.dns_tunnel),
            nxdomain_storm: self.nxdomain_storm.over(under.nxdomain_storm),
            tls_certificate: self.tls_certificate.over(under.tls_certificate),
            cleartext_password: self.cleartext_password.over(under.cleartext_password),
            port_mismatch: self.port_mismatch.over(under.port_mismatch),
        }
    }

    fn detectors(&self, payload: PayloadUse) -> Result<DetectorSettings, ConfigError> {
        Ok(DetectorSettings {
            syn_flood: self.syn_flood.settings()?,
            port_scan: self.port_scan.settings()?,
            volume_flood: self.volume_flood.settings()?,
            arp_spoofing: self.arp_spoofing.settings()?,
            dhcp_flood: self.dhcp_flood.settings()?,
            rogue_dhcp: self.rogue_dhcp.settings()?,
            brute_force: self.brute_force.settings()?,
            beacon: self.beacon.settings()?,
            long_connection: self.long_connection.settings()?,
            data_out: self.data_out.settings()?,
            dns_tunnel: self.dns_tunnel.settings(payload)?,
            nxdomain_storm: self.nxdomain_storm.settings(payload)?,
            tls_certificate: self.tls_certificate.settings(payload)?,
            cleartext_password: self.cleartext_password.settings(payload)?,
            port_mismatch: self.port_mismatch.settings(payload)?,
        })
    }
}

impl DetectSettings {
    /// As detectors take them, with a run's hash.
    pub fn with_hash(&self, local: LocalNetworks, hash: EvidenceHash) -> DetectionSettings {
        DetectionSettings { detectors: self.detectors.clone(), table_bytes: self.table_bytes, local, hash }
    }
}

/// `None` where nothing is detected. `interval_ns`: of statistics.
pub(super) fn detection(
    options: &AnalysisOptions,
    interval_ns: u64,
    active_timeout_ns: u64,
) -> Result<Option<DetectSettings>, ConfigError> {
    let settings = detect_settings(options, interval_ns)?;
    let settings = options.anomalies.enabled.unwrap_or(false).then_some(settings);
    refuse_short_records(settings.as_ref(), active_timeout_ns)?;
    Ok(settings)
}

/// How it is or would be detected.
pub(super) fn detect_settings(options: &AnalysisOptions, interval_ns: u64) -> Result<DetectSettings, ConfigError> {
    let anomalies = &options.anomalies;
    let table_mb = within("analysis.anomalies.table_mb", anomalies.table_mb.unwrap_or(4), 1, TABLE_MB_MAX)?;
    Ok(DetectSettings {
        detectors: anomalies.detectors(PayloadUse::of(options))?,
        microburst: anomalies.microburst.settings(interval_ns, anomalies.enabled.unwrap_or(false))?,
        table_bytes: size(u64::from(table_mb) * MIB),
        local_networks: local_networks(options)?,
        mutes: mutes(&options.alerts)?,
    })
}

/// Length of a window.
fn window(name: &'static str, said: Option<f64>, default: f64) -> Result<u64, ConfigError> {
    nanoseconds(name, within(name, said.unwrap_or(default), WINDOW_SECS_MIN, WINDOW_SECS_MAX)?)
}

/// The networks that are inside.
pub(super) fn local_networks(options: &AnalysisOptions) -> Result<Vec<IpPrefix>, ConfigError> {
    networks("analysis.local_networks", options.local_networks.as_ref())
}

/// A list of networks; none where nothing is said.
pub(super) fn networks(name: &'static str, said: Option<&Vec<String>>) -> Result<Vec<IpPrefix>, ConfigError> {
    let parse =
        |text: &String| text.parse().map_err(|error| ConfigError::Value { name, what: format!("has \"{text}\": {error}") });
    said.into_iter().flatten().map(parse).collect()
}

/// Records that end at an age below that of a long connection never get as old.
fn refuse_short_records(detection: Option<&DetectSettings>, active_timeout_ns: u64) -> Result<(), ConfigError> {
    let long = detection.and_then(|settings| settings.detectors.long_connection.as_ref());
    match long {
        Some(long) if active_timeout_ns > 0 && active_timeout_ns <= long.duration_ns_min => Err(combination(
            "--active-timeout-s (flow.active_timeout_secs) ends flows before they are as old as analysis.anomalies.long_connection.min_secs: give a \
             longer timeout, or 0"
                .to_owned(),
        )),
        _ => Ok(()),
    }
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
