//! Detectors: what is gathered on the queues, and what is judged of the sum.
//!
//! Owns evidence, rules and alerts. Knows flow events, facts and DNS messages: no other packet bytes, no queue, no output, no clock. Its invariant: evidence is
//! free of order and merges exactly, so the same packets give the same alerts however they were dealt to queues.
//! `docs/detectors.md` says how a detector is added.

mod alert;
mod arp_spoofing;
mod beacon;
mod brute_force;
mod cleartext_password;
mod data_out;
mod detector;
mod dhcp_flood;
mod distinct;
mod dns_tunnel;
mod domain_name;
mod flow_finding;
mod hardware;
mod hash;
mod keyed_rule;
mod life;
mod long_connection;
#[cfg(test)]
mod made_up;
mod microburst;
mod networks;
mod nxdomain_storm;
mod observation;
mod port_mismatch;
mod port_scan;
mod rogue_dhcp;
mod sample;
mod segment;
mod settings;
mod sketch;
mod syn_flood;
mod table;
mod texts;
mod tls_certificate;
mod victim_network;
mod volume_flood;
mod window;

pub use alert::{Alert, AlertEnd, AlertPhase, AlertSeverity, AlertSubject, CrossedThreshold};
pub use arp_spoofing::ArpSpoofingSettings;
pub use beacon::{Beacon, BeaconSettings};
pub use brute_force::{BruteForce, BruteForceSettings};
pub use cleartext_password::{CleartextPassword, CleartextPasswordSettings};
pub use data_out::{DataOut, DataOutSettings};
pub use detector::{BinSpan, Detector, DetectorBox, DetectorParts, DetectorSet, Evidence, EvidenceSet, JudgeContext};
pub use dhcp_flood::DhcpFloodSettings;
pub use distinct::{Cardinality, Contact, DistinctSet, top_listed};
pub use dns_tunnel::{DnsTunnel, DnsTunnelSettings};
pub use hardware::HardwareAddress;
pub use hash::EvidenceHash;
pub use keyed_rule::{KeyedDetector, KeyedRule, Told};
pub use life::{AlertLives, LifeSettings, LivePayload};
pub use long_connection::{LongConnection, LongConnectionSettings};
pub use microburst::{
    BurstBin, BurstEvidence, BurstFlow, BurstLink, BurstReport, FRAME_OVERHEAD, LinkBins, MicroburstJudge, MicroburstSettings,
    QueueBursts,
};
pub use networks::{IpPrefix, LocalNetworks};
pub use nxdomain_storm::{NxdomainStorm, NxdomainStormSettings};
pub use observation::{Observation, SeenArp, SeenDhcp, SeenDns, SeenFacts};
pub use port_mismatch::{PortMismatch, PortMismatchSettings};
pub use port_scan::{PortScan, PortScanSettings};
pub use rogue_dhcp::RogueDhcpSettings;
pub use sample::{SamplePacket, SamplePackets, SeenSpan};
pub use segment::LinkSegment;
pub use settings::{DetectionSettings, DetectorSettings};
pub use syn_flood::{SynFlood, SynFloodSettings};
pub use table::{EvidenceKey, EvidenceTable, KeyEvidence};
pub use tls_certificate::{TlsCertificate, TlsCertificateSettings};
pub use volume_flood::{FloodFloors, VolumeFlood, VolumeFloodSettings};
pub use window::EvidenceWindow;

use arp_spoofing::ArpSpoofing;
use dhcp_flood::DhcpFlood;
use rogue_dhcp::RogueDhcp;

/// Every kind of alert, as `docs/alert.schema.json` has them.
pub const ALERT_KINDS: &[&str] = &[
    "syn_flood",
    "port_scan",
    "volume_flood",
    "microburst",
    "arp_spoofing",
    "dhcp_flood",
    "rogue_dhcp",
    "brute_force",
    "beacon",
    "long_connection",
    "data_out",
    "dns_tunnel",
    "nxdomain_storm",
    "tls_certificate",
    "cleartext_password",
    "port_mismatch",
];

/// The detectors of a run: a line for each.
pub fn detectors(settings: &DetectionSettings) -> Vec<Box<dyn DetectorBox>> {
    let DetectorSettings {
        syn_flood,
        port_scan,
        volume_flood,
        arp_spoofing,
        dhcp_flood,
        rogue_dhcp,
        brute_force,
        beacon,
        long_connection,
        data_out,
        dns_tunnel,
        nxdomain_storm,
        tls_certificate,
        cleartext_password,
        port_mismatch,
    } = &settings.detectors;
    let detectors = [
        syn_flood.map(|own| boxed(SynFlood::new(own, settings, &settings.hash))),
        port_scan.map(|own| boxed(PortScan::new(own, settings, &settings.hash))),
        volume_flood.map(|own| boxed(VolumeFlood::new(own, settings))),
        arp_spoofing.as_ref().map(|own| keyed(ArpSpoofing::new(own.clone(), settings), settings)),
        dhcp_flood.map(|own| keyed(DhcpFlood::new(own, settings), settings)),
        rogue_dhcp.as_ref().map(|own| keyed(RogueDhcp::new(own.clone(), settings), settings)),
        brute_force.clone().map(|own| keyed(BruteForce::new(own, settings), settings)),
        beacon.clone().map(|own| boxed(Beacon::new(own, settings))),
        long_connection.clone().map(|own| keyed(LongConnection::new(own, settings), settings)),
        data_out.clone().map(|own| boxed(DataOut::new(own, settings))),
        dns_tunnel.clone().map(|own| keyed(DnsTunnel::new(own, settings), settings)),
        nxdomain_storm.clone().map(|own| keyed(NxdomainStorm::new(own, settings), settings)),
        tls_certificate.clone().map(|own| keyed(TlsCertificate::new(own, settings), settings)),
        cleartext_password.clone().map(|own| keyed(CleartextPassword::new(own, settings), settings)),
        port_mismatch.clone().map(|own| keyed(PortMismatch::new(own, settings), settings)),
    ];
    detectors.into_iter().flatten().collect()
}

fn boxed<D: Detector>(detector: D) -> Box<dyn DetectorBox> {
    Box::new(DetectorParts::new(detector))
}

fn keyed<R: KeyedRule>(rule: R, settings: &DetectionSettings) -> Box<dyn DetectorBox> {
    boxed(KeyedDetector::new(rule, settings))
}
