//! Times that the packets around them contradict, and steps of time that are real.

use super::{Endian, Maker};
use crate::file::{CaptureFile, FileOptions};
use crate::{Backend, Polled};
use proptest::prelude::*;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

const YEAR_S: u32 = 365 * 86_400;
const NS_PER_S: u64 = 1_000_000_000;
/// The end of 32 bits of seconds.
const YEAR_2106: u32 = u32::MAX;

fn pcap(seconds: &[u32]) -> Vec<u8> {
    let mut maker = Maker::new(Endian::Little);
    maker.pcap_header(0xa1b2_c3d4, 4, 1);
    seconds.iter().for_each(|&seconds| _ = maker.pcap_record(seconds, 0, 60, &[7; 60]));
    maker.bytes
}

fn pcapng(seconds: &[u32]) -> Vec<u8> {
    let mut maker = Maker::new(Endian::Little);
    maker.section().interface(1, 0, |_| ());
    for &seconds in seconds {
        maker.enhanced(0, u64::from(seconds) * 1_000_000, 60, &[7; 60]);
        // Neither a packet nor a time.
        maker.block(0x0bad, |maker| _ = maker.u32(1));
    }
    maker.bytes
}

/// Times in seconds, and how many were contradicted.
fn read(path: &Path) -> (Vec<u32>, u64) {
    let mut backend = CaptureFile::open(path, &FileOptions::default()).unwrap().backend().unwrap();
    let mut times = Vec::new();
    while backend.poll(Duration::from_secs(5), &mut |batch| times.extend(batch.iter().map(|packet| packet.time))).unwrap()
        != Polled::End
    {}
    (times.iter().map(|time| (time.0 / NS_PER_S) as u32).collect(), backend.counters().unwrap().times_contradicted)
}

/// The same of a capture in each form, which must agree.
fn times(seconds: &[u32]) -> (Vec<u32>, u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zipped.write_all(&pcap(seconds)).unwrap();
    let forms = [pcap(seconds), pcapng(seconds), zipped.finish().unwrap()].map(|bytes| {
        fs::write(&path, bytes).unwrap();
        read(&path)
    });
    assert_eq!(forms[0], forms[1]);
    assert_eq!(forms[0], forms[2]);
    let [first, ..] = forms;
    first
}

/// Packets a second apart from `start` on.
fn steady(start: u32, count: u32) -> Vec<u32> {
    (start..start + count).collect()
}

#[test]
fn a_time_that_all_others_contradict_is_not_followed() {
    for (place, count) in [(0, 3), (1, 3), (50, 200), (63, 200), (64, 200), (198, 200)] {
        let right = steady(YEAR_S, count);
        let mut wrong = right.clone();
        wrong[place] = YEAR_2106;
        let mut expected = right.clone();
        expected[place] = if place == 0 { right[1] } else { right[place - 1] };
        assert_eq!(times(&wrong), (expected, 1), "packet {place} of {count}");
    }
}

#[test]
fn many_wrong_times_are_each_counted() {
    let mut wrong = steady(YEAR_S, 1_000);
    wrong.iter_mut().step_by(5).for_each(|seconds| *seconds = YEAR_2106);
    let (found, contradicted) = times(&wrong);
    assert_eq!(contradicted, 200);
    assert!(found.iter().max() == wrong.iter().filter(|&&seconds| seconds != YEAR_2106).max());
}

#[test]
fn a_capture_that_goes_on_a_year_later_has_its_times() {
    for count in [1, 2, 3, 8, 100] {
        let all = [steady(YEAR_S, 100), steady(2 * YEAR_S, count)].concat();
        assert_eq!(times(&all), (all, 0), "{count} packets a year later");
    }
    let rare: Vec<u32> = (1..40).map(|year| year * YEAR_S).collect();
    assert_eq!(times(&rare), (rare, 0), "a packet a year");
    // Nothing behind the last packet contradicts it.
    assert_eq!(times(&[1_000, YEAR_2106]), (vec![1_000, YEAR_2106], 0));
    assert_eq!(times(&[]), (vec![], 0));
    let files = [steady(YEAR_S, 50), steady(7, 50), steady(YEAR_S, 50)].concat();
    assert_eq!(times(&files), (files, 0), "captures one behind the other");
}

#[test]
fn a_pipe_that_says_no_more_is_taken_at_its_word() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&pcap(&[1_000, 1_001, YEAR_2106])).unwrap();
    let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
    let mut backend = CaptureFile::open(Path::new(&path), &FileOptions::default()).unwrap().backend().unwrap();
    let mut times = Vec::new();
    while times.len() < 3 {
        let polled = backend.poll(Duration::from_millis(20), &mut |batch| times.extend(batch.iter().map(|packet| packet.time)));
        assert!(matches!(polled, Ok(Polled::Lent(_) | Polled::Idle(_))), "{polled:?}");
    }
    assert_eq!(times[2].0, u64::from(YEAR_2106) * NS_PER_S);
    // What comes in time decides.
    writer.write_all(&pcap(&[1_000, YEAR_2106, 1_002, 1_003])[24..]).unwrap();
    drop(writer);
    while backend.poll(Duration::from_secs(5), &mut |batch| times.extend(batch.iter().map(|packet| packet.time))).unwrap()
        != Polled::End
    {}
    let seconds: Vec<u64> = times.iter().skip(3).map(|time| time.0 / NS_PER_S).collect();
    assert_eq!((seconds, backend.counters().unwrap().times_contradicted), (vec![1_000, 1_000, 1_002, 1_003], 1));
}

proptest! {
    /// Any order of times: both formats and both ways of reading agree, no packet is lost, and none is moved ahead.
    #[test]
    fn all_forms_agree(seconds in prop::collection::vec(prop_oneof![4 => 1_000u32..2_000, 1 => any::<u32>()], 0..120)) {
        let (found, contradicted) = times(&seconds);
        prop_assert_eq!(found.len(), seconds.len());
        let moved = found.iter().zip(&seconds).filter(|(found, seconds)| found != seconds).count() as u64;
        prop_assert!(moved <= contradicted);
        prop_assert!(found.iter().zip(&seconds).skip(1).all(|(found, seconds)| found <= seconds));
    }
}
