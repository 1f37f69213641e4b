//! Questions about flows while a capture goes on: what they find, that they wait for nobody for long, and that each is answered.

mod common;

use common::engine;
use netscope::aggregate::{
    AggregateSettings, AlertingSettings, FlowQuestion, FlowsFound, FoundFlow, HistorySnapshot, LiveTableRequest, NoAnswer,
    Output, Question, Questions,
};
use netscope::engine::{EngineSettings, SortKey, Source, Stop};
use netscope::flow::{FactValue, FlowRecord, FlowSettings, InspectionSettings};
use netscope::query::{FlowFilter, RecordContext};
use netscope::record::fact_id;
use netscope::session::{Outcome, Session, run};
use netscope_backends::memory::{OwnedPacket, read_all};
use netscope_backends::{Backend, BackendError, Counters, LinkType, Packet, Polled, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A limit that is there to end a hung run, not to measure.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A wire: some packets, and then nothing. One that stands still does not even say what time it is until it is stopped.
struct QuietWire {
    packets: VecDeque<OwnedPacket>,
    received: u64,
    stands_still: Option<Stop>,
}

impl Backend for QuietWire {
    fn link_type(&self) -> LinkType {
        LinkType::ETHERNET
    }

    fn waits(&self) -> bool {
        false
    }

    fn poll(&mut self, _timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        while let Some(stop) = &self.stands_still
            && !stop.is_requested()
        {
            thread::sleep(Duration::from_millis(5));
        }
        let Some(packet) = self.packets.pop_front() else {
            thread::sleep(Duration::from_millis(1));
            return Ok(Polled::Idle(Timestamp(0)));
        };
        self.received += 1;

        visit(&[packet.borrow()]);
        Ok(Polled::Lent(1))
    }

    fn counters(&mut self) -> Result<Counters, BackendError> {
        Ok(Counters { received: self.received, ..Counters::default() })
    }
}

/// Wants flows that ended to be kept, and the history where that is said.
struct Looker {
    history: bool,
}

impl Output for Looker {
    fn name(&self) -> &str {
        "looker"
    }

    fn wants_recent(&self) -> bool {
        true
    }

    fn wants_history(&self) -> bool {
        self.history
    }
}

fn session(queues: Vec<Box<dyn Backend>>, history: bool) -> Session {
    let flow = FlowSettings { flow_count_max: 40, ..engine::settings().flow };
    let settings = EngineSettings { flow, ..engine::settings() };
    Session {
        aggregate: AggregateSettings {
            tick_ns: settings.tick_ns,
            top_count: 3,
            export_ended_max: usize::MAX,
            flow_key: settings.flow.key,
            judge: None,
            microbursts: None,
            alerting: AlertingSettings::default(),
            selection: None,
            address_names_max: settings.flow.inspection.names_max(),
        },
        source: Source::Queues(queues),
        engine: settings,
        outputs: vec![Box::new(Looker { history })],
        record: None,
        on_closed: None,
        view: None,
        sampled: None,
        live_table: LiveTableRequest::default(),
        questions: Questions::default(),
        flight: None,
    }
}

/// Runs while `body` asks, then stops.
fn asking(session: Session, stop: &Stop, body: impl FnOnce(&Questions)) -> (Questions, Outcome) {
    let (questions, running) = (session.questions.clone(), stop.clone());
    let thread = thread::spawn(move || run(session, &running, &engine::watcher()).expect("it starts"));
    body(&questions);
    stop.request();
    (questions, thread.join().expect("no panic"))
}

const ALL: FlowQuestion =
    FlowQuestion { predicate: None, sort: SortKey::Bytes, limit: 10_000, with_ended: true, with_live: true, asker: None };

fn ask(questions: &Questions, question: FlowQuestion) -> Receiver<Result<FlowsFound, NoAnswer>> {
    let (told, answer) = channel();
    questions.ask(Question::Flows(question, Box::new(move |found| told.send(found).expect("it is awaited"))));
    answer
}

fn ask_history(questions: &Questions) -> Result<HistorySnapshot, NoAnswer> {
    let (told, answer) = channel();
    questions.ask(Question::History(Box::new(move |found| told.send(found).expect("it is awaited"))));
    answer.recv_timeout(ANSWER_LIMIT).expect("an answer")
}

fn answer(answer: &Receiver<Result<FlowsFound, NoAnswer>>) -> Result<FlowsFound, NoAnswer> {
    answer.recv_timeout(ANSWER_LIMIT).expect("an answer")
}

/// Asks until all packets have been seen.
fn settled(questions: &Questions, packets: u64) -> FlowsFound {
    let since = Instant::now();
    loop {
        let found = answer(&ask(questions, ALL)).expect("flows");
        if found.matched.packets == packets {
            return found;
        }
        assert!(since.elapsed() < ANSWER_LIMIT, "{:?} of {packets} packets", found.matched);
    }
}

fn packets() -> Vec<OwnedPacket> {
    read_all(&common::fixture("demo.pcapng")).expect("a sound capture")
}

fn quiet(packets: Vec<OwnedPacket>) -> Box<dyn Backend> {
    Box::new(QuietWire { packets: packets.into(), received: 0, stands_still: None })
}

fn totals(record: &FlowRecord) -> (u64, u64) {
    (record.packets.iter().sum(), record.bytes.iter().sum())
}

#[test]
fn flows_are_found_while_the_capture_goes_on() {
    let (_, expected) = {
        let flow = FlowSettings { flow_count_max: 40, ..engine::settings().flow };
        engine::run(quiet_until_the_end(packets()), &EngineSettings { flow, ..engine::settings() })
    };
    let in_flows: u64 = expected.iter().map(|record| totals(record).0).sum();
    let stop = Stop::default();
    let (questions, outcome) = asking(session(vec![quiet(packets())], true), &stop, |questions| {
        let found = settled(questions, in_flows);
        assert!(found.is_whole && found.time == packets().iter().map(|packet| packet.time).max().expect("packets"));
        assert_eq!(found.flows.len(), expected.len());
        assert!(found.flows.is_sorted_by_key(|flow| std::cmp::Reverse(totals(&flow.record).1)));
        let (live, ended): (Vec<FoundFlow>, Vec<FoundFlow>) = found.flows.iter().cloned().partition(|flow| flow.is_alive);
        assert!(live.len() <= 40 && !ended.is_empty(), "{} live, {} ended", live.len(), ended.len());
        // Parts of it, several questions at once.
        let predicate = netscope::engine::Predicate::new(|record, _| record.tcp.is_some());
        let few = FlowQuestion { predicate: Some(predicate), limit: 3, ..ALL };
        let by: SortKey = SortKey::By(Arc::new(|record| u64::MAX - record.first_packet));
        let awaited = [
            ask(questions, few.clone()),
            ask(questions, FlowQuestion { with_ended: false, ..ALL }),
            ask(questions, FlowQuestion { with_live: false, ..ALL }),
            ask(questions, FlowQuestion { sort: by, limit: 5, ..ALL }),
        ];
        let [few, alive, ended_alone, first] = awaited.map(|awaited| answer(&awaited).expect("flows"));
        let tcp: Vec<_> = found.flows.iter().filter(|flow| flow.record.tcp.is_some()).collect();
        assert_eq!((few.matched.flows, few.flows.len()), (tcp.len() as u64, 3));
        assert!(few.flows.iter().zip(&tcp).all(|(few, tcp)| few.record.first_packet == tcp.record.first_packet));
        assert_eq!((alive.flows.len(), ended_alone.flows.len()), (live.len(), ended.len()));
        assert_eq!(
            first.flows[0].record.first_packet,
            found.flows.iter().map(|flow| flow.record.first_packet).min().expect("flows")
        );
        assert!(!ask_history(questions).expect("it is kept").traffic.seconds.is_empty());
    });
    assert!(outcome.errors.is_empty());
    assert_eq!(answer(&ask(&questions, ALL)).map(|found| found.flows.len()), Err(NoAnswer::Over));
    assert_eq!(ask_history(&questions).map(|_| ()), Err(NoAnswer::Over));
}

/// A TCP segment from 10.0.0.1 to port 443 of 10.0.0.2, so many seconds after the first one.
fn segment(port: u16, flags: u8, sequence: u32, payload: &[u8], seconds: u64) -> OwnedPacket {
    let ip_len = (40 + payload.len()) as u16;
    let mut data = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    data.extend(ip_len.to_be_bytes());
    data.extend([0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    data.extend(port.to_be_bytes());
    data.extend(443_u16.to_be_bytes());
    data.extend(sequence.to_be_bytes());
    data.extend([0, 0, 0, 0, 0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    data.extend(payload);
    let time = Timestamp((1_700_000_000 + seconds) * Timestamp::NS_PER_SEC);
    OwnedPacket { time, wire_len: data.len() as u32, link_type: LinkType::ETHERNET, data }
}

/// A ClientHello that asks for a host, in a record.
fn client_hello(host: &str) -> Vec<u8> {
    let sized = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let names = sized(&[&[0][..], &sized(host.as_bytes())].concat());
    let extensions = sized(&[&[0, 0][..], &sized(&names)].concat());
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 0x01, 1, 0], &extensions].concat();
    let message = [&[1, 0][..], &sized(&body)].concat();
    [&[22, 3, 1][..], &sized(&message)].concat()
}

const SYN: u8 = 2;
const RST: u8 = 4;
const PUSH_ACK: u8 = 0x18;

#[test]
fn flows_are_found_by_what_they_carry_whether_they_live_or_have_ended() {
    let stop = Stop::default();
    let mut packets = Vec::new();
    for (port, host) in [(40_000, "alive.example.com"), (40_001, "ended.example.com")] {
        packets.push(segment(port, SYN, 100, &[], 0));
        packets.push(segment(port, PUSH_ACK, 101, &client_hello(host), 0));
    }
    packets.push(segment(40_002, PUSH_ACK, 1, b"nothing that is known", 0));
    packets.push(segment(40_001, RST, 101 + client_hello("ended.example.com").len() as u32, &[], 1));
    // The flow that was reset ends after 10 s, the others after 60.
    packets.push(segment(40_002, PUSH_ACK, 22, b"and nothing again", 30));
    let count = packets.len() as u64;
    let mut session = session(vec![quiet(packets)], false);
    session.engine.flow.inspection = InspectionSettings { enabled: true, ..InspectionSettings::default() };
    let (_, outcome) = asking(session, &stop, |questions| {
        settled(questions, count);
        let by = |filter: &str| {
            let predicate = FlowFilter::parse(filter).expect("a filter").predicate(RecordContext::default());
            let found = answer(&ask(questions, FlowQuestion { predicate, ..ALL })).expect("flows");
            let name = |flow: &FoundFlow| match flow.facts.facts().get(fact_id("tls", "sni")) {
                Some(FactValue::Text(name)) => String::from_utf8(name.to_vec()).expect("a name"),
                _ => String::new(),
            };
            let mut flows: Vec<(String, bool)> = found.flows.iter().map(|flow| (name(flow), flow.is_alive)).collect();
            flows.sort_unstable();
            assert_eq!(found.matched.flows, flows.len() as u64);
            flows
        };
        let (alive, ended) = (("alive.example.com".to_owned(), true), ("ended.example.com".to_owned(), false));
        let since = Instant::now();
        while by("sni:ended*") != std::slice::from_ref(&ended) {
            assert!(since.elapsed() < ANSWER_LIMIT, "{:?}", by("sni:ended*"));
        }
        assert_eq!(by("sni:*.example.com"), [alive.clone(), ended.clone()]);
        assert_eq!(by("sni:alive*"), std::slice::from_ref(&alive));
        assert_eq!(by("!sni:*"), [(String::new(), true)]);
        assert_eq!(by(""), [(String::new(), true), alive.clone(), ended.clone()]);
        assert_eq!(by("app:tls"), [alive, ended]);
    });
    assert!(outcome.errors.is_empty());
}

/// The same packets of a wire that ends.
fn quiet_until_the_end(packets: Vec<OwnedPacket>) -> Box<dyn Backend> {
    Box::new(netscope_backends::memory::MemoryBackend::new(LinkType::ETHERNET, packets))
}

#[test]
fn a_queue_that_stands_still_makes_no_question_wait_for_long() {
    let stop = Stop::default();
    let still = QuietWire { packets: VecDeque::new(), received: 0, stands_still: Some(stop.clone()) };
    let queues = vec![quiet(packets()), Box::new(still) as Box<dyn Backend>];
    let (_, outcome) = asking(session(queues, false), &stop, |questions| {
        // More than the requests that may wait for a worker.
        for _ in 0..6 {
            let found = answer(&ask(questions, FlowQuestion { limit: 1, ..ALL })).expect("what there is");
            assert!(!found.is_whole);
        }
        assert_eq!(ask_history(questions).map(|_| ()), Err(NoAnswer::NotKept));
    });
    assert!(outcome.errors.is_empty());
}

#[test]
fn nothing_is_looked_for_once_whoever_asked_is_gone() {
    let stop = Stop::default();
    let still = QuietWire { packets: VecDeque::new(), received: 0, stands_still: Some(stop.clone()) };
    let queues = vec![quiet(packets()), Box::new(still) as Box<dyn Backend>];
    let (_, outcome) = asking(session(queues, false), &stop, |questions| {
        // One queue does not answer, so each question that is asked takes a second.
        let since = Instant::now();
        let asked = (0..20).map(|_| {
            let asker = Arc::new(());
            (ask(questions, FlowQuestion { asker: Some(Arc::downgrade(&asker)), ..ALL }), asker)
        });
        let (gone, askers): (Vec<_>, Vec<_>) = asked.unzip();
        drop(askers);
        let asker = Arc::new(());
        let found = answer(&ask(questions, FlowQuestion { asker: Some(Arc::downgrade(&asker)), ..ALL })).expect("it is awaited");
        assert!(!found.is_whole && since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
        assert!(gone.iter().all(|gone| answer(gone).map(|_| ()) == Err(NoAnswer::GivenUp)));
    });
    assert!(outcome.errors.is_empty());
}

#[test]
fn each_question_is_answered_however_the_run_ends() {
    let stop = Stop::default();
    let still = QuietWire { packets: VecDeque::new(), received: 0, stands_still: Some(stop.clone()) };
    let mut awaited = Vec::new();
    asking(session(vec![Box::new(still)], false), &stop, |questions| {
        awaited.extend((0..300).map(|_| ask(questions, ALL)));
    });
    let answers: Vec<_> = awaited.iter().map(|awaited| answer(awaited).map(|_| ())).collect();
    let count = |which| answers.iter().filter(|answer| **answer == Err(which)).count();
    assert!(count(NoAnswer::Busy) > 0, "300 are too many");
    assert!(count(NoAnswer::Over) > 0, "{answers:?}");
    assert_eq!(count(NoAnswer::Busy) + count(NoAnswer::Over), 300, "{answers:?}");
}
