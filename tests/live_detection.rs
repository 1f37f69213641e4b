//! Alerts on a wire: they come while the attack goes on, end when it is over, and do not need a reader of statistics.
#![cfg(target_os = "linux")]

mod common;

use common::live::send;
use common::netns::{NetNs, RECEIVER, Wire};
use common::{RunningProgram, netscope};
use netscope_perf::scenario::{MS, Outcome, Script, host};
use std::net::Ipv4Addr;

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
