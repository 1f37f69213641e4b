//! `[analysis.anomalies.data_out]`, in the configuration file only.

use super::{key, networks, window};
use crate::config::error::ConfigError;
use crate::config::options::section;
use crate::config::resolve::{nanoseconds, within};
use crate::detect::DataOutSettings;
use serde::{Deserialize, Serialize};

/// A kibibyte, and an exbibyte.
const BYTES: (u64, u64) = (1 << 10, 1 << 60);

/// What can be said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataOutOptions {
    /// Detect it.
    pub enabled: Option<bool>,
    /// Length of the window in seconds.
    pub window_secs: Option<f64>,
    /// Bytes in the window.
    pub bytes_threshold: Option<u64>,
    /// Answers to hosts outside count, too.
    pub count_answers: Option<bool>,
    /// Hosts that are left out.
    pub allowed_networks: Option<Vec<String>>,
    /// Time without it after which the alert is over, in seconds.
    pub cooldown_secs: Option<f64>,
}

section!(DataOutOptions { enabled, window_secs, bytes_threshold, count_answers, allowed_networks, cooldown_secs });

impl DataOutOptions {
    /// Off unless it is turned on.
    pub(super) fn settings(&self) -> Result<Option<DataOutSettings>, ConfigError> {
        let (name, (least, most)) = (key!("data_out", "bytes_threshold"), BYTES);
        let settings = DataOutSettings {
            window_ns: window(key!("data_out", "window_secs"), self.window_secs, 3600.0)?,
            bytes_threshold: within(name, self.bytes_threshold.unwrap_or(1 << 30), least, most)?,
            counts_answers: self.count_answers.unwrap_or(false),
            allowed_networks: networks(key!("data_out", "allowed_networks"), self.allowed_networks.as_ref())?,
            cooldown_ns: nanoseconds(key!("data_out", "cooldown_secs"), self.cooldown_secs.unwrap_or(3600.0))?,
        };
        Ok(self.enabled.unwrap_or(false).then_some(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_by_default_and_wrong_values_are_refused_by_name() {
        assert_eq!(DataOutOptions::default().settings().expect("defaults are right"), None);
        let base = || DataOutOptions { enabled: Some(true), ..DataOutOptions::default() };
        assert_eq!(base().settings().expect("right").expect("it is on").bytes_threshold, 1 << 30);
        for (options, name) in [
            (DataOutOptions { window_secs: Some(0.0), ..base() }, "window_secs"),
            (DataOutOptions { bytes_threshold: Some(1), ..base() }, "bytes_threshold"),
            (DataOutOptions { allowed_networks: Some(vec![String::new()]), ..base() }, "allowed_networks"),
            (DataOutOptions { cooldown_secs: Some(-1.0), ..base() }, "cooldown_secs"),
        ] {
            let text = options.settings().expect_err("it is refused").to_string();
            assert!(text.contains("analysis.anomalies.data_out.") && text.contains(name), "{text}");
        }
    }
}
