//! The sequence analysis against what tshark found in the same captures.
//!
//! The captures are where `NETSCOPE_CORPUS` says, or in `../shared/corpus`: `captures/NAME` with `truth/NAME.json`. Without them
//! the test says so and passes, but not in CI. To look closer: `TCP_TRUTH_DEBUG=1` prints every flow that differs,
//! `TCP_TRUTH_PACKETS=1` every segment with what was counted for it, `TCP_TRUTH_ONLY=text` takes only captures whose name
//! contains the text (and asserts nothing).

use netscope::flow::tcp::{Analysed, TcpAnalysis, TcpArena, TcpBeginning, TcpConnection, TcpSequences, TcpTracker};
use netscope::flow::{Direction, FlowKey, TcpRecord};
use netscope::wire::{IpVersion, Network, PlainSegment, Ports, SynSegment, TcpSegment, Transport, dissect};
use netscope_backends::file::{CaptureFile, FileOptions};
use netscope_backends::{Backend, Polled, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

type TcpCounter = fn(&TcpRecord) -> u32;

/// The names tshark gives to what a record counts.
const COUNTS: [(&str, TcpCounter); 9] = [
    ("retransmission", |r| r.retransmissions),
    ("out_of_order", |r| r.out_of_order),
    ("fast_retransmission", |r| r.fast_retransmissions),
    ("spurious_retransmission", |r| r.spurious_retransmissions),
    ("lost_segment", |r| r.lost_segments),
    ("ack_lost_segment", |r| r.ack_lost_segments),
    ("duplicate_ack", |r| r.duplicate_acks),
    ("keep_alive", |r| r.keep_alives),
    ("zero_window", |r| r.zero_windows),
];

/// All records of one 5-tuple: a tuple that is used again gives several.
type TupleRecords = HashMap<FlowKey, Vec<TcpRecord>>;

/// The parts of one connection.
struct Parts {
    connection: TcpConnection,
    beginning: TcpBeginning,
    sequences: TcpSequences,
    clock: u64,
}

impl Parts {
    const BLANK: Self =
        Self { connection: TcpConnection::BLANK, beginning: TcpBeginning::UNKNOWN, sequences: TcpSequences::BLANK, clock: 0 };

    fn opened(segment: &TcpSegment, direction: Direction, time: Timestamp) -> Self {
        let mut parts = Self::BLANK;
        parts.tracker().open(segment, direction, time);
        parts
    }

    const fn tracker(&mut self) -> TcpTracker<'_> {
        let analysed = Some(Analysed { sequences: &mut self.sequences, clock: &mut self.clock });
        TcpTracker { connection: &mut self.connection, beginning: &mut self.beginning, analysed }
    }

    fn record(&self, arena: &TcpArena) -> TcpRecord {
        let mut record = self.beginning.record(&self.connection);
        self.sequences.complete(&mut record, arena);
        record.handshake_rtt_ns = self.connection.handshake_rtt_ns(self.clock);
        record
    }
}

/// Connections by tuple, with one arena for all.
struct Tracking {
    open: HashMap<FlowKey, Parts>,
    records: TupleRecords,
    arena: TcpArena,
    packet: u64,
    print: bool,
    /// The fast paths first.
    is_fast: bool,
    /// Segments that one took.
    taken: u64,
}

impl Tracking {
    fn segment(&mut self, network: &Network, segment: &TcpSegment, time: Timestamp) {
        let (key, direction) = FlowKey::new(network, segment.ports);
        let is_new = !self.open.contains_key(&key);
        let parts = self.open.entry(key).or_insert_with(|| Parts::opened(segment, direction, time));
        if parts.tracker().reopens(segment, direction, time, &self.arena) {
            self.records.entry(key).or_default().push(parts.record(&self.arena));
            parts.sequences.release(&mut self.arena);
            *parts = Parts::opened(segment, direction, time);
        }
        let before = parts.record(&self.arena);
        let analysis = &TcpAnalysis::default();
        let begun = SynSegment::of(segment).filter(|syn| self.is_fast && is_new && !syn.is_answer());
        if let Some(syn) = begun {
            *parts = Parts::BLANK;
            parts.tracker().begin(&syn, direction, time, analysis);
            self.taken += 1;
        } else if self.is_fast && takes_fast_path(parts, segment, direction, time, &mut self.arena) {
            self.taken += 1;
        } else {
            parts.tracker().observe(segment, direction, time, &mut self.arena, analysis);
        }
        if self.print {
            let after = parts.record(&self.arena);
            let found: String = COUNTS.iter().filter(|(_, f)| f(&after) != f(&before)).map(|(n, _)| format!(" {n}")).collect();
            let (ports, s) = (segment.ports, segment);
            println!(
                "{} {:.6} {}>{} seq {} len {} ack {} win {} flags {:x} sack {}:{found}",
                self.packet,
                time.0 as f64 / 1e9,
                ports.source,
                ports.destination,
                s.sequence,
                s.payload_len,
                s.acknowledgment,
                s.window,
                s.flags.0,
                s.options.sack_count
            );
        }
    }
}

/// By the fast path that takes the segment, in the order of the flow table.
fn takes_fast_path(parts: &mut Parts, segment: &TcpSegment, direction: Direction, time: Timestamp, arena: &mut TcpArena) -> bool {
    let (analysis, is_steady) = (&TcpAnalysis::default(), parts.connection.is_steady());
    let mut tracker = parts.tracker();
    match (PlainSegment::of(segment), SynSegment::of(segment), PlainSegment::last_of(segment)) {
        (Some(plain), ..) if is_steady => {
            tracker.take_in_plain::<false>(&plain, direction, time, arena, analysis)
                || tracker.observe_loss(&plain, direction, time, arena, analysis).is_some()
        }
        (Some(plain), ..) => {
            tracker.observe_first_ack(&plain, direction, time, arena, analysis)
                || tracker.observe_closing(&plain, direction, time, arena, analysis)
        }
        (_, Some(syn), _) => tracker.observe_syn(&syn, direction, time, analysis),
        (.., Some(last)) => tracker.observe_closing(&last, direction, time, arena, analysis),
        _ => false,
    }
}

/// What came of a capture.
struct Tracked {
    records: TupleRecords,
    arena: TcpArena,
    /// Segments that a fast path took.
    taken: u64,
}

/// Everything tracked in a capture; `None` when it is no capture we read.
fn track(capture: &Path, is_fast: bool) -> Option<Tracked> {
    let mut backend = CaptureFile::open(capture, &FileOptions::default()).and_then(|file| file.backend()).ok()?;
    let print = std::env::var_os("TCP_TRUTH_PACKETS").is_some();
    let mut tracking = Tracking {
        open: HashMap::new(),
        records: TupleRecords::new(),
        arena: TcpArena::with_capacity(0),
        packet: 0,
        print,
        is_fast,
        taken: 0,
    };
    loop {
        let polled = backend.poll(Duration::from_secs(5), &mut |batch| {
            for packet in batch {
                tracking.packet += 1;
                let facts = dissect(packet.link_type, packet.data, packet.wire_len);
                if let (Some(network), Transport::Tcp(segment)) = (facts.network, facts.transport) {
                    tracking.segment(&network, &segment, packet.time);
                }
            }
        });
        // Damage is reported once, after all that could be read.
        if matches!(polled, Ok(Polled::End) | Err(_)) {
            break;
        }
    }
    let Tracking { mut open, mut records, mut arena, taken, .. } = tracking;
    for (key, parts) in &mut open {
        records.entry(*key).or_default().push(parts.record(&arena));
        parts.sequences.release(&mut arena);
    }
    assert_eq!(arena.flow_count(), 0, "all side memory comes back");
    Some(Tracked { records, arena, taken })
}

fn key_of(flow: &Value) -> FlowKey {
    let end = |side: &str| {
        let ip: IpAddr = flow[side]["ip"].as_str().expect("ip").parse().expect("ip");
        let (mut bytes, version) = ([0; 16], if ip.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 });
        match ip {
            IpAddr::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes = ip.octets(),
        }
        (bytes, version, flow[side]["port"].as_u64().expect("port") as u16)
    };
    let ((source, version, a), (destination, _, b)) = (end("a"), end("b"));
    let network = Network { version, protocol: 6, ttl: 0, traffic_class: 0, source, destination, fragment: None };
    FlowKey::new(&network, Ports { source: a, destination: b }).0
}

/// States a flow with these control bits may end in.
fn acceptable_states(flow: &Value) -> Vec<&'static str> {
    let of = |side: &str, name: &str| flow[side][name].as_u64().unwrap_or(0);
    let count = |name: &str| of("flags_ab", name) + of("flags_ba", name);
    let fins = ["flags_ab", "flags_ba"].map(|side| of(side, "fin") > 0);
    let mut states = vec![];
    if count("rst") > 0 {
        states.extend(["reset", "closed"]);
    }
    if fins == [true; 2] {
        states.push("closed");
    }
    if fins != [false; 2] {
        states.push("fin_wait");
    }
    let plain = count("ack") > count("synack");
    if states.is_empty() {
        states.push(match (plain, count("synack") > 0, count("synonly") > 0) {
            (true, _, _) => "established",
            (false, true, _) => "syn_ack",
            (false, false, true) => "syn_sent",
            _ => "unknown",
        });
    }
    if plain && !(count("synonly") > 0 && count("synack") > 0) {
        states.extend(["unknown", "syn_sent", "syn_ack"]);
    }
    states
}

/// How many of how many agree.
#[derive(Clone, Copy, Default)]
struct AgreeingShare {
    good: u64,
    all: u64,
}

impl AgreeingShare {
    fn percent(self) -> f64 {
        if self.all == 0 { 100.0 } else { 100.0 * self.good as f64 / self.all as f64 }
    }
}

/// Agreement by metric.
#[derive(Default)]
struct Score(BTreeMap<&'static str, AgreeingShare>);

impl Score {
    fn note(&mut self, metric: &'static str, good: bool) {
        let share = self.0.entry(metric).or_default();
        share.good += u64::from(good);
        share.all += 1;
    }

    fn percent(&self, metric: &str) -> f64 {
        self.0.get(metric).copied().unwrap_or_default().percent()
    }

    fn add(&mut self, other: &Self) {
        for (metric, share) in &other.0 {
            let total = self.0.entry(metric).or_default();
            total.good += share.good;
            total.all += share.all;
        }
    }
}

/// Within 1 ms or 10 %.
fn near(truth: f64, ours: f64) -> bool {
    (truth - ours).abs() <= (0.1 * truth).max(1.0)
}

fn compare_counts(flow: &Value, records: &[TcpRecord], score: &mut Score, differences: &mut Vec<String>) {
    let sum = |count: TcpCounter| records.iter().map(|r| u64::from(count(r))).sum::<u64>();
    let (mut truth_both, mut our_both) = (0, 0);
    for (i, (name, count)) in COUNTS.into_iter().enumerate() {
        let (truth, ours) = (flow["analysis"][name].as_u64().unwrap_or(0), sum(count));
        score.note(name, truth == ours);
        if truth != ours {
            differences.push(format!("{name} {truth}, ours {ours}"));
        }
        if i < 2 {
            truth_both += truth;
            our_both += ours;
        }
    }
    score.note("retransmission + out_of_order", truth_both == our_both);
}

fn compare_rest(flow: &Value, records: &[TcpRecord], score: &mut Score, differences: &mut Vec<String>) {
    let truth: Vec<f64> = flow["initial_rtt_ms"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let ours: Vec<f64> = records.iter().filter_map(|r| r.handshake_rtt_ns).map(|ns| ns as f64 / 1e6).collect();
    // The reference takes a round trip of 0 for none and reports a later exchange.
    if !truth.is_empty() && ours.contains(&0.0) {
        score.note("handshake in one instant", true);
    } else if !truth.is_empty() {
        let good = ours.iter().any(|o| truth.iter().any(|t| near(*t, *o)));
        score.note("handshake rtt", good);
        if !good {
            differences.push(format!("handshake rtt {truth:?}, ours {ours:?}"));
        }
    }
    if let Some(truth) = flow["ack_rtt_ms"]["min"].as_f64() {
        let ours = records.iter().filter_map(|r| r.rtt).map(|r| r.min_ns as f64 / 1e6).reduce(f64::min);
        let good = ours.is_some_and(|ours| near(truth, ours));
        score.note("rtt min", good);
        if !good {
            differences.push(format!("rtt {}, ours at least {ours:?}", flow["ack_rtt_ms"]));
        }
    }
    if let Some(truth) = flow["client"].as_str().filter(|_| flow["a"] != flow["b"]) {
        let ours = records.iter().find_map(|r| r.client).map(|d| if d == Direction::AToB { "ab" } else { "ba" });
        score.note("client", ours == Some(truth));
        if ours != Some(truth) {
            differences.push(format!("client {truth}, ours {ours:?}"));
        }
    }
    let states: Vec<_> = records.iter().map(|r| r.state.name()).collect();
    let good = states.iter().any(|s| acceptable_states(flow).contains(s));
    score.note("state", good);
    if !good {
        differences.push(format!("state {:?}, ours {states:?}", acceptable_states(flow)));
    }
}

/// Compares one capture; flows with cut headers or an unusual link layer are left out, for their segments are not all read.
fn compare(name: &str, truth: &Value, records: &TupleRecords) -> (Score, u64) {
    let (mut score, mut missing) = (Score::default(), 0);
    let flows = truth["flows_inner"].as_array().or(truth["flows"].as_array()).expect("flows");
    for flow in flows.iter().filter(|f| f["proto"] == "tcp") {
        let neutral = ["short_packets", "unusual_link_packets"].iter().any(|k| flow[*k].as_u64().unwrap_or(0) > 0);
        if neutral {
            continue;
        }
        let Some(ours) = records.get(&key_of(flow)) else {
            missing += 1;
            continue;
        };
        let mut differences = vec![];
        compare_counts(flow, ours, &mut score, &mut differences);
        compare_rest(flow, ours, &mut score, &mut differences);
        if !differences.is_empty() && std::env::var_os("TCP_TRUTH_DEBUG").is_some() {
            println!("{name}: {} {}: {}", flow["a"], flow["b"], differences.join("; "));
        }
    }
    (score, missing)
}

#[test]
fn agrees_with_tshark() {
    let corpus = match std::env::var_os("NETSCOPE_CORPUS") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"),
    };
    if !corpus.join("truth").is_dir() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no corpus at {}", corpus.display());
        println!("skipped: no corpus at {}", corpus.display());
        return;
    }
    let only = std::env::var("TCP_TRUTH_ONLY").unwrap_or_default();
    let (mut total, mut captures, mut missing, mut taken) = (Score::default(), 0, 0, 0);
    let mut means: BTreeMap<&'static str, f64> = BTreeMap::new();
    for folder in ["", "derived", "malformed"] {
        for entry in std::fs::read_dir(corpus.join("truth").join(folder)).expect("truth") {
            let path = entry.expect("entry").path();
            let name = path.file_stem().and_then(|s| s.to_str()).expect("name").to_owned();
            if path.is_dir() || !name.contains(&only) {
                continue;
            }
            let truth: Value = serde_json::from_slice(&std::fs::read(&path).expect("truth")).expect("truth");
            let capture = corpus.join("captures").join(folder).join(&name);
            let Some(Tracked { records, arena, .. }) = track(&capture, false) else { continue };
            let fast = track(&capture, true).expect("read before");
            taken += fast.taken;
            assert!(records == fast.records, "{name}: the fast paths leave other records than the slow path");
            let (score, absent) = compare(&name, &truth, &records);
            missing += absent;
            if arena.gaps_forgotten() + absent > 0 {
                println!("{name}: {} gaps forgotten, {absent} flows not found", arena.gaps_forgotten());
            }
            if !score.0.is_empty() {
                captures += 1;
                for (metric, share) in &score.0 {
                    *means.entry(metric).or_default() += share.percent();
                }
                // A metric that no flow of the capture has counts as good, so that all means are over the same captures.
                for metric in ["handshake rtt", "client"].into_iter().filter(|m| !score.0.contains_key(m)) {
                    *means.entry(metric).or_default() += 100.0;
                }
                total.add(&score);
            }
        }
    }
    println!("{captures} captures, {missing} flows not found; {taken} segments took a fast path, too");
    for (metric, share) in &total.0 {
        println!("{metric}: {}/{} flows, {:.3} %", share.good, share.all, share.percent());
    }
    if only.is_empty() {
        assert!(taken > 30_000, "only {taken} segments took a fast path");
        assert_agreement(&total, &means, captures);
    }
}

fn assert_agreement(total: &Score, means: &BTreeMap<&'static str, f64>, captures: u32) {
    assert!(captures >= 80, "only {captures} captures could be compared");
    // Two captures have a clock of 10 ms and of 1 s.
    assert_eq!(total.0["handshake in one instant"].all, 20);
    for (metric, least) in [
        ("retransmission", 99.5),
        ("out_of_order", 99.5),
        ("retransmission + out_of_order", 99.5),
        ("lost_segment", 99.5),
        ("duplicate_ack", 99.5),
        ("handshake rtt", 99.5),
        ("client", 100.0),
        ("state", 100.0),
        ("rtt min", 98.0),
    ] {
        assert!(total.percent(metric) >= least, "{metric}: {:.3} % of the flows agree", total.percent(metric));
    }
    for metric in ["retransmission", "out_of_order", "retransmission + out_of_order", "handshake rtt", "client"] {
        let mean = means[metric] / f64::from(captures);
        println!("{metric}: mean over captures {mean:.3} %");
        assert!(mean >= 98.0, "{metric}: {mean:.3} % in the mean over captures");
    }
}
