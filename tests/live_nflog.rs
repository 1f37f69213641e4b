//! Live capture of Linux' netfilter log, by libpcap: `-i nflog:5` in a namespace with a rule that logs to group 5.
//!
//! Needs root, and `nft` to make the rule.
#![cfg(target_os = "linux")]

mod common;

use common::live::Exports;
use common::netns::NetNs;
use common::{RUN_LIMIT, RunningProgram, netscope, skip};
use serde_json::Value;
use std::net::UdpSocket;
use std::process::Command;

const RULE: &str = "table inet noted { chain input { type filter hook input priority 0; udp dport 9999 log group 5; }; }";

#[test]
fn packets_of_a_log_group_make_flows() {
    let Some(namespace) = NetNs::with_veth() else { return };
    if Command::new("nft").arg("--version").output().is_err() {
        return skip("no nft to make a rule that logs");
    }
    namespace.exec("sh", &["-c", "echo 0 >/proc/sys/net/ipv6/conf/lo/disable_ipv6"]);
    namespace.ip(&["link", "set", "dev", "lo", "up"]);
    namespace.exec("nft", &[RULE]);
    let exports = Exports::new();
    let program = netscope();
    let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
    command.args([
        "--interface",
        "nflog:5",
        "--quiet",
        "--stats",
        "--stats-interval-ms",
        "100",
        "--flow-timeout-s",
        "0",
        "--count",
        "4",
    ]);
    exports.arguments(&mut command);
    let mut running = RunningProgram::start(&mut command);
    running.wait_for_line("[stats]");
    namespace.inside(|| {
        for (from, to) in [("127.0.0.1:7777", "127.0.0.1:9999"), ("[::1]:7777", "[::1]:9999")] {
            let socket = UdpSocket::bind(from).expect("loopback is up");
            for _ in 0..2 {
                socket.send_to(b"logged", to).expect("sent");
            }
        }
    });
    // The kernel hands a log over once a second.
    running.finish(RUN_LIMIT).expect_code(0);
    assert_eq!(exports.check_complete(), 2);
    let mut flows: Vec<String> = exports
        .flows()
        .iter()
        .map(|flow| {
            let ends = ["endpoint_a", "endpoint_b"].map(|end| flow[end]["port"].to_string()).join(" ");
            let ip = flow["endpoint_a"]["ip"].as_str().unwrap_or_default();
            let packets = flow["packets_total"].to_string();
            format!("{} {ip} {ends} {packets}", flow["protocol"].as_str().unwrap_or_default())
        })
        .collect();
    flows.sort();
    assert_eq!(flows, ["udp 127.0.0.1 7777 9999 2", "udp ::1 7777 9999 2"]);
    assert_eq!(exports.summary()["faults"], Value::Array(Vec::new()));
}

/// There are no filters for this link type: one that is given is refused by name, not left out.
#[test]
fn a_filter_on_a_log_group_is_refused() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let program = netscope();
    let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
    let output = command.args(["--interface", "nflog:6", "--filter", "udp", "--quiet"]).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("NFLOG"), "{said}");
}
