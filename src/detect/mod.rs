//! Detectors: what is gathered on the queues, and what is judged of the sum.
//!
//! Owns evidence, rules and alerts. Knows flow events alone: no packet bytes, no queue, no output, no clock. Its invariant: evidence is
//! free of order and merges exactly, so the same packets give the same alerts however they were dealt to queues.
//! `docs/detectors.md` says how a detector is added.

mod alert;
mod detector;
mod distinct;
mod hash;
mod keyed_rule;
mod life;
mod microburst;
mod networks;
mod observation;
mod port_scan;
mod sample;
mod settings;
mod sketch;
mod syn_flood;
mod table;
mod victim_network;
mod volume_flood;
mod window;

pub use alert::{Alert, AlertEnd, AlertPhase, AlertSeverity, AlertSubject, CrossedThreshold};
pub use detector::{BinSpan, Detector, DetectorBox, DetectorParts, DetectorSet, Evidence, EvidenceSet, JudgeContext};
pub use distinct::{Cardinality, Contact, DistinctSet, top_listed};
pub use hash::EvidenceHash;
pub use keyed_rule::{KeyedDetector, KeyedRule, Told};
pub use life::{AlertLives, LifeSettings, LivePayload};
pub use microburst::{
    BurstBin, BurstEvidence, BurstFlow, BurstLink, BurstReport, FRAME_OVERHEAD, LinkBins, MicroburstJudge, MicroburstSettings,
    QueueBursts,
};
pub use networks::{IpPrefix, LocalNetworks};
pub use observation::{Observation, SeenArp, SeenDhcp};
pub use port_scan::{PortScan, PortScanSettings};
pub use sample::{SamplePacket, SamplePackets, SeenSpan};
pub use settings::{DetectionSettings, DetectorSettings};
pub use syn_flood::{SynFlood, SynFloodSettings};
pub use table::{EvidenceKey, EvidenceTable, KeyEvidence};
pub use volume_flood::{FloodFloors, VolumeFlood, VolumeFloodSettings};
pub use window::EvidenceWindow;

/// The detectors of a run: a line for each.
pub fn detectors(settings: &DetectionSettings) -> Vec<Box<dyn DetectorBox>> {
    let DetectorSettings { syn_flood, port_scan, volume_flood } = &settings.detectors;
    let detectors = [
        syn_flood.map(|own| boxed(SynFlood::new(own, settings, &settings.hash))),
        port_scan.map(|own| boxed(PortScan::new(own, settings, &settings.hash))),
        volume_flood.map(|own| boxed(VolumeFlood::new(own, settings))),
    ];
    detectors.into_iter().flatten().collect()
}

fn boxed<D: Detector>(detector: D) -> Box<dyn DetectorBox> {
    Box::new(DetectorParts::new(detector))
}
