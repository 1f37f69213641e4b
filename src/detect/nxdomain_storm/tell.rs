//! Storms of NXDOMAIN in words and numbers.
//!
//! Owns the wording. Knows no rule.

use super::NxdomainStormSettings;
use super::answers::NameAnswers;
use crate::detect::texts::shown;
use crate::detect::{Alert, AlertSeverity, AlertSubject, CrossedThreshold, Told};

pub(super) const KIND: &str = "nxdomain_storm";

pub(super) fn alert(told: &Told<'_, NameAnswers>, settings: &NxdomainStormSettings) -> Alert {
    let (key, life) = (told.key, told.life);
    let names = life.names.cardinality();
    let are_many = told.window.names.count() >= settings.names_threshold;
    let most = told.window.most_asked();
    let (variant, severity) = match most {
        _ if !are_many => ("few_names", AlertSeverity::Low),
        Some(_) => ("one_domain", AlertSeverity::Medium),
        None => ("many_domains", AlertSeverity::Medium),
    };
    let domain = most.flatten().map(shown).filter(|domain| are_many && !domain.is_empty());
    let server = life.servers.listed().next().map(|(server, _)| server.host).filter(|_| life.servers.count() == 1);
    let of_what = match (&domain, variant) {
        (Some(domain), _) => format!(", most of {domain}"),
        (None, "many_domains") => format!(", of {} domains", life.domains.count()),
        _ => String::new(),
    };
    let crossed = [
        CrossedThreshold { name: "names_threshold", limit: settings.names_threshold, value: told.window.names.count() },
        CrossedThreshold { name: "answers_threshold", limit: settings.answers_threshold, value: told.window.nxdomain },
    ];
    let about = if names.is_exact { "" } else { "about " };
    Alert {
        time: told.time,
        description: format!(
            "NXDOMAIN storm at {}{}: {}{} of {} answers in {:.1} s say that a name does not exist, {about}{} names{of_what}",
            key.host,
            told.phase.words(),
            if told.is_at_least { "at least " } else { "" },
            life.nxdomain,
            life.nxdomain + life.others,
            life.span.duration_ns() as f64 / 1e9,
            names.count,
        ),
        severity,
        key: format!("{KIND} {}", key.host),
        began: life.span.first(),
        attacker: Some(AlertSubject::host(key.host)),
        victim: server.map(AlertSubject::host),
        direction: server.map(|server| told.local.direction(key.host, server)),
        counts: vec![("nxdomain", life.nxdomain), ("answers", life.nxdomain + life.others)],
        distinct: vec![("names", names), ("domains", life.domains.cardinality()), ("servers", life.servers.cardinality())],
        details: domain.into_iter().map(|domain| ("domain", domain)).collect(),
        samples: life.samples.all().to_vec(),
        thresholds: crossed.into_iter().filter(|crossed| crossed.value >= crossed.limit).collect(),
        is_at_least: told.is_at_least,
        window_ns: settings.window_ns,
        cooldown_ns: settings.cooldown_ns,
        ..Alert::bare(KIND, variant, told.phase)
    }
}
