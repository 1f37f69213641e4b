//! The filter language as users meet it: `--where` on recordings, its errors, and its page.

mod common;

use common::{fixture, netscope, run, temp_dir};
use netscope::query::words;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- words: made by tests/filter_language.rs -->\n";
const END: &str = "<!-- end of words -->";

/// The table of all words.
fn table() -> String {
    let mut text = String::from("| word | short | of | unit | what it is |\n|---|---|---|---|---|\n");
    for word in words() {
        let short = word.short.map_or_else(String::new, |short| format!("`{short}`"));
        writeln!(text, "| `{}` | {short} | {} | {} | {} |", word.name, word.group, word.unit, word.description)
            .expect("a String");
    }
    text
}

#[test]
fn the_page_has_all_words() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/filter-language.md");
    let page = fs::read_to_string(&path).expect("the page");
    let (before, rest) = page.split_once(BEGIN).expect("where the table begins");
    let (written, behind) = rest.split_once(END).expect("where it ends");
    if std::env::var_os("NETSCOPE_BLESS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{}{END}{behind}", table())).expect("the page");
        return;
    }
    assert!(written == table(), "run the test once with NETSCOPE_BLESS=1, and look at what changed");
}

/// What is chosen, said twice.
type Wanted = fn(&Value) -> bool;

const FILTERS: &[(&str, Wanted)] = &[
    ("", |_| true),
    ("proto:tcp", |flow| flow["protocol"] == "tcp"),
    ("NOT proto:tcp", |flow| flow["protocol"] != "tcp"),
    ("dport:443,80", |flow| [443, 80].map(Value::from).contains(&flow["server_port"]) && ports(flow)),
    ("bytes:>1k OR packets:1", |flow| number(flow, "bytes_total") > 1000 || number(flow, "packets_total") == 1),
    ("bytes_to_client:>bytes_to_server", |flow| number(flow, "bytes_to_client") > number(flow, "bytes_to_server")),
    ("state:closed,reset", |flow| flow["tcp_state"] == "closed" || flow["tcp_state"] == "reset"),
    ("rtt:*", |flow| !flow["rtt_ewma_ms"].is_null()),
    ("!rtt:*", |flow| flow["rtt_ewma_ms"].is_null()),
    ("(proto:udp OR proto:icmp) reason:exit", |flow| {
        (flow["protocol"] == "udp" || flow["protocol"] == "icmp") && flow["end_reason"] == "exit"
    }),
    ("community_id:1:*a*", |flow| flow["community_id"].as_str().is_some_and(|id| id.to_lowercase().contains('a'))),
    ("proto:199", |_| false),
];

fn ports(flow: &Value) -> bool {
    ["tcp", "udp", "sctp"].contains(&flow["protocol"].as_str().unwrap_or_default())
}

fn number(flow: &Value, field: &str) -> u64 {
    flow[field].as_u64().expect("a number")
}

/// What a run wrote: the table as JSON and CSV, the ended flows as JSON and CSV, the printed table, the summary.
struct Written {
    table: Vec<Value>,
    table_csv: String,
    ended: Vec<Value>,
    ended_csv: String,
    printed: String,
    summary: Value,
}

fn written(capture: &Path, flags: &[&str]) -> Written {
    let directory = temp_dir("where");
    let file = |name: &str| directory.path().join(name);
    let mut command = netscope();
    command.arg("--read-pcap").arg(capture).args(["--quiet", "--flow-table", "100000"]).args(flags);
    for (flag, name) in [
        ("--export-json", "flows.json"),
        ("--export-csv", "flows.csv"),
        ("--expired-flows-jsonl", "ended.jsonl"),
        ("--expired-flows-csv", "ended.csv"),
        ("--summary-json", "summary.json"),
    ] {
        command.arg(flag).arg(file(name));
    }
    let printed = run(&mut command).expect_code(0).stdout;
    let text = |name: &str| fs::read_to_string(file(name)).expect(name);
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    Written {
        table: json(&text("flows.json")).as_array().expect("an array").clone(),
        table_csv: text("flows.csv"),
        ended: text("ended.jsonl").lines().map(json).collect(),
        ended_csv: text("ended.csv"),
        printed,
        summary: json(&text("summary.json")),
    }
}

#[test]
fn every_output_has_the_flows_that_are_chosen_and_no_other() {
    for name in ["demo.pcapng", "loss.pcap", "fragments.pcap"] {
        let all = written(&fixture(name), &[]);
        assert_eq!(all.summary["flows"]["left_out_by_where"], serde_json::json!({"ended": 0, "table": 0}));
        for (filter, wanted) in FILTERS {
            for workers in ["1", "3"] {
                let some = written(&fixture(name), &["--where", filter, "--workers", workers]);
                let chosen = |flows: &[Value]| flows.iter().filter(|flow| wanted(flow)).cloned().collect::<Vec<_>>();
                assert_eq!(some.table, chosen(&all.table), "{name} {filter} {workers}");
                assert_eq!(some.ended, chosen(&all.ended), "{name} {filter} {workers}");
                let (table, ended) = (some.table.len(), some.ended.len());
                assert_eq!(some.table_csv.lines().count(), table + 1, "{name} {filter}");
                assert_eq!(some.ended_csv.lines().count(), ended + 1, "{name} {filter}");
                // A heading, then a row for each flow.
                assert_eq!(some.printed.lines().count(), table + 1, "{name} {filter}: {}", some.printed);
                let left_out = &some.summary["flows"]["left_out_by_where"];
                assert_eq!(left_out["table"], all.table.len() - table, "{name} {filter}");
                assert_eq!(left_out["ended"], all.ended.len() - ended, "{name} {filter}");
                for field in ["packets", "bytes", "packets_in_flows"] {
                    assert_eq!(some.summary[field], all.summary[field], "totals are those of all flows");
                }
                assert_eq!(some.summary["flows"]["opened"], all.summary["flows"]["opened"]);
                for rows in some.summary["outputs"].as_array().expect("outputs") {
                    assert_eq!(rows["rows_not_written"], 0, "{name} {filter}: {rows}");
                }
            }
        }
    }
}

/// Flows that are not chosen take no place among those that are kept.
#[test]
fn the_latest_that_are_kept_are_of_those_chosen() {
    let demo = fixture("demo.pcapng");
    let flags = ["--flow-timeout-s", "0.05", "--where", "proto:udp"];
    let all = written(&demo, &flags);
    let some = written(&demo, &[&flags[..], &["--export-ended-max", "2"]].concat());
    let alive = all.ended.iter().filter(|flow| flow["reason"] == "exit").count();
    assert!(all.table.len() > alive + 2, "more have ended than are kept");
    assert_eq!(some.table.len(), alive + 2);
    assert_eq!(some.summary["flows"]["left_out_of_exports"], all.table.len() - alive - 2);
}

#[test]
fn the_summary_tells_what_was_left_out() {
    let directory = temp_dir("where");
    let flows = directory.path().join("flows.jsonl");
    let mut command = netscope();
    command.arg("--read-pcap").arg(fixture("demo.pcapng")).args(["--quiet", "--where", "proto:199", "--flow-table", "5"]);
    let finished = run(command.arg("--expired-flows-jsonl").arg(&flows)).expect_code(0);
    for row in ["  ended flows that --where left out: ", "  flows that --where left out of the tables: "] {
        assert!(finished.stderr.contains(row), "{}", finished.stderr);
    }
}

#[test]
fn an_error_has_its_place() {
    let mut command = netscope();
    command.arg("--read-pcap").arg(fixture("demo.pcapng")).args(["--flow-table", "5", "--where", "bytes:>1M prot:tcp"]);
    let finished = run(&mut command).expect_code(1);
    let place = "--where (output.where): there is no word `prot` (column 11)\n  bytes:>1M prot:tcp\n            ^^^^\n  did you mean `proto`?\n";
    assert!(finished.stderr.ends_with(place), "{}", finished.stderr);
    assert!(finished.stdout.is_empty());
}

#[test]
fn without_an_output_of_flows_it_is_refused() {
    let mut command = netscope();
    command.arg("--read-pcap").arg(fixture("demo.pcapng")).args(["--where", "proto:tcp"]);
    let finished = run(&mut command).expect_code(1);
    assert!(
        finished.stderr.contains("--where (output.where) chooses the flows that are written: add --export-json"),
        "{}",
        finished.stderr
    );
}

#[test]
fn the_configuration_file_has_it_too() {
    let directory = temp_dir("where");
    let config = directory.path().join("netscope.toml");
    fs::write(&config, "[output]\nwhere = \"proto:udp\"\n").expect("a file");
    let path = config.to_str().expect("a path in UTF-8");
    let (all, some) = (written(&fixture("demo.pcapng"), &[]), written(&fixture("demo.pcapng"), &["--config", path]));
    assert!(!some.table.is_empty() && some.table.len() < all.table.len());
    assert!(some.table.iter().all(|flow| flow["protocol"] == "udp"));
    let over = written(&fixture("demo.pcapng"), &["--config", path, "--where", ""]);
    assert_eq!(over.table, all.table, "an empty one on the command line is none");
}

/// The table that SIGUSR1 asks for has what is chosen alone.
#[cfg(target_os = "linux")]
#[test]
fn the_live_table_has_the_flows_that_are_chosen() {
    use common::live::{self, Exports};
    use common::netns::{NetNs, Wire};
    const FLOWS: u64 = 60;
    let Some(namespace) = NetNs::with_wire(&Wire { queues: 1, mtu: 1500 }) else { return };
    let exports = Exports::new();
    let mut running = live::capture(&namespace, &exports, &["--where", "packets:>=3"]);
    live::send(&namespace, &live::datagrams(FLOWS * 6, FLOWS, 1));
    live::send(&namespace, &live::datagrams(2 * FLOWS, 2 * FLOWS, 1));
    live::wait_for_silence(&mut running);
    running.signal(nix::sys::signal::Signal::SIGUSR1);
    exports.wait_for("flows.json");
    let asked = exports.flows();
    live::stop(running);
    assert!(!asked.is_empty() && asked.iter().all(|flow| flow["packets_total"].as_u64() >= Some(3)));
    assert_eq!(live::timeless(&asked), live::timeless(&exports.flows()));
    let summary = exports.summary();
    let left_out = summary["flows"]["left_out_by_where"]["table"].as_u64().expect("a count");
    assert!(left_out > 0, "{summary:#}");
    assert_eq!(summary["flows"]["opened"], left_out + asked.len() as u64);
}
