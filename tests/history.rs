//! The history by the real program: it adds up, is the same for any number of workers, and is written when somebody asks.
#![cfg(target_os = "linux")]

mod common;

use common::{netscope, temp_dir};
use netscope_perf::scenario::{MS, Outcome, SEC, Script, host};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Three minutes: requests to a server by 40 clients, a resolver, a flood in between.
fn script() -> Script {
    let mut script = Script::default();
    let (server, resolver) = ((Ipv4Addr::new(192, 0, 2, 80), 443), (Ipv4Addr::new(192, 0, 2, 53), 53));
    for i in 0..1800_u32 {
        let at = u64::from(i) * 100 * MS;
        let client = host([10, 0, 0, 1], i % 40);
        script.connect(at, (client, 20_000 + (i % 20_000) as u16), server, 2 * MS, Outcome::Completed);
        script.udp(at + 7 * MS, (client, 40_000 + (i % 20_000) as u16), resolver);
    }
    for i in 0..600_u32 {
        let source = (host([11, 0, 0, 0], i * 7919), 1024);
        script.connect(70 * SEC + u64::from(i) * MS, source, (Ipv4Addr::new(192, 0, 2, 1), 25), MS, Outcome::Silent);
    }
    script
}

/// The history of a capture, and its summary.
fn run(capture: &Path, workers: u32, flags: &[&str]) -> (Value, Value) {
    let directory = temp_dir("history");
    let at = |name: &str| directory.path().join(name);
    let mut command = netscope();
    command.args(["--quiet", "--no-summary", "--anomalies", "--workers", &workers.to_string(), "--read-pcap"]).arg(capture);
    command.arg("--history-json").arg(at("history")).arg("--summary-json").arg(at("summary")).args(flags);
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let object = |name| serde_json::from_str(&fs::read_to_string(at(name)).expect("it was written")).expect("JSON");
    (object("history"), object("summary"))
}

/// The history without what the machine's own time has to do with.
fn of_packets(mut history: Value) -> Value {
    for part in ["seconds", "minutes"] {
        for slot in history[part]["traffic"].as_array_mut().expect("a list") {
            slot.as_object_mut().expect("an object").remove("batch_ns").expect("it is there");
        }
    }
    history
}

fn sum(slots: &Value, field: &[&str]) -> u64 {
    let value = |slot: &Value| field.iter().fold(slot.clone(), |value, name| value[name].clone()).as_u64().expect("a number");
    slots.as_array().expect("a list").iter().map(value).sum()
}

/// A top list with all others.
fn whole(slot: &Value, list: &str, field: &str) -> u64 {
    let list = &slot[list];
    sum(&list["top"], &[field]) + list["others"][field].as_u64().expect("a number")
}

#[test]
fn seconds_minutes_and_summary_agree_and_the_number_of_workers_changes_nothing() {
    let directory = temp_dir("script");
    let capture = directory.path().join("script.pcap");
    script().write(&capture);
    let (history, summary) = run(&capture, 1, &[]);
    for workers in [1, 2, 4, 8] {
        let (again, _) = run(&capture, workers, &[]);
        let (again, first) = (of_packets(again), of_packets(history.clone()));
        assert!(again == first, "{workers} workers: {:#?}", again["minutes"]);
    }
    let schema: Value = serde_json::from_str(include_str!("../docs/history.schema.json")).expect("the schema is JSON");
    let schema = jsonschema::validator_for(&schema).expect("the schema is one");
    schema.validate(&history).unwrap_or_else(|error| panic!("{error} at {}", error.instance_path()));

    let (seconds, minutes) = (&history["seconds"], &history["minutes"]);
    for (field, total) in [
        (&["packets"][..], &summary["packets"]),
        (&["bytes"], &summary["bytes"]),
        (&["packet_bytes", "count"], &summary["packets"]),
        (&["flows_opened"], &summary["flows"]["opened"]),
    ] {
        let sums = [seconds, minutes].map(|part| sum(&part["traffic"], field));
        assert_eq!(json!(sums), json!([total, total]), "{field:?}");
    }
    for field in ["bytes", "packets", "flows"] {
        let sums = [seconds, minutes].map(|part| sum(&part["ended_flows"], &["total", field]));
        assert_eq!(sums[0], sums[1], "{field}");
        for slot in minutes["ended_flows"].as_array().expect("a list") {
            let total = slot["total"][field].as_u64().expect("a number");
            assert_eq!((whole(slot, "ports", field), whole(slot, "flows", field)), (total, total), "{field}: {slot}");
            assert_eq!(whole(slot, "hosts", field), 2 * total, "each flow has two ends");
        }
    }
    assert_eq!(sum(&seconds["ended_flows"], &["total", "flows"]), summary["flows"]["opened"].as_u64().expect("a number"));
    assert_eq!(minutes["traffic"].as_array().map(Vec::len), Some(4), "the script begins 20 s after a full minute");
    let busiest = &minutes["ended_flows"][1]["ports"]["top"][0];
    assert_eq!((&busiest["protocol"], &busiest["port"]), (&json!("tcp"), &json!(443)), "{busiest}");
    for (way, has_some) in [("out", true), ("in", true), ("through", true), ("internal", false)] {
        let sums = [seconds, minutes].map(|all| sum(&all["traffic"], &["directions", way, "packets"]));
        assert!(sums[0] == sums[1] && (sums[0] > 0) == has_some, "{way}: {sums:?}");
    }
    let ways = ["in", "out", "internal", "through"].map(|way| sum(&minutes["traffic"], &["directions", way, "bytes"]));
    assert_eq!(json!(ways.iter().sum::<u64>()), summary["bytes"], "each packet is in a flow");
    assert_eq!(seconds["traffic"][10]["protocols"]["udp"]["packets"], json!(10), "a datagram every 100 ms");
    let begun: Vec<&Value> =
        minutes["alerts"].as_array().expect("a list").iter().flat_map(|slot| slot["begun"].as_array().expect("a list")).collect();
    assert_eq!((begun.len(), &begun[0]["kind"], &begun[0]["severity"]), (1, &json!("syn_flood"), &json!("high")), "{begun:?}");
    assert_eq!(begun[0]["count"], summary["detection"]["alerts_begun"], "{summary}");
    assert_eq!(history["minutes"]["ended_flows"][1]["hosts"]["cut"], json!(0));
}

#[test]
fn shorter_intervals_give_the_same_seconds() {
    let directory = temp_dir("script");
    let capture = directory.path().join("script.pcap");
    script().write(&capture);
    let [one, other] = [["--stats-interval-ms", "1000"], ["--stats-interval-ms", "50"]].map(|flags| {
        let mut history = of_packets(run(&capture, 2, &flags).0);
        for part in ["seconds", "minutes"] {
            // Looked at more often.
            for slot in history[part]["traffic"].as_array_mut().expect("a list") {
                slot.as_object_mut().expect("an object").remove("flows_active_max").expect("it is there");
            }
        }
        history
    });
    assert!(one == other);
    let refused =
        netscope().args(["--stats-interval-ms", "1001", "--history-json", "x", "-r"]).arg(&capture).output().expect("it runs");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--history-json (history.json) keeps seconds"));
}

#[test]
fn it_is_written_when_somebody_asks_and_at_the_end() {
    let directory = temp_dir("script");
    let (capture, written) = (directory.path().join("script.pcap"), directory.path().join("history.json"));
    script().write(&capture);
    let bytes = fs::read(&capture).expect("it was written");
    let mut command = netscope();
    command.args(["--quiet", "--no-summary", "--read-pcap", "-", "--history-json"]).arg(&written);
    let mut running = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut input = running.stdin.take().expect("it is piped");
    input.write_all(&bytes[..bytes.len() / 2]).expect("the program reads");
    input.flush().expect("the program reads");
    let (pid, start) = (Pid::from_raw(i32::try_from(running.id()).expect("a small number")), Instant::now());
    let packets = |text: &str| -> Option<u64> {
        let history: Value = serde_json::from_str(text).ok()?;
        Some(sum(&history["minutes"]["traffic"], &["packets"]))
    };
    let half = loop {
        assert!(start.elapsed() < Duration::from_secs(60), "it is asked and answers");
        kill(pid, Signal::SIGUSR1).expect("it runs");
        std::thread::sleep(Duration::from_millis(200));
        match fs::read_to_string(&written).ok().and_then(|text| packets(&text)) {
            Some(packets) if packets > 0 => break packets,
            _ => {}
        }
    };
    input.write_all(&bytes[bytes.len() / 2..]).expect("the program reads");
    drop(input);
    assert!(running.wait().expect("it ends").success());
    let all = packets(&fs::read_to_string(&written).expect("it was written")).expect("JSON");
    assert_eq!(all, 1800 * 7 + 600);
    assert!(half < all);
}
