//! Events of records and facts made by hand, and of any that can be made.

use super::*;
use crate::flow::FlowRecord;
use crate::record::FACT_SCHEMA;
use crate::record::reference::any_record;
use crate::record::test_records::{icmp_record, tcp_record};
use crate::record::test_told::{HOSTILE, told_table};
use crate::record::untrusted::{TEXT_LEN_MAX, is_hidden, shown};
use proptest::prelude::*;
use serde_json::{Value, json};

fn lines(exported: &Exported<'_>) -> Vec<String> {
    let (mut buffer, mut out) = (TextBuffer::default(), Vec::new());
    push_eve(&mut buffer, exported);
    buffer.write(&mut out).expect("memory takes all");
    String::from_utf8(out).expect("UTF-8").lines().map(str::to_owned).collect()
}

fn events(record: &FlowRecord, facts: crate::flow::FactSet<'_>) -> Vec<Value> {
    let lines = lines(&Exported::new(record, 0).with_facts(facts, FACT_SCHEMA));
    lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The events of the flow with this protocol in `told_table`, the flow's own left out.
fn told(protocol: usize) -> Vec<Value> {
    let (record, facts) = told_table().swap_remove(protocol);
    let mut events = events(&record, facts.facts());
    assert_eq!(events.pop().expect("the flow")["event_type"], "flow");
    events
}

#[test]
fn a_connection_without_facts_is_one_event() {
    let events = events(&tcp_record(), crate::flow::FactSet::NONE);
    let id = crate::flow::RecordId::of(&tcp_record()).number();
    let expected = json!([{
        "timestamp": "2023-11-14T22:14:22.500000+0000", "flow_id": id, "event_type": "flow", "vlan": [100, 200],
        "src_ip": "10.0.0.2", "src_port": 40000, "dest_ip": "10.0.0.1", "dest_port": 443, "proto": "TCP",
        "flow": {
            "pkts_toserver": 7, "pkts_toclient": 10, "bytes_toserver": 1000, "bytes_toclient": 4000,
            "start": "2023-11-14T22:13:20.000000+0000", "end": "2023-11-14T22:13:22.500000+0000", "age": 2,
            "state": "established", "reason": "timeout",
        },
        "community_id": Exported::new(&tcp_record(), 0).community_id().as_str(),
        "tcp": {
            "tcp_flags": "1b", "tcp_flags_ts": "1b", "tcp_flags_tc": "12", "fin": true, "syn": true, "psh": true, "ack": true,
            "state": "close_wait",
        },
    }]);
    assert_eq!(Value::from(events), expected);
}

#[test]
fn icmp_has_types_and_no_ports() {
    let events = events(&icmp_record(), crate::flow::FactSet::NONE);
    assert_eq!((&events[0]["proto"], &events[0]["icmp_type"], &events[0]["icmp_code"]), (&json!("ICMP"), &json!(8), &json!(0)));
    assert!(events[0].get("src_port").is_none() && events[0].get("tcp").is_none() && events[0].get("vlan").is_none());
    assert_eq!((&events[0]["flow"]["state"], &events[0]["flow"]["reason"]), (&json!("established"), &json!("shutdown")));
}

#[test]
fn dns_is_a_query_for_each_name_and_an_answer() {
    let [query, answer] = <[Value; 2]>::try_from(told(0)).expect("two events");
    assert_eq!((&query["event_type"], &query["app_proto"]), (&json!("dns"), &json!("dns")));
    assert_eq!(query["timestamp"], "2023-11-14T22:13:20.000000+0000");
    assert_eq!(query["dns"], json!({"type": "query", "rrname": "www.example.com", "rrtype": "A"}));
    assert_eq!(
        answer["dns"],
        json!({
            "version": 2, "type": "answer", "qr": true, "rrname": "www.example.com", "rrtype": "A", "rcode": "NOERROR",
            "answers": [{"rdata": "web.example.com"}, {"rrtype": "A", "rdata": "192.0.2.80"}, {"rrtype": "AAAA", "rdata": "2001:db8::80"}],
            "grouped": {"A": ["192.0.2.80"], "AAAA": ["2001:db8::80"]},
        })
    );
}

#[test]
fn sessions_have_the_names_of_suricata() {
    let hostile: String = shown(HOSTILE).collect();
    assert_eq!(
        told(1)[0]["tls"],
        json!({
            "subject": "CN=example.com", "issuerdn": "CN=ca, O=o", "sni": hostile, "version": "TLS 1.2",
            "notbefore": "2017-01-04T10:48:43", "ja3": {"hash": "cd08e31494f9531f560d64c695473da9"},
            "ja4": "t13d1516h2_8daaf6152771_e5627efa2ab1", "client_alpns": ["h2", "http/1.1"], "server_alpns": ["h2"],
        }),
        "a date beyond the year 9999 is left out"
    );
    assert_eq!(
        told(2)[0]["quic"],
        json!({"version": "1", "sni": "quic.example.com", "ja4": "q13d0312h3_55b375c5d22e_06cda9e17597"})
    );
    let agent = "u".repeat(TEXT_LEN_MAX) + "…";
    assert_eq!(
        told(3)[0]["http"],
        json!({
            "hostname": "example.com", "http_port": 8080, "url": "/a,b", "http_user_agent": agent, "http_content_type": "text/html",
            "http_method": "GET", "protocol": "HTTP/1.1", "status": 404,
        })
    );
    assert_eq!(
        told(4)[0]["ssh"],
        json!({
            "client": {
                "proto_version": "2.0", "software_version": "OpenSSH_9.6p1", "hassh": {"hash": "aae6b9604f6f3356543709a376d7f657"},
            },
            "server": {
                "proto_version": "2.0", "software_version": "dropbear", "hassh": {"hash": "b2d2d3d9e7a9f7c5a1d0f1a5a7b7c2e1"},
            },
        })
    );
}

#[test]
fn quic_versions_are_numbers_but_for_five() {
    let named = |name: &str| super::super::told::quic_version_number(name.as_bytes()).map(names::quic_version);
    for (name, expected) in [("v1", "1"), ("v2", "6b3343cf"), ("draft-29", "ff00001d"), ("Q046", "Q046"), ("T051", "54303531")] {
        assert_eq!(named(name).as_deref(), Some(expected));
    }
    assert_eq!(
        (named("mvfst-02").as_deref(), named("0x0a1a2a3a").as_deref(), named("?")),
        (Some("faceb002"), Some("a1a2a3a"), None)
    );
}

proptest! {
    #[test]
    fn any_record_with_any_facts_gives_events_that_are_counted(record in any_record(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let table = told_table();
        let facts = table.iter().map(|(_, facts)| facts.facts()).chain([crate::flow::FactSet::of_bytes(&bytes)]);
        for facts in facts {
            let exported = Exported::new(&record, 0).with_facts(facts, FACT_SCHEMA);
            let lines = lines(&exported);
            prop_assert_eq!(lines.len() as u64, eve_count(&exported));
            for line in lines {
                prop_assert!(!line.chars().any(is_hidden));
                let event: Value = serde_json::from_str(&line).expect("JSON");
                let kind = event["event_type"].as_str().expect("a type");
                prop_assert!(event[kind].is_object(), "{}", line);
            }
        }
    }
}
