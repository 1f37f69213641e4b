//! The configuration file again, while the run goes on (SIGHUP): what changed, and what of it can count now.
//!
//! Owns which keys may change. Knows no signal and no detector. Invariants: a file that the program would not start with changes nothing; a key that changed is
//! either taken over or named as one for the next start.

use super::ConfigError;
use super::anomalies::detect_settings;
use super::file::read_file;
use super::options::Options;
use super::resolve::resolve;
use super::settings::DetectSettings;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Keys that may change while the run goes on: the rules' thresholds and the mute rules. What the queues gather by (windows, tables) may not.
const RELOADABLE: &[&str] = &[
    "analysis.alerts.mute",
    "analysis.anomalies.arp_spoofing.changes_threshold",
    "analysis.anomalies.arp_spoofing.cooldown_secs",
    "analysis.anomalies.arp_spoofing.unsolicited_threshold",
    "analysis.anomalies.beacon.cooldown_secs",
    "analysis.anomalies.beacon.min_connections",
    "analysis.anomalies.beacon.min_score",
    "analysis.anomalies.beacon.min_span_secs",
    "analysis.anomalies.brute_force.attempts_threshold",
    "analysis.anomalies.brute_force.busy_attempts_threshold",
    "analysis.anomalies.brute_force.cooldown_secs",
    "analysis.anomalies.brute_force.unique_hosts_threshold",
    "analysis.anomalies.brute_force.unique_src_threshold",
    "analysis.anomalies.cleartext_password.cooldown_secs",
    "analysis.anomalies.data_out.bytes_threshold",
    "analysis.anomalies.data_out.cooldown_secs",
    "analysis.anomalies.dhcp_flood.clients_threshold",
    "analysis.anomalies.dhcp_flood.cooldown_secs",
    "analysis.anomalies.dhcp_flood.messages_threshold",
    "analysis.anomalies.dns_tunnel.cooldown_secs",
    "analysis.anomalies.dns_tunnel.names_threshold",
    "analysis.anomalies.long_connection.cooldown_secs",
    "analysis.anomalies.nxdomain_storm.answers_threshold",
    "analysis.anomalies.nxdomain_storm.cooldown_secs",
    "analysis.anomalies.nxdomain_storm.names_threshold",
    "analysis.anomalies.port_mismatch.cooldown_secs",
    "analysis.anomalies.port_scan.cooldown_secs",
    "analysis.anomalies.port_scan.unique_hosts_threshold",
    "analysis.anomalies.port_scan.unique_ports_threshold",
    "analysis.anomalies.rogue_dhcp.cooldown_secs",
    "analysis.anomalies.syn_flood.cooldown_secs",
    "analysis.anomalies.syn_flood.syn_threshold",
    "analysis.anomalies.syn_flood.unique_src_threshold",
    "analysis.anomalies.tls_certificate.cooldown_secs",
    "analysis.anomalies.volume_flood.amplification_bits_per_sec",
    "analysis.anomalies.volume_flood.amplification_packets_per_sec",
    "analysis.anomalies.volume_flood.baseline_factor",
    "analysis.anomalies.volume_flood.cooldown_secs",
    "analysis.anomalies.volume_flood.fragment_bits_per_sec",
    "analysis.anomalies.volume_flood.fragment_packets_per_sec",
    "analysis.anomalies.volume_flood.icmp_bits_per_sec",
    "analysis.anomalies.volume_flood.icmp_packets_per_sec",
    "analysis.anomalies.volume_flood.udp_bits_per_sec",
    "analysis.anomalies.volume_flood.udp_packets_per_sec",
    "analysis.anomalies.volume_flood.unique_src_threshold",
];

/// What the program was started with, and the file as it counts now.
#[derive(Clone, Debug, PartialEq)]
pub struct Reloader {
    /// The command line.
    said: Options,
    verbose: u8,
    cores: usize,
    path: PathBuf,
    /// What counts: flags over the file.
    current: BTreeMap<String, Value>,
}

/// A file that was read again.
#[derive(Clone, Debug, PartialEq)]
pub struct Reloaded {
    /// How to detect from now on.
    pub detection: DetectSettings,
    /// Each key that counts now, with its values before and after.
    pub changed: Vec<String>,
    /// Keys that count after a restart.
    pub later: Vec<String>,
}

impl Reloader {
    /// For this command line and the file that was read.
    pub(super) fn new(said: Options, file: Options, path: PathBuf, verbose: u8, cores: usize) -> Self {
        let current = keys(&said.clone().over(file));
        Self { said, verbose, cores, path, current }
    }

    /// Where the file is.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Reads the file again.
    ///
    /// # Errors
    /// What would be an error at the start; then nothing has changed.
    pub fn reload(&mut self) -> Result<Reloaded, ConfigError> {
        let file = read_file(&self.path)?;
        let interval_ns = resolve(self.said.clone(), file.clone(), self.verbose, self.cores)?.stats.interval_ns;
        let options = self.said.clone().over(file);
        let detection = detect_settings(&options.analysis, interval_ns)?;
        let new = keys(&options);
        let (mut changed, mut later) = (Vec::new(), Vec::new());
        for (key, value) in new {
            let Some(before) = self.current.get_mut(&key).filter(|before| **before != value) else { continue };
            if RELOADABLE.contains(&key.as_str()) {
                changed.push(format!("{key}: {} -> {}", shown(before), shown(&value)));
                *before = value;
            } else {
                later.push(key);
            }
        }
        Ok(Reloaded { detection, changed, later })
    }
}

/// A value for people; a list by its length.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "default".to_owned(),
        Value::Array(rules) if rules.len() == 1 => "1 rule".to_owned(),
        Value::Array(rules) => format!("{} rules", rules.len()),
        other => other.to_string(),
    }
}

/// Every key and its value.
fn keys(options: &Options) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    // Options are texts, numbers and lists, which can always be written.
    add_keys("", serde_json::to_value(options).unwrap_or_default(), &mut found);
    found
}

fn add_keys(path: &str, value: Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(section) => {
            for (key, value) in section {
                let full = if path.is_empty() { key } else { format!("{path}.{key}") };
                add_keys(&full, value, found);
            }
        }
        value => _ = found.insert(path.to_owned(), value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn every_reloadable_key_is_one() {
        let known = keys(&Options::default());
        assert_eq!(RELOADABLE.iter().find(|key| !known.contains_key(**key)), None);
        let is_gathering = |key: &&&str| ["window_secs", "table_mb", "enabled"].iter().any(|end| key.ends_with(end));
        assert_eq!(RELOADABLE.iter().find(is_gathering), None, "what queues gather by stays");
    }

    #[test]
    fn a_file_is_taken_over_as_far_as_it_can_be() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("netscope.toml");
        let write = |text: &str| fs::write(&path, text).unwrap();
        write("[analysis.anomalies]\nenabled = true\n");
        let mut said = Options::default();
        said.analysis.anomalies.port_scan.unique_hosts_threshold = Some(7);
        let mut reloader = Reloader::new(said, read_file(&path).unwrap(), path.clone(), 0, 1);
        let same = reloader.reload().unwrap();
        assert_eq!((same.changed.len(), same.later.len()), (0, 0));
        write(
            "[analysis.anomalies]\ntable_mb = 8\n[analysis.anomalies.syn_flood]\nsyn_threshold = 300\nwindow_secs = 9.0\n\
             [analysis.anomalies.port_scan]\nunique_hosts_threshold = 99\n[[analysis.alerts.mute]]\nport = 80\n",
        );
        let reloaded = reloader.reload().unwrap();
        assert_eq!(
            reloaded.changed,
            ["analysis.alerts.mute: default -> 1 rule", "analysis.anomalies.syn_flood.syn_threshold: default -> 300"],
            "the flag beats the file, as at the start"
        );
        let later = ["analysis.anomalies.enabled", "analysis.anomalies.syn_flood.window_secs", "analysis.anomalies.table_mb"];
        assert_eq!(reloaded.later, later);
        assert_eq!(reloaded.detection.detectors.syn_flood.unwrap().syn_threshold, 300);
        assert_eq!(reloaded.detection.detectors.port_scan.unwrap().unique_hosts_threshold, 7);
        let again = reloader.reload().unwrap();
        assert_eq!((again.changed.len(), again.later.len()), (0, 3), "what waits for a restart is said each time");
        for text in [
            "[analysis.anomalies.syn_flood]\nsyn_threshold = 0\n",
            "[analysis.anomalies]\ntable = 1\n",
            "[flow]\nmax_flows = -1\n",
        ] {
            write(text);
            assert!(reloader.reload().unwrap_err().to_string().contains('.'), "{text}");
        }
        write("");
        assert_eq!(
            reloader.reload().unwrap().changed.len(),
            2,
            "both are at their defaults again, and the bad files changed nothing"
        );
    }
}
