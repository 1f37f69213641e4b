//! What is known of a direction's data, against a bit for each byte.

use super::{Arrival, TcpDirection, analyse};
use crate::flow::Direction::{AToB, BToA};
use crate::flow::tcp::TcpArena;
use crate::flow::tcp::arena::ArenaPlace;
use crate::flow::tcp::rtt::Stamp;
use crate::flow::tcp::sequence::Sequence;
use crate::wire::{Ports, TcpFlags, TcpOptions, TcpSegment};
use netscope_backends::Timestamp;
use proptest::prelude::*;

fn segment(sequence: u32, acknowledgment: u32, payload_len: u32) -> TcpSegment {
    TcpSegment {
        ports: Ports { source: 1, destination: 2 },
        sequence,
        acknowledgment,
        flags: TcpFlags::ACK,
        window: 100,
        payload_len,
        options: TcpOptions::default(),
    }
}

proptest! {
    /// `low`, `next` and the gaps know what a bit for each unacknowledged byte would know, from any origin.
    #[test]
    fn seen_data_is_known_byte_by_byte(
        origin in 1u32..,
        steps in prop::collection::vec((0u32..1000, 2u32..60, prop::option::weighted(0.3, 0u32..1000)), 1..40),
    ) {
        // A stored 0 means unknown, so no border may fall on it.
        prop_assume!(!(origin..=origin.saturating_add(1100)).contains(&u32::MAX));
        let (mut arena, mut place) = (TcpArena::with_capacity(0), ArenaPlace::NONE);
        let (mut fwd, mut rev) = (TcpDirection::new(Stamp::default()), TcpDirection::new(Stamp::default()));
        let (mut seen, mut top, mut acked) = ([false; 1100], 0, 0);
        for (at, len, ack) in steps {
            let s = segment(origin.wrapping_add(at), 1, len);
            let a = Arrival::new(&s, AToB, Timestamp(0));
            let bytes = at as usize..(at + len) as usize;
            if at + len > acked {
                let all = seen[bytes.clone()].iter().all(|b| *b);
                prop_assert_eq!(fwd.next.known() && fwd.in_flight(&a, place, &arena), all);
            }
            analyse(&mut fwd, &mut rev, &a, None, &mut place, &mut arena);
            // Bytes below an ACK come back only with a segment that goes beyond it.
            if at + len > acked {
                seen[bytes].fill(true);
                top = top.max(at + len);
            }
            if let Some(ack) = ack.filter(|n| *n > acked && *n <= top) {
                let s = segment(1, origin.wrapping_add(ack), 0);
                analyse(&mut rev, &mut fwd, &Arrival::new(&s, BToA, Timestamp(0)), None, &mut place, &mut arena);
                seen[..ack as usize].fill(false);
                acked = ack;
            }
            prop_assume!(arena.gaps_forgotten() == 0);
            prop_assert!(fwd.low.up_to(fwd.next));
            prop_assert_eq!(fwd.next, Sequence(origin) + top);
        }
    }
}
