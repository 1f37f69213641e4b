//! `[analysis.anomalies.rogue_dhcp]`, in the configuration file only.

use super::{addresses, key, window};
use crate::config::error::ConfigError;
use crate::config::options::section;
use crate::config::resolve::nanoseconds;
use crate::detect::RogueDhcpSettings;
use serde::{Deserialize, Serialize};

/// What can be said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RogueDhcpOptions {
    /// Detect them.
    pub enabled: Option<bool>,
    /// Length of the window in seconds.
    pub window_secs: Option<f64>,
    /// Addresses of servers and relay agents that may answer; empty: those that contradict each other are told.
    pub servers: Option<Vec<String>>,
    /// Time without such a server after which the alert is over, in seconds.
    pub cooldown_secs: Option<f64>,
}

section!(RogueDhcpOptions { enabled, window_secs, servers, cooldown_secs });

impl RogueDhcpOptions {
    /// On unless it is turned off.
    pub(super) fn settings(&self) -> Result<Option<RogueDhcpSettings>, ConfigError> {
        let settings = RogueDhcpSettings {
            window_ns: window(key!("rogue_dhcp", "window_secs"), self.window_secs, 3600.0)?,
            servers: addresses(key!("rogue_dhcp", "servers"), self.servers.as_deref())?,
            cooldown_ns: nanoseconds(key!("rogue_dhcp", "cooldown_secs"), self.cooldown_secs.unwrap_or(3600.0))?,
        };
        Ok(self.enabled.unwrap_or(true).then_some(settings))
    }
}
