//! `[analysis.anomalies.arp_spoofing]`, in the configuration file only.

use super::{addresses, key, threshold, window};
use crate::config::error::ConfigError;
use crate::config::options::section;
use crate::config::resolve::nanoseconds;
use crate::detect::ArpSpoofingSettings;
use serde::{Deserialize, Serialize};

/// What can be said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArpSpoofingOptions {
    /// Detect them.
    pub enabled: Option<bool>,
    /// Length of the window in seconds.
    pub window_secs: Option<f64>,
    /// Replies to one host that did not ask.
    pub unsolicited_threshold: Option<u64>,
    /// Changes of an address between stations.
    pub changes_threshold: Option<u64>,
    /// Addresses of gateways; the interface's own is added.
    pub gateways: Option<Vec<String>>,
    /// Time without the rule after which the alert is over, in seconds.
    pub cooldown_secs: Option<f64>,
}

section!(ArpSpoofingOptions { enabled, window_secs, unsolicited_threshold, changes_threshold, gateways, cooldown_secs });

impl ArpSpoofingOptions {
    /// On unless it is turned off.
    pub(super) fn settings(&self) -> Result<Option<ArpSpoofingSettings>, ConfigError> {
        let settings = ArpSpoofingSettings {
            window_ns: window(key!("arp_spoofing", "window_secs"), self.window_secs, 300.0)?,
            unsolicited_threshold: threshold(key!("arp_spoofing", "unsolicited_threshold"), self.unsolicited_threshold, 5)?,
            changes_threshold: threshold(key!("arp_spoofing", "changes_threshold"), self.changes_threshold, 3)?,
            gateways: addresses(key!("arp_spoofing", "gateways"), self.gateways.as_deref())?,
            cooldown_ns: nanoseconds(key!("arp_spoofing", "cooldown_secs"), self.cooldown_secs.unwrap_or(300.0))?,
        };
        Ok(self.enabled.unwrap_or(true).then_some(settings))
    }
}
