//! Detection: from options to settings.
//!
//! Owns its defaults and ranges.

use super::alerting::mutes;
use super::analysis_options::{AnalysisOptions, AnomalyOptions, PortScanOptions, SynFloodOptions};
use super::error::ConfigError;
use super::resolve::{MIB, nanoseconds, size, within};
use super::settings::DetectSettings;
use crate::detect::{PortScanSettings, SynFloodSettings};

/// Evidence of a day is no evidence of a moment.
const WINDOW_SECS_MAX: f64 = 86_400.0;
/// A window of five bins of 10 ms.
const WINDOW_SECS_MIN: f64 = 0.05;
const TABLE_MB_MAX: u32 = 1024;
const THRESHOLD_MAX: u64 = 1_000_000_000;

/// `None` where nothing is detected.
pub(super) fn detection(options: &AnalysisOptions) -> Result<Option<DetectSettings>, ConfigError> {
    Ok(Some(detect_settings(options)?).filter(|_| options.anomalies.enabled.unwrap_or(false)))
}

/// How it is or would be detected.
pub(super) fn detect_settings(options: &AnalysisOptions) -> Result<DetectSettings, ConfigError> {
    let AnomalyOptions { table_mb, syn_flood, port_scan, .. } = &options.anomalies;
    let table_mb = within("analysis.anomalies.table_mb", table_mb.unwrap_or(4), 1, TABLE_MB_MAX)?;
    let parse = |text: &String| {
        text.parse()
            .map_err(|error| ConfigError::Value { name: "analysis.local_networks", what: format!("has \"{text}\": {error}") })
    };
    let local_networks = options.local_networks.iter().flatten().map(parse).collect::<Result<Vec<_>, _>>()?;
    Ok(DetectSettings {
        syn_flood: syn_flood_settings(syn_flood)?,
        port_scan: port_scan_settings(port_scan)?,
        table_bytes: size(u64::from(table_mb) * MIB),
        local_networks,
        mutes: mutes(&options.alerts)?,
    })
}

fn window(name: &'static str, seconds: f64) -> Result<u64, ConfigError> {
    nanoseconds(name, within(name, seconds, WINDOW_SECS_MIN, WINDOW_SECS_MAX)?)
}

fn syn_flood_settings(options: &SynFloodOptions) -> Result<Option<SynFloodSettings>, ConfigError> {
    let SynFloodOptions { enabled, window_secs, syn_threshold, unique_src_threshold, cooldown_secs } = options;
    let settings = SynFloodSettings {
        window_ns: window("analysis.anomalies.syn_flood.window_secs", window_secs.unwrap_or(5.0))?,
        syn_threshold: within("analysis.anomalies.syn_flood.syn_threshold", syn_threshold.unwrap_or(200), 1, THRESHOLD_MAX)?,
        unique_src_threshold: within(
            "analysis.anomalies.syn_flood.unique_src_threshold",
            unique_src_threshold.unwrap_or(50),
            1,
            THRESHOLD_MAX,
        )?,
        cooldown_ns: nanoseconds("analysis.anomalies.syn_flood.cooldown_secs", cooldown_secs.unwrap_or(10.0))?,
    };
    Ok(enabled.unwrap_or(true).then_some(settings))
}

fn port_scan_settings(options: &PortScanOptions) -> Result<Option<PortScanSettings>, ConfigError> {
    let PortScanOptions { enabled, window_secs, unique_ports_threshold, unique_hosts_threshold, cooldown_secs } = options;
    let settings = PortScanSettings {
        window_ns: window("analysis.anomalies.port_scan.window_secs", window_secs.unwrap_or(10.0))?,
        unique_ports_threshold: within(
            "analysis.anomalies.port_scan.unique_ports_threshold",
            unique_ports_threshold.unwrap_or(25),
            1,
            THRESHOLD_MAX,
        )?,
        unique_hosts_threshold: within(
            "analysis.anomalies.port_scan.unique_hosts_threshold",
            unique_hosts_threshold.unwrap_or(10),
            1,
            THRESHOLD_MAX,
        )?,
        cooldown_ns: nanoseconds("analysis.anomalies.port_scan.cooldown_secs", cooldown_secs.unwrap_or(30.0))?,
    };
    Ok(enabled.unwrap_or(true).then_some(settings))
}
