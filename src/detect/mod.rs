//! Detectors: what is gathered on the queues, and what is judged of the sum.
//!
//! Owns evidence, rules and alerts. Knows flow events alone: no packet bytes, no queue, no output, no clock. Its invariant: evidence is
//! free of order and merges exactly, so the same packets give the same alerts however they were dealt to queues.
//! `docs/detectors.md` says how a detector is added.

mod alert;
mod detector;
mod distinct;
mod hash;
mod life;
mod networks;
mod port_scan;
mod sample;
mod settings;
mod sketch;
mod syn_flood;
mod table;
mod window;

pub use alert::{Alert, AlertEnd, AlertPhase, AlertSeverity, AlertSubject, CrossedThreshold};
pub use detector::{BinSpan, Detector, DetectorBox, DetectorParts, DetectorSet, Evidence, EvidenceSet, JudgeContext};
pub use distinct::{Cardinality, Contact, DistinctSet, top_listed};
pub use hash::EvidenceHash;
pub use life::{AlertLives, LifeSettings, LivePayload};
pub use networks::{IpPrefix, LocalNetworks};
pub use port_scan::{PortScan, PortScanSettings};
pub use sample::{SamplePacket, SamplePackets, SeenSpan};
pub use settings::DetectionSettings;
pub use syn_flood::{SynFlood, SynFloodSettings};
pub use table::{EvidenceKey, EvidenceTable, KeyEvidence};
pub use window::EvidenceWindow;

/// Every kind of alert, as `docs/alert.schema.json` has them.
pub const ALERT_KINDS: &[&str] = &["syn_flood", "port_scan"];

/// The detectors of a run: a line for each.
pub fn detectors(settings: &DetectionSettings) -> Vec<Box<dyn DetectorBox>> {
    let hash = &settings.hash;
    let mut all: Vec<Box<dyn DetectorBox>> = Vec::new();
    if let Some(syn_flood) = settings.syn_flood {
        all.push(Box::new(DetectorParts::new(SynFlood::new(syn_flood, settings, hash))));
    }
    if let Some(port_scan) = settings.port_scan {
        all.push(Box::new(DetectorParts::new(PortScan::new(port_scan, settings, hash))));
    }
    all
}
