//! Beacons in words and numbers.
//!
//! Owns the wording and the severity of scores. Knows no rule.

use super::{BeaconLife, BeaconSettings, TCP, permille};
use crate::detect::{Alert, AlertPhase, AlertSeverity, AlertSubject, CrossedThreshold, EvidenceKey, LocalNetworks};
use netscope_backends::Timestamp;

pub(super) const KIND: &str = "beacon";
/// Scores in thousandths from which on the severity is medium, and high, as RITA has them.
const MEDIUM: u64 = 700;
const HIGH: u64 = 900;

/// How bad a score is.
pub(super) const fn severity(permille: u64) -> AlertSeverity {
    match permille {
        HIGH.. => AlertSeverity::High,
        MEDIUM.. => AlertSeverity::Medium,
        _ => AlertSeverity::Low,
    }
}

pub(super) fn alert(
    key: &EvidenceKey,
    life: &BeaconLife,
    phase: AlertPhase,
    time: Timestamp,
    settings: &BeaconSettings,
    local: &LocalNetworks,
) -> Alert {
    let victim = AlertSubject { port: Some(key.port), ..AlertSubject::host(key.peer) };
    let protocol = if key.protocol == TCP { "tcp" } else { "udp" };
    let finding = &life.finding;
    let score = finding.permille();
    Alert {
        time,
        description: format!(
            "Beacon from {} to {victim} ({protocol}){}: score {:.3}, {}{} connections in {:.1} h, every {:.0} s, half of them within {:.0} s of that",
            key.host,
            phase.words(),
            score as f64 / 1000.0,
            if life.is_at_least { "at least " } else { "" },
            life.count,
            life.span.duration_ns() as f64 / 3.6e12,
            finding.interval,
            finding.jitter,
        ),
        severity: severity(score),
        key: format!("{KIND} {} {victim} {protocol}", key.host),
        began: life.span.first(),
        attacker: Some(AlertSubject::host(key.host)),
        victim: Some(victim),
        direction: Some(local.direction(key.host, key.peer)),
        counts: vec![
            ("connections", life.count),
            ("bytes_sent", life.bytes),
            ("interval_secs", finding.interval.round() as u64),
            ("jitter_secs", finding.jitter.round() as u64),
            ("score_permille", score),
            ("timing_permille", permille(finding.score.timing)),
            ("sizes_permille", permille(finding.score.sizes)),
            ("duration_permille", permille(finding.score.duration)),
            ("histogram_permille", permille(finding.score.histogram)),
        ],
        samples: life.samples.all().to_vec(),
        thresholds: vec![CrossedThreshold { name: "min_score", limit: settings.score_permille_min, value: score }],
        is_at_least: life.is_at_least,
        window_ns: settings.window_ns,
        cooldown_ns: settings.cooldown_ns,
        ..Alert::bare(KIND, protocol, phase)
    }
}
