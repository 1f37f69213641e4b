//! Small recordings of TCP connections that are easily read wrong, against the right values.
//!
//! Owns the values; each is explained where it stands. Invariant: they hold with several workers, too.

mod common;

use common::{fixture, netscope, run, temp_dir};
use serde_json::Value;
use std::path::Path;

/// The flows of a recording, by the real program.
fn flows(name: &str, workers: &str) -> Vec<Value> {
    let dir = temp_dir("tcp-cases");
    let json = dir.path().join("flows.json");
    run(netscope().args(["--quiet", "--workers", workers, "--read-pcap"]).arg(fixture(name)).arg("--export-json").arg(&json))
        .expect_code(0);
    let text = std::fs::read_to_string(&json).expect("an export");
    let whole: Value = serde_json::from_str(&text).expect("JSON");
    whole.as_array().expect("flows").clone()
}

/// SYN, SYN-ACK and ACK have one time; the first data comes 5 s later, which is no handshake.
#[test]
fn a_handshake_in_one_instant_took_no_time() {
    for workers in ["1", "2", "4"] {
        let flows = flows("handshake-in-one-instant.pcap", workers);
        assert_eq!(flows.len(), 1);
        assert_eq!(flows[0]["handshake_rtt_ms"], 0.0);
    }
}

/// The SYN was captured last, after both FINs (arkime issue 4019): it is of the connection that ended, and opens none.
#[test]
fn a_syn_captured_after_the_fins_belongs_to_its_connection() {
    for workers in ["1", "2", "4"] {
        let flows = flows("late-syn-after-fin.pcap", workers);
        assert_eq!(flows.len(), 1, "{flows:#?}");
        let flow = &flows[0];
        assert_eq!((&flow["packets_a_to_b"], &flow["packets_b_to_a"]), (&6.into(), &3.into()));
        assert_eq!((flow["tcp_state"].as_str(), flow["client"].as_str()), (Some("closed"), Some("a_to_b")));
    }
}

/// A pcap file of segments between 10.0.0.1 port 40000 and 10.0.0.2 port 80: seconds, from the server or not, control bits, sequence and
/// acknowledgment number, bytes of data.
fn write(path: &Path, segments: &[(u32, bool, u8, u32, u32, usize)]) {
    let mut file = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
    for (number, &(seconds, from_server, flags, sequence, acknowledgment, data)) in (0..).zip(segments) {
        let (client, server) = ([10, 0, 0, 1, 0x9c, 0x40], [10, 0, 0, 2, 0, 80]);
        let (from, to) = if from_server { (server, client) } else { (client, server) };
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 40 + data as u8, 0, 0, 0, 0, 64, 6, 0, 0];
        frame.extend([&from[..4], &to[..4], &from[4..], &to[4..]].concat());
        frame.extend([sequence, acknowledgment].map(u32::to_be_bytes).concat());
        frame.extend([0x50, flags, 16, 0, 0, 0, 0, 0]);
        frame.extend(vec![b'x'; data]);
        let len = frame.len() as u32;
        file.extend([seconds, number, len, len].map(u32::to_le_bytes).concat());
        file.extend(frame);
    }
    std::fs::write(path, file).expect("a capture");
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
/// From the handshake to the last ACK, in one second.
const CONNECTION: [(u32, bool, u8, u32, u32, usize); 6] = [
    (100, false, SYN, 0, 0, 0),
    (100, true, SYN | ACK, 500, 1, 0),
    (100, false, ACK, 1, 501, 0),
    (100, false, FIN | ACK, 1, 501, 0),
    (100, true, FIN | ACK, 501, 2, 0),
    (100, false, ACK, 2, 502, 0),
];

/// No TCP analysis.
const NOT_ANALYSED: &str = "[analysis]\nrtt = false\nretrans = false\nout_of_order = false\n";

/// Flows and summary of these segments.
fn told(segments: &[(u32, bool, u8, u32, u32, usize)], workers: &str) -> (Vec<Value>, Value) {
    told_with(segments, workers, &[])
}

/// The same with further arguments.
fn told_with(segments: &[(u32, bool, u8, u32, u32, usize)], workers: &str, arguments: &[&str]) -> (Vec<Value>, Value) {
    let dir = temp_dir("tcp-ends");
    let [capture, json, summary] = ["ends.pcap", "flows.json", "summary.json"].map(|name| dir.path().join(name));
    write(&capture, segments);
    let mut command = netscope();
    command.args(arguments).args(["--quiet", "--workers", workers, "--read-pcap"]).arg(&capture);
    run(command.arg("--export-json").arg(&json).arg("--summary-json").arg(&summary)).expect_code(0);
    let [flows, summary] =
        [json, summary].map(|path| serde_json::from_str(&std::fs::read_to_string(path).expect("an export")).expect("JSON"));
    let Value::Array(flows) = flows else { panic!("{flows}") };
    (flows, summary)
}

/// A reset, an ACK and a FIN come long after the end. They are of the connection that was; its record has ended, so they are in no flow and
/// under a name. Data begins a record.
#[test]
fn what_comes_late_for_a_closed_connection_opens_no_record() {
    let late = [(130, true, RST, 502, 0, 0), (140, false, ACK, 2, 502, 0), (150, true, FIN | ACK, 501, 2, 0)];
    let data = [(160, false, ACK, 2, 502, 9)];
    for workers in ["1", "2", "4"] {
        let (flows, summary) = told(&[&CONNECTION[..], &late].concat(), workers);
        assert_eq!(flows.len(), 1, "{flows:#?}");
        assert_eq!((&flows[0]["packets_total"], &flows[0]["end_reason"]), (&6.into(), &"closed".into()));
        assert_eq!((&summary["packets"], &summary["packets_in_flows"]), (&9.into(), &6.into()));
        assert_eq!((&summary["packets_in_no_flow"]["after_close"], &summary["unaccounted"]), (&3.into(), &0.into()));
        assert_eq!(summary["tcp"]["closes_forgotten"], 0);
        let (flows, summary) = told(&[&CONNECTION[..], &late, &data].concat(), workers);
        assert_eq!((flows.len(), &summary["packets_in_no_flow"]["after_close"]), (2, &3.into()));
    }
}

/// A capture that starts between SYN and SYN-ACK: who answers did not begin.
#[test]
fn the_receiver_of_a_first_syn_ack_is_client_and_initiator() {
    for workers in ["1", "2", "4"] {
        let (flows, _) = told(&CONNECTION[1..], workers);
        assert_eq!(flows.len(), 1, "{flows:#?}");
        assert_eq!((&flows[0]["client"], &flows[0]["initiator"]), (&"a_to_b".into(), &"a_to_b".into()));
    }
}

/// Segments of which the receiver, in the middle of its handshake, drops one or two; the connection is one record and goes on. By
/// RFC 9293 section 3.10.7.3 and, of a reset in SYN-RECEIVED, 3.10.7.4.
#[test]
fn what_is_not_acceptable_in_a_handshake_ends_and_splits_nothing() {
    const PSH: u8 = 8;
    let syn = (100, false, SYN, 9000, 0, 0);
    let answer = (100, true, SYN | ACK, 700, 9001, 0);
    let rest = [(100, false, ACK, 9001, 701, 0), (100, false, PSH | ACK, 9001, 701, 5), (100, true, PSH | ACK, 701, 9006, 7)];
    let stray = |from_server, flags, sequence, acknowledgment| (100, from_server, flags, sequence, acknowledgment, 0);
    let before = [
        stray(true, RST, 502, 0),
        stray(true, RST | ACK, 0, 5),
        stray(true, ACK, 502, 5),
        stray(true, FIN | ACK, 502, 5),
        stray(true, SYN | ACK, 502, 5),
    ];
    let mut cases: Vec<_> = before.iter().map(|&stray| [&[syn, stray, answer][..], &rest].concat()).collect();
    cases.extend([false, true].map(|side| [&[syn, answer, stray(side, RST, 5, 0)][..], &rest].concat()));
    for segments in cases {
        let dir = temp_dir("tcp-cases");
        let config = dir.path().join("config.toml");
        std::fs::write(&config, NOT_ANALYSED).expect("a configuration");
        let not_analysed = ["--config", config.to_str().expect("UTF-8")];
        for (workers, analyses) in [("1", true), ("3", true), ("1", false)] {
            let arguments: &[&str] = if analyses { &[] } else { &not_analysed };
            let (flows, summary) = told_with(&segments, workers, arguments);
            assert_eq!(flows.len(), 1, "{segments:?} {flows:#?}");
            assert_eq!((&flows[0]["tcp_state"], &flows[0]["packets_total"]), (&"established".into(), &6.into()), "{segments:?}");
            assert_eq!(summary["tcp"]["out_of_window"], 1, "{segments:?}");
            // A microsecond lies between two segments.
            let expected = if analyses { Value::from(0.003) } else { Value::Null };
            assert_eq!(flows[0]["handshake_rtt_ms"], expected, "{segments:?}");
        }
    }
    let (flows, summary) = told(&[syn, stray(true, RST | ACK, 0, 9001)], "1");
    assert_eq!((&flows[0]["tcp_state"], &summary["tcp"]["out_of_window"]), (&"reset".into(), &0.into()));
}

/// No segment here has a window scale. Where neither SYN was seen nobody knows that.
#[test]
fn the_largest_window_is_not_known_where_its_scale_is_not() {
    let windows = |segments: &[_]| {
        let (flows, _) = told_with(segments, "1", &["--headers"]);
        [flows[0]["window_max_a_to_b"].as_u64(), flows[0]["window_max_b_to_a"].as_u64()]
    };
    assert_eq!(windows(&CONNECTION), [Some(4096); 2]);
    assert_eq!(windows(&CONNECTION[1..]), [Some(4096); 2], "the SYN-ACK says that there is none");
    assert_eq!(windows(&CONNECTION[2..]), [None; 2]);
    assert_eq!(windows(&CONNECTION[..1]), [Some(4096), None], "a SYN's window has no scale");
}
