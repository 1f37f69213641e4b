//! Fast paths against the slow path: both leave the same state, whatever is analysed.

use crate::flow::Direction;
use crate::flow::TcpRecord;
use crate::flow::tcp::arena::ArenaPlace;
use crate::flow::tcp::tests::Parts;
use crate::flow::tcp::{TcpAnalysis, TcpArena};
use crate::wire::{PlainSegment, Ports, SynSegment, TcpFlags, TcpOptions, TcpSegment};
use netscope_backends::Timestamp;
use proptest::prelude::*;

/// One side of the comparison.
struct Side {
    parts: Parts,
    arena: TcpArena,
    analysis: TcpAnalysis,
    /// Segments that [`TcpTracker::take_in_plain`](super::TcpTracker::take_in_plain) took in.
    plain: u32,
}

impl Side {
    fn new(first: &TcpSegment, time: Timestamp) -> Self {
        Self::opened(first, Direction::AToB, time, &TcpAnalysis::default())
    }

    fn opened(first: &TcpSegment, direction: Direction, time: Timestamp, analysis: &TcpAnalysis) -> Self {
        let parts = Parts::opened(first, direction, time, analysis);
        Self { parts, arena: TcpArena::with_capacity(0), analysis: *analysis, plain: 0 }
    }

    /// By the fast path that takes it, in the order of the flow table.
    fn takes_fast_path(&mut self, segment: &TcpSegment, direction: Direction, time: Timestamp) -> bool {
        let Self { parts, arena, analysis, plain: taken } = self;
        let is_steady = parts.connection.is_steady();
        let mut tracker = parts.tracker();
        match (PlainSegment::of(segment), SynSegment::of(segment), PlainSegment::last_of(segment)) {
            (Some(plain), ..) if is_steady => {
                let is_plain = tracker.take_in_plain::<false>(&plain, direction, time, arena, analysis);
                *taken += u32::from(is_plain);
                is_plain || tracker.observe_loss(&plain, direction, time, arena, analysis).is_some()
            }
            (Some(plain), ..) => {
                tracker.observe_first_ack(&plain, direction, time, arena, analysis)
                    || tracker.observe_closing(&plain, direction, time, arena, analysis)
            }
            (_, Some(syn), _) => tracker.observe_syn(&syn, direction, time, analysis),
            (.., Some(last)) => tracker.observe_closing(&last, direction, time, arena, analysis),
            _ => false,
        }
    }

    fn observe(&mut self, segment: &TcpSegment, direction: Direction, time: Timestamp) {
        self.parts.tracker().observe(segment, direction, time, &mut self.arena, &self.analysis);
    }

    /// By a fast path where one takes it, else by the slow path; true for a fast path.
    fn take_in(&mut self, segment: &TcpSegment, direction: Direction, time: Timestamp) -> bool {
        let is_fast = self.takes_fast_path(segment, direction, time);
        if !is_fast {
            self.observe(segment, direction, time);
        }
        is_fast
    }

    fn record(&self) -> TcpRecord {
        self.parts.record(&self.arena)
    }
}

fn segment(flags: u16, sequence: u32, acknowledgment: u32, payload_len: u32, window: u16) -> TcpSegment {
    TcpSegment {
        ports: Ports { source: 1, destination: 2 },
        sequence,
        acknowledgment,
        flags: TcpFlags(flags),
        window,
        payload_len,
        options: TcpOptions::default(),
    }
}

/// Asserts that both know the same, in the arena, too.
fn same(fast: &Side, slow: &Side) -> Result<(), TestCaseError> {
    prop_assert_eq!(fast.parts, slow.parts);
    prop_assert_eq!(fast.arena.get(fast.parts.sequences.place), slow.arena.get(slow.parts.sequences.place));
    let counters = |arena: &TcpArena| (arena.refused(), arena.gaps_forgotten());
    prop_assert_eq!(counters(&fast.arena), counters(&slow.arena));
    Ok(())
}

/// What a side sends next, relative to where it and its peer are: mostly the next bytes or an ACK of all, sometimes anything.
#[derive(Clone, Debug)]
struct Step {
    back: bool,
    flags: u16,
    at: i32,
    acked: i32,
    len: u32,
    window: u16,
    pause_us: u64,
    /// Timestamp and the one it answers to.
    timestamps: Option<(u32, u32)>,
}

/// All combinations; the default one more often, because it does most.
fn analysis() -> impl Strategy<Value = TcpAnalysis> {
    prop_oneof![1 => Just(TcpAnalysis::default()), 4 => any::<[bool; 3]>().prop_map(analysis_of)]
}

const fn analysis_of([rtt, retransmissions, out_of_order]: [bool; 3]) -> TcpAnalysis {
    TcpAnalysis { rtt, retransmissions, out_of_order }
}

fn step() -> impl Strategy<Value = Step> {
    let flags = prop_oneof![20 => Just(0x10u16), 5 => Just(0x18), 2 => Just(0x11), 1 => Just(0x02), 1 => Just(0x12), 1 => Just(0x14), 1 => Just(0)];
    let at = prop_oneof![20 => Just(0i32), 1 => Just(-1), 2 => -40..40i32];
    let acked = prop_oneof![10 => Just(0i32), 2 => -40..40i32];
    let len = prop_oneof![3 => Just(0u32), 1 => Just(1), 5 => 2..60u32];
    let window = prop_oneof![10 => Just(100u16), 1 => Just(0), 1 => Just(200)];
    let pause = prop_oneof![20 => 0..3000u64, 1 => Just(2_000_000_000)];
    let timestamps = prop::option::of((0..3u32, 0..3u32));
    (any::<bool>(), flags, at, acked, len, window, pause, timestamps).prop_map(
        |(back, flags, at, acked, len, window, pause_us, timestamps)| Step {
            back,
            flags,
            at,
            acked,
            len,
            window,
            pause_us,
            timestamps,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    /// After any exchange, whatever is analysed.
    #[test]
    fn fast_and_slow_path_leave_the_same_state(
        origin in prop_oneof![Just([1000u32, 5000]), Just([u32::MAX - 50, 3]), any::<[u32; 2]>()],
        analysis in analysis(),
        handshake in any::<bool>(),
        is_arena_full in prop::bool::weighted(0.1),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut now = Timestamp(1_000_000_000_000);
        let opening = segment(2, origin[0], 0, 0, 100);
        let [mut fast, mut slow] = [0; 2].map(|_| Side::opened(&opening, Direction::AToB, now, &analysis));
        if is_arena_full {
            for side in [&mut fast, &mut slow] {
                side.arena = TcpArena::with_capacity(1);
                let mut other = ArenaPlace::NONE;
                side.arena.obtain(&mut other);
            }
        }
        let mut next = [origin[0].wrapping_add(1), origin[1].wrapping_add(1)];
        if handshake {
            let answer = segment(0x12, origin[1], next[0], 0, 100);
            for (s, direction) in [(&opening, Direction::AToB), (&answer, Direction::BToA)] {
                now = now.plus(1_000_000);
                fast.observe(s, direction, now);
                slow.observe(s, direction, now);
            }
        }
        for step in steps {
            now = now.plus(step.pause_us * 1000);
            let (own, peer) = (usize::from(step.back), usize::from(!step.back));
            let direction = if step.back { Direction::BToA } else { Direction::AToB };
            let sequence = next[own].wrapping_add_signed(step.at);
            let mut s = segment(step.flags, sequence, next[peer].wrapping_add_signed(step.acked), step.len, step.window);
            s.options.timestamps = step.timestamps;
            let taken = step.len + u32::from(step.flags & 1);
            let ahead = sequence.wrapping_add(taken).wrapping_sub(next[own]).cast_signed();
            next[own] = next[own].wrapping_add_signed(ahead.max(0));
            fast.take_in(&s, direction, now);
            slow.observe(&s, direction, now);
            same(&fast, &slow)?;
        }
        prop_assert_eq!(fast.record(), slow.record());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    /// However a connection begins: numbers that fit or nearly do, any flags, either side first, options, long pauses.
    #[test]
    fn any_beginning_leaves_the_same_state(
        origin in prop_oneof![Just([1000u32, 5000]), Just([u32::MAX, 0]), Just([0, u32::MAX - 1])],
        analysis in analysis(),
        steps in prop::collection::vec((step(), any::<prop::sample::Index>(), -1..=1i32, 0..4u32, any::<[bool; 3]>()), 1..7),
    ) {
        const FLAGS: [u16; 12] = [2, 2, 2, 0xc2, 0x12, 0x12, 0x12, 0x10, 0x10, 0x18, 0x11, 0x14];
        let mut now = Timestamp(1_000_000_000_000);
        let mut sides: Option<[Side; 2]> = None;
        let mut next = origin;
        for (step, flags, near, len, [acks, announces, sacks]) in steps {
            now = now.plus(step.pause_us * 1000);
            let (own, peer) = (usize::from(step.back), usize::from(!step.back));
            let direction = if step.back { Direction::BToA } else { Direction::AToB };
            let ack = if acks { next[peer].wrapping_add_signed(near / (1 + step.at.abs())) } else { 0 };
            let flags = FLAGS[flags.index(FLAGS.len())];
            let payload = if len == 0 { step.len } else { 0 };
            let mut s = segment(flags, next[own].wrapping_add_signed(step.at.signum()), ack, payload, step.window);
            if announces {
                s.options = TcpOptions { mss: Some(1460), window_scale: Some(7), sack_permitted: true, ..s.options };
                s.options.sack_count = u8::from(sacks);
            }
            next[own] = s.sequence.wrapping_add(payload + u32::from(flags & 3 != 0));
            let is_first = sides.is_none();
            let [fast, slow] =
                sides.get_or_insert_with(|| [0; 2].map(|_| Side::opened(&s, direction, now, &analysis)));
            if let Some(syn) = SynSegment::of(&s).filter(|syn| is_first && !syn.is_answer()) {
                fast.parts = Parts::blank(&analysis);
                fast.parts.tracker().begin(&syn, direction, now, &analysis);
            } else {
                fast.take_in(&s, direction, now);
            }
            slow.observe(&s, direction, now);
            same(fast, slow)?;
        }
    }
}

/// A download of which only one direction is captured, and not its beginning: after 2 GiB both paths still agree.
#[test]
fn two_gigabytes_in_flight() {
    let time = |n: u32| Timestamp(1_000_000_000 + u64::from(n) * 1000);
    let first = segment(0x10, 1001, 5001, 0, 100);
    let (mut fast, mut slow) = (Side::new(&first, time(0)), Side::new(&first, time(0)));
    for x in [&mut fast, &mut slow] {
        x.observe(&first, Direction::AToB, time(0));
    }
    let (len, mut taken) = (60_000, 0);
    for n in 0..40_000 {
        // At the end the last but one comes once more.
        let at = if n == 39_999 { n - 2 } else { n };
        let s = segment(0x10, 1001_u32.wrapping_add(at * len), 5001, len, 100);
        taken += u32::from(fast.take_in(&s, Direction::AToB, time(30 + n)));
        slow.observe(&s, Direction::AToB, time(30 + n));
        assert_eq!(fast.parts, slow.parts, "segment {n}");
    }
    assert!(taken > 39_000, "{taken}");
    assert_eq!(fast.record(), slow.record());
}

/// After a loss, one segment and its ACK are marked, and nothing that comes later; so are one that is sent again and its ACK. Only
/// the one that is sent again takes the slow path.
#[test]
fn after_a_loss_an_orderly_exchange_takes_the_fast_path_again() {
    let opening = segment(2, 1000, 0, 0, 100);
    let mut x = Side::new(&opening, Timestamp(1_000_000_000));
    let (mut clock, mut taken) = (0, Vec::new());
    let mut goes = |s: TcpSegment, direction| {
        clock += 1;
        taken.push(x.take_in(&s, direction, Timestamp(1_000_000_000 + clock * 10_000)));
    };
    goes(opening, Direction::AToB);
    goes(segment(0x12, 5000, 1001, 0, 100), Direction::BToA);
    goes(segment(0x10, 1001, 5001, 0, 100), Direction::AToB);
    // The second of ten segments is not seen, the fifth comes twice; then two without an ACK, twice.
    for (at, acked) in [(0, 10), (20, 30), (30, 40), (40, 50), (40, 50), (50, 60), (60, 60), (70, 80), (80, 80), (90, 100)] {
        goes(segment(0x18, 1001 + at, 5001, 10, 100), Direction::AToB);
        if acked > at {
            goes(segment(0x10, 5001, 1001 + acked, 0, 100), Direction::BToA);
        }
    }
    let slow: Vec<usize> = (0..taken.len()).filter(|i| !taken[*i]).collect();
    assert_eq!((slow, x.plain as usize), (vec![11], taken.len() - 3 - 4), "{taken:?}");
    let record = x.record();
    assert_eq!((record.lost_segments, record.retransmissions, record.duplicate_acks), (1, 1, 1));
}

/// Of one side alone: a stray segment that straddles the horizon, 2 GiB ahead, is no loss that could be filled.
#[test]
fn a_segment_across_the_horizon_leaves_no_gap() {
    let first = segment(0x10, 1001, 5001, 1, 100);
    let (mut fast, mut slow) = (Side::new(&first, Timestamp(0)), Side::new(&first, Timestamp(0)));
    let ahead = 1002 + (1 << 31);
    let steps = [
        (first, Direction::AToB),
        (segment(0x10, ahead - 5, 5001, 10, 100), Direction::AToB),
        (segment(0x10, 1002, 5001, 20, 100), Direction::AToB),
        (segment(0x10, 5001, 1012, 0, 100), Direction::BToA),
        (segment(0x10, 1012, 5001, 5, 100), Direction::AToB),
    ];
    for (i, (s, direction)) in steps.into_iter().enumerate() {
        let time = Timestamp(1_000_000_000 + i as u64 * 1000);
        fast.take_in(&s, direction, time);
        slow.observe(&s, direction, time);
        same(&fast, &slow).unwrap();
    }
    assert_eq!(fast.record(), slow.record());
}

/// More gaps than are kept: the lowest is forgotten, whichever way, and counted.
#[test]
fn many_gaps_are_the_same_by_either_path() {
    let first = segment(0x10, 1001, 5001, 10, 100);
    let (mut fast, mut slow) = (Side::new(&first, Timestamp(0)), Side::new(&first, Timestamp(0)));
    for n in 0..40 {
        let time = Timestamp(1_000_000_000 + u64::from(n) * 1000);
        let s = segment(0x10, 1001 + n * 20, 5001, 10, 100);
        fast.take_in(&s, Direction::AToB, time);
        slow.observe(&s, Direction::AToB, time);
        same(&fast, &slow).unwrap();
    }
    assert_eq!(fast.arena.gaps_forgotten(), 39 - 16);
}

#[test]
fn an_orderly_exchange_takes_the_fast_path_whatever_is_analysed() {
    let time = |us: u64| Timestamp(1_000_000_000 + us * 1000);
    let syn = segment(2, 1000, 0, 0, 100);
    for n in 0..8 {
        let analysis = analysis_of([n & 1 != 0, n & 2 != 0, n & 4 != 0]);
        let mut x = Side::opened(&syn, Direction::AToB, time(0), &analysis);
        assert!(x.take_in(&syn, Direction::AToB, time(0)));
        assert!(x.take_in(&segment(0x12, 5000, 1001, 0, 100), Direction::BToA, time(10)));
        assert!(x.take_in(&segment(0x10, 1001, 5001, 0, 100), Direction::AToB, time(20)));
        assert_eq!(x.record().handshake_rtt_ns, analysis.is_any().then_some(20_000));
        for n in 0..10 {
            let data = segment(0x18, 1001 + n * 10, 5001, 10, 100);
            assert!(x.take_in(&data, Direction::AToB, time(30 + u64::from(n) * 10)));
            let ack = segment(0x10, 5001, 1011 + n * 10, 0, 100);
            assert!(x.take_in(&ack, Direction::BToA, time(35 + u64::from(n) * 10)));
        }
        assert_eq!(x.record().rtt.map(|rtt| rtt.samples), analysis.rtt.then_some(12));
        assert!(x.take_in(&segment(0x11, 1101, 5001, 0, 100), Direction::AToB, time(200)));
        assert!(x.take_in(&segment(0x11, 5001, 1102, 0, 100), Direction::BToA, time(210)));
        assert!(x.parts.connection.finished());
    }
}
