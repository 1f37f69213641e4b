//! Memory of detection stays within its setting under random keys. One test only, as the peak of all children is what the system tells.
#![cfg(target_os = "linux")]

mod common;

use common::detection::all_on;
use common::{netscope, temp_dir};
use netscope_perf::{GeneratorSettings, Profile, Resolution, write_pcap};
use nix::sys::resource::{UsageWho, getrusage};
use std::fs;
use std::io::BufWriter;
use std::process::Stdio;

/// Far above what 1000 flows, all buffers and every table at 1 MiB take (5 tables, in a box of the queue, one under way, the sum, the window and
/// those that are kept for later), far below what a million keys would take.
const RESIDENT_KIB_MAX: i64 = 200 * 1024;

#[test]
fn a_million_random_keys_stay_within_the_setting() {
    let directory = temp_dir("keys");
    let config = directory.path().join("netscope.toml");
    fs::write(&config, all_on(&[("", "table_mb = 1")])).expect("the file is written");
    for (profile, packets) in [(Profile::SynFlood, 1_000_000), (Profile::PortSweep, 1_000_000), (Profile::ManyFlows, 1_000_000)] {
        // Through a pipe: the pages of a mapped file would count, too.
        let mut command = netscope();
        command.args(["--read-pcap", "-", "--quiet", "--max-flows", "1000", "--config"]).arg(&config);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("netscope runs");
        let settings = GeneratorSettings { gap_ns: 20_000, ..GeneratorSettings::new(profile, packets, packets, 7) };
        let mut pipe = BufWriter::new(child.stdin.take().expect("stdin is piped"));
        write_pcap(&settings, Resolution::Micro, &mut pipe).expect("netscope reads to the end");
        drop(pipe);
        let output = child.wait_with_output().expect("netscope ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && stderr.contains("observations without room"), "{stderr}");
    }
    let resident = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage of children").max_rss();
    println!("{resident} KiB at the peak");
    assert!(resident < RESIDENT_KIB_MAX, "{resident} KiB at the peak");
}
