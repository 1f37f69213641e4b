//! Brute force of logins, by the real program: attacks are named as what they are, what looks like them is not.

mod common;

use common::alerts::{alerts_of, alerts_with, begun, last};
use common::corpus;
use netscope_perf::scenario::{MS, Outcome, SEC, Said, Script, host};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
/// Outside and inside as the addresses above have it.
const LOCAL: &str = "[analysis]\nlocal_networks = [\"10.0.0.0/8\", \"192.0.2.0/24\"]\n";

const fn says(bytes: u32, after_ms: u64) -> Said {
    Said { by_server: false, bytes, after_ns: after_ms * MS }
}

const fn hears(bytes: u32, after_ms: u64) -> Said {
    Said { by_server: true, bytes, after_ns: after_ms * MS }
}

/// A wrong password over SSH, over FTP, and over POP3.
const SSH: &[Said] =
    &[hears(41, 8), says(23, 1), says(1392, 1), hears(1080, 2), says(148, 4), hears(452, 6), says(148, 1), hears(52, 900)];
const FTP: &[Said] = &[hears(20, 5), says(12, 1), hears(34, 1), says(15, 1), hears(22, 900)];
const POP3: &[Said] = &[hears(20, 5), says(12, 1), hears(5, 1), says(15, 1), hears(40, 900)];
/// An SSH session of somebody who is let in.
const SESSION: &[Said] =
    &[hears(41, 8), says(1415, 1), hears(1532, 2), says(400, 4), hears(40_000, 6), says(148, 1), hears(9000, 900)];

fn tries(count: u32, port: u16, said: &'static [Said], from: fn(u32) -> Ipv4Addr, to: fn(u32) -> Ipv4Addr) -> Script {
    let mut script = Script::default();
    for i in 0..count {
        script.session(u64::from(i) * 250 * MS, (from(i), 32_768 + i as u16), (to(i), port), 10 * MS, said);
    }
    script
}

fn kinds(script: Script, more: &str) -> Vec<(String, String)> {
    let alerts = alerts_with(script, &format!("{LOCAL}{more}"));
    begun(&alerts).into_iter().map(|(kind, variant, _)| (kind.to_owned(), variant.to_owned())).collect()
}

fn found(variant: &str) -> [(String, String); 1] {
    [("brute_force".to_owned(), variant.to_owned())]
}

const NONE: [(String, String); 0] = [];

#[test]
fn one_source_and_one_server() {
    let alerts = alerts_with(tries(400, 22, SSH, |_| ATTACKER, |_| SERVER), LOCAL);
    assert_eq!(begun(&alerts), [("brute_force", "single_source", "")]);
    let begin = last(&alerts, "begin");
    let crossed = &begin["thresholds"][0];
    assert_eq!((&crossed["name"], &crossed["limit"]), (&json!("attempts_threshold"), &json!(20)));
    assert!(crossed["value"].as_u64().is_some_and(|value| (20..25).contains(&value)), "told within a second: {begin}");
    assert_eq!((&begin["direction"], &begin["severity"]), (&json!("inbound"), &json!("medium")));
    let phases: Vec<&str> = alerts.iter().filter_map(|alert| alert["phase"].as_str()).collect();
    assert_eq!(phases, ["begin", "update", "end"], "told again at 100");
    let end = last(&alerts, "end");
    assert_eq!((&end["counts"]["attempts"], &end["counts"]["sessions"]), (&json!(400), &json!(0)));
    assert_eq!((&end["victim"]["port"], &end["attacker"]["ip"]), (&json!(22), &json!(ATTACKER.to_string())));
    assert_eq!(end["details"], json!({"service": "ssh"}));
    assert_eq!(end["key"], format!("brute_force {ATTACKER} {SERVER}:22"));
    assert_eq!(kinds(tries(20, 21, FTP, |_| ATTACKER, |_| SERVER), ""), found("single_source"), "at the threshold");
    assert_eq!(kinds(tries(19, 21, FTP, |_| ATTACKER, |_| SERVER), ""), NONE, "below it");
}

#[test]
fn a_login_that_may_have_succeeded_is_told_at_once() {
    let mut script = tries(60, 22, SSH, |_| ATTACKER, |_| SERVER);
    script.session(20 * SEC, (ATTACKER, 50_000), (SERVER, 22), 10 * MS, SESSION);
    let alerts = alerts_with(script, LOCAL);
    let told: Vec<(&str, &str)> =
        alerts.iter().map(|alert| (alert["phase"].as_str().unwrap_or(""), alert["severity"].as_str().unwrap_or(""))).collect();
    assert_eq!(told, [("begin", "medium"), ("update", "high"), ("end", "high")]);
    let update = last(&alerts, "update");
    assert_eq!(update["details"]["login"], "may have succeeded");
    assert!(update["description"].as_str().is_some_and(|text| text.contains("may have succeeded")), "{update}");
    // A session before the attempts is somebody else's.
    let mut script = Script::default();
    script.session(0, (ATTACKER, 50_000), (SERVER, 22), 10 * MS, SESSION);
    for i in 0..60 {
        script.session(5 * SEC + u64::from(i) * 250 * MS, (ATTACKER, 32_768 + i), (SERVER, 22), 10 * MS, SSH);
    }
    let alerts = alerts_with(script, LOCAL);
    assert_eq!((&last(&alerts, "end")["severity"], &last(&alerts, "end")["counts"]["sessions"]), (&json!("medium"), &json!(1)));
}

#[test]
fn many_sources_and_many_servers() {
    let sources = alerts_with(tries(120, 22, SSH, |i| host([45, 0, 0, 1], i % 40), |_| SERVER), LOCAL);
    assert_eq!(begun(&sources), [("brute_force", "distributed", "")], "three from each");
    let end = last(&sources, "end");
    assert_eq!((&end["distinct"]["sources"]["count"], &end["attacker"]), (&json!(40), &Value::Null));
    assert_eq!(end["top_sources"][0]["packets"], 3);
    let servers = alerts_with(tries(120, 22, SSH, |_| INSIDE, |i| host([10, 9, 0, 1], i % 60)), LOCAL);
    assert_eq!(begun(&servers), [("brute_force", "spraying", "")], "two to each");
    let end = last(&servers, "end");
    assert_eq!(
        (&end["distinct"]["hosts"]["count"], &end["ports"], &end["direction"]),
        (&json!(60), &json!([22]), &json!("internal"))
    );
    // Each of some sources tries often: they are told one by one while they are few, together when they are many.
    let few = kinds(tries(200, 22, SSH, |i| host([45, 0, 0, 1], i % 2), |_| SERVER), "");
    assert_eq!(few, [found("single_source"), found("single_source")].concat());
}

#[test]
fn what_looks_like_it_and_is_none() {
    let none = |script, why: &str| assert_eq!(kinds(script, ""), NONE, "{why}");
    none(tries(60, 22, SESSION, |_| INSIDE, |_| SERVER), "automation that does something: its connections are large");
    let mut refused = Script::default();
    let mut checks = Script::default();
    for i in 0..60_u16 {
        refused.connect(u64::from(i) * 5 * SEC, (ATTACKER, 32_768 + i), (SERVER, 22), MS, Outcome::Refused);
        checks.session(u64::from(i) * SEC, (INSIDE, 32_768 + i), (SERVER, 22), MS, &[hears(41, 5)]);
    }
    none(refused, "nobody answers: that is no login");
    none(checks, "health checks that read the banner");
    let mut people = Script::default();
    for i in 0..40_u16 {
        let said = if i % 2 == 0 { SSH } else { SESSION };
        people.session(u64::from(i) * SEC, (INSIDE, 32_768 + i), (SERVER, 22), MS, said);
    }
    none(people, "as many sessions as short connections");
    let mut mixed = Script::default();
    for i in 0..60_u16 {
        let said = [hears(20, 5), says(30, 1), hears(600 << (i % 5), 1), says(15, 1), hears(22, 9)];
        mixed.session(u64::from(i) * SEC, (INSIDE, 32_768 + i), (SERVER, 21), MS, &said);
    }
    none(mixed, "files of all sizes");
    none(tries(900, 110, POP3, |_| INSIDE, |_| SERVER), "mail clients inside ask again and again");
    none(tries(120, 110, POP3, |_| ATTACKER, |_| SERVER), "those of an office outside, too");
    none(tries(900, 443, SSH, |_| ATTACKER, |_| SERVER), "no login service");
    none(tries(20, 22, SSH, |i| host([45, 0, 0, 1], i), |i| host([192, 0, 2, 1], i)), "each somewhere else");
    none(tries(300, 21, FTP, |i| host([45, 0, 0, 1], i), |_| SERVER), "a public server, to which each client comes once");
}

#[test]
fn settings_decide() {
    let busy = || tries(700, 110, POP3, |_| ATTACKER, |_| SERVER);
    assert_eq!(kinds(busy(), ""), found("single_source"), "beyond what an office asks for");
    let few = || tries(30, 5022, SSH, |_| ATTACKER, |_| SERVER);
    assert_eq!(kinds(few(), ""), NONE);
    assert_eq!(kinds(few(), "[analysis.anomalies.brute_force]\nports = [5022]\n"), found("single_source"));
    let allowed = "[analysis.anomalies.brute_force]\nports = [5022]\nallowed_networks = [\"203.0.113.0/24\"]\n";
    assert_eq!(kinds(few(), allowed), NONE);
    let off = "[analysis.anomalies.brute_force]\nports = [5022]\nenabled = false\n";
    assert_eq!(kinds(few(), off), NONE);
    assert_eq!(kinds(few(), "[analysis.anomalies.brute_force]\nports = [5022]\nattempts_threshold = 31\n"), NONE);
    assert_eq!(kinds(few(), "[analysis.anomalies.brute_force]\nports = [5022]\nmax_bytes = 2000\n"), NONE, "all are sessions");
}

#[test]
fn real_attacks() {
    let Some(corpus) = corpus() else { return };
    for (name, port) in [("attacks/slips__ssh_bruteforce.pcap", 902), ("captures/zeek__ftp-bruteforce.pcap", 21)] {
        // What payload tells of them is another test's.
        let alerts = alerts_of(&corpus.join(name), &["--no-dpi"]);
        assert_eq!(begun(&alerts), [("brute_force", "single_source", "")], "{name}");
        assert_eq!(last(&alerts, "end")["victim"]["port"], port);
    }
}
