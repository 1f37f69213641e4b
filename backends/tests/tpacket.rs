//! Live capture by TPACKET_V3 on a wire inside a namespace: every byte arrives, flows stay together, every
//! packet is accounted for, and what happens to the interface is lived through.
//!
//! Limits on waiting are there to end a hung run, not to measure.
#![cfg(target_os = "linux")]

#[path = "../../tests/common/netns.rs"]
mod netns;
mod seen;
#[path = "tpacket/wire.rs"]
mod wire;

#[path = "tpacket/bytes.rs"]
mod bytes;
#[path = "tpacket/fanout.rs"]
mod fanout;
#[path = "tpacket/faults.rs"]
mod faults;
#[path = "tpacket/filter.rs"]
mod filter;
#[path = "tpacket/ledger.rs"]
mod ledger;

/// Says why a test cannot run here; a panic when `CI=true`.
fn skip(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI=true, and this test cannot run: {reason}");
    eprintln!("skipped: {reason}");
}
