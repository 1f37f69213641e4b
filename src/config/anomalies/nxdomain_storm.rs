//! `[analysis.anomalies.nxdomain_storm]`, in the configuration file only.

use super::{PayloadUse, key, networks, threshold, window};
use crate::config::error::ConfigError;
use crate::config::options::section;
use crate::config::resolve::nanoseconds;
use crate::detect::NxdomainStormSettings;
use serde::{Deserialize, Serialize};

/// What can be said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct NxdomainStormOptions {
    /// Detect them.
    pub enabled: Option<bool>,
    /// Length of the window in seconds.
    pub window_secs: Option<f64>,
    /// Different names in it that do not exist.
    pub names_threshold: Option<u64>,
    /// Answers in it that a name does not exist.
    pub answers_threshold: Option<u64>,
    /// Clients that are left out.
    pub allowed_networks: Option<Vec<String>>,
    /// Time without it after which the alert is over, in seconds.
    pub cooldown_secs: Option<f64>,
}

section!(NxdomainStormOptions { enabled, window_secs, names_threshold, answers_threshold, allowed_networks, cooldown_secs });

impl NxdomainStormOptions {
    /// On where payload is inspected, unless it is turned off.
    pub(super) fn settings(&self, payload: PayloadUse) -> Result<Option<NxdomainStormSettings>, ConfigError> {
        let is_on = payload.turns_on(key!("nxdomain_storm", "enabled"), self.enabled)?;
        let settings = NxdomainStormSettings {
            window_ns: window(key!("nxdomain_storm", "window_secs"), self.window_secs, 60.0)?,
            names_threshold: threshold(key!("nxdomain_storm", "names_threshold"), self.names_threshold, 100)?,
            answers_threshold: threshold(key!("nxdomain_storm", "answers_threshold"), self.answers_threshold, 1000)?,
            allowed_networks: networks(key!("nxdomain_storm", "allowed_networks"), self.allowed_networks.as_ref())?,
            cooldown_ns: nanoseconds(key!("nxdomain_storm", "cooldown_secs"), self.cooldown_secs.unwrap_or(60.0))?,
        };
        Ok(is_on.then_some(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: &NxdomainStormOptions) -> String {
        options.settings(PayloadUse::Inspected).expect_err("it is refused").to_string()
    }

    #[test]
    fn on_where_payload_is_inspected_and_wrong_values_are_refused_by_name() {
        let base = NxdomainStormOptions::default;
        assert!(base().settings(PayloadUse::Inspected).expect("defaults are right").is_some());
        assert_eq!(base().settings(PayloadUse::Missing).expect("not asked for"), None);
        let said = |enabled| NxdomainStormOptions { enabled: Some(enabled), ..base() };
        assert_eq!(said(false).settings(PayloadUse::Inspected).expect("right"), None);
        assert_eq!(said(true).settings(PayloadUse::NotAsked).expect("nothing is detected"), None);
        let error = said(true).settings(PayloadUse::Missing).expect_err("it needs payload").to_string();
        assert!(error.contains("nxdomain_storm.enabled") && error.contains("--no-dpi"), "{error}");
        for (options, name) in [
            (NxdomainStormOptions { window_secs: Some(0.0), ..base() }, "window_secs"),
            (NxdomainStormOptions { names_threshold: Some(0), ..base() }, "names_threshold"),
            (NxdomainStormOptions { answers_threshold: Some(0), ..base() }, "answers_threshold"),
            (NxdomainStormOptions { allowed_networks: Some(vec!["10.0.0.0/40".to_owned()]), ..base() }, "allowed_networks"),
            (NxdomainStormOptions { cooldown_secs: Some(-1.0), ..base() }, "cooldown_secs"),
        ] {
            assert!(refused(&options).contains(name), "{name}");
        }
    }
}
