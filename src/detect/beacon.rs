//! Beacons: a host inside that connects to the same service outside again and again, at even intervals, with even sizes, for hours.
//!
//! Owns the rule, which is RITA's; [`score`] has the arithmetic. Knows times and sizes of connections, no contents. Invariant: the scores are computed
//! of the merged times of all queues, a few times an hour, so they do not depend on how connections were dealt.

mod score;
mod tell;
mod times;

use self::score::BeaconScore;
use self::times::ContactTimes;
use super::detector::{BinSpan, Detector, JudgeContext};
use super::{
    Alert, AlertEnd, AlertLives, AlertPhase, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable, EvidenceWindow,
    IpPrefix, LifeSettings, LivePayload, LocalNetworks, Observation, SamplePackets, SeenSpan,
};
use crate::flow::FlowEnd;
use netscope_backends::Timestamp;

const TCP: u8 = 6;
const UDP: u8 = 17;
/// Hours of a window: bars of the histogram.
const HOURS: u64 = 24;
/// It is judged so many times in a window.
const JUDGED_PER_WINDOW: u64 = 96;
/// A beacon that has been silent for so many of its intervals is none at present.
const INTERVALS_SILENT: f64 = 4.0;

/// `[analysis.anomalies.beacon]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeaconSettings {
    /// Length of the window in ns.
    pub window_ns: u64,
    /// Time in ns from the first connection to the last, before which nothing is said.
    pub span_ns_min: u64,
    /// Connections in the window, before which nothing is said.
    pub connections_min: u64,
    /// The score from which on it is a beacon, in thousandths.
    pub score_permille_min: u64,
    /// Hosts that are left out at either end.
    pub allowed_networks: Vec<IpPrefix>,
    /// Ports that are left out.
    pub allowed_ports: Vec<u16>,
    /// Time in ns without it after which the alert is over.
    pub cooldown_ns: u64,
}

/// The detector. Keys: source, destination, its port and the protocol.
pub struct Beacon {
    settings: BeaconSettings,
    local: LocalNetworks,
    table_bytes: usize,
    hash: EvidenceHash,
    window: EvidenceWindow<ContactTimes>,
    lives: AlertLives<EvidenceKey, BeaconLife>,
    /// When the first bin began.
    first: Option<Timestamp>,
    /// The step of packet time in which it was judged last.
    judged: Option<u64>,
}

/// What the window says of a pair.
#[derive(Clone, Copy, Debug)]
struct BeaconFinding {
    score: BeaconScore,
    /// Median, and median deviation from it, in seconds.
    interval: f64,
    jitter: f64,
}

impl BeaconFinding {
    /// The score in thousandths.
    fn permille(&self) -> u64 {
        permille(self.score.total())
    }
}

fn permille(score: f64) -> u64 {
    (score * 1000.0).round() as u64
}

/// What is kept of a beacon under way.
struct BeaconLife {
    span: SeenSpan,
    count: u64,
    bytes: u64,
    samples: SamplePackets,
    /// When the rule held last.
    finding: BeaconFinding,
    is_at_least: bool,
}

impl LivePayload for BeaconLife {
    fn magnitude(&self) -> u64 {
        self.count
    }
}

impl BeaconLife {
    fn new(window: ContactTimes, finding: BeaconFinding, is_at_least: bool) -> Self {
        let ContactTimes { span, count, bytes, samples, .. } = window;
        Self { span, count, bytes, samples, finding, is_at_least }
    }

    fn add(&mut self, settled: &ContactTimes) {
        self.span.merge(settled.span);
        self.count += settled.count;
        self.bytes += settled.bytes;
        self.samples.merge(&settled.samples);
    }
}

impl BeaconSettings {
    /// A 24th of the window; a second at least.
    fn hour_ns(&self) -> u64 {
        (self.window_ns / HOURS / Timestamp::NS_PER_SEC).max(1) * Timestamp::NS_PER_SEC
    }

    fn step_ns(&self) -> u64 {
        (self.window_ns / JUDGED_PER_WINDOW).max(1)
    }
}

impl Beacon {
    /// A detector that has seen nothing.
    pub fn new(settings: BeaconSettings, all: &DetectionSettings) -> Self {
        let window = EvidenceWindow::new(settings.window_ns, all.bin_ns(), all.table_bytes, &all.hash);
        let lives = LifeSettings {
            cooldown_ns: settings.cooldown_ns.max(2 * settings.step_ns()),
            alert_count_max: DetectionSettings::ALERT_COUNT_MAX,
        };
        let (local, table_bytes, hash) = (all.local.clone(), all.table_bytes, all.hash.clone());
        Self { settings, local, table_bytes, hash, window, lives: AlertLives::new(lives), first: None, judged: None }
    }

    /// Between whom a flow was, if it may be part of a beacon.
    fn key(&self, end: &FlowEnd) -> Option<EvidenceKey> {
        let protocol = end.key.protocol();
        let ((host, _), (peer, port)) = (end.key.source(end.initiator), end.key.destination(end.initiator));
        let settings = &self.settings;
        let leads_out = || self.local.contains(host) && !self.local.contains(peer) && !peer.is_group();
        let is_allowed = || {
            settings.allowed_ports.contains(&port)
                || settings.allowed_networks.iter().any(|network| network.contains(host) || network.contains(peer))
        };
        let is_meant = matches!(protocol, TCP | UDP) && leads_out() && !is_allowed();
        is_meant.then_some(EvidenceKey { host, peer, port, protocol })
    }

    /// The rule for a pair, at the end of a bin.
    fn finding(&self, times: &ContactTimes, bin: BinSpan) -> Option<BeaconFinding> {
        let settings = &self.settings;
        let hour_ns = settings.hour_ns();
        let window_first = Timestamp(bin.end.0.saturating_sub(settings.window_ns)).max(self.first.unwrap_or(bin.start));
        // Hours that are in the window as a whole; of the others there are fewer connections.
        let hours = window_first.0.div_ceil(hour_ns)..bin.end.0 / hour_ns;
        let hour_first = window_first.0 / hour_ns;
        let span_ns = times.span.last().since(times.first_from(hour_first, hour_ns)?);
        if times.count < settings.connections_min || span_ns < settings.span_ns_min {
            return None;
        }
        let mut intervals = times.intervals(hour_first, hour_ns);
        let timing = score::regularity(&mut intervals, 1.0);
        let (interval, jitter) = (score::median(&intervals), score::deviation(&intervals));
        let (bars, all_bars) = (times.bars(hours), times.bars(hour_first..bin.end.0.div_ceil(hour_ns)));
        let coverage = span_ns as f64 / settings.window_ns as f64;
        let score = BeaconScore {
            timing,
            sizes: score::regularity(&mut times.sizes(hour_first), 0.0),
            duration: score::duration(&all_bars, bars.len() as u64 >= HOURS - 1, coverage),
            histogram: score::histogram(&bars),
        };
        let finding = BeaconFinding { score, interval, jitter };
        let silence_max = (INTERVALS_SILENT * interval).max(2.0 * settings.step_ns() as f64 / Timestamp::NS_PER_SEC as f64);
        let is_silent = bin.end.since(times.span.last()) as f64 > silence_max * Timestamp::NS_PER_SEC as f64;
        (finding.permille() >= settings.score_permille_min && !is_silent).then_some(finding)
    }

    /// Judges all pairs of the window.
    fn judge_pairs(&mut self, bin: BinSpan, context: &mut JudgeContext<'_>) {
        let overflows = self.window.overflows();
        for key in self.window.keys() {
            let Some(times) = self.window.gather(&key, self.settings.connections_min) else { continue };
            let Some(finding) = self.finding(&times, bin) else { continue };
            if let Some(life) = self.lives.hold(&key, bin) {
                let before = tell::severity(life.finding.permille());
                life.finding = finding;
                if tell::severity(finding.permille()) > before {
                    context.alerts.push(tell::alert(&key, life, AlertPhase::Update, bin.end, &self.settings, context.local));
                }
                continue;
            }
            let life = BeaconLife::new(times, finding, overflows);
            let alert = tell::alert(&key, &life, AlertPhase::Begin, bin.end, &self.settings, context.local);
            if self.lives.begin(key, life, bin) {
                context.alerts.push(alert);
            } else {
                *context.left_out += 1;
            }
        }
    }

    /// Judges the bin that came into the window last. `is_last`: whatever the time, as there is none behind it.
    fn judge_settled(&mut self, bin: BinSpan, is_last: bool, context: &mut JudgeContext<'_>) {
        let Self { settings, window, lives, .. } = self;
        let local = context.local;
        let tell = |alerts: &mut Vec<Alert>, key: &EvidenceKey, life: &BeaconLife, phase, at| {
            alerts.push(tell::alert(key, life, phase, at, settings, local));
        };
        lives.end_quiet(bin, |key, life, at| tell(context.alerts, &key, &life, AlertPhase::End(AlertEnd::Quiet), at));
        let overflows = window.overflows();
        for (key, life) in lives.payloads() {
            if let Some(settled) = window.settled(key) {
                life.add(settled);
            }
            life.is_at_least |= overflows;
        }
        lives.tell_grown(|key, life| tell(context.alerts, key, life, AlertPhase::Update, bin.end));
        self.first.get_or_insert(bin.start);
        let step = bin.end.0 / self.settings.step_ns();
        if is_last || self.judged.is_none_or(|judged| judged < step) {
            self.judged = Some(step);
            self.judge_pairs(bin, context);
        }
    }
}

impl Detector for Beacon {
    type Evidence = EvidenceTable<ContactTimes>;

    fn name(&self) -> &'static str {
        tell::KIND
    }

    fn evidence(&self) -> Self::Evidence {
        EvidenceTable::new(self.table_bytes, &self.hash)
    }

    fn observe(&self, seen: Observation<'_>, table: &mut Self::Evidence) {
        let Observation::End(end) = seen else { return };
        let Some(key) = self.key(end) else { return };
        let sent = end.bytes[end.initiator.index()];
        table.observe(key, |times| times.note(end.first_seen, self.settings.hour_ns(), sent, end.into()));
    }

    fn judge(&mut self, evidence: &mut Self::Evidence, context: &mut JudgeContext<'_>) {
        if let Some(bin) = self.window.push(context.bin, evidence) {
            self.judge_settled(bin, false, context);
        }
    }

    fn finish(&mut self, context: &mut JudgeContext<'_>) {
        if let Some(bin) = self.window.settle() {
            self.judge_settled(bin.until(context.bin.end), true, context);
        }
        let Self { settings, lives, .. } = self;
        let (at, local) = (context.bin.end, context.local);
        lives.end_all(|key, life, end| {
            context.alerts.push(tell::alert(&key, &life, AlertPhase::End(end), at, settings, local));
        });
    }
}
