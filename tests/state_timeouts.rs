//! States of flows and their timeouts, by the real program: the same for any number of workers and at any pace.

mod common;

use common::{netscope, run, temp_dir};
use netscope_perf::scenario::messages::{dns_answer, dns_query};
use netscope_perf::scenario::{ACK, End, MS, Outcome, SEC, SYN, Script, mac};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
/// When the last packet comes, which belongs to none of the flows.
const END: u64 = 300 * SEC;

fn say(script: &mut Script, at: u64, from: End, to: End, data: &[u8]) {
    script.datagram_with(at, from, to, data, (mac(from.0), mac(to.0)));
}

/// A long header of QUIC version 1 behind which nobody can look, and a short one.
fn quic(is_long: bool) -> Vec<u8> {
    let head: &[u8] = if is_long { &[0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0xb0] } else { &[0x43] };
    [head, &[0x5a; 1200]].concat()
}

/// A flow of each state, told apart by the client's port or the identifier; all are begun at 1 s.
fn every_state() -> Script {
    let mut script = Script::default();
    let end = |port| (CLIENT, port);
    let server = |port| (SERVER, port);
    script.udp(SEC, end(1001), server(9999));
    script.udp(SEC, end(1002), server(9999));
    script.udp(SEC, server(9999), end(1002));
    say(&mut script, SEC, end(1003), server(53), &dns_query(7, "a.example"));
    say(&mut script, SEC, end(1004), server(53), &dns_query(7, "b.example"));
    say(&mut script, SEC, server(53), end(1004), &dns_answer(7, "b.example", Some(SERVER)));
    for (port, turns) in [
        (1005, &[(true, true)][..]),
        (1006, &[(true, true), (false, true)]),
        (1007, &[(true, true), (false, true), (true, false)]),
    ] {
        for &(is_clients, is_long) in turns {
            let (from, to) = if is_clients { (end(port), server(443)) } else { (server(443), end(port)) };
            say(&mut script, SEC, from, to, &quic(is_long));
        }
    }
    script.echo(SEC, CLIENT, SERVER, 1008, false);
    script.echo(SEC, CLIENT, SERVER, 1009, false);
    script.echo(SEC, SERVER, CLIENT, 1009, true);
    script.connect(SEC, end(1010), server(8080), MS, Outcome::Silent);
    // Connections that stay open.
    for port in [1011, 1012] {
        let (client, server) = (end(port), server(22));
        script.tcp(SEC, client, server, SYN, 1000, 0);
        script.tcp(SEC + 1000, server, client, SYN | ACK, 5000, 1001);
        script.tcp(SEC + 2000, client, server, ACK, 1001, 5001);
        if port == 1012 {
            script.tcp_data(SEC + 3000, server, client, 5001, 1001, b"SSH-2.0-OpenSSH_9.6\r\n");
            script.tcp_data(SEC + 4000, client, server, 1001, 5022, b"SSH-2.0-OpenSSH_9.7\r\n");
        }
    }
    script.dialogue(SEC, end(1013), server(80), 1000, &[]);
    script.udp(END, (Ipv4Addr::new(10, 0, 0, 99), 1), server(9));
    script
}

/// The ended flows by port or identifier: state, from the last packet to the end in s, reason.
fn ended(capture: &Path, config: &str, flags: &[&str]) -> BTreeMap<u64, (String, f64, String)> {
    let directory = temp_dir("state-timeouts");
    let (toml, jsonl) = (directory.path().join("netscope.toml"), directory.path().join("ended.jsonl"));
    fs::write(&toml, config).expect("the file is written");
    let mut command = netscope();
    command.arg("--config").arg(&toml).arg("--expired-flows-jsonl").arg(&jsonl).arg("--read-pcap").arg(capture);
    run(command.args(["--quiet", "--no-summary"]).args(flags)).expect_code(0);
    let text = fs::read_to_string(&jsonl).expect("it was written");
    let flows = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a JSON object"));
    let flow = |flow: Value| {
        let number = flow["icmp_id"].as_u64().or(flow["client_port"].as_u64()).expect("a port");
        let text = |name: &str| flow[name].as_str().unwrap_or_default().to_owned();
        let seconds = |name: &str| flow[name].as_f64().expect("a time");
        let end = ((seconds("ts") - seconds("last_seen")) * 10.0).round() / 10.0;
        (number, (text("flow_state"), end, text("reason")))
    };
    flows.map(flow).collect()
}

fn capture(directory: &Path) -> std::path::PathBuf {
    let path = directory.join("states.pcap");
    every_state().write(&path);
    path
}

const TIMEOUTS: &str = "[flow]\ntimeout_secs = 50.0\n[flow.timeouts]\ntcp_handshake_secs = 2.0\ntcp_established_secs = 200.0\nssh_secs = 100.0\n\
    udp_one_way_secs = 3.0\nudp_two_way_secs = 20.0\necho_request_secs = 4.0\necho_replied_secs = 5.0\ndns_queried_secs = 6.0\n\
    dns_answered_secs = 1.0\nquic_handshake_secs = 7.0\nquic_established_secs = 120.0\nquic_closed_secs = 1.5\n";

/// Port or identifier, state, end with the timeouts above.
const EXPECTED: [(u64, &str, f64); 13] = [
    (1001, "one_way", 3.0),
    (1002, "two_way", 20.0),
    (1003, "queried", 6.0),
    (1004, "answered", 1.0),
    (1005, "initial", 7.0),
    (1006, "handshake", 7.0),
    (1007, "established", 120.0),
    (1008, "request", 4.0),
    (1009, "replied", 5.0),
    (1010, "syn_sent", 2.0),
    (1011, "established", 200.0),
    (1012, "established", 100.0),
    (1013, "closed", 10.0),
];

#[test]
fn each_state_has_its_word_and_its_timeout() {
    let directory = temp_dir("state-timeouts-capture");
    let capture = capture(directory.path());
    let one = ended(&capture, TIMEOUTS, &["--workers", "1"]);
    for (number, state, end) in EXPECTED {
        let reason = if number == 1013 { "closed" } else { "timeout" };
        assert_eq!(one[&number], (state.to_owned(), end, reason.to_owned()), "{number}");
    }
    for flags in [&["--workers", "2"][..], &["--workers", "4"], &["--workers", "1", "--replay-speed", "10000"]] {
        assert_eq!(ended(&capture, TIMEOUTS, flags), one, "{flags:?}");
    }
}

#[test]
fn without_settings_all_have_the_idle_timeout() {
    let directory = temp_dir("state-timeouts-capture");
    let capture = capture(directory.path());
    for (number, (state, end, _)) in ended(&capture, "", &[]) {
        if let Some((_, expected, _)) = EXPECTED.iter().find(|(at, ..)| *at == number) {
            assert_eq!((state.as_str(), end), (*expected, if number == 1013 { 10.0 } else { 60.0 }), "{number}");
        }
    }
    // Who ends nothing by time may end what has its answer.
    let never = "[flow]\ntimeout_secs = 0.0\n[flow.timeouts]\ndns_answered_secs = 0.5\n";
    for (number, (_, end, reason)) in ended(&capture, never, &[]).into_iter().filter(|(number, _)| *number > 1) {
        assert_eq!((end, reason.as_str()), if number == 1004 { (0.5, "timeout") } else { (299.0, "exit") }, "{number}");
    }
    // And the other way round.
    let but_dns = "[flow]\ntimeout_secs = 5.0\n[flow.timeouts]\ndns_answered_secs = 0\n";
    assert_eq!(ended(&capture, but_dns, &[])[&1004], ("answered".to_owned(), 299.0, "exit".to_owned()));
}

#[test]
fn filters_and_the_other_field_know_states_and_how_applications_are_known() {
    let directory = temp_dir("state-timeouts-capture");
    let capture = capture(directory.path());
    let of = |filter: &str, flags: &[&str]| -> Vec<u64> {
        ended(&capture, "", &[&["--where", filter], flags].concat()).into_keys().collect()
    };
    assert_eq!(of("state:answered,queried", &[]), [1003, 1004]);
    assert_eq!(of("state:established", &[]), [1007, 1011, 1012]);
    assert_eq!(of("flow_state:request or state:one_way", &["--no-dpi"]), [1, 1001, 1003, 1005, 1008]);
    assert_eq!(of("app_known_by:content", &[]), [1003, 1004, 1005, 1006, 1007, 1012]);
    // Port 22 and 80 and 8080 are registered, 9999 and 9 are, too.
    assert_eq!(of("app_known_by:port port:80", &[]), [1013]);
    assert_eq!(of("app_known_by:content", &["--no-dpi"]), [0_u64; 0]);
    assert_eq!(of("app_known_by:port port:53", &["--no-dpi"]), [1003, 1004]);
    // The answer told the server's name before.
    assert_eq!(of("app_known_by:passive_dns", &[]), [1008, 1009]);
    assert_eq!(of("not app_known_by:*", &["--no-dpi"]), [1008, 1009]);
}

#[test]
fn what_cannot_be_done_is_refused() {
    for (config, flags, says) in [
        ("[flow.timeouts]\ndns_answered_secs = 1.0\n", &["--no-dpi"][..], "flow.timeouts.dns_answered_secs"),
        ("[flow.timeouts]\nssh_secs = 1.0\n", &["--no-dpi"], "flow.timeouts.ssh_secs"),
        ("[flow.timeouts]\nudp_one_way_secs = 0.01\n", &[], "flow.timeouts.udp_one_way_secs"),
        ("[flow.timeouts]\nudp_one_way_secs = -1.0\n", &[], "flow.timeouts.udp_one_way_secs"),
        ("[flow.timeouts]\narp_secs = 1.0\n", &[], "arp_secs"),
    ] {
        let directory = temp_dir("state-timeouts-refused");
        let toml = directory.path().join("netscope.toml");
        fs::write(&toml, config).expect("the file is written");
        let mut command = netscope();
        let finished = run(command.arg("--config").arg(&toml).args(["--read-pcap", "none.pcap"]).args(flags)).expect_code(1);
        assert!(finished.stderr.contains(says), "{says}: {}", finished.stderr);
    }
}
