//! Data sent out: bytes from a host inside to hosts outside, above a setting.
//!
//! Owns the rule. Knows sizes alone, no contents. Invariants: growth of flows adds up, so bytes count in the bin in which they were seen; what went
//! to a destination that is told of by itself is not told again of its source.

mod sent;
mod tell;

use self::sent::SentBytes;
use super::detector::{BinSpan, Detector, JudgeContext};
use super::{
    AlertEnd, AlertLives, AlertPhase, Contact, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable, EvidenceWindow,
    IpPrefix, LivePayload, LocalNetworks, Observation, Told,
};
use crate::flow::{Direction, FlowGrowth, HostAddress};
use netscope_backends::Timestamp;
use std::collections::BTreeMap;

/// `[analysis.anomalies.data_out]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataOutSettings {
    /// Length of the window in ns.
    pub window_ns: u64,
    /// Bytes in the window from which on they are much.
    pub bytes_threshold: u64,
    /// Bytes that hosts inside answer with count, too: of flows that began outside.
    pub counts_answers: bool,
    /// Hosts that are left out at either end.
    pub allowed_networks: Vec<IpPrefix>,
    /// Time in ns without it after which the alert is over.
    pub cooldown_ns: u64,
}

/// The detector. Keys: a host inside, and a host inside with one outside.
pub struct DataOut {
    settings: DataOutSettings,
    local: LocalNetworks,
    table_bytes: usize,
    hash: EvidenceHash,
    window: EvidenceWindow<SentBytes>,
    lives: AlertLives<EvidenceKey, SentLife>,
}

/// What is kept of an alert under way.
struct SentLife {
    life: SentBytes,
    window: SentBytes,
    is_at_least: bool,
}

impl LivePayload for SentLife {
    fn magnitude(&self) -> u64 {
        self.life.bytes
    }
}

impl SentLife {
    fn told<'a>(
        &'a self,
        key: &'a EvidenceKey,
        phase: AlertPhase,
        time: Timestamp,
        local: &'a LocalNetworks,
    ) -> Told<'a, SentBytes> {
        Told { key, phase, time, life: &self.life, window: &self.window, is_at_least: self.is_at_least, local }
    }
}

fn is_pair(key: &EvidenceKey) -> bool {
    key.peer != HostAddress::NONE
}

impl DataOut {
    /// A detector that has seen nothing.
    pub fn new(settings: DataOutSettings, all: &DetectionSettings) -> Self {
        let window = EvidenceWindow::new(settings.window_ns, all.bin_ns(), all.table_bytes, &all.hash).without_answers();
        let lives = AlertLives::new(all.life(settings.cooldown_ns, settings.window_ns));
        let (local, table_bytes, hash) = (all.local.clone(), all.table_bytes, all.hash.clone());
        Self { settings, local, table_bytes, hash, window, lives }
    }

    /// What a flow grew by in a direction that leads out.
    fn note(&self, flow: &FlowGrowth, direction: Direction, table: &mut EvidenceTable<SentBytes>) {
        let bytes = flow.bytes[direction.index()];
        let is_answer = direction != flow.initiator;
        if bytes == 0 || is_answer && !self.settings.counts_answers {
            return;
        }
        let ((host, _), (peer, port)) = (flow.key.source(direction), flow.key.destination(direction));
        if !self.local.contains(host) || self.local.contains(peer) || peer.is_group() {
            return;
        }
        let allowed = &self.settings.allowed_networks;
        if allowed.iter().any(|network| network.contains(host) || network.contains(peer)) {
            return;
        }
        let key = EvidenceKey { host, ..EvidenceKey::NONE };
        let ranked = |contact| (self.hash.rank(&contact), contact);
        let (to_host, to_port) = (ranked(Contact { host: peer, port: 0 }), ranked(Contact { host: HostAddress::NONE, port }));
        table.observe(key, |sent| sent.note(flow, bytes, to_host));
        table.observe(EvidenceKey { peer, ..key }, |sent| sent.note(flow, bytes, to_port));
    }

    /// Begins an alert, or goes on with it.
    fn hold(&mut self, holding: Vec<(EvidenceKey, SentBytes)>, bin: BinSpan, context: &mut JudgeContext<'_>) {
        let is_at_least = self.window.overflows();
        for (key, sum) in holding {
            if let Some(life) = self.lives.hold(&key, bin) {
                life.window = sum;
                continue;
            }
            let life = SentLife { life: sum.clone(), window: sum, is_at_least };
            let alert = tell::alert(&life.told(&key, AlertPhase::Begin, bin.end, context.local), &self.settings);
            if self.lives.begin(key, life, bin) {
                context.alerts.push(alert);
            } else {
                *context.left_out += 1;
            }
        }
    }

    fn judge_settled(&mut self, bin: BinSpan, context: &mut JudgeContext<'_>) {
        let Self { settings, window, lives, .. } = self;
        let local = context.local;
        lives.end_quiet(bin, |key, life, at| {
            context.alerts.push(tell::alert(&life.told(&key, AlertPhase::End(AlertEnd::Quiet), at, local), settings));
        });
        let overflows = window.overflows();
        // What went to destinations that are told of is not counted again for their host.
        let mut told: BTreeMap<HostAddress, u64> = BTreeMap::new();
        for (key, _) in lives.payloads().filter(|(key, _)| is_pair(key)) {
            *told.entry(key.host).or_default() += window.settled(key).map_or(0, |settled| settled.bytes);
        }
        for (key, life) in lives.payloads() {
            if let Some(settled) = window.settled(key) {
                let elsewhere = if is_pair(key) { 0 } else { told.get(&key.host).copied().unwrap_or(0) };
                life.life.merge_sent(&SentBytes { bytes: settled.bytes.saturating_sub(elsewhere), ..settled.clone() });
            }
            life.is_at_least |= overflows;
        }
        let limit = settings.bytes_threshold;
        let pairs = window.holding(limit, |key, sum| (is_pair(key) && sum.bytes >= limit).then_some(sum));
        self.hold(pairs, bin, context);
        // Of a host what is left when those destinations are not counted.
        let mut told: BTreeMap<HostAddress, u64> = BTreeMap::new();
        let Self { window, lives, .. } = self;
        for (key, _) in lives.payloads().filter(|(key, _)| is_pair(key)) {
            *told.entry(key.host).or_default() += window.gather(key, 0).map_or(0, |sum| sum.bytes);
        }
        let rest = |key: &EvidenceKey, sum: &SentBytes| sum.bytes.saturating_sub(told.get(&key.host).copied().unwrap_or(0));
        let hosts = window.holding(limit, |key, sum| {
            let bytes = rest(key, &sum);
            (!is_pair(key) && bytes >= limit).then_some(SentBytes { bytes, ..sum })
        });
        self.hold(hosts, bin, context);
        let Self { settings, lives, .. } = self;
        lives.tell_grown(|key, life| {
            context.alerts.push(tell::alert(&life.told(key, AlertPhase::Update, bin.end, local), settings));
        });
    }
}

impl Detector for DataOut {
    type Evidence = EvidenceTable<SentBytes>;

    fn name(&self) -> &'static str {
        tell::KIND
    }

    fn evidence(&self) -> Self::Evidence {
        EvidenceTable::new(self.table_bytes, &self.hash)
    }

    fn follows_growth(&self) -> bool {
        true
    }

    fn observe(&self, seen: Observation<'_>, table: &mut Self::Evidence) {
        let Observation::Growth(flows) = seen else { return };
        for flow in flows {
            [Direction::AToB, Direction::BToA].into_iter().for_each(|direction| self.note(flow, direction, table));
        }
    }

    fn judge(&mut self, evidence: &mut Self::Evidence, context: &mut JudgeContext<'_>) {
        self.window.push(context.bin, evidence);
        while let Some(bin) = self.window.settle(context.bin.end) {
            self.judge_settled(bin, context);
        }
    }

    fn reload(&mut self, settings: &DetectionSettings) {
        if let Some(new) = settings.detectors.data_out.clone() {
            self.settings = DataOutSettings { window_ns: self.settings.window_ns, ..new };
            self.lives.set_life(settings.life(self.settings.cooldown_ns, self.settings.window_ns));
        }
    }

    fn finish(&mut self, context: &mut JudgeContext<'_>) {
        while let Some(bin) = self.window.settle(Timestamp(u64::MAX)) {
            self.judge_settled(bin, context);
        }
        let Self { settings, lives, .. } = self;
        let (at, local) = (context.bin.end, context.local);
        lives.end_all(|key, life, end| {
            context.alerts.push(tell::alert(&life.told(&key, AlertPhase::End(end), at, local), settings));
        });
    }
}
