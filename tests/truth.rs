//! The whole program against tshark's truth: every capture of the corpus is read by the real binary, and the corpus' own scorer
//! judges the exported flows. The bounds are the project's promise; what is below 100 % is explained in `docs/truth.md`.

mod common;

use common::{netscope, temp_dir};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Reads every capture of `captures` and writes the exports the scorer wants.
fn export_all(captures: &Path, into: &Path, extra: &[&str]) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(captures).expect("corpus folder") {
        let path = entry.expect("corpus entry").path();
        if !path.is_file() {
            continue;
        }
        let name = path.file_name().expect("file name").to_string_lossy().into_owned();
        let export = into.join(format!("{name}.json"));
        let output = netscope()
            .args(["--quiet", "--read-pcap"])
            .arg(&path)
            .arg("--export-json")
            .arg(&export)
            .args(extra)
            .output()
            .expect("netscope runs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        count += 1;
    }
    count
}

/// The scorer's verdict on the exports in `exports`.
fn score(corpus: &Path, truth: &Path, exports: &Path) -> Value {
    let json = exports.join("score.result");
    let output = Command::new("python3")
        .arg(corpus.join("tools/score.py"))
        .arg("--truth-dir")
        .arg(truth)
        .arg("--export-dir")
        .arg(exports)
        .arg("--json")
        .arg(&json)
        .args(["--diff", "2"])
        .output()
        .expect("python3 runs");
    assert!(output.status.success(), "the scorer failed: {}", String::from_utf8_lossy(&output.stderr));
    println!("{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&fs::read(json).expect("score")).expect("score is JSON")
}

/// Mean over captures of a metric of the scorer's per-capture summaries.
fn mean(result: &Value, metric: &str) -> f64 {
    let values: Vec<f64> = result["captures"]
        .as_object()
        .expect("captures")
        .values()
        .filter_map(|capture| capture["summary"][metric].as_f64())
        .collect();
    assert!(!values.is_empty(), "no capture has the metric {metric}");
    values.iter().sum::<f64>() / values.len() as f64
}

/// The promised means over captures.
const PROMISED: [(&str, f64); 9] = [
    ("flows.recall", 0.995),
    ("flows.precision", 0.995),
    ("packets.exact", 0.995),
    ("bytes.exact.wire", 0.995),
    ("retransmissions.exact", 0.97),
    ("out_of_order.exact", 0.97),
    ("retrans_plus_ooo.exact", 0.98),
    ("handshake_rtt.coverage", 0.99),
    ("handshake_rtt.within_tolerance", 0.99),
];

fn assert_promises(result: &Value, what: &str) {
    let low: Vec<String> = PROMISED
        .iter()
        .map(|&(metric, least)| (metric, least, mean(result, metric)))
        .filter(|&(_, least, value)| value < least)
        .map(|(metric, least, value)| format!("{metric} is {value:.4}, promised {least}"))
        .collect();
    assert!(low.is_empty(), "{what}: {}", low.join("; "));
    let client = mean(result, "client.agreement");
    assert!(client >= 0.995, "{what}: client agreement is {client}");
    let state = mean(result, "tcp_state.acceptable");
    assert!(state >= 0.99, "{what}: acceptable TCP states {state}");
}

#[test]
fn flows_agree_with_tshark() {
    let Some(corpus) = common::corpus() else { return };
    for (what, extra) in [("whole connections", &["--flow-timeout-s", "0"][..]), ("default timeouts", &[][..])] {
        let dir = temp_dir("truth");
        let count = export_all(&corpus.join("captures"), dir.path(), extra);
        assert!(count >= 90, "only {count} captures in the corpus");
        assert_promises(&score(&corpus, &corpus.join("truth"), dir.path()), what);
    }
}

#[test]
fn recut_captures_agree_with_tshark() {
    let Some(corpus) = common::corpus() else { return };
    let dir = temp_dir("truth-derived");
    let count = export_all(&corpus.join("captures/derived"), dir.path(), &["--flow-timeout-s", "0"]);
    assert!(count >= 10, "only {count} derived captures in the corpus");
    let result = score(&corpus, &corpus.join("truth/derived"), dir.path());
    for (metric, least) in PROMISED {
        println!("{metric}: {:.4} (promised for real captures: {least})", mean(&result, metric));
    }
    for metric in ["flows.recall", "flows.precision", "packets.exact", "bytes.exact.wire"] {
        assert!(mean(&result, metric) >= 0.995, "{metric}");
    }
}

/// What the corpus' README expects of a damaged or hostile file.
fn expectations(corpus: &Path) -> Vec<(String, String)> {
    let readme = fs::read_to_string(corpus.join("README.md")).expect("corpus README");
    let (_, rest) = readme.split_once("\n## malformed/").expect("a section on malformed files");
    let (section, _) = rest.split_once("\n## ").expect("a section after it");
    section
        .lines()
        .filter_map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let (name, _, expect) = (cells.next()?, cells.next()?, cells.next()?);
            (name.contains(".pcap")).then(|| (name.to_owned(), expect.to_owned()))
        })
        .collect()
}

/// True for an export without a flow.
fn is_empty(export: &Path) -> bool {
    let flows: Vec<Value> = serde_json::from_slice(&fs::read(export).expect("exported")).expect("a list of flows");
    flows.is_empty()
}

#[test]
fn malformed_files_end_as_expected() {
    let Some(corpus) = common::corpus() else { return };
    let expectations = expectations(&corpus);
    assert!(expectations.len() >= 30, "only {} expectations found", expectations.len());
    let dir = temp_dir("malformed");
    let mut wrong = Vec::new();
    for (name, expect) in expectations {
        let truth = fs::read(corpus.join(format!("truth/malformed/{name}.json"))).expect("truth");
        let truth: Value = serde_json::from_slice(&truth).expect("truth is JSON");
        let summary = dir.path().join(format!("{name}.summary"));
        let flows = dir.path().join(format!("{name}.json"));
        let output = netscope()
            .args(["--quiet", "--no-summary", "--read-pcap"])
            .arg(corpus.join("captures/malformed").join(&name))
            .arg("--summary-json")
            .arg(&summary)
            .arg("--export-json")
            .arg(&flows)
            .output()
            .expect("netscope runs");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code();
        let packets = fs::read(&summary)
            .ok()
            .map(|bytes| serde_json::from_slice::<Value>(&bytes).expect("summary is JSON"))
            .and_then(|summary| summary["packets"].as_u64());
        let right = truth["packets"].as_u64();
        let fine = match expect.as_str() {
            "empty" => code == Some(0) && packets == Some(0) && stderr.is_empty(),
            "hostile-packets" => code == Some(0) && packets == right,
            "broken-container" => {
                code == Some(1) && stderr.contains(&name) && (packets == right || (packets.is_none() && right == Some(0)))
            }
            "unsupported-linktype" => {
                let number = truth["container"]["link_types"][0].as_u64().expect("link type");
                (code == Some(1) && stderr.contains(&format!("link type {number}")))
                    || (code == Some(0)
                        && packets == right
                        && is_empty(&flows) == truth["flows"].as_array().expect("flows").is_empty())
            }
            other => panic!("{name}: unknown expectation {other}"),
        };
        if !fine {
            wrong.push(format!("{name} ({expect}): exit {code:?}, packets {packets:?} of {right:?}, {stderr}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
