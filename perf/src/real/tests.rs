//! Captures are multiplied, read again and counted.

use super::*;
use crate::floor::{self, key_of};
use crate::{GeneratorSettings, Profile, write_pcap};
use netscope_backends::memory::{OwnedPacket, read_all};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// A directory with two captures of 10 and 5 flows, one that is damaged, and one that is no capture.
fn scratch(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("netscope-perf-real-{}-{name}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    for (file, profile, packets, flows) in [("b.pcap", Profile::HttpMix, 300, 10), ("a.pcap", Profile::Udp, 60, 5)] {
        let mut bytes = Vec::new();
        let settings = GeneratorSettings { gap_ns: 3_000_000, ..GeneratorSettings::new(profile, packets, flows, 1) };
        write_pcap(&settings, Resolution::Nano, &mut bytes).unwrap();
        fs::write(directory.join(file), &bytes).unwrap();
        if file == "a.pcap" {
            fs::write(directory.join("cut.pcap"), &bytes[..bytes.len() - 9]).unwrap();
        }
    }
    fs::write(directory.join("README.md"), "no capture").unwrap();
    directory
}

fn written(directory: &Path, traffic: &RealTraffic, packets: u64) -> (Multiplied, Vec<OwnedPacket>) {
    let path = directory.join("multiplied.out");
    let mut bytes = Vec::new();
    let multiplied = traffic.write(packets, &mut bytes).unwrap();
    fs::write(&path, &bytes).unwrap();
    (multiplied, read_all(&path).unwrap())
}

#[test]
fn every_copy_of_a_flow_is_a_flow_with_the_same_packets_in_order() {
    let directory = scratch("flows");
    let traffic = RealTraffic::read(&directory).unwrap();
    assert_eq!((traffic.captures(), traffic.packets(), traffic.skipped()), (2, 360, 0));
    let (multiplied, packets) = written(&directory, &traffic, 3_000);
    let (table, totals) = floor::count(&directory.join("multiplied.out")).unwrap();
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!((traffic.copies(3_000), multiplied.packets, totals.packets), (9, 3_240, 3_240));
    assert_eq!((table.len(), totals.other), (9 * 15, 0));
    assert_eq!(multiplied.bytes, packets.iter().map(|packet| packet.data.len() as u64).sum::<u64>());
    assert!(packets.is_sorted_by_key(|packet| packet.time));

    // Everything behind the network header, checksum apart, by flow: each list is there once for each copy.
    let tails = |frames: &mut dyn Iterator<Item = &[u8]>| {
        let mut flows: BTreeMap<_, Vec<Vec<u8>>> = BTreeMap::new();
        for frame in frames {
            let mut tail = frame[34..].to_vec();
            let checksum = if frame[23] == 6 { 16 } else { 6 };
            tail[checksum..checksum + 2].fill(0);
            flows.entry(key_of(frame).unwrap().key).or_default().push(tail);
        }
        let mut counted: BTreeMap<Vec<Vec<u8>>, usize> = BTreeMap::new();
        flows.into_values().for_each(|flow| *counted.entry(flow).or_default() += 1);
        counted
    };
    let before = traffic.sources.iter().flat_map(|source| &source.frames).map(|frame| frame.bytes.as_slice());
    let before = tails(&mut { before });
    let after = tails(&mut packets.iter().map(|packet| packet.data.as_slice()));
    assert_eq!(before.into_iter().map(|(flow, count)| (flow, 9 * count)).collect::<BTreeMap<_, _>>(), after);
}

#[test]
fn what_is_left_out_is_told_and_the_rest_is_the_same_each_time() {
    let directory = scratch("again");
    let traffic = RealTraffic::read(&directory).unwrap();
    let again = RealTraffic::read(&directory).unwrap();
    let bytes = |traffic: &RealTraffic| {
        let mut bytes = Vec::new();
        traffic.write(500, &mut bytes).map(|_multiplied| bytes).unwrap()
    };
    assert_eq!(traffic.left_out().len(), 1);
    assert!(traffic.left_out()[0].0.ends_with("cut.pcap"));
    assert_eq!((bytes(&traffic), traffic.fingerprint()), (bytes(&again), again.fingerprint()));
    fs::remove_file(directory.join("b.pcap")).unwrap();
    assert_ne!(RealTraffic::read(&directory).unwrap().fingerprint(), traffic.fingerprint());
    fs::remove_file(directory.join("a.pcap")).unwrap();
    let nothing = RealTraffic::read(&directory).err().unwrap();
    fs::remove_dir_all(&directory).unwrap();
    assert!(nothing.contains("no capture with"), "{nothing}");
}

#[test]
fn copies_are_spread_and_their_number_is_bounded() {
    let directory = scratch("spread");
    let traffic = RealTraffic::read(&directory).unwrap();
    fs::remove_dir_all(&directory).unwrap();
    let order = traffic.order(100_000).unwrap();
    let starts: BTreeSet<u64> = order.iter().filter(|entry| entry.frame == 0).map(|entry| entry.time_ns).collect();
    assert_eq!(starts.len() as u64, 2 * traffic.copies(100_000));
    // 3 s of starts: each tenth of it has its share, within two.
    let share = starts.len() / 10;
    for tenth in 0..10 {
        let count = starts.range(tenth * 300_000_000..(tenth + 1) * 300_000_000).count();
        assert!(count.abs_diff(share) <= 2, "{count} of {share}");
    }
    let error = traffic.order(20_000_000).unwrap_err();
    assert!(error.to_string().contains("65536 copies"), "{error}");
    let numbers: BTreeSet<u16> = (0..1 << 16).map(number).collect();
    assert_eq!((numbers.len(), number(0)), (1 << 16, 0));
}
