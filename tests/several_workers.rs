//! Workers that share a source leave what a single one does: the same records in the same order, the same ledger, wherever the
//! run ends. For a mapped file, whose packets they find together, and for a source that a thread reads for them.

mod common;

use common::engine::{run_source, settings, watcher};
use netscope::aggregate::{AggregateSettings, LiveTableRequest, OutputFailure, Questions};
use netscope::engine::{EngineSettings, Progress, Source, Stop};
use netscope::flow::{FlowRecord, FlowSettings};
use netscope::session::{Outcome, Session, Watcher, run};
use netscope_backends::file::{CaptureFile, FileOptions};
use netscope_backends::memory::{MemoryBackend, MemoryEvent, OwnedPacket};
use netscope_backends::{Backend, BackendError, Counters, LinkType, Packet, Polled, Timestamp};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a packet is.
#[derive(Clone, Copy, Debug)]
enum PacketKind {
    Tcp(u8),
    Udp,
    /// A first or a later fragment, with an identification.
    Fragment(bool, u8),
    Arp,
    Ipv6,
    Cut,
    /// An ICMP error: what this host sent or was to get by TCP or UDP did not arrive; as a first fragment, too.
    Error {
        of: u8,
        is_tcp: bool,
        is_fragment: bool,
    },
}

fn ipv4(protocol: u8, host: u8, fragment: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let len = (20 + payload.len()) as u16;
    frame.extend([0x45, 0, (len >> 8) as u8, len as u8]);
    frame.extend(fragment);
    frame.extend([64, protocol, 0, 0, 10, 0, 0, host, 10, 0, 1, 1]);
    frame.extend(payload);
    frame
}

fn frame(kind: PacketKind, host: u8) -> Vec<u8> {
    let udp = [0x10, host, 0, 53, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    match kind {
        PacketKind::Tcp(flags) => {
            let tcp = [0x20, host, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 1, 0, 0, 0, 0, 0];
            ipv4(6, host, [0, 0, 0, 0], &tcp)
        }
        PacketKind::Udp => ipv4(17, host, [0, 0, 0, 0], &udp),
        PacketKind::Fragment(true, id) => ipv4(17, host, [0, id, 0x20, 0], &udp),
        PacketKind::Fragment(false, id) => ipv4(17, host, [0, id, 0, 2], &udp),
        PacketKind::Arp => {
            let mut arp = vec![0xff; 12];
            arp.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
            arp.extend([0; 20]);
            arp
        }
        PacketKind::Ipv6 => {
            let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 16, 17, 64];
            frame.extend([0x20; 15]);
            frame.push(host);
            frame.extend([0x30; 16]);
            frame.extend(udp);
            frame
        }
        PacketKind::Error { of, is_tcp, is_fragment } => {
            let quoted = frame(if is_tcp { PacketKind::Tcp(0x10) } else { PacketKind::Udp }, of);
            let message = [&[3, of % 3, 0, 0, 0, 0, 0, 0], &quoted[14..42]].concat();
            ipv4(1, host, [0, of, if is_fragment { 0x20 } else { 0 }, 0], &message)
        }
        PacketKind::Cut => ipv4(6, host, [0, 0, 0, 0], &[1, 2])[..30].to_vec(),
    }
}

/// A pcap file with nanoseconds; times in ns.
fn write(path: &Path, packets: impl Iterator<Item = (u64, Vec<u8>)>) {
    let mut bytes = Vec::new();
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for (time, data) in packets {
        for word in [(time / 1_000_000_000) as u32, (time % 1_000_000_000) as u32, data.len() as u32, data.len() as u32] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(data);
    }
    std::fs::write(path, bytes).expect("capture");
}

fn file(path: &Path) -> CaptureFile {
    CaptureFile::open(path, &FileOptions::default()).expect("capture")
}

fn alone(path: &Path, settings: &EngineSettings) -> (Outcome, Vec<FlowRecord>) {
    run_source(Source::Queues(vec![Box::new(file(path).backend().expect("reader"))]), settings)
}

fn mapped(path: &Path) -> Source {
    Source::Mapped(Box::new(file(path).scanner().expect("walk").expect("a plain file")))
}

fn read(path: &Path) -> Source {
    Source::Reader(Box::new(file(path).backend().expect("reader")))
}

/// The ways in which several workers may share a file.
const WAYS: [fn(&Path) -> Source; 2] = [mapped, read];

fn together(source: Source, settings: &EngineSettings, workers: usize) -> (Outcome, Vec<FlowRecord>) {
    run_source(source, &EngineSettings { workers, ..settings.clone() })
}

/// Everything that must not depend on who read the file.
fn essence((outcome, records): (Outcome, Vec<FlowRecord>)) -> (String, Vec<String>) {
    let mut ledger = outcome.summary.ledger;
    ledger.beyond_count = 0;
    let errors: Vec<String> = outcome.errors.iter().map(ToString::to_string).collect();
    let summary = (ledger, outcome.summary.flows, outcome.summary.fragments, errors);
    (format!("{summary:?}"), records.iter().map(|record| format!("{record:?}")).collect())
}

fn timeouts() -> EngineSettings {
    let flow = FlowSettings { idle_timeout_ns: 400_000_000, closed_timeout_ns: 50_000_000, ..settings().flow };
    EngineSettings { flow, tick_ns: 100_000_000, ..settings() }
}

fn assert_closed(outcome: &Outcome, records: &[FlowRecord]) {
    let ledger = &outcome.summary.ledger;
    assert_eq!(ledger.unaccounted(), 0, "{outcome:?}");
    assert_eq!(outcome.summary.source.received, ledger.packets + ledger.beyond_count, "{outcome:?}");
    assert_eq!(records.iter().map(|record| record.packets[0] + record.packets[1]).sum::<u64>(), ledger.in_flows);
}

/// Many packets of few flows, one a microsecond.
fn plenty(name: &str, count: u64) -> (tempfile::TempDir, PathBuf) {
    let dir = common::temp_dir(name);
    let path = dir.path().join("plenty.pcap");
    let kinds = [PacketKind::Tcp(0x10), PacketKind::Udp, PacketKind::Arp, PacketKind::Ipv6, PacketKind::Fragment(false, 3)];
    write(&path, (0..count).map(|i| (i * 1000, frame(kinds[(i % 5) as usize], (i % 97) as u8))));
    (dir, path)
}

#[test]
fn a_count_in_the_middle_is_kept_exactly() {
    let (_dir, path) = plenty("count", 30_000);
    for count_max in [1, 1023, 1024, 1025, 10_000, 29_999, 30_000, 40_000] {
        let settings = EngineSettings { count_max, ..timeouts() };
        let expected = essence(alone(&path, &settings));
        for way in WAYS {
            let (outcome, records) = together(way(&path), &settings, 3);
            assert_closed(&outcome, &records);
            assert_eq!(outcome.summary.ledger.packets, count_max.min(30_000));
            assert_eq!(essence((outcome, records)), expected, "{count_max}");
        }
    }
}

#[test]
fn damage_in_the_middle_is_told_once_and_after_everything_before_it() {
    let (_dir, path) = plenty("damage", 30_000);
    let mut bytes = std::fs::read(&path).expect("capture");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 300].fill(0xff);
    std::fs::write(&path, bytes).expect("capture");
    let expected = alone(&path, &timeouts());
    assert_eq!(expected.0.errors.len(), 1, "{:?}", expected.0);
    let expected = essence(expected);
    for (way, workers) in WAYS.into_iter().flat_map(|way| [(way, 2), (way, 4)]) {
        let (outcome, records) = together(way(&path), &timeouts(), workers);
        assert_closed(&outcome, &records);
        assert_eq!(essence((outcome, records)), expected, "{workers} workers");
    }
}

fn session(source: Source, workers: usize) -> Session {
    let engine = EngineSettings { workers, ..timeouts() };
    let aggregate = AggregateSettings {
        tick_ns: engine.tick_ns,
        top_count: engine.flow.top_count,
        export_ended_max: usize::MAX,
        judge: None,
        microbursts: None,
        alerting: netscope::aggregate::AlertingSettings::default(),
        selection: None,
        address_names_max: engine.flow.inspection.names_max(),
        flow_key: engine.flow.key,
    };
    Session {
        source,
        engine,
        aggregate,
        outputs: Vec::new(),
        record: None,
        on_closed: None,
        view: None,
        sampled: None,
        live_table: LiveTableRequest::default(),
        questions: Questions::default(),
        flight: None,
    }
}

#[test]
fn a_stop_ends_all_at_one_packet() {
    let (_dir, path) = plenty("stop", 300_000);
    for (way, after_us) in WAYS.into_iter().flat_map(|way| [0, 300, 3_000, 10_000].map(|after_us| (way, after_us))) {
        let session = session(way(&path), 3);
        let stop = Stop::default();
        if after_us == 0 {
            stop.request();
        }
        let asking = stop.clone();
        let asker = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(after_us));
            asking.request();
        });
        let outcome = run(session, &stop, &watcher()).expect("the session starts");
        asker.join().expect("no panic");
        assert!(outcome.errors.is_empty(), "{outcome:?}");
        let ledger = &outcome.summary.ledger;
        assert_eq!((ledger.unaccounted(), ledger.packets), (0, outcome.summary.source.received), "{outcome:?}");
        assert!(after_us != 0 || ledger.packets == 0, "{outcome:?}");
    }
}

/// Packets from memory, with one thing that goes otherwise.
struct Odd {
    packets: MemoryBackend,
    /// Said at once.
    notice: Option<String>,
    /// Polls until it panics.
    polls_left: u32,
}

impl Backend for Odd {
    fn link_type(&self) -> LinkType {
        self.packets.link_type()
    }

    fn waits(&self) -> bool {
        self.packets.waits()
    }

    fn poll(&mut self, timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        assert!(self.polls_left > 0, "as the test wants it");
        self.polls_left -= 1;
        self.packets.poll(timeout, visit)
    }

    fn counters(&mut self) -> Result<Counters, BackendError> {
        self.packets.counters()
    }

    fn notice(&mut self) -> Option<String> {
        self.notice.take()
    }
}

/// Passes on what the source says, and panics with it where that is wanted.
struct Listener(Mutex<Vec<String>>, bool);

impl Watcher for Listener {
    fn notice(&self, text: &str) {
        assert!(!self.1, "as the test wants it");
        self.0.lock().expect("no panic while listening").push(text.to_owned());
    }
    fn failed(&self, failure: &OutputFailure) {
        panic!("{failure}");
    }
    fn progress(&self, _progress: &Progress) {}
}

fn memory(count: u64) -> MemoryBackend {
    let packet = |i: u64| OwnedPacket {
        time: Timestamp(i * 1000),
        wire_len: 60,
        link_type: LinkType::ETHERNET,
        data: frame(PacketKind::Udp, (i % 97) as u8),
    };
    MemoryBackend::new(LinkType::ETHERNET, (0..count).map(packet).collect())
}

#[test]
fn what_the_source_says_is_told_once() {
    let odd = Odd { packets: memory(10_000), notice: Some("the interface is down".to_owned()), polls_left: u32::MAX };
    let listener = Arc::new(Listener(Mutex::default(), false));
    let watcher: Arc<dyn Watcher> = Arc::<Listener>::clone(&listener);
    let outcome = run(session(Source::Reader(Box::new(odd)), 3), &Stop::default(), &watcher).expect("the session starts");
    assert_eq!((outcome.summary.ledger.packets, outcome.errors.len()), (10_000, 0), "{outcome:?}");
    assert_eq!(*listener.0.lock().expect("no panic"), ["the interface is down"]);
}

#[test]
fn a_reader_that_panics_ends_all() {
    let odd = Odd { packets: memory(100_000), notice: None, polls_left: 100 };
    let outcome = run(session(Source::Reader(Box::new(odd)), 3), &Stop::default(), &watcher()).expect("the session starts");
    let errors: Vec<String> = outcome.errors.iter().map(ToString::to_string).collect();
    assert!(errors.iter().any(|error| error.contains("netscope-read")), "{errors:?}");
    assert!(outcome.summary.ledger.packets <= 6400, "{outcome:?}");
}

#[test]
fn a_worker_that_panics_ends_all() {
    for waits in [true, false] {
        let odd = Odd {
            packets: memory(1_000_000).waits_like_file(waits),
            notice: Some("panic, please".to_owned()),
            polls_left: u32::MAX,
        };
        let watcher: Arc<dyn Watcher> = Arc::new(Listener(Mutex::default(), true));
        let outcome = run(session(Source::Reader(Box::new(odd)), 3), &Stop::default(), &watcher).expect("the session starts");
        let errors: Vec<String> = outcome.errors.iter().map(ToString::to_string).collect();
        assert!(errors.iter().any(|error| error.contains("netscope-w0")), "{errors:?}");
    }
}

fn kind() -> impl Strategy<Value = PacketKind> {
    prop_oneof![
        4 => prop_oneof![Just(0x02u8), Just(0x12), Just(0x10), Just(0x11), Just(0x04)].prop_map(PacketKind::Tcp),
        2 => Just(PacketKind::Udp),
        2 => (any::<bool>(), 0u8..4).prop_map(|(first, id)| PacketKind::Fragment(first, id)),
        1 => Just(PacketKind::Arp),
        1 => Just(PacketKind::Ipv6),
        1 => Just(PacketKind::Cut),
        2 => (0u8..6, any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(of, is_tcp, is_fragment)| PacketKind::Error { of, is_tcp, is_fragment }),
    ]
}

/// How time moves: little, into the past, or far ahead.
fn step() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 0i64..2_000_000, 1 => -50_000_000i64..0, 1 => 0i64..600_000_000]
}

/// The same within a unit: hardly at all, seldom back or ahead.
fn quiet_step() -> impl Strategy<Value = i64> {
    prop_oneof![300 => 0i64..1000, 1 => -1000i64..0, 1 => 0i64..600_000_000]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Steps that jump hold the slow way through foreign times.
    #[test]
    fn together_as_alone(
        packets in prop::collection::vec((kind(), 0u8..6, step()), 1..400),
        repeats in 1u64..20,
        count_max in prop_oneof![Just(0u64), 1u64..3000],
    ) {
        same_together_as_alone(&packets, repeats, &EngineSettings { count_max, ..timeouts() })?;
    }

    /// Where nothing ends in most units, the quick one.
    #[test]
    fn together_as_alone_in_quiet_times(
        packets in prop::collection::vec((kind(), 0u8..60, quiet_step()), 200..400),
        repeats in 1u64..30,
        count_max in prop_oneof![Just(0u64), 1u64..9000],
    ) {
        same_together_as_alone(&packets, repeats, &EngineSettings { count_max, ..settings() })?;
    }

    /// Silence moves the time as packets do, for all workers. What two silences in a row end may be told in two steps or in one, so
    /// the order is not compared.
    #[test]
    fn together_as_alone_with_silence(
        events in prop::collection::vec((prop_oneof![20 => kind().prop_map(Some), 1 => Just(None)], 0u8..6, step()), 1..1500),
        count_max in prop_oneof![Just(0u64), 1u64..1500],
    ) {
        let mut time = 1_000_000_000_000i64;
        let events: Vec<MemoryEvent> = events.into_iter().map(|(kind, host, step)| {
            time += step;
            let time = Timestamp(time as u64);
            match kind {
                None => MemoryEvent::Idle(time),
                Some(kind) => {
                    let data = frame(kind, host);
                    let wire_len = data.len() as u32;
                    MemoryEvent::Packet(OwnedPacket { time, wire_len, link_type: LinkType::ETHERNET, data })
                }
            }
        }).collect();
        let settings = EngineSettings { count_max, ..timeouts() };
        let backend = || Box::new(MemoryBackend::with_events(LinkType::ETHERNET, events.clone()));
        let sorted = |(summary, mut records): (String, Vec<String>)| {
            records.sort();
            (summary, records)
        };
        let expected = sorted(essence(run_source(Source::Queues(vec![backend()]), &settings)));
        for workers in [2, 3] {
            let got = sorted(essence(together(Source::Reader(backend()), &settings, workers)));
            prop_assert_eq!(&got, &expected, "{} workers", workers);
        }
    }
}

/// Each of the packets comes `repeats` times, 10 ns after each other.
fn same_together_as_alone(
    packets: &[(PacketKind, u8, i64)],
    repeats: u64,
    settings: &EngineSettings,
) -> Result<(), TestCaseError> {
    let dir = common::temp_dir("together");
    let path = dir.path().join("x.pcap");
    let mut time = 1_000_000_000_000i64;
    let all = packets.iter().flat_map(|&(kind, host, step)| {
        time += step;
        let start = time;
        time += repeats as i64 * 10;
        (0..repeats).map(move |i| ((start + i as i64 * 10) as u64, frame(kind, host)))
    });
    write(&path, all);
    let expected = essence(alone(&path, settings));
    for (way, workers) in WAYS.into_iter().flat_map(|way| [(way, 2), (way, 3)]) {
        prop_assert_eq!(&essence(together(way(&path), settings, workers)), &expected, "{} workers", workers);
    }
    Ok(())
}
