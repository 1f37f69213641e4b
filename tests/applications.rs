//! What flows are, against what tshark found in the same captures, and the same for any number of workers.
//!
//! The captures are where `NETSCOPE_CORPUS` says, or in `../shared/corpus`. Without them the tests say so and pass, but not in CI.

mod common;

use common::{corpus, netscope, run, temp_dir};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What an endpoint is in records and in truth alike.
fn endpoint(value: &Value) -> String {
    format!("{} {}", value["ip"].as_str().unwrap_or_default(), value["port"])
}

/// The flows of a capture by protocol and endpoints.
fn flows(capture: &Path, flags: &[&str]) -> (HashMap<[String; 3], Vec<Value>>, Vec<u8>) {
    let directory = temp_dir("applications");
    let out = directory.path().join("flows.json");
    let mut command = netscope();
    command.args(["--quiet", "--max-flows", "0", "--read-pcap"]).arg(capture).arg("--export-json").arg(&out).args(flags);
    run(&mut command).expect_code(0);
    let written = fs::read(&out).expect("the table");
    let table: Vec<Value> = serde_json::from_slice(&written).expect("JSON");
    let mut flows: HashMap<[String; 3], Vec<Value>> = HashMap::new();
    for flow in table {
        let protocol = flow["protocol"].as_str().expect("a name").to_owned();
        flows.entry([protocol, endpoint(&flow["endpoint_a"]), endpoint(&flow["endpoint_b"])]).or_default().push(flow);
    }
    (flows, written)
}

fn captures() -> Vec<(PathBuf, Value)> {
    let Some(corpus) = corpus() else { return Vec::new() };
    let mut captures: Vec<(PathBuf, Value)> = ["captures", "captures/derived"]
        .iter()
        .flat_map(|directory| fs::read_dir(corpus.join(directory)).expect("the corpus"))
        .map(|entry| entry.expect("an entry").path())
        .filter_map(|capture| {
            let name = capture.file_name()?.to_str()?;
            let truth = fs::read(corpus.join("truth").join(format!("{name}.json"))).ok()?;
            Some((capture, serde_json::from_slice(&truth).expect("a truth file")))
        })
        .collect();
    captures.sort_by(|(one, _), (other, _)| one.cmp(other));
    captures
}

/// A fact of ours as texts in small letters.
fn told(flow: &Value, object: &str, member: &str) -> Vec<String> {
    let texts = |value: &Value| match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    texts(&flow[object][member]).into_iter().map(|text| plain(&text)).collect()
}

fn plain(text: &str) -> String {
    text.trim_end_matches('.').trim_end_matches(":80").to_lowercase()
}

struct FactKind {
    truth: &'static str,
    value: &'static str,
    object: &'static str,
    member: &'static str,
    is_asked: fn(&Value) -> bool,
    /// Rows that may be missing of those of the developer set.
    missing_max: usize,
}

const KINDS: [FactKind; 5] = [
    FactKind {
        truth: "tls_sni",
        value: "sni",
        object: "tls",
        member: "sni",
        is_asked: |row| row["inside"].is_null() && row["soft"].is_null(),
        missing_max: 0,
    },
    FactKind { truth: "quic_sni", value: "sni", object: "quic", member: "sni", is_asked: |_| true, missing_max: 0 },
    FactKind {
        truth: "dns",
        value: "name",
        object: "dns",
        member: "name",
        is_asked: |row| {
            row["kind"] == "dns" && row["name"].as_str().is_some_and(|name| name.is_ascii() && !name.contains(['\\', '<']))
        },
        missing_max: 0,
    },
    FactKind {
        truth: "http",
        value: "value",
        object: "http",
        member: "host",
        is_asked: |row| row["kind"] == "request" && row["decrypted"].is_null() && !row["value"].is_null(),
        // The head of one is in two fragments of an IP datagram.
        missing_max: 1,
    },
    FactKind {
        truth: "ssh",
        value: "banner",
        object: "ssh",
        member: "banner",
        is_asked: |row| row["by"].is_null(),
        missing_max: 0,
    },
];

#[test]
fn names_are_those_that_tshark_finds() {
    let captures = captures();
    let (mut asked, mut missing) = ([0; KINDS.len()], [const { Vec::new() }; KINDS.len()]);
    for (capture, truth) in &captures {
        let (flows, _) = flows(capture, &["--dpi"]);
        for (at, kind) in KINDS.iter().enumerate() {
            for row in truth["app"][kind.truth].as_array().into_iter().flatten().filter(|row| (kind.is_asked)(row)) {
                let key = [row["proto"].as_str().expect("a name").to_owned(), endpoint(&row["a"]), endpoint(&row["b"])];
                let expected = plain(row[kind.value].as_str().unwrap_or_default());
                let Some(found) = flows.get(&key) else { continue };
                asked[at] += 1;
                if !found.iter().any(|flow| told(flow, kind.object, kind.member).contains(&expected)) {
                    missing[at].push(format!("{}: {key:?} {expected}", capture.display()));
                }
            }
        }
    }
    for (at, kind) in KINDS.iter().enumerate() {
        assert!(captures.is_empty() || asked[at] > 10, "{}: {}", kind.truth, asked[at]);
        assert!(missing[at].len() <= kind.missing_max, "{} of {}: {:#?}", kind.truth, asked[at], missing[at]);
    }
}

#[test]
fn any_number_of_workers_tells_the_same_and_none_tells_nothing() {
    let names = ["ndpi__teams.pcap", "mercury__geneve.pcap", "mercury__emix.pcap", "arkime__arkime_synthetic.pcap"];
    for (capture, _) in captures().iter().filter(|(capture, _)| names.iter().any(|name| capture.ends_with(name))) {
        let (found, one) = flows(capture, &["--dpi", "--workers", "1"]);
        assert!(found.values().flatten().any(|flow| flow["app"]["protocol"].is_string()), "{}", capture.display());
        for workers in ["2", "4"] {
            assert!(flows(capture, &["--dpi", "--workers", workers]).1 == one, "{} with {workers} workers", capture.display());
        }
        let (none, _) = flows(capture, &["--no-dpi"]);
        assert!(none.values().flatten().all(|flow| flow["app"].is_null() && flow["tls"].is_null()), "{}", capture.display());
        assert_eq!(none.len(), found.len());
    }
}
