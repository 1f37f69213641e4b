//! Alerts by the Elastic Common Schema (ECS 8.17), with all of ours beside it.
//!
//! Owns the mapping, which docs/alerts.md describes. Invariant: each field of ours is under `netscope.alert`, mapped or not.

use super::syslog_message::rfc3339;
use crate::detect::{Alert, AlertPhase, AlertSeverity, AlertSubject};
use crate::flow::community_id;
use crate::record::AlertObject;
use serde_json::{Map, Value, json};

const ECS_VERSION: &str = "8.17.0";

/// The document of an alert.
pub(super) fn document(alert: &Alert, community_id_seed: u16) -> Value {
    let (kind_of_event, end) = match alert.phase {
        AlertPhase::Begin => ("start", None),
        AlertPhase::Update => ("info", None),
        AlertPhase::End(_) => ("end", Some(rfc3339(alert.time))),
    };
    let mut event = Map::new();
    let mut set = |name: &str, value: Value| event.insert(name.to_owned(), value);
    set("kind", "alert".into());
    set("category", json!(["network", "intrusion_detection"]));
    set("type", json!([kind_of_event]));
    set("module", "netscope".into());
    set("dataset", "netscope.alert".into());
    set("action", alert.kind.into());
    set("severity", severity(alert.severity).into());
    set("start", rfc3339(alert.began).into());
    if let Some(end) = end {
        set("end", end.into());
        set("duration", alert.time.since(alert.began).into());
    }
    let ids: Vec<String> = alert
        .samples
        .iter()
        .map(|sample| community_id(&sample.key, sample.initiator, community_id_seed).as_str().to_owned())
        .collect();
    let mut document = json!({
        "@timestamp": rfc3339(alert.time),
        "ecs": {"version": ECS_VERSION},
        "message": alert.description,
        "event": event,
        "observer": {"vendor": "NetScope", "product": "netscope", "type": "ids", "version": env!("CARGO_PKG_VERSION")},
        "rule": {"id": alert.key, "name": alert.kind, "category": alert.variant},
        "netscope": {"alert": AlertObject::new(alert, community_id_seed)},
    });
    let mut network = Map::new();
    if let Some(direction) = alert.direction {
        network.insert("direction".to_owned(), direction.into());
    }
    if !ids.is_empty() {
        network.insert("community_id".to_owned(), ids.into());
    }
    let ends = [("source", &alert.attacker), ("destination", &alert.victim)];
    let ends = ends.into_iter().filter_map(|(name, subject)| Some((name, end_of(subject.as_ref()?))));
    for (name, value) in ends.chain((!network.is_empty()).then_some(("network", Value::Object(network)))) {
        document[name] = value;
    }
    document
}

/// A host or a network; a network has no `ip`.
fn end_of(subject: &AlertSubject) -> Value {
    let host = subject.host.to_string();
    let mut end = Map::new();
    match subject.prefix_len {
        Some(_) => _ = end.insert("address".to_owned(), subject.to_string().into()),
        None => {
            end.insert("address".to_owned(), host.clone().into());
            end.insert("ip".to_owned(), host.into());
        }
    }
    if let Some(port) = subject.port {
        end.insert("port".to_owned(), port.into());
    }
    Value::Object(end)
}

/// ECS leaves the scale to the source: the larger, the worse.
const fn severity(severity: AlertSeverity) -> u8 {
    match severity {
        AlertSeverity::Low => 1,
        AlertSeverity::Medium => 2,
        AlertSeverity::High => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_alerts::{alert, ended, subject};
    use super::*;

    #[test]
    fn an_alert_has_the_fields_of_the_schema() {
        let document = document(&alert(), 0);
        assert_eq!(document["@timestamp"], "2023-11-14T22:13:20.123456Z");
        assert_eq!(document["event"]["kind"], "alert");
        assert_eq!(document["event"]["type"], json!(["start"]));
        assert_eq!(document["event"]["severity"], 3);
        assert_eq!(document["source"], json!({"address": "203.0.113.66", "ip": "203.0.113.66"}));
        assert_eq!(document["destination"]["port"], 443);
        assert_eq!(document["network"], json!({"direction": "inbound"}));
        assert_eq!(document["rule"]["name"], "syn_flood");
    }

    #[test]
    fn what_is_not_known_is_not_there() {
        let network = AlertSubject { prefix_len: Some(24), ..subject("192.0.2.0", None) };
        let carpet = Alert { attacker: None, direction: None, victim: Some(network), ..ended() };
        let document = document(&carpet, 0);
        assert_eq!(document["destination"], json!({"address": "192.0.2.0/24"}));
        assert!(document.get("source").is_none() && document.get("network").is_none());
        assert_eq!((&document["event"]["type"], &document["event"]["duration"]), (&json!(["end"]), &json!(1_123_456_789_u64)));
    }
}
