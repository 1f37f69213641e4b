//! `[analysis.anomalies.volume_flood]`, in the configuration file only.

use super::{key, threshold, window};
use crate::config::error::ConfigError;
use crate::config::options::section;
use crate::config::resolve::{nanoseconds, within};
use crate::detect::{FloodFloors, VolumeFloodSettings};
use serde::{Deserialize, Serialize};

/// 10 Tbit/s.
const BITS_PER_SEC_MAX: u64 = 10_000_000_000_000;
const BASELINE_FACTOR_MAX: u64 = 1000;

/// What can be said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct VolumeFloodOptions {
    /// Detect them.
    pub enabled: Option<bool>,
    /// Length of the window in seconds.
    pub window_secs: Option<f64>,
    /// Unanswered datagrams a second.
    pub udp_packets_per_sec: Option<u64>,
    /// Their bits a second.
    pub udp_bits_per_sec: Option<u64>,
    /// ICMP messages a second that were not asked for.
    pub icmp_packets_per_sec: Option<u64>,
    /// Their bits a second.
    pub icmp_bits_per_sec: Option<u64>,
    /// Fragments a second without the rest of their datagrams.
    pub fragment_packets_per_sec: Option<u64>,
    /// Their bits a second.
    pub fragment_bits_per_sec: Option<u64>,
    /// Answers a second of reflectors, of each protocol, that were not asked for.
    pub amplification_packets_per_sec: Option<u64>,
    /// Their bits a second.
    pub amplification_bits_per_sec: Option<u64>,
    /// Sources that make a flood a distributed one.
    pub unique_src_threshold: Option<u64>,
    /// How many times the usual rate is a flood.
    pub baseline_factor: Option<u64>,
    /// Time until the usual rate is known, in seconds.
    pub learning_secs: Option<f64>,
    /// Time without a flood after which the alert is over, in seconds.
    pub cooldown_secs: Option<f64>,
}

section!(VolumeFloodOptions {
    enabled,
    window_secs,
    udp_packets_per_sec,
    udp_bits_per_sec,
    icmp_packets_per_sec,
    icmp_bits_per_sec,
    fragment_packets_per_sec,
    fragment_bits_per_sec,
    amplification_packets_per_sec,
    amplification_bits_per_sec,
    unique_src_threshold,
    baseline_factor,
    learning_secs,
    cooldown_secs,
});

/// The name of one of its keys.
macro_rules! own {
    ($key:literal) => {
        key!("volume_flood", $key)
    };
}

/// Floors of a class: its keys, what is said, the default.
macro_rules! floors {
    ($options:ident, $packets:ident $packets_key:literal $packets_default:literal, $bits:ident $bits_key:literal $bits_default:literal) => {
        FloodFloors {
            packets_per_sec: threshold(own!($packets_key), $options.$packets, $packets_default)?,
            bits_per_sec: within(own!($bits_key), $options.$bits.unwrap_or($bits_default), 1, BITS_PER_SEC_MAX)?,
        }
    };
}

impl VolumeFloodOptions {
    /// Off unless it is turned on.
    pub(super) fn settings(&self) -> Result<Option<VolumeFloodSettings>, ConfigError> {
        let window_ns = window(own!("window_secs"), self.window_secs, 5.0)?;
        let settings = VolumeFloodSettings {
            window_ns,
            udp: floors!(self, udp_packets_per_sec "udp_packets_per_sec" 20_000, udp_bits_per_sec "udp_bits_per_sec" 1_000_000_000),
            icmp: floors!(self, icmp_packets_per_sec "icmp_packets_per_sec" 5000, icmp_bits_per_sec "icmp_bits_per_sec" 100_000_000),
            fragments: floors!(self, fragment_packets_per_sec "fragment_packets_per_sec" 5000,
                fragment_bits_per_sec "fragment_bits_per_sec" 100_000_000),
            amplification: floors!(self, amplification_packets_per_sec "amplification_packets_per_sec" 1000,
                amplification_bits_per_sec "amplification_bits_per_sec" 20_000_000),
            unique_src_threshold: threshold(own!("unique_src_threshold"), self.unique_src_threshold, 50)?,
            baseline_factor: within(own!("baseline_factor"), self.baseline_factor.unwrap_or(5), 1, BASELINE_FACTOR_MAX)?,
            learning_ns: learning(self.learning_secs.unwrap_or(3600.0), window_ns)?,
            cooldown_ns: nanoseconds(own!("cooldown_secs"), self.cooldown_secs.unwrap_or(10.0))?,
        };
        Ok(self.enabled.unwrap_or(false).then_some(settings))
    }
}

fn learning(secs: f64, window_ns: u64) -> Result<u64, ConfigError> {
    let windows = VolumeFloodSettings::WINDOWS_PER_LEARNING;
    let learning_ns = nanoseconds(own!("learning_secs"), secs)?;
    if learning_ns < window_ns.saturating_mul(windows) {
        let what = format!("is {secs}: give at least {windows} times window_secs");
        return Err(ConfigError::Value { name: own!("learning_secs"), what });
    }
    Ok(learning_ns)
}
