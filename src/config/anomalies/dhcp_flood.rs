//! `[analysis.anomalies.dhcp_flood]`, in the configuration file only.

use super::{key, threshold, window};
use crate::config::error::ConfigError;
use crate::config::options::section;
use crate::config::resolve::nanoseconds;
use crate::detect::DhcpFloodSettings;
use serde::{Deserialize, Serialize};

/// What can be said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DhcpFloodOptions {
    /// Detect them.
    pub enabled: Option<bool>,
    /// Length of the window in seconds.
    pub window_secs: Option<f64>,
    /// Clients that neither go on nor ask again.
    pub clients_threshold: Option<u64>,
    /// Messages of one client.
    pub messages_threshold: Option<u64>,
    /// Time without a flood after which the alert is over, in seconds.
    pub cooldown_secs: Option<f64>,
}

section!(DhcpFloodOptions { enabled, window_secs, clients_threshold, messages_threshold, cooldown_secs });

impl DhcpFloodOptions {
    /// On unless it is turned off.
    pub(super) fn settings(&self) -> Result<Option<DhcpFloodSettings>, ConfigError> {
        let settings = DhcpFloodSettings {
            window_ns: window(key!("dhcp_flood", "window_secs"), self.window_secs, 120.0)?,
            clients_threshold: threshold(key!("dhcp_flood", "clients_threshold"), self.clients_threshold, 50)?,
            messages_threshold: threshold(key!("dhcp_flood", "messages_threshold"), self.messages_threshold, 200)?,
            cooldown_ns: nanoseconds(key!("dhcp_flood", "cooldown_secs"), self.cooldown_secs.unwrap_or(120.0))?,
        };
        Ok(self.enabled.unwrap_or(true).then_some(settings))
    }
}
