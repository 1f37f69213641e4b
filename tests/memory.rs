//! Memory is bounded by the settings, whatever comes: a flood of flows against a small table.
//!
//! One test only, as the peak of all children is what the system tells.
#![cfg(target_os = "linux")]

mod common;

use common::netscope;
use netscope_perf::{GeneratorSettings, Profile, Resolution, write_pcap};
use nix::sys::resource::{UsageWho, getrusage};
use std::io::BufWriter;
use std::process::Stdio;

/// Far below what 200,000 flows take, far above what 1000 flows and all buffers do.
const RESIDENT_KIB_MAX: i64 = 64 * 1024;

#[test]
fn a_flood_of_flows_stays_within_the_bound() {
    // Through a pipe: the pages of a mapped file would count, too.
    let mut child = netscope()
        .args(["--read-pcap", "-", "--quiet", "--max-flows", "1000", "--export-ended-max", "2000"])
        .args(["--export-json", "/dev/null", "--expired-flows-jsonl", "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("netscope runs");
    let flood = GeneratorSettings::new(Profile::ManyFlows, 600_000, 200_000, 7);
    let mut pipe = BufWriter::new(child.stdin.take().expect("stdin is piped"));
    let generated = write_pcap(&flood, Resolution::Micro, &mut pipe).expect("netscope reads to the end");
    drop(pipe);
    let output = child.wait_with_output().expect("netscope ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout.is_empty(), "{stderr}");
    assert!(stderr.contains(&format!("packets: {} ", generated.packets)), "{stderr}");
    assert!(stderr.contains("ended by eviction: "), "the bound was reached: {stderr}");
    let resident = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage of children").max_rss();
    assert!(resident < RESIDENT_KIB_MAX, "{resident} KiB at the peak");
}
