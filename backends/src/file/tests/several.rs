//! Several files as one source: one after the other, merged, and those of a directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use tempfile::tempdir;

use super::{Endian, Maker};
use crate::file::{FileMerge, FileOptions, FileSeries, capture_directory};
use crate::{Backend, BackendError, Polled};

/// A capture with a packet at each of these seconds, whose bytes are `tag` and its place.
fn capture(path: &Path, tag: u8, seconds: &[u32], cut: usize) {
    let mut maker = Maker::new(Endian::Little);
    maker.pcap_header(0xa1b2_c3d4, 4, 1);
    for (place, &second) in (0..).zip(seconds) {
        maker.pcap_record(second, 0, 60, &[tag, place]);
    }
    let len = maker.bytes.len() - cut;
    fs::write(path, &maker.bytes[..len]).unwrap();
}

/// Second, tag and place of a packet.
type Seen = (u32, u8, u8);

/// What is seen of each packet, then how it ended, and what was said on the way.
fn drain(source: &mut dyn Backend) -> (Vec<Seen>, Result<(), BackendError>, Vec<String>) {
    let (mut seen, mut said) = (Vec::new(), Vec::new());
    loop {
        let polled = source.poll(Duration::ZERO, &mut |lent| {
            seen.extend(lent.iter().map(|packet| ((packet.time.0 / 1_000_000_000) as u32, packet.data[0], packet.data[1])));
        });
        said.extend(source.notice());
        match polled {
            Ok(Polled::End) => return (seen, Ok(()), said),
            Err(error) => return (seen, Err(error), said),
            Ok(_) => {}
        }
    }
}

fn files(directory: &Path, captures: &[&[u32]]) -> Vec<PathBuf> {
    let make = |(tag, seconds): (u8, &&[u32])| {
        let path = directory.join(format!("{tag}.pcap"));
        capture(&path, tag, seconds, 0);
        path
    };
    (0..).zip(captures).map(make).collect()
}

#[test]
fn one_after_the_other() {
    let directory = tempdir().unwrap();
    let paths = files(directory.path(), &[&[5, 6], &[], &[1, 2, 3]]);
    let mut series = FileSeries::open(paths, FileOptions::default()).unwrap();
    let (seen, ended, said) = drain(&mut series);
    assert_eq!(seen, [(5, 0, 0), (6, 0, 1), (1, 2, 0), (2, 2, 1), (3, 2, 2)]);
    assert!(ended.is_ok() && said.is_empty());
    assert_eq!(series.counters().unwrap().received, 5);
    let position = series.position();
    assert_eq!(position.bytes_read, position.bytes_total);
    assert_eq!(position.bytes_total, 3 * 24 + 5 * 18);
}

#[test]
fn a_damaged_file_does_not_hide_those_after_it() {
    let directory = tempdir().unwrap();
    let paths = files(directory.path(), &[&[1, 2], &[3, 4], &[5]]);
    capture(&paths[0], 0, &[1, 2], 1);
    for merges in [false, true] {
        let mut source: Box<dyn Backend> = if merges {
            Box::new(FileMerge::open(&paths, &FileOptions::default()).unwrap())
        } else {
            Box::new(FileSeries::open(paths.clone(), FileOptions::default()).unwrap())
        };
        let (seen, ended, said) = drain(source.as_mut());
        assert_eq!(seen, [(1, 0, 0), (3, 1, 0), (4, 1, 1), (5, 2, 0)]);
        let error = ended.unwrap_err().to_string();
        assert!(error.contains("0.pcap is damaged at byte"), "{error}");
        assert!(said.len() == 1 && said[0].contains("the other files are read all the same"), "{said:?}");
        assert!(matches!(source.poll(Duration::ZERO, &mut |_| {}), Ok(Polled::End)), "told once");
    }
    // One is gone when its turn comes, another is damaged.
    let mut series = FileSeries::open(paths.clone(), FileOptions::default()).unwrap();
    fs::remove_file(&paths[1]).unwrap();
    let (seen, ended, said) = drain(&mut series);
    assert_eq!((seen.len(), said.len()), (2, 2), "{seen:?} {said:?}");
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("0.pcap") && error.contains("1 more of the files"), "{error}");
}

#[test]
fn a_filter_and_the_snap_length_hold_for_each() {
    let directory = tempdir().unwrap();
    let paths = files(directory.path(), &[&[1], &[1]]);
    let options = FileOptions { filter: Some("greater 61".to_owned()), ..FileOptions::default() };
    for mut source in [
        Box::new(FileSeries::open(paths.clone(), options.clone()).unwrap()) as Box<dyn Backend>,
        Box::new(FileMerge::open(&paths, &options).unwrap()),
    ] {
        let (seen, ..) = drain(source.as_mut());
        let counters = source.counters().unwrap();
        assert_eq!((seen.len(), counters.received, counters.filtered), (0, 2, 2));
    }
}

#[test]
fn what_is_no_file_is_refused_before_anything_is_read() {
    let directory = tempdir().unwrap();
    let mut paths = files(directory.path(), &[&[1]]);
    paths.push(directory.path().join("missing.pcap"));
    assert!(matches!(FileSeries::open(paths.clone(), FileOptions::default()), Err(BackendError::Io { .. })));
    paths[1] = directory.path().to_owned();
    let refused = FileMerge::open(&paths, &FileOptions::default()).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("not a regular file"), "{refused}");
}

#[test]
fn a_directory_is_its_captures_by_their_first_packets() {
    let directory = tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    capture(&at("ring.000001.pcap"), 0, &[30], 0);
    capture(&at("ring.999999.pcap"), 0, &[20], 0);
    capture(&at("empty.pcap"), 0, &[], 0);
    capture(&at(".hidden.pcap"), 0, &[1], 0);
    fs::write(at("notes.txt"), "no capture").unwrap();
    fs::create_dir(at("inside")).unwrap();
    let found = capture_directory(directory.path()).unwrap();
    assert_eq!(found.files, [at("ring.999999.pcap"), at("ring.000001.pcap"), at("empty.pcap")]);
    assert_eq!(found.others, [at("notes.txt")]);
    let none = capture_directory(&at("inside")).unwrap_err().to_string();
    assert!(none.contains("no capture file in it"), "{none}");
}

proptest! {
    /// Merging is a stable sort by time of what each file has, where each is in order by itself.
    #[test]
    fn merging_sorts_by_time(captures in prop::collection::vec(prop::collection::vec(0u32..50, 0..200), 1..6)) {
        let directory = tempdir().unwrap();
        let captures: Vec<Vec<u32>> = captures.into_iter().map(|mut seconds| { seconds.sort_unstable(); seconds }).collect();
        let paths = files(directory.path(), &captures.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let mut merge = FileMerge::open(&paths, &FileOptions::default()).unwrap();
        let (seen, ended, _) = drain(&mut merge);
        let mut expected: Vec<(u32, u8, u8)> = (0..)
            .zip(&captures)
            .flat_map(|(tag, seconds)| (0..).zip(seconds).map(move |(place, &second)| (second, tag, place)))
            .collect();
        expected.sort_by_key(|&(second, tag, _)| (second, tag));
        prop_assert!(ended.is_ok());
        prop_assert_eq!(seen, expected);
    }
}
