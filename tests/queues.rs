//! Several queues, each with packets of its own: the records of the same packets on one queue, exact bounds over all of them, and
//! no queue that waits for another.

mod common;

use common::{captures, engine, temp_dir};
use netscope::aggregate::{AggregateSettings, LiveTableRequest, Output, Questions, Report, Summary, Table};
use netscope::engine::{
    EngineSettings, Outbox, PacketConsumer, Snapshot, Source, Stop, Worker, WorkerSettings, WorkerShare, mailbox,
};
use netscope::flow::{EndReason, FactSet, FlowNote, FlowRecord, FlowSettings, HashSecret};
use netscope::session::{Outcome, Session, run};
use netscope::wire;
use netscope_backends::memory::{MemoryBackend, MemoryEvent, OwnedPacket, read_all};
use netscope_backends::savefile::SavefileOptions;
use netscope_backends::writing::RotationOptions;
use netscope_backends::{Backend, BackendError, Counters, LinkType, Packet, Polled, Timestamp};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The packets of a capture, and its link type.
fn packets_of(capture: &Path) -> (LinkType, Vec<OwnedPacket>) {
    let packets = read_all(capture).expect("a sound capture");
    (packets.first().map_or(LinkType::ETHERNET, |packet| packet.link_type), packets)
}

/// The queue of a packet where a card hashes both directions alike.
fn symmetric(packet: &OwnedPacket, queues: usize) -> usize {
    let network = wire::dissect(packet.link_type, &packet.data, packet.wire_len).network;
    let sum = |address: [u8; 16]| address.iter().map(|&byte| usize::from(byte)).sum::<usize>();
    network.map_or(0, |network| (sum(network.source) + sum(network.destination)) % queues)
}

/// One backend per queue; at the end each knows how late it is.
fn queues_of(
    (link_type, packets): &(LinkType, Vec<OwnedPacket>),
    count: usize,
    waits: bool,
    queue_of: fn(&OwnedPacket, usize) -> usize,
) -> Vec<Box<dyn Backend>> {
    let mut events = vec![Vec::new(); count];
    for packet in packets {
        events[queue_of(packet, count)].push(MemoryEvent::Packet(packet.clone()));
    }
    let end = packets.iter().map(|packet| packet.time).max().unwrap_or(Timestamp(0));
    events
        .into_iter()
        .map(|mut events| {
            events.push(MemoryEvent::Idle(end));
            Box::new(MemoryBackend::with_events(*link_type, events).waits_like_file(waits)) as Box<dyn Backend>
        })
        .collect()
}

/// What does not depend on where the packets were seen, in an order of its own.
fn comparable(mut records: Vec<FlowRecord>) -> Vec<FlowRecord> {
    for record in &mut records {
        // Counted on its queue.
        record.first_packet = 0;
        // Those that came on the queue of the flow.
        record.icmp_errors = 0;
    }
    records.sort_by_key(|record| (record.key, record.first_seen, record.last_seen));
    records
}

fn icmp_errors(records: &[FlowRecord]) -> u32 {
    records.iter().map(|record| record.icmp_errors).sum()
}

fn run_queues(queues: Vec<Box<dyn Backend>>, settings: &EngineSettings) -> (Outcome, Vec<FlowRecord>) {
    engine::run_source(Source::Queues(queues), settings)
}

#[test]
fn queues_give_the_records_of_one_queue() {
    let settings = EngineSettings { flow: FlowSettings { flow_count_max: 0, ..engine::settings().flow }, ..engine::settings() };
    let mut tried = 0;
    for capture in captures() {
        let packets = packets_of(&capture);
        if !packets.1.is_sorted_by_key(|packet| packet.time) {
            // What ends when depends on the latest time seen, and that is each queue's own.
            continue;
        }
        tried += 1;
        let (alone, expected) = run_queues(queues_of(&packets, 1, true, symmetric), &settings);
        let errors_alone = icmp_errors(&expected);
        let expected = comparable(expected);
        for count in [2, 4] {
            for waits in [true, false] {
                let what = format!("{} on {count} queues, waits: {waits}", capture.display());
                let (outcome, records) = run_queues(queues_of(&packets, count, waits, symmetric), &settings);
                let (summary, reference) = (&outcome.summary, &alone.summary);
                assert_eq!(summary.source.received, packets.1.len() as u64, "{what}");
                assert_eq!(summary.unaccounted(), 0, "{what}");
                assert_eq!(
                    (summary.ledger.packets, summary.ledger.bytes),
                    (reference.ledger.packets, reference.ledger.bytes),
                    "{what}"
                );
                // A wire does not wait for the aggregator, so an ended flow may be left out there, and is counted.
                if summary.ledger.records_skipped == 0 {
                    assert!(icmp_errors(&records) <= errors_alone, "{what}");
                    assert!(comparable(records) == expected, "{what}: other records");
                } else {
                    assert!(!waits && records.len() as u64 + summary.ledger.records_skipped == expected.len() as u64, "{what}");
                }
            }
        }
    }
    assert!(tried > 2, "only {tried} captures were tried");
}

#[test]
fn a_count_is_exact_over_all_queues() {
    let packets = packets_of(&common::fixture("demo.pcapng"));
    let all = packets.1.len() as u64;
    for waits in [true, false] {
        for count_max in [1, 7, 64, 65, 200, all - 1, all, all + 1] {
            let settings = EngineSettings { count_max, ..engine::settings() };
            let (outcome, _) = run_queues(queues_of(&packets, 3, waits, symmetric), &settings);
            let summary = &outcome.summary;
            assert_eq!(summary.ledger.packets, count_max.min(all), "--count {count_max}, waits: {waits}");
            assert_eq!(summary.unaccounted(), 0, "--count {count_max}, waits: {waits}: {summary:#?}");
        }
    }
}

#[test]
fn the_bound_on_flows_holds_over_all_queues() {
    let packets = packets_of(&common::fixture("demo.pcapng"));
    let mut settings = engine::settings();
    for flow_count_max in [3, 4, 11] {
        settings.flow.flow_count_max = flow_count_max;
        let (outcome, records) = run_queues(queues_of(&packets, 3, true, symmetric), &settings);
        assert!(outcome.summary.flow_count <= flow_count_max as u64, "{:?}", outcome.summary);
        let evicted = records.iter().filter(|record| record.reason == EndReason::Eviction).count();
        assert!(evicted > 0, "the bound of {flow_count_max} is reached");
    }
    settings.flow.flow_count_max = 2;
    let session = session(queues_of(&packets, 3, true, symmetric), &settings, Vec::new());
    let refused = run(session, &Stop::default(), &engine::watcher()).expect_err("three queues, two flows");
    assert!(refused.to_string().contains("3 workers cannot share 2 flows"), "{refused}");
}

fn session(queues: Vec<Box<dyn Backend>>, settings: &EngineSettings, outputs: Vec<Box<dyn Output>>) -> Session {
    let aggregate = AggregateSettings {
        tick_ns: settings.tick_ns,
        top_count: 3,
        export_ended_max: usize::MAX,
        flow_key: settings.flow.key,
        judge: None,
        microbursts: None,
        alerting: netscope::aggregate::AlertingSettings::default(),
        selection: None,
        address_names_max: settings.flow.inspection.names_max(),
    };
    Session {
        source: Source::Queues(queues),
        engine: settings.clone(),
        aggregate,
        outputs,
        record: None,
        on_closed: None,
        view: None,
        sampled: None,
        live_table: LiveTableRequest::default(),
        questions: Questions::default(),
        flight: None,
    }
}

/// Keeps the numbers and times it is shown.
struct ShownPackets(Arc<Mutex<Vec<(u64, Timestamp)>>>);

impl PacketConsumer for ShownPackets {
    type Error = io::Error;

    fn packet(&mut self, number: u64, _note: Option<&FlowNote>, packet: &Packet<'_>) -> io::Result<()> {
        self.0.lock().expect("no panic").push((number, packet.time));
        Ok(())
    }

    fn pause(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn recorder_and_packet_view_get_the_packets_of_every_queue() {
    let directory = temp_dir("queues");
    let path: PathBuf = directory.path().join("recorded.pcapng");
    let packets = packets_of(&common::fixture("demo.pcapng"));
    let shown = Arc::new(Mutex::new(Vec::new()));
    let record = SavefileOptions {
        rotation: RotationOptions { path: path.clone(), ..RotationOptions::default() },
        ..SavefileOptions::default()
    };
    let session = Session {
        record: Some(record),
        view: Some(Box::new(ShownPackets(Arc::clone(&shown)))),
        sampled: None,
        live_table: LiveTableRequest::default(),
        questions: Questions::default(),
        flight: None,
        ..session(queues_of(&packets, 3, true, symmetric), &engine::settings(), Vec::new())
    };
    let outcome = run(session, &Stop::default(), &engine::watcher()).expect("the session starts");
    assert!(outcome.errors.is_empty(), "{outcome:?}");
    let shown = shown.lock().expect("no panic");
    let numbers: Vec<u64> = shown.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=packets.1.len() as u64).collect::<Vec<_>>(), "unique and increasing");
    let recorded = read_all(&path).expect("what was recorded");
    let sorted = |packets: &[OwnedPacket]| {
        let mut packets = packets.to_vec();
        packets.sort_by(|x, y| (x.time, &x.data).cmp(&(y.time, &y.data)));
        packets
    };
    assert_eq!(sorted(&recorded), sorted(&packets.1));
    for queue in 0..3 {
        let of_queue = |packets: &[OwnedPacket]| -> Vec<OwnedPacket> {
            packets.iter().filter(|packet| symmetric(packet, 3) == queue).cloned().collect()
        };
        assert_eq!(of_queue(&recorded), of_queue(&packets.1), "the order of queue {queue}");
    }
}

/// A wire on which nothing arrives, until a time limit.
struct Silence {
    since: Instant,
    now: fn(Duration) -> Timestamp,
}

const SILENCE_LIMIT: Duration = Duration::from_secs(60);

impl Backend for Silence {
    fn link_type(&self) -> LinkType {
        LinkType::ETHERNET
    }

    fn waits(&self) -> bool {
        false
    }

    fn poll(&mut self, _timeout: Duration, _visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        std::thread::sleep(Duration::from_millis(1));
        let elapsed = self.since.elapsed();
        Ok(if elapsed < SILENCE_LIMIT { Polled::Idle((self.now)(elapsed)) } else { Polled::End })
    }

    fn counters(&mut self) -> Result<Counters, BackendError> {
        Ok(Counters { kernel_drops: 1, received: 1, ring_full_drops: 1, ..Counters::default() })
    }
}

fn silence(now: fn(Duration) -> Timestamp) -> Box<dyn Backend> {
    Box::new(Silence { since: Instant::now(), now })
}

/// Lends what it has, then fails.
struct Failing(MemoryBackend);

impl Backend for Failing {
    fn link_type(&self) -> LinkType {
        self.0.link_type()
    }

    fn waits(&self) -> bool {
        false
    }

    fn poll(&mut self, timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        match self.0.poll(timeout, visit)? {
            Polled::End => Err(BackendError::Interface { interface: "eth7".to_owned(), what: "is gone".to_owned() }),
            polled => Ok(polled),
        }
    }

    fn counters(&mut self) -> Result<Counters, BackendError> {
        self.0.counters()
    }
}

#[test]
fn a_queue_that_fails_ends_the_run_and_everything_is_exported() {
    let (link_type, packets) = packets_of(&common::fixture("demo.pcapng"));
    let count = packets.len() as u64;
    let failing = Box::new(Failing(MemoryBackend::new(link_type, packets).waits_like_file(false)));
    let started = Instant::now();
    let (outcome, records) = run_queues(vec![silence(|_| Timestamp(0)), failing, silence(|_| Timestamp(0))], &engine::settings());
    assert!(started.elapsed() < SILENCE_LIMIT, "the silent queues ended with the failing one");
    let told: Vec<String> = outcome.errors.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["interface eth7: is gone"]);
    let in_records: u64 = records.iter().map(|record| record.packets[0] + record.packets[1]).sum();
    assert_eq!(in_records, outcome.summary.ledger.in_flows);
    assert_eq!(outcome.summary.ledger.packets, count);
    // The losses of every queue are counted, and the parts they have.
    assert_eq!((outcome.summary.source.kernel_drops, outcome.summary.source.ring_full_drops), (2, 2));
    assert_eq!(outcome.summary.unaccounted(), 0);
}

/// Asks for the end as soon as it has been told of a report and of an ended flow.
struct UntilTold {
    stop: Stop,
    told: Arc<Mutex<(u64, u64)>>,
}

impl Output for UntilTold {
    fn name(&self) -> &str {
        "what is told"
    }

    fn wants_ended(&self) -> bool {
        true
    }

    fn wants_reports(&self) -> bool {
        true
    }

    fn ended(&mut self, record: &FlowRecord, _facts: FactSet<'_>) -> io::Result<()> {
        if record.reason == EndReason::Timeout {
            self.told.lock().expect("no panic").1 += 1;
        }
        self.look();
        Ok(())
    }

    fn report(&mut self, _report: &Report) -> io::Result<()> {
        self.told.lock().expect("no panic").0 += 1;
        self.look();
        Ok(())
    }

    fn finish(&mut self, _table: &Table, _summary: &Summary) -> io::Result<()> {
        Ok(())
    }
}

impl UntilTold {
    fn look(&self) {
        let told = self.told.lock().expect("no panic");
        if told.0 >= 3 && told.1 > 0 {
            self.stop.request();
        }
    }
}

#[test]
fn a_silent_queue_holds_nobody_back() {
    const HOUR_NS: u64 = 3_600_000_000_000;
    let (link_type, packets) = packets_of(&common::fixture("demo.pcapng"));
    let mut events: Vec<MemoryEvent> = packets
        .into_iter()
        .enumerate()
        .map(|(i, packet)| MemoryEvent::Packet(OwnedPacket { time: Timestamp(HOUR_NS + i as u64), ..packet }))
        .collect();
    events.extend((1..20).map(|minute| MemoryEvent::Idle(Timestamp(HOUR_NS + minute * 60_000_000_000))));
    let busy = Box::new(MemoryBackend::with_events(link_type, events).waits_like_file(false));
    // Its time leaps from one hour to the next and over all that happens on the other queue.
    let leaping = silence(|elapsed| Timestamp(HOUR_NS * (1 + (elapsed.as_millis() as u64) / 10)));
    let (stop, told) = (Stop::default(), Arc::new(Mutex::new((0, 0))));
    let output = UntilTold { stop: stop.clone(), told: Arc::clone(&told) };
    let started = Instant::now();
    let outcome = run(session(vec![leaping, busy], &engine::settings(), vec![Box::new(output)]), &stop, &engine::watcher());
    outcome.expect("the session starts");
    assert!(started.elapsed() < SILENCE_LIMIT, "reports and ended flows came while the queue was silent");
    let told = told.lock().expect("no panic");
    assert!(told.0 >= 3 && told.1 > 0, "{told:?}");
}

/// The queue of a packet where a card hashes the directions of a flow apart.
fn by_direction(packet: &OwnedPacket, queues: usize) -> usize {
    let network = wire::dissect(packet.link_type, &packet.data, packet.wire_len).network;
    network.map_or(0, |network| usize::from(network.source > network.destination) % queues)
}

/// Keeps the table.
struct Collected(Arc<Mutex<(Vec<FlowRecord>, u64)>>);

impl Output for Collected {
    fn name(&self) -> &str {
        "the table"
    }

    fn wants_table(&self) -> bool {
        true
    }

    fn finish(&mut self, table: &Table, summary: &Summary) -> io::Result<()> {
        *self.0.lock().expect("no panic") = (table.iter().collect(), summary.flows_joined);
        Ok(())
    }
}

fn table_of(queues: Vec<Box<dyn Backend>>, settings: &EngineSettings) -> (Vec<FlowRecord>, u64) {
    let collected = Arc::new(Mutex::new((Vec::new(), 0)));
    let output = Box::new(Collected(Arc::clone(&collected)));
    let outcome = run(session(queues, settings, vec![output]), &Stop::default(), &engine::watcher()).expect("the session starts");
    assert_eq!(outcome.summary.unaccounted(), 0);
    let (table, joined) = std::mem::take(&mut *collected.lock().expect("no panic"));
    (table, joined)
}

/// What a record says that does not take both directions to know.
fn outline(records: &[FlowRecord]) -> Vec<impl PartialEq + std::fmt::Debug> {
    let mut outlines: Vec<_> = records
        .iter()
        .map(|record| (record.key, record.first_seen, record.last_seen, record.packets, record.bytes, record.initiator))
        .collect();
    outlines.sort_by_key(|outline| (outline.0, outline.1, outline.2));
    outlines
}

#[test]
fn halves_on_two_queues_are_joined_once_and_marked() {
    let mut settings = engine::settings();
    settings.flow.flow_count_max = 0;
    // Without timeouts both queues see the same beginnings and ends.
    (settings.flow.idle_timeout_ns, settings.flow.closed_timeout_ns) = (0, u64::from(u32::MAX) * 1_000_000_000);
    for capture in ["demo.pcapng", "loss.pcap"] {
        let packets = packets_of(&common::fixture(capture));
        let (expected, none) = table_of(queues_of(&packets, 1, true, by_direction), &settings);
        assert_eq!(none, 0, "{capture}: one queue has no halves");
        let (whole, none) = table_of(queues_of(&packets, 2, true, symmetric), &settings);
        assert_eq!(none, 0, "{capture}: nor has a symmetric hash");
        assert!(comparable(whole) == comparable(expected.clone()), "{capture}");
        let (table, joined) = table_of(queues_of(&packets, 2, true, by_direction), &settings);
        let both_ways = expected.iter().filter(|record| !record.packets.contains(&0)).count() as u64;
        assert!(both_ways > 0, "{capture} has flows with two directions");
        assert_eq!(joined, both_ways, "{capture}");
        assert_eq!(table.iter().filter(|record| record.queues == 2).count() as u64, joined, "{capture}: each has its mark");
        assert_eq!(outline(&table), outline(&expected), "{capture}");
    }
}

#[test]
fn a_snapshot_without_a_box_is_counted_and_its_evidence_is_in_the_next() {
    const TICK_NS: u64 = 1_000_000_000;
    let (_, packets) = packets_of(&common::fixture("demo.pcapng"));
    let packet = packets.iter().find(|packet| packet.data.len() > 60).expect("a packet of a flow");
    let bytes = u64::from(packet.wire_len);
    let settings = WorkerSettings {
        flow: FlowSettings { top_count: 2, ..FlowSettings::default() },
        tick_ns: TICK_NS,
        count_max: 0,
        share: WorkerShare::WHOLE,
        waits: false,
        secret: HashSecret::random(),
    };
    let (sender, mail) = mailbox(1, || Snapshot::new(2));
    let mut worker = Worker::new(&settings, Outbox::new(false, sender, None, Vec::new()), ());
    let mut see = |tick: u64| {
        let packet = OwnedPacket { time: Timestamp(tick * TICK_NS), ..packet.clone() };
        worker.batch(&[packet.borrow()]);
    };
    // The box goes with tick 1; ticks 2 and 3 find none.
    (1..=4).for_each(&mut see);
    let first = mail.receive().expect("tick 1");
    assert_eq!((first.tick, first.evidence.top[0].delta_bytes, first.ledger.snapshots_skipped), (1, bytes, 0));
    mail.give_back(first);
    see(5);
    let next = mail.receive().expect("tick 4");
    assert_eq!((next.tick, next.ledger.snapshots_skipped, next.evidence.top.len()), (4, 2, 1));
    assert_eq!(next.evidence.top[0].delta_bytes, 3 * bytes, "those of ticks 2 and 3 are added");
}
