//! Alerts of the real program, checked as every alert is to be.
//!
//! Knows no detector. Invariant: what is returned is the same for 1, 2, 4 and 8 workers and in two runs, as printed, as its schema has it,
//! and every alert that began ends.

use super::{netscope, temp_dir};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What the program says of a capture: its alerts file, and what it prints.
pub fn alerts_text(capture: &Path, workers: u32, flags: &[&str]) -> (String, String) {
    let directory = temp_dir("alerts");
    let file = directory.path().join("alerts.jsonl");
    let workers = workers.to_string();
    let mut command = netscope();
    command.args(["--quiet", "--anomalies", "--workers", &workers]).arg("--alerts-jsonl").arg(&file);
    let output = command.arg("--read-pcap").arg(capture).args(flags).output().expect("the program runs");
    assert!(output.status.success(), "{}: {}", capture.display(), String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<&str> = printed.lines().filter(|line| line.starts_with("[alert] ")).collect();
    (fs::read_to_string(&file).expect("the file is there"), lines.join("\n"))
}

/// The alerts of a capture.
pub fn alerts_of(capture: &Path, flags: &[&str]) -> Vec<Value> {
    let (text, printed) = alerts_text(capture, 1, flags);
    for workers in [1, 2, 4, 8] {
        assert_eq!(alerts_text(capture, workers, flags), (text.clone(), printed.clone()), "{workers} workers");
    }
    let alerts: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect();
    let described: Vec<String> =
        alerts.iter().map(|alert| format!("[alert] {}", alert["description"].as_str().expect("text"))).collect();
    assert_eq!(described.join("\n"), printed);
    let schema: Value = serde_json::from_str(include_str!("../../docs/alert.schema.json")).expect("the schema is JSON");
    let schema = jsonschema::validator_for(&schema).expect("the schema is one");
    for alert in &alerts {
        schema.validate(alert).unwrap_or_else(|error| panic!("{error}: {alert}"));
    }
    check_lives(&alerts);
    alerts
}

/// Every alert that begins ends, once, with updates in between.
fn check_lives(alerts: &[Value]) {
    let mut live = BTreeSet::new();
    for alert in alerts {
        let key = alert["key"].as_str().expect("a key");
        match alert["phase"].as_str() {
            Some("begin") => assert!(live.insert(key), "{alert}"),
            Some("update") => assert!(live.contains(key), "{alert}"),
            _ => assert!(live.remove(key), "{alert}"),
        }
    }
    assert!(live.is_empty(), "{live:?}");
}

/// Kind, variant and technique of the alerts that began.
pub fn begun(alerts: &[Value]) -> Vec<(&str, &str, &str)> {
    alerts
        .iter()
        .filter(|alert| alert["phase"] == "begin")
        .map(|alert| {
            let [kind, variant, technique] = ["kind", "variant", "technique"].map(|name| alert[name].as_str().unwrap_or(""));
            (kind, variant, technique)
        })
        .collect()
}

/// The latest alert of a phase.
pub fn last<'a>(alerts: &'a [Value], phase: &str) -> &'a Value {
    alerts.iter().rfind(|alert| alert["phase"] == phase).unwrap_or_else(|| panic!("no {phase} in {alerts:?}"))
}
