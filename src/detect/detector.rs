//! The trait of detectors, and how detectors of different kinds lie in one list.
//!
//! Owns no evidence and no rule. Invariant: the parts of a detector that observe and judge share nothing but settings and evidence, so they may run
//! on different threads.

use super::networks::LocalNetworks;
use super::{Alert, DetectionSettings, Observation};
use netscope_backends::Timestamp;
use std::any::Any;

/// What a detector gathers on one queue in one bin. Everything in it adds up or is a union: no result may depend on the order in which packets
/// came, or on how they were dealt to queues.
pub trait Evidence: Send + 'static {
    /// Adds the evidence of another queue, or of another bin.
    fn merge(&mut self, other: &Self);

    /// Forgets all; memory is kept for the next bin.
    fn clear(&mut self);

    /// Observations for which there was no room.
    fn overflow(&self) -> u64;
}

/// A bin of packet time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinSpan {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
}

impl BinSpan {
    /// The bin as far as there were packets in it: the last one of a run ends with the run.
    #[must_use]
    pub fn until(self, end: Timestamp) -> Self {
        Self { start: self.start.min(end), end: self.end.min(end) }
    }
}

/// What a judge is told besides the evidence, and where its alerts go.
pub struct JudgeContext<'a> {
    /// The bin.
    pub bin: BinSpan,
    /// Which addresses are inside.
    pub local: &'a LocalNetworks,
    /// Where alerts go.
    pub alerts: &'a mut Vec<Alert>,
    /// Alerts that were not begun because too many were under way.
    pub left_out: &'a mut u64,
}

/// Finds one kind of trouble. On the queues it observes, at the end of each bin of packet time (a second or less) its evidence
/// is harvested and merged over all queues, and the sum is judged.
pub trait Detector: Send + 'static {
    /// What it gathers.
    type Evidence: Evidence;

    /// Its name, for messages and counters: the `kind` of its alerts.
    fn name(&self) -> &'static str;

    /// No evidence.
    fn evidence(&self) -> Self::Evidence;

    /// True when [`Observation::Growth`] is to be told. It costs some instructions for each packet and 40 bytes a flow.
    fn follows_growth(&self) -> bool {
        false
    }

    /// True when [`Observation::Facts`] is to be told.
    fn follows_facts(&self) -> bool {
        false
    }

    /// True when [`Observation::Dns`] is to be told.
    fn follows_dns(&self) -> bool {
        false
    }

    /// On the queue: something was seen. Constant time for each; whatever does not matter is left.
    fn observe(&self, seen: Observation<'_>, evidence: &mut Self::Evidence);

    /// On the sum: a bin is complete. Bins come in order; of those in a row in which no queue saw a packet, all but the first four are left out. The evidence may be taken:
    /// what is left is cleared.
    fn judge(&mut self, evidence: &mut Self::Evidence, context: &mut JudgeContext<'_>);

    /// On the judge's side: other thresholds from now on. Those of the rules and the cooldown count; what the queues gather stays as it is, so windows, tables
    /// and the hash are not to be taken from here. The keys are in `RELOADABLE` of `src/config/reload.rs`.
    fn reload(&mut self, _settings: &DetectionSettings) {}

    /// The run is over: alerts that are under way end.
    fn finish(&mut self, context: &mut JudgeContext<'_>);
}

/// A [`Detector`] of any kind with evidence of its kind.
pub trait DetectorBox: Send {
    /// [`Detector::name`].
    fn name(&self) -> &'static str;
    /// [`Detector::evidence`].
    fn evidence(&self) -> Box<dyn Any + Send>;
    /// [`Detector::follows_growth`].
    fn follows_growth(&self) -> bool;
    /// [`Detector::follows_facts`].
    fn follows_facts(&self) -> bool;
    /// [`Detector::follows_dns`].
    fn follows_dns(&self) -> bool;
    /// [`Detector::observe`].
    fn observe(&self, seen: Observation<'_>, evidence: &mut (dyn Any + Send));
    /// [`Evidence::merge`].
    fn merge(&self, evidence: &mut (dyn Any + Send), other: &(dyn Any + Send));
    /// [`Evidence::clear`].
    fn clear(&self, evidence: &mut (dyn Any + Send));
    /// [`Evidence::overflow`].
    fn overflow(&self, evidence: &(dyn Any + Send)) -> u64;
    /// [`Detector::judge`].
    fn judge(&mut self, evidence: &mut (dyn Any + Send), context: &mut JudgeContext<'_>);
    /// [`Detector::reload`].
    fn reload(&mut self, settings: &DetectionSettings);
    /// [`Detector::finish`].
    fn finish(&mut self, context: &mut JudgeContext<'_>);
}

/// A detector as a [`DetectorBox`].
pub struct DetectorParts<D>(D);

impl<D> DetectorParts<D> {
    /// This detector.
    pub const fn new(detector: D) -> Self {
        Self(detector)
    }
}

/// Evidence comes back to the detector that made it, so its type is known.
const OWN: &str = "evidence is of the detector that made it";

impl<D: Detector> DetectorBox for DetectorParts<D> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn evidence(&self) -> Box<dyn Any + Send> {
        Box::new(self.0.evidence())
    }

    fn follows_growth(&self) -> bool {
        self.0.follows_growth()
    }

    fn follows_facts(&self) -> bool {
        self.0.follows_facts()
    }

    fn follows_dns(&self) -> bool {
        self.0.follows_dns()
    }

    fn observe(&self, seen: Observation<'_>, evidence: &mut (dyn Any + Send)) {
        self.0.observe(seen, evidence.downcast_mut().expect(OWN));
    }

    fn merge(&self, evidence: &mut (dyn Any + Send), other: &(dyn Any + Send)) {
        evidence.downcast_mut::<D::Evidence>().expect(OWN).merge(other.downcast_ref().expect(OWN));
    }

    fn clear(&self, evidence: &mut (dyn Any + Send)) {
        evidence.downcast_mut::<D::Evidence>().expect(OWN).clear();
    }

    fn overflow(&self, evidence: &(dyn Any + Send)) -> u64 {
        evidence.downcast_ref::<D::Evidence>().expect(OWN).overflow()
    }

    fn judge(&mut self, evidence: &mut (dyn Any + Send), context: &mut JudgeContext<'_>) {
        self.0.judge(evidence.downcast_mut().expect(OWN), context);
    }

    fn reload(&mut self, settings: &DetectionSettings) {
        self.0.reload(settings);
    }

    fn finish(&mut self, context: &mut JudgeContext<'_>) {
        self.0.finish(context);
    }
}

/// All detectors of a queue, or those that judge.
pub struct DetectorSet(Vec<Box<dyn DetectorBox>>);

/// The evidence of all detectors of a [`DetectorSet`], in its order.
pub struct EvidenceSet(Vec<Box<dyn Any + Send>>);

impl DetectorSet {
    /// These detectors.
    pub const fn new(detectors: Vec<Box<dyn DetectorBox>>) -> Self {
        Self(detectors)
    }

    /// No evidence.
    pub fn evidence(&self) -> EvidenceSet {
        EvidenceSet(self.0.iter().map(|detector| detector.evidence()).collect())
    }

    fn with<'a>(&'a self, set: &'a mut EvidenceSet) -> impl Iterator<Item = (&'a dyn DetectorBox, &'a mut (dyn Any + Send))> {
        self.0.iter().map(Box::as_ref).zip(set.0.iter_mut().map(Box::as_mut))
    }

    /// True when any follows growth.
    pub fn follows_growth(&self) -> bool {
        self.0.iter().any(|detector| detector.follows_growth())
    }

    /// True when any follows facts.
    pub fn follows_facts(&self) -> bool {
        self.0.iter().any(|detector| detector.follows_facts())
    }

    /// True when any follows DNS messages.
    pub fn follows_dns(&self) -> bool {
        self.0.iter().any(|detector| detector.follows_dns())
    }

    /// All observe this.
    pub fn observe(&self, seen: Observation<'_>, set: &mut EvidenceSet) {
        self.with(set).for_each(|(detector, evidence)| detector.observe(seen, evidence));
    }

    /// Adds the evidence of another queue or bin.
    pub fn merge(&self, set: &mut EvidenceSet, other: &EvidenceSet) {
        self.with(set).zip(&other.0).for_each(|((detector, evidence), other)| detector.merge(evidence, other.as_ref()));
    }

    /// Forgets all evidence.
    pub fn clear(&self, set: &mut EvidenceSet) {
        self.with(set).for_each(|(detector, evidence)| detector.clear(evidence));
    }

    /// Observations for which there was no room, of all detectors.
    pub fn overflow(&self, set: &EvidenceSet) -> u64 {
        self.0.iter().zip(&set.0).map(|(detector, evidence)| detector.overflow(evidence.as_ref())).sum()
    }

    /// All judge a bin. Alerts are in the order of their times, then by kind and key.
    pub fn judge(&mut self, set: &mut EvidenceSet, context: &mut JudgeContext<'_>) {
        let first = context.alerts.len();
        self.0.iter_mut().zip(&mut set.0).for_each(|(detector, evidence)| detector.judge(evidence.as_mut(), context));
        sort(&mut context.alerts[first..]);
    }

    /// All take these thresholds.
    pub fn reload(&mut self, settings: &DetectionSettings) {
        self.0.iter_mut().for_each(|detector| detector.reload(settings));
    }

    /// All end.
    pub fn finish(&mut self, context: &mut JudgeContext<'_>) {
        let first = context.alerts.len();
        self.0.iter_mut().for_each(|detector| detector.finish(context));
        sort(&mut context.alerts[first..]);
    }
}

fn sort(alerts: &mut [Alert]) {
    alerts.sort_by(|one, other| (one.time, one.kind, &one.key).cmp(&(other.time, other.kind, &other.key)));
}
