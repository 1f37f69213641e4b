//! Any bytes, walked as a classic pcap file: the walk ends, moves forward, and every packet lies in the
//! bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netscope_backends::file::{PACKET_LEN_MAX, WalkStep, CaptureWalker};

/// Little-endian microseconds, so that the fuzzer starts behind the magic.
const HEADER: [u8; 24] = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0];

fuzz_target!(|data: &[u8]| {
    walk(data);
    walk(&[HEADER.as_slice(), data].concat());
});

fn walk(bytes: &[u8]) {
    let (mut walker, mut at) = (CaptureWalker::new(), 0_usize);
    while let Some(rest) = bytes.get(at..) {
        match walker.step(rest) {
            WalkStep::Packet { packet, consumed } => {
                assert!(consumed >= packet.data.len() && consumed <= rest.len());
                assert!(packet.data.len() <= PACKET_LEN_MAX);
                at += consumed;
            }
            WalkStep::Skip { consumed } => {
                assert!(consumed > 0);
                at += consumed;
            }
            WalkStep::NeedMore(needed) => {
                assert!(needed > rest.len());
                return;
            }
            WalkStep::Damage(_) => return,
        }
    }
}
