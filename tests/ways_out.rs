//! Beacons, long connections and data sent out, by the real program.

mod common;

use common::alerts::{alerts_with, begun, last};
use common::netscope;
use netscope_perf::scenario::{ACK, End, MS, PSH, SEC, SYN, Said, Script, host};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const OUTSIDE: End = (Ipv4Addr::new(198, 51, 100, 77), 443);
const HOUR: u64 = 3600 * SEC;

const BEACON: &str = "[analysis.anomalies.beacon]\nenabled = true\n";
const LONG: &str = "[analysis.anomalies.long_connection]\nenabled = true\n";
const DATA: &str =
    "[analysis.anomalies.data_out]\nenabled = true\nbytes_threshold = 1000000\nwindow_secs = 60.0\ncooldown_secs = 60.0\n";

const fn says(bytes: u32) -> Said {
    Said { by_server: false, bytes, after_ns: MS }
}

const fn hears(bytes: u32) -> Said {
    Said { by_server: true, bytes, after_ns: 20 * MS }
}

/// A number that looks random.
fn mix(number: u64) -> u64 {
    let x = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 17
}

/// A call each `every` ns for `hours`, up to `jitter` ns late, of `bytes(number)`.
fn calls(script: &mut Script, hours: u64, every: u64, jitter: u64, bytes: fn(u64) -> u32) {
    for i in 0..hours * HOUR / every {
        let at = i * every + mix(i) % jitter.max(1);
        let said = [says(bytes(i)), hears(310)];
        script.session(at, (INSIDE, 20_000 + (i % 40_000) as u16), OUTSIDE, 20 * MS, &said);
    }
}

fn beacons(fill: impl FnOnce(&mut Script), more: &str) -> Vec<Value> {
    let mut script = Script::default();
    fill(&mut script);
    alerts_with(script, &format!("{BEACON}{more}"))
}

#[test]
fn a_beacon_is_told_once_its_span_is_long_enough() {
    // Each ten minutes, up to a minute late, for 20 hours, and six hours of something else behind it.
    let alerts = beacons(
        |script| {
            calls(script, 20, 600 * SEC, 60 * SEC, |_| 400);
            (0..6 * 60).for_each(|i| script.udp(20 * HOUR + i * 60 * SEC, (INSIDE, 5000), (Ipv4Addr::new(10, 0, 0, 9), 514)));
        },
        "",
    );
    assert_eq!(begun(&alerts), [("beacon", "tcp", "")]);
    let begin = last(&alerts, "begin");
    let span = begin["ts"].as_f64().unwrap() - begin["began"].as_f64().unwrap();
    assert!((21_600.0..21_600.0 + 2.0 * 900.0).contains(&span), "after six hours and a step: {span} s");
    let score = |name: &str| begin["counts"][name].as_u64().unwrap();
    assert!(score("score_permille") >= 700 && score("timing_permille") > 900 && score("sizes_permille") == 1000, "{begin}");
    assert!((590..=610).contains(&score("interval_secs")), "{begin}");
    let raised = last(&alerts, "update");
    assert_eq!((&begin["severity"], &raised["severity"]), (&json!("medium"), &json!("high")), "as hours go by");
    let end = last(&alerts, "end");
    assert_eq!((&end["ended_by"], &end["counts"]["connections"]), (&json!("quiet"), &json!(120)));
    assert_eq!((&end["victim"]["port"], &end["direction"]), (&json!(443), &json!("outbound")));
}

#[test]
fn what_is_no_beacon() {
    let none = |alerts: Vec<Value>, why: &str| assert_eq!(alerts, [json!(null); 0], "{why}");
    let browsing = beacons(
        |script| {
            let mut at = 0;
            for i in 0..400 {
                at += (mix(i) % 60) * (mix(i + 1000) % 60) * SEC / 100 + if i % 40 == 0 { 2 * HOUR } else { 0 };
                let said = [says(200 + (mix(i) % 3000) as u32), hears(310)];
                script.session(at, (INSIDE, 20_000 + i as u16), OUTSIDE, 20 * MS, &said);
            }
        },
        "",
    );
    none(browsing, "somebody at work");
    none(beacons(|script| calls(script, 5, 300 * SEC, SEC, |_| 400), ""), "not long enough");
    none(beacons(|script| calls(script, 20, 7200 * SEC, SEC, |_| 400), ""), "ten connections: not enough of them");
    none(beacons(|script| calls(script, 12, 300 * SEC, SEC, |_| 400), "allowed_ports = [443]\n"), "an allowed port");
    let allowed = "allowed_networks = [\"198.51.100.0/24\"]\n";
    none(beacons(|script| calls(script, 12, 300 * SEC, SEC, |_| 400), allowed), "an allowed network");
    let inside = beacons(
        |script| {
            for i in 0..12 * 12 {
                let to = (Ipv4Addr::new(10, 0, 0, 9), 443);
                script.session(i * 300 * SEC, (INSIDE, 20_000 + i as u16), to, 20 * MS, &[says(400), hears(310)]);
            }
        },
        "",
    );
    none(inside, "monitoring inside");
}

/// A connection of so many seconds with a keep-alive each 50 s.
fn connection(script: &mut Script, at: u64, client: End, server: End, secs: u64) {
    script.tcp(at, client, server, SYN, 1000, 0);
    script.tcp(at + MS, server, client, SYN | ACK, 5000, 1001);
    for i in 0..=secs / 50 {
        script.tcp(at + 2 * MS + i * 50 * SEC, client, server, PSH | ACK, 1001, 5001);
        script.tcp(at + 3 * MS + i * 50 * SEC, server, client, ACK, 5001, 1001);
    }
}

#[test]
fn a_long_connection_is_told_while_it_lives() {
    let mut script = Script::default();
    connection(&mut script, 0, (INSIDE, 40_000), OUTSIDE, 13 * 3600);
    connection(&mut script, HOUR, (INSIDE, 40_001), OUTSIDE, 5 * 3600);
    connection(&mut script, 0, (INSIDE, 40_002), (OUTSIDE.0, 80), 4 * 3600 - 60);
    script.udp(14 * HOUR, (INSIDE, 5000), (Ipv4Addr::new(10, 0, 0, 9), 514));
    let alerts = alerts_with(script, LONG);
    let told: Vec<(&str, &str)> =
        alerts.iter().map(|alert| (alert["phase"].as_str().unwrap_or(""), alert["severity"].as_str().unwrap_or(""))).collect();
    assert_eq!(told, [("begin", "low"), ("update", "medium"), ("update", "high"), ("end", "high")], "at 4, 8 and 12 hours");
    let begin = last(&alerts, "begin");
    assert!((14_400..14_460).contains(&begin["counts"]["duration_secs"].as_u64().unwrap()), "{begin}");
    assert_eq!(begin["kind"], "long_connection");
    let end = last(&alerts, "end");
    assert_eq!((&end["ended_by"], &end["distinct"]["connections"]["count"]), (&json!("quiet"), &json!(2)));
    assert_eq!(end["key"], format!("long_connection {INSIDE} {}:443 tcp", OUTSIDE.0));
}

#[test]
fn short_records_and_long_connections_do_not_go_together() {
    let directory = common::temp_dir("long");
    let file = directory.path().join("netscope.toml");
    std::fs::write(&file, LONG).expect("the file is written");
    let output = netscope()
        .args(["--anomalies", "--active-timeout-s", "3600", "--read-pcap", "unread.pcap", "--config"])
        .arg(&file)
        .output()
        .expect("the program runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("--active-timeout-s") && text.contains("long_connection.min_secs"), "{text}");
}

#[test]
fn data_that_is_sent_out() {
    let upload = |from: Ipv4Addr, to: fn(u32) -> End, count: u32, bytes: u32| {
        let mut script = Script::default();
        for i in 0..count {
            let said = [says(bytes), hears(200)];
            script.session(u64::from(i) * 200 * MS, (from, 20_000 + i as u16), to(i), 8 * MS, &said);
        }
        script
    };
    let one = alerts_with(upload(INSIDE, |_| OUTSIDE, 40, 60_000), DATA);
    assert_eq!(begun(&one), [("data_out", "one_destination", "")], "and not its source as well");
    let end = last(&one, "end");
    assert_eq!((&end["attacker"]["ip"], &end["victim"]["ip"]), (&json!(INSIDE.to_string()), &json!(OUTSIDE.0.to_string())));
    assert!((2_400_000..2_700_000).contains(&end["counts"]["bytes"].as_u64().unwrap()), "with headers: {end}");
    let begin = last(&one, "begin");
    assert!(begin["ts"].as_f64().unwrap() - begin["began"].as_f64().unwrap() < 5.0, "after 17 of 40: {begin}");
    let several = alerts_with(upload(INSIDE, |i| (host([198, 51, 100, 1], i % 8), 443), 40, 60_000), DATA);
    assert_eq!(begun(&several), [("data_out", "several_destinations", "")]);
    assert_eq!(last(&several, "end")["distinct"]["hosts"]["count"], 8);
    let none =
        |script, more: &str, why: &str| assert_eq!(alerts_with(script, &format!("{DATA}{more}")), [json!(null); 0], "{why}");
    none(upload(INSIDE, |_| OUTSIDE, 14, 60_000), "", "less");
    none(upload(INSIDE, |_| (Ipv4Addr::new(10, 0, 0, 9), 445), 40, 60_000), "", "a backup inside");
    none(upload(OUTSIDE.0, |_| (INSIDE, 443), 40, 60_000), "", "what comes in");
    none(upload(INSIDE, |_| OUTSIDE, 40, 60_000), "allowed_networks = [\"198.51.100.77\"]\n", "to an allowed host");
    let mut slow = Script::default();
    for i in 0..40 {
        slow.session(i * 10 * SEC, (INSIDE, 20_000 + i as u16), OUTSIDE, 8 * MS, &[says(60_000), hears(200)]);
    }
    none(slow, "", "as much, but six times as slow as the window allows");
    let serves = || {
        let mut script = Script::default();
        for i in 0..40 {
            let said = [says(200), hears(60_000)];
            script.session(i * 200 * MS, (OUTSIDE.0, 20_000 + i as u16), (INSIDE, 443), 8 * MS, &said);
        }
        script
    };
    none(serves(), "", "a server's answers");
    let answers = alerts_with(serves(), &format!("{DATA}count_answers = true\n"));
    assert_eq!(begun(&answers), [("data_out", "one_destination", "")]);
}
