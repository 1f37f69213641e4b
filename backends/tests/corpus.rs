//! Reads every capture of a corpus and compares with what tshark saw in it.
//!
//! The corpus lies at `NETSCOPE_CORPUS`, else beside the repository. Without one the tests say so and pass,
//! except when `CI=true`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use netscope_backends::file::{CaptureFile, FileOptions};
use netscope_backends::{Backend, BackendError, Polled};
use serde_json::Value;

fn corpus() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let path = std::env::var_os("NETSCOPE_CORPUS").map_or_else(beside, PathBuf::from);
    if path.join("captures").is_dir() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no corpus at {} (NETSCOPE_CORPUS)", path.display());
    eprintln!("skipped: no corpus at {}", path.display());
    None
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    packets: u64,
    bytes_wire: u64,
    bytes_captured: u64,
    first_ns: Option<u64>,
    last_ns: Option<u64>,
}

/// All a file gives, and the errors on the way.
fn read(path: &Path) -> (Sums, Vec<BackendError>) {
    let mut sums = Sums::default();
    let mut backend = match CaptureFile::open(path, &FileOptions::default()).and_then(|file| file.backend()) {
        Ok(backend) => backend,
        Err(error) => return (sums, vec![error]),
    };
    let mut errors = Vec::new();
    loop {
        let polled = backend.poll(Duration::from_secs(5), &mut |batch| {
            for packet in batch {
                sums.packets += 1;
                sums.bytes_wire += u64::from(packet.wire_len);
                sums.bytes_captured += packet.data.len() as u64;
                sums.first_ns = Some(sums.first_ns.map_or(packet.time.0, |first| first.min(packet.time.0)));
                sums.last_ns = Some(sums.last_ns.map_or(packet.time.0, |last| last.max(packet.time.0)));
            }
        });
        match polled {
            Ok(Polled::End) => break,
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
    }
    assert_eq!(backend.counters().unwrap().received, sums.packets);
    (sums, errors)
}

fn nanoseconds(value: &Value) -> Option<u64> {
    let (seconds, fraction) = value.as_str()?.split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * 1_000_000_000 + format!("{fraction:0<9}").parse::<u64>().ok()?)
}

fn expected(truth: &Value) -> Sums {
    let number = |key: &str| truth[key].as_u64().unwrap();
    Sums {
        packets: number("packets"),
        bytes_wire: number("bytes_wire"),
        bytes_captured: number("bytes_captured"),
        first_ns: nanoseconds(&truth["first_ts"]),
        last_ns: nanoseconds(&truth["last_ts"]),
    }
}

fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{}", folder.display());
    paths
}

fn truth(corpus: &Path, capture: &Path) -> Value {
    let name = format!("{}.json", capture.file_name().unwrap().to_str().unwrap());
    let text = ["truth", "truth/malformed", "truth/derived"]
        .iter()
        .find_map(|folder| std::fs::read(corpus.join(folder).join(&name)).ok())
        .unwrap_or_else(|| panic!("no truth for {name}"));
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn agrees_with_tshark() {
    let Some(corpus) = corpus() else { return };
    for folder in ["captures", "captures/derived", "captures/malformed"] {
        for capture in captures(&corpus.join(folder)) {
            let truth = truth(&corpus, &capture);
            let (sums, errors) = read(&capture);
            let name = capture.display();
            let expected = expected(&truth);
            // The corpus found first and last among seconds in double precision, which are 238 ns apart.
            let is_close = |ours: Option<u64>, truth: Option<u64>| match (ours, truth) {
                (Some(ours), Some(truth)) => ours.abs_diff(truth) <= 239,
                // tshark writes no number for a fraction of more than a second.
                (ours, None) => ours.is_some() == (expected.packets > 0),
                (None, Some(_)) => false,
            };
            assert!(
                is_close(sums.first_ns, expected.first_ns) && is_close(sums.last_ns, expected.last_ns),
                "{name}: {sums:?}, {expected:?}"
            );
            let counts = |sums: &Sums| (sums.packets, sums.bytes_wire, sums.bytes_captured);
            assert_eq!(counts(&sums), counts(&expected), "{name}");
            let is_damaged = truth["expect"].as_str() == Some("broken-container");
            assert_eq!(errors.len(), usize::from(is_damaged), "{name}: {errors:?}");
        }
    }
}

/// Compressed by the tools a user would use, read through the streaming reader: the same.
#[test]
fn compressed_captures_agree_too() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    for capture in captures(&corpus.join("captures")).into_iter().step_by(7) {
        let (plain, _) = read(&capture);
        let bytes = std::fs::read(&capture).unwrap();
        let gzip_path = folder.path().join("capture.gz");
        let mut members = Vec::new();
        for half in bytes.chunks(bytes.len().div_ceil(2)) {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, half).unwrap();
            members.extend(encoder.finish().unwrap());
        }
        std::fs::write(&gzip_path, &members).unwrap();
        let zstd_path = folder.path().join("capture.zst");
        let frames: Vec<u8> = bytes.chunks(bytes.len().div_ceil(2)).flat_map(|half| zstd::encode_all(half, 1).unwrap()).collect();
        std::fs::write(&zstd_path, &frames).unwrap();
        for path in [&gzip_path, &zstd_path] {
            let (sums, errors) = read(path);
            assert_eq!(sums, plain, "{} from {}", path.display(), capture.display());
            assert!(errors.is_empty(), "{errors:?}");
        }
        std::fs::write(&gzip_path, &members[..members.len() - 9]).unwrap();
        std::fs::write(&zstd_path, &frames[..frames.len() - 1]).unwrap();
        for path in [&gzip_path, &zstd_path] {
            let (sums, errors) = read(path);
            assert_eq!(errors.len(), 1, "{} from {}", path.display(), capture.display());
            assert!(sums.packets <= plain.packets);
        }
    }
}
