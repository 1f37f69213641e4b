//! DNS tunnels in words and numbers.
//!
//! Owns the wording. Knows no rule.

use super::DnsTunnelSettings;
use super::names::LongNames;
use crate::app::dns::dns_type_name;
use crate::detect::texts::shown;
use crate::detect::{Alert, AlertSeverity, AlertSubject, CrossedThreshold, Told};

pub(super) const KIND: &str = "dns_tunnel";
/// So many times the threshold is severe.
const SEVERE: u64 = 10;
/// Types of records that an alert names.
const KINDS_SHOWN: usize = 6;

pub(super) fn alert(told: &Told<'_, LongNames>, settings: &DnsTunnelSettings) -> Alert {
    let (key, life) = (told.key, told.life);
    let domain = life.domain.all().next().map(shown).filter(|domain| !domain.is_empty());
    let names = life.names.cardinality();
    let server = life.servers.listed().next().map(|(server, _)| server.host).filter(|_| life.servers.count() == 1);
    let of_what = domain.as_ref().map_or_else(|| "of no domain".to_owned(), |domain| format!("of {domain}"));
    let mut kinds: Vec<_> = life.kinds.listed().map(|(kind, count)| (count, kind.port)).collect();
    kinds.sort_unstable_by(|one, other| other.cmp(one));
    let kinds = kinds.iter().take(KINDS_SHOWN).map(|(_, kind)| kind_name(*kind)).collect::<Vec<_>>().join(", ");
    let value = told.window.names.count();
    let mut details: Vec<_> = domain.iter().map(|domain| ("domain", domain.clone())).collect();
    details.push(("types", kinds));
    details.extend(life.examples.all().map(|name| ("example", shown(name))).take(1));
    Alert {
        time: told.time,
        description: format!(
            "DNS tunnel by {} with names {of_what}{}: {}{}{} different long names in {:.1} s, {} bytes in them",
            key.host,
            told.phase.words(),
            if told.is_at_least { "at least " } else { "" },
            if names.is_exact { "" } else { "about " },
            names.count,
            life.span.duration_ns() as f64 / 1e9,
            life.name_bytes,
        ),
        severity: if value >= SEVERE.saturating_mul(settings.names_threshold) {
            AlertSeverity::High
        } else {
            AlertSeverity::Medium
        },
        key: format!("{KIND} {} {}", key.host, domain.as_deref().unwrap_or("-")),
        began: life.span.first(),
        attacker: Some(AlertSubject::host(key.host)),
        victim: server.map(AlertSubject::host),
        direction: server.map(|server| told.local.direction(key.host, server)),
        counts: vec![("queries", life.queries), ("responses", life.responses), ("name_bytes", life.name_bytes)],
        distinct: vec![("names", names), ("servers", life.servers.cardinality())],
        details,
        samples: life.samples.all().to_vec(),
        thresholds: vec![CrossedThreshold { name: "names_threshold", limit: settings.names_threshold, value }],
        is_at_least: told.is_at_least,
        window_ns: settings.window_ns,
        cooldown_ns: settings.cooldown_ns,
        ..Alert::bare(KIND, if domain.is_some() { "one_domain" } else { "no_domain" }, told.phase)
    }
}

fn kind_name(kind: u16) -> String {
    dns_type_name(kind).map_or_else(|| format!("TYPE{kind}"), str::to_owned)
}
