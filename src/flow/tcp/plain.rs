//! The straight way through a plain segment, in order and with nothing to remark.
//!
//! Owns a shortcut and no rule: what [`TcpTracker::observe`] makes of a segment is the truth. Its invariant: it either
//! leaves exactly what `observe` would, or changes nothing and says so. All parts of the analysis must be on.

use super::rtt::{self, Epoch, Passed, Stamp};
use super::sequence::Sequence;
use super::tcp_direction::{self, TcpDirection};
use super::tracker::TcpTracker;
use crate::flow::Direction;
use crate::wire::PlainSegment;
use netscope_backends::Timestamp;

impl TcpTracker {
    /// Established, and the handshake has nothing more to say.
    pub fn is_steady(&self) -> bool {
        self.is_settled() && self.progress.is_established()
    }

    /// Takes in a segment that nothing is to be remarked of, on a steady connection; false, and nothing changed, when
    /// [`TcpTracker::observe`] has to look at it.
    #[inline(always)]
    pub fn observe_plain(&mut self, segment: &PlainSegment, direction: Direction, time: Timestamp) -> bool {
        debug_assert!(self.is_steady(), "who calls has to know");
        self.take_in_plain::<false>(segment, direction, time)
    }

    /// `LAST`: the segment has a FIN.
    #[inline(always)]
    pub(super) fn take_in_plain<const LAST: bool>(
        &mut self,
        segment: &PlainSegment,
        direction: Direction,
        time: Timestamp,
    ) -> bool {
        if Epoch::of(time).since(self.epoch) != Passed::Nothing {
            return false;
        }
        let [a, b] = &mut self.directions;
        let (fwd, rev) = match direction {
            Direction::AToB => (a, b),
            Direction::BToA => (b, a),
        };
        let now = Stamp::of(time);
        let start = Sequence(segment.sequence);
        let ack = Sequence(segment.acknowledgment);
        let taken = segment.payload_len + u32::from(LAST);
        let end = start + taken;
        if !is_plain(fwd, rev, segment, start, ack, end) {
            return false;
        }
        tcp_direction::take_in_plain(fwd, rev, segment, taken, now);
        if let Some(sample) = rtt::finish(&mut rev.timings, ack, now) {
            self.samples.add(sample);
        }
        if taken > 0 {
            rtt::start(&mut fwd.timings, end, now);
        }
        self.flags[direction.index()] |= segment.flags.0 as u8;
        true
    }
}

/// True when no rule of [`tcp_direction::analyse`] finds anything in the segment, which lies from `start` to `end`.
#[inline(always)]
fn is_plain(
    fwd: &TcpDirection,
    rev: &TcpDirection,
    segment: &PlainSegment,
    start: Sequence,
    ack: Sequence,
    end: Sequence,
) -> bool {
    let (brings, data_end) = (start != end, start + segment.payload_len);
    fwd.next.known()
        && start == fwd.next
        && segment.window != 0
        // An ACK said before, without data: a duplicate, a window update or the answer to a keep-alive.
        && (brings || ack != fwd.ack)
        // One byte into a window that is closed: a probe.
        && !(segment.payload_len == 1 && rev.is_window_closed())
        // Beyond what was seen of the other side.
        && !(rev.expected_ack.known() && ack.after(rev.expected_ack))
        // Acknowledged before it came, or its data was, if not the FIN behind it.
        && !(brings && rev.ack.known() && (end.up_to(rev.ack) || data_end != end && data_end != start && data_end.up_to(rev.ack)))
        // So much is in flight, for want of ACKs, that the order of its ends is lost.
        && !(brings && fwd.is_far_behind(end))
        // The arena has to hear of it.
        && !(tcp_direction::may_ask_arena(fwd, rev) && (brings && fwd.would_clear_gaps() || rev.would_tell_arena(ack)))
}

#[cfg(test)]
mod tests {
    use crate::flow::Direction;
    use crate::flow::tcp::arena::ArenaPlace;
    use crate::flow::tcp::{TcpAnalysis, TcpArena, TcpBeginning, TcpTracker};
    use crate::wire::{PlainSegment, Ports, SynSegment, TcpFlags, TcpOptions, TcpSegment};
    use netscope_backends::Timestamp;
    use proptest::prelude::*;

    /// One side of the comparison.
    struct Side {
        tracker: TcpTracker,
        beginning: TcpBeginning,
        arena: TcpArena,
        /// Segments that went the straightest way.
        plain: u32,
    }

    impl Side {
        fn new(first: &TcpSegment, time: Timestamp) -> Self {
            Self::opened(first, Direction::AToB, time)
        }

        fn opened(first: &TcpSegment, direction: Direction, time: Timestamp) -> Self {
            let tracker = TcpTracker::open(first, direction, time);
            Self { tracker, beginning: TcpBeginning::UNKNOWN, arena: TcpArena::with_capacity(0), plain: 0 }
        }

        /// By any of the straight ways.
        fn goes_straight(&mut self, segment: &TcpSegment, direction: Direction, time: Timestamp) -> bool {
            let Self { tracker, beginning, arena, plain: went } = self;
            match (PlainSegment::of(segment), SynSegment::of(segment), PlainSegment::last_of(segment)) {
                (Some(plain), ..) if tracker.is_steady() => {
                    let is_plain = tracker.observe_plain(&plain, direction, time);
                    *went += u32::from(is_plain);
                    is_plain || tracker.observe_loss(&plain, direction, time, arena)
                }
                (Some(plain), ..) => {
                    tracker.observe_first_ack(&plain, direction, time, beginning)
                        || tracker.observe_closing(&plain, direction, time)
                }
                (_, Some(syn), _) => tracker.observe_syn(&syn, direction, time, beginning),
                (.., Some(last)) => tracker.observe_closing(&last, direction, time),
                _ => false,
            }
        }

        fn observe(&mut self, segment: &TcpSegment, direction: Direction, time: Timestamp) {
            self.tracker.observe(segment, direction, time, &mut self.beginning, &mut self.arena, &TcpAnalysis::default());
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
    fn same(short: &Side, long: &Side) -> Result<(), TestCaseError> {
        prop_assert_eq!((short.tracker, short.beginning), (long.tracker, long.beginning));
        prop_assert_eq!(short.arena.get(short.tracker.place), long.arena.get(long.tracker.place));
        let counters = |arena: &TcpArena| (arena.refused(), arena.gaps_forgotten());
        prop_assert_eq!(counters(&short.arena), counters(&long.arena));
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
        /// After any exchange, both ways left the same behind; and most segments of an orderly one can go the straight way.
        #[test]
        fn the_straight_way_leaves_what_the_long_way_leaves(
            origin in prop_oneof![Just([1000u32, 5000]), Just([u32::MAX - 50, 3]), any::<[u32; 2]>()],
            handshake in any::<bool>(),
            is_arena_full in prop::bool::weighted(0.1),
            steps in prop::collection::vec(step(), 1..80),
        ) {
            let mut now = Timestamp(1_000_000_000_000);
            let opening = segment(2, origin[0], 0, 0, 100);
            let (mut short, mut long) = (Side::new(&opening, now), Side::new(&opening, now));
            if is_arena_full {
                for side in [&mut short, &mut long] {
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
                    short.observe(s, direction, now);
                    long.observe(s, direction, now);
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
                if !short.goes_straight(&s, direction, now) {
                    short.observe(&s, direction, now);
                }
                long.observe(&s, direction, now);
                same(&short, &long)?;
            }
            prop_assert_eq!(short.tracker.record(&short.beginning, &short.arena), long.tracker.record(&long.beginning, &long.arena));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// However a connection begins: numbers that fit or nearly do, any flags, either side first, options, long pauses.
        #[test]
        fn any_beginning_leaves_what_the_long_way_leaves(
            origin in prop_oneof![Just([1000u32, 5000]), Just([u32::MAX, 0]), Just([0, u32::MAX - 1])],
            steps in prop::collection::vec((step(), any::<prop::sample::Index>(), -1..=1i32, 0..4u32, any::<[bool; 3]>()), 1..7),
        ) {
            const FLAGS: [u16; 12] = [2, 2, 2, 0xc2, 0x12, 0x12, 0x12, 0x10, 0x10, 0x18, 0x11, 0x14];
            let mut now = Timestamp(1_000_000_000_000);
            let mut sides: Option<(Side, Side)> = None;
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
                let (short, long) =
                    sides.get_or_insert_with(|| (Side::opened(&s, direction, now), Side::opened(&s, direction, now)));
                if let Some(syn) = SynSegment::of(&s).filter(|syn| is_first && !syn.is_answer()) {
                    short.tracker = TcpTracker::BLANK;
                    short.beginning = TcpBeginning::UNKNOWN;
                    short.tracker.begin(&syn, direction, now, &mut short.beginning);
                } else if !short.goes_straight(&s, direction, now) {
                    short.observe(&s, direction, now);
                }
                long.observe(&s, direction, now);
                same(short, long)?;
            }
        }
    }

    /// A download of which only one direction is captured, and not its beginning: after 2 GiB both ways still agree.
    #[test]
    fn two_gigabytes_in_flight() {
        let time = |n: u32| Timestamp(1_000_000_000 + u64::from(n) * 1000);
        let first = segment(0x10, 1001, 5001, 0, 100);
        let (mut short, mut long) = (Side::new(&first, time(0)), Side::new(&first, time(0)));
        for x in [&mut short, &mut long] {
            x.observe(&first, Direction::AToB, time(0));
        }
        let (len, mut straight) = (60_000, 0);
        for n in 0..40_000 {
            // At the end the last but one comes once more.
            let at = if n == 39_999 { n - 2 } else { n };
            let s = segment(0x10, 1001_u32.wrapping_add(at * len), 5001, len, 100);
            let went = short.goes_straight(&s, Direction::AToB, time(30 + n));
            straight += u32::from(went);
            if !went {
                short.observe(&s, Direction::AToB, time(30 + n));
            }
            long.observe(&s, Direction::AToB, time(30 + n));
            assert_eq!((short.tracker, short.beginning), (long.tracker, long.beginning), "segment {n}");
        }
        assert!(straight > 39_000, "{straight}");
        assert_eq!(short.tracker.record(&short.beginning, &short.arena), long.tracker.record(&long.beginning, &long.arena));
    }

    /// What is lost makes one segment remarkable, its ACK one more, and nothing that comes after; one sent again, itself and its ACK.
    /// Only what is sent again takes the long way.
    #[test]
    fn after_a_loss_an_orderly_exchange_goes_the_straight_way_again() {
        let opening = segment(2, 1000, 0, 0, 100);
        let mut x = Side::new(&opening, Timestamp(1_000_000_000));
        let (mut clock, mut straight) = (0, Vec::new());
        let mut goes = |s: TcpSegment, direction| {
            clock += 1;
            let time = Timestamp(1_000_000_000 + clock * 10_000);
            let went = x.goes_straight(&s, direction, time);
            straight.push(went);
            if !went {
                x.observe(&s, direction, time);
            }
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
        let long: Vec<usize> = (0..straight.len()).filter(|i| !straight[*i]).collect();
        assert_eq!((long, x.plain as usize), (vec![11], straight.len() - 3 - 4), "{straight:?}");
        let record = x.tracker.record(&x.beginning, &x.arena);
        assert_eq!((record.lost_segments, record.retransmissions, record.duplicate_acks), (1, 1, 1));
    }

    /// Of one side alone: a stray segment that straddles the horizon, 2 GiB ahead, is no loss that could be filled.
    #[test]
    fn a_segment_across_the_horizon_leaves_no_gap() {
        let first = segment(0x10, 1001, 5001, 1, 100);
        let (mut short, mut long) = (Side::new(&first, Timestamp(0)), Side::new(&first, Timestamp(0)));
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
            if !short.goes_straight(&s, direction, time) {
                short.observe(&s, direction, time);
            }
            long.observe(&s, direction, time);
            same(&short, &long).unwrap();
        }
        assert_eq!(short.tracker.record(&short.beginning, &short.arena), long.tracker.record(&long.beginning, &long.arena));
    }

    /// More gaps than are kept: the lowest is forgotten, whichever way, and counted.
    #[test]
    fn many_gaps_are_the_same_by_each_way() {
        let first = segment(0x10, 1001, 5001, 10, 100);
        let (mut short, mut long) = (Side::new(&first, Timestamp(0)), Side::new(&first, Timestamp(0)));
        for n in 0..40 {
            let time = Timestamp(1_000_000_000 + u64::from(n) * 1000);
            let s = segment(0x10, 1001 + n * 20, 5001, 10, 100);
            if !short.goes_straight(&s, Direction::AToB, time) {
                short.observe(&s, Direction::AToB, time);
            }
            long.observe(&s, Direction::AToB, time);
            same(&short, &long).unwrap();
        }
        assert_eq!(short.arena.gaps_forgotten(), 39 - 16);
    }

    #[test]
    fn an_orderly_exchange_goes_the_straight_way() {
        let time = |us: u64| Timestamp(1_000_000_000 + us * 1000);
        let syn = segment(2, 1000, 0, 0, 100);
        let mut x = Side::new(&syn, time(0));
        assert!(x.goes_straight(&syn, Direction::AToB, time(0)));
        assert!(x.goes_straight(&segment(0x12, 5000, 1001, 0, 100), Direction::BToA, time(10)));
        assert!(x.goes_straight(&segment(0x10, 1001, 5001, 0, 100), Direction::AToB, time(20)));
        assert_eq!(x.tracker.record(&x.beginning, &x.arena).handshake_rtt_ns, Some(20_000));
        for n in 0..10 {
            let data = segment(0x18, 1001 + n * 10, 5001, 10, 100);
            assert!(x.goes_straight(&data, Direction::AToB, time(30 + u64::from(n) * 10)));
            let ack = segment(0x10, 5001, 1011 + n * 10, 0, 100);
            assert!(x.goes_straight(&ack, Direction::BToA, time(35 + u64::from(n) * 10)));
        }
        assert_eq!(x.tracker.record(&x.beginning, &x.arena).rtt.unwrap().samples, 12);
    }
}
