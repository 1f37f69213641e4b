//! Hostile bytes against the whole engine: packets cut at every length and with every byte changed, files likewise. No panic, a
//! closed ledger, bounded memory.

mod common;

use common::engine::{run, settings};
use common::{captures, temp_dir};
use netscope_backends::file::{CaptureFile, FileOptions};
use netscope_backends::memory::{MemoryBackend, OwnedPacket, read_all};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Packets of a capture, each different shape (length and first bytes) once: the same header cut again teaches nothing.
fn distinct_packets(capture: &Path) -> Vec<OwnedPacket> {
    let mut seen = HashSet::new();
    let packets = read_all(capture).unwrap_or_default();
    packets.into_iter().filter(|packet| seen.insert((packet.link_type, shape(&packet.data)))).collect()
}

/// What the first 64 bytes say about the protocols in a packet: EtherType, version and protocol bytes, and the length class.
fn shape(data: &[u8]) -> (Vec<u8>, usize) {
    let kinds = [12, 13, 14, 16, 17, 20, 23, 27, 46, 47].iter().map(|&at| data.get(at).copied().unwrap_or(0)).collect();
    (kinds, data.len().ilog2() as usize)
}

/// The header part of a packet that is worth cutting and changing; what follows is payload nobody reads.
const HEADERS_MAX: usize = 160;

fn assert_survives(packets: Vec<OwnedPacket>, what: &str) {
    let count = packets.len() as u64;
    let Some(first) = packets.first() else { return };
    let link_type = first.link_type;
    let (outcome, records) = run(Box::new(MemoryBackend::new(link_type, packets)), &settings());
    assert!(outcome.errors.is_empty(), "{what}: {:?}", outcome.errors);
    assert_eq!(outcome.summary.ledger.packets, count, "{what}");
    assert_eq!(outcome.summary.unaccounted(), 0, "{what}");
    let in_flows: u64 = records.iter().map(|record| record.packets[0] + record.packets[1]).sum();
    assert_eq!(outcome.summary.ledger.in_flows, in_flows, "{what}");
}

#[test]
fn packets_cut_at_every_length() {
    for capture in captures() {
        let mut cut = Vec::new();
        for packet in distinct_packets(&capture).into_iter().take(60) {
            for len in 0..packet.data.len().min(HEADERS_MAX) {
                cut.push(OwnedPacket { data: packet.data[..len].to_vec(), ..packet.clone() });
                // The same bytes, but claimed to be all there was.
                let wire_len = u32::try_from(len).expect("short");
                cut.push(OwnedPacket { data: packet.data[..len].to_vec(), wire_len, ..packet.clone() });
            }
        }
        assert_survives(cut, &format!("{} cut", capture.display()));
    }
}

#[test]
fn packets_with_every_byte_changed() {
    for capture in captures() {
        let mut changed = Vec::new();
        for packet in distinct_packets(&capture).into_iter().take(60) {
            for at in 0..packet.data.len().min(HEADERS_MAX) {
                for change in [0xff, 0x80, 0x01] {
                    let mut data = packet.data.clone();
                    data[at] ^= change;
                    changed.push(OwnedPacket { data, ..packet.clone() });
                }
            }
        }
        assert_survives(changed, &format!("{} changed", capture.display()));
    }
}

/// Reads a file of any bytes to its end, which must come.
fn read_to_the_end(path: &Path) {
    let Ok(file) = CaptureFile::open(path, &FileOptions::default()) else { return };
    let Ok(backend) = file.backend() else { return };
    let (outcome, _) = run(Box::new(backend), &settings());
    assert_eq!(outcome.summary.unaccounted(), 0);
}

#[test]
fn files_cut_at_every_length_and_with_every_byte_changed() {
    let dir = temp_dir("hostile-files");
    let path = dir.path().join("hostile.pcap");
    let small = |path: &&std::path::PathBuf| fs::metadata(path).is_ok_and(|meta| meta.len() <= 1300);
    let all = captures();
    let mut files = 0;
    for capture in all.iter().filter(small) {
        let bytes = fs::read(capture).expect("capture");
        files += 1;
        for at in 0..bytes.len() {
            fs::write(&path, &bytes[..at]).expect("cut file");
            read_to_the_end(&path);
            let mut changed = bytes.clone();
            changed[at] ^= 0xff;
            fs::write(&path, &changed).expect("changed file");
            read_to_the_end(&path);
        }
    }
    assert!(files > 0, "no small capture to change");
}
