//! Our own recordings against what tshark says of them (`tests/fixtures/truth`): every flow, its packets and bytes per direction,
//! segments sent again or late, client and handshake time. Needs nothing but the repository.
//!
//! Retransmissions and out-of-order segments are compared by their sum: this truth is of tshark 4.0, which does not look at SACK
//! blocks to tell them apart, while 4.4, which the corpus' truth is made by, does.

mod common;

use common::{fixture, netscope, run, temp_dir};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

/// What is compared of a flow.
#[derive(Debug, Default, PartialEq)]
struct ComparedFlow {
    packets: [u64; 2],
    bytes: [u64; 2],
    /// Retransmissions and out-of-order segments.
    again_or_late: u64,
    client: Option<String>,
    /// In microseconds; several records of one tuple have several.
    handshake_us: Vec<u64>,
}

/// Flows by protocol and endpoints.
type ComparedFlows = BTreeMap<String, ComparedFlow>;

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn key(protocol: &Value, a: &Value, b: &Value) -> String {
    format!("{} {} {} {} {}", protocol, a["ip"], a["port"], b["ip"], b["port"])
}

fn microseconds(ms: &Value) -> Option<u64> {
    ms.as_f64().map(|ms| (ms * 1000.0).round() as u64)
}

/// What tshark says of a recording; in tunnels of the innermost flows.
fn truth(name: &str) -> ComparedFlows {
    let text = fs::read(fixture(&format!("truth/{name}.json"))).expect("truth");
    let truth: Value = serde_json::from_slice(&text).expect("truth is JSON");
    let flows = if truth["flows_inner"].is_array() { &truth["flows_inner"] } else { &truth["flows"] };
    let facts = |flow: &Value| {
        let sum = |name: &str, direction: &str| {
            number(&flow[format!("{name}_{direction}")]) + number(&flow[format!("frag_{name}_{direction}")])
        };
        ComparedFlow {
            packets: [sum("packets", "ab"), sum("packets", "ba")],
            bytes: [sum("bytes", "ab"), sum("bytes", "ba")],
            again_or_late: number(&flow["analysis"]["retransmission"]) + number(&flow["analysis"]["out_of_order"]),
            client: flow["client"].as_str().map(|side| if side == "ab" { "a_to_b" } else { "b_to_a" }.to_owned()),
            handshake_us: flow["initial_rtt_ms"]
                .as_array()
                .map(|times| times.iter().filter_map(microseconds).collect())
                .unwrap_or_default(),
        }
    };
    let flows = flows.as_array().expect("flows");
    flows.iter().map(|flow| (key(&flow["proto"], &flow["a"], &flow["b"]), facts(flow))).collect()
}

/// What the program says of it, TCP and UDP only.
fn exported(name: &str) -> ComparedFlows {
    let dir = temp_dir("recordings");
    let json = dir.path().join("flows.json");
    run(netscope().args(["--quiet", "--flow-timeout-s", "0", "--read-pcap"]).arg(fixture(name)).arg("--export-json").arg(&json))
        .expect_code(0);
    let records: Vec<Value> = serde_json::from_slice(&fs::read(json).expect("export")).expect("export is JSON");
    let mut flows = ComparedFlows::new();
    for record in records.iter().filter(|record| record["protocol"] == "tcp" || record["protocol"] == "udp") {
        let facts = flows.entry(key(&record["protocol"], &record["endpoint_a"], &record["endpoint_b"])).or_default();
        for (i, direction) in ["a_to_b", "b_to_a"].into_iter().enumerate() {
            facts.packets[i] += number(&record[format!("packets_{direction}")]);
            facts.bytes[i] += number(&record[format!("bytes_{direction}")]);
        }
        facts.again_or_late += number(&record["retransmissions"]) + number(&record["out_of_order"]);
        facts.client = facts.client.take().or_else(|| record["client"].as_str().map(str::to_owned));
        facts.handshake_us.extend(microseconds(&record["handshake_rtt_ms"]));
    }
    flows
}

#[test]
fn recordings_agree_with_tshark() {
    for name in ["demo.pcapng", "fragments.pcap", "loss.pcap"] {
        let (truth, exported) = (truth(name), exported(name));
        assert!(!truth.is_empty(), "{name}: no flows in the truth");
        for (key, facts) in &truth {
            assert_eq!(exported.get(key), Some(facts), "{name}: {key}");
        }
        assert_eq!(exported.len(), truth.len(), "{name}: flows that tshark does not have");
    }
}

#[test]
fn the_recordings_have_something_to_find() {
    let sum = |name: &str, what: fn(&ComparedFlow) -> u64| truth(name).values().map(what).sum::<u64>();
    assert!(sum("loss.pcap", |facts| facts.again_or_late) > 10);
    assert!(sum("demo.pcapng", |facts| facts.again_or_late) > 10);
    assert!(sum("fragments.pcap", |facts| facts.packets[0] + facts.packets[1]) > 10);
}

#[test]
fn fragments_are_counted() {
    let dir = temp_dir("fragments");
    for workers in ["1", "3"] {
        let path = dir.path().join("summary.json");
        run(netscope()
            .args(["--quiet", "--workers", workers, "--read-pcap"])
            .arg(fixture("fragments.pcap"))
            .arg("--summary-json")
            .arg(&path))
        .expect_code(0);
        let summary: Value = serde_json::from_slice(&fs::read(path).expect("summary")).expect("JSON");
        let text = fs::read(fixture("truth/fragments.pcap.json")).expect("truth");
        let truth: Value = serde_json::from_slice(&text).expect("JSON");
        let of = |what: &str| number(&truth["ipv4_fragments"][what]) + number(&truth["ipv6_fragments"][what]);
        assert_eq!(summary["fragments"]["first"], of("first"), "{workers} workers");
        assert_eq!(summary["fragments"]["later"], of("nonfirst"), "{workers} workers");
        assert!(of("nonfirst") > 0);
    }
}
