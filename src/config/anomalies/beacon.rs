//! `[analysis.anomalies.beacon]`, in the configuration file only.

use super::{WINDOW_SECS_MAX, key, networks};
use crate::config::error::ConfigError;
use crate::config::options::section;
use crate::config::resolve::{combination, nanoseconds, within};
use crate::detect::BeaconSettings;
use serde::{Deserialize, Serialize};

/// An hour: 24 bars of 150 s.
const WINDOW_SECS_MIN: f64 = 3600.0;
const SPAN_SECS_MIN: f64 = 60.0;
/// RITA's least number, and so many that a table of evidence can count them.
const CONNECTIONS: (u64, u64) = (4, 1_000_000);
/// DNS and NTP.
const PORTS: [u16; 2] = [53, 123];

/// What can be said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BeaconOptions {
    /// Detect them.
    pub enabled: Option<bool>,
    /// Length of the window in seconds.
    pub window_secs: Option<f64>,
    /// Time from first to last connection, before which nothing is said.
    pub min_span_secs: Option<f64>,
    /// Connections, before which nothing is said.
    pub min_connections: Option<u64>,
    /// The score of a beacon.
    pub min_score: Option<f64>,
    /// Hosts that are left out.
    pub allowed_networks: Option<Vec<String>>,
    /// Ports that are left out.
    pub allowed_ports: Option<Vec<u16>>,
    /// Time without it after which the alert is over, in seconds.
    pub cooldown_secs: Option<f64>,
}

section!(BeaconOptions {
    enabled,
    window_secs,
    min_span_secs,
    min_connections,
    min_score,
    allowed_networks,
    allowed_ports,
    cooldown_secs,
});

impl BeaconOptions {
    /// Off unless it is turned on.
    pub(super) fn settings(&self) -> Result<Option<BeaconSettings>, ConfigError> {
        let window_key = key!("beacon", "window_secs");
        let window_secs = within(window_key, self.window_secs.unwrap_or(86_400.0), WINDOW_SECS_MIN, WINDOW_SECS_MAX)?;
        let span_key = key!("beacon", "min_span_secs");
        let span_secs = within(span_key, self.min_span_secs.unwrap_or(21_600.0), SPAN_SECS_MIN, WINDOW_SECS_MAX)?;
        if span_secs >= window_secs {
            return Err(combination(format!(
                "{span_key} is {span_secs}, which is not less than {window_key}, {window_secs}: no window has as much"
            )));
        }
        let (least, most) = CONNECTIONS;
        let score = within(key!("beacon", "min_score"), self.min_score.unwrap_or(0.7), 0.001, 1.0)?;
        let settings = BeaconSettings {
            window_ns: nanoseconds(window_key, window_secs)?,
            span_ns_min: nanoseconds(span_key, span_secs)?,
            connections_min: within(key!("beacon", "min_connections"), self.min_connections.unwrap_or(12), least, most)?,
            score_permille_min: (score * 1000.0).round() as u64,
            allowed_networks: networks(key!("beacon", "allowed_networks"), self.allowed_networks.as_ref())?,
            allowed_ports: self.allowed_ports.clone().unwrap_or_else(|| PORTS.to_vec()),
            cooldown_ns: nanoseconds(key!("beacon", "cooldown_secs"), self.cooldown_secs.unwrap_or(10_800.0))?,
        };
        Ok(self.enabled.unwrap_or(false).then_some(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_by_default_and_wrong_values_are_refused_by_name() {
        assert_eq!(BeaconOptions::default().settings().expect("defaults are right"), None);
        let base = || BeaconOptions { enabled: Some(true), ..BeaconOptions::default() };
        let settings = base().settings().expect("right").expect("it is on");
        assert_eq!((settings.connections_min, settings.score_permille_min), (12, 700));
        assert_eq!(settings.allowed_ports, [53, 123]);
        for (options, name) in [
            (BeaconOptions { window_secs: Some(60.0), ..base() }, "window_secs"),
            (BeaconOptions { window_secs: Some(1e6), ..base() }, "window_secs"),
            (BeaconOptions { min_span_secs: Some(1.0), ..base() }, "min_span_secs"),
            (BeaconOptions { window_secs: Some(7200.0), ..base() }, "min_span_secs"),
            (BeaconOptions { min_connections: Some(3), ..base() }, "min_connections"),
            (BeaconOptions { min_score: Some(1.5), ..base() }, "min_score"),
            (BeaconOptions { min_score: Some(f64::NAN), ..base() }, "min_score"),
            (BeaconOptions { allowed_networks: Some(vec!["x".to_owned()]), ..base() }, "allowed_networks"),
            (BeaconOptions { cooldown_secs: Some(-1.0), ..base() }, "cooldown_secs"),
        ] {
            let text = options.settings().expect_err("it is refused").to_string();
            assert!(text.contains("analysis.anomalies.beacon.") && text.contains(name), "{text}");
        }
    }
}
