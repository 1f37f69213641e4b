//! Floods by volume in words and numbers.
//!
//! Owns the wording. Knows no rule but what makes a flood a distributed one.

use super::baseline::{BASELINES_MAX, FloodRates, UsualRates};
use super::classes::FloodClass;
use super::volume::FloodVolume;
use super::{FloodTarget, JudgedVolume, VolumeFloodSettings};
use crate::detect::victim_network::network_bits;
use crate::detect::{
    Alert, AlertPhase, AlertSeverity, AlertSubject, Cardinality, CrossedThreshold, KeyEvidence, LivePayload, LocalNetworks,
    top_listed,
};
use netscope_backends::Timestamp;

pub(super) const KIND: &str = "volume_flood";
/// So many times over the floor a flood from few sources is severe, too.
const SEVERE: u64 = 10;

/// What is kept of a flood under way.
pub(super) struct VolumeLife {
    /// Of its whole life.
    volume: FloodVolume,
    /// The bin in which it began.
    began: Timestamp,
    began_learning: bool,
    /// The largest of a window.
    peak: FloodRates,
    /// Of the window when the rule held last.
    rates: FloodRates,
    usual: UsualRates,
    is_over: [bool; 2],
    sources: Cardinality,
    is_at_least: bool,
}

impl LivePayload for VolumeLife {
    fn magnitude(&self) -> u64 {
        self.volume.alone().packets
    }
}

impl VolumeLife {
    /// Of a window in which the rule holds for the first time.
    pub fn new(judged: JudgedVolume, began: Timestamp, overflows: bool) -> Self {
        let JudgedVolume { volume, rates, usual, is_over } = judged;
        Self {
            sources: volume.sources.cardinality(),
            volume,
            began,
            began_learning: matches!(usual, UsualRates::Learning { .. }),
            peak: rates,
            rates,
            usual,
            is_over,
            is_at_least: overflows,
        }
    }

    /// A bin has this of it.
    pub fn add(&mut self, settled: Option<&FloodVolume>, overflows: bool) {
        if let Some(settled) = settled {
            self.volume.merge(settled);
        }
        self.is_at_least |= overflows;
    }

    /// The rule goes on to hold, with this in the window.
    pub fn hold(&mut self, judged: &JudgedVolume) {
        let rates = judged.rates;
        self.peak = FloodRates { packets: self.peak.packets.max(rates.packets), bits: self.peak.bits.max(rates.bits) };
        (self.rates, self.usual, self.is_over) = (rates, judged.usual, judged.is_over);
        self.sources = judged.volume.sources.cardinality();
    }

    /// Time of the latest observation.
    pub fn last(&self) -> Timestamp {
        self.volume.span.last()
    }

    /// The bin in which it began.
    pub const fn began(&self) -> Timestamp {
        self.began
    }

    /// True when nothing was known of usual rates then.
    pub const fn began_learning(&self) -> bool {
        self.began_learning
    }

    /// The alert.
    pub fn alert(
        &self,
        target: FloodTarget,
        phase: AlertPhase,
        time: Timestamp,
        settings: &VolumeFloodSettings,
        local: &LocalNetworks,
    ) -> Alert {
        let (volume, key) = (&self.volume, target.key());
        let class = FloodClass::of(key);
        let count = volume.alone();
        let sources = volume.sources.cardinality();
        let is_distributed = self.sources.count >= settings.unique_src_threshold;
        let is_carpet = matches!(target, FloodTarget::Network(_));
        let victim = AlertSubject { host: key.host, prefix_len: is_carpet.then(|| network_bits(key.host)), port: None };
        let top_sources = top_listed(&volume.sources);
        let only = top_sources.first().filter(|_| sources.count == 1).map(|(host, _)| AlertSubject::host(*host));
        let shape = match (is_carpet, is_distributed, sources.count) {
            (true, ..) => "carpet",
            (_, true, _) => "distributed",
            (.., 1) => "single_source",
            _ => "few_sources",
        };
        let floors = settings.floors(class);
        let is_large = self.rates.packets >= floors.packets_per_sec.saturating_mul(SEVERE)
            || self.rates.bits >= floors.bits_per_sec.saturating_mul(SEVERE);
        let is_severe = is_large || is_distributed || is_carpet || class == FloodClass::Amplification;
        let technique = FloodClass::technique(key);
        let mut distinct = vec![("sources", sources)];
        if is_carpet {
            distinct.push(("victims", volume.hosts.cardinality()));
        }
        let baseline = self.baseline(class, settings);
        Alert {
            time,
            kind: KIND,
            description: self.describe(&victim, shape, phase, only, (class, technique), &baseline),
            phase,
            severity: if is_severe { AlertSeverity::High } else { AlertSeverity::Medium },
            key: match class {
                FloodClass::Amplification => format!("{KIND} {} {} {victim}", class.name(), technique.unwrap_or_default()),
                _ => format!("{KIND} {} {victim}", class.name()),
            },
            variant: class.name(),
            technique,
            began: volume.span.first(),
            direction: top_sources.first().map(|(source, _)| local.direction(*source, victim.host)),
            attacker: only,
            victim: Some(victim),
            counts: vec![
                ("packets", count.packets),
                ("bytes", count.bytes),
                ("packets_per_sec", self.peak.packets),
                ("bits_per_sec", self.peak.bits),
            ],
            distinct,
            completion_ratio: None,
            top_sources,
            ports: if key.port == 0 { Vec::new() } else { vec![key.port] },
            details: vec![("shape", shape.to_owned()), ("baseline", baseline)],
            samples: volume.samples.all().to_vec(),
            thresholds: self.thresholds(class, is_distributed, settings),
            is_at_least: self.is_at_least,
            window_ns: settings.window_ns,
            cooldown_ns: settings.cooldown_ns,
            recording: None,
        }
    }

    fn thresholds(&self, class: FloodClass, is_distributed: bool, settings: &VolumeFloodSettings) -> Vec<CrossedThreshold> {
        let (floors, names, usual) = (settings.floors(class), class.floor_names(), self.usual.rates());
        let pairs = [
            (names[0], floors.packets_per_sec, self.rates.packets, usual.packets),
            (names[1], floors.bits_per_sec, self.rates.bits, usual.bits),
        ];
        let mut thresholds = Vec::new();
        for ((name, limit, value, usual), _) in pairs.into_iter().zip(self.is_over).filter(|(_, is_over)| *is_over) {
            thresholds.push(CrossedThreshold { name, limit, value });
            if let Some(times) = value.checked_div(usual) {
                thresholds.push(CrossedThreshold { name: "baseline_factor", limit: settings.baseline_factor, value: times });
            }
        }
        if is_distributed {
            let (limit, value) = (settings.unique_src_threshold, self.sources.count);
            thresholds.push(CrossedThreshold { name: "unique_src_threshold", limit, value });
        }
        thresholds
    }

    /// What is known of the usual rates, in words.
    fn baseline(&self, class: FloodClass, settings: &VolumeFloodSettings) -> String {
        let least = settings.least(class);
        let rate = |usual: u64, least: u64, of: &str| {
            if usual == 0 { format!("less than {least} {of}") } else { format!("up to {usual} {of}") }
        };
        match self.usual {
            UsualRates::Learning { secs } => {
                format!("learning, {secs} of {} s", settings.learning_ns / Timestamp::NS_PER_SEC)
            }
            UsualRates::NoRoom => format!("unknown, {BASELINES_MAX} others are known"),
            UsualRates::Known(usual) => {
                format!("{} and {} a second", rate(usual.packets, least.packets, "packets"), rate(usual.bits, least.bits, "bits"))
            }
        }
    }

    fn describe(
        &self,
        victim: &AlertSubject,
        shape: &str,
        phase: AlertPhase,
        only: Option<AlertSubject>,
        (class, technique): (FloodClass, Option<&str>),
        baseline: &str,
    ) -> String {
        let (volume, count) = (&self.volume, self.volume.alone());
        let shape = match shape {
            "carpet" => "Carpet ",
            "distributed" => "Distributed ",
            "single_source" => "Single-source ",
            _ => "",
        };
        let (name, what) = match class {
            FloodClass::Udp => ("UDP flood".to_owned(), "datagrams that were not answered"),
            FloodClass::Icmp => ("ICMP flood".to_owned(), "messages that were not asked for"),
            FloodClass::Fragments => ("Fragment flood".to_owned(), "fragments without the rest of their datagrams"),
            FloodClass::Amplification => {
                (format!("{} amplification", technique.unwrap_or_default()), "answers that were not asked for")
            }
        };
        let state = phase.words();
        let (at_least, about) =
            (if self.is_at_least { "at least " } else { "" }, if volume.sources.cardinality().is_exact { "" } else { "about " });
        let from = only.map_or_else(|| format!("{about}{} sources", volume.sources.count()), |only| only.to_string());
        format!(
            "{shape}{name} on {victim}{state}: {at_least}{} {what} from {from} in {:.1} s, up to {} a second and {:.1} Mbit/s; usual: {baseline}",
            count.packets,
            volume.span.duration_ns() as f64 / 1e9,
            self.peak.packets,
            self.peak.bits as f64 / 1e6,
        )
    }
}
