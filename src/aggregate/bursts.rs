//! Microbursts of the whole link: bins of all queues come together at the end of each tick, alerts go out.
//!
//! Owns the judge and its alerts that were not told yet. Knows no mailbox and no output. Invariant: each tick is judged once, in order.

use super::judging::DetectionCounts;
use super::merge::Inbox;
use crate::detect::{
    Alert, AlertPhase, BinSpan, BurstLink, BurstReport, LinkBins, LocalNetworks, MicroburstJudge, MicroburstSettings,
};
use crate::engine::LinkMetering;
use netscope_backends::Timestamp;
use std::collections::VecDeque;

/// Which links there are, and how their bursts are judged.
#[derive(Clone, Debug)]
pub struct BurstJudging {
    /// The rule.
    pub settings: MicroburstSettings,
    /// The links, at least one.
    pub links: Vec<BurstLink>,
    /// Of each queue the place of its link; empty where there is one.
    pub link_of_queue: Vec<u8>,
    /// Which addresses are inside.
    pub local: LocalNetworks,
}

impl BurstJudging {
    /// How the queues count for it.
    pub fn metering(&self) -> LinkMetering {
        let hot_load = |link: &BurstLink| link.speed_bps.map_or(u64::MAX, |speed| self.settings.load_max(speed));
        LinkMetering { bin_ns: self.settings.bin_ns, hot_loads: self.links.iter().map(hot_load).collect() }
    }
}

/// The bursts of a run.
pub struct Bursts {
    judging: BurstJudging,
    judge: MicroburstJudge,
    /// Each with the end of its tick.
    alerts: VecDeque<(Timestamp, Alert)>,
    counts: DetectionCounts,
    time: Timestamp,
    has_finished: bool,
}

impl Bursts {
    /// For ticks of this length.
    pub fn new(judging: BurstJudging, tick_ns: u64) -> Self {
        let judge = MicroburstJudge::new(judging.settings, tick_ns);
        let (alerts, counts) = (VecDeque::new(), DetectionCounts::default());
        Self { judging, judge, alerts, counts, time: Timestamp(0), has_finished: false }
    }

    /// End of the latest tick that was judged.
    pub fn judged(&self) -> Option<Timestamp> {
        (self.time > Timestamp(0)).then_some(self.time)
    }

    /// Alerts so far.
    pub fn counts(&self) -> DetectionCounts {
        self.counts
    }

    /// A tick is complete on all queues that are waited for: the bursts of each link in it.
    pub fn report(&mut self, inboxes: &[Inbox], time: Timestamp, interval_ns: u64) -> Vec<BurstReport> {
        let Self { judging: BurstJudging { settings, links, link_of_queue, local }, judge, .. } = self;
        let mut bins: Vec<LinkBins> = links.iter().map(|_| LinkBins::default()).collect();
        for inbox in inboxes {
            let link = link_of_queue.get(usize::from(inbox.index())).copied().unwrap_or(0);
            if let Some(bins) = bins.get_mut(usize::from(link)) {
                bins.add(inbox.index(), &inbox.merged.evidence.bursts);
            }
        }
        let reports: Vec<BurstReport> =
            bins.into_iter().zip(links).map(|(bins, link)| bins.report(link, settings, interval_ns, local)).collect();
        let mut alerts = Vec::new();
        let interval = BinSpan { start: Timestamp(time.0.saturating_sub(interval_ns)), end: time };
        judge.judge(&reports, interval, local, &mut alerts);
        self.time = time;
        self.tell(alerts);
        reports
    }

    /// The end of the tick whose alert is the next one; `None` without any.
    pub fn next_time(&self) -> Option<Timestamp> {
        self.alerts.front().map(|(time, _)| *time)
    }

    /// The next alert, if any. `is_over`: no tick comes any more.
    pub fn poll(&mut self, is_over: bool) -> Option<Alert> {
        if is_over && self.alerts.is_empty() && !self.has_finished {
            self.has_finished = true;
            let mut alerts = Vec::new();
            self.judge.finish(self.time, &self.judging.local, &mut alerts);
            self.tell(alerts);
        }
        self.alerts.pop_front().map(|(_, alert)| alert)
    }

    fn tell(&mut self, alerts: Vec<Alert>) {
        for alert in alerts {
            self.counts.note(&alert);
            self.alerts.push_back((self.time, alert));
        }
    }
}

impl DetectionCounts {
    /// An alert is told.
    pub fn note(&mut self, alert: &Alert) {
        match alert.phase {
            AlertPhase::Begin => self.begun += 1,
            AlertPhase::Update => {}
            AlertPhase::End(_) => self.ended += 1,
        }
    }

    /// What two kinds of detection counted.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            begun: self.begun + other.begun,
            muted: self.muted + other.muted,
            ended: self.ended + other.ended,
            left_out: self.left_out + other.left_out,
            overflow: self.overflow + other.overflow,
            bins_delayed: self.bins_delayed + other.bins_delayed,
        }
    }
}
