//! `[analysis.anomalies.long_connection]`, in the configuration file only.

use super::{key, networks};
use crate::config::error::ConfigError;
use crate::config::options::section;
use crate::config::resolve::{nanoseconds, within};
use crate::detect::LongConnectionSettings;
use serde::{Deserialize, Serialize};

/// A minute, and a year.
const SECS: (f64, f64) = (60.0, 31_536_000.0);

/// What can be said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LongConnectionOptions {
    /// Detect them.
    pub enabled: Option<bool>,
    /// A connection is long from this duration on, in seconds.
    pub min_secs: Option<f64>,
    /// Hosts that are left out.
    pub allowed_networks: Option<Vec<String>>,
    /// Time without a packet of it after which the alert is over, in seconds.
    pub cooldown_secs: Option<f64>,
}

section!(LongConnectionOptions { enabled, min_secs, allowed_networks, cooldown_secs });

impl LongConnectionOptions {
    /// Off unless it is turned on.
    pub(super) fn settings(&self) -> Result<Option<LongConnectionSettings>, ConfigError> {
        let (name, (least, most)) = (key!("long_connection", "min_secs"), SECS);
        let settings = LongConnectionSettings {
            duration_ns_min: nanoseconds(name, within(name, self.min_secs.unwrap_or(14_400.0), least, most)?)?,
            allowed_networks: networks(key!("long_connection", "allowed_networks"), self.allowed_networks.as_ref())?,
            cooldown_ns: nanoseconds(key!("long_connection", "cooldown_secs"), self.cooldown_secs.unwrap_or(300.0))?,
        };
        Ok(self.enabled.unwrap_or(false).then_some(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_by_default_and_wrong_values_are_refused_by_name() {
        assert_eq!(LongConnectionOptions::default().settings().expect("defaults are right"), None);
        let base = || LongConnectionOptions { enabled: Some(true), ..LongConnectionOptions::default() };
        assert_eq!(base().settings().expect("right").expect("it is on").duration_ns_min, 14_400_000_000_000);
        for (options, name) in [
            (LongConnectionOptions { min_secs: Some(59.0), ..base() }, "min_secs"),
            (LongConnectionOptions { allowed_networks: Some(vec!["::/129".to_owned()]), ..base() }, "allowed_networks"),
            (LongConnectionOptions { cooldown_secs: Some(-1.0), ..base() }, "cooldown_secs"),
        ] {
            let text = options.settings().expect_err("it is refused").to_string();
            assert!(text.contains("analysis.anomalies.long_connection.") && text.contains(name), "{text}");
        }
    }
}
