//! What the program says and leaves when an interface, a right or a queue is not there, and what it goes on with when the interface
//! goes away.
//!
//! Limits on waiting are there to end a hung run, not to measure.
#![cfg(target_os = "linux")]

mod common;

use common::live::{self, Exports, capture, datagrams, flow_count, on_receiver, send, stop};
use common::netns::{NetNs, RECEIVER, Wire};
use common::{RUN_LIMIT, RunningProgram, netscope, run, temp_dir};
use netscope_backends::bpf::{Loaded, Mode, XdpLink};
use netscope_bpf::xdp::{XdpParts, XdpProgram};
use nix::net::if_::if_nametoindex;
use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

const WIRE: Wire = Wire { queues: 1, mtu: 1500 };

/// Everything that captures from an interface.
const WAYS: [&[&str]; 4] = [
    &["--backend", "libpcap", "--timeout-ms", "20"],
    &["--backend", "tpacket"],
    &["--backend", "xdp", "--xdp-mode", "native"],
    &["--backend", "xdp", "--xdp-mode", "generic"],
];

/// Tries all ways at once: each mostly waits.
#[track_caller]
fn by_each(ways: &[&'static [&'static str]], try_one: impl Fn(&[&str]) + Sync) {
    std::thread::scope(|scope| {
        for flags in ways {
            scope.spawn(|| try_one(flags));
        }
    });
}

/// Ends with exit code 1 and says it in one line, which has all of `parts`.
#[track_caller]
fn refuses(command: &mut Command, parts: &[&str]) {
    let finished = run(command).expect_code(1);
    let lines: Vec<&str> = finished.stderr.lines().filter(|line| !line.is_empty()).collect();
    let [line] = lines.as_slice() else { panic!("not one line: {finished:#?}") };
    assert!(line.starts_with("netscope: "), "{line}");
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in: {line}");
    }
}

/// `command` run by another program, such as setpriv(1).
fn under(namespace: &NetNs, wrapper: &[&str], command: &Command) -> Command {
    let mut wrapped = namespace.command(wrapper[0]);
    // `command` is `ip netns exec NAME PROGRAM ...`: what follows the name runs inside as it is.
    wrapped.args(&wrapper[1..]).args(command.get_args().skip(3));
    wrapped
}

#[test]
fn a_second_instance_on_a_queue_names_what_is_there_and_the_first_goes_on() {
    let Some(namespace) = NetNs::with_wire(&WIRE) else { return };
    for mode in ["native", "generic"] {
        let exports = Exports::new();
        let flags = ["--backend", "xdp", "--xdp-mode", mode];
        let mut first = capture(&namespace, &exports, &flags);
        refuses(&mut on_receiver(&namespace, &flags), &[RECEIVER, "already", "netscope_xdp", "id "]);
        send(&namespace, &datagrams(60, 20, 1));
        live::wait_for_silence(&mut first);
        stop(first);
        assert_eq!(exports.check_complete(), 20);
        wait_until_clean(&namespace);
    }
}

#[test]
fn a_program_of_others_is_named_and_stays() {
    let Some(namespace) = NetNs::with_wire(&WIRE) else { return };
    let _theirs = namespace.inside(|| {
        let program = XdpProgram::new(&XdpParts { frags: true, ..XdpParts::default() }).expect("a program without a filter");
        let loaded = Loaded::load(program.program()).expect("root may load it");
        let index = if_nametoindex(RECEIVER).expect("it is there");
        XdpLink::attach(&loaded, RECEIVER, index, Mode::Generic).expect("nothing is attached")
    });
    let before = shown(&namespace);
    for mode in ["auto", "native", "generic"] {
        let mut command = on_receiver(&namespace, &["--backend", "xdp", "--xdp-mode", mode]);
        refuses(&mut command, &[RECEIVER, "already", "netscope_xdp", "id "]);
    }
    assert_eq!(shown(&namespace), before, "it stays as it is");
    // Who only copies is not in its way.
    stop(capture(&namespace, &Exports::new(), &["--backend", "tpacket"]));
}

#[test]
fn without_rights_it_says_which_and_how_to_get_them() {
    let Some(namespace) = NetNs::with_wire(&WIRE) else { return };
    let directory = temp_dir("program");
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).expect("our directory");
    let program = directory.path().join("netscope");
    std::fs::copy(netscope().get_program(), &program).expect("room for the program");
    let program = program.to_str().expect("a path in UTF-8");
    for (flags, parts) in [
        (WAYS[1], &["no permission to capture", "CAP_NET_RAW", "setcap"][..]),
        (WAYS[2], &["CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF", "setcap"]),
    ] {
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", program];
        let mut command = namespace.command(nobody[0]);
        command.args(&nobody[1..]).args(["--interface", RECEIVER, "--quiet"]).args(flags);
        refuses(&mut command, parts);
    }
}

#[test]
fn without_memory_that_can_be_locked_it_says_the_limit() {
    let Some(namespace) = NetNs::with_wire(&WIRE) else { return };
    let limits = ["prlimit", "--memlock=65536:65536", "setpriv", "--bounding-set=-ipc_lock"];
    let mut command = under(&namespace, &limits, &on_receiver(&namespace, WAYS[2]));
    refuses(&mut command, &["cannot be locked", "RLIMIT_MEMLOCK allows (64 KiB)", "CAP_IPC_LOCK", "ulimit -l"]);
    wait_until_clean(&namespace);
}

/// Everything `ip` says of the receiving end.
fn shown(namespace: &NetNs) -> String {
    let output = namespace.command("ip").args(["-d", "link", "show", "dev", RECEIVER]).output().expect("ip runs");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Waits until neither an XDP program nor promiscuous mode is left; the kernel takes its time with both.
#[track_caller]
fn wait_until_clean(namespace: &NetNs) {
    let deadline = Instant::now() + RUN_LIMIT;
    loop {
        let shown = shown(namespace);
        if !shown.contains("xdp") && shown.contains("promiscuity 0 ") {
            return;
        }
        assert!(Instant::now() < deadline, "left behind: {shown}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_killed_program_leaves_neither_xdp_nor_promiscuous_mode() {
    by_each(&WAYS[1..], |flags| {
        let Some(namespace) = NetNs::with_wire(&WIRE) else { return };
        let running = capture(&namespace, &Exports::new(), &[flags, &["--promiscuous"]].concat());
        let during = shown(&namespace);
        assert!(during.contains("promiscuity 1 "), "{flags:?}: {during}");
        assert_eq!(during.contains("xdp"), flags.contains(&"xdp"), "{flags:?}: {during}");
        running.signal(Signal::SIGKILL);
        let finished = running.finish(RUN_LIMIT);
        assert_eq!(finished.status.code(), None, "{finished:#?}");
        wait_until_clean(&namespace);
        stop(capture(&namespace, &Exports::new(), flags));
    });
}

/// Captures 20 flows, lets `away` take the interface and `back` bring it, and waits until 20 more came; what was said.
#[track_caller]
fn goes_on(flags: &[&str], away: fn(&NetNs), back: fn(&NetNs)) -> Option<String> {
    let namespace = NetNs::with_wire(&WIRE)?;
    let exports = Exports::new();
    let mut running = capture(&namespace, &exports, flags);
    send(&namespace, &datagrams(60, 20, 2));
    live::wait_for_silence(&mut running);
    away(&namespace);
    // Ticks go on without it.
    for _ in 0..5 {
        running.wait_for_line("[stats]");
    }
    back(&namespace);
    // What is sent before the program has the interface back is lost, as on any wire, so this is sent until ticks have shown it.
    let more = datagrams(80, 40, 5);
    let seen = (0..400).any(|_| {
        send(&namespace, &more);
        flow_count(&running.wait_for_line("[stats]")) >= 40
    });
    assert!(seen, "{flags:?}: no flow was seen after the interface came back");
    let finished = stop(running);
    assert_eq!(exports.check_complete(), 40, "{flags:?}: the flows of before and the new ones");
    Some(finished.stderr)
}

#[test]
fn an_interface_that_was_down_is_captured_again() {
    by_each(&WAYS, |flags| {
        goes_on(
            flags,
            |namespace| namespace.ip(&["link", "set", "dev", RECEIVER, "down"]),
            |namespace| namespace.ip(&["link", "set", "dev", RECEIVER, "up"]),
        );
    });
}

#[test]
fn an_interface_that_vanishes_is_named_and_waited_for() {
    by_each(&WAYS, |flags| {
        let away: fn(&NetNs) = |namespace| namespace.ip(&["link", "delete", "dev", RECEIVER]);
        let Some(said) = goes_on(flags, away, |namespace| namespace.add_wire(&WIRE)) else { return };
        for part in ["is gone", "is back"] {
            assert!(said.contains(&format!("{RECEIVER} {part}")), "{flags:?}: {said}");
        }
    });
}

#[test]
fn another_user_keeps_what_af_xdp_takes_to_open_again() {
    const KEPT: u64 = 1 << 12 | 1 << 13 | 1 << 14 | 1 << 39; // net_admin, net_raw, ipc_lock, bpf
    let Some(namespace) = NetNs::with_wire(&WIRE) else { return };
    let mut running = RunningProgram::start(&mut on_receiver(&namespace, &[WAYS[2], &["--user", "nobody", "--quiet"]].concat()));
    running.wait_for_line("[stats]");
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.id())).expect("it runs");
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).expect(name).trim().to_owned();
    let nobody = nix::unistd::User::from_name("nobody").expect("a list of users").expect("it has nobody");
    assert_eq!(line("Uid:"), [nobody.uid.to_string().as_str(); 4].join("\t"));
    for name in ["CapEff:", "CapPrm:"] {
        assert_eq!(line(name), format!("{KEPT:016x}"), "{name}");
    }
    // With these, and as that user, it opens the interface again.
    namespace.ip(&["link", "delete", "dev", RECEIVER]);
    for _ in 0..2 {
        running.wait_for_line("[stats]");
    }
    namespace.add_wire(&WIRE);
    let packets = datagrams(80, 40, 5);
    let seen = (0..200).any(|_| {
        send(&namespace, &packets);
        flow_count(&running.wait_for_line("[stats]")) >= 40
    });
    assert!(seen, "{}", stop(running).stderr);
}
