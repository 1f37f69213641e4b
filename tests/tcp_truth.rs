//! The sequence analysis against what tshark found in the same captures.
//!
//! The captures are those of the developer set: `NETSCOPE_CORPUS` or `../shared/corpus`, with `captures/NAME` and `truth/NAME.json`.
//! Without them the test says so and passes, unless `CI=true`. `TCP_TRUTH_DEBUG=1` prints every flow that differs,
//! `TCP_TRUTH_ONLY=text` takes only the captures whose name contains the text.

use netscope::flow::tcp::{TcpAnalysis, TcpArena, TcpTracker};
use netscope::flow::{Direction, FlowKey, TcpRecord};
use netscope::wire::{IpVersion, Network, Ports, TcpFlags, TcpOptions, TcpSegment};
use netscope_backends::Timestamp;
use serde_json::Value;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

mod reader;

/// What all records of one 5-tuple come to.
#[derive(Default)]
struct Found {
    records: Vec<TcpRecord>,
}

impl Found {
    fn sum(&self, count: impl Fn(&TcpRecord) -> u32) -> u64 {
        self.records.iter().map(|r| u64::from(count(r))).sum()
    }
}

type Flows = HashMap<FlowKey, Found>;

fn track(capture: &Path) -> (Flows, TcpArena) {
    let mut arena = TcpArena::with_capacity(0);
    let analysis = TcpAnalysis::default();
    let mut open: HashMap<FlowKey, TcpTracker> = HashMap::new();
    let mut found = Flows::new();
    let debug = std::env::var("TCP_TRUTH_PACKETS").is_ok();
    for (n, frame) in reader::read(capture).into_iter().enumerate() {
        let Some((network, segment)) = reader::dissect(&frame) else { continue };
        let (key, direction) = FlowKey::new(&network, segment.ports);
        let tracker = open.entry(key).or_insert_with(|| TcpTracker::open(&segment, direction, frame.time));
        if tracker.reopens(&segment, direction) {
            found.entry(key).or_default().records.push(tracker.record(&arena));
            tracker.release(&mut arena);
            *tracker = TcpTracker::open(&segment, direction, frame.time);
        }
        let before = tracker.record(&arena);
        tracker.observe(&segment, direction, frame.time, &mut arena, &analysis);
        if debug {
            let after = tracker.record(&arena);
            println!("{} {:?} {} seq {} len {} ack {} win {} fl {:x} sack {} :{}", n + 1, segment.ports, direction.name(), segment.sequence, segment.payload_len, segment.acknowledgment, segment.window, segment.flags.0, segment.options.sack_count,
                COUNTS.iter().filter(|(_, f)| f(&after) != f(&before)).map(|(n, _)| format!(" {n}")).collect::<String>());
        }
    }
    for (key, tracker) in open {
        found.entry(key).or_default().records.push(tracker.record(&arena));
    }
    (found, arena)
}

type Count = fn(&TcpRecord) -> u32;
const COUNTS: [(&str, Count); 9] = [
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

fn endpoint(value: &Value) -> Option<([u8; 16], IpVersion, u16)> {
    let ip: IpAddr = value["ip"].as_str()?.parse().ok()?;
    let mut bytes = [0; 16];
    let version = match ip {
        IpAddr::V4(v4) => {
            bytes[..4].copy_from_slice(&v4.octets());
            IpVersion::V4
        }
        IpAddr::V6(v6) => {
            bytes = v6.octets();
            IpVersion::V6
        }
    };
    Some((bytes, version, value["port"].as_u64()? as u16))
}

fn key_of(flow: &Value) -> Option<FlowKey> {
    let (source, version, a) = endpoint(&flow["a"])?;
    let (destination, _, b) = endpoint(&flow["b"])?;
    let network = Network { version, protocol: 6, ttl: 0, source, destination, fragment: None };
    Some(FlowKey::new(&network, Ports { source: a, destination: b }).0)
}

fn acceptable_states(flow: &Value) -> Vec<&'static str> {
    let count = |name: &str| flow["flags_ab"][name].as_u64().unwrap_or(0) + flow["flags_ba"][name].as_u64().unwrap_or(0);
    let fins = ["flags_ab", "flags_ba"].map(|side| flow[side]["fin"].as_u64().unwrap_or(0) > 0);
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
        match (plain, count("synack") > 0, count("synonly") > 0) {
            (true, _, _) => states.push("established"),
            (false, true, _) => states.push("syn_ack"),
            (false, false, true) => states.push("syn_sent"),
            _ => states.push("unknown"),
        }
    }
    if plain && !(count("synonly") > 0 && count("synack") > 0) {
        states.extend(["unknown", "syn_sent", "syn_ack"]);
    }
    states
}

#[derive(Default, Debug)]
struct Totals {
    flows: u64,
    missing: u64,
    exact: HashMap<&'static str, u64>,
    truth: HashMap<&'static str, u64>,
    ours: HashMap<&'static str, u64>,
    sum_exact: u64,
    irtt: [u64; 3],
    rtt_min: [u64; 3],
    client: [u64; 2],
    state: [u64; 2],
}

#[test]
fn agrees_with_tshark() {
    let corpus = std::env::var_os("NETSCOPE_CORPUS").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    let debug = std::env::var("TCP_TRUTH_DEBUG").is_ok();
    let only = std::env::var("TCP_TRUTH_ONLY").unwrap_or_default();
    let mut t = Totals::default();
    let mut names = vec![];
    for folder in ["", "derived/", "malformed/"] {
        for entry in std::fs::read_dir(corpus.join("truth").join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".json") { names.push(format!("{folder}{name}")); }
        }
    }
    names.sort();
    for name in names.iter().filter(|n| n.contains(&only)) {
        let stem = name.trim_end_matches(".json");
        let capture = corpus.join("captures").join(stem);
        let truth: Value = serde_json::from_slice(&std::fs::read(corpus.join("truth").join(name)).unwrap()).unwrap();
        let flows = truth["flows_inner"].as_array().or(truth["flows"].as_array()).unwrap();
        let (found, arena) = track(&capture);
        if arena.gaps_forgotten() > 0 { println!("{stem}: {} gaps forgotten", arena.gaps_forgotten()); }
        for flow in flows.iter().filter(|f| f["proto"] == "tcp") {
            let Some(key) = key_of(flow) else { continue };
            t.flows += 1;
            let Some(ours) = found.get(&key) else { t.missing += 1; if debug { println!("{stem}: missing {} {}", flow["a"], flow["b"]); } continue };
            let mut diff = vec![];
            for (name, count) in COUNTS {
                let (want, have) = (flow["analysis"][name].as_u64().unwrap_or(0), ours.sum(count));
                *t.truth.entry(name).or_default() += want;
                *t.ours.entry(name).or_default() += have;
                *t.exact.entry(name).or_default() += u64::from(want == have);
                if want != have { diff.push(format!("{name} {want} ours {have}")); }
            }
            let both = flow["analysis"]["retransmission"].as_u64().unwrap_or(0) + flow["analysis"]["out_of_order"].as_u64().unwrap_or(0);
            t.sum_exact += u64::from(both == ours.sum(|r| r.retransmissions + r.out_of_order));
            let near = |x: f64, y: f64| (x - y).abs() <= (0.1 * x).max(1.0);
            let want: Vec<f64> = flow["initial_rtt_ms"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
            let have: Vec<f64> = ours.records.iter().filter_map(|r| r.handshake_rtt_ns).map(|x| x as f64 / 1e6).collect();
            if !want.is_empty() {
                t.irtt[0] += 1; t.irtt[1] += u64::from(!have.is_empty());
                let ok = have.iter().any(|h| want.iter().any(|w| near(*w, *h)));
                t.irtt[2] += u64::from(ok);
                if !ok { diff.push(format!("irtt {want:?} ours {have:?}")); }
            }
            let have = ours.records.iter().filter_map(|r| r.rtt).map(|r| r.min_ns as f64 / 1e6).reduce(f64::min);
            let samples: u32 = ours.records.iter().filter_map(|r| r.rtt).map(|r| r.samples).sum();
            if let Some(want) = flow["ack_rtt_ms"]["min"].as_f64() {
                t.rtt_min[0] += 1; t.rtt_min[1] += u64::from(have.is_some());
                let ok = have.is_some_and(|h| near(want, h));
                t.rtt_min[2] += u64::from(ok);
                if !ok { diff.push(format!("rtt {} ours {have:?} {samples}", flow["ack_rtt_ms"])); }
            }
            if let Some(want) = flow["client"].as_str() {
                t.client[0] += 1;
                let have = ours.records.iter().find_map(|r| r.client).map(|d| if d == Direction::AToB { "ab" } else { "ba" });
                t.client[1] += u64::from(have == Some(want));
                if have != Some(want) { diff.push(format!("client {want} ours {have:?}")); }
            }
            t.state[0] += 1;
            let states: Vec<_> = ours.records.iter().map(|r| r.state.name()).collect();
            let ok = acceptable_states(flow).contains(states.last().unwrap());
            t.state[1] += u64::from(ok);
            if !ok { diff.push(format!("state {:?} ours {states:?}", acceptable_states(flow))); }
            if debug && !diff.is_empty() { println!("{stem}: {} {}: {}", flow["a"], flow["b"], diff.join(", ")); }
        }
    }
    println!("{t:#?}");
}
