//! Limits of what is looked at in payload, each reached and counted, and names that somebody made to do harm, in every format.

mod common;

use common::{netscope, run, temp_dir};
use netscope_perf::scenario::messages::{client_hello, dns_query};
use netscope_perf::scenario::{End, MS, Outcome, Script, host, mac};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

const SERVER: End = (Ipv4Addr::new(192, 0, 2, 80), 443);
const RESOLVER: End = (Ipv4Addr::new(10, 0, 0, 53), 53);

fn client(number: u32) -> End {
    (host([10, 0, 1, 1], number), 40_000)
}

/// What the summary says of inspection, and the names of the flows.
fn inspected(config: &str, fill: impl FnOnce(&mut Script)) -> (Value, BTreeSet<String>) {
    let directory = temp_dir("inspection-limits");
    let of = |name: &str| directory.path().join(name);
    let mut script = Script::default();
    fill(&mut script);
    script.write(&of("script.pcap"));
    fs::write(of("netscope.toml"), format!("[analysis]\n{config}\n")).expect("the file is written");
    let mut command = netscope();
    command.args(["--quiet", "--workers", "1", "--config"]).arg(of("netscope.toml")).arg("-r").arg(of("script.pcap"));
    run(command.arg("--export-json").arg(of("flows.json")).arg("--summary-json").arg(of("summary.json"))).expect_code(0);
    let read = |name| serde_json::from_slice::<Value>(&fs::read(of(name)).expect("the file is there")).expect("JSON");
    let flows = read("flows.json");
    let names = flows.as_array().expect("a table").iter().filter_map(|flow| flow["tls"]["sni"].as_str());
    (read("summary.json")["inspection"].clone(), names.map(str::to_owned).collect())
}

/// Connections whose hellos come in two halves, all first halves before all second ones.
fn in_halves(script: &mut Script, count: u32) {
    let hellos: Vec<Vec<u8>> = (0..count).map(|number| client_hello(format!("host-{number}.example"), &[])).collect();
    for (number, hello) in (0..).zip(&hellos) {
        let at = u64::from(number) * MS;
        script.connect(at, client(number), SERVER, MS / 10, Outcome::Unfinished);
        script.tcp_data(at + MS / 2, client(number), SERVER, 1001, 5001, &hello[..60]);
    }
    for (number, hello) in (0..).zip(&hellos) {
        script.tcp_data(u64::from(count + number) * MS, client(number), SERVER, 1061, 5001, &hello[60..]);
    }
}

#[test]
fn of_too_many_flows_the_oldest_are_left_alone() {
    let (counts, names) = inspected("dpi_flows = 8", |script| in_halves(script, 40));
    assert_eq!(counts["flows_too_many"], 32, "{counts}");
    let last: BTreeSet<String> = (32..40).map(|number| format!("host-{number}.example")).collect();
    assert_eq!(names, last);
    let (counts, names) = inspected("", |script| in_halves(script, 40));
    assert_eq!((&counts["flows_too_many"], names.len()), (&Value::from(0), 40));
}

#[test]
fn bytes_of_all_flows_and_of_one_are_bounded() {
    // A record that is announced and never ends.
    let endless = |script: &mut Script, count: u32| {
        for number in 0..count {
            script.connect(u64::from(number) * MS, client(number), SERVER, MS / 10, Outcome::Unfinished);
        }
        let mut sent = vec![22, 3, 1, 0x3a, 0x98, 1, 0, 0x3a, 0x94, 3, 3];
        sent.resize(1400, 0);
        for part in 0..10 {
            for number in 0..count {
                let at = u64::from(count * (part + 1) + number) * MS;
                script.tcp_data(at, client(number), SERVER, 1001 + part * 1400, 5001, &sent);
            }
            sent.fill(0);
        }
    };
    let (counts, _) = inspected("dpi_memory_mb = 1", |script| endless(script, 120));
    assert!(counts["bytes_too_many"].as_u64().is_some_and(|count| (1..=120).contains(&count)), "{counts}");
    let (counts, _) = inspected("", |script| endless(script, 120));
    assert_eq!(counts["bytes_too_many"], 0, "{counts}");
    let (counts, names) = inspected("dpi_stream_bytes = 512", |script| {
        let long = client_hello("x".repeat(500), &[]);
        script.connect(0, client(0), SERVER, MS / 10, Outcome::Unfinished);
        script.tcp_data(MS, client(0), SERVER, 1001, 5001, &long);
    });
    assert_eq!((&counts["streams_too_long"], names.len()), (&Value::from(1), 0), "{counts}");
}

#[test]
fn facts_that_find_no_room_are_counted() {
    let protocols: Vec<String> = (0..20).map(|number| format!("{number:02}{}", "y".repeat(250))).collect();
    let protocols: Vec<&str> = protocols.iter().map(String::as_str).collect();
    let (counts, names) = inspected("", |script| {
        script.connect(0, client(0), SERVER, MS / 10, Outcome::Unfinished);
        for (number, part) in (0..).zip(client_hello("a.example", &protocols).chunks(1400)) {
            script.tcp_data(u64::from(number + 1) * MS, client(0), SERVER, 1001 + number * 1400, 5001, part);
        }
    });
    assert!(names.contains("a.example"), "what finds room stays");
    assert!(counts["facts_too_many"].as_u64().is_some_and(|count| count > 0), "{counts}");
}

/// Names that a terminal, a browser or a reader of logs would act upon.
fn hostile() -> Vec<Vec<u8>> {
    vec![
        b"\x1b[31m\x1b]0;title\x07.example".to_vec(),
        b"<script>alert(1)</script>".to_vec(),
        "\u{202e}moc.elpmaxe\u{202c}\u{200b}".as_bytes().to_vec(),
        b"\xff\xfe\xc0\xaf\xed\xa0\x80".to_vec(),
        b"a\tb\r\nc\",\\=;'`$(id)|x".to_vec(),
        b"=cmd|' /C calc'!A0".to_vec(),
        vec![b'z'; 14_000],
        b"\0\x01\x7f\xc2\x85".to_vec(),
    ]
}

/// Text that is shown has no character that acts.
fn check_text(text: &[u8], what: &str, length_max: usize) {
    let text = std::str::from_utf8(text).unwrap_or_else(|error| panic!("{what}: {error}"));
    let acts = |c: char| {
        c.is_control() && !"\n\t".contains(c) || ('\u{200b}'..='\u{200f}').contains(&c) || ('\u{202a}'..='\u{202e}').contains(&c)
    };
    for line in text.lines() {
        assert!(!line.contains(acts), "{what}: {line:?}");
        assert!(line.len() <= length_max, "{what}: a line of {} bytes", line.len());
    }
}

fn outputs_of(capture: &Path, directory: &Path) {
    let mut command = netscope();
    command
        .current_dir(directory)
        .args(["-vvv", "--time", "epoch", "--flow-table", "100", "--color", "never", "-r"])
        .arg(capture);
    command.args(["--export-json", "flows.json", "--export-csv", "flows.csv", "--expired-flows-jsonl", "ended.jsonl"]);
    command.args(["--export-eve", "eve.json", "--export-zeek", "logs"]);
    let finished = run(&mut command).expect_code(0);
    check_text(finished.stdout.as_bytes(), "standard output", 16_384);
    check_text(finished.stderr.as_bytes(), "standard error", 16_384);
}

#[test]
fn hostile_names_are_text_in_every_format() {
    let directory = temp_dir("hostile-names");
    let (capture, out) = (directory.path().join("hostile.pcap"), directory.path());
    let mut script = Script::default();
    for (number, name) in (0..).zip(hostile()) {
        let at = u64::from(number) * 100 * MS;
        let hello = client_hello(&name, &["h2"]);
        let parts: Vec<(bool, &[u8])> = hello.chunks(1400).map(|part| (false, part)).collect();
        script.dialogue(at, client(number), SERVER, MS, &parts);
        let one_line: Vec<u8> = name.iter().map(|byte| if b"\r\n".contains(byte) { b' ' } else { *byte }).take(600).collect();
        let request = [b"GET / HTTP/1.1\r\nHost: ", &one_line[..], b"\r\nUser-Agent: ", &one_line[..], b"\r\n\r\n"].concat();
        script.dialogue(at + 20 * MS, client(number), (SERVER.0, 80), MS, &[(false, &request)]);
        let banner = [b"SSH-2.0-", &one_line[..one_line.len().min(200)], b"\r\n"].concat();
        script.dialogue(at + 40 * MS, client(number), (SERVER.0, 22), MS, &[(false, &banner), (true, &banner)]);
        let label: Vec<u8> = name.iter().filter(|byte| **byte != b'.').take(60).copied().collect();
        let hardware = (mac(client(number).0), mac(RESOLVER.0));
        script.datagram_with(at + 60 * MS, client(number), RESOLVER, &dns_query(7, label), hardware);
    }
    script.write(&capture);
    fs::create_dir(out.join("logs")).expect("a directory");
    outputs_of(&capture, out);
    for (name, is_json) in [("flows.json", true), ("flows.csv", false), ("ended.jsonl", true), ("eve.json", true)] {
        let text = fs::read(out.join(name)).expect("the file is there");
        check_text(&text, name, 65_536);
        if is_json {
            let mut values = serde_json::Deserializer::from_slice(&text).into_iter::<Value>();
            assert!(values.all(|value| value.is_ok()), "{name} is JSON");
        }
    }
    let rows = csv::Reader::from_path(out.join("flows.csv")).expect("the file is there").records().filter(Result::is_ok).count();
    assert_eq!(rows, 4 * hostile().len());
    let logs: Vec<_> = fs::read_dir(out.join("logs")).expect("the directory is there").collect();
    assert!(logs.len() >= 4, "{logs:?}");
    for log in logs {
        let path = log.expect("an entry").path();
        let text = fs::read(&path).expect("a log");
        check_text(&text, &path.to_string_lossy(), 65_536);
        let fields = |line: &str| line.split('\t').count();
        let text = String::from_utf8(text).expect("UTF-8");
        let head = text.lines().find(|line| line.starts_with("#fields")).map(fields).expect("names of fields");
        assert!(text.lines().filter(|line| !line.starts_with('#')).all(|line| fields(line) + 1 == head), "{}", path.display());
    }
}
