//! Where detectors judge: evidence of all queues comes in by bin, alerts go out.
//!
//! Owns the bins that are not complete yet and the judging detectors. Knows no mailbox and no output. Invariant: a bin is judged once, in order, when each
//! queue that is waited for has left it behind; what comes later is judged with the next bin.

use super::merge::Inbox;
use crate::detect::{Alert, BinSpan, DetectionSettings, DetectorSet, EvidenceSet, JudgeContext, LocalNetworks};
use crate::engine::{Detection, EvidenceBox};
use netscope_backends::Timestamp;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

/// Later than any bin.
pub const FOREVER: Timestamp = Timestamp(u64::MAX);

/// Bins that may wait for slower queues; beyond that their boxes are left with their queues.
const OPEN_BINS_MAX: usize = 8;

/// Bins without a packet that are judged behind one with packets, so that what happened in it is judged when its answers have had their time.
const QUIET_BINS_MAX: u64 = 4;

/// What detection counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DetectionCounts {
    /// Alerts that began, those that were muted included.
    pub begun: u64,
    /// Alerts that nobody was told of, by a mute rule.
    pub muted: u64,
    /// Alerts that ended, those at the end of the run included.
    pub ended: u64,
    /// Alerts that did not begin because too many were under way.
    pub left_out: u64,
    /// Observations for which the tables of evidence had no room.
    pub overflow: u64,
    /// Bins whose evidence came with a later one, as there was no empty box.
    pub bins_delayed: u64,
}

/// How to judge.
#[derive(Clone, Debug)]
pub struct JudgeSettings {
    /// What the queues gather.
    pub detection: Detection,
    /// Which addresses are inside.
    pub local: LocalNetworks,
}

/// The judge of all queues.
pub struct Judging {
    detectors: DetectorSet,
    bin_ns: u64,
    local: LocalNetworks,
    open: BTreeMap<u64, EvidenceSet>,
    spare: Vec<EvidenceSet>,
    /// The bin each queue is in; `None` before its first box.
    at: Vec<Option<u64>>,
    /// The bin that was judged last.
    judged: Option<u64>,
    /// The latest time that a queue told.
    time: Timestamp,
    alerts: VecDeque<Alert>,
    counts: DetectionCounts,
    has_finished: bool,
}

impl Judging {
    /// A judge of so many queues.
    pub fn new(settings: JudgeSettings, queue_count: u16) -> Self {
        Self {
            detectors: settings.detection.detectors(),
            bin_ns: settings.detection.bin_ns,
            local: settings.local,
            open: BTreeMap::new(),
            spare: Vec::new(),
            at: vec![None; queue_count.into()],
            judged: None,
            time: Timestamp(0),
            alerts: VecDeque::new(),
            counts: DetectionCounts::default(),
            has_finished: false,
        }
    }

    /// Length of a bin in ns.
    pub fn bin_ns(&self) -> u64 {
        self.bin_ns
    }

    /// The start of the bin that was judged last.
    pub fn judged(&self) -> Option<Timestamp> {
        self.judged.map(|bin| self.span(bin).start)
    }

    /// What was counted so far.
    pub fn counts(&self) -> DetectionCounts {
        self.counts
    }

    /// Other thresholds from the next bin on.
    pub fn reload(&mut self, detection: &DetectionSettings) {
        self.detectors.reload(detection);
    }

    /// True when a box of this queue may be given now. The slowest queue is never held back.
    pub fn takes(&self, queue: usize) -> bool {
        self.open.len() < OPEN_BINS_MAX || self.at.iter().min().is_none_or(|least| self.at[queue] <= *least)
    }

    /// Takes the evidence of a queue, and leaves other memory in the box.
    pub fn accept(&mut self, queue: usize, evidence: &mut EvidenceBox) {
        let bin = evidence.bin.max(self.judged.map_or(0, |judged| judged + 1));
        let Self { detectors, open, spare, .. } = self;
        match open.entry(bin) {
            Entry::Occupied(mut sum) => detectors.merge(sum.get_mut(), &evidence.evidence),
            Entry::Vacant(place) => {
                let empty = spare.pop().unwrap_or_else(|| detectors.evidence());
                place.insert(std::mem::replace(&mut evidence.evidence, empty));
            }
        }
        self.at[queue] = Some(evidence.next_bin);
        self.time = self.time.max(evidence.time);
        self.counts.bins_delayed += evidence.delayed_count;
    }

    /// The next alert, if any, of bins that end before `limit`, [`FOREVER`] for all. `None` for good once all queues have ended and
    /// every alert has.
    pub fn poll(&mut self, inboxes: &[Inbox], limit: Timestamp) -> Option<Alert> {
        while self.alerts.is_empty() {
            let all_ended = inboxes.iter().all(Inbox::is_finished);
            let is_left = |bin: u64| {
                let mut queues = inboxes.iter().zip(&self.at);
                queues.all(|(inbox, at)| inbox.is_finished() || inbox.is_silent || at.is_some_and(|at| at > bin))
            };
            match self.open.keys().next().copied() {
                Some(bin) if is_left(bin) && (limit == FOREVER || self.span(bin).end < limit) => self.judge(bin),
                None if all_ended && !self.has_finished && limit == FOREVER => self.finish(),
                _ => break,
            }
        }
        self.alerts.pop_front()
    }

    /// True when no bin that ends before `limit` is to be judged any more; for [`FOREVER`], when all alerts have ended.
    pub fn has_passed(&self, inboxes: &[Inbox], limit: Timestamp) -> bool {
        let is_at = |(inbox, at): (&Inbox, &Option<u64>)| inbox.is_finished() || at.is_some_and(|at| self.span(at).end >= limit);
        let is_open = self.open.keys().next().is_some_and(|&bin| self.span(bin).end < limit);
        if limit == FOREVER { self.has_finished } else { !is_open && inboxes.iter().zip(&self.at).all(is_at) }
    }

    fn span(&self, bin: u64) -> BinSpan {
        let start = Timestamp(bin.saturating_mul(self.bin_ns));
        BinSpan { start, end: start.plus(self.bin_ns) }
    }

    fn judge(&mut self, bin: u64) {
        let Some(evidence) = self.open.remove(&bin) else { return };
        let quiet = self.judged.map_or(bin, |judged| judged + 1);
        for quiet in quiet..bin.min(quiet.saturating_add(QUIET_BINS_MAX)) {
            let none = self.spare.pop().unwrap_or_else(|| self.detectors.evidence());
            self.judge_bin(quiet, none);
        }
        self.counts.overflow += self.detectors.overflow(&evidence);
        self.judged = Some(bin);
        self.judge_bin(bin, evidence);
    }

    fn judge_bin(&mut self, bin: u64, mut evidence: EvidenceSet) {
        let span = self.span(bin).until(self.time);
        self.tell(span, |detectors, context| detectors.judge(&mut evidence, context));
        self.detectors.clear(&mut evidence);
        self.spare.push(evidence);
    }

    fn finish(&mut self) {
        self.has_finished = true;
        let span = BinSpan { start: self.time, end: self.time };
        self.tell(span, DetectorSet::finish);
    }

    fn tell(&mut self, bin: BinSpan, judge: impl FnOnce(&mut DetectorSet, &mut JudgeContext<'_>)) {
        let mut alerts = Vec::new();
        let Self { detectors, local, counts, .. } = self;
        judge(detectors, &mut JudgeContext { bin, local, alerts: &mut alerts, left_out: &mut counts.left_out });
        for alert in alerts {
            counts.note(&alert);
            self.alerts.push_back(alert);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Detector, DetectorBox, DetectorParts, Evidence, Observation};
    use crate::flow::{Direction, FlowEvents, FlowKey, SeenFlow};
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    /// Writes down which sums it judges.
    struct Notes(Arc<Mutex<Vec<(u64, u64)>>>);

    #[derive(Default)]
    struct Sum(u64);

    impl Evidence for Sum {
        fn merge(&mut self, other: &Self) {
            self.0 += other.0;
        }

        fn clear(&mut self) {
            self.0 = 0;
        }

        fn overflow(&self) -> u64 {
            0
        }
    }

    impl Detector for Notes {
        type Evidence = Sum;

        fn name(&self) -> &'static str {
            "notes"
        }

        fn evidence(&self) -> Sum {
            Sum::default()
        }

        fn observe(&self, seen: Observation<'_>, evidence: &mut Sum) {
            let Observation::Flows(flows) = seen else { return };
            evidence.0 += flows.len() as u64;
        }

        fn judge(&mut self, evidence: &mut Sum, context: &mut JudgeContext<'_>) {
            self.0.lock().expect("no panic").push((context.bin.start.0, evidence.0));
        }

        fn finish(&mut self, context: &mut JudgeContext<'_>) {
            self.0.lock().expect("no panic").push((context.bin.start.0, u64::MAX));
        }
    }

    fn flows(count: usize) -> Vec<SeenFlow> {
        let flow = SeenFlow {
            key: FlowKey::BLANK,
            direction: Direction::AToB,
            initiator: Direction::AToB,
            events: FlowEvents::OPENED,
            flags: None,
            answer: None,
            repeats: 0,
            first: Timestamp(0),
            last: Timestamp(0),
            number: 1,
        };
        vec![flow; count]
    }

    #[test]
    fn bins_are_judged_once_every_queue_has_left_them_and_late_ones_with_the_next() {
        let notes = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::clone(&notes);
        let detection = Detection::new(10, move || {
            let one: Box<dyn DetectorBox> = Box::new(DetectorParts::new(Notes(Arc::clone(&own))));
            vec![one]
        });
        let detectors = detection.detectors();
        let mut judging = Judging::new(JudgeSettings { detection, local: LocalNetworks::of(Vec::new()) }, 2);
        let now = Instant::now();
        let mut inboxes = [Inbox::new(0, 0, now), Inbox::new(1, 0, now)];
        let give = |judging: &mut Judging, inboxes: &[Inbox], queue, bin, next_bin, count| {
            let mut filled = EvidenceBox::new(&detectors);
            detectors.observe(Observation::Flows(&flows(count)), &mut filled.evidence);
            (filled.bin, filled.next_bin, filled.time) = (bin, next_bin, Timestamp(bin * 10 + 10));
            judging.accept(queue, &mut filled);
            assert!(judging.poll(inboxes, FOREVER).is_none());
            std::mem::take(&mut *notes.lock().expect("no panic"))
        };
        assert_eq!(give(&mut judging, &inboxes, 0, 1, 2, 5), [], "the other queue has said nothing");
        assert_eq!(give(&mut judging, &inboxes, 1, 1, 4, 7), [(10, 12)], "one bin of both");
        assert_eq!(give(&mut judging, &inboxes, 0, 2, 9, 1), [(20, 1)], "the other one is ahead");
        assert_eq!(give(&mut judging, &inboxes, 0, 9, 10, 2), []);
        inboxes[1].is_silent = true;
        let told = give(&mut judging, &inboxes, 0, 10, 11, 3);
        let quiet = [(30, 0), (40, 0), (50, 0), (60, 0)];
        assert_eq!(
            told,
            [&quiet[..], &[(90, 2), (100, 3)]].concat(),
            "a silent queue is not waited for; a few quiet bins are told of"
        );
        inboxes[1].is_silent = false;
        assert_eq!(give(&mut judging, &inboxes, 1, 4, 12, 4), [], "what comes late is kept");
        assert_eq!(give(&mut judging, &inboxes, 0, 11, 12, 1), [(110, 5)], "and judged with the next bin");
        for bin in 12..20 {
            assert!(judging.takes(0));
            assert_eq!(give(&mut judging, &inboxes, 0, bin, bin + 1, 1), []);
        }
        assert!(!judging.takes(0) && judging.takes(1), "the faster queue is held back, the slowest never");
        inboxes.iter_mut().for_each(|inbox| inbox.accept_end(now));
        assert!(judging.poll(&inboxes, FOREVER).is_none());
        let rest = std::mem::take(&mut *notes.lock().expect("no panic"));
        assert_eq!((rest.len(), rest.last()), (9, Some(&(200, u64::MAX))), "8 bins and the end, which is told once");
        assert!(judging.poll(&inboxes, FOREVER).is_none());
        assert_eq!(notes.lock().expect("no panic").len(), 0);
    }
}
