//! The straight way through a plain segment: in order, on an established connection, with nothing to remark.
//!
//! Owns a shortcut and no rule: what [`TcpTracker::observe`] makes of a segment is the truth. Its invariant: it either leaves
//! exactly what `observe` would, or changes nothing and says so.

use super::half::{self, Half};
use super::rtt::{self, Epoch, Passed, Stamp};
use super::sequence::Sequence;
use super::tracker::TcpTracker;
use crate::flow::Direction;
use crate::wire::PlainSegment;
use netscope_backends::Timestamp;

impl TcpTracker {
    /// Takes in a segment that nothing is to be remarked of; false, and nothing changed, when [`TcpTracker::observe`] has to look
    /// at it. All parts of the analysis must be on.
    #[inline(always)]
    pub fn observe_plain(&mut self, segment: &PlainSegment, direction: Direction, time: Timestamp) -> bool {
        if !self.is_settled() || !self.place.is_none() || !self.progress.is_established() {
            return false;
        }
        if Epoch::of(time).since(self.epoch) != Passed::Nothing {
            return false;
        }
        let [a, b] = &mut self.halves;
        let (fwd, rev) = match direction {
            Direction::AToB => (a, b),
            Direction::BToA => (b, a),
        };
        let now = Stamp::of(time);
        let start = Sequence(segment.sequence);
        let ack = Sequence(segment.acknowledgment);
        let end = start + segment.payload_len;
        if !is_plain(fwd, rev, segment, start, ack, end) {
            return false;
        }
        half::take_in_plain(fwd, rev, segment, now);
        if let Some(sample) = rtt::finish(&mut rev.timings, ack, now) {
            self.samples.add(sample);
        }
        if segment.payload_len > 0 {
            rtt::start(&mut fwd.timings, end, now);
        }
        self.flags[direction.index()] |= segment.flags.0 as u8;
        true
    }
}

/// True when no rule of [`half::analyse`] finds anything in the segment.
#[inline(always)]
fn is_plain(fwd: &Half, rev: &Half, segment: &PlainSegment, start: Sequence, ack: Sequence, end: Sequence) -> bool {
    let brings = segment.payload_len > 0;
    fwd.next.known()
        && start == fwd.next
        && segment.window != 0
        // An ACK said before, without data: a duplicate, a window update or the answer to a keep-alive.
        && (brings || ack != fwd.ack)
        // One byte into a window that is closed: a probe.
        && !(segment.payload_len == 1 && rev.is_window_closed())
        // Beyond what was seen of the other side.
        && !(rev.expected_ack.known() && ack.after(rev.expected_ack))
        // Acknowledged before it came.
        && !(brings && rev.ack.known() && end.up_to(rev.ack))
        // So much is in flight, for want of ACKs, that the order of its ends is lost.
        && !(brings && fwd.is_far_behind(start))
}

#[cfg(test)]
mod tests {
    use crate::flow::Direction;
    use crate::flow::tcp::{TcpAnalysis, TcpArena, TcpBeginning, TcpTracker};
    use crate::wire::{PlainSegment, Ports, TcpFlags, TcpOptions, TcpSegment};
    use netscope_backends::Timestamp;
    use proptest::prelude::*;

    /// One side of the comparison.
    struct Side {
        tracker: TcpTracker,
        beginning: TcpBeginning,
        arena: TcpArena,
    }

    impl Side {
        fn new(first: &TcpSegment, time: Timestamp) -> Self {
            let tracker = TcpTracker::open(first, Direction::AToB, time);
            Self { tracker, beginning: TcpBeginning::UNKNOWN, arena: TcpArena::with_capacity(0) }
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

    fn plain(segment: &TcpSegment) -> Option<PlainSegment> {
        let &TcpSegment { sequence, acknowledgment, payload_len, window, flags, .. } = segment;
        (flags.0 & 0x17 == 0x10).then_some(PlainSegment { sequence, acknowledgment, payload_len, window, flags })
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
    }

    fn step() -> impl Strategy<Value = Step> {
        let flags = prop_oneof![20 => Just(0x10u16), 5 => Just(0x18), 1 => Just(0x11), 1 => Just(0x02), 1 => Just(0x12), 1 => Just(0x14), 1 => Just(0)];
        let at = prop_oneof![20 => Just(0i32), 1 => Just(-1), 2 => -40..40i32];
        let acked = prop_oneof![10 => Just(0i32), 2 => -40..40i32];
        let len = prop_oneof![3 => Just(0u32), 1 => Just(1), 5 => 2..60u32];
        let window = prop_oneof![10 => Just(100u16), 1 => Just(0), 1 => Just(200)];
        let pause = prop_oneof![20 => 0..3000u64, 1 => Just(2_000_000_000)];
        (any::<bool>(), flags, at, acked, len, window, pause).prop_map(|(back, flags, at, acked, len, window, pause_us)| Step {
            back,
            flags,
            at,
            acked,
            len,
            window,
            pause_us,
        })
    }

    proptest! {
        /// After any exchange, both ways left the same behind; and most segments of an orderly one can go the straight way.
        #[test]
        fn the_straight_way_leaves_what_the_long_way_leaves(
            origin in prop_oneof![Just([1000u32, 5000]), Just([u32::MAX - 50, 3]), any::<[u32; 2]>()],
            handshake in any::<bool>(),
            steps in prop::collection::vec(step(), 1..80),
        ) {
            let mut now = Timestamp(1_000_000_000_000);
            let opening = segment(2, origin[0], 0, 0, 100);
            let (mut short, mut long) = (Side::new(&opening, now), Side::new(&opening, now));
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
                let s = segment(step.flags, sequence, next[peer].wrapping_add_signed(step.acked), step.len, step.window);
                next[own] = next[own].max(sequence.wrapping_add(step.len));
                let went = plain(&s).is_some_and(|plain| short.tracker.observe_plain(&plain, direction, now));
                if !went {
                    short.observe(&s, direction, now);
                }
                long.observe(&s, direction, now);
                prop_assert_eq!((short.tracker, short.beginning), (long.tracker, long.beginning), "after {:?}", s);
            }
            prop_assert_eq!(short.tracker.record(&short.beginning, &short.arena), long.tracker.record(&long.beginning, &long.arena));
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
            let went = short.tracker.observe_plain(&plain(&s).unwrap(), Direction::AToB, time(30 + n));
            straight += u32::from(went);
            if !went {
                short.observe(&s, Direction::AToB, time(30 + n));
            }
            long.observe(&s, Direction::AToB, time(30 + n));
            assert_eq!((short.tracker, short.beginning), (long.tracker, long.beginning), "segment {n}");
        }
        assert!(straight > 35_000, "{straight}");
        assert_eq!(short.tracker.record(&short.beginning, &short.arena), long.tracker.record(&long.beginning, &long.arena));
    }

    #[test]
    fn an_orderly_exchange_goes_the_straight_way() {
        let time = |us: u64| Timestamp(1_000_000_000 + us * 1000);
        let syn = segment(2, 1000, 0, 0, 100);
        let mut x = Side::new(&syn, time(0));
        x.observe(&syn, Direction::AToB, time(0));
        x.observe(&segment(0x12, 5000, 1001, 0, 100), Direction::BToA, time(10));
        x.observe(&segment(0x10, 1001, 5001, 0, 100), Direction::AToB, time(20));
        for n in 0..10 {
            let data = plain(&segment(0x18, 1001 + n * 10, 5001, 10, 100)).unwrap();
            assert!(x.tracker.observe_plain(&data, Direction::AToB, time(30 + u64::from(n) * 10)));
            let ack = plain(&segment(0x10, 5001, 1011 + n * 10, 0, 100)).unwrap();
            assert!(x.tracker.observe_plain(&ack, Direction::BToA, time(35 + u64::from(n) * 10)));
        }
        assert_eq!(x.tracker.record(&x.beginning, &x.arena).rtt.unwrap().samples, 12);
    }
}
