//! `[analysis.anomalies.brute_force]`, in the configuration file only.

use super::{key, networks, threshold, window};
use crate::config::error::ConfigError;
use crate::config::options::section;
use crate::config::resolve::{combination, nanoseconds, within};
use crate::detect::BruteForceSettings;
use serde::{Deserialize, Serialize};

/// ftp, ssh, telnet, VMware's authentication, rdp, vnc.
const PORTS: [u16; 9] = [21, 22, 23, 902, 2222, 2323, 3389, 5900, 5901];
/// smtp, pop3, imap, smb, submission, and databases.
const BUSY_PORTS: [u16; 11] = [25, 110, 143, 445, 465, 587, 993, 995, 1433, 3306, 5432];

/// What can be said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BruteForceOptions {
    /// Detect it.
    pub enabled: Option<bool>,
    /// Length of the window in seconds.
    pub window_secs: Option<f64>,
    /// Login services.
    pub ports: Option<Vec<u16>>,
    /// Those that honest clients ask again and again.
    pub busy_ports: Option<Vec<u16>>,
    /// Attempts in the window.
    pub attempts_threshold: Option<u64>,
    /// The same on a busy port.
    pub busy_attempts_threshold: Option<u64>,
    /// Sources on one server that are told together.
    pub unique_src_threshold: Option<u64>,
    /// Servers of one source that are told together.
    pub unique_hosts_threshold: Option<u64>,
    /// Packets of an attempt at least.
    pub min_packets: Option<u64>,
    /// A longer connection is a session.
    pub max_duration_secs: Option<f64>,
    /// A larger connection is a session.
    pub max_bytes: Option<u64>,
    /// Hosts that are left out.
    pub allowed_networks: Option<Vec<String>>,
    /// Time without it after which the alert is over, in seconds.
    pub cooldown_secs: Option<f64>,
}

section!(BruteForceOptions {
    enabled,
    window_secs,
    ports,
    busy_ports,
    attempts_threshold,
    busy_attempts_threshold,
    unique_src_threshold,
    unique_hosts_threshold,
    min_packets,
    max_duration_secs,
    max_bytes,
    allowed_networks,
    cooldown_secs,
});

impl BruteForceOptions {
    /// On unless it is turned off.
    pub(super) fn settings(&self) -> Result<Option<BruteForceSettings>, ConfigError> {
        let or = |said: &Option<Vec<u16>>, default: &[u16]| said.clone().unwrap_or_else(|| default.to_vec());
        let settings = BruteForceSettings {
            window_ns: window(key!("brute_force", "window_secs"), self.window_secs, 300.0)?,
            ports: or(&self.ports, &PORTS),
            busy_ports: or(&self.busy_ports, &BUSY_PORTS),
            attempts_threshold: threshold(key!("brute_force", "attempts_threshold"), self.attempts_threshold, 20)?,
            busy_attempts_threshold: threshold(
                key!("brute_force", "busy_attempts_threshold"),
                self.busy_attempts_threshold,
                300,
            )?,
            unique_src_threshold: threshold(key!("brute_force", "unique_src_threshold"), self.unique_src_threshold, 20)?,
            unique_hosts_threshold: threshold(key!("brute_force", "unique_hosts_threshold"), self.unique_hosts_threshold, 10)?,
            packets_min: within(key!("brute_force", "min_packets"), self.min_packets.unwrap_or(10), 8, 1000)?,
            duration_ns_max: window(key!("brute_force", "max_duration_secs"), self.max_duration_secs, 60.0)?,
            bytes_max: threshold(key!("brute_force", "max_bytes"), self.max_bytes, 20_000)?,
            allowed_networks: networks(key!("brute_force", "allowed_networks"), self.allowed_networks.as_ref())?,
            cooldown_ns: nanoseconds(key!("brute_force", "cooldown_secs"), self.cooldown_secs.unwrap_or(300.0))?,
        };
        let BruteForceSettings { ports, busy_ports, .. } = &settings;
        if let Some(port) = ports.iter().find(|port| busy_ports.contains(port)) {
            let (one, other) = (key!("brute_force", "ports"), key!("brute_force", "busy_ports"));
            return Err(combination(format!("port {port} is in {one} and in {other}: leave it in one of them")));
        }
        if ports.is_empty() && busy_ports.is_empty() {
            let what = "is empty, and so is busy_ports: name a port, or set enabled to false".to_owned();
            return Err(ConfigError::Value { name: key!("brute_force", "ports"), what });
        }
        Ok(self.enabled.unwrap_or(true).then_some(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: BruteForceOptions) -> String {
        options.settings().expect_err("it is refused").to_string()
    }

    #[test]
    fn on_by_default_and_wrong_values_are_refused_by_name() {
        let settings = BruteForceOptions::default().settings().expect("defaults are right").expect("it is on");
        assert_eq!((settings.attempts_threshold, settings.window_ns), (20, 300_000_000_000));
        assert!(settings.ports.contains(&22) && settings.busy_ports.contains(&110));
        let off = BruteForceOptions { enabled: Some(false), ..BruteForceOptions::default() };
        assert_eq!(off.settings().expect("right"), None);
        let base = BruteForceOptions::default;
        for (options, name) in [
            (BruteForceOptions { window_secs: Some(0.0), ..base() }, "window_secs"),
            (BruteForceOptions { attempts_threshold: Some(0), ..base() }, "brute_force.attempts_threshold"),
            (BruteForceOptions { busy_attempts_threshold: Some(0), ..base() }, "busy_attempts_threshold"),
            (BruteForceOptions { unique_src_threshold: Some(0), ..base() }, "unique_src_threshold"),
            (BruteForceOptions { unique_hosts_threshold: Some(0), ..base() }, "unique_hosts_threshold"),
            (BruteForceOptions { min_packets: Some(7), ..base() }, "min_packets"),
            (BruteForceOptions { max_duration_secs: Some(-1.0), ..base() }, "max_duration_secs"),
            (BruteForceOptions { max_bytes: Some(0), ..base() }, "max_bytes"),
            (BruteForceOptions { allowed_networks: Some(vec!["10.0.0.0/40".to_owned()]), ..base() }, "allowed_networks"),
            (BruteForceOptions { cooldown_secs: Some(-1.0), ..base() }, "cooldown_secs"),
            (BruteForceOptions { ports: Some(vec![110]), ..base() }, "port 110 is in"),
            (BruteForceOptions { ports: Some(vec![]), busy_ports: Some(vec![]), ..base() }, "brute_force.ports is empty"),
        ] {
            let text = refused(options);
            assert!(text.contains("analysis.anomalies.brute_force.") && text.contains(name), "{text}");
        }
    }
}
