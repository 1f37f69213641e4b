//! `[analysis.anomalies.microburst]`, in the configuration file only.

use super::key;
use crate::config::error::ConfigError;
use crate::config::options::section;
use crate::config::resolve::{combination, nanoseconds, within};
use crate::detect::MicroburstSettings;
use serde::{Deserialize, Serialize};

/// 100 Tbit/s.
const LINK_MBPS_MAX: u64 = 100_000_000;
const BIN_US_MIN: u64 = 100;
const BIN_US_MAX: u64 = 1_000_000;

/// What can be said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MicroburstOptions {
    /// Measure and detect them.
    pub enabled: Option<bool>,
    /// Length of a bin in microseconds.
    pub bin_us: Option<u64>,
    /// Speed of the link in Mbit/s, 0 = as the interface says.
    pub link_mbps: Option<u64>,
    /// Percent of that above which a bin is a burst.
    pub threshold_percent: Option<u64>,
    /// Time without a burst after which the alert is over, in seconds.
    pub cooldown_secs: Option<f64>,
}

section!(MicroburstOptions { enabled, bin_us, link_mbps, threshold_percent, cooldown_secs });

impl MicroburstOptions {
    /// Off unless it is turned on. `interval_ns`: of statistics; `detects`: anything is.
    pub(super) fn settings(&self, interval_ns: u64, detects: bool) -> Result<Option<MicroburstSettings>, ConfigError> {
        let &Self { enabled, bin_us, link_mbps, threshold_percent, cooldown_secs } = self;
        let bin_us = within(key!("microburst", "bin_us"), bin_us.unwrap_or(1000), BIN_US_MIN, BIN_US_MAX)?;
        let link_mbps = within(key!("microburst", "link_mbps"), link_mbps.unwrap_or(0), 0, LINK_MBPS_MAX)?;
        let settings = MicroburstSettings {
            bin_ns: bin_us * 1000,
            link_bps: (link_mbps > 0).then_some(link_mbps * 1_000_000),
            threshold_percent: within(key!("microburst", "threshold_percent"), threshold_percent.unwrap_or(80), 1, 100)?,
            cooldown_ns: nanoseconds(key!("microburst", "cooldown_secs"), cooldown_secs.unwrap_or(10.0))?,
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
}
