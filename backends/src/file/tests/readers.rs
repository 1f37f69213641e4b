//! Files, pipes and mappings.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Endian, Maker, numbered};
use crate::file::{CaptureFile, FileBackend, FileOptions, STREAM_BUFFER_LEN};
use crate::memory::{OwnedPacket, read_all};
use crate::{BATCH_MAX, Backend, BackendError, LinkType, Packet, Polled, Timestamp};

const NO_WAIT: Duration = Duration::from_millis(1);

fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn open(path: &Path) -> Result<FileBackend, BackendError> {
    CaptureFile::open(path, &FileOptions::default())?.backend()
}

/// Polls until the end or an error; the numbers of the packets, and the error.
fn drain(backend: &mut FileBackend) -> (Vec<u32>, Option<BackendError>) {
    let mut numbers = Vec::new();
    loop {
        let polled = backend.poll(Duration::from_secs(5), &mut |batch| {
            assert!((1..=BATCH_MAX).contains(&batch.len()));
            numbers.extend(batch.iter().map(number));
        });
        match polled {
            Ok(Polled::End) => return (numbers, None),
            Ok(Polled::Lent(_) | Polled::Idle(_)) => {}
            Err(error) => return (numbers, Some(error)),
        }
    }
}

fn number(packet: &Packet<'_>) -> u32 {
    u32::from_be_bytes(packet.data[..4].try_into().unwrap())
}

fn is_damage(error: &Option<BackendError>, packets_before: u64) -> bool {
    matches!(error, Some(BackendError::Damaged { packets, .. }) if *packets == packets_before)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn make_fifo(path: &Path) {
    let name = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
    // JUSTIFICATION: the standard library makes no FIFOs.
    // SAFETY: the string is alive and ends with NUL.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
}

#[test]
fn several_readers_walk_one_mapping() {
    let (_folder, path) = file("x.pcap", &numbered(5_000));
    let capture = CaptureFile::open(&path, &FileOptions::default()).unwrap();
    assert!(capture.is_mapped());
    let (mut one, mut two) = (capture.backend().unwrap(), capture.backend().unwrap());
    drop(capture);
    assert_eq!(one.poll(NO_WAIT, &mut |_| ()).unwrap(), Polled::Lent(1_023));
    let whole = one.position().bytes_total;
    assert_eq!((whole, one.position().bytes_read), (24 + 5_000 * 76, 24 + 1_023 * 76));
    assert_eq!(drain(&mut two).0, (0..5_000).collect::<Vec<_>>());
    assert_eq!(drain(&mut one).0, (1_023..5_000).collect::<Vec<_>>());
    assert_eq!(one.position().bytes_read, whole);
    assert_eq!(one.poll(NO_WAIT, &mut |_| ()).unwrap(), Polled::End);
    assert_eq!(one.counters().unwrap().received, 5_000);
}

#[test]
fn what_is_no_capture_is_an_error_at_open() {
    let mut old = Maker::new(Endian::Little);
    old.pcap_header(0xa1b2_c3d4, 4, 1);
    old.bytes[4] = 3;
    for bytes in
        [b"".as_slice(), b"x", b"\xd4\xc3\xb2\xa1half", b"PK\x03\x04 a zip file", &old.bytes, &gzip(b"text"), &gzip(b"")[..8]]
    {
        let (_folder, path) = file("x", bytes);
        let is_told = match open(&path) {
            Err(BackendError::Empty { .. }) => bytes.is_empty(),
            Err(BackendError::Format { .. }) => !bytes.is_empty(),
            _ => false,
        };
        assert!(is_told, "{bytes:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(open(folder.path()), Err(BackendError::Io { action: "open", .. })));
    assert!(matches!(open(&folder.path().join("none")), Err(BackendError::Io { action: "open", .. })));
}

#[test]
fn every_cut_lends_what_is_whole_and_tells_once() {
    let bytes = numbered(3);
    for len in 24..=bytes.len() {
        let whole = (len - 24) / 76;
        for compressed in [false, true] {
            let (_folder, path) = file("x", &if compressed { gzip(&bytes[..len]) } else { bytes[..len].to_vec() });
            let mut backend = open(&path).unwrap();
            let (numbers, error) = drain(&mut backend);
            assert_eq!(numbers, (0..whole as u32).collect::<Vec<_>>());
            assert_eq!(error.is_some(), len != 24 + whole * 76, "{len}");
            assert!(error.is_none() || is_damage(&error, whole as u64), "{error:?}");
            assert_eq!(backend.poll(NO_WAIT, &mut |_| panic!("after the end")).unwrap(), Polled::End);
        }
    }
}

#[test]
fn a_filter_counts_what_it_leaves_out() {
    let (_folder, path) = file("x.pcap", &numbered(3_000));
    let options = FileOptions { filter: Some("ether[3] < 10".to_owned()), ..FileOptions::default() };
    let mut backend = CaptureFile::open(&path, &options).unwrap().backend().unwrap();
    let (numbers, error) = drain(&mut backend);
    assert!(error.is_none() && numbers.iter().all(|number| number % 256 < 10));
    let counters = backend.counters().unwrap();
    assert_eq!((counters.received, counters.filtered), (3_000, 3_000 - numbers.len() as u64));
    let options = FileOptions { filter: Some("no such thing".to_owned()), ..FileOptions::default() };
    assert!(matches!(CaptureFile::open(&path, &options), Err(BackendError::Filter { .. })));
}

#[test]
fn a_file_that_becomes_shorter_between_polls_ends_as_damage() {
    let (_folder, path) = file("x.pcap", &numbered(50_000));
    let mut backend = open(&path).unwrap();
    backend.poll(NO_WAIT, &mut |_| ()).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(24 + 76 * 20_000 + 5).unwrap();
    let (numbers, error) = drain(&mut backend);
    assert_eq!(numbers.last(), Some(&19_999));
    assert!(is_damage(&error, 20_000), "{error:?}");
    assert!(error.unwrap().to_string().contains("shorter"));
    assert_eq!(backend.poll(NO_WAIT, &mut |_| ()).unwrap(), Polled::End);
}

#[test]
fn a_file_that_becomes_shorter_under_the_visitor_ends_as_damage() {
    let (_folder, path) = file("x.pcap", &numbered(50_000));
    for len in [0, 100, 40_000] {
        fs::write(&path, numbered(50_000)).unwrap();
        let mut backend = open(&path).unwrap();
        let (mut lent, mut sum) = (0, 0_u64);
        let polled = backend.poll(NO_WAIT, &mut |batch| {
            if lent == 0 {
                File::options().write(true).open(&path).unwrap().set_len(len).unwrap();
            }
            lent += batch.len();
            sum += batch.iter().flat_map(|packet| packet.data).map(|byte| u64::from(*byte)).sum::<u64>();
        });
        assert!(matches!(polled, Ok(Polled::Lent(count)) if count as usize == lent && lent <= 1_024), "{polled:?}");
        let (_, error) = drain(&mut backend);
        assert!(matches!(error, Some(BackendError::Damaged { .. })), "{len}: {error:?}");
    }
}

#[test]
fn a_file_that_grows_is_read_as_it_was_at_open() {
    let (_folder, path) = file("x.pcap", &numbered(10));
    let mut backend = open(&path).unwrap();
    File::options().append(true).open(&path).unwrap().write_all(&numbered(5)[24..]).unwrap();
    assert_eq!(drain(&mut backend).0.len(), 10);
}

#[test]
fn a_stream_has_one_reader_and_knows_how_far_it_is() {
    let packed = gzip(&numbered(10_000));
    let (_folder, path) = file("x.pcap.gz", &packed);
    let capture = CaptureFile::open(&path, &FileOptions::default()).unwrap();
    assert!(!capture.is_mapped());
    let mut backend = capture.backend().unwrap();
    assert!(capture.backend().err().unwrap().to_string().contains("second time"));
    assert_eq!(drain(&mut backend).0, (0..10_000).collect::<Vec<_>>());
    assert_eq!(backend.position().bytes_read, packed.len() as u64);
    assert_eq!(backend.position().bytes_total, packed.len() as u64);
}

#[test]
fn damaged_compression_is_damage() {
    let mut packed = gzip(&numbered(50_000));
    let at = packed.len() / 2;
    packed[at..].fill(0xff);
    let (_folder, path) = file("x.pcap.gz", &packed);
    let (numbers, error) = drain(&mut open(&path).unwrap());
    assert!(is_damage(&error, numbers.len() as u64), "{error:?}");
    assert!(numbers.len() > 10_000, "{}", numbers.len());
    assert_eq!(numbers, (0..numbers.len() as u32).collect::<Vec<_>>());
}

#[test]
fn a_stream_skips_blocks_longer_than_its_buffer() {
    let mut maker = Maker::new(Endian::Little);
    maker.section().interface(1, 0, |_| ()).enhanced(0, 1, 4, &[0; 4]);
    maker.block(0x77, |maker| _ = maker.raw(&vec![1; 2 * STREAM_BUFFER_LEN + 8]));
    maker.enhanced(0, 2, 4, &[0, 0, 0, 1]);
    let (_folder, path) = file("x.pcapng.gz", &gzip(&maker.bytes));
    let (numbers, error) = drain(&mut open(&path).unwrap());
    assert_eq!(numbers, [0, 1]);
    assert!(error.is_none(), "{error:?}");
}

#[test]
fn the_link_type_is_that_of_the_first_packet() {
    let mut maker = Maker::new(Endian::Little);
    maker.section().interface(1, 0, |_| ()).interface(101, 0, |_| ());
    let (_folder, path) = file("x.pcapng", &maker.bytes);
    assert_eq!(open(&path).unwrap().link_type(), LinkType::ETHERNET);
    maker.enhanced(1, 1, 4, &[0; 4]);
    for bytes in [maker.bytes.clone(), gzip(&maker.bytes)] {
        let (_folder, path) = file("x.pcapng", &bytes);
        assert_eq!(open(&path).unwrap().link_type(), LinkType::RAW);
    }
}

#[test]
fn a_pipe_is_idle_until_bytes_come() {
    for compressed in [false, true] {
        let plain = numbered(2_000);
        let bytes = if compressed { gzip(&plain) } else { plain };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        make_fifo(&path);
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let writer = {
            let path = path.clone();
            std::thread::spawn(move || {
                let mut fifo = File::options().write(true).open(path).unwrap();
                let half = bytes.len() / 2;
                fifo.write_all(&bytes[..half]).unwrap();
                wait.recv().unwrap();
                fifo.write_all(&bytes[half..]).unwrap();
            })
        };
        let mut backend = open(&path).unwrap();
        let mut numbers = Vec::new();
        let idle = loop {
            match backend.poll(Duration::from_millis(200), &mut |batch| numbers.extend(batch.iter().map(number))).unwrap() {
                Polled::Lent(_) => {}
                Polled::Idle(time) if !numbers.is_empty() => break time,
                Polled::Idle(time) => assert_eq!(time, Timestamp(0)),
                Polled::End => panic!("ended"),
            }
        };
        let last = u64::from(*numbers.last().unwrap());
        assert_eq!(idle, Timestamp(1_000 * Timestamp::NS_PER_SEC + last * 1_000));
        go.send(()).unwrap();
        let (rest, error) = drain(&mut backend);
        numbers.extend(rest);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(numbers, (0..2_000).collect::<Vec<_>>());
        assert_eq!(backend.position().bytes_total, 0);
        writer.join().unwrap();
    }
}

#[test]
fn waiting_for_a_pipe_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    make_fifo(&path);
    let stop = Arc::new(AtomicBool::new(false));
    let options = FileOptions { stop: Some(Arc::clone(&stop)), ..FileOptions::default() };
    let opener = std::thread::spawn(move || CaptureFile::open(&path, &options).err());
    stop.store(true, Ordering::Relaxed);
    assert!(matches!(opener.join().unwrap(), Some(BackendError::Io { action: "read", .. })));
}

#[test]
fn read_all_reads_all() {
    let (_folder, path) = file("x.pcap", &numbered(100));
    let packets = read_all(&path).unwrap();
    assert_eq!(packets.len(), 100);
    let expected = OwnedPacket {
        time: Timestamp(1_000_000_007_000),
        wire_len: 60,
        link_type: LinkType::ETHERNET,
        data: packets[7].data.clone(),
    };
    assert_eq!(packets[7], expected);
}
