//! `netscope doctor` as a whole program: on a veth in a namespace, with an XDP program of somebody else, in a bridge, on nothing.
#![cfg(target_os = "linux")]

mod common;

use common::netns::{NetNs, RECEIVER, SENDER};
use common::{Finished, netscope, run};
use netscope_backends::bpf::{Loaded, Mode, XdpLink};
use netscope_backends::nic;
use netscope_bpf::xdp::{XdpParts, XdpProgram};
use serde_json::Value;

/// Runs the program in the namespace.
fn doctor(namespace: &NetNs, arguments: &[&str]) -> Finished {
    let program = netscope();
    let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
    run(command.arg("doctor").args(arguments))
}

/// What it says of [`RECEIVER`] as JSON.
#[track_caller]
fn examined(namespace: &NetNs, more: &[&str]) -> Value {
    let finished = doctor(namespace, &[&["-i", RECEIVER, "--json"], more].concat()).expect_code(0);
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {}", finished.stdout))
}

fn finding<'a>(document: &'a Value, id: &str) -> Option<&'a Value> {
    document["findings"].as_array().expect("a list").iter().find(|finding| finding["id"] == id)
}

#[test]
fn tries_xdp_modes_and_leaves_nothing_behind() {
    let Some(namespace) = NetNs::with_veth() else { return };
    // The namespace's pair has an MTU that only programs for several buffers are taken with.
    let document = examined(&namespace, &[]);
    assert_eq!(document["interface"]["name"], RECEIVER);
    assert_eq!(document["interface"]["kind"], "veth");
    assert_eq!(document["interface"]["peer"], SENDER);
    assert_eq!(document["interface"]["queues"][0]["queue"], 0);
    let tried = &document["xdp"]["tried"];
    assert_eq!(tried["generic"]["taken"], true, "{document:#}");
    if tried["native"]["taken"] == true {
        assert_eq!(tried["zero_copy"]["taken"], false, "veth copies: {document:#}");
        assert!(tried["zero_copy"]["why"].is_string(), "{document:#}");
    }
    let left = namespace.inside(|| nic::attached_xdp(RECEIVER)).expect("the interface is there");
    assert_eq!(left, [], "the trial leaves no program behind");
    assert_eq!(document["xdp"]["attached"].as_array().map(Vec::len), Some(0));
}

#[test]
fn shows_text_with_one_line_for_each_finding() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let findings = examined(&namespace, &[])["findings"].as_array().expect("a list").len();
    let text = doctor(&namespace, &["-i", RECEIVER]).expect_code(0).stdout;
    let lines = text.lines().filter(|line| ["trouble ", "note ", "ok "].iter().any(|mark| line.starts_with(mark)));
    assert_eq!(lines.count(), findings, "{text}");
    for name in [
        "kernel",
        "driver",
        "queues",
        "rss",
        "rings",
        "offloads",
        "xdp tried",
        "packet sockets",
        "rights",
        "memlock",
        "huge pages",
    ] {
        assert!(text.lines().any(|line| line.starts_with(&format!("  {name} "))), "{name} in {text}");
    }
}

#[test]
fn names_a_program_that_is_already_there_and_leaves_it() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let parts = XdpParts { queues: 1, frags: true, ..XdpParts::default() };
    let link = namespace.inside(|| {
        let program = XdpProgram::new(&parts).expect("it can be put together");
        let loaded = Loaded::load(program.program()).expect("root may load it");
        let index = nic::Nic::read(RECEIVER).expect("the interface is there").index;
        XdpLink::attach(&loaded, RECEIVER, index, Mode::Generic).expect("root may attach it")
    });
    let document = examined(&namespace, &["--try-xdp"]);
    assert_eq!(document["xdp"]["tried"], Value::Null, "what is attached is not disturbed");
    let attached = &document["xdp"]["attached"][0];
    assert_eq!((&attached["mode"], &attached["name"]), (&"generic".into(), &"netscope_xdp".into()));
    let finding = finding(&document, "xdp-attached").expect("it stands in the way");
    assert_eq!(finding["mark"], "trouble");
    assert!(finding["cure"].as_str().is_some_and(|cure| cure.starts_with("bpftool link detach id ")), "{finding}");
    let still = namespace.inside(|| nic::attached_xdp(RECEIVER)).expect("the interface is there");
    assert_eq!(still.len(), 1);
    drop(link);
}

#[test]
fn an_interface_the_host_uses_is_tried_only_when_asked() {
    let Some(namespace) = NetNs::with_veth() else { return };
    namespace.ip(&["addr", "add", "192.0.2.1/24", "dev", RECEIVER]);
    namespace.ip(&["route", "add", "default", "via", "192.0.2.2"]);
    namespace.ip(&["link", "add", "mv0", "link", RECEIVER, "type", "macvlan"]);
    let document = examined(&namespace, &[]);
    let uses: Vec<_> =
        document["interface"]["uses"].as_array().expect("a list").iter().map(|used| used["kind"].as_str()).collect();
    assert_eq!(uses, [Some("address"), Some("default_route"), Some("carries")], "{document:#}");
    assert_eq!(document["xdp"]["tried"], Value::Null);
    assert!(document["xdp"]["not_tried_because"].as_str().is_some_and(|why| why.contains("192.0.2.1/24")));
    assert!(finding(&document, "in-use").is_some());
    assert!(examined(&namespace, &["--try-xdp"])["xdp"]["tried"].is_object());
}

#[test]
fn members_of_a_bridge_and_other_sockets_are_seen() {
    let Some(namespace) = NetNs::with_veth() else { return };
    namespace.ip(&["link", "add", "br0", "type", "bridge"]);
    namespace.ip(&["link", "set", "dev", RECEIVER, "master", "br0"]);
    let capture = namespace.inside(|| pcap::Capture::from_device(RECEIVER).expect("a device").open().expect("root may open it"));
    let document = examined(&namespace, &[]);
    assert_eq!(document["interface"]["uses"][0]["what"], "is a member of the bridge br0");
    // Kernels without the packet_diag module cannot list sockets.
    if let Some(sockets) = document["packet_sockets"].as_array() {
        let own = sockets.iter().find(|socket| socket["process"]["pid"] == std::process::id());
        assert!(own.is_some(), "{document:#}");
    }
    drop(capture);
}

#[test]
fn finds_an_interface_that_is_down() {
    let Some(namespace) = NetNs::with_veth() else { return };
    namespace.ip(&["link", "set", "dev", RECEIVER, "down"]);
    let document = examined(&namespace, &[]);
    let finding = finding(&document, "down").expect("it is down");
    assert_eq!(finding["cure"], format!("ip link set dev {RECEIVER} up"));
}

#[test]
fn an_unknown_interface_ends_with_1_and_names_those_there_are() {
    let finished = run(netscope().args(["doctor", "-i", "no-such-if"])).expect_code(1);
    assert!(finished.stdout.is_empty());
    let expected = "netscope: interface no-such-if: there is no such interface; available: ";
    assert!(finished.stderr.starts_with(expected), "{}", finished.stderr);
    assert!(finished.stderr.contains("lo"), "{}", finished.stderr);
}

#[test]
fn without_a_name_the_first_interface_that_is_up_is_looked_at() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let finished = doctor(&namespace, &[]).expect_code(0);
    let first = finished.stdout.lines().next().expect("a name");
    assert!([RECEIVER, SENDER].iter().any(|name| first.starts_with(name)), "{}", finished.stdout);
}

#[test]
fn the_program_is_shown_without_an_interface() {
    run(netscope().args(["--stats", "doctor", "-i", "lo"])).expect_code(1);
    let listing = run(netscope().args(["doctor", "--show-xdp"])).expect_code(0).stdout;
    assert!(listing.starts_with("netscope_xdp:") && listing.contains("exit"), "{listing}");
}

#[test]
fn troubles_are_an_exit_code_where_they_are_asked_for() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let troubles =
        |document: &Value| document["findings"].as_array().expect("a list").iter().any(|finding| finding["mark"] == "trouble");
    let found = troubles(&examined(&namespace, &[]));
    doctor(&namespace, &[RECEIVER, "--check"]).expect_code(i32::from(found));
    // A link that is down is one.
    let down = namespace.command("ip").args(["link", "set", RECEIVER, "down"]).status().expect("there is ip");
    assert!(down.success());
    assert!(troubles(&examined(&namespace, &[])));
    doctor(&namespace, &[RECEIVER, "--check"]).expect_code(1);
    doctor(&namespace, &[RECEIVER]).expect_code(0);
    let any = doctor(&namespace, &["any"]).expect_code(1);
    assert!(any.stderr.contains("all interfaces"), "{}", any.stderr);
}
