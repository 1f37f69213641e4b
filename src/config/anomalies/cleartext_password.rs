//! `[analysis.anomalies.cleartext_password]`, in the configuration file only.

use super::{PayloadUse, key, networks};
use crate::config::error::ConfigError;
use crate::config::options::section;
use crate::config::resolve::nanoseconds;
use crate::detect::CleartextPasswordSettings;
use serde::{Deserialize, Serialize};

/// What can be said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CleartextPasswordOptions {
    /// Detect them.
    pub enabled: Option<bool>,
    /// Hosts that are left out at either end.
    pub allowed_networks: Option<Vec<String>>,
    /// Time without it after which the alert is over, in seconds.
    pub cooldown_secs: Option<f64>,
}

section!(CleartextPasswordOptions { enabled, allowed_networks, cooldown_secs });

impl CleartextPasswordOptions {
    /// On where payload is inspected, unless it is turned off.
    pub(super) fn settings(&self, payload: PayloadUse) -> Result<Option<CleartextPasswordSettings>, ConfigError> {
        let is_on = payload.turns_on(key!("cleartext_password", "enabled"), self.enabled)?;
        let settings = CleartextPasswordSettings {
            allowed_networks: networks(key!("cleartext_password", "allowed_networks"), self.allowed_networks.as_ref())?,
            cooldown_ns: nanoseconds(key!("cleartext_password", "cooldown_secs"), self.cooldown_secs.unwrap_or(3600.0))?,
        };
        Ok(is_on.then_some(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: &CleartextPasswordOptions) -> String {
        options.settings(PayloadUse::Inspected).expect_err("it is refused").to_string()
    }

    #[test]
    fn on_where_payload_is_inspected_and_wrong_values_are_refused_by_name() {
        let base = CleartextPasswordOptions::default;
        assert!(base().settings(PayloadUse::Inspected).expect("defaults are right").is_some());
        assert_eq!(base().settings(PayloadUse::Missing).expect("not asked for"), None);
        let said = |enabled| CleartextPasswordOptions { enabled: Some(enabled), ..base() };
        assert_eq!(said(false).settings(PayloadUse::Inspected).expect("right"), None);
        assert_eq!(said(true).settings(PayloadUse::NotAsked).expect("nothing is detected"), None);
        let error = said(true).settings(PayloadUse::Missing).expect_err("it needs payload").to_string();
        assert!(error.contains("cleartext_password.enabled") && error.contains("--no-dpi"), "{error}");
        for (options, name) in [
            (CleartextPasswordOptions { allowed_networks: Some(vec!["10.0.0.0/40".to_owned()]), ..base() }, "allowed_networks"),
            (CleartextPasswordOptions { cooldown_secs: Some(-1.0), ..base() }, "cooldown_secs"),
        ] {
            assert!(refused(&options).contains(name), "{name}");
        }
    }
}
