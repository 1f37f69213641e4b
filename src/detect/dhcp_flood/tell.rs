//! DHCP floods in words and numbers.
//!
//! Owns the wording. Knows no rule.

use super::counts::ClientCounts;
use super::{DhcpFloodSettings, FloodShape};
use crate::detect::{Alert, AlertPhase, AlertSeverity, CrossedThreshold, HardwareAddress, LinkSegment, Told};

pub(super) const KIND: &str = "dhcp_flood";
/// Servers that have given nothing for this time have nothing left, or do not live.
const SILENCE_NS: u64 = 2_000_000_000;
/// Stations that are named.
const SHOWN_MAX: usize = 3;

/// The alert.
pub(super) fn alert(told: &Told<'_, ClientCounts>, settings: &DhcpFloodSettings, shape: FloodShape) -> Alert {
    let life = told.life;
    let segment = LinkSegment::of_key(told.key.peer);
    let (clients, busiest) = (told.window.clients.count(), told.window.busiest());
    let (name, limit, value) = match shape {
        FloodShape::SingleClient => ("messages_threshold", settings.messages_threshold, busiest.map_or(0, |(_, count)| count)),
        _ => ("clients_threshold", settings.clients_threshold, clients),
    };
    Alert {
        time: if matches!(told.phase, AlertPhase::End(_)) { told.time } else { told.life.span.last() },
        description: describe(told, shape, segment),
        severity: if shape == FloodShape::SingleClient { AlertSeverity::Medium } else { AlertSeverity::High },
        key: format!("{KIND}{}", segment.words()),
        began: life.span.first(),
        counts: vec![
            ("messages", life.client_messages),
            ("discovers", life.discovers),
            ("requests", life.requests),
            ("offers", life.offers),
            ("acks", life.acks),
            ("naks", life.naks),
            ("foreign_frames", life.foreign_messages),
        ],
        distinct: vec![
            ("clients", life.clients.cardinality()),
            ("going_on", life.going_on.cardinality()),
            ("stations", life.stations.cardinality()),
        ],
        completion_ratio: Some((life.going_on.count() as f64 / life.clients.count().max(1) as f64).min(1.0)),
        details: details(told, shape, segment),
        samples: life.samples.all().to_vec(),
        thresholds: vec![CrossedThreshold { name, limit, value }],
        is_at_least: told.is_at_least,
        window_ns: settings.window_ns,
        cooldown_ns: settings.cooldown_ns,
        ..Alert::bare(KIND, shape.name(), told.phase)
    }
}

/// OFFERs and ACKs were seen, and then none any more.
fn is_exhausted(counts: &ClientCounts) -> bool {
    counts.offers + counts.acks > 0 && counts.answers.last().plus(SILENCE_NS) < counts.span.last()
}

fn details(told: &Told<'_, ClientCounts>, shape: FloodShape, segment: LinkSegment) -> Vec<(&'static str, String)> {
    let mut details = Vec::new();
    if shape == FloodShape::SingleClient {
        details.extend(told.window.busiest().map(|(client, _)| ("client_mac", client.to_string())));
    }
    let mut stations: Vec<_> =
        told.life.stations.listed().map(|(station, count)| (count, HardwareAddress::of_contact(station).0)).collect();
    stations.sort_unstable_by(|one, other| other.cmp(one));
    if !stations.is_empty() {
        let shown: Vec<String> = stations.iter().take(SHOWN_MAX).map(|(_, station)| station.to_string()).collect();
        details.push(("station_macs", shown.join(", ")));
    }
    let answers = match (told.life.offers + told.life.acks, is_exhausted(told.life)) {
        (0, _) => "none",
        (_, true) => "stopped",
        _ => "given",
    };
    details.push(("answers", answers.to_owned()));
    details.extend(segment.details());
    details
}

fn describe(told: &Told<'_, ClientCounts>, shape: FloodShape, segment: LinkSegment) -> String {
    let life = told.life;
    let about = if life.clients.cardinality().is_exact { "" } else { "about " };
    let at_least = if told.is_at_least { "at least " } else { "" };
    let who = match (shape, told.window.busiest()) {
        (FloodShape::SingleClient, Some((client, _))) => format!("from the client {client}"),
        _ => format!("from {about}{} clients", life.clients.count()),
    };
    let why = match shape {
        FloodShape::SingleClient => "",
        FloodShape::OneStation => ", most in frames of another station",
        FloodShape::Impossible => ", some with addresses that no station has",
        FloodShape::Unfinished => ", most of which neither went on nor asked again",
    };
    let answers = if is_exhausted(life) { "; the servers have stopped answering" } else { "" };
    format!(
        "DHCP flood{}{}: {at_least}{} messages {who} in {:.1} s{why}, {} offers, {} acknowledgments{answers}",
        segment.words(),
        told.phase.words(),
        life.client_messages,
        life.span.duration_ns() as f64 / 1e9,
        life.offers,
        life.acks,
    )
}
