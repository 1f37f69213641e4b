//! The flight recorder on a wire: SIGUSR2 writes what is in memory, an alert what came before and after it, from one queue and several.
#![cfg(target_os = "linux")]

mod common;

use common::live::{datagrams, send};
use common::netns::{NetNs, RECEIVER, Wire};
use common::{RUN_LIMIT, RunningProgram, netscope, temp_dir};
use netscope_backends::memory::read_all;
use netscope_perf::scenario::{MS, Outcome, Script, host};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const WAYS: [(u32, &[&str]); 3] =
    [(1, &["--backend", "tpacket"]), (2, &["--workers", "2"]), (1, &["--backend", "libpcap", "--timeout-ms", "20"])];

fn start(namespace: &NetNs, directory: &Path, settings: &str, more: &[&str]) -> RunningProgram {
    let config = directory.join("netscope.toml");
    fs::write(&config, settings).expect("the file is written");
    let program = netscope();
    let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
    command.args(["--interface", RECEIVER, "--quiet", "--anomalies", "--stats", "--stats-interval-ms", "100"]).args(more);
    command.arg("--config").arg(&config).arg("--recorder").arg(directory.join("recordings"));
    command.arg("--summary-json").arg(directory.join("summary.json"));
    let mut running = RunningProgram::start(&mut command);
    running.wait_for_line("[stats]");
    running
}

/// Waits until so many recordings with this in their names are complete.
#[track_caller]
fn wait_for(directory: &Path, part: &str, count: usize) -> Vec<PathBuf> {
    let deadline = Instant::now() + RUN_LIMIT;
    loop {
        let entries = fs::read_dir(directory.join("recordings")).expect("it is there");
        let is_complete = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("flight-") && name.contains(part)
        };
        let found: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).filter(is_complete).collect();
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < deadline, "{part} does not appear");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_signal_writes_what_is_in_memory() {
    for (queues, more) in WAYS {
        let Some(namespace) = NetNs::with_wire(&Wire { queues, ..Wire::default() }) else { return };
        let directory = temp_dir("signal");
        let mut running = start(&namespace, directory.path(), "[recorder]\nfilter = \"udp\"\n", more);
        send(&namespace, &datagrams(60, 20, 1));
        let mut other = Script::default();
        other.connect(0, (Ipv4Addr::new(10, 0, 0, 1), 9), (Ipv4Addr::new(10, 0, 0, 2), 80), MS, Outcome::Completed);
        send(&namespace, &other.frames());
        common::live::wait_for_silence(&mut running);
        running.signal(Signal::SIGUSR2);
        let found = wait_for(directory.path(), "Z-on-demand.pcapng", 1);
        let packets = read_all(&found[0]).expect("a recording");
        assert_eq!(packets.len(), 60, "{more:?}: the datagrams and not the connection");
        assert!(packets.windows(2).all(|pair| pair[0].time <= pair[1].time) || queues > 1);
        let finished = common::live::stop(running);
        let said = format!("packets of the flight recorder: 60 in {}", found[0].display());
        assert!(finished.stderr.contains(&said), "{}", finished.stderr);
    }
}

#[test]
fn an_alert_leaves_its_packets_although_the_wire_falls_silent() {
    let settings = "[recorder]\nafter_secs = 1.0\n[analysis.anomalies.syn_flood]\nwindow_secs = 2.0\ncooldown_secs = 1.0\n";
    for (queues, more) in WAYS {
        let Some(namespace) = NetNs::with_wire(&Wire { queues, ..Wire::default() }) else { return };
        let directory = temp_dir("alert");
        let mut running = start(&namespace, directory.path(), settings, more);
        let victim = (Ipv4Addr::new(192, 0, 2, 80), 80);
        let mut before = Script::default();
        (0..10).for_each(|i| before.connect(i * MS, (host([10, 0, 0, 1], i as u32), 9), victim, MS / 10, Outcome::Refused));
        before.udp(0, (Ipv4Addr::new(10, 9, 9, 9), 53), (Ipv4Addr::new(10, 9, 9, 8), 53));
        send(&namespace, &before.frames());
        let mut flood = Script::default();
        for i in 0..600_u32 {
            flood.connect(u64::from(i) * MS, (host([11, 0, 0, 0], i * 7919), 1024), victim, MS / 10, Outcome::Silent);
        }
        send(&namespace, &flood.frames());
        running.wait_for_line("[alert] Distributed SYN flood on 192.0.2.80:80");
        let found = wait_for(directory.path(), "Z-syn_flood-192.0.2.80-80.pcapng", 1);
        assert_eq!(read_all(&found[0]).expect("a recording").len(), 620, "{more:?}: ten connections before, and the flood");
        common::live::stop(running);
        let text = fs::read(directory.path().join("summary.json")).expect("it is there");
        let summary: Value = serde_json::from_slice(&text).expect("an object");
        let counts = &summary["recorder"];
        assert!(counts["recordings"] == 1 && counts["incomplete"] == 0 && counts["packets_not_kept"] == 0, "{counts}");
    }
}
