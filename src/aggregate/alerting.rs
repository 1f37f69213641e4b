//! What is done with alerts on their way out: some are muted; rules and thresholds may change while the run goes on.
//!
//! Owns the mute rules at work and the way in for others. Knows no detector.

use super::muting::{MuteCount, MuteRule, Muting};
use crate::detect::{Alert, DetectionSettings};
use std::sync::{Arc, Mutex, PoisonError};

/// What is done with alerts.
#[derive(Clone, Debug, Default)]
pub struct AlertingSettings {
    /// Which alerts nobody is told of.
    pub mutes: Vec<MuteRule>,
    /// Where other thresholds and rules come from while the run goes on.
    pub reloads: JudgeReloads,
}

/// Other thresholds and rules.
#[derive(Clone, Debug)]
pub struct JudgeReload {
    /// The rules' thresholds; [`Detector::reload`](crate::detect::Detector::reload) says what of it counts.
    pub detection: DetectionSettings,
    /// Which alerts nobody is told of.
    pub mutes: Vec<MuteRule>,
}

/// Takes a reload from any thread to the aggregator. The latest one counts.
#[derive(Clone, Debug, Default)]
pub struct JudgeReloads(Arc<Mutex<Option<JudgeReload>>>);

impl JudgeReloads {
    /// Brings one.
    pub fn bring(&self, reload: JudgeReload) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reload);
    }

    fn take(&self) -> Option<JudgeReload> {
        // Nothing that is done under the lock leaves it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Alerts on their way out.
pub struct Alerting {
    muting: Muting,
    reloads: JudgeReloads,
}

impl Alerting {
    /// With these settings.
    pub fn new(settings: AlertingSettings) -> Self {
        Self { muting: Muting::new(settings.mutes), reloads: settings.reloads }
    }

    /// Takes over other rules, if somebody brought any, and returns the thresholds that came with them.
    pub fn reload(&mut self) -> Option<DetectionSettings> {
        let JudgeReload { detection, mutes } = self.reloads.take()?;
        self.muting.replace(mutes);
        Some(detection)
    }

    /// True for an alert that nobody is told of.
    pub fn mutes(&mut self, alert: &Alert) -> bool {
        self.muting.mutes(alert)
    }

    /// Alerts that nobody was told of.
    pub fn muted(&self) -> u64 {
        self.muting.alerts()
    }

    /// What each mute rule muted.
    pub fn mute_counts(&self) -> Vec<MuteCount> {
        self.muting.counts()
    }
}
