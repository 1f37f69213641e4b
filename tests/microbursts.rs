//! Microbursts by the real program: what a known capture has of them, the same for any number of workers.

mod common;

use common::{netscope, temp_dir};
use netscope_perf::scenario::{MS, Outcome, SEC, Script, host};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Output, Stdio};

const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(203, 0, 113, 1), 443);
const CLIENT: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 0, 7), 50_000);
/// At 10 Mbit/s a millisecond carries 1,250 bytes, and a datagram of the script takes 84 of them: 12 are above 80 %.
const CONFIG: &str = "[analysis.anomalies.microburst]\nenabled = true\nlink_mbps = 10\ncooldown_secs = 1.0\n";

/// Ten seconds with a datagram in every other millisecond, a burst of one flow, later one of many, and a flood at the same time. Seconds of
/// packet time begin 700 ms after the script does.
fn script() -> Script {
    let mut script = Script::default();
    (0..5000).for_each(|i| script.udp(i * 2 * MS, CLIENT, SERVER));
    // Seconds 1 and 2 of the capture: 14 in one millisecond, 12 in another, and 11, which is below the threshold.
    for (at, count) in [(1000 * MS, 14), (2001 * MS, 12), (2005 * MS, 11)] {
        (0..count).for_each(|i| script.udp(at + 1000 + i * 20_000, SERVER, CLIENT));
    }
    (0..40).for_each(|i| script.udp(6000 * MS + 1000 + u64::from(i) * 20_000, (host([198, 51, 100, 1], i), 53), CLIENT));
    for i in 0..1500_u32 {
        let source = (host([11, 0, 0, 0], i * 7919), 1024);
        script.connect(5 * SEC + u64::from(i) * MS, source, (Ipv4Addr::new(192, 0, 2, 80), 80), MS, Outcome::Silent);
    }
    script
}

/// Alerts and statistics of a capture that is a file, or comes through a pipe.
fn run(capture: &Path, config: &str, workers: u32, is_piped: bool, flags: &[&str]) -> (String, String, Output) {
    let directory = temp_dir("bursts");
    let at = |name: &str| directory.path().join(name);
    fs::write(at("netscope.toml"), config).expect("the file is written");
    let mut command = netscope();
    command.args(["--quiet", "--anomalies", "--stats", "--workers", &workers.to_string(), "--config"]).arg(at("netscope.toml"));
    command.arg("--alerts-jsonl").arg(at("alerts")).arg("--stats-jsonl").arg(at("stats")).args(flags).arg("--read-pcap");
    if is_piped {
        command.arg("-")
    } else {
        command.arg(capture)
    };
    let mut running =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut input = running.stdin.take().expect("it is piped");
    if is_piped {
        input.write_all(&fs::read(capture).expect("it was written")).expect("the program reads");
    }
    drop(input);
    let output = running.wait_with_output().expect("the program ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = |name| fs::read_to_string(at(name)).expect("the file is there");
    (text("alerts"), text("stats"), output)
}

fn objects(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn schema(text: &str) -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(text).expect("the schema is JSON")).expect("the schema is one")
}

#[test]
fn bursts_are_found_and_named_and_the_number_of_workers_changes_no_byte() {
    let directory = temp_dir("script");
    let capture = directory.path().join("script.pcap");
    script().write(&capture);
    let (alerts, stats, output) = run(&capture, CONFIG, 1, false, &[]);
    for workers in [1, 2, 4, 8] {
        for is_piped in [false, true] {
            let again = run(&capture, CONFIG, workers, is_piped, &[]);
            assert_eq!((&again.0, &again.2.stdout), (&alerts, &output.stdout), "{workers} workers, piped: {is_piped}");
            let bursts = |stats: &str| objects(stats).iter().map(|line| line["microbursts"].clone()).collect::<Vec<_>>();
            assert_eq!(bursts(&again.1), bursts(&stats), "{workers} workers, piped: {is_piped}");
        }
    }
    let (alerts, stats) = (objects(&alerts), objects(&stats));
    let (of_alerts, of_stats) =
        (schema(include_str!("../docs/alert.schema.json")), schema(include_str!("../docs/stats.schema.json")));
    alerts.iter().for_each(|alert| of_alerts.validate(alert).unwrap_or_else(|error| panic!("{error}: {alert}")));
    stats.iter().for_each(|line| of_stats.validate(line).unwrap_or_else(|error| panic!("{error}: {line}")));

    let bursts: Vec<&Value> = stats.iter().map(|line| &line["microbursts"][0]).collect();
    // The script begins 300 ms into a second.
    let above: Vec<_> = bursts.iter().map(|line| line["bins_above"].as_u64().expect("a number")).collect();
    assert_eq!(above, [0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0]);
    let first = bursts[1];
    assert_eq!((&first["peak_packets"], &first["peak_bytes"]), (&json!(15), &json!(15 * 60)), "14, and one of the others");
    assert_eq!((&first["peak_percent"], &first["direction"]), (&json!(100), &json!("inbound")));
    assert_eq!((&first["p50_bps"], &first["bins"]), (&json!(0.0), &json!(1000)), "{first}");
    assert_eq!((&first["p99_bps"], &first["interface"]), (&json!(480_000.0), &Value::Null));
    let flow = &first["flows"][0];
    assert_eq!((&first["noted_packets"], &first["flows"].as_array().map(Vec::len)), (&json!(4), &Some(1)), "{first}");
    let packets = (flow["packets_a_to_b"].as_u64(), flow["packets_b_to_a"].as_u64());
    assert_eq!(packets.0.max(packets.1), Some(4), "those that came when 11 were there already");

    let told: Vec<_> = alerts
        .iter()
        .filter(|alert| alert["kind"] == "microburst")
        .map(|alert| (alert["phase"].as_str().unwrap_or(""), alert["variant"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(
        told,
        [("begin", "single_flow"), ("end", "single_flow"), ("begin", "many_flows"), ("end", "many_flows")],
        "{alerts:#?}"
    );
    assert!(alerts.iter().any(|alert| alert["kind"] == "syn_flood"), "the flood is found beside");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains("[bursts] peak 7.20 Mbps (100 %) | p50 0.00 p99 0.48 Mbps | 1000 us bins | 1 of 1000 above 80 %"),
        "{printed}"
    );
    let summary = String::from_utf8_lossy(&output.stderr);
    assert!(summary.contains("alerts: 3"), "{summary}");
}

#[test]
fn bursts_alone_need_no_other_detector_and_the_intervals_of_statistics_are_theirs() {
    let directory = temp_dir("script");
    let capture = directory.path().join("script.pcap");
    script().write(&capture);
    let alone = format!(
        "{CONFIG}bin_us = 100\n[analysis.anomalies.syn_flood]\nenabled = false\n[analysis.anomalies.port_scan]\nenabled = false\n"
    );
    let (alerts, stats, _) = run(&capture, &alone, 2, false, &["--stats-interval-ms", "500"]);
    let kinds: Vec<Value> = objects(&alerts).iter().map(|alert| alert["kind"].clone()).collect();
    assert!(!kinds.is_empty() && kinds.iter().all(|kind| kind == "microburst"), "{kinds:?}");
    let (stats, total) = (objects(&stats), 5000 + 14 + 12 + 11 + 40 + 1500);
    assert!(stats.iter().all(|line| line["microbursts"][0]["bins"] == 5000 || line == stats.last().expect("some")));
    assert_eq!(stats.last().expect("some")["packets_total"], total);
}

#[test]
fn without_a_speed_bursts_are_measured_and_that_is_told() {
    let directory = temp_dir("script");
    let capture = directory.path().join("script.pcap");
    script().write(&capture);
    let config = CONFIG.replace("link_mbps = 10", "link_mbps = 0");
    let (alerts, stats, output) = run(&capture, &config, 2, false, &[]);
    assert!(!alerts.contains("microburst"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the speed of the link of the file is not known"), "{said}");
    let bursts = &objects(&stats)[1]["microbursts"][0];
    assert_eq!((&bursts["bins_above"], &bursts["peak_percent"], &bursts["link_bps"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!((&bursts["peak_packets"], &bursts["flows"]), (&json!(15), &json!([])));
}

#[test]
fn off_by_default() {
    let directory = temp_dir("script");
    let capture = directory.path().join("script.pcap");
    script().write(&capture);
    let (alerts, stats, output) = run(&capture, "", 1, false, &[]);
    assert!(!alerts.contains("microburst") && !String::from_utf8_lossy(&output.stdout).contains("[bursts]"));
    assert!(objects(&stats).iter().all(|line| line["microbursts"] == json!([])));
}
