//! What is written is read back, whole, and rotation touches its own files alone.

use super::*;
use crate::memory::{OwnedPacket, read_all};
use crate::{Counters, LinkType, Timestamp};
use proptest::prelude::*;
use std::path::PathBuf;

fn options(path: PathBuf) -> SavefileOptions {
    rotating(RotationOptions { path, ..RotationOptions::default() })
}

fn rotating(rotation: RotationOptions) -> SavefileOptions {
    SavefileOptions { rotation, ..SavefileOptions::default() }
}

fn packet(seconds: u64, link_type: LinkType, len: usize) -> OwnedPacket {
    OwnedPacket {
        time: Timestamp::from_parts(seconds, 123_456_789),
        wire_len: len as u32 + 5,
        link_type,
        data: vec![seconds as u8; len],
    }
}

fn save(options: &SavefileOptions, packets: &[OwnedPacket]) -> SavefileSummary {
    let mut savefile = Savefile::create(options).unwrap();
    for packet in packets {
        savefile.write(&packet.borrow()).unwrap();
    }
    savefile.finish().unwrap();
    savefile.summary()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn pcapng_holds_several_link_types_and_pcap_one() {
    let folder = tempfile::tempdir().unwrap();
    let packets = [packet(1, LinkType::ETHERNET, 61), packet(2, LinkType::RAW, 40), packet(3, LinkType::ETHERNET, 0)];
    let pcapng = options(folder.path().join("all.pcapng"));
    let summary = save(&pcapng, &packets);
    assert_eq!((summary.packets, summary.skipped_link_type), (3, 0));
    assert_eq!(summary.bytes, std::fs::metadata(&pcapng.rotation.path).unwrap().len());
    assert_eq!(read_all(&pcapng.rotation.path).unwrap(), packets);
    let pcap = options(folder.path().join("one.pcap"));
    let summary = save(&pcap, &packets);
    assert_eq!((summary.packets, summary.skipped_link_type), (2, 1));
    assert_eq!(read_all(&pcap.rotation.path).unwrap(), [packets[0].clone(), packets[2].clone()]);
}

#[test]
fn no_packet_still_makes_a_valid_file() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["none.pcap", "none.pcapng", "none"] {
        let options = options(folder.path().join(name));
        assert_eq!(save(&options, &[]).packets, 0);
        assert_eq!(read_all(&options.rotation.path).unwrap(), []);
    }
}

#[test]
fn cuts_to_the_snap_length_and_refuses_a_time_without_room() {
    let folder = tempfile::tempdir().unwrap();
    let options = SavefileOptions { snaplen: 10, ..options(folder.path().join("cut.pcap")) };
    let summary = save(&options, &[packet(1, LinkType::ETHERNET, 60), packet(1 << 33, LinkType::ETHERNET, 60)]);
    assert_eq!((summary.packets, summary.skipped_time), (1, 1));
    let packets = read_all(&options.rotation.path).unwrap();
    assert_eq!((packets[0].data.len(), packets[0].wire_len), (10, 65));
}

#[test]
fn rotates_by_size_keeps_the_newest_and_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let foreign =
        ["cap.0000001.pcap", "cap.00001.pcap", "cap.000001.pcapng", "cap.00000x.pcap", "cap.000000.pcap", "other.000001.pcap"];
    for name in foreign {
        std::fs::write(folder.path().join(name), "kept").unwrap();
    }
    // Two records of 116 bytes fit behind the file header, a third does not.
    let options = rotating(RotationOptions {
        path: folder.path().join("cap.pcap"),
        rotate_bytes: Some(24 + 3 * 116 - 1),
        files_max: Some(3),
        ..RotationOptions::default()
    });
    let packets: Vec<_> = (1..=9).map(|number| packet(number, LinkType::ETHERNET, 100)).collect();
    let summary = save(&options, &packets);
    assert_eq!(summary.files, RotationCounts { files_created: 5, files_deleted: 2, delete_error: None });
    let segment = |number| folder.path().join(format!("cap.{number:06}.pcap"));
    assert_eq!(read_all(&segment(3)).unwrap(), packets[4..6]);
    assert_eq!(read_all(&segment(5)).unwrap(), packets[8..]);
    assert!(!options.rotation.path.exists() && !segment(2).exists());
    let summary = save(&options, &packets[..1]);
    assert_eq!((summary.files.files_created, summary.files.files_deleted), (1, 1));
    assert_eq!(read_all(&segment(6)).unwrap(), packets[..1]);
    let left = names(folder.path());
    assert_eq!(left.len(), foreign.len() + 3, "{left:?}");
    assert!(foreign.iter().all(|name| std::fs::read(folder.path().join(name)).unwrap() == b"kept"));
}

#[test]
fn rotates_by_the_time_of_packets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cap");
    let options = rotating(RotationOptions { path, rotate_ns: Some(10 * Timestamp::NS_PER_SEC), ..RotationOptions::default() });
    let packets: Vec<_> = [5, 14, 15, 3, 100].map(|seconds| packet(seconds, LinkType::RAW, 20)).to_vec();
    assert_eq!(save(&options, &packets).files.files_created, 3);
    assert_eq!(names(folder.path()), ["cap.000001", "cap.000002", "cap.000003"]);
    assert_eq!(read_all(&folder.path().join("cap.000002")).unwrap(), packets[2..4]);
}

#[test]
fn retention_without_rotation_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        rotating(RotationOptions { path: folder.path().join("cap.pcap"), files_max: Some(3), ..RotationOptions::default() });
    assert!(Savefile::create(&options).unwrap_err().to_string().contains("cannot write"));
    assert!(names(folder.path()).is_empty());
}

#[test]
fn an_unwritable_place_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("cap.pcap");
    assert!(Savefile::create(&options(path.clone())).is_err());
    assert!(Savefile::create(&rotating(RotationOptions { path, rotate_bytes: Some(1), ..RotationOptions::default() })).is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_stays_one() {
    let mut savefile = Savefile::create(&options(PathBuf::from("/dev/full"))).unwrap();
    savefile.write(&packet(1, LinkType::ETHERNET, 60).borrow()).unwrap();
    let Err(BackendError::Io { action: "write", source, .. }) = savefile.flush() else { panic!("written") };
    assert_eq!(source.raw_os_error(), Some(libc::ENOSPC));
    assert!(savefile.flush().is_err());
}

#[test]
fn after_a_failed_write_the_file_has_whole_records() {
    let folder = tempfile::tempdir().unwrap();
    let packets: Vec<_> =
        (1..6).map(|number| packet(number, if number == 3 { LinkType::RAW } else { LinkType::ETHERNET }, 33)).collect();
    for name in ["cut.pcap", "cut.pcapng"] {
        let path = folder.path().join(name);
        let mut encoder = Encoder::for_path(&path, 100, CaptureOrigin::default());
        let mut bytes = Vec::new();
        for packet in &packets {
            let _ = encoder.encode(&packet.borrow(), &mut bytes);
        }
        let mut counts = std::collections::BTreeSet::new();
        for len in 0..=bytes.len() {
            let (whole, packets) = encoder.whole_records(&bytes[..len], true);
            assert!(whole <= len);
            if whole > 0 {
                std::fs::write(&path, &bytes[..whole]).unwrap();
                let read = read_all(&path).unwrap().len();
                assert_eq!(packets, read as u64);
                counts.insert(read);
            }
        }
        let all = if name == "cut.pcap" { 4 } else { 5 };
        assert_eq!(counts, (0..=all).collect(), "{name}");
    }
}

#[test]
fn what_is_compressed_is_read_back_and_can_be_read_while_it_grows() {
    let folder = tempfile::tempdir().unwrap();
    let packets: Vec<_> = (1..=500).map(|number| packet(number, LinkType::ETHERNET, 100)).collect();
    for name in ["x.pcap.gz", "x.pcapng.zst", "x.pcapng.gz", "x.pcap.zst"] {
        let options = options(folder.path().join(name));
        assert_eq!(save(&options, &packets).packets, 500);
        assert_eq!(read_all(&options.rotation.path).unwrap(), packets, "{name}");
        let head = std::fs::read(&options.rotation.path).unwrap();
        assert_eq!(head[..2], if name.ends_with("gz") { [0x1f, 0x8b] } else { [0x28, 0xb5] }, "{name}");
        assert!(head.len() < 20_000, "{name}: {}", head.len());
    }
}

fn any_packet() -> impl Strategy<Value = OwnedPacket> {
    let link_type = prop_oneof![Just(LinkType::ETHERNET), Just(LinkType::RAW), Just(LinkType::LINUX_SLL2)];
    // Within minutes, late in what 32 bits of seconds can tell: a reader follows no time that the others contradict.
    let latest = u64::from(u32::MAX) * Timestamp::NS_PER_SEC;
    (latest - 500 * Timestamp::NS_PER_SEC..latest, any::<u32>(), link_type, proptest::collection::vec(any::<u8>(), 0..100))
        .prop_map(|(time, wire_len, link_type, data)| OwnedPacket { time: Timestamp(time), wire_len, link_type, data })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_written_is_read(packets in proptest::collection::vec(any_packet(), 0..150)) {
        let folder = tempfile::tempdir().unwrap();
        let pcapng = options(folder.path().join("x.pcapng"));
        save(&pcapng, &packets);
        prop_assert_eq!(&read_all(&pcapng.rotation.path).unwrap(), &packets);
        let pcap = options(folder.path().join("x.pcap"));
        let summary = save(&pcap, &packets);
        let first = packets.first().map(|packet| packet.link_type);
        let kept: Vec<_> = packets.iter().filter(|packet| Some(packet.link_type) == first).cloned().collect();
        prop_assert_eq!(summary.packets + summary.skipped_link_type, packets.len() as u64);
        prop_assert_eq!(&read_all(&pcap.rotation.path).unwrap(), &kept);
    }
}

/// The options of the first block of this type: code and value.
fn block_options(bytes: &[u8], kind: u32, fixed_len: usize) -> Vec<(u16, Vec<u8>)> {
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut at = 0;
    while u32_at(at) != kind {
        at += u32_at(at + 4) as usize;
    }
    let end = at + u32_at(at + 4) as usize - 4;
    assert_eq!(u32_at(end), u32_at(at + 4), "the length stands at both ends");
    let (mut options, mut place) = (Vec::new(), at + 8 + fixed_len);
    while place + 4 <= end && u32_at(place) != 0 {
        let (code, len) = (u32_at(place) as u16, (u32_at(place) >> 16) as usize);
        options.push((code, bytes[place + 4..place + 4 + len].to_vec()));
        place += 4 + len.next_multiple_of(4);
    }
    options
}

#[test]
fn pcapng_says_where_its_packets_come_from_and_what_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("origin.pcapng");
    let origin = CaptureOrigin {
        application: Some("netscope 1".to_owned()),
        os: Some("Linux 6".to_owned()),
        interfaces: vec![
            OriginInterface { name: "eth0".to_owned(), speed_bps: Some(10_000_000_000) },
            OriginInterface { name: "eth1".to_owned(), speed_bps: None },
        ],
        filter: Some("\u{e9}".repeat(200)),
        comment: Some("\u{e9}".repeat(3000)),
    };
    let mut savefile = Savefile::create(&SavefileOptions { origin, ..options(path.clone()) }).unwrap();
    let packet = OwnedPacket { time: Timestamp(7), wire_len: 60, link_type: LinkType::ETHERNET, data: vec![1; 60] };
    savefile.write(&packet.borrow()).unwrap();
    let counters = Counters { received: 10, kernel_drops: 3, interface_drops: 2, filtered: 1, ..Counters::default() };
    savefile.note_statistics(0, &InterfaceStatistics { start: Timestamp(9), end: Timestamp(11), counters });
    savefile.note_statistics(1, &InterfaceStatistics { start: Timestamp(9), end: Timestamp(11), counters });
    savefile.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let blocks_of = |kind: u32| {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let (mut at, mut count) = (0, 0);
        while at < bytes.len() {
            count += usize::from(word(at) == kind);
            at += word(at + 4) as usize;
        }
        count
    };
    assert_eq!((blocks_of(1), blocks_of(5)), (1, 1), "an interface without packets has no number");
    let section = block_options(&bytes, 0x0a0d_0d0a, 16);
    assert_eq!((section[0].0, section[0].1.len()), (1, 4096), "a comment is cut, too");
    assert_eq!(section[1..], [(3, b"Linux 6".to_vec()), (4, b"netscope 1".to_vec())]);
    let interface = block_options(&bytes, 1, 8);
    assert_eq!(interface[0], (2, b"eth0".to_vec()));
    assert_eq!(interface[1], (8, 10_000_000_000u64.to_le_bytes().to_vec()));
    assert_eq!(interface[2], (9, vec![9]));
    // 254 bytes of text: a character is not cut in two.
    assert_eq!((interface[3].0, interface[3].1.len()), (11, 255));
    let statistics = block_options(&bytes, 5, 12);
    let number = |place: usize| u64::from_le_bytes(statistics[place].1.clone().try_into().unwrap());
    assert_eq!(statistics.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [2, 3, 4, 5, 7, 8]);
    assert_eq!((number(2), number(3), number(4), number(5)), (12, 2, 3, 6));
    assert_eq!(number(0), 7 << 32, "the capture began no later than its first packet");
    assert_eq!(read_all(&path).unwrap().len(), 1);
}

#[test]
fn classic_pcap_has_no_place_for_statistics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain.pcap");
    let origin = CaptureOrigin {
        interfaces: vec![OriginInterface { name: "eth0".to_owned(), speed_bps: None }],
        ..CaptureOrigin::default()
    };
    let mut savefile = Savefile::create(&SavefileOptions { origin, ..options(path.clone()) }).unwrap();
    savefile.note_statistics(0, &InterfaceStatistics::default());
    savefile.finish().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 24);
}
