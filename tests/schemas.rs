//! The published schemas against what the program writes: flow records, ended flows, summary, interval statistics.
#![cfg(target_os = "linux")]

mod common;

use common::{captures, fixture, netscope, run, temp_dir};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    serde_json::from_str(&fs::read_to_string(path).expect("it is published")).expect("it is JSON")
}

#[track_caller]
fn check(schema: &jsonschema::Validator, value: &Value, of: &str) {
    let errors: Vec<String> = schema.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{of}: {errors:#?}\n{value:#}");
}

#[test]
fn everything_that_is_written_fits_its_schema() {
    let directory = temp_dir("schemas");
    let at = |name: &str| directory.path().join(name);
    let of = |name: &str| jsonschema::draft202012::new(&schema(name)).expect("it is a schema");
    let (flow, ended, summary) = (of("flow-record.schema.json"), of("ended-flow.schema.json"), of("summary.schema.json"));
    let stats = of("stats.schema.json");
    let text = |path: PathBuf| fs::read_to_string(path).expect("it was written");
    let lines = |name: &str| text(at(name)).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>();
    let mut some = 0;
    for capture in captures() {
        let mut command = netscope();
        command.arg("-r").arg(&capture).args(["-q", "--no-summary", "--headers", "--workers", "2", "--top-flows", "2"]);
        for (flag, name) in [
            ("--export-json", "flows.json"),
            ("--expired-flows-jsonl", "ended.jsonl"),
            ("--summary-json", "summary.json"),
            ("--stats-jsonl", "stats.jsonl"),
        ] {
            command.arg(flag).arg(at(name));
        }
        let finished = run(&mut command);
        // Some captures of the corpus are damaged, which is told; what was read of them is written all the same.
        assert!(matches!(finished.status.code(), Some(0 | 1)), "{finished:?}");
        if !at("flows.json").exists() {
            continue;
        }
        let name = capture.display().to_string();
        let flows: Vec<Value> = serde_json::from_str(&text(at("flows.json"))).expect("JSON");
        flows.iter().for_each(|value| check(&flow, value, &name));
        lines("ended.jsonl").iter().for_each(|value| check(&ended, value, &name));
        lines("stats.jsonl").iter().for_each(|value| check(&stats, value, &name));
        check(&summary, &serde_json::from_str(&text(at("summary.json"))).expect("JSON"), &name);
        some += flows.len();
        for file in ["flows.json", "ended.jsonl", "summary.json", "stats.jsonl"] {
            fs::remove_file(at(file)).expect("it is there");
        }
    }
    assert!(some > 68);
}

#[test]
fn an_ended_flow_is_a_flow_record_with_its_end_before_it() {
    let (flow, ended) = (schema("flow-record.schema.json"), schema("ended-flow.schema.json"));
    let mut properties = ended["properties"].as_object().expect("an object").clone();
    assert!(properties.remove("ts").is_some() && properties.remove("reason").is_some());
    assert_eq!(Some(&properties), flow["properties"].as_object());
    let required: Vec<&Value> = ended["required"].as_array().expect("a list").iter().skip(2).collect();
    assert_eq!(required, flow["required"].as_array().expect("a list").iter().collect::<Vec<_>>());
}

#[test]
fn a_value_that_does_not_fit_is_refused() {
    let directory = temp_dir("schemas");
    let path = directory.path().join("summary.json");
    run(netscope().arg("-r").arg(fixture("demo.pcapng")).args(["-q", "--no-summary", "--summary-json"]).arg(&path))
        .expect_code(0);
    let mut value: Value = serde_json::from_str(&fs::read_to_string(path).expect("it was written")).expect("JSON");
    let summary = jsonschema::draft202012::new(&schema("summary.schema.json")).expect("it is a schema");
    assert!(summary.is_valid(&value));
    value["more"] = Value::from(1);
    assert!(!summary.is_valid(&value), "a field that is not described is found");
}

#[test]
fn every_kind_of_alert_can_be_muted() {
    let schema = schema("alert.schema.json");
    let kinds = schema["properties"]["kind"]["enum"].as_array().expect("a list");
    assert_eq!(kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>(), netscope::detect::ALERT_KINDS);
}

/// Labels of the summary's rows as the code has them.
fn labels() -> Vec<String> {
    let code = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/output/text.rs")).expect("it is there");
    let mut labels = Vec::new();
    for call in code.split("text.row").skip(1) {
        let call = call.strip_prefix("_if").unwrap_or(call);
        let Some(literal) = call.strip_prefix('(').map(|rest| rest.trim_start_matches("&format!(")) else { continue };
        if let Some(label) = literal.strip_prefix('"').and_then(|rest| rest.split('"').next()) {
            labels.push(label.split('{').next().unwrap_or_default().trim().to_owned());
        }
    }
    labels.retain(|label| !label.is_empty());
    labels
}

#[test]
fn every_row_of_the_summary_is_explained() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/summary.md")).expect("it is there");
    let labels = labels();
    assert!(labels.len() > 35, "{labels:?}");
    for label in labels {
        assert!(page.contains(&format!("| `{label}")), "docs/summary.md explains {label}");
    }
}
