//! Detection: from options to settings.
//!
//! Owns its defaults and ranges.

use super::analysis_options::{AnalysisOptions, AnomalyOptions, MicroburstOptions, PortScanOptions, SynFloodOptions};
use super::error::ConfigError;
use super::resolve::{MIB, combination, nanoseconds, size, within};
use super::settings::DetectSettings;
use crate::detect::{MicroburstSettings, PortScanSettings, SynFloodSettings};

/// Evidence of a day is no evidence of a moment.
const WINDOW_SECS_MAX: f64 = 86_400.0;
/// A window of five bins of 10 ms.
const WINDOW_SECS_MIN: f64 = 0.05;
const TABLE_MB_MAX: u32 = 1024;
const THRESHOLD_MAX: u64 = 1_000_000_000;

/// 100 Tbit/s.
const LINK_MBPS_MAX: u64 = 100_000_000;
const BIN_US_MIN: u64 = 100;
const BIN_US_MAX: u64 = 1_000_000;

/// `None` where nothing is detected. `interval_ns`: of statistics.
pub(super) fn detection(options: &AnalysisOptions, interval_ns: u64) -> Result<Option<DetectSettings>, ConfigError> {
    let AnomalyOptions { enabled, table_mb, syn_flood, port_scan, microburst, .. } = &options.anomalies;
    let detects = enabled.unwrap_or(false);
    let table_mb = within("analysis.anomalies.table_mb", table_mb.unwrap_or(4), 1, TABLE_MB_MAX)?;
    let parse = |text: &String| {
        text.parse()
            .map_err(|error| ConfigError::Value { name: "analysis.local_networks", what: format!("has \"{text}\": {error}") })
    };
    let local_networks = options.local_networks.iter().flatten().map(parse).collect::<Result<Vec<_>, _>>()?;
    let settings = DetectSettings {
        syn_flood: syn_flood_settings(syn_flood)?,
        port_scan: port_scan_settings(port_scan)?,
        microburst: microburst_settings(microburst, interval_ns, detects)?,
        table_bytes: size(u64::from(table_mb) * MIB),
        local_networks,
    };
    Ok(detects.then_some(settings))
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

/// `detects`: anything is.
fn microburst_settings(
    options: &MicroburstOptions,
    interval_ns: u64,
    detects: bool,
) -> Result<Option<MicroburstSettings>, ConfigError> {
    let MicroburstOptions { enabled, bin_us, link_mbps, threshold_percent, cooldown_secs } = options;
    let bin_us = within("analysis.anomalies.microburst.bin_us", bin_us.unwrap_or(1000), BIN_US_MIN, BIN_US_MAX)?;
    let link_mbps = within("analysis.anomalies.microburst.link_mbps", link_mbps.unwrap_or(0), 0, LINK_MBPS_MAX)?;
    let settings = MicroburstSettings {
        bin_ns: bin_us * 1000,
        link_bps: (link_mbps > 0).then_some(link_mbps * 1_000_000),
        threshold_percent: within("analysis.anomalies.microburst.threshold_percent", threshold_percent.unwrap_or(80), 1, 100)?,
        cooldown_ns: nanoseconds("analysis.anomalies.microburst.cooldown_secs", cooldown_secs.unwrap_or(10.0))?,
    };
    if !detects || !enabled.unwrap_or(false) {
        return Ok(None);
    }
    let (interval_ms, most) = (interval_ns / 1_000_000, MicroburstSettings::BIN_COUNT_MAX);
    if !interval_ns.is_multiple_of(settings.bin_ns) || interval_ns / settings.bin_ns > most {
        return Err(combination(format!(
            "analysis.anomalies.microburst.bin_us {bin_us} and --stats-interval-ms {interval_ms} (stats.interval_ms) do not fit: an interval \
             has a whole number of bins, {most} at most"
        )));
    }
    Ok(Some(settings))
}
