//! Copies of packets by policy: all of them, some per second, those of some flows; with their numbers and the
//! places of their flows, from a worker alone, from several queues and from several workers on one file.

mod common;

use common::{captures, engine, fixture};
use netscope::engine::{
    EngineSettings, Observer, Outbox, PacketConsumer, Receiver, SeenPacket, Snapshot, Source, Stop, TapChunk, TapFlows, TapMark,
    TapPolicy, TapReceivers, TapSender, Worker, WorkerSettings, WorkerShare, consume, launch, mailbox, requests,
};
use netscope::flow::{FlowEvents, FlowKey, FlowNote, FlowRecord, FlowSettings, HashSecret, ports_of};
use netscope::wire::{self, Dissected};
use netscope_backends::chunk::CHUNK_PACKETS_MAX;
use netscope_backends::file::{CaptureFile, FileOptions};
use netscope_backends::memory::{MemoryBackend, MemoryEvent, OwnedPacket, read_all};
use netscope_backends::{BATCH_MAX, Backend, Packet, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

/// A copied packet.
type Copied = (TapMark, OwnedPacket);

/// What each worker copied for each tap.
fn tapped(source: Source, policies: &[TapPolicy], workers: usize) -> Vec<Vec<Vec<Copied>>> {
    let taps = started(source, policies, workers, |taps| {
        let collect = |TapReceivers { receivers, .. }: &TapReceivers| vec![Vec::new(); receivers.len()];
        let mut copied: Vec<Vec<Vec<Copied>>> = taps.iter().map(collect).collect();
        loop {
            let receivers = || taps.iter().flat_map(|tap| &tap.receivers);
            // Asked before the boxes are taken: what was sent before the end is then seen.
            let finished = receivers().all(Receiver::is_finished);
            for (receiver, copied) in receivers().zip(copied.iter_mut().flatten()) {
                while let Some(chunk) = receiver.receive() {
                    copied.extend(chunk.packets().map(|(mark, packet)| (mark, OwnedPacket::from(&packet))));
                    receiver.give_back(chunk);
                }
            }
            if finished {
                return copied;
            }
            thread::yield_now();
        }
    });
    assert_eq!(taps.len(), policies.len());
    taps
}

/// Runs the engine on a source; `receive` takes in what is copied until the end.
fn started<T>(source: Source, policies: &[TapPolicy], workers: usize, receive: impl FnOnce(&[TapReceivers]) -> T) -> T {
    // No flow ends before the end.
    let (idle_timeout_ns, closed_timeout_ns) = (u64::MAX / 4, u64::MAX / 4);
    let flow = FlowSettings { flow_count_max: 0, idle_timeout_ns, closed_timeout_ns, ..engine::settings().flow };
    let settings =
        EngineSettings { flow, workers, taps: policies.to_vec(), wants_ended: false, wants_reports: false, ..engine::settings() };
    let mut running = launch(source, &settings, &Stop::default(), |_| {}).expect("the engine starts");
    let taps = std::mem::take(&mut running.taps);
    let received = receive(&taps);
    running.join().expect("a sound run");
    received
}

fn queue(packets: &[OwnedPacket]) -> Box<dyn Backend> {
    let link_type = packets[0].link_type;
    let events = packets.iter().cloned().map(MemoryEvent::Packet).collect();
    Box::new(MemoryBackend::with_events(link_type, events).waits_like_file(true))
}

fn mapped(capture: &Path) -> Source {
    let file = CaptureFile::open(capture, &FileOptions::default()).expect("capture");
    Source::Mapped(Box::new(file.scanner().expect("walk").expect("a plain file")))
}

fn read(capture: &Path) -> Source {
    let file = CaptureFile::open(capture, &FileOptions::default()).expect("capture");
    Source::Reader(Box::new(file.backend().expect("reader")))
}

/// The flow of a packet that is no fragment.
fn key_of(packet: &OwnedPacket) -> Option<FlowKey> {
    let dissected = wire::dissect(packet.link_type, &packet.data, packet.wire_len);
    let network = dissected.network.as_ref()?;
    Some(FlowKey::new(network, ports_of(&dissected)?).0)
}

/// Numbers of those packets that are among the first `count` of their second, time never going back.
fn first_of_each_second(packets: &[OwnedPacket], count: usize) -> Vec<u64> {
    let (mut now, mut in_second) = (Timestamp(0), BTreeMap::<u64, usize>::new());
    (1..)
        .zip(packets)
        .filter(|(_, packet)| {
            now = now.max(packet.time);
            let taken = in_second.entry(now.0 / Timestamp::NS_PER_SEC).or_default();
            *taken += 1;
            *taken <= count
        })
        .map(|(number, _)| number)
        .collect()
}

fn numbers(copied: &[Copied]) -> Vec<u64> {
    copied.iter().map(|(mark, _)| mark.number).collect()
}

/// Each copy is the packet of that number.
#[track_caller]
fn assert_numbered(copied: &[Copied], packets: &[OwnedPacket]) {
    for (mark, packet) in copied {
        assert_eq!(packet, &packets[mark.number as usize - 1], "packet {}", mark.number);
    }
}

#[test]
fn one_worker_copies_all_some_per_second_or_some_flows() {
    let mut sampled = 0;
    for capture in captures() {
        let Ok(mut packets) = read_all(&capture) else { continue };
        if packets.is_empty() || packets.iter().any(|packet| packet.link_type != packets[0].link_type) {
            continue;
        }
        for goes_back in [false, true] {
            if goes_back {
                let middle = packets.len() / 2;
                packets.rotate_left(middle);
            }
            let flows: Vec<FlowKey> = packets.iter().filter_map(key_of).take(2).collect();
            let policies = [
                TapPolicy::All,
                TapPolicy::PerSecond(3),
                TapPolicy::Flows(TapFlows::new(&flows).expect("few")),
                TapPolicy::PerSecond(0),
            ];
            let copied = tapped(Source::Queues(vec![queue(&packets)]), &policies, 1);
            let [all, some, followed, nothing] = [0, 1, 2, 3].map(|tap| &copied[tap][0]);
            [all, some, followed].into_iter().for_each(|copied| assert_numbered(copied, &packets));
            let what = format!("{}, time goes back: {goes_back}", capture.display());
            assert_eq!(numbers(all), (1..=packets.len() as u64).collect::<Vec<_>>(), "{what}");
            assert_eq!(numbers(some), first_of_each_second(&packets, 3), "{what}");
            assert!(nothing.is_empty(), "{what}");
            let of_flows: Vec<&Copied> =
                all.iter().filter(|(_, packet)| key_of(packet).is_some_and(|key| flows.contains(&key))).collect();
            assert!(of_flows.iter().all(|copied| followed.contains(copied)), "{what}");
            // A later fragment of these flows has no ports, and is copied all the same.
            let is_other = |(_, packet): &&Copied| key_of(packet).is_some();
            assert_eq!(followed.iter().filter(is_other).count(), of_flows.len(), "{what}");
            // However it was chosen, a packet has one place.
            let places: HashMap<u64, Option<u32>> = all.iter().map(|(mark, _)| (mark.number, mark.place)).collect();
            assert!(some.iter().chain(followed).all(|(mark, _)| places[&mark.number] == mark.place), "{what}");
            sampled += some.len();
        }
    }
    assert!(sampled > 20, "only {sampled} packets");
}

#[test]
fn a_flow_has_one_place_and_what_has_no_flow_has_none() {
    let packets = read_all(&fixture("demo.pcapng")).expect("a sound capture");
    let copied = tapped(mapped(&fixture("demo.pcapng")), &[TapPolicy::All], 1).remove(0).remove(0);
    assert_numbered(&copied, &packets);
    assert_eq!(copied.len(), packets.len());
    let mut places = HashMap::new();
    for (mark, packet) in &copied {
        let key = key_of(packet);
        assert!(key.is_none() || mark.place.is_some(), "packet {}", mark.number);
        if let (Some(key), Some(place)) = (key, mark.place) {
            assert_eq!(*places.entry(place).or_insert(key), key, "packet {}", mark.number);
        }
    }
    assert!(places.len() > 3);
    let arp = copied.iter().find(|(_, packet)| packet.data.get(12..14) == Some(&[8, 6]));
    assert_eq!(arp.expect("a packet without a flow").0.place, None);
}

/// Keeps what was told of packets: number and place.
struct Told(Arc<Mutex<Vec<(u64, u32)>>>);

impl Observer for Told {
    const WATCHES: bool = true;

    fn seen(&mut self, packets: &[SeenPacket]) {
        // A flow is refused by a packet of another one.
        let own = packets.iter().filter(|packet| !packet.events.has(FlowEvents::REFUSED));
        self.0.lock().expect("no panic").extend(own.map(|packet| (packet.number, packet.place)));
    }

    fn ended(&mut self, _record: &FlowRecord) {}

    fn other(&mut self, _packet: &Packet<'_>, _facts: &Dissected) {}
}

fn worker_settings(flow: FlowSettings) -> WorkerSettings {
    let secret = HashSecret::FIXED;
    WorkerSettings { flow, tick_ns: 100_000_000, count_max: 0, share: WorkerShare::WHOLE, waits: false, secret }
}

/// A worker with one tap, which has `boxes` boxes.
fn worker<O: Observer>(
    policy: &TapPolicy,
    boxes: usize,
    flow: FlowSettings,
    observer: O,
) -> (Worker<O>, Receiver<TapChunk>, Receiver<Snapshot>) {
    let (snapshots, snapshot_mail) = mailbox(1, || Snapshot::new(1));
    let (sender, tap_mail) = mailbox(boxes, TapChunk::new);
    let tap = TapSender::new(0, policy, HashSecret::FIXED, sender);
    let outbox = Outbox::new(false, snapshots, None, vec![tap]).with_reports(false);
    (Worker::new(&worker_settings(flow), outbox, observer), tap_mail, snapshot_mail)
}

fn batches(worker: &mut Worker<impl Observer>, packets: &[OwnedPacket]) {
    let packets: Vec<Packet<'_>> = packets.iter().map(OwnedPacket::borrow).collect();
    packets.chunks(BATCH_MAX + 7).for_each(|batch| worker.batch(batch));
}

fn marks(mail: &Receiver<TapChunk>) -> Vec<TapMark> {
    std::iter::from_fn(|| mail.receive()).flat_map(|chunk| chunk.packets().map(|(mark, _)| mark).collect::<Vec<_>>()).collect()
}

#[test]
fn places_are_those_at_which_the_packets_were_counted() {
    let mut compared = 0;
    for capture in captures() {
        let Ok(packets) = read_all(&capture) else { continue };
        let told = Arc::new(Mutex::new(Vec::new()));
        // So few that places are used again and again.
        let flow = FlowSettings { flow_count_max: 8, ..engine::settings().flow };
        let (mut worker, tap_mail, _snapshots) = worker(&TapPolicy::All, 8, flow, Told(Arc::clone(&told)));
        batches(&mut worker, &packets);
        worker.finish();
        let marks: Vec<TapMark> = marks(&tap_mail);
        let places: HashMap<u64, Option<u32>> = marks.iter().map(|mark| (mark.number, mark.place)).collect();
        for &(number, place) in told.lock().expect("no panic").iter() {
            // Boxes are few, and a wire does not wait.
            if let Some(known) = places.get(&number) {
                assert_eq!(*known, Some(place), "{}, packet {number}", capture.display());
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "only {compared} packets were compared");
}

#[test]
fn flows_are_chosen_while_packets_come() {
    let packets = read_all(&fixture("demo.pcapng")).expect("a sound capture");
    let mut flows: Vec<FlowKey> = packets.iter().filter_map(key_of).collect();
    flows.sort_unstable();
    flows.dedup();
    let (asking, mut asked) = requests(&Arc::default());
    let (mut worker, tap_mail, _snapshots) = worker(&TapPolicy::Flows(TapFlows::default()), 2, engine::settings().flow, ());
    let mut expected = Vec::new();
    let quarter = packets.len() / 4 + 1;
    for (part, (packets, first)) in packets.chunks(quarter).zip((1..).step_by(quarter)).enumerate() {
        let followed = &flows[part * 2..part * 2 + usize::from(part > 0) * 2];
        if part > 0 {
            assert!(asking.select_tap_flows(0, &TapFlows::new(followed).expect("few")));
            // No such tap.
            assert!(asking.select_tap_flows(1, &TapFlows::default()));
        }
        while asked.is_asked() {
            asked.answer(&mut worker, false);
        }
        batches(&mut worker, packets);
        let of_flows = |packet: &OwnedPacket| key_of(packet).is_some_and(|key| followed.contains(&key));
        expected.extend((first..).zip(packets).filter(|(_, packet)| of_flows(packet)).map(|(number, _)| number));
    }
    worker.finish();
    assert!(!expected.is_empty());
    let numbers = marks(&tap_mail).into_iter().map(|mark| mark.number);
    // A later fragment has no ports, but is one of the flow.
    let with_ports: Vec<u64> = numbers.filter(|&number| key_of(&packets[number as usize - 1]).is_some()).collect();
    assert_eq!(with_ports, expected);
}

#[test]
fn what_was_wanted_and_found_no_box_is_counted_and_no_other() {
    let packets = read_all(&fixture("demo.pcapng")).expect("a sound capture");
    let small = packets.iter().min_by_key(|packet| packet.data.len()).expect("a packet");
    let count = CHUNK_PACKETS_MAX + 10;
    let same = vec![OwnedPacket { data: Vec::new(), ..small.clone() }; count];
    for (policy, skipped) in [
        (TapPolicy::All, 10),
        (TapPolicy::PerSecond(CHUNK_PACKETS_MAX + 3), 3),
        (TapPolicy::PerSecond(CHUNK_PACKETS_MAX), 0),
        (TapPolicy::Flows(TapFlows::default()), 0),
    ] {
        let (mut worker, tap_mail, snapshots) = worker(&policy, 1, engine::settings().flow, ());
        batches(&mut worker, &same);
        worker.finish();
        let last = snapshots.receive().expect("the last snapshot");
        assert_eq!((last.ledger.taps_skipped, last.ledger.packets), (skipped, count as u64), "{policy:?}");
        let is_none = matches!(policy, TapPolicy::Flows(_));
        assert_eq!(marks(&tap_mail).len(), if is_none { 0 } else { CHUNK_PACKETS_MAX }, "{policy:?}");
    }
}

#[test]
fn queues_have_their_own_numbers_and_their_part_of_a_rate() {
    let packets = read_all(&fixture("demo.pcapng")).expect("a sound capture");
    let parts: Vec<Vec<OwnedPacket>> =
        (0..3).map(|queue| packets.iter().skip(queue).step_by(3).cloned().collect::<Vec<_>>()).collect();
    let source = Source::Queues(parts.iter().map(|packets| queue(packets)).collect());
    let copied = tapped(source, &[TapPolicy::PerSecond(7), TapPolicy::All], 1);
    for (queue, packets) in parts.iter().enumerate() {
        let [some, all] = [&copied[0][queue], &copied[1][queue]];
        assert_numbered(some, packets);
        assert_numbered(all, packets);
        assert_eq!(numbers(some), first_of_each_second(packets, [3, 2, 2][queue]), "queue {queue}");
        assert_eq!(all.len(), packets.len(), "queue {queue}");
        assert!(all.iter().all(|(mark, packet)| key_of(packet).is_none() || mark.place.is_some()), "queue {queue}");
    }
}

#[test]
fn several_workers_on_one_file_copy_each_packet_once() {
    for capture in ["demo.pcapng", "fragments.pcap", "loss.pcap"].map(fixture) {
        let packets = read_all(&capture).expect("a sound capture");
        let flows: Vec<FlowKey> = packets.iter().filter_map(key_of).take(16).collect();
        let followed = TapPolicy::Flows(TapFlows::new(&flows).expect("as many as there may be"));
        let policies = [TapPolicy::All, TapPolicy::PerSecond(usize::MAX), TapPolicy::PerSecond(4), followed];
        let expected = tapped(mapped(&capture), &policies, 1);
        for source in [mapped, read] {
            let copied = tapped(source(&capture), &policies, 3);
            let what = capture.display();
            copied.iter().flatten().for_each(|copied| assert_numbered(copied, &packets));
            // The leading worker's alone, before they are counted.
            assert_eq!(copied[0].len(), 1, "{what}");
            assert!(numbers(&copied[0][0]).into_iter().eq(1..=packets.len() as u64), "{what}");
            assert!(copied[0][0].iter().all(|(mark, _)| mark.place.is_none()), "{what}");
            assert!(copied.iter().flatten().all(|copied| numbers(copied).is_sorted()), "{what}");
            let sorted = |tap: usize| {
                let mut copied = copied[tap].concat();
                copied.sort_unstable_by_key(|(mark, _)| mark.number);
                copied
            };
            assert!(numbers(&sorted(1)).into_iter().eq(1..=packets.len() as u64), "{what}: each is copied by its worker");
            assert_eq!(numbers(&sorted(3)), numbers(&expected[3][0]), "{what}: other packets of the flows");
            let has_place = |copied: &[Copied]| copied.iter().map(|(mark, _)| mark.place.is_some()).collect::<Vec<_>>();
            assert_eq!(has_place(&sorted(1)), has_place(&expected[1][0]), "{what}");
            let mut in_second = BTreeMap::<u64, usize>::new();
            let mut now = Timestamp(0);
            let clock: Vec<Timestamp> = packets
                .iter()
                .map(|packet| {
                    now = now.max(packet.time);
                    now
                })
                .collect();
            for number in numbers(&sorted(2)) {
                *in_second.entry(clock[number as usize - 1].0 / Timestamp::NS_PER_SEC).or_default() += 1;
            }
            assert!(!in_second.is_empty() && in_second.values().all(|&count| count <= 4), "{what}: {in_second:?}");
        }
    }
}

/// Keeps the numbers it is shown.
#[derive(Default)]
struct ShownNumbers(Vec<u64>);

impl PacketConsumer for ShownNumbers {
    type Error = io::Error;

    fn packet(&mut self, number: u64, _note: Option<&FlowNote>, _packet: &Packet<'_>) -> io::Result<()> {
        self.0.push(number);
        Ok(())
    }

    fn pause(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_consumer_is_shown_the_numbers_of_the_source() {
    let packets = read_all(&fixture("demo.pcapng")).expect("a sound capture");
    let shown = started(mapped(&fixture("demo.pcapng")), &[TapPolicy::PerSecond(usize::MAX)], 3, |taps| {
        let mut shown = ShownNumbers::default();
        consume(&taps[0], &mut shown).expect("it takes everything");
        shown.0
    });
    let mut sorted = shown.clone();
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(1..=packets.len() as u64), "{shown:?}");
}

/// Keeps what is told of each packet.
#[derive(Default)]
struct Noted(Vec<(u64, Option<FlowNote>, Vec<u8>)>);

impl PacketConsumer for Noted {
    type Error = io::Error;

    fn packet(&mut self, number: u64, note: Option<&FlowNote>, packet: &Packet<'_>) -> io::Result<()> {
        self.0.push((number, note.copied(), packet.data.to_vec()));
        Ok(())
    }

    fn pause(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All packets with their notes, as they are shown.
fn noted(source: Source, workers: usize) -> Noted {
    started(source, &[TapPolicy::Counted], workers, |taps| {
        let mut noted = Noted::default();
        consume(&taps[0], &mut noted).expect("nothing fails");
        noted
    })
}

#[test]
fn packets_come_in_order_with_the_same_notes_from_any_number_of_workers() {
    let mut marked = 0;
    for capture in captures() {
        let Ok(packets) = read_all(&capture) else { continue };
        let expected = noted(mapped(&capture), 1).0;
        assert!(expected.iter().map(|(number, ..)| *number).eq(1..=packets.len() as u64), "{}", capture.display());
        assert!(expected.iter().zip(&packets).all(|((.., data), packet)| *data == packet.data), "{}", capture.display());
        marked += expected.iter().filter(|(_, note, _)| note.is_some_and(|note| !note.marks.is_empty())).count();
        for source in [mapped, read] {
            assert!(noted(source(&capture), 3).0 == expected, "{}", capture.display());
        }
    }
    assert!(marked > 10, "only {marked} packets have marks");
}

/// What a sample has of a capture, as it is shown, in the order of its numbers.
fn sampled(source: Source, policy: &TapPolicy, workers: usize) -> Vec<(u64, Option<FlowNote>, Vec<u8>)> {
    started(source, std::slice::from_ref(policy), workers, |taps| {
        assert!(!taps[0].waits, "nobody waits for it");
        let mut noted = Noted::default();
        consume(&taps[0], &mut noted).expect("nothing fails");
        noted.0.sort_by_key(|(number, ..)| *number);
        noted.0
    })
}

#[test]
fn a_sample_has_every_so_manyth_packet_cut_and_with_its_note() {
    const SNAPLEN: usize = 60;
    for capture in captures() {
        let Ok(packets) = read_all(&capture) else { continue };
        if packets.len() > CHUNK_PACKETS_MAX {
            continue;
        }
        let all = noted(mapped(&capture), 1).0;
        for one_in in [0, 1, 3, 500] {
            let expected: Vec<_> = all
                .iter()
                .filter(|(number, ..)| number.is_multiple_of(u64::from(one_in.max(1))))
                .map(|(number, note, data)| (*number, *note, data[..data.len().min(SNAPLEN)].to_vec()))
                .collect();
            let policy = TapPolicy::Sampled { one_in, per_second_max: usize::MAX, snaplen: SNAPLEN };
            for workers in [1, 3] {
                for source in [mapped, read] {
                    let sampled = sampled(source(&capture), &policy, workers);
                    assert!(sampled == expected, "{}, one in {one_in}, {workers} workers", capture.display());
                }
            }
        }
    }
}

#[test]
fn a_sample_keeps_to_its_rate_over_all_workers() {
    let capture = fixture("demo.pcapng");
    let packets = read_all(&capture).expect("a sound capture");
    let mut latest = Timestamp(0);
    let seconds: Vec<u64> = packets
        .iter()
        .map(|packet| {
            latest = latest.max(packet.time);
            latest.0 / Timestamp::NS_PER_SEC
        })
        .collect();
    for (per_second_max, workers) in [(0, 1), (6, 1), (6, 3), (50, 2)] {
        let policy = TapPolicy::Sampled { one_in: 1, per_second_max, snaplen: 100 };
        let mut by_second = BTreeMap::new();
        for (number, ..) in sampled(mapped(&capture), &policy, workers) {
            *by_second.entry(seconds[number as usize - 1]).or_insert(0) += 1;
        }
        assert!(by_second.values().all(|&count| count <= per_second_max), "{by_second:?}");
        assert!(per_second_max == 0 || by_second.len() >= 10, "{by_second:?}");
    }
}

#[test]
fn a_sample_without_a_box_holds_up_no_file_and_is_no_loss() {
    let packets = read_all(&fixture("demo.pcapng")).expect("a sound capture");
    let small = packets.iter().min_by_key(|packet| packet.data.len()).expect("a packet");
    let same = vec![OwnedPacket { data: Vec::new(), ..small.clone() }; CHUNK_PACKETS_MAX + 10];
    let (snapshots, snapshot_mail) = mailbox(1, || Snapshot::new(1));
    let (sender, _tap_mail) = mailbox(1, TapChunk::with_notes);
    let policy = TapPolicy::Sampled { one_in: 1, per_second_max: usize::MAX, snaplen: 9 };
    let tap = TapSender::new(0, &policy, HashSecret::FIXED, sender);
    // It would wait for ever.
    let outbox = Outbox::new(true, snapshots, None, vec![tap]).with_reports(false);
    let mut worker = Worker::new(&WorkerSettings { waits: true, ..worker_settings(engine::settings().flow) }, outbox, ());
    batches(&mut worker, &same);
    worker.finish();
    let ledger = snapshot_mail.receive().expect("the last snapshot").ledger;
    assert_eq!((ledger.samples_skipped, ledger.taps_skipped, ledger.unaccounted()), (10, 0, 0));
}
