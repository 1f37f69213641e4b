//! Small recordings of TCP connections that are easily read wrong, against the right values.
//!
//! Owns the values; each is explained where it stands. Invariant: they hold with several workers, too.

mod common;

use common::{fixture, netscope, run, temp_dir};
use serde_json::Value;

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
