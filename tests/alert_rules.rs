//! Mute rules, and a configuration file that is read again by SIGHUP, with the real program.
#![cfg(target_os = "linux")]

mod common;

use common::receivers::{Replay, add_floods, wait_until};
use common::{RUN_LIMIT, RunningProgram, netscope, temp_dir};
use netscope_perf::scenario::{MS, Outcome, SEC, Script, host};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

fn keys(lines: &[String]) -> Vec<String> {
    let key = |line: &String| serde_json::from_str::<Value>(line).expect("JSON")["key"].as_str().expect("a key").to_owned();
    lines.iter().map(key).collect()
}

#[test]
fn muted_alerts_are_told_to_nobody_and_counted_by_rule() {
    let replay = Replay::of_floods(4);
    let finished = replay
        .run(
            "[[analysis.alerts.mute]]\nkind = \"syn_flood\"\nnetwork = \"198.51.1.0/24\"\nreason = \"test of the load balancer\"\n\
             [[analysis.alerts.mute]]\nnetwork = \"203.0.113.2\"\nuntil = 2023-11-15T00:00:00Z\n\
             [[analysis.alerts.mute]]\nkind = \"syn_flood\"\nuntil = \"2023-11-14T00:00:00Z\"\nreason = \"over\"\n",
        )
        .expect_code(0);
    let flood = |service: u8| format!("syn_flood 198.51.{service}.80:443");
    assert_eq!(keys(&replay.alerts()), [flood(0), flood(3), flood(0), flood(3)], "begins and ends");
    let printed = finished.stdout.lines().filter(|line| line.starts_with("[alert]")).count();
    assert_eq!(printed, 4, "{}", finished.stdout);
    assert!(finished.stderr.contains("alerts: 4") && finished.stderr.contains("alerts muted: 2"), "{}", finished.stderr);
    let detection = replay.summary()["detection"].clone();
    assert_eq!(
        (&detection["alerts_begun"], &detection["alerts_ended"], &detection["alerts_muted"]),
        (&json!(4), &json!(4), &json!(2))
    );
    let counts: Vec<&Value> = detection["mutes"].as_array().expect("a list").iter().map(|mute| &mute["alerts"]).collect();
    assert_eq!(counts, [&json!(1), &json!(1), &json!(0)]);
    assert_eq!(detection["mutes"][0]["reason"], "test of the load balancer");
    assert_eq!(detection["mutes"][1]["until"], json!(1_700_006_400.0));
}

#[test]
fn a_rule_that_makes_no_sense_is_refused_by_name() {
    let replay = Replay::of_floods(1);
    for (rule, why) in [
        ("reason = \"all\"", "analysis.alerts.mute rule 1: fits every alert"),
        ("kind = \"syn_floud\"", "analysis.alerts.mute rule 1: kind is \"syn_floud\": give one of syn_flood, port_scan"),
        ("network = \"10.0.0.0/33\"", "analysis.alerts.mute rule 1: network is \"10.0.0.0/33\""),
        ("port = 80\nuntil = 2026-12-31", "analysis.alerts.mute rule 1: until is \"2026-12-31\""),
        ("port = 80\nuntil = 12", "analysis.alerts.mute.until: expected a time such as"),
        ("port = 65536", "analysis.alerts.mute.port: invalid value"),
        ("ports = 80", "analysis.alerts.mute.ports: unknown field `ports`"),
    ] {
        let refused = replay.run(&format!("[[analysis.alerts.mute]]\n{rule}\n")).expect_code(1);
        assert!(refused.stderr.contains(why), "{rule}: {}", refused.stderr);
    }
}

/// A pipe that the program reads a capture from, part by part.
struct Feed {
    pipe: fs::File,
    is_begun: bool,
}

impl Feed {
    /// Sends floods of these services at this second, then a scan by `marker`, then packets so that both are judged.
    fn send(&mut self, directory: &Path, second: u64, services: std::ops::Range<u8>, marker: Ipv4Addr) {
        let mut script = Script::default();
        add_floods(&mut script, second * SEC, services);
        for i in 0..15 {
            script.connect((second + 2) * SEC, (marker, 4000), (host([198, 18, 0, 1], i), 23), MS, Outcome::Silent);
        }
        for i in 0..40 {
            script.udp((second + 1) * SEC + i * 100 * MS, (Ipv4Addr::new(10, 0, 0, 1), 5000), (Ipv4Addr::new(10, 0, 0, 2), 53));
        }
        let path = directory.join("part.pcap");
        script.write(&path);
        let bytes = fs::read(&path).expect("it was written");
        let from = if std::mem::replace(&mut self.is_begun, true) { 24 } else { 0 };
        self.pipe.write_all(&bytes[from..]).expect("it is read");
    }
}

/// The program, reading a pipe, with its standard error in a file.
struct Piped {
    running: RunningProgram,
    feed: Feed,
    directory: tempfile::TempDir,
}

impl Piped {
    fn start(config: &str) -> Self {
        let directory = temp_dir("reload");
        let at = |name: &str| directory.path().join(name);
        fs::write(at("netscope.toml"), config).expect("it is written");
        nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).expect("a pipe");
        // The shell keeps its process for the program.
        let mut command = std::process::Command::new("sh");
        let program = netscope();
        command.args(["-c", "exec \"$@\" 2> \"$0\""]).arg(at("stderr")).arg(program.get_program());
        command.args(["--quiet", "--anomalies", "--config"]).arg(at("netscope.toml")).arg("--read-pcap").arg(at("pipe"));
        command.arg("--summary-json").arg(at("summary.json"));
        let running = RunningProgram::start(&mut command);
        let pipe = fs::OpenOptions::new().write(true).open(at("pipe")).expect("the program opens it");
        Self { running, feed: Feed { pipe, is_begun: false }, directory }
    }

    /// Sends a part, and waits until it is judged.
    fn send(&mut self, second: u64, services: std::ops::Range<u8>) {
        let marker = Ipv4Addr::new(192, 0, 2, u8::try_from(second).expect("a small number"));
        self.feed.send(self.directory.path(), second, services, marker);
        self.running.wait_for_line(&format!("scan from {marker}"));
    }

    fn said(&self) -> String {
        fs::read_to_string(self.directory.path().join("stderr")).unwrap_or_default()
    }

    /// Writes the file anew, sends SIGHUP, waits for what is said.
    fn reload(&self, config: &str, says: &str) {
        fs::write(self.directory.path().join("netscope.toml"), config).expect("it is written");
        self.running.signal(Signal::SIGHUP);
        wait_until(says, || self.said().contains(says));
    }

    /// Ends the input; what was printed, and the summary.
    fn finish(self) -> (String, Value) {
        drop(self.feed);
        let finished = self.running.finish(RUN_LIMIT).expect_code(0);
        let text = fs::read_to_string(self.directory.path().join("summary.json")).expect("it was written");
        (finished.stdout, serde_json::from_str(&text).expect("JSON"))
    }
}

const HIGH: &str = "[analysis.anomalies.syn_flood]\nsyn_threshold = 1000\ncooldown_secs = 5.0\n";

#[test]
fn a_reload_takes_over_thresholds_and_mutes_and_the_run_goes_on() {
    let mut program = Piped::start(HIGH);
    program.send(0, 0..1);
    let lower = HIGH.replace("1000", "100");
    program.reload(
        &format!("{lower}window_secs = 3.0\n[analysis.anomalies]\ntable_mb = 2\n"),
        "SIGHUP: analysis.anomalies.syn_flood.window_secs, analysis.anomalies.table_mb take effect after a restart",
    );
    assert!(
        program.said().contains("was read again: analysis.anomalies.syn_flood.syn_threshold: 1000 -> 100"),
        "{}",
        program.said()
    );
    program.send(30, 1..2);
    // A bad file changes nothing.
    program.reload(
        "[analysis.anomalies.syn_flood]\nsyn_threshold = 0\n",
        "SIGHUP: nothing has changed: analysis.anomalies.syn_flood.syn_threshold is 0",
    );
    let misspelt = "did you mean analysis.anomalies.syn_flood.syn_threshold?";
    program.reload("[analysis.anomalies.syn_flood]\nsyn_treshold = 5\n", misspelt);
    program.send(60, 2..3);
    let muted = format!("{lower}[[analysis.alerts.mute]]\nport = 443\nreason = \"known\"\n");
    program.reload(&muted, "analysis.alerts.mute: default -> 1 rule");
    program.send(90, 3..4);
    program.reload(&lower, "analysis.alerts.mute: 1 rule -> default");
    program.send(120, 4..5);
    let said = program.said();
    let (printed, summary) = program.finish();
    let told = |service: u8, end: &str| printed.lines().any(|line| line.contains(&format!("198.51.{service}.80:443{end}:")));
    assert!(!told(0, ""), "the first flood was below its threshold: {printed}");
    assert!(!told(3, "") && !told(3, " ended"), "the muted one was told: {printed}");
    assert!([1, 2, 4].into_iter().all(|service| told(service, "") && told(service, " ended")), "{printed}");
    let detection = &summary["detection"];
    assert_eq!((&detection["alerts_begun"], &detection["alerts_muted"]), (&json!(4 + 5), &json!(1)), "{said}");
    let gone = json!([{"kind": null, "network": null, "port": null, "until": null, "reason": "", "alerts": 1}]);
    assert_eq!(detection["mutes"], gone);
}

#[test]
fn without_anything_to_read_again_sighup_ends_the_run() {
    let directory = temp_dir("hangup");
    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).expect("a pipe");
    let mut command = netscope();
    command.args(["--quiet", "--anomalies", "--read-pcap"]).arg(&pipe);
    let mut running = RunningProgram::start(&mut command);
    let mut feed = Feed { pipe: fs::OpenOptions::new().write(true).open(&pipe).expect("it is opened"), is_begun: false };
    feed.send(directory.path(), 0, 0..1, Ipv4Addr::new(192, 0, 2, 1));
    running.wait_for_line("scan from");
    running.signal(Signal::SIGHUP);
    let finished = running.finish(RUN_LIMIT).expect_code(0);
    assert!(finished.stderr.contains("alerts: 2"), "{}", finished.stderr);
}

#[test]
fn a_closed_terminal_ends_the_run_though_there_is_a_file_to_read_again() {
    let directory = temp_dir("terminal");
    let at = |name: &str| directory.path().join(name);
    fs::write(at("netscope.toml"), HIGH.replace("1000", "100")).expect("it is written");
    nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).expect("a pipe");
    let terminal = nix::pty::openpty(None, None).expect("a terminal");
    // Closed in the program, or it would keep its own terminal open.
    fcntl(&terminal.master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("it is ours");
    let mut command = std::process::Command::new("setsid");
    command.arg("--ctty").arg(netscope().get_program()).args(["--quiet", "--anomalies", "--config"]).arg(at("netscope.toml"));
    command.arg("--read-pcap").arg(at("pipe")).arg("--alerts-jsonl").arg(at("alerts.jsonl"));
    command.stdin(terminal.slave).stdout(std::process::Stdio::null());
    command.stderr(fs::File::create(at("stderr")).expect("a file"));
    let mut child = command.spawn().expect("setsid");
    // The program alone has the terminal's other end.
    drop(command);
    let mut feed = Feed { pipe: fs::OpenOptions::new().write(true).open(at("pipe")).expect("it is opened"), is_begun: false };
    feed.send(directory.path(), 0, 0..1, Ipv4Addr::new(192, 0, 2, 1));
    wait_until("alerts", || fs::read_to_string(at("alerts.jsonl")).is_ok_and(|text| text.lines().count() == 2));
    drop(terminal.master);
    let mut status = None;
    wait_until("the end", || {
        status = child.try_wait().expect("it can be waited for");
        status.is_some()
    });
    let said = fs::read_to_string(at("stderr")).expect("it was written");
    assert!(status.is_some_and(|status| status.success()) && said.contains("alerts: 2") && !said.contains("SIGHUP"), "{said}");
}
