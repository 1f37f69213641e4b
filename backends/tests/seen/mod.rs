//! What a backend lent, kept for looking at: shared by the tests of all rings.

use std::time::Duration;

use netscope_backends::{Backend, Polled};

/// A packet that was lent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub data: Vec<u8>,
    pub wire_len: u32,
    pub time_ns: u64,
}

/// One call of `poll`; what it lent.
pub fn poll_once(backend: &mut impl Backend, timeout: Duration) -> Vec<Seen> {
    let mut seen = Vec::new();
    let polled = backend
        .poll(timeout, &mut |batch| {
            assert!((1..=netscope_backends::BATCH_MAX).contains(&batch.len()));
            seen.extend(batch.iter().map(|packet| Seen {
                data: packet.data.to_vec(),
                wire_len: packet.wire_len,
                time_ns: packet.time.0,
            }));
        })
        .unwrap_or_else(|error| panic!("{error}"));
    match polled {
        Polled::Lent(lent) => assert_eq!(lent as usize, seen.len()),
        Polled::Idle(_) => assert!(seen.is_empty()),
        Polled::End => panic!("a wire has no end"),
    }
    seen
}
