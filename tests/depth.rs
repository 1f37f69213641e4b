//! Headers in each other: how deep they are followed by default and by the configuration, and what becomes of packets that are deeper.

mod common;

use common::{netscope, run, temp_dir};
use netscope_perf::{Depth, GeneratorSettings, Profile, Resolution, write_pcap};
use serde_json::Value;
use std::fs;
use std::path::Path;

const PACKETS: u64 = 120;
const FLOWS: u64 = 6;

/// Packets that were too deep, and flows, of a capture read with this configuration.
fn read(directory: &Path, depth: Depth, config: &str, workers: &str) -> (u64, u64) {
    let [capture, settings, summary] = ["deep.pcap", "netscope.toml", "summary.json"].map(|name| directory.join(name));
    let mut file = Vec::new();
    write_pcap(&GeneratorSettings::new(Profile::Deep(depth), PACKETS, FLOWS, 1), Resolution::Micro, &mut file)
        .expect("a capture");
    fs::write(&capture, file).expect("the directory is ours");
    fs::write(&settings, config).expect("the directory is ours");
    let mut command = netscope();
    command.args(["-q", "--workers", workers, "-r"]).arg(&capture).arg("--config").arg(&settings);
    run(command.arg("--summary-json").arg(&summary)).expect_code(0);
    let summary: Value = serde_json::from_str(&fs::read_to_string(&summary).expect("it is there")).expect("it is JSON");
    assert_eq!((&summary["packets"], &summary["unaccounted"]), (&PACKETS.into(), &0.into()), "{summary}");
    let faults = summary["faults"].as_array().expect("an array");
    assert!(faults.iter().all(|fault| fault["kind"] == "too_deep"), "{summary}");
    let deep = faults.iter().map(|fault| fault["packets"].as_u64().expect("a number")).sum();
    (deep, summary["flows"]["opened"].as_u64().expect("a number"))
}

#[test]
fn as_many_as_the_limit_are_read_and_one_more_is_counted() {
    let directory = temp_dir("depth");
    type Of = fn(u8) -> Depth;
    let cases: [(Of, u8, &str); 4] = [
        (Depth::ExtensionHeaders, 120, "depth_extension_headers"),
        (Depth::Tags, 32, "depth_link_headers"),
        (Depth::Labels, 32, "depth_link_headers"),
        // The header inside is in none.
        (Depth::Tunnels, 8, "depth_tunnels"),
    ];
    for (of, limit, key) in cases {
        let set = |limit: u8| format!("[analysis]\n{key} = {limit}\n");
        for workers in ["1", "2"] {
            let found = |count, config: &str| read(directory.path(), of(count), config, workers);
            assert_eq!(found(limit, ""), (0, FLOWS), "{key}");
            assert_eq!(found(limit + 1, "").0, PACKETS, "{key}");
            assert_eq!(found(limit + 1, &set(limit + 1)), (0, FLOWS), "{key}");
            assert_eq!(found(3, &set(3)), (0, FLOWS), "{key}");
            assert_eq!(found(4, &set(3)).0, PACKETS, "{key}");
        }
    }
    assert_eq!(read(directory.path(), Depth::Padding(150), "", "1"), (0, FLOWS), "options are no headers");
}

#[test]
fn a_limit_out_of_range_is_refused_by_name() {
    let directory = temp_dir("depth");
    let config = directory.path().join("netscope.toml");
    for (key, value) in [("depth_tunnels", 0), ("depth_link_headers", 129), ("depth_extension_headers", 1000)] {
        fs::write(&config, format!("[analysis]\n{key} = {value}\n")).expect("the directory is ours");
        let finished = run(netscope().args(["-r", "x", "--config"]).arg(&config)).expect_code(1);
        assert!(finished.stderr.contains(&format!("analysis.{key} = {value}: say 1 to 128")), "{}", finished.stderr);
    }
}
