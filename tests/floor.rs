//! The yardstick counts the same flows as NetScope: packets and bytes per direction of every 5-tuple, on every kind of generated
//! traffic.

mod common;

use common::{netscope, temp_dir};
use netscope_perf::{GeneratorSettings, Profile, Resolution, floor, write_pcap};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// The columns that both write, sorted.
fn rows(path: &Path) -> Vec<String> {
    const COLUMNS: [&str; 9] = [
        "protocol",
        "endpoint_a_ip",
        "endpoint_a_port",
        "endpoint_b_ip",
        "endpoint_b_port",
        "packets_a_to_b",
        "packets_b_to_a",
        "bytes_a_to_b",
        "bytes_b_to_a",
    ];
    let mut reader = csv::Reader::from_path(path).expect("a CSV file");
    let header = reader.headers().expect("a header").clone();
    let place = |name: &str| header.iter().position(|column| column == name).unwrap_or_else(|| panic!("no column {name}"));
    let places = COLUMNS.map(place);
    let records = reader.records().map(|record| record.expect("a record"));
    let mut rows: Vec<String> = records.map(|record| places.map(|place| &record[place]).join(",")).collect();
    rows.sort_unstable();
    rows
}

#[test]
fn the_floor_counts_the_same_flows() {
    let dir = temp_dir("floor");
    for (name, profile) in Profile::ALL {
        let path = dir.path().join(format!("{name}.pcap"));
        let mut out = BufWriter::new(File::create(&path).expect("a capture"));
        // 10 µs between packets: no flow is silent long enough to end before its last packet.
        let settings = GeneratorSettings { gap_ns: 10_000, ..GeneratorSettings::new(*profile, 20_000, 1_000, 7) };
        let generated = write_pcap(&settings, Resolution::Nano, &mut out).expect("generated");
        out.flush().expect("written");
        let (ours, theirs) = (dir.path().join("ours.csv"), dir.path().join("floor.csv"));
        let status = netscope().args(["--quiet", "--read-pcap"]).arg(&path).arg("--export-csv").arg(&ours).status();
        assert!(status.expect("netscope runs").success(), "{name}");
        let (table, totals) = floor::count(&path).expect("counted");
        floor::write_csv(&table, &mut File::create(&theirs).expect("a file")).expect("written");
        assert_eq!((totals.packets, table.len() as u64), (generated.packets, generated.flows), "{name}");
        let (ours, theirs) = (rows(&ours), rows(&theirs));
        assert_eq!(ours.len() as u64, generated.flows, "{name}");
        assert_eq!(ours, theirs, "{name}");
    }
}
