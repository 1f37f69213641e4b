//! Live capture by AF_XDP on a wire inside a namespace: every byte arrives in every mode and from every
//! queue, every packet is accounted for, and what happens to the interface is lived through.
//!
//! Limits on waiting are there to end a hung run, not to measure.
#![cfg(target_os = "linux")]

#[path = "../../tests/common/netns.rs"]
mod netns;
mod seen;
#[path = "xdp/wire.rs"]
mod wire;

#[path = "xdp/bytes.rs"]
mod bytes;
#[path = "xdp/faults.rs"]
mod faults;
#[path = "xdp/ledger.rs"]
mod ledger;
#[path = "xdp/tags.rs"]
mod tags;

/// Says why a test cannot run here; a panic when `CI=true`.
fn skip(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI=true, and this test cannot run: {reason}");
    eprintln!("skipped: {reason}");
}
