//! Brute force of logins in words and numbers.
//!
//! Owns the wording and the names of services. Knows no rule.

use super::attempts::LoginAttempts;
use super::{AttackShape, BruteForceSettings};
use crate::detect::{Alert, AlertSeverity, AlertSubject, CrossedThreshold, Told, top_listed};

pub(super) const KIND: &str = "brute_force";

/// The service of a port, as the registry of IANA or everyday use has it.
const fn service(port: u16) -> Option<&'static str> {
    Some(match port {
        21 => "ftp",
        22 | 2222 => "ssh",
        23 | 2323 => "telnet",
        25 => "smtp",
        110 => "pop3",
        139 | 445 => "smb",
        143 => "imap",
        389 => "ldap",
        465 | 587 => "submission",
        902 => "vmware-auth",
        990 => "ftps",
        993 => "imaps",
        995 => "pop3s",
        1433 => "mssql",
        1521 => "oracle",
        3306 => "mysql",
        3389 => "rdp",
        5432 => "postgresql",
        5900..=5903 => "vnc",
        5985 | 5986 => "winrm",
        6379 => "redis",
        27017 => "mongodb",
        _ => return None,
    })
}

pub(super) fn alert(told: &Told<'_, LoginAttempts>, settings: &BruteForceSettings, threshold: u64) -> Alert {
    let (key, life) = (told.key, told.life);
    let shape = AttackShape::of(key);
    let (source, server) = (AlertSubject::host(key.host), AlertSubject { port: Some(key.port), ..AlertSubject::host(key.peer) });
    let top = top_listed(&life.peers);
    let example = |host| if shape == AttackShape::SingleSource { Some(host) } else { top.first().map(|(host, _)| *host) };
    let (attacker, victim, from, to) = match shape {
        AttackShape::SingleSource => (Some(source), Some(server), key.host, Some(key.peer)),
        AttackShape::Distributed => (None, Some(server), example(key.host).unwrap_or(key.host), Some(key.peer)),
        AttackShape::Spraying => (Some(source), None, key.host, example(key.peer)),
    };
    let (variant, peers, peers_limit) = match shape {
        AttackShape::SingleSource => ("single_source", None, None),
        AttackShape::Distributed => {
            ("distributed", Some("sources"), Some(("unique_src_threshold", settings.unique_src_threshold)))
        }
        AttackShape::Spraying => ("spraying", Some("hosts"), Some(("unique_hosts_threshold", settings.unique_hosts_threshold))),
    };
    let name = if settings.busy_ports.contains(&key.port) { "busy_attempts_threshold" } else { "attempts_threshold" };
    let mut thresholds = vec![CrossedThreshold { name, limit: threshold, value: told.window.attempts }];
    let value = told.window.peers.count();
    thresholds.extend(peers_limit.map(|(name, limit)| CrossedThreshold { name, limit, value }));
    let succeeds = life.has_session_after();
    let mut details: Vec<_> = service(key.port).map(|name| ("service", name.to_owned())).into_iter().collect();
    if succeeds {
        details.push(("login", "may have succeeded".to_owned()));
    }
    let subject = match shape {
        AttackShape::SingleSource => format!("{source} {server}"),
        AttackShape::Distributed => server.to_string(),
        AttackShape::Spraying => format!("{source} port {}", key.port),
    };
    Alert {
        time: told.time,
        description: describe(told, shape, &source, &server),
        severity: if succeeds { AlertSeverity::High } else { AlertSeverity::Medium },
        key: format!("{KIND} {subject}"),
        began: life.span.first(),
        direction: to.map(|to| told.local.direction(from, to)),
        attacker,
        victim,
        counts: vec![("attempts", life.attempts), ("sessions", life.sessions), ("bytes", life.bytes)],
        distinct: peers.map(|name| (name, life.peers.cardinality())).into_iter().collect(),
        top_sources: if shape == AttackShape::Distributed { top } else { Vec::new() },
        ports: if shape == AttackShape::Spraying { vec![key.port] } else { Vec::new() },
        details,
        samples: life.samples.all().to_vec(),
        thresholds,
        is_at_least: told.is_at_least,
        window_ns: settings.window_ns,
        cooldown_ns: settings.cooldown_ns,
        ..Alert::bare(KIND, variant, told.phase)
    }
}

fn describe(told: &Told<'_, LoginAttempts>, shape: AttackShape, source: &AlertSubject, server: &AlertSubject) -> String {
    let life = told.life;
    let logins =
        service(told.key.port).map_or_else(|| format!("logins on port {}", told.key.port), |name| format!("{name} logins"));
    let about = if life.peers.cardinality().is_exact { "" } else { "about " };
    let peers = life.peers.count();
    let (head, whom) = match shape {
        AttackShape::SingleSource => ("Brute force", format!("on {server} from {source}")),
        AttackShape::Distributed => ("Distributed brute force", format!("on {server} from {about}{peers} sources")),
        AttackShape::Spraying => ("Brute force", format!("on {about}{peers} hosts from {source}")),
    };
    format!(
        "{head} of {logins} {whom}{}: {}{} short connections in {:.1} s, {} bytes each on average{}",
        told.phase.words(),
        if told.is_at_least { "at least " } else { "" },
        life.attempts,
        life.span.duration_ns() as f64 / 1e9,
        life.bytes / life.attempts.max(1),
        if life.has_session_after() { "; a longer or larger connection followed: a login may have succeeded" } else { "" }
    )
}
