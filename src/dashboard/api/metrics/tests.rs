//! Metrics against the tools that read them, and against what is written for these tools.

use crate::dashboard::api::tests::played::Played;
use crate::dashboard::{Method, PageHooks, ServerNumber};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

fn played() -> Played {
    let numbers = || {
        let number = |code| ServerNumber {
            name: "http_requests",
            help: "Requests by status.",
            is_counter: true,
            label: Some(("code", code)),
            value: 1,
        };
        vec![number("200"), number("404")]
    };
    Played::full(PageHooks { server: Some(Arc::new(numbers)), ..PageHooks::default() })
}

fn text(played: &Played, accept: &str) -> String {
    let response = played.ask(Method::Get, "/metrics", &[], "", accept);
    assert_eq!(response.status, 200);
    let wanted = if accept.is_empty() { "text/plain" } else { "application/openmetrics-text" };
    assert!(response.content_type.starts_with(wanted));
    String::from_utf8(played.body(response)).expect("UTF-8")
}

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// Names of all samples.
fn sample_names(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned).collect()
}

/// Runs promtool on a text; `None` where there is none and nobody insists.
fn promtool(arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let started =
        Command::new("promtool").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "promtool (package prometheus) is missing: {error}");
            eprintln!("skipped: promtool (package prometheus) is missing: {error}");
            return None;
        }
    };
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads all");
    let done = child.wait_with_output().expect("it ends");
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    Some((done.status.success(), said))
}

#[test]
fn samples_that_found_no_room_are_told() {
    let played = played();
    assert!(text(&played, "").contains("\nnetscope_sampled_packets_skipped_total 5\n"));
    assert_eq!(played.get("/api/v1/status", &[]).1["samples_skipped"], 5);
}

#[test]
fn promtool_accepts_the_metrics() {
    let text = text(&played(), "");
    if let Some((is_fine, said)) = promtool(&["check", "metrics"], &text) {
        assert!(is_fine, "{said}\n{text}");
        let (is_fine, _) = promtool(&["check", "metrics"], "a{b=\"c} 1\n").expect("it is there");
        assert!(!is_fine, "it refuses what is wrong");
    }
}

#[test]
fn open_metrics_keeps_its_rules() {
    let text = text(&played(), "application/openmetrics-text; version=1.0.0");
    let body = text.strip_suffix("# EOF\n").expect("it ends with # EOF");
    let mut family: Option<(String, String)> = None;
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            assert!(seen.insert(name.to_owned()), "{name} comes once");
            family = Some((name.to_owned(), kind.to_owned()));
        } else if !line.starts_with("# HELP ") {
            let (name, kind) = family.as_ref().expect("a family");
            let sample = line.split(['{', ' ']).next().expect("a name");
            let suffixes: &[&str] = match kind.as_str() {
                "counter" => &["_total"],
                "info" => &["_info"],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            let suffix = sample.strip_prefix(name.as_str()).expect("samples stand under their family");
            assert!(suffixes.contains(&suffix), "{line}");
            let value = line.rsplit(' ').next().expect("a value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[test]
fn names_from_the_start_and_no_addresses() {
    let text = text(&played(), "");
    let names = sample_names(&text);
    for name in [
        "netscope_build_info",
        "netscope_uptime_seconds",
        "netscope_capture_bytes_total",
        "netscope_capture_packets_total",
        "netscope_active_flows",
        "netscope_dispatch_drops_total",
        "netscope_kernel_drops_total",
        "netscope_kernel_if_drops_total",
        "netscope_http_requests_total",
    ] {
        assert!(names.contains(name), "{name}");
    }
    assert!(text.contains("netscope_build_info{version=\"0.1.0\"} 1\n") && text.contains("netscope_capture_bytes_total 50000\n"));
    assert!(text.contains("netscope_drops_total{layer=\"kernel\",reason=\"kernel_drops\"} 3\n"));
    assert!(!text.contains("10.0.0.") && !text.contains("2001:db8"), "no address of traffic");
}

#[test]
fn the_page_of_metrics_lists_each_one() {
    let documented = std::fs::read_to_string(docs("metrics.md")).expect("docs/metrics.md");
    let listed: BTreeSet<String> = documented
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split(['`', '{']).next())
        .map(str::to_owned)
        .collect();
    let families: BTreeSet<String> = text(&played(), "")
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()))
        .filter(|name| *name != "netscope_http_requests_total")
        .map(str::to_owned)
        .collect();
    let missing: Vec<_> = families.difference(&listed).collect();
    assert!(missing.is_empty(), "docs/metrics.md lacks {missing:?}");
}

#[test]
fn dashboard_and_rules_use_metrics_that_there_are() {
    let mut names = sample_names(&text(&played(), ""));
    // Only with detection.
    names.extend(["alerts_muted", "alerts_left_out", "detection_overflow"].map(|name| format!("netscope_{name}_total")));
    for file in ["grafana-dashboard.json", "prometheus-alerts.yml"] {
        let written = std::fs::read_to_string(docs(file)).expect("a file of docs");
        let used: BTreeSet<&str> = written
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .filter(|word| word.starts_with("netscope_"))
            .collect();
        assert!(used.len() > 3, "{file}");
        for name in used {
            assert!(names.contains(name), "{file} uses {name}");
        }
    }
    let dashboard = std::fs::read_to_string(docs("grafana-dashboard.json")).expect("a file of docs");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 5));
    let rules = docs("prometheus-alerts.yml");
    if let Some((is_fine, said)) = promtool(&["check", "rules", &rules.to_string_lossy()], "") {
        assert!(is_fine, "{said}");
    }
}
