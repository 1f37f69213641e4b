//! Microbursts: milliseconds in which a link carries nearly all it can, inside seconds that look idle.
//!
//! Owns the rule and the lives of its alerts. It observes no flow: what the queues count is bytes by bins of packet time, which add up over queues, and what is
//! judged is the sum of a link in one interval ([`BurstReport`]). Invariant: the same bins give the same alerts however they were dealt to queues.

mod evidence;
mod report;
mod tell;

pub use self::evidence::{BurstBin, BurstEvidence, BurstFlow, FRAME_OVERHEAD};
pub use self::report::{BurstLink, BurstReport, LinkBins, QueueBursts};

use self::tell::BurstLife;
use super::{Alert, AlertLives, AlertPhase, BinSpan, LifeSettings, LocalNetworks};
use netscope_backends::Timestamp;

/// `[analysis.anomalies.microburst]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MicroburstSettings {
    /// Length of a bin in ns, at least 1.
    pub bin_ns: u64,
    /// Speed of the link in bits per second; `None` = as the interface says.
    pub link_bps: Option<u64>,
    /// Percent of that above which a bin is a burst.
    pub threshold_percent: u64,
    /// Time in ns without a burst after which the alert is over.
    pub cooldown_ns: u64,
}

impl MicroburstSettings {
    /// Bins of one interval at most: 16 s of 1 ms, 1.6 s of 100 us.
    pub const BIN_COUNT_MAX: u64 = 16_384;

    /// What a bin of a link of this speed carries at most without being a burst: bytes with preamble, check sequence and gap.
    pub fn load_max(&self, link_bps: u64) -> u64 {
        let bits_ns = u128::from(link_bps).saturating_mul(self.bin_ns.into()).saturating_mul(self.threshold_percent.into());
        u64::try_from(bits_ns / (8 * 100 * 1_000_000_000)).unwrap_or(u64::MAX)
    }
}

/// Judges the links of a run.
pub struct MicroburstJudge {
    settings: MicroburstSettings,
    interval_ns: u64,
    lives: AlertLives<usize, BurstLife>,
}

impl MicroburstJudge {
    /// A judge of intervals of this length.
    pub fn new(settings: MicroburstSettings, interval_ns: u64) -> Self {
        // An alert outlives the intervals between two bursts that follow each other.
        let cooldown_ns = settings.cooldown_ns.max(interval_ns);
        // One per link, and there are at most 256.
        let lives = AlertLives::new(LifeSettings { cooldown_ns, alert_count_max: usize::MAX });
        Self { settings, interval_ns, lives }
    }

    /// The bursts of all links in one interval; told once, in order.
    pub fn judge(&mut self, reports: &[BurstReport], interval: BinSpan, local: &LocalNetworks, alerts: &mut Vec<Alert>) {
        let Self { settings, interval_ns, lives } = self;
        lives.end_quiet(interval, |_, life, time| {
            alerts.push(life.alert(AlertPhase::End(super::AlertEnd::Quiet), time, settings, *interval_ns, local));
        });
        for (link, report) in reports.iter().enumerate().filter(|(_, report)| report.above.is_some_and(|above| above > 0)) {
            match lives.hold(&link, interval) {
                Some(life) => life.add(report),
                None => {
                    let life = BurstLife::new(report);
                    alerts.push(life.alert(AlertPhase::Begin, life.last(), settings, *interval_ns, local));
                    lives.begin(link, life, interval);
                }
            }
        }
        lives.tell_grown(|_, life| {
            alerts.push(life.alert(AlertPhase::Update, life.last(), settings, *interval_ns, local));
        });
    }

    /// The run is over, at `time`.
    pub fn finish(&mut self, time: Timestamp, local: &LocalNetworks, alerts: &mut Vec<Alert>) {
        let Self { settings, interval_ns, lives } = self;
        lives.end_all(|_, life, why| {
            alerts.push(life.alert(AlertPhase::End(why), time, settings, *interval_ns, local));
        });
    }
}

#[cfg(test)]
mod tests;
