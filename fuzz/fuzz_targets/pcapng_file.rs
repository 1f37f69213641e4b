//! Any bytes, walked as pcapng: the walk ends, and shown little by little it gives the same packets as shown
//! at once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netscope_backends::file::{BLOCK_LEN_MAX, WalkStep, CaptureWalker};

/// A little-endian section and an Ethernet interface, so that the fuzzer starts with blocks.
const HEADER: [u8; 48] = [
    0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28,
    0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0, 20, 0, 0, 0,
];

fuzz_target!(|data: &[u8]| {
    let headed = [HEADER.as_slice(), data].concat();
    for bytes in [data, &headed] {
        let whole = walk(bytes, usize::MAX);
        let window = data.first().map_or(1, |byte| usize::from(*byte) + 1);
        assert_eq!(walk(bytes, window), whole);
    }
});

/// Time, captured length and wire length of each packet.
fn walk(bytes: &[u8], window: usize) -> Vec<(u64, usize, u32)> {
    let (mut walker, mut packets, mut at, mut shown) = (CaptureWalker::new(), Vec::new(), 0_usize, window);
    while let Some(rest) = bytes.get(at..) {
        match walker.step(&rest[..rest.len().min(shown)]) {
            WalkStep::Packet { packet, consumed } => {
                assert!(consumed <= rest.len());
                packets.push((packet.time.0, packet.data.len(), packet.wire_len));
                at += consumed;
                shown = window;
            }
            WalkStep::Skip { consumed } => {
                assert!(consumed > 0);
                at += consumed;
                shown = window;
            }
            WalkStep::NeedMore(needed) => {
                assert!(needed > rest.len().min(shown) && needed <= BLOCK_LEN_MAX);
                if shown >= rest.len() {
                    break;
                }
                shown = needed;
            }
            WalkStep::Damage(_) => break,
        }
    }
    packets
}
