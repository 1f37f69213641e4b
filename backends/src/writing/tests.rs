//! Names of segments, what is cut back, and what a file holds at each moment.

use super::*;
use crate::Timestamp;
use std::io::Read;

fn at(seconds: u64) -> Timestamp {
    Timestamp(seconds * Timestamp::NS_PER_SEC)
}

#[test]
fn names_have_the_time_in_them_and_are_recognised() {
    // 2024-02-29 is day 60 of a leap year.
    let time = at(1_709_210_096);
    for (pattern, name) in [
        ("cap-%Y%m%d-%H%M%S", "cap-20240229-123456"),
        ("%F_%T", "2024-02-29_12:34:56"),
        ("%y%j %s 100%%", "24060 1709210096 100%"),
        ("none", "none"),
    ] {
        let parsed = NamePattern::parse(pattern).unwrap();
        assert_eq!(parsed.name_at(time), name);
        assert!(parsed.matches(name) && !parsed.matches("cap-20240229-12345x") && !parsed.matches(&format!("{name}x")));
    }
    assert_eq!(NamePattern::parse("%F %j").unwrap().name_at(at(0)), "1970-01-01 001");
    assert_eq!(NamePattern::parse("%F %j").unwrap().name_at(at(951_782_400)), "2000-02-29 060");
    assert_eq!(NamePattern::parse("%F %j").unwrap().name_at(at(4_107_542_400)), "2100-03-01 060");
    assert_eq!(NamePattern::parse("a%Q"), Err("%Q".to_owned()));
    assert_eq!(NamePattern::parse("a%"), Err("%".to_owned()));
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn names_with_the_same_time_are_told_apart_and_nothing_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("c-1970.pcap.gz"), "kept").unwrap();
    let path = folder.path().join("c-%Y.pcap.gz");
    let options = RotationOptions { path, rotate_bytes: Some(1), files_max: Some(2), ..RotationOptions::default() };
    let mut file = RotatedFile::create(&options).unwrap();
    assert_eq!(names(folder.path()), ["c-1970.pcap.gz"], "the name waits for a time");
    for second in 0..4 {
        if file.is_due(1, at(second)) {
            file.rotate(at(second)).unwrap();
        }
        file.note_time(at(second)).unwrap();
        file.append(b"x").unwrap();
    }
    file.finish().unwrap();
    assert_eq!(names(folder.path()), ["c-1970.000003.pcap.gz", "c-1970.000004.pcap.gz", "c-1970.pcap.gz"]);
    assert_eq!(fs::read(folder.path().join("c-1970.pcap.gz")).unwrap(), b"kept");
    assert_eq!(file.counts(), &RotationCounts { files_created: 4, files_deleted: 2, delete_error: None });
    assert_eq!(file.take_closed().len(), 4);
    let covers = |name: &str| SegmentNames::of(&options.path).unwrap().covers(name.as_ref());
    assert!(covers("c-2031.pcap.gz") && covers("c-2031.000007.pcap.gz") && !covers("c-203.pcap.gz") && !covers("c-2031.pcap"));
}

#[test]
fn numbered_names_are_known_with_their_endings() {
    let segments = SegmentNames::of(Path::new("dir/cap.pcap.zst")).unwrap();
    assert_eq!(segments.folder(), Path::new("dir"));
    assert!(segments.covers("cap.000001.pcap.zst".as_ref()));
    for other in ["cap.pcap.zst", "cap.000001.pcap", "cap.pcap.000001.zst", "cap.000000.pcap.zst"] {
        assert!(!segments.covers(other.as_ref()), "{other}");
    }
    assert!(SegmentNames::of(Path::new("cap-%Q.pcap")).unwrap_err().to_string().contains("cap-%Q.pcap"));
}

#[test]
fn a_file_that_was_there_stays_until_the_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old");
    fs::write(&path, "what was there before").unwrap();
    let mut file = GrowingFile::open(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"what was there before");
    file.append(b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    file.append(b"er").unwrap();
    file.cut(1);
    assert_eq!(fs::read(&path).unwrap(), b"newe");
    assert!(file.append(b"more").is_err(), "after a cut nothing is written");
    drop(file);
    assert_eq!(fs::read(&path).unwrap(), b"newe");
    fs::write(&path, "again").unwrap();
    GrowingFile::open(&path).unwrap().finish().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"", "a run without records leaves an empty file");
}

#[test]
fn a_compressed_file_is_cut_to_its_last_sync_point() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["x.gz", "x.zst"] {
        let path = folder.path().join(name);
        let mut file = GrowingFile::open(&path).unwrap();
        file.append(&[b'a'; 1000]).unwrap();
        assert!(file.sync_point(true).unwrap());
        let synced = fs::metadata(&path).unwrap().len();
        let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        file.append(&bytes).unwrap();
        assert!(!file.sync_point(false).unwrap(), "one a second");
        assert!(fs::metadata(&path).unwrap().len() > synced);
        file.cut(0);
        drop(file);
        assert_eq!(fs::metadata(&path).unwrap().len(), synced);
        let mut read = Vec::new();
        let bytes = fs::read(&path).unwrap();
        // There is no end of the stream, which is an error behind the bytes.
        let _ = match name {
            "x.gz" => flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut read),
            _ => zstd::stream::read::Decoder::new(&bytes[..]).unwrap().read_to_end(&mut read),
        };
        assert_eq!(read, [b'a'; 1000], "{name}");
    }
}

#[test]
fn standard_output_has_several_names() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("/dev/stdout", &link).unwrap();
    assert!(["-", "/dev/stdout"].iter().all(|name| is_stdout(Path::new(name))) && is_stdout(&link));
    let circle = folder.path().join("circle");
    std::os::unix::fs::symlink("circle", &circle).unwrap();
    assert!(!is_stdout(&circle) && !is_stdout(Path::new("./-")) && !is_stdout(Path::new("stdout")));
}
