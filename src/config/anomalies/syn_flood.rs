//! `[analysis.anomalies.syn_flood]`, in the configuration file only.

use super::{key, threshold, window};
use crate::config::error::ConfigError;
use crate::config::options::section;
use crate::config::resolve::nanoseconds;
use crate::detect::SynFloodSettings;
use serde::{Deserialize, Serialize};

/// What can be said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SynFloodOptions {
    /// Detect them.
    pub enabled: Option<bool>,
    /// Length of the window in seconds.
    pub window_secs: Option<f64>,
    /// Attempts in it that are not completed.
    pub syn_threshold: Option<u64>,
    /// Sources that make a flood a distributed one.
    pub unique_src_threshold: Option<u64>,
    /// Time without a flood after which the alert is over, in seconds.
    pub cooldown_secs: Option<f64>,
}

section!(SynFloodOptions { enabled, window_secs, syn_threshold, unique_src_threshold, cooldown_secs });

impl SynFloodOptions {
    /// On unless it is turned off.
    pub(super) fn settings(&self) -> Result<Option<SynFloodSettings>, ConfigError> {
        let &Self { enabled, window_secs, syn_threshold, unique_src_threshold, cooldown_secs } = self;
        let settings = SynFloodSettings {
            window_ns: window(key!("syn_flood", "window_secs"), window_secs, 5.0)?,
            syn_threshold: threshold(key!("syn_flood", "syn_threshold"), syn_threshold, 200)?,
            unique_src_threshold: threshold(key!("syn_flood", "unique_src_threshold"), unique_src_threshold, 50)?,
            cooldown_ns: nanoseconds(key!("syn_flood", "cooldown_secs"), cooldown_secs.unwrap_or(10.0))?,
        };
        Ok(enabled.unwrap_or(true).then_some(settings))
    }
}
