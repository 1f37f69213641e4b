//! A run that is played: reports, alerts, packets, and a thread that answers questions as the aggregator does.

use crate::aggregate::{
    Distribution, DistributionKind, EndedSlot, FlowTotals, FlowsFound, FoundFlow, HistorySnapshot, NoAnswer, Output, Question,
    Questions, Report, Summary, Table, Tally, TimelineSlots, TopList, TrafficSlot,
};
use crate::dashboard::{
    Answering, ApiBody, ApiRequest, ApiResponse, Board, Method, Page, PageApi, PageFacts, PageHooks, PageSettings, PageSource,
    RecordStyle, Role,
};
use crate::detect::{Alert, AlertPhase, AlertSeverity, AlertSubject, SamplePacket};
use crate::engine::{PacketConsumer, SortKey};
use crate::flow::{Direction, FactBuffer, FlowFacts, TopFlow};
use crate::record::fact_id;
use crate::record::test_records::{icmp_record, tcp_record, udp6_record};
use netscope_backends::{Counters, LinkType, Packet, RingFill, Timestamp};
use serde_json::Value;
use std::cmp::Reverse;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub const SECOND: u64 = Timestamp::NS_PER_SEC;
/// Packet time of the latest report.
pub const NOW: Timestamp = Timestamp(1_764_500_042 * SECOND);

/// A UDP datagram from 10.0.0.1:12345 to 192.0.2.80:80 in Ethernet.
pub const UDP_FRAME: [u8; 46] = [
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 80, 0x30, 0x39,
    0, 80, 0, 12, 0, 0, b'<', b'b', b'>', 0x1b,
];

/// The run.
pub struct Played {
    pub board: Arc<Board>,
    pub page: Page,
    /// Questions about flows that were answered.
    pub asked: Arc<AtomicU64>,
    runtime: tokio::runtime::Runtime,
    answering: Option<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
    refuses: Arc<AtomicBool>,
}

/// Three flows, of which the first is alive and asked for a host by TLS, and the second for one by DNS.
pub fn flows() -> Vec<FoundFlow> {
    let [mut tls, mut dns] = [FactBuffer::default(), FactBuffer::default()];
    assert!(tls.text(fact_id("app", "protocol"), b"tls") && tls.text(fact_id("tls", "sni"), b"www.example.com"));
    assert!(dns.text(fact_id("app", "protocol"), b"dns") && dns.list(fact_id("dns", "name"), [b"mail.example.com".as_slice()]));
    vec![
        FoundFlow::new(tcp_record(), true, tls.facts().into()),
        FoundFlow::new(udp6_record(), false, dns.facts().into()),
        FoundFlow::new(icmp_record(), false, FlowFacts::default()),
    ]
}

pub fn source(is_file: bool) -> PageSource {
    PageSource {
        is_file,
        name: "eth1".to_owned(),
        interfaces: vec!["eth1".to_owned()],
        queue_interfaces: vec![0],
        backend: "tpacket".to_owned(),
        ring_unit: Some("blocks"),
        link_speed_bps: Some(10_000_000_000),
        replay_speed: None,
    }
}

pub fn facts(is_file: bool) -> PageFacts {
    PageFacts {
        version: "0.1.0",
        host: "probe-01".to_owned(),
        started: Timestamp(1_764_500_000 * SECOND),
        source: source(is_file),
        has_directions: true,
        has_detection: true,
        config_text: "[web]\nenabled = true\n".to_owned(),
        config: serde_json::json!({"web": {"enabled": true}}),
        config_mutes: Vec::new(),
    }
}

pub fn settings() -> PageSettings {
    PageSettings {
        tick_ns: SECOND,
        top_n: 10,
        top_count: 200,
        packet_buffer: 150,
        sample_rate: 1,
        payload_bytes: 256,
        records: RecordStyle::default(),
        has_history: true,
        has_facts: true,
    }
}

impl Played {
    /// A run of which nothing was told yet.
    pub fn new(facts: PageFacts, hooks: PageHooks) -> Self {
        Self::with_settings(settings(), facts, hooks)
    }

    pub fn with_settings(settings: PageSettings, facts: PageFacts, hooks: PageHooks) -> Self {
        let questions = hooks.questions.clone();
        let board = Board::new(settings, facts, hooks).expect("random bits");
        let asked = Arc::new(AtomicU64::new(0));
        let (is_over, refuses) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let answering = {
            let (asked, is_over, refuses) = (Arc::clone(&asked), Arc::clone(&is_over), Arc::clone(&refuses));
            thread::spawn(move || answer_all(&questions, &asked, &is_over, &refuses))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let page = Page::new(Arc::clone(&board));
        Self { board, page, asked, runtime, answering: Some(answering), is_over, refuses }
    }

    /// A run in which something of everything has happened.
    pub fn full(hooks: PageHooks) -> Self {
        let played = Self::new(facts(false), hooks);
        let mut output = played.board.output();
        for second in [1, 0] {
            let time = Timestamp(NOW.0 - second * SECOND);
            output.shared_report(&Arc::new(report(time))).expect("no output fails here");
        }
        output.alert(&alert(AlertPhase::Begin)).expect("no output fails here");
        let mut sampler = played.board.sampler();
        for number in 1..=200 {
            sampler.packet(number, None, &packet(&UDP_FRAME)).expect("no sampler fails here");
        }
        played
    }

    /// Asks, and waits for the answer.
    pub fn ask(&self, method: Method, path: &str, query: &[(&str, &str)], body: &str, accept: &str) -> ApiResponse {
        self.runtime.block_on(self.page.answer(request(method, path, query, body, accept)))
    }

    /// Asks, and goes as far as that goes without waiting.
    pub fn begin<'a>(&'a self, path: &str, query: &[(&str, &str)]) -> Answering<'a> {
        let mut answering = self.page.answer(request(Method::Get, path, query, "", ""));
        let is_done = self.runtime.block_on(poll_fn(|context| Poll::Ready(answering.as_mut().poll(context).is_ready())));
        assert!(!is_done, "it waits");
        answering
    }

    /// Does heavy work, and goes as far as that goes without waiting.
    pub fn begin_heavy<'a>(&'a self, work: impl FnOnce() + Send + 'static) -> Pin<Box<dyn Future<Output = bool> + 'a>> {
        let work = || {
            work();
            Ok(())
        };
        let mut working: Pin<Box<dyn Future<Output = bool> + 'a>> = Box::pin(async { self.board.heavy(work).await.is_ok() });
        let is_done = self.runtime.block_on(poll_fn(|context| Poll::Ready(working.as_mut().poll(context).is_ready())));
        assert!(!is_done, "it waits");
        working
    }

    /// Waits a little for this.
    pub fn in_time<T>(&self, waited: impl Future<Output = T>, time: Duration) -> Option<T> {
        self.runtime.block_on(async { tokio::time::timeout(time, waited).await.ok() })
    }

    /// Waits for an answer.
    pub fn wait(&self, answering: Answering<'_>) -> ApiResponse {
        self.runtime.block_on(answering)
    }

    /// Asks for JSON.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> (u16, Value) {
        self.json(Method::Get, path, query, "")
    }

    /// The same by any method and with a body.
    pub fn json(&self, method: Method, path: &str, query: &[(&str, &str)], body: &str) -> (u16, Value) {
        let response = self.ask(method, path, query, body, "");
        let status = response.status;
        let bytes = self.body(response);
        let value = serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| panic!("{path} gives no JSON: {error}: {}", String::from_utf8_lossy(&bytes)));
        (status, value)
    }

    /// All bytes of an answer.
    pub fn body(&self, response: ApiResponse) -> Vec<u8> {
        match response.body {
            ApiBody::Full(bytes) => bytes.to_vec(),
            ApiBody::Stream(mut pieces) => self.runtime.block_on(async {
                let mut all = Vec::new();
                while let Some(piece) = pieces.recv().await {
                    all.extend_from_slice(&piece.expect("a whole file"));
                }
                all
            }),
        }
    }

    /// From now on questions are refused, as the run is over.
    pub fn refuse(&self) {
        self.refuses.store(true, Ordering::Relaxed);
    }

    /// The run ends with these flows.
    pub fn end(&self, flows: impl IntoIterator<Item = FoundFlow>) {
        let table: Table = flows.into_iter().map(|flow| (flow.record, flow.facts)).collect();
        let end = Arc::new((table, Summary::default()));
        let mut output = self.board.output();
        output.history(&history(), true).expect("no output fails here");
        output.shared_finish(&end).expect("no output fails here");
    }
}

fn request(method: Method, path: &str, query: &[(&str, &str)], body: &str, accept: &str) -> ApiRequest {
    ApiRequest {
        method,
        path: path.to_owned(),
        query: query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.to_owned().into(),
        accept: accept.to_owned(),
        role: Role::Download,
        user: Some("ada".to_owned()),
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(answering) = self.answering.take() {
            // A panic of that thread fails the test by the answers that are missing.
            let _ = answering.join();
        }
    }
}

/// Answers as the aggregator does, of the three flows.
fn answer_all(questions: &Questions, asked: &AtomicU64, is_over: &AtomicBool, refuses: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        match questions.take() {
            Some(question) if refuses.load(Ordering::Relaxed) => question.refuse(NoAnswer::Over),
            Some(Question::Flows(question, reply)) => {
                asked.fetch_add(1, Ordering::Relaxed);
                let wants = |flow: &FoundFlow| {
                    (if flow.is_alive { question.with_live } else { question.with_ended })
                        && question.predicate.as_ref().is_none_or(|predicate| predicate.is_true(&flow.record, flow.facts.facts()))
                };
                let mut found: Vec<_> = flows().into_iter().filter(wants).collect();
                let matched = found.iter().fold(FlowTotals::default(), |sum, FoundFlow { record, .. }| FlowTotals {
                    flows: sum.flows + 1,
                    packets: sum.packets + SortKey::Packets.of(record, true),
                    bytes: sum.bytes + SortKey::Bytes.of(record, true),
                });
                found.sort_by_key(|flow| Reverse(question.sort.of(&flow.record, flow.is_alive)));
                found.truncate(question.limit);
                reply(Ok(FlowsFound { time: NOW, flows: found, facts_left_out: 0, matched, looked_at: 3, is_whole: true }));
            }
            Some(Question::History(reply)) => reply(Ok(history())),
            #[allow(unreachable_patterns, reason = "questions of other kinds may come")]
            Some(other) => other.refuse(NoAnswer::NotKept),
            None => thread::sleep(Duration::from_millis(1)),
        }
    }
}

pub fn packet(data: &[u8]) -> Packet<'_> {
    Packet { data, time: NOW, wire_len: data.len() as u32, link_type: LinkType::ETHERNET }
}

/// A tick in which the TCP flow sent.
pub fn report(time: Timestamp) -> Report {
    let record = tcp_record();
    let top = TopFlow {
        key: record.key,
        packets: record.packets,
        bytes: record.bytes,
        delta_bytes: 2000,
        first_seen: record.first_seen,
        last_seen: record.last_seen,
        tcp: record.tcp,
    };
    let mut report = Report {
        tick: time.0 / SECOND,
        time,
        interval_ns: SECOND,
        packets: 10,
        bytes: 4000,
        packets_total: 100,
        bytes_total: 50_000,
        active_flows: 3,
        top: vec![top],
        ..Report::default()
    };
    report.totals.source = Counters { received: 110, kernel_drops: 3, interface_drops: 2, ..Counters::default() };
    report.totals.ledger.packets = 100;
    report.totals.ledger.in_flows = 100;
    report.totals.ledger.samples_skipped = 5;
    report.directions[0].bytes = 3000;
    report.totals.flows.opened = 7;
    let queue = crate::aggregate::QueueReport {
        packets: 100,
        ring: Some(RingFill { size: 64, waiting: 2, waiting_max: 9 }),
        ..Default::default()
    };
    report.totals.queues = vec![queue];
    report.outputs = vec![Default::default()];
    report
}

/// A scan of the TCP flow's server.
pub fn alert(phase: AlertPhase) -> Alert {
    let host: IpAddr = "10.0.0.2".parse().expect("an address");
    let sample = SamplePacket { number: 5, key: tcp_record().key, initiator: Direction::BToA };
    Alert {
        time: NOW,
        began: NOW,
        severity: AlertSeverity::High,
        description: "port scan <b>\u{202e}\u{1b}[31m".to_owned(),
        key: "port_scan 10.0.0.0/24".to_owned(),
        attacker: Some(AlertSubject::host(host.into())),
        details: vec![("name", "<script>alert(1)</script>".to_owned())],
        samples: vec![sample],
        ..Alert::bare("port_scan", "vertical", phase)
    }
}

fn list<K>(best: Vec<(K, Tally)>) -> TopList<K> {
    TopList { best: best.into(), others: Tally::default(), cut: 0 }
}

/// A history of one second.
pub fn history() -> HistorySnapshot {
    let second = Timestamp(NOW.0 - SECOND);
    let minute = Timestamp(second.0 / (60 * SECOND) * 60 * SECOND);
    let traffic = Arc::new(TrafficSlot { packets: 10, bytes: 4000, ..TrafficSlot::default() });
    let tally = Tally { bytes: 300, packets: 2, flows: 1, ..Tally::default() };
    let (mut rtt, record) = (Distribution::new(DistributionKind::Rtt), udp6_record());
    rtt.add(2000, 3);
    let (a, b) = record.key.hosts();
    let ended = Arc::new(EndedSlot {
        total: tally,
        ports: list(vec![((17, 53), tally)]),
        hosts: list(vec![(a, tally), (b, tally)]),
        flows: list(vec![(record.key, tally)]),
        rtt: rtt.keep(),
        durations: Distribution::new(DistributionKind::FlowDuration).keep(),
    });
    HistorySnapshot {
        traffic: TimelineSlots { seconds: vec![(second, Arc::clone(&traffic))], minutes: vec![(minute, traffic)] },
        ended: TimelineSlots { seconds: vec![(second, Arc::clone(&ended))], minutes: vec![(minute, ended)] },
        alerts: TimelineSlots { seconds: Vec::new(), minutes: Vec::new() },
    }
}
