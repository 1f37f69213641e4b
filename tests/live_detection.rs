//! Alerts on a wire: they come while the attack goes on, end when it is over, and do not need a reader of statistics.
#![cfg(target_os = "linux")]

mod common;

use common::live::send;
use common::netns::{NetNs, RECEIVER, SENDER, Wire};
use common::{RunningProgram, netscope};
use netscope_perf::scenario::{MS, Outcome, Script, host};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

const ATTACKER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);

/// A flood of one service and a scan of a network, packet by packet.
fn attacks() -> Vec<Vec<u8>> {
    let mut script = Script::default();
    for i in 0..600_u32 {
        let victim = (Ipv4Addr::new(192, 0, 2, 80), 80);
        script.connect(u64::from(i) * MS, (host([11, 0, 0, 0], i * 7919), 1024), victim, MS / 10, Outcome::Silent);
        if i % 10 == 0 {
            script.connect(u64::from(i) * MS, (ATTACKER, 4000), (host([10, 9, 0, 1], i), 23), MS / 10, Outcome::Silent);
        }
    }
    script.frames()
}

#[test]
fn alerts_begin_and_end_on_a_wire_with_one_queue_and_with_several() {
    for (queues, more) in [(1, &["--backend", "tpacket"][..]), (2, &["--workers", "2"]), (1, &["--backend", "libpcap"])] {
        let Some(namespace) = NetNs::with_wire(&Wire { queues, ..Wire::default() }) else { return };
        let directory = common::temp_dir("alerts");
        let config = directory.path().join("netscope.toml");
        let text = "[analysis.anomalies.syn_flood]\nwindow_secs = 2.0\ncooldown_secs = 1.0\n\
                    [analysis.anomalies.port_scan]\nwindow_secs = 2.0\ncooldown_secs = 1.0\n";
        std::fs::write(&config, text).expect("the file is written");
        let program = netscope();
        let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
        command.args(["--interface", RECEIVER, "--quiet", "--anomalies", "--stats", "--stats-interval-ms", "100"]).args(more);
        command.arg("--config").arg(&config);
        let mut running = RunningProgram::start(&mut command);
        running.wait_for_line("[stats]");
        send(&namespace, &attacks());
        let begun = [running.wait_for_line("[alert]"), running.wait_for_line("[alert]")];
        let ended = [running.wait_for_line("ended"), running.wait_for_line("ended")];
        for alerts in [begun, ended] {
            assert!(alerts.iter().any(|line| line.starts_with("[alert] Distributed SYN flood on 192.0.2.80:80")), "{alerts:?}");
            assert!(
                alerts.iter().any(|line| line.starts_with("[alert] Horizontal TCP SYN scan from 203.0.113.66")),
                "{alerts:?}"
            );
        }
        let finished = common::live::stop(running);
        assert!(finished.stderr.contains("alerts: 2"), "{}", finished.stderr);
    }
}

/// The packets of a classic capture with nanoseconds: ns after the first one, and bytes.
fn packets_of(capture: &Path) -> Vec<(u64, Vec<u8>)> {
    let bytes = std::fs::read(capture).expect("the capture is there");
    let mut rest = &bytes[24..];
    let mut packets = Vec::new();
    while let Some((header, behind)) = rest.split_first_chunk::<16>() {
        let number = |at: usize| u64::from(u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]));
        let (data, next) = behind.split_at(number(8) as usize);
        packets.push((number(0) * 1_000_000_000 + number(4), data.to_vec()));
        rest = next;
    }
    let first = packets.first().map_or(0, |(time, _)| *time);
    packets.into_iter().map(|(time, data)| (time - first, data)).collect()
}

/// Sends packets at the times they have in their capture.
fn send_paced(namespace: &NetNs, packets: &[(u64, Vec<u8>)]) {
    namespace.inside(|| {
        let mut out = pcap::Capture::from_device(SENDER).expect("the device is there").open().expect("root may open it");
        let start = Instant::now();
        for (at, frame) in packets {
            std::thread::sleep(Duration::from_nanos(*at).saturating_sub(start.elapsed()));
            out.sendpacket(frame.as_slice()).expect("the frame fits the link");
        }
    });
}

/// What alerts say apart from when: the begin of each, and its numbers at its end.
fn told(alerts_file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(alerts_file).expect("the file is there");
    let mut told: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a JSON object"))
        .filter(|alert| alert["phase"] != "update")
        .map(|alert| {
            let mut same = json!({});
            let fields: &[&str] = if alert["phase"] == "end" {
                &["kind", "key", "phase", "variant", "technique", "attacker", "victim", "counts", "completion_ratio", "direction"]
            } else {
                &["kind", "key", "phase"]
            };
            fields.iter().for_each(|field| same[*field] = alert[*field].clone());
            same
        })
        .collect();
    told.sort_by_key(Value::to_string);
    told
}

#[test]
fn a_wire_tells_what_the_replay_of_the_same_packets_tells() {
    let directory = common::temp_dir("same");
    let capture = directory.path().join("attacks.pcap");
    let mut script = Script::default();
    for i in 0..900_u32 {
        let (at, victim) = (u64::from(i) * 2 * MS, (Ipv4Addr::new(192, 0, 2, 80), 80));
        script.connect(at, (host([11, 0, 0, 0], i * 7919), 1024), victim, MS / 10, Outcome::Unfinished);
        // So few that all are counted: of more the number is estimated, on a wire with a secret of its own.
        if i % 15 == 0 {
            script.connect(at, (ATTACKER, 4000), (host([10, 9, 0, 1], i), 23), MS / 10, Outcome::Refused);
            // Somebody who does nothing wrong.
            script.connect(
                at,
                (host([10, 0, 0, 5], 0), 5000 + i as u16),
                (host([198, 51, 100, 7], 0), 443),
                MS,
                Outcome::Completed,
            );
        }
    }
    script.write(&capture);
    let local = directory.path().join("netscope.toml");
    std::fs::write(&local, "[analysis]\nlocal_networks = [\"10.0.0.0/8\"]\n").expect("the file is written");
    let replayed = directory.path().join("replayed.jsonl");
    let mut command = netscope();
    command.args(["--quiet", "--anomalies", "--config"]).arg(&local).arg("--alerts-jsonl").arg(&replayed);
    let output = command.arg("--read-pcap").arg(&capture).output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = told(&replayed);
    assert_eq!(expected.len(), 4, "two alerts: {expected:?}");
    for (queues, more) in [(1, &["--backend", "tpacket"][..]), (2, &["--workers", "2"])] {
        let Some(namespace) = NetNs::with_wire(&Wire { queues, ..Wire::default() }) else { return };
        let file = directory.path().join("live.jsonl");
        let program = netscope();
        let mut command = namespace.command(program.get_program().to_str().expect("a path in UTF-8"));
        command.args(["--interface", RECEIVER, "--quiet", "--anomalies", "--stats", "--stats-interval-ms", "100"]).args(more);
        command.arg("--config").arg(&local).arg("--alerts-jsonl").arg(&file);
        let mut running = RunningProgram::start(&mut command);
        running.wait_for_line("[stats]");
        send_paced(&namespace, &packets_of(&capture));
        // All of it is in the alerts' counts once the bin after it was judged, at the latest at the end.
        let finished = common::live::stop(running);
        assert!(finished.stderr.contains("alerts: 2"), "{}", finished.stderr);
        assert_eq!(told(&file), expected, "{queues} queues");
    }
}
