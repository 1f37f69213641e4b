//! Live capture by rings on a wire inside a namespace: the flows of the file that is sent, however many queues there are; another user
//! instead of root; what is said.
//!
//! Limits on waiting are there to end a hung run, not to measure.
#![cfg(target_os = "linux")]

mod common;

use common::netns::{NetNs, RECEIVER, SENDER, Wire};
use common::{Finished, RUN_LIMIT, RunningProgram, fixture, netscope, run, skip};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// A user that every system has.
const USER: &str = "nobody";

/// Sends all frames of a capture, in bursts that any ring holds.
fn send(namespace: &NetNs, path: &Path) -> u64 {
    let packets = netscope_backends::memory::read_all(path).expect("a sound capture");
    namespace.inside(|| {
        let mut out = pcap::Capture::from_device(SENDER).expect("the device is there").open().expect("root may open it");
        for burst in packets.chunks(32) {
            for packet in burst {
                out.sendpacket(packet.data.as_slice()).expect("the frame fits the link");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    packets.len() as u64
}

/// netscope on [`RECEIVER`] with the table and the summary in `directory`; it captures as soon as this returns.
fn capture(namespace: &NetNs, directory: &TempDir, more: &[&str]) -> RunningProgram {
    let program = netscope();
    let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
    command.args(["-v", "--interface", RECEIVER, "--stats", "--stats-interval-ms", "100", "--quiet"]);
    command.args(["--flow-timeout-s", "0"]).args(more);
    command.arg("--export-json").arg(directory.path().join("flows.json"));
    command.arg("--summary-json").arg(directory.path().join("summary.json"));
    let mut running = RunningProgram::start(&mut command);
    running.wait_for_line("[stats]");
    running
}

fn json(directory: &TempDir, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(directory.path().join(name)).expect(name)).expect(name)
}

/// Flows without what depends on when packets came; their bytes are not those of the file, whose packets are cut.
fn timeless(flows: &Value) -> Vec<String> {
    let mut lines: Vec<String> = flows
        .as_array()
        .expect("an array")
        .iter()
        .map(|flow| {
            ["endpoint_a", "endpoint_b", "packets_a_to_b", "packets_b_to_a", "tcp_state", "client", "queues"]
                .map(|field| flow[field].to_string())
                .join(" ")
        })
        .collect();
    lines.sort();
    lines
}

fn stop(running: RunningProgram) -> Finished {
    running.signal(Signal::SIGTERM);
    running.finish(RUN_LIMIT).expect_code(0)
}

/// A directory with `flows.json` of the file.
fn exported(path: &Path) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = netscope();
    command.args(["--quiet", "--flow-timeout-s", "0", "--read-pcap"]).arg(path);
    run(command.arg("--export-json").arg(directory.path().join("flows.json"))).expect_code(0);
    directory
}

#[test]
fn the_flows_of_the_file_come_out_of_any_number_of_rings() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let path = fixture("loss.pcap");
    let directory = exported(&path);
    let expected = timeless(&json(&directory, "flows.json"));
    assert!(!expected.is_empty());
    let cases: [(&[&str], &str); 5] = [
        (&[], "by tpacket"),
        (&["--backend", "tpacket"], "rings: 1,"),
        (&["--backend", "tpacket", "--workers", "0"], "rings: 1,"),
        (
            &["--backend", "tpacket", "--workers", "3", "--tpacket-block-kb", "128"],
            "rings: 3, each 170 blocks of 128 KiB, dealt by hash",
        ),
        (&["--backend", "libpcap"], "by libpcap"),
    ];
    for (flags, said) in cases {
        let running = capture(&namespace, &directory, flags);
        let sent = send(&namespace, &path);
        std::thread::sleep(Duration::from_millis(300));
        let finished = stop(running);
        assert!(finished.stderr.contains(said), "{flags:?}: {}", finished.stderr);
        let summary = json(&directory, "summary.json");
        assert_eq!(
            (&summary["packets"], &summary["unaccounted"]),
            (&Value::from(sent), &Value::from(0)),
            "{flags:?}: {summary:#}"
        );
        assert_eq!(timeless(&json(&directory, "flows.json")), expected, "{flags:?}");
    }
}

#[test]
fn what_tpacket_cannot_do_is_said_and_done_by_libpcap() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let program = netscope();
    let on_any = |backend: &str| {
        let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
        command.args(["-v", "--quiet", "--interface", "any", "--backend", backend, "--stats", "--stats-interval-ms", "100"]);
        command
    };
    let refused = run(&mut on_any("tpacket")).expect_code(1);
    assert!(refused.stderr.contains("--backend libpcap"), "{}", refused.stderr);
    let mut running = RunningProgram::start(&mut on_any("auto"));
    running.wait_for_line("[stats]");
    let finished = stop(running);
    assert!(finished.stderr.contains("capturing on any by libpcap"), "{}", finished.stderr);
    assert!(finished.stderr.contains("not by tpacket"), "{}", finished.stderr);
}

#[test]
fn another_user_goes_on_with_what_root_opened() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let user = nix::unistd::User::from_name(USER).expect("a list of users").expect("it has nobody");
    for backend in ["tpacket", "libpcap"] {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).expect("our directory");
        let running = capture(&namespace, &directory, &["--user", USER, "--backend", backend, "--workers", "2"]);
        let status = std::fs::read_to_string(format!("/proc/{}/status", running.id())).expect("it runs");
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).expect(name).trim().to_owned();
        let uid = user.uid.to_string();
        assert_eq!(line("Uid:"), [uid.as_str(); 4].join("\t"));
        assert_eq!(line("Gid:"), [user.gid.to_string().as_str(); 4].join("\t"));
        // CAP_NET_RAW alone, to open the interface again.
        assert_eq!(
            (line("CapEff:"), line("CapPrm:"), line("CapInh:")),
            (format!("{:016x}", 1 << 13), format!("{:016x}", 1 << 13), format!("{:016x}", 0))
        );
        assert_eq!(line("NoNewPrivs:"), "1");
        let threads = std::fs::read_dir(format!("/proc/{}/task", running.id())).expect("it runs");
        for thread in threads {
            let status = std::fs::read_to_string(thread.expect("a thread").path().join("status")).expect("it runs");
            assert!(status.contains(&format!("CapEff:\t{:016x}", 1 << 13)), "{status}");
        }
        let sent = send(&namespace, &fixture("loss.pcap"));
        std::thread::sleep(Duration::from_millis(300));
        stop(running);
        assert_eq!(json(&directory, "summary.json")["packets"], sent, "{backend}");
        let written = std::fs::metadata(directory.path().join("summary.json")).expect("written");
        assert_eq!(written.uid(), user.uid.as_raw(), "outputs are that user's");
    }
}

#[test]
fn a_user_that_cannot_be_is_refused() {
    let unknown = run(netscope().args(["--user", "no-such-user-here", "--quiet", "--read-pcap"]).arg(fixture("demo.pcapng")))
        .expect_code(1);
    let expected =
        if nix::unistd::geteuid().is_root() { "no-such-user-here (run.user): there is no such user" } else { "takes root" };
    assert!(unknown.stderr.contains(expected), "{}", unknown.stderr);
}

#[test]
fn root_is_no_user_to_go_on_as() {
    let refused = run(netscope().args(["--user", "root", "--quiet", "--read-pcap"]).arg(fixture("demo.pcapng"))).expect_code(1);
    let expected = if nix::unistd::geteuid().is_root() { "that is root, who would give nothing up" } else { "takes root" };
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
}

#[test]
fn a_right_that_root_does_not_have_is_named_and_done_without() {
    let Some(namespace) = NetNs::with_veth() else { return };
    if std::process::Command::new("setpriv").arg("--version").output().is_err() {
        skip("there is no setpriv");
        return;
    }
    let mut command = namespace.command("setpriv");
    // 64 frames of 2 KiB are below any limit on locked memory.
    command.arg("--bounding-set=-ipc_lock").arg(netscope().get_program()).args(["--quiet", "--interface", RECEIVER]);
    command.args(["--backend", "xdp", "--xdp-mode", "generic", "--xdp-frames", "64", "--xdp-frame-size", "2048", "--user", USER]);
    command.args(["--stats", "--stats-interval-ms", "100"]);
    let mut running = RunningProgram::start(&mut command);
    running.wait_for_line("[stats]");
    let finished = stop(running);
    assert!(finished.stderr.contains("keeps no CAP_IPC_LOCK, which root does not have here"), "{}", finished.stderr);
}

/// What netscope says when it refuses [`RECEIVER`] with these flags.
fn refusal(namespace: &NetNs, flags: &[&str]) -> String {
    let program = netscope();
    let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
    command.args(["--quiet", "--interface", RECEIVER]).args(flags);
    run(&mut command).expect_code(1).stderr
}

#[test]
fn packets_are_not_taken_from_a_host_that_uses_them() {
    let Some(namespace) = NetNs::with_veth() else { return };
    namespace.ip(&["address", "add", "192.0.2.7/24", "dev", RECEIVER]);
    let said = refusal(&namespace, &["--backend", "xdp"]);
    for part in ["has the address 192.0.2.7/24", "all packets received there", "--backend tpacket", "--xdp-insist"] {
        assert!(said.contains(part), "{said}");
    }
    let said = refusal(&namespace, &["--backend", "xdp", "--filter", "udp"]);
    assert!(said.contains("the packets that match the filter"), "{said}");
    namespace.ip(&["address", "flush", "dev", RECEIVER]);
    namespace.ip(&["link", "add", "bridge0", "type", "bridge"]);
    namespace.ip(&["link", "set", "dev", RECEIVER, "master", "bridge0"]);
    let said = refusal(&namespace, &["--backend", "xdp"]);
    assert!(said.contains("is a member of the bridge bridge0"), "{said}");
    let directory = tempfile::tempdir().expect("a directory");
    stop(capture(&namespace, &directory, &["--backend", "xdp", "--xdp-insist", "--xdp-mode", "generic"]));
}

#[test]
fn af_xdp_has_a_worker_per_queue() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let said = refusal(&namespace, &["--backend", "xdp", "--workers", "3"]);
    assert!(said.contains("3 workers were asked for") && said.contains("--xdp-queues"), "{said}");
    let said = refusal(&namespace, &["--backend", "xdp", "--xdp-queues", "0,1", "--no-pipeline"]);
    assert!(said.contains("--no-pipeline (pipeline.enabled = false)") && !said.contains("--workers"), "{said}");
    let said = refusal(&namespace, &["--backend", "xdp", "--xdp-queues", "0,5"]);
    assert!(said.contains("no receive queue 5"), "{said}");
}

#[test]
fn the_flows_of_the_file_come_out_of_af_xdp() {
    let Some(namespace) = NetNs::with_wire(&Wire { queues: 2, mtu: 1500 }) else { return };
    let path = fixture("loss.pcap");
    let directory = exported(&path);
    // How the kernel spreads over the queues is its own choice, so a flow may be joined; nothing else may differ.
    let without_queues = |lines: Vec<String>| -> Vec<String> {
        lines.into_iter().map(|line| line.rsplit_once(' ').expect("fields").0.to_owned()).collect()
    };
    let expected = without_queues(timeless(&json(&directory, "flows.json")));
    for mode in ["native", "generic"] {
        let running = capture(&namespace, &directory, &["--backend", "xdp", "--xdp-mode", mode]);
        let sent = send(&namespace, &path);
        std::thread::sleep(Duration::from_millis(300));
        let finished = stop(running);
        assert!(finished.stderr.contains("receive queues: [0, 1], a worker each"), "{}", finished.stderr);
        let summary = json(&directory, "summary.json");
        assert_eq!((&summary["packets"], &summary["unaccounted"]), (&Value::from(sent), &Value::from(0)), "{mode}: {summary:#}");
        assert_eq!(without_queues(timeless(&json(&directory, "flows.json"))), expected, "{mode}");
    }
}
