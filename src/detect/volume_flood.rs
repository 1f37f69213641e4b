//! Floods by volume: packets that a host or a network gets at a high rate and has not asked for.
//!
//! Owns what is gathered and the rule. Outcomes count, not volume: who answers, or began the conversation, is not flooded, however much it gets.
//! `docs/detectors.md` has the rule in words.

mod baseline;
mod classes;
mod tell;
mod volume;

use self::baseline::{FloodRates, RateBaselines, UsualRates};
use self::classes::{FloodClass, GrowthMeaning, VolumeCount, meaning_of, sender};
use self::tell::VolumeLife;
use self::volume::FloodVolume;
use super::detector::{BinSpan, Detector, Evidence, JudgeContext};
use super::victim_network::{CARPET_HOSTS, network_of};
use super::{
    AlertEnd, AlertLives, AlertPhase, Contact, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable, EvidenceWindow,
    Observation,
};
use crate::flow::{FlowGrowth, HostAddress, SeenFragment};
use netscope_backends::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

const TCP: u8 = 6;
/// No packet is shorter.
const PACKET_BYTES_MIN: u64 = 20;
/// A flood of something whose usual rate is known becomes usual itself after so many times the time of learning.
const NEW_NORMAL_TIMES: u64 = 24;

/// Rates of a class from which on it is a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloodFloors {
    /// Packets a second.
    pub packets_per_sec: u64,
    /// Bits a second, link headers included.
    pub bits_per_sec: u64,
}

/// `[analysis.anomalies.volume_flood]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeFloodSettings {
    /// Length of the window in ns.
    pub window_ns: u64,
    /// Of datagrams.
    pub udp: FloodFloors,
    /// Of ICMP messages.
    pub icmp: FloodFloors,
    /// Of fragments without the rest of their datagrams.
    pub fragments: FloodFloors,
    /// Of reflectors' answers, of each protocol.
    pub amplification: FloodFloors,
    /// Sources in the window from which on a flood is distributed.
    pub unique_src_threshold: u64,
    /// How many times the usual rate is a flood.
    pub baseline_factor: u64,
    /// Time in ns until usual rates are known; at least [`VolumeFloodSettings::WINDOWS_PER_LEARNING`] windows.
    pub learning_ns: u64,
    /// Time in ns without a flood after which the alert is over.
    pub cooldown_ns: u64,
}

impl VolumeFloodSettings {
    /// Learning takes at least so many windows, so that the beginning of a flood is no twentieth of what is learned.
    pub const WINDOWS_PER_LEARNING: u64 = 20;

    const fn floors(&self, class: FloodClass) -> FloodFloors {
        match class {
            FloodClass::Udp => self.udp,
            FloodClass::Icmp => self.icmp,
            FloodClass::Fragments => self.fragments,
            FloodClass::Amplification => self.amplification,
        }
    }

    /// Rates below these are not learned: so many times such a rate is below the floor.
    const fn least(&self, class: FloodClass) -> FloodRates {
        let FloodFloors { packets_per_sec, bits_per_sec } = self.floors(class);
        FloodRates { packets: packets_per_sec.div_ceil(self.baseline_factor), bits: bits_per_sec.div_ceil(self.baseline_factor) }
    }

    /// Bytes in a window with which the least of all rates can be reached.
    fn weight_min(&self) -> u64 {
        let bytes = |class| {
            let FloodRates { packets, bits } = self.least(class);
            u128::from((packets * PACKET_BYTES_MIN).min(bits / 8)) * u128::from(self.window_ns)
        };
        let least = FloodClass::ALL.into_iter().map(bytes).min().unwrap_or(0);
        u64::try_from(least / u128::from(Timestamp::NS_PER_SEC)).unwrap_or(u64::MAX).max(1)
    }

    /// What a window's packets are a second.
    fn rates(&self, count: VolumeCount) -> FloodRates {
        let per_sec = |count: u64| {
            let rate = u128::from(count) * u128::from(Timestamp::NS_PER_SEC) / u128::from(self.window_ns.max(1));
            u64::try_from(rate).unwrap_or(u64::MAX)
        };
        FloodRates { packets: per_sec(count.packets), bits: per_sec(count.bytes.saturating_mul(8)) }
    }

    /// The rule: over the floor, and over what is usual.
    const fn is_over(&self, class: FloodClass, rates: FloodRates, usual: FloodRates) -> [bool; 2] {
        let floors = self.floors(class);
        let factor = self.baseline_factor;
        [
            rates.packets >= floors.packets_per_sec && rates.packets >= usual.packets.saturating_mul(factor),
            rates.bits >= floors.bits_per_sec && rates.bits >= usual.bits.saturating_mul(factor),
        ]
    }
}

/// What is flooded, and with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum FloodTarget {
    /// A host.
    Host(EvidenceKey),
    /// Several hosts of a network.
    Network(EvidenceKey),
}

impl FloodTarget {
    const fn key(&self) -> &EvidenceKey {
        match self {
            Self::Host(key) | Self::Network(key) => key,
        }
    }

    /// The same of the network.
    fn network(&self) -> EvidenceKey {
        network_key(self.key())
    }
}

fn network_key(key: &EvidenceKey) -> EvidenceKey {
    EvidenceKey { host: network_of(key.host), ..*key }
}

/// Packets by destination and by its network.
pub struct VolumeFloodEvidence {
    hosts: EvidenceTable<FloodVolume>,
    networks: EvidenceTable<FloodVolume>,
}

impl Evidence for VolumeFloodEvidence {
    fn merge(&mut self, other: &Self) {
        self.hosts.merge(&other.hosts);
        self.networks.merge(&other.networks);
    }

    fn clear(&mut self) {
        self.hosts.clear();
        self.networks.clear();
    }

    fn overflow(&self) -> u64 {
        self.hosts.overflow() + self.networks.overflow()
    }
}

/// What a window says of a target.
struct JudgedVolume {
    volume: FloodVolume,
    rates: FloodRates,
    usual: UsualRates,
    /// By packets, by bits.
    is_over: [bool; 2],
}

impl JudgedVolume {
    const fn is_flood(&self) -> bool {
        self.is_over[0] || self.is_over[1]
    }
}

/// The detector.
pub struct VolumeFlood {
    settings: VolumeFloodSettings,
    bin_ns: u64,
    table_bytes: usize,
    hash: EvidenceHash,
    weight_min: u64,
    hosts: EvidenceWindow<FloodVolume>,
    networks: EvidenceWindow<FloodVolume>,
    baselines: RateBaselines,
    lives: AlertLives<FloodTarget, VolumeLife>,
}

impl VolumeFlood {
    /// A detector that has seen nothing.
    pub fn new(settings: VolumeFloodSettings, all: &DetectionSettings) -> Self {
        let window = || EvidenceWindow::new(settings.window_ns, all.bin_ns(), all.table_bytes, &all.hash).without_answers();
        Self {
            settings,
            bin_ns: all.bin_ns(),
            table_bytes: all.table_bytes,
            hash: all.hash.clone(),
            weight_min: settings.weight_min(),
            hosts: window(),
            networks: window(),
            baselines: RateBaselines::new(all.bin_ns(), settings.learning_ns),
            lives: AlertLives::new(all.life(settings.cooldown_ns, settings.window_ns)),
        }
    }

    fn judged(&self, target: FloodTarget, volume: FloodVolume) -> Option<(FloodTarget, JudgedVolume)> {
        let settings = &self.settings;
        let class = FloodClass::of(target.key());
        let (rates, least) = (settings.rates(volume.alone()), settings.least(class));
        let is_busy = rates.packets >= least.packets || rates.bits >= least.bits;
        is_busy.then(|| {
            let usual = self.baselines.usual(&target, least);
            let is_over = settings.is_over(class, rates, usual.rates());
            (target, JudgedVolume { volume, rates, usual, is_over })
        })
    }

    /// All that are busy in the bin that came into the windows last: hosts, then networks.
    fn busy(&self) -> [Vec<(FloodTarget, JudgedVolume)>; 2] {
        let of = |window: &EvidenceWindow<FloodVolume>, target: fn(EvidenceKey) -> FloodTarget| {
            let found = window.holding(self.weight_min, |key, volume| self.judged(target(*key), volume));
            found.into_iter().map(|(_, judged)| judged).collect()
        };
        [of(&self.hosts, FloodTarget::Host), of(&self.networks, FloodTarget::Network)]
    }

    /// Those of the busy ones that are flooded: networks in place of their hosts where several are.
    fn flooded(&self, [hosts, networks]: [Vec<(FloodTarget, JudgedVolume)>; 2]) -> Vec<(FloodTarget, JudgedVolume)> {
        let mut by_network: BTreeMap<EvidenceKey, Vec<(FloodTarget, JudgedVolume)>> = BTreeMap::new();
        for (target, judged) in hosts.into_iter().filter(|(_, judged)| judged.is_flood()) {
            by_network.entry(target.network()).or_default().push((target, judged));
        }
        let mut flooded = Vec::new();
        for (target, judged) in networks {
            let hosts = by_network.remove(target.key()).unwrap_or_default();
            // One that is told of as a whole goes on so, also when one of its hosts is flooded no more.
            let is_carpet = hosts.len() >= CARPET_HOSTS
                || !hosts.is_empty() && self.lives.is_live(&target)
                || hosts.is_empty() && judged.is_flood() && judged.volume.hosts.count() >= CARPET_HOSTS as u64;
            // Those that were told of one by one go on so.
            flooded.extend(hosts.into_iter().filter(|(host, _)| !is_carpet || self.lives.is_live(host)));
            flooded.extend(is_carpet.then_some((target, judged)));
        }
        // Those whose network found no room.
        flooded.extend(by_network.into_values().flatten());
        flooded
    }

    /// Learns from what is busy and not flooded, or has been for long.
    fn learn(&mut self, bin: BinSpan, busy: &[(FloodTarget, FloodRates)]) {
        let Self { settings, baselines, lives, .. } = self;
        let mut young: BTreeSet<FloodTarget> = BTreeSet::new();
        for (target, life) in lives.payloads() {
            let times = if life.began_learning() { 1 } else { NEW_NORMAL_TIMES };
            if bin.end.since(life.began()) < settings.learning_ns.saturating_mul(times) {
                young.extend([*target, FloodTarget::Network(target.network())]);
            }
        }
        for &(target, rates) in busy {
            let is_in_flooded_network =
                lives.is_live(&FloodTarget::Network(target.network())) && young.contains(&FloodTarget::Network(target.network()));
            if young.contains(&target) || is_in_flooded_network {
                baselines.leave_out(target);
            } else {
                baselines.note(target, rates, settings.least(FloodClass::of(target.key())));
            }
        }
    }

    /// Judges the bins up to `now`.
    fn judge_until(&mut self, now: Timestamp, context: &mut JudgeContext<'_>) {
        while let Some(bin) = self.hosts.settle(now) {
            self.networks.settle(now);
            self.judge_settled(bin, context);
        }
    }

    /// Judges the bin that came into the windows last.
    fn judge_settled(&mut self, bin: BinSpan, context: &mut JudgeContext<'_>) {
        let settings = self.settings;
        self.baselines.begin(bin);
        self.lives.end_quiet(bin, |target, life, at| {
            context.alerts.push(life.alert(target, AlertPhase::End(AlertEnd::Quiet), at, &settings, context.local));
        });
        let overflows = self.hosts.overflows() || self.networks.overflows();
        for (target, life) in self.lives.payloads() {
            let settled = match target {
                FloodTarget::Host(key) => self.hosts.settled(key),
                FloodTarget::Network(key) => self.networks.settled(key),
            };
            life.add(settled, overflows);
        }
        let busy = self.busy();
        let rates: Vec<_> = busy.iter().flatten().map(|(target, judged)| (*target, judged.rates)).collect();
        for (target, judged) in self.flooded(busy) {
            if let Some(life) = self.lives.hold(&target, bin) {
                life.hold(&judged);
                continue;
            }
            let life = VolumeLife::new(judged, bin.start, overflows);
            let alert = life.alert(target, AlertPhase::Begin, life.last(), &settings, context.local);
            if self.lives.begin(target, life, bin) {
                context.alerts.push(alert);
            } else {
                *context.left_out += 1;
            }
        }
        self.lives.tell_grown(|target, life| {
            context.alerts.push(life.alert(*target, AlertPhase::Update, life.last(), &settings, context.local));
        });
        self.learn(bin, &rates);
    }

    fn ranked(&self, host: HostAddress) -> (u64, Contact) {
        let contact = Contact { host, port: 0 };
        (self.hash.rank(&contact), contact)
    }

    fn note_growth(&self, flow: &FlowGrowth, evidence: &mut VolumeFloodEvidence) {
        let Some((key, meaning)) = meaning_of(flow, self.settings.window_ns) else { return };
        let source = self.ranked(sender(flow));
        evidence.hosts.observe(key, |volume| volume.note(flow, meaning, source));
        let host = matches!(meaning, GrowthMeaning::Unasked(_)).then(|| self.ranked(key.host));
        evidence.networks.observe(network_key(&key), |volume| {
            volume.note(flow, meaning, source) + host.map_or(0, |(rank, host)| volume.hosts.insert(rank, host, 1))
        });
    }

    fn note_fragment(&self, fragment: &SeenFragment, evidence: &mut VolumeFloodEvidence) {
        if fragment.destination.is_group() {
            return;
        }
        let key = FloodClass::Fragments.key(fragment.destination, 0);
        let (source, host) = (self.ranked(fragment.source), self.ranked(fragment.destination));
        evidence.hosts.observe(key, |volume| volume.note_fragment(fragment, source));
        evidence
            .networks
            .observe(network_key(&key), |volume| volume.note_fragment(fragment, source) + volume.hosts.insert(host.0, host.1, 1));
    }
}

impl Detector for VolumeFlood {
    type Evidence = VolumeFloodEvidence;

    fn name(&self) -> &'static str {
        tell::KIND
    }

    fn evidence(&self) -> VolumeFloodEvidence {
        let table = || EvidenceTable::new(self.table_bytes, &self.hash);
        VolumeFloodEvidence { hosts: table(), networks: table() }
    }

    fn follows_growth(&self) -> bool {
        true
    }

    fn observe(&self, seen: Observation<'_>, evidence: &mut VolumeFloodEvidence) {
        match seen {
            Observation::Growth(flows) => {
                flows.iter().filter(|flow| flow.key.protocol() != TCP).for_each(|flow| self.note_growth(flow, evidence));
            }
            Observation::Fragment(fragment) => self.note_fragment(fragment, evidence),
            _ => {}
        }
    }

    fn judge(&mut self, evidence: &mut VolumeFloodEvidence, context: &mut JudgeContext<'_>) {
        self.hosts.push(context.bin, &mut evidence.hosts);
        self.networks.push(context.bin, &mut evidence.networks);
        self.judge_until(context.bin.end, context);
    }

    fn reload(&mut self, settings: &DetectionSettings) {
        let Some(new) = settings.detectors.volume_flood else { return };
        let VolumeFloodSettings { window_ns, learning_ns, .. } = self.settings;
        let new = VolumeFloodSettings { window_ns, learning_ns, ..new };
        if FloodClass::ALL.into_iter().any(|class| new.least(class) != self.settings.least(class)) {
            // What was learned is in steps of the old rates.
            self.baselines = RateBaselines::new(self.bin_ns, learning_ns);
        }
        (self.settings, self.weight_min) = (new, new.weight_min());
        self.lives.set_life(settings.life(new.cooldown_ns, window_ns));
    }

    fn finish(&mut self, context: &mut JudgeContext<'_>) {
        self.judge_until(Timestamp(u64::MAX), context);
        let settings = self.settings;
        self.lives.end_all(|target, life, end| {
            context.alerts.push(life.alert(target, AlertPhase::End(end), context.bin.end, &settings, context.local));
        });
    }
}
