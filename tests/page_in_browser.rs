//! The page in a real browser: with made-up data, with a replayed capture, and with an attack on a wire.
//!
//! The scripts are in `tests/browser`. Skips, and says so, without Chromium, Node.js and the packages that `cargo xtask test` installs.
#![cfg(target_os = "linux")]

mod common;

use common::certificate::certificate;
use common::live::send;
use common::netns::{NetNs, RECEIVER, Wire};
use common::{RunningProgram, netscope};
use netscope_perf::scenario::{MS, Outcome, Script, host, office_uplink};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Seconds of the capture that is replayed.
const CAPTURE_SECS: u64 = 900;

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}

/// False, and said, where no browser can be driven.
fn can_drive() -> bool {
    let answers = |program: &str| {
        let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    if answers("node") && answers(&chromium) && scripts().join("node_modules/playwright-core").is_dir() {
        return true;
    }
    common::skip("Chromium, Node.js or the packages of tests/browser are not there: run `cargo xtask test`, or `npm ci` there");
    false
}

/// Runs test files with Node.js; all of them have to pass.
fn run_scripts(files: &[&str], variables: &[(&str, &Path)]) {
    let mut command = Command::new("node");
    command.arg("--test").args(files).current_dir(scripts());
    variables.iter().for_each(|(name, value)| {
        command.env(name, value);
    });
    let output = command.output().expect("Node.js is there");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_page_s_modules_do_what_they_say() {
    if can_drive() {
        run_scripts(&["modules.test.mjs", "work_modules.test.mjs"], &[]);
    }
}

#[test]
fn the_shell_the_wall_and_alerts_work_with_made_up_data() {
    if can_drive() {
        run_scripts(&["page.test.mjs"], &[]);
    }
}

#[test]
fn flows_and_packets_work_with_made_up_data() {
    if can_drive() {
        run_scripts(&["work_views.test.mjs"], &[]);
    }
}

#[test]
fn panels_say_their_state_and_the_page_is_for_everybody() {
    if can_drive() {
        run_scripts(&["states.test.mjs"], &[]);
    }
}

#[test]
fn a_replayed_capture_is_looked_at() {
    if !can_drive() {
        return;
    }
    let directory = common::temp_dir("page");
    let file = |name: &str| directory.path().join(name);
    let mut script = Script::default();
    office_uplink(&mut script, CAPTURE_SECS);
    script.write(&file("office.pcap"));
    certificate(directory.path());
    let program = netscope();
    run_scripts(
        &["real.test.mjs"],
        &[
            ("NETSCOPE", Path::new(program.get_program())),
            ("NETSCOPE_CAPTURE", &file("office.pcap")),
            ("NETSCOPE_TLS_CERT", &file("cert.pem")),
            ("NETSCOPE_TLS_KEY", &file("key.pem")),
        ],
    );
}

/// SYNs of many sources to one service.
fn flood() -> Vec<Vec<u8>> {
    let mut script = Script::default();
    for number in 0..1200_u32 {
        let victim = (Ipv4Addr::new(192, 0, 2, 80), 80);
        script.connect(u64::from(number) * MS, (host([11, 0, 0, 0], number * 7919), 1024), victim, MS / 10, Outcome::Silent);
    }
    script.frames()
}

#[test]
fn an_attack_on_a_wire_is_on_the_page_and_leads_to_its_flows_and_packets() {
    if !can_drive() {
        return;
    }
    let Some(namespace) = NetNs::with_wire(&Wire::default()) else { return };
    namespace.ip(&["link", "set", "lo", "up"]);
    let directory = common::temp_dir("page-alert");
    let program = netscope();
    let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
    command.args(["--interface", RECEIVER, "--quiet", "--anomalies", "--web", "--web-port", "8080", "--recorder"]);
    command.arg(directory.path()).arg("--stats");
    let running = RunningProgram::start(&mut command);
    let mut browser = namespace.command("node");
    browser.arg("attack.mjs").arg("http://127.0.0.1:8080/").current_dir(scripts());
    let mut browser = RunningProgram::start(&mut browser);
    browser.wait_for_line("ready");
    send(&namespace, &flood());
    browser.wait_for_line("told");
    browser.wait_for_line("done");
    browser.finish(Duration::from_secs(60)).expect_code(0);
    common::live::stop(running);
}
