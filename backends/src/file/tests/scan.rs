//! The walk for several readers finds what one reader lends, whatever is wrong with the file.

use super::{Endian, Maker, numbered};
use crate::file::{CaptureFile, FileOptions, PLACES_MAX, Scanner};
use crate::memory::OwnedPacket;
use crate::{Backend, Polled};
use proptest::prelude::*;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

fn open(path: &Path, filter: Option<&str>) -> CaptureFile {
    CaptureFile::open(path, &FileOptions { filter: filter.map(str::to_owned), ..FileOptions::default() }).unwrap()
}

fn scanner(path: &Path) -> Scanner {
    open(path, None).scanner().unwrap().expect("a plain file is mapped")
}

/// Scans to the end: the packets, and what went wrong.
fn scan_all(scanner: &mut Scanner) -> (Vec<OwnedPacket>, Option<String>) {
    let (mut places, mut packets) = (scanner.places(), Vec::new());
    loop {
        match scanner.scan(&mut places) {
            Ok(false) => return (packets, None),
            Ok(true) => {
                assert!(places.len() <= PLACES_MAX);
                assert!(places.packets().map(|packet| packet.time).eq((0..places.len()).map(|index| places.time(index))));
                packets.extend(places.packets().map(|packet| OwnedPacket::from(&packet)));
            }
            Err(error) => {
                assert!(places.is_empty());
                assert!(!scanner.scan(&mut places).unwrap(), "it is told once");
                return (packets, Some(error.to_string()));
            }
        }
    }
}

/// The same by one reader.
fn lend_all(capture: &CaptureFile) -> (Vec<OwnedPacket>, Option<String>) {
    let (mut backend, mut packets) = (capture.backend().unwrap(), Vec::new());
    loop {
        match backend.poll(Duration::ZERO, &mut |batch| packets.extend(batch.iter().map(OwnedPacket::from))) {
            Ok(Polled::End) => return (packets, None),
            Ok(_) => {}
            Err(error) => return (packets, Some(error.to_string())),
        }
    }
}

#[test]
fn finds_all_in_order_and_counts_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pcap");
    fs::write(&path, numbered(3 * PLACES_MAX as u32 + 77)).unwrap();
    let mut scanner = scanner(&path);
    let found = scan_all(&mut scanner);
    assert_eq!(found, lend_all(&open(&path, None)));
    assert_eq!(found.0.len(), 3 * PLACES_MAX + 77);
    assert_eq!(scanner.counters().unwrap().received, found.0.len() as u64);
    assert_eq!(scanner.position().bytes_read, scanner.position().bytes_total);
}

#[test]
fn what_a_filter_leaves_out_is_counted_and_the_end_comes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pcap");
    fs::write(&path, numbered(20_000)).unwrap();
    let mut scanner = open(&path, Some("udp port 9")).scanner().unwrap().unwrap();
    assert_eq!(scan_all(&mut scanner), (Vec::new(), None));
    let counters = scanner.counters().unwrap();
    assert_eq!((counters.received, counters.filtered), (20_000, 20_000));
}

#[test]
fn a_file_that_becomes_shorter_ends_as_damage_after_what_it_still_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pcap");
    fs::write(&path, numbered(50_000)).unwrap();
    let mut scanner = scanner(&path);
    let mut places = scanner.places();
    assert!(scanner.scan(&mut places).unwrap());
    let first = places.len();
    assert!(first > 0);
    File::options().write(true).open(&path).unwrap().set_len(24 + 76 * 20_000 + 5).unwrap();
    let (rest, error) = scan_all(&mut scanner);
    assert_eq!(first + rest.len(), 20_000);
    assert!(error.unwrap().contains("shorter"));
    // What was found before and is gone reads as zeros, and nothing faults.
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    assert!(places.packets().flat_map(|packet| packet.data).all(|&byte| byte == 0));
}

#[test]
fn a_stream_has_no_scanner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pcap.zst");
    zstd::stream::copy_encode(numbered(3).as_slice(), File::create(&path).unwrap(), 1).unwrap();
    assert!(open(&path, None).scanner().unwrap().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damage_is_found_where_one_reader_finds_it(
        lens in prop::collection::vec(0usize..200, 1..300),
        cut in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        ng in any::<bool>(),
    ) {
        let mut maker = Maker::new(Endian::Little);
        if ng {
            maker.section().interface(1, 0, |_| ());
        } else {
            maker.pcap_header(0xa1b2_c3d4, 4, 1);
        }
        let header_len = maker.bytes.len();
        for (number, &len) in lens.iter().enumerate() {
            let data = vec![number as u8; len];
            if ng {
                maker.enhanced(0, number as u64, len as u32, &data);
            } else {
                maker.pcap_record(number as u32, 0, len as u32, &data);
            }
        }
        let mut bytes = maker.bytes;
        let at = header_len + at.index(bytes.len() - header_len);
        bytes[at] = byte;
        bytes.truncate(header_len + cut.index(bytes.len() - header_len + 1));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pcap");
        fs::write(&path, &bytes).unwrap();
        prop_assert_eq!(scan_all(&mut scanner(&path)), lend_all(&open(&path, None)));
    }
}
