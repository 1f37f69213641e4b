//! ARP spoofing in words and numbers.
//!
//! Owns the wording. Knows no rule.

use super::ArpSpoofingSettings;
use super::claims::{AddressClaims, MacClaims};
use super::judge::{Verdict, Wrong, station_count};
use crate::detect::{
    Alert, AlertPhase, AlertSeverity, AlertSubject, Cardinality, CrossedThreshold, HardwareAddress, LinkSegment, Told,
};
use crate::flow::HostAddress;

pub(super) const KIND: &str = "arp_spoofing";

/// The alert. `gateway`: why the address is known to be a gateway's.
pub(super) fn alert(
    told: &Told<'_, AddressClaims>,
    settings: &ArpSpoofingSettings,
    unit_ns: u64,
    gateway: Option<&'static str>,
) -> Alert {
    let (key, life) = (told.key, told.life);
    let segment = LinkSegment::of_key(key.peer);
    let verdict = Verdict::of(told.window, settings, unit_ns);
    let wrong = verdict.map_or(Wrong::Contested, |verdict| verdict.wrong);
    let attacker = verdict.and_then(|verdict| verdict.attacker);
    let own = attacker.and_then(|mac| life.asked_as(mac).into_iter().find(|host| *host != key.host));
    let variant = match wrong {
        Wrong::ForgedReplies => "forged_replies",
        Wrong::Interception => "interception",
        Wrong::Contested => "contested",
    };
    let severity = match (gateway, wrong) {
        (Some(_), _) => AlertSeverity::High,
        (None, Wrong::Contested) => AlertSeverity::Low,
        (None, _) => AlertSeverity::Medium,
    };
    let sum = |of: fn(&MacClaims) -> u64| -> u64 { life.claims().iter().map(of).sum() };
    let claimants = Cardinality { count: life.claims().len() as u64 + u64::from(life.has_more), is_exact: !life.has_more };
    Alert {
        time: if matches!(told.phase, AlertPhase::End(_)) { told.time } else { told.life.span.last() },
        description: describe(told, wrong, attacker, own, gateway),
        severity,
        key: format!("{KIND} {}{}", key.host, segment.words()),
        began: life.span.first(),
        attacker: own.map(AlertSubject::host),
        victim: Some(AlertSubject::host(key.host)),
        direction: own.map(|own| told.local.direction(own, key.host)),
        counts: vec![
            ("claims", life.messages),
            ("replies", sum(|claims| claims.replies)),
            ("announcements", sum(|claims| claims.announcements)),
            ("unsolicited", verdict.map_or(0, |verdict| verdict.unsolicited)),
            ("foreign_frames", sum(|claims| claims.foreign_frames)),
        ],
        distinct: vec![("claimants", claimants), ("told", life.told.cardinality()), ("askers", life.askers.cardinality())],
        details: details(life, attacker, segment, gateway),
        thresholds: thresholds(verdict, settings),
        is_at_least: told.is_at_least || life.has_more,
        window_ns: settings.window_ns,
        cooldown_ns: settings.cooldown_ns,
        ..Alert::bare(KIND, variant, told.phase)
    }
}

fn thresholds(verdict: Option<Verdict>, settings: &ArpSpoofingSettings) -> Vec<CrossedThreshold> {
    let Some(Verdict { wrong, unsolicited, changes, .. }) = verdict else { return Vec::new() };
    let crossed = match wrong {
        Wrong::ForgedReplies => ("unsolicited_threshold", settings.unsolicited_threshold, unsolicited),
        Wrong::Contested => ("changes_threshold", settings.changes_threshold, changes),
        Wrong::Interception => return Vec::new(),
    };
    let (name, limit, value) = crossed;
    vec![CrossedThreshold { name, limit, value }]
}

fn details(
    life: &AddressClaims,
    attacker: Option<HardwareAddress>,
    segment: LinkSegment,
    gateway: Option<&'static str>,
) -> Vec<(&'static str, String)> {
    let others = macs(life, attacker);
    let mut details = Vec::new();
    details.extend(attacker.map(|mac| ("attacker_mac", mac.to_string())));
    if !others.is_empty() {
        details.push((if attacker.is_some() { "other_macs" } else { "macs" }, others.join(", ")));
    }
    details.extend(gateway.map(|source| ("gateway_known_from", source.to_owned())));
    details.extend(segment.details());
    details
}

/// Those who claim the address but this one.
fn macs(life: &AddressClaims, without: Option<HardwareAddress>) -> Vec<String> {
    let mut macs: Vec<_> = life.claims().iter().map(|claims| claims.mac).filter(|mac| Some(*mac) != without).collect();
    macs.sort_unstable();
    macs.iter().map(ToString::to_string).collect()
}

fn describe(
    told: &Told<'_, AddressClaims>,
    wrong: Wrong,
    attacker: Option<HardwareAddress>,
    own: Option<HostAddress>,
    gateway: Option<&'static str>,
) -> String {
    let (key, life) = (told.key, told.life);
    let what = if gateway.is_some() { "gateway " } else { "" };
    let place = LinkSegment::of_key(key.peer).words();
    let head = format!("ARP spoofing of {what}{}{place}{}", key.host, told.phase.words());
    let name = attacker.map_or(String::new(), |mac| match own {
        Some(own) => format!("{mac} ({own})"),
        None => mac.to_string(),
    });
    let others = macs(life, attacker).join(", ");
    let secs = life.span.duration_ns() as f64 / 1e9;
    match wrong {
        Wrong::ForgedReplies => {
            let replies = life.claims().iter().find(|claims| Some(claims.mac) == attacker).map_or(0, |claims| claims.replies);
            format!(
                "{head}: {name} sent {replies} replies in {secs:.1} s, most of them unasked; the address is claimed by {others}, too"
            )
        }
        Wrong::Interception => {
            let beside = if others.is_empty() { String::new() } else { format!("; it is claimed by {others}, too") };
            format!("{head}: {name} told others unasked that the address is its own, and asks for it itself{beside}")
        }
        Wrong::Contested => {
            let more = if life.has_more { " and more" } else { "" };
            let count = station_count(life.claims());
            format!("{head}: {count} stations claim it in turn, {} times in {secs:.1} s: {others}{more}", life.messages)
        }
    }
}
