//! What is done with alerts on their way out: some are muted; rules and thresholds may change while the run goes on.
//!
//! Owns the mute rules at work and the way in for others. Knows no detector.

use super::muting::{MuteCount, MuteRule, Muting};
use crate::detect::{Alert, DetectionSettings};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// What was brought and not taken yet.
#[derive(Clone, Debug, Default)]
struct PendingReload {
    reload: Option<JudgeReload>,
    page_mutes: Option<Vec<MuteRule>>,
}

/// Takes a reload from any thread to the aggregator. The latest one counts; rules of the configuration and those of the page replace
/// each their own.
#[derive(Clone, Debug, Default)]
pub struct JudgeReloads(Arc<Mutex<PendingReload>>);

impl JudgeReloads {
    /// Brings thresholds and the mute rules of the configuration.
    pub fn bring(&self, reload: JudgeReload) {
        self.pending().reload = Some(reload);
    }

    /// Brings the mute rules of the page: all of them.
    pub fn bring_mutes(&self, mutes: Vec<MuteRule>) {
        self.pending().page_mutes = Some(mutes);
    }

    fn take(&self) -> PendingReload {
        std::mem::take(&mut *self.pending())
    }

    fn pending(&self) -> MutexGuard<'_, PendingReload> {
        // Nothing that is done under the lock leaves it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Alerts on their way out.
pub struct Alerting {
    muting: Muting,
    reloads: JudgeReloads,
    config_mutes: Vec<MuteRule>,
    page_mutes: Vec<MuteRule>,
}

impl Alerting {
    /// With these settings.
    pub fn new(settings: AlertingSettings) -> Self {
        let AlertingSettings { mutes, reloads } = settings;
        Self { muting: Muting::new(mutes.clone()), reloads, config_mutes: mutes, page_mutes: Vec::new() }
    }

    /// Takes over other rules, if somebody brought any, and returns the thresholds that came with them.
    pub fn reload(&mut self) -> Option<DetectionSettings> {
        let PendingReload { reload, page_mutes } = self.reloads.take();
        if reload.is_none() && page_mutes.is_none() {
            return None;
        }
        if let Some(mutes) = page_mutes {
            self.page_mutes = mutes;
        }
        let detection = reload.map(|JudgeReload { detection, mutes }| {
            self.config_mutes = mutes;
            detection
        });
        self.muting.replace(self.config_mutes.iter().chain(&self.page_mutes).cloned().collect());
        detection
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{AlertPhase, DetectorSettings, EvidenceHash, LocalNetworks};

    fn of_kind(kind: &str) -> MuteRule {
        MuteRule { kind: Some(kind.to_owned()), ..MuteRule::default() }
    }

    #[test]
    fn rules_of_the_page_and_of_the_configuration_replace_each_their_own() {
        let reloads = JudgeReloads::default();
        let settings = AlertingSettings { mutes: vec![of_kind("a")], reloads: reloads.clone() };
        let mut alerting = Alerting::new(settings);
        let begin = |kind| Alert::bare(kind, "", AlertPhase::Begin);
        assert!(alerting.reload().is_none() && alerting.mutes(&begin("a")) && !alerting.mutes(&begin("b")));
        reloads.bring_mutes(vec![of_kind("b")]);
        assert!(alerting.reload().is_none(), "no thresholds came");
        assert!(alerting.mutes(&begin("a")) && alerting.mutes(&begin("b")));
        let detection = DetectionSettings {
            detectors: DetectorSettings::default(),
            table_bytes: 0,
            local: LocalNetworks::of(Vec::new()),
            hash: EvidenceHash::fixed(),
        };
        reloads.bring(JudgeReload { detection, mutes: vec![of_kind("c")] });
        assert!(alerting.reload().is_some());
        assert_eq!(["a", "b", "c"].map(|kind| alerting.mutes(&begin(kind))), [false, true, true]);
        reloads.bring_mutes(Vec::new());
        assert!(alerting.reload().is_none() && !alerting.mutes(&begin("b")) && alerting.mutes(&begin("c")));
    }
}
