//! Any segments at all.

use super::tests::{ACK, Exchange, Parts, SYN, resent, segment};
use super::{TcpAnalysis, TcpArena};
use crate::flow::Direction::{AToB, BToA};
use crate::flow::{Direction, TcpRecord};
use crate::wire::{TcpFlags, TcpOptions, TcpSegment};
use netscope_backends::Timestamp;
use proptest::prelude::*;

pub(super) type Wild = (bool, u16, u32, u32, u32, u16, u64, Option<(u32, u32)>, [(u32, u32); 4], u8);

fn wild() -> impl Strategy<Value = Vec<Wild>> {
    // Small numbers collide and overlap; any numbers wrap.
    let number = prop_oneof![0u32..400, (u32::MAX - 200)..=u32::MAX, any::<u32>()];
    let len = prop_oneof![4 => 0u32..100, 1 => any::<u32>()];
    let step = prop_oneof![9 => 0u64..30_000_000, 1 => any::<u64>()];
    let one = (
        any::<bool>(),
        prop_oneof![3 => Just(ACK), 1 => 0u16..512],
        number.clone(),
        number,
        len,
        prop_oneof![Just(0u16), Just(100), any::<u16>()],
        step,
        any::<Option<(u32, u32)>>(),
        any::<[(u32, u32); 4]>(),
        0u8..=4,
    );
    prop::collection::vec(one, 0..120)
}

/// The same with numbers that lie near each other.
fn near() -> impl Strategy<Value = Vec<Wild>> {
    let close = |mut segments: Vec<Wild>| {
        for (_, _, sequence, acknowledgment, len, ..) in &mut segments {
            (*sequence, *acknowledgment, *len) = (*sequence % 400, *acknowledgment % 400, *len % 100);
        }
        segments
    };
    wild().prop_map(close)
}

/// The segment and its direction.
fn wild_segment(wild: &Wild) -> (TcpSegment, Direction) {
    let &(a, flags, sequence, acknowledgment, len, window, _, timestamps, sack, sack_count) = wild;
    let mut s = segment(flags, sequence, acknowledgment, len);
    s.window = window;
    s.options = TcpOptions { timestamps, sack, sack_count, window_scale: Some(window as u8), ..TcpOptions::default() };
    (s, if a { AToB } else { BToA })
}

fn run(segments: &[Wild], flow_count_max: usize) -> Option<(TcpRecord, u64)> {
    let (mut arena, mut parts, mut time) = (TcpArena::with_capacity(flow_count_max), None, Timestamp(0));
    for wild in segments {
        let (s, direction) = wild_segment(wild);
        time = Timestamp(time.0.wrapping_add(wild.6));
        let parts = parts.get_or_insert_with(|| Parts::opened(&s, direction, time, &TcpAnalysis::default()));
        if parts.reopens(&s, direction, time, &arena) {
            parts.sequences.release(&mut arena);
            *parts = Parts::opened(&s, direction, time, &TcpAnalysis::default());
        }
        parts.tracker().observe(&s, direction, time, &mut arena, &TcpAnalysis::default());
        assert!(arena.flow_count() <= 1);
    }
    let parts: Parts = parts?;
    Some((parts.record(&arena), arena.gaps_forgotten()))
}

proptest! {
    /// What is found does not depend on where the numbers begin: 0 is a number like any other. Round trips are left out, as a
    /// segment that ends at 0 is not timed.
    #[test]
    fn any_origin_gives_the_same_counts(segments in near(), origins in any::<[u32; 2]>(), at in 0u32..400) {
        let analysis = TcpAnalysis { rtt: false, ..TcpAnalysis::default() };
        let counts = |origins: [u32; 2]| {
            let (mut arena, mut parts, mut found) = (TcpArena::with_capacity(0), None, Vec::new());
            for (n, wild) in segments.iter().enumerate() {
                let (mut s, direction) = wild_segment(wild);
                let (own, peer) = (origins[direction.index()], origins[direction.reverse().index()]);
                s.sequence = s.sequence.wrapping_add(own);
                s.acknowledgment = if s.flags.has(TcpFlags::ACK) { s.acknowledgment.wrapping_add(peer) } else { 0 };
                s.options.sack_count = 0;
                let time = Timestamp(n as u64 * 10_000_000);
                let parts = parts.get_or_insert_with(|| Parts::opened(&s, direction, time, &analysis));
                if parts.reopens(&s, direction, time, &arena) {
                    parts.sequences.release(&mut arena);
                    *parts = Parts::opened(&s, direction, time, &analysis);
                }
                parts.tracker().observe(&s, direction, time, &mut arena, &analysis);
                found.push(parts.record(&arena));
            }
            found
        };
        let expected = counts([1 << 20; 2]);
        prop_assert_eq!(&counts(origins), &expected);
        prop_assert_eq!(&counts([at.wrapping_neg(); 2]), &expected);
    }

    /// Without analysis all that has nothing to do with it is the same: client, control bits, exported state, options, ends.
    #[test]
    fn without_analysis_the_rest_is_the_same(
        segments in wild(),
        shapes in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<u16>()), 120),
    ) {
        const FLAGS: [u16; 10] = [2, 2, 0x12, 0x12, 0x10, 0x10, 0x18, 0x11, 0x14, 0];
        const OFF: TcpAnalysis = TcpAnalysis { rtt: false, retransmissions: false, out_of_order: false };
        let analyses = [TcpAnalysis::default(), OFF];
        let mut arena = TcpArena::with_capacity(0);
        let mut sides: Option<[Parts; 2]> = None;
        for (n, (wild, (flags, is_usual, mss))) in segments.iter().zip(&shapes).enumerate() {
            let (mut s, direction) = wild_segment(wild);
            if *is_usual {
                s.flags = TcpFlags(FLAGS[flags.index(FLAGS.len())]);
                s.options.mss = Some(*mss);
            }
            // Which resets and SYNs of a connection that is alive are followed is a matter of the analysis.
            let time = Timestamp(n as u64 * 2_000_000_000);
            let sides = sides.get_or_insert_with(|| analyses.map(|of| Parts::opened(&s, direction, time, &of)));
            let [reopens, compact_reopens] = [0, 1].map(|i| sides[i].reopens(&s, direction, time, &arena));
            prop_assert_eq!(reopens, compact_reopens);
            if reopens {
                sides[0].sequences.release(&mut arena);
                *sides = analyses.map(|of| Parts::opened(&s, direction, time, &of));
            }
            for (parts, analysis) in sides.iter_mut().zip(&analyses) {
                parts.tracker().observe(&s, direction, time, &mut arena, analysis);
            }
            let kept = |parts: &Parts| {
                let TcpRecord { state, client, flags, mss, window_scale, .. } = parts.record(&arena);
                (state, client, flags, mss, window_scale, parts.connection.finished())
            };
            prop_assert_eq!(kept(&sides[0]), kept(&sides[1]));
            let nothing = sides[1].record(&arena);
            prop_assert_eq!((nothing.rtt, nothing.handshake_rtt_ns, nothing.retransmissions), (None, None, 0));
        }
    }

    #[test]
    fn any_segments_are_survived_and_give_the_same_twice(segments in wild()) {
        prop_assert_eq!(run(&segments, 0), run(&segments, 1));
    }

    /// What arrives in order, however cut, has no anomaly, from any initial number.
    #[test]
    fn order_has_no_anomalies(first in prop_oneof![any::<u32>(), u32::MAX - 50_000..=u32::MAX], lens in prop::collection::vec((1u32..1461, any::<bool>()), 1..60)) {
        let mut x = Exchange::new();
        let mut at = first.wrapping_add(1);
        x.send(AToB, segment(SYN, first, 0, 0)).send(BToA, segment(SYN | ACK, 5000, at, 0)).send(AToB, segment(ACK, at, 5001, 0));
        for (len, ack) in lens {
            x.send(AToB, segment(ACK, at, 5001, len));
            at = at.wrapping_add(len);
            if ack {
                x.send(BToA, segment(ACK, 5001, at, 0));
            }
        }
        let r = x.record();
        prop_assert_eq!((resent(r), r.lost_segments, r.ack_lost_segments, r.duplicate_acks), ([0; 4], 0, 0, 0));
        prop_assert_eq!(x.arena.flow_count(), 0);
    }
}
