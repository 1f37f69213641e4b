//! `[analysis.anomalies.port_mismatch]`, in the configuration file only.

use super::{PayloadUse, key, networks};
use crate::config::error::ConfigError;
use crate::config::options::section;
use crate::config::resolve::nanoseconds;
use crate::detect::PortMismatchSettings;
use serde::{Deserialize, Serialize};

/// What can be said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PortMismatchOptions {
    /// Detect them.
    pub enabled: Option<bool>,
    /// Ports that are left out.
    pub allowed_ports: Option<Vec<u16>>,
    /// Hosts that are left out at either end.
    pub allowed_networks: Option<Vec<String>>,
    /// Time without it after which the alert is over, in seconds.
    pub cooldown_secs: Option<f64>,
}

section!(PortMismatchOptions { enabled, allowed_ports, allowed_networks, cooldown_secs });

impl PortMismatchOptions {
    /// On where payload is inspected, unless it is turned off.
    pub(super) fn settings(&self, payload: PayloadUse) -> Result<Option<PortMismatchSettings>, ConfigError> {
        let is_on = payload.turns_on(key!("port_mismatch", "enabled"), self.enabled)?;
        let settings = PortMismatchSettings {
            allowed_ports: self.allowed_ports.clone().unwrap_or_default(),
            allowed_networks: networks(key!("port_mismatch", "allowed_networks"), self.allowed_networks.as_ref())?,
            cooldown_ns: nanoseconds(key!("port_mismatch", "cooldown_secs"), self.cooldown_secs.unwrap_or(3600.0))?,
        };
        Ok(is_on.then_some(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: &PortMismatchOptions) -> String {
        options.settings(PayloadUse::Inspected).expect_err("it is refused").to_string()
    }

    #[test]
    fn on_where_payload_is_inspected_and_wrong_values_are_refused_by_name() {
        let base = PortMismatchOptions::default;
        assert!(base().settings(PayloadUse::Inspected).expect("defaults are right").is_some());
        assert_eq!(base().settings(PayloadUse::Missing).expect("not asked for"), None);
        let said = |enabled| PortMismatchOptions { enabled: Some(enabled), ..base() };
        assert_eq!(said(false).settings(PayloadUse::Inspected).expect("right"), None);
        assert_eq!(said(true).settings(PayloadUse::NotAsked).expect("nothing is detected"), None);
        let error = said(true).settings(PayloadUse::Missing).expect_err("it needs payload").to_string();
        assert!(error.contains("port_mismatch.enabled") && error.contains("--no-dpi"), "{error}");
        for (options, name) in [
            (PortMismatchOptions { allowed_networks: Some(vec!["10.0.0.0/40".to_owned()]), ..base() }, "allowed_networks"),
            (PortMismatchOptions { cooldown_secs: Some(-1.0), ..base() }, "cooldown_secs"),
        ] {
            assert!(refused(&options).contains(name), "{name}");
        }
    }
}
