//! Data sent out in words and numbers.
//!
//! Owns the wording. Knows no rule.

use super::sent::SentBytes;
use super::{DataOutSettings, is_pair};
use crate::detect::{Alert, AlertSeverity, AlertSubject, CrossedThreshold, Told};

pub(super) const KIND: &str = "data_out";
/// So many times the threshold is severe.
const SEVERE: u64 = 10;
/// Ports that an alert names.
const PORTS_SHOWN: usize = 10;

pub(super) fn alert(told: &Told<'_, SentBytes>, settings: &DataOutSettings) -> Alert {
    let (key, life) = (told.key, told.life);
    let is_pair = is_pair(key);
    let contacts = life.contacts.cardinality();
    let about = if contacts.is_exact { "" } else { "about " };
    let (to, subject) = if is_pair {
        (format!("to {}", key.peer), format!("{KIND} {} {}", key.host, key.peer))
    } else {
        (format!("to {about}{} hosts", contacts.count), format!("{KIND} {}", key.host))
    };
    let mut ports: Vec<u16> = life.contacts.listed().filter(|_| is_pair).map(|(contact, _)| contact.port).collect();
    ports.sort_unstable();
    ports.truncate(PORTS_SHOWN);
    let is_severe = told.window.bytes >= SEVERE.saturating_mul(settings.bytes_threshold);
    Alert {
        time: told.time,
        description: format!(
            "Data sent out by {} {to}{}: {}{} bytes in {:.1} s, {} of them in the last {:.0} s",
            key.host,
            told.phase.words(),
            if told.is_at_least { "at least " } else { "" },
            life.bytes,
            life.span.duration_ns() as f64 / 1e9,
            told.window.bytes,
            settings.window_ns as f64 / 1e9,
        ),
        severity: if is_severe { AlertSeverity::High } else { AlertSeverity::Medium },
        key: subject,
        began: life.span.first(),
        attacker: Some(AlertSubject::host(key.host)),
        victim: is_pair.then(|| AlertSubject::host(key.peer)),
        direction: Some("outbound"),
        counts: vec![("bytes", life.bytes)],
        distinct: vec![(if is_pair { "ports" } else { "hosts" }, contacts)],
        ports,
        samples: life.samples.all().to_vec(),
        thresholds: vec![CrossedThreshold { name: "bytes_threshold", limit: settings.bytes_threshold, value: told.window.bytes }],
        is_at_least: told.is_at_least,
        window_ns: settings.window_ns,
        cooldown_ns: settings.cooldown_ns,
        ..Alert::bare(KIND, if is_pair { "one_destination" } else { "several_destinations" }, told.phase)
    }
}
