//! Captures: recordings of alerts, and packets that are asked for.

use super::played::{NOW, Played, alert, facts, report};
use crate::aggregate::Output;
use crate::dashboard::{Method, PageHooks};
use crate::detect::{Alert, AlertPhase};
use crate::engine::{FLIGHT_BOX_BYTES, FlightBox, FlightSender, mailbox};
use crate::flight::{FlightCounts, FlightRecorder, FlightRequests, FlightSettings, RecordingStore};
use netscope_backends::savefile::CaptureOrigin;
use netscope_backends::{LinkType, Packet, Timestamp};
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::thread;

fn settings(directory: &Path) -> FlightSettings {
    FlightSettings {
        directory: directory.to_owned(),
        ring_ns: u64::MAX,
        boxes: 8,
        snaplen: 1000,
        before_ns: 0,
        after_ns: 30_000_000_000,
        recording_bytes_max: u64::MAX,
        files_max: 10,
        bytes_max: u64::MAX,
        age_max: None,
        filter: None,
        origin: CaptureOrigin::default(),
    }
}

#[test]
fn a_recording_is_told_to_be_under_way_there_or_gone() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = RecordingStore::open(&settings(directory.path())).expect("a directory of ours");
    let requests = FlightRequests::new(Arc::default(), None, false);
    let played = Played::new(facts(false), PageHooks { flight: Some((requests, store.clone())), ..PageHooks::default() });
    let mut output = played.board.output();
    let path = store.path(&RecordingStore::name(NOW, "port_scan"));
    let with = Alert { recording: Some(path.display().to_string()), ..alert(AlertPhase::Begin) };
    output.alert(&with).expect("never fails");
    output.shared_report(&Arc::new(report(NOW))).expect("never fails");
    let id = played.get("/api/v1/alerts", &[]).1["alerts"][0]["id"].as_str().expect("an id").to_owned();
    let (status, error) = played.get("/api/v1/capture", &[("alert", &id)]);
    assert_eq!((status, &error["error"]["code"]), (409, &"busy".into()));
    std::fs::write(&path, b"pcapng").expect("room");
    let response = played.ask(Method::Get, "/api/v1/capture", &[("alert", &id)], "", "");
    assert_eq!((response.status, response.content_type), (200, "application/x-pcapng"));
    assert_eq!(played.body(response), b"pcapng");
    std::fs::remove_file(&path).expect("it is there");
    output.shared_report(&Arc::new(report(NOW.plus(60_000_000_000)))).expect("never fails");
    assert_eq!(played.get("/api/v1/capture", &[("alert", &id)]).0, 410);
    assert_eq!(played.get("/api/v1/capture", &[("alert", "x")]).0, 404);
    assert_eq!(played.get("/api/v1/capture", &[("alert", &id), ("bpf", "tcp")]).0, 400);
}

/// A recorder with some packets in memory that runs until `finish`, and a page in front of it.
fn with_recorder(directory: &Path, test: impl FnOnce(&Played, &dyn Fn() -> FlightCounts)) {
    let settings = settings(directory);
    let store = RecordingStore::open(&settings).expect("a directory of ours");
    let requests = FlightRequests::new(Arc::default(), None, false);
    let (sender, receiver) = mailbox(8, FlightBox::new);
    let mut flight = FlightSender::new(sender, 1000, 0);
    let packet = Packet { data: &[0; 1000], time: Timestamp(1), wire_len: 1000, link_type: LinkType::ETHERNET };
    flight.record(&[packet], true);
    flight.finish();
    drop(flight);
    let recorder =
        FlightRecorder { settings, store: store.clone(), requests: requests.clone(), receivers: vec![receiver], waits: false };
    let hooks = PageHooks { flight: Some((requests.clone(), store)), ..PageHooks::default() };
    let played = Played::new(facts(false), hooks);
    let recorder = Cell::new(Some(recorder));
    // All packets have come: it records what is asked for and ends.
    test(&played, &|| {
        requests.finish();
        recorder.take().expect("once").run(&|why| panic!("{why}"))
    });
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("ours");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_request_that_is_gone_is_recorded_nowhere_and_frees_its_place() {
    let directory = tempfile::tempdir().expect("a directory");
    with_recorder(directory.path(), |played, run| {
        for _ in 0..2 {
            drop(played.begin("/api/v1/capture", &[]));
        }
        let busy = played.get("/api/v1/capture", &[]);
        assert_eq!((busy.0, &busy.1["error"]["code"]), (503, &"busy".into()), "until the recorder knows, both keep their places");
        assert_eq!((run().recordings, files(directory.path())), (0, Vec::new()));
        let refused = played.board.downloads.refused();
        assert_eq!(played.get("/api/v1/capture", &[]).0, 503, "the recorder is gone");
        assert_eq!((refused, played.board.downloads.refused()), (1, 1), "and there are places");
    });
}

#[test]
fn a_file_goes_when_its_client_left_before_it_was_opened() {
    let directory = tempfile::tempdir().expect("a directory");
    with_recorder(directory.path(), |played, run| {
        let waiting = played.begin("/api/v1/capture", &[]);
        assert_eq!((run().recordings, files(directory.path()).len()), (1, 1), "it is made and told");
        drop(waiting);
        assert_eq!(files(directory.path()), [""; 0]);
        assert_eq!(played.board.downloads.files_left(), 0);
    });
}

#[test]
fn packets_in_memory_are_streamed_and_leave_no_file() {
    const LEN: usize = 1000;
    let directory = tempfile::tempdir().expect("a directory");
    let settings = settings(directory.path());
    let store = RecordingStore::open(&settings).expect("a directory of ours");
    let requests = FlightRequests::new(Arc::default(), None, false);
    let (sender, receiver) = mailbox(8, FlightBox::new);
    let mut flight = FlightSender::new(sender, LEN, 0);
    let (recorder_requests, recorder_store) = (requests.clone(), store.clone());
    let recorder =
        FlightRecorder { settings, store: recorder_store, requests: recorder_requests, receivers: vec![receiver], waits: false };
    let count = 2 * FLIGHT_BOX_BYTES / LEN;
    let data = [0; LEN];
    let packet = |number: usize| Packet {
        data: &data,
        time: Timestamp(number as u64 * 1_000_000_000),
        wire_len: LEN as u32,
        link_type: LinkType::ETHERNET,
    };
    flight.record(&(0..count).map(packet).collect::<Vec<_>>(), true);
    let hooks = PageHooks { flight: Some((requests.clone(), store)), ..PageHooks::default() };
    let played = Played::new(facts(false), hooks);
    thread::scope(|scope| {
        let recording = scope.spawn(|| recorder.run(&|_| {}));
        let ask = |query: &[(&str, &str)]| {
            let response = played.ask(Method::Get, "/api/v1/capture", query, "", "");
            (response.status, played.body(response))
        };
        // What was sent may not be taken yet.
        let all = loop {
            let (status, body) = ask(&[]);
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            if body.len() > LEN * 500 {
                break body;
            }
        };
        assert_eq!(all.get(..4), Some(&[0x0a, 0x0d, 0x0d, 0x0a][..]), "pcapng");
        let (status, some) = ask(&[("from", "10"), ("to", "19")]);
        assert_eq!(status, 200);
        assert!((10 * LEN..12 * LEN).contains(&some.len()), "ten packets: {}", some.len());
        assert_eq!(ask(&[("bpf", "port and")]).0, 400);
        let (status, why) = ask(&[("bpf", "tcp and not gateway snup")]);
        assert!(status == 400 && String::from_utf8_lossy(&why).contains("snup"), "no name is looked up");
        assert!(ask(&[("bpf", "tcp")]).1.len() < LEN);
        assert_eq!(std::fs::read_dir(directory.path()).expect("ours").count(), 0, "no file is left");
        flight.finish();
        drop(flight);
        requests.finish();
        assert_eq!(recording.join().expect("no panic").lost_disk, 0);
        assert_eq!(ask(&[]).0, 503, "the recorder is gone");
    });
}
