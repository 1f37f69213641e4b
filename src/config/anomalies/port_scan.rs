//! `[analysis.anomalies.port_scan]`, in the configuration file only.

use super::{key, threshold, window};
use crate::config::error::ConfigError;
use crate::config::options::section;
use crate::config::resolve::nanoseconds;
use crate::detect::PortScanSettings;
use serde::{Deserialize, Serialize};

/// What can be said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PortScanOptions {
    /// Detect them.
    pub enabled: Option<bool>,
    /// Length of the window in seconds.
    pub window_secs: Option<f64>,
    /// Failed ports of one host.
    pub unique_ports_threshold: Option<u64>,
    /// Failed hosts on one port.
    pub unique_hosts_threshold: Option<u64>,
    /// Time without a scan after which the alert is over, in seconds.
    pub cooldown_secs: Option<f64>,
}

section!(PortScanOptions { enabled, window_secs, unique_ports_threshold, unique_hosts_threshold, cooldown_secs });

impl PortScanOptions {
    /// On unless it is turned off.
    pub(super) fn settings(&self) -> Result<Option<PortScanSettings>, ConfigError> {
        let &Self { enabled, window_secs, unique_ports_threshold, unique_hosts_threshold, cooldown_secs } = self;
        let settings = PortScanSettings {
            window_ns: window(key!("port_scan", "window_secs"), window_secs, 10.0)?,
            unique_ports_threshold: threshold(key!("port_scan", "unique_ports_threshold"), unique_ports_threshold, 25)?,
            unique_hosts_threshold: threshold(key!("port_scan", "unique_hosts_threshold"), unique_hosts_threshold, 10)?,
            cooldown_ns: nanoseconds(key!("port_scan", "cooldown_secs"), cooldown_secs.unwrap_or(30.0))?,
        };
        Ok(enabled.unwrap_or(true).then_some(settings))
    }
}
