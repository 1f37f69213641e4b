//! Several interfaces at once: each with workers of its own, its name on every record, and flows that stay apart.
#![cfg(target_os = "linux")]

mod common;

use common::live::{Exports, datagrams};
use common::netns::{NetNs, RECEIVER};
use common::{RunningProgram, netscope};
use serde_json::Value;
use std::collections::BTreeMap;

/// The second pair of the namespace.
const RECEIVER_2: &str = "veth2";
const SENDER_2: &str = "veth3";

fn namespace() -> Option<NetNs> {
    let namespace = NetNs::with_veth()?;
    namespace.ip(&["link", "add", RECEIVER_2, "type", "veth", "peer", "name", SENDER_2]);
    for name in [RECEIVER_2, SENDER_2] {
        namespace.ip(&["link", "set", name, "up"]);
    }
    Some(namespace)
}

fn send(name: &str, frames: &[Vec<u8>]) {
    let mut out = pcap::Capture::from_device(name).expect("it is there").open().expect("root may open it");
    for frame in frames {
        out.sendpacket(frame.as_slice()).expect("the frame fits the link");
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
}

/// Packets of UDP flows by interface.
fn by_interface(exports: &Exports) -> BTreeMap<String, u64> {
    let mut packets = BTreeMap::new();
    for flow in exports.flows().iter().filter(|flow| flow["protocol"] == "udp") {
        let name = flow["interface"].as_str().expect("each has one").to_owned();
        *packets.entry(name).or_default() += flow["packets_total"].as_u64().expect("a number");
    }
    packets
}

#[test]
fn flows_of_two_interfaces_stay_apart_and_are_named() {
    let Some(namespace) = namespace() else { return };
    let frames = datagrams(60, 5, 7);
    for backend in ["tpacket", "libpcap", "xdp"] {
        let exports = Exports::new();
        let program = netscope();
        let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
        command.args(["-i", RECEIVER, "-i", RECEIVER_2, "--backend", backend, "-q", "--stats", "--stats-interval-ms", "100"]);
        command.args(["--flow-timeout-s", "0"]);
        exports.arguments(&mut command);
        let mut running = RunningProgram::start(&mut command);
        running.wait_for_line("[stats]");
        namespace.inside(|| {
            send(common::netns::SENDER, &frames);
            send(SENDER_2, &frames[..40]);
        });
        common::live::wait_for_silence(&mut running);
        let finished = common::live::stop(running);
        let packets = by_interface(&exports);
        assert_eq!(packets, BTreeMap::from([(RECEIVER.to_owned(), 60), (RECEIVER_2.to_owned(), 40)]), "{backend}");
        let summary = exports.summary();
        assert_eq!(
            (&summary["unaccounted"], &summary["flows"]["joined"]),
            (&Value::from(0), &Value::from(0)),
            "{backend}: {summary:#}"
        );
        // The same five flows on each.
        assert_eq!(exports.flows().iter().filter(|flow| flow["protocol"] == "udp").count(), 10, "{backend}");
        assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    }
}

#[test]
fn an_interface_is_named_once_and_each_is_announced() {
    let Some(namespace) = namespace() else { return };
    let program = netscope();
    let started = |arguments: &[&str]| {
        let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
        common::run(command.args(arguments))
    };
    let twice = started(&["-i", RECEIVER, "-i", RECEIVER]).expect_code(1);
    assert!(twice.stderr.contains(RECEIVER) && twice.stderr.contains("twice"), "{}", twice.stderr);
    let wrong = started(&["-i", RECEIVER, "-i", "nothere0"]).expect_code(1);
    assert!(wrong.stderr.contains("nothere0"), "{}", wrong.stderr);
    let both = started(&["-i", RECEIVER, "-i", RECEIVER_2, "--duration", "0.2"]).expect_code(0);
    for name in [RECEIVER, RECEIVER_2] {
        assert!(both.stderr.contains(&format!("capturing on {name} by tpacket")), "{}", both.stderr);
    }
}

#[test]
fn packets_are_written_and_shown_with_their_interface() {
    let Some(namespace) = namespace() else { return };
    let frames = datagrams(30, 3, 7);
    let directory = common::temp_dir("interfaces");
    let path = directory.path().join("both.pcapng");
    let program = netscope();
    let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
    command.args(["-i", RECEIVER, "-i", RECEIVER_2, "--stats", "--stats-interval-ms", "100", "-w"]).arg(&path).arg("udp");
    let mut running = RunningProgram::start(&mut command);
    running.wait_for_line("[stats]");
    namespace.inside(|| {
        send(common::netns::SENDER, &frames);
        send(SENDER_2, &frames[..20]);
    });
    common::live::wait_for_silence(&mut running);
    let finished = common::live::stop(running);
    for (name, count) in [(RECEIVER, 30), (RECEIVER_2, 20)] {
        let shown = finished.stdout.lines().filter(|line| line.starts_with('#') && line.contains(&format!(" {name} "))).count();
        assert_eq!(shown, count, "{name}: {}", finished.stdout);
    }
    let fields = ["-T", "fields", "-e", "frame.interface_name"];
    let listed = std::process::Command::new("tshark").arg("-r").arg(&path).args(fields).output().expect("tshark is installed");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let of = |name: &str| listed.lines().filter(|line| *line == name).count();
    assert_eq!((of(RECEIVER), of(RECEIVER_2)), (30, 20), "{listed}");
    let shown = std::process::Command::new("capinfos").arg(&path).output().expect("capinfos comes with tshark");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("Number of interfaces in file: 2"), "{shown}");
    assert_eq!(shown.matches("Number of stat entries = 1").count(), 2, "{shown}");
}
