//! Alerts for tests.

use crate::detect::{Alert, AlertEnd, AlertPhase, AlertSeverity, AlertSubject, Cardinality, CrossedThreshold};
use netscope_backends::Timestamp;
use std::net::IpAddr;

/// A host, or a service.
pub(super) fn subject(address: &str, port: Option<u16>) -> AlertSubject {
    AlertSubject { port, ..AlertSubject::host(address.parse::<IpAddr>().expect("an address").into()) }
}

/// A flood of one service by one host.
pub(super) fn alert() -> Alert {
    Alert {
        time: Timestamp(1_700_000_000_123_456_789),
        description: "Single-source SYN flood on 192.0.2.80:443".to_owned(),
        severity: AlertSeverity::High,
        key: "syn_flood 192.0.2.80:443".to_owned(),
        technique: Some("syn"),
        began: Timestamp(1_699_999_999_000_000_000),
        attacker: Some(subject("203.0.113.66", None)),
        victim: Some(subject("192.0.2.80", Some(443))),
        direction: Some("inbound"),
        counts: vec![("attempts", 1500), ("completed", 0)],
        distinct: vec![("sources", Cardinality { count: 1, is_exact: true })],
        completion_ratio: Some(0.0),
        thresholds: vec![CrossedThreshold { name: "syn_threshold", limit: 200, value: 1500 }],
        window_ns: 5_000_000_000,
        cooldown_ns: 10_000_000_000,
        ..Alert::bare("syn_flood", "single_source", AlertPhase::Begin)
    }
}

/// The same, over.
pub(super) fn ended() -> Alert {
    Alert { phase: AlertPhase::End(AlertEnd::Quiet), ..alert() }
}

/// One whose texts are these.
pub(super) fn hostile(text: &str) -> Alert {
    Alert { description: text.to_owned(), key: text.to_owned(), ..alert() }
}
