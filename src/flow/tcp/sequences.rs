//! The sequence analysis of one TCP connection: everything that it remembers but what few connections need.
//!
//! Owns the slow path of the analysis: every fast and warm path has to leave what [`TcpSequences::take_in`] leaves. Its
//! invariant: 112 bytes and at most one place in the arena, however long the connection lives.

use super::arena::{ArenaPlace, Counts, Retimed, TcpArena};
use super::arrival::Arrival;
use super::beginning::SCALE_MAX;
use super::marks::TcpMarks;
use super::rtt::{self, Epoch, Passed, Sample, Stamp};
use super::samples::Samples;
use super::sequence::Sequence;
use super::tcp_direction::{TcpDirection, analyse, may_ask_arena};
use super::tracker::TcpAnalysis;
use crate::flow::{Direction, TcpRecord};
use crate::wire::{TcpFlags, TcpSegment};
use netscope_backends::Timestamp;

/// What the sequence analysis remembers of one TCP connection and asks of every segment, 112 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TcpSequences {
    pub(super) directions: [TcpDirection; 2],
    pub(super) samples: Samples,
    pub(super) place: ArenaPlace,
    pub(super) epoch: Epoch,
}

const _: () = assert!(size_of::<TcpSequences>() == 112 && align_of::<TcpSequences>() == 4);

impl TcpSequences {
    /// Zeros, to be written over.
    pub const BLANK: Self =
        Self { directions: [TcpDirection::BLANK; 2], samples: Samples::NONE, place: ArenaPlace::NONE, epoch: Epoch::BLANK };

    /// Before a connection's first segment, which comes at `time`.
    pub(super) fn new(time: Timestamp) -> Self {
        Self { directions: [TcpDirection::new(Stamp::of(time)); 2], epoch: Epoch::of(time), ..Self::BLANK }
    }

    /// The next segment probably changes what the arena holds.
    pub const fn may_ask_arena(&self) -> bool {
        may_ask_arena(&self.directions[0], &self.directions[1])
    }

    /// Asks for what the arena holds, if anything. No effect but speed.
    pub fn prefetch(&self, arena: &TcpArena) {
        arena.prefetch(self.place);
    }

    /// Asks for the round trips that the next sample is added to, if there are any. No effect but speed.
    #[inline(always)]
    pub fn prefetch_measured(&self, arena: &TcpArena) {
        arena.prefetch_measured(self.place);
    }

    /// Gives the side memory back; counts and gaps are forgotten, so take the record first.
    pub fn release(&mut self, arena: &mut TcpArena) {
        arena.give_back(&mut self.place);
    }

    /// Adds what the analysis found to the TCP part of the flow's record.
    #[inline]
    pub fn complete(&self, record: &mut TcpRecord, arena: &TcpArena) {
        let counts = arena.get(self.place).map_or(Counts::default(), |x| x.counts);
        record.retransmissions = counts.retransmissions;
        record.fast_retransmissions = counts.fast_retransmissions;
        record.spurious_retransmissions = counts.spurious_retransmissions;
        record.out_of_order = counts.out_of_order;
        record.lost_segments = counts.lost_segments;
        record.ack_lost_segments = counts.ack_lost_segments;
        record.duplicate_acks = counts.duplicate_acks;
        record.keep_alives = counts.keep_alives;
        record.zero_windows = counts.zero_windows;
        let further = arena.sides(self.place).copied().unwrap_or_default();
        let sides = [0, 1].map(|side| self.samples.side(side, further[side]));
        record.rtt = self.samples.record(&sides);
        record.rtt_sides = sides.map(|side| side.record());
        record.zero_window_ns = arena.get(self.place).map_or([None; 2], |x| x.closed.map(|closed| closed.ns()));
    }

    /// Takes in a round trip of the side that sent this acknowledgment; `is_bare`: without data, SYN and FIN.
    #[inline(always)]
    pub(super) fn note_sample(&mut self, sample: Sample, direction: Direction, is_bare: bool, arena: &mut TcpArena) {
        if arena.measured_side(self.place, direction).is_some_and(|side| side.add_prompt(sample.us)) {
            self.samples.add_further(sample.us);
        } else {
            self.note_other(sample, direction, is_bare, arena);
        }
    }

    /// A sample that is the first of its side, or may be delayed, or of a flow with anomalies.
    #[inline(never)]
    fn note_other(&mut self, sample: Sample, direction: Direction, is_bare: bool, arena: &mut TcpArena) {
        self.samples.add(sample.us);
        if self.samples.keep_first(direction.index(), sample.us) {
            return;
        }
        let is_lone = is_bare && !sample.ends_more && {
            let (own, peer) = self.sides(direction);
            own.ack == peer.next
        };
        if let Some(sides) = arena.obtain_sides(&mut self.place) {
            let side = &mut sides[direction.index()];
            *side = self.samples.side(direction.index(), *side);
            side.add(sample.us, is_lone);
        }
    }

    /// Duplicate ACKs in a row that this direction sent last; at most 63.
    pub const fn duplicate_acks(&self, direction: Direction) -> u16 {
        self.directions[direction.index()].duplicates()
    }

    /// Of each direction, whether all that was sent in it is acknowledged.
    pub(super) fn acknowledged(&self) -> [bool; 2] {
        [0, 1].map(|i| {
            let (own, peer) = (&self.directions[i], &self.directions[1 - i]);
            own.knows_next() && peer.knows_ack() && own.next.up_to(peer.ack)
        })
    }

    /// The sending direction and the other one.
    #[inline(always)]
    pub(super) const fn sides(&mut self, direction: Direction) -> (&mut TcpDirection, &mut TcpDirection) {
        let [a, b] = &mut self.directions;
        match direction {
            Direction::AToB => (a, b),
            Direction::BToA => (b, a),
        }
    }

    /// A segment without data that begins at `start` lies outside what the other side would take: before what it acknowledged, or
    /// behind its window (RFC 9293 section 3.10.7.4) and behind everything seen. Where it announced no scale, or its SYN
    /// was not captured, the largest counts. What follows on what was seen is inside, whatever a single ACK said.
    pub(super) fn is_outside_window(&self, start: Sequence, direction: Direction, scale: Option<u8>) -> bool {
        let [fwd, rev] = [direction, direction.reverse()].map(|of| &self.directions[of.index()]);
        let end = rev.ack + rev.window_bytes(scale.unwrap_or(SCALE_MAX));
        let is_outside = start.before(rev.ack) || start.after(end) && start.after(fwd.next);
        fwd.knows_next() && rev.knows_ack() && is_outside && start != fwd.next
    }

    /// Microseconds since the latest segment that was taken in; at least [`TOO_OLD`](super::rtt::TOO_OLD) when that is long ago.
    pub(super) fn quiet_us(&self, time: Timestamp) -> u32 {
        let epoch = Epoch::of(time).since(self.epoch);
        let quiet = self.directions.iter().map(|side| side.quiet_us(Stamp::of(time))).min().unwrap_or(u32::MAX);
        if epoch == Passed::More { u32::MAX } else { quiet }
    }

    /// A segment came that is not followed. Of a SYN that is no SYN-ACK it is kept what would answer it.
    pub(super) fn note_stray(&mut self, segment: &TcpSegment, direction: Direction, arena: &mut TcpArena) {
        let is_syn = segment.flags.has(TcpFlags::SYN) && !segment.flags.has(TcpFlags::ACK);
        if is_syn && let Some(anomalies) = arena.obtain(&mut self.place) {
            anomalies.stray_syn = Some((direction, segment.sequence.wrapping_add(1)));
        }
    }

    /// This acknowledges the latest SYN outside the window, which its receiver sent.
    pub(super) fn had_stray_syn(&self, acknowledgment: Sequence, direction: Direction, arena: &TcpArena) -> bool {
        let answered = Some((direction.reverse(), acknowledgment.0));
        arena.get(self.place).is_some_and(|anomalies| anomalies.stray_syn == answered)
    }

    /// Time has not passed in a way that older times would have to be told of.
    #[inline(always)]
    pub(super) fn is_current(&self, time: Timestamp) -> bool {
        Epoch::of(time).since(self.epoch) == Passed::Nothing
    }

    /// A SYN that is no SYN-ACK comes again, perhaps: what it says of the next number holds as before.
    pub(super) fn restore_next(&mut self, direction: Direction, arena: &mut TcpArena) {
        self.directions[direction.index()].restore_next(direction, self.place, arena);
    }

    /// Takes in one segment; `initial_rtt_ns` is the handshake's round trip, if it is known. What it was found to be.
    pub(super) fn take_in(
        &mut self,
        arrival: &Arrival<'_>,
        initial_rtt_ns: Option<u64>,
        arena: &mut TcpArena,
        analysis: &TcpAnalysis,
    ) -> TcpMarks {
        let marks = self.analyse(arrival, initial_rtt_ns, arena);
        self.count(marks, arena, analysis);
        self.time_window(arrival, marks, arena, analysis);
        if analysis.rtt {
            self.time(arrival, marks, arena);
        }
        marks.asked_for(analysis)
    }

    /// Time passed: what is too old for its few bits is marked as such.
    pub(super) fn age(&mut self, time: Timestamp, now: Stamp, arena: &mut TcpArena) {
        let epoch = Epoch::of(time);
        let passed = epoch.since(self.epoch);
        if passed != Passed::Nothing {
            self.epoch = epoch;
            let all = passed == Passed::More;
            let Self { directions, place, .. } = self;
            if let Some(anomalies) = arena.get_mut(*place) {
                for (side, retimed) in directions.iter_mut().zip(&mut anomalies.retimed) {
                    retimed.age(now, all);
                    side.set_retimed(retimed.is_running());
                }
                anomalies.closed.iter_mut().for_each(|closed| closed.age(now, all));
            }
            for side in directions {
                side.age(now, all);
            }
        }
    }

    pub(super) fn analyse(&mut self, a: &Arrival<'_>, initial_rtt_ns: Option<u64>, arena: &mut TcpArena) -> TcpMarks {
        let Self { directions: [x, y], place, .. } = self;
        let (fwd, rev) = if a.direction == Direction::AToB { (x, y) } else { (y, x) };
        analyse(fwd, rev, a, initial_rtt_ns, place, arena)
    }

    pub(super) fn count(&mut self, marks: TcpMarks, arena: &mut TcpArena, analysis: &TcpAnalysis) {
        const RESENT: TcpMarks = TcpMarks(TcpMarks::RETRANSMISSION.0 | TcpMarks::FAST.0 | TcpMarks::SPURIOUS.0);
        const COUNTED: TcpMarks = TcpMarks(
            RESENT.0
                | TcpMarks::LOST.0
                | TcpMarks::ACK_LOST.0
                | TcpMarks::DUPLICATE_ACK.0
                | TcpMarks::KEEP_ALIVE.0
                | TcpMarks::ZERO_WINDOW.0,
        );
        let late = analysis.out_of_order && marks.has(TcpMarks::OUT_OF_ORDER);
        let rest = analysis.retransmissions && marks.has(COUNTED);
        if !(late || rest) {
            return;
        }
        let Some(anomalies) = arena.obtain(&mut self.place) else { return };
        let counts = &mut anomalies.counts;
        let add = |count: &mut u32, found: bool| *count = count.saturating_add(u32::from(found));
        add(&mut counts.out_of_order, late);
        if rest {
            add(&mut counts.retransmissions, marks.has(RESENT));
            add(&mut counts.fast_retransmissions, marks.has(TcpMarks::FAST));
            add(&mut counts.spurious_retransmissions, marks.has(TcpMarks::SPURIOUS));
            add(&mut counts.lost_segments, marks.has(TcpMarks::LOST));
            add(&mut counts.ack_lost_segments, marks.has(TcpMarks::ACK_LOST));
            add(&mut counts.duplicate_acks, marks.has(TcpMarks::DUPLICATE_ACK));
            add(&mut counts.keep_alives, marks.has(TcpMarks::KEEP_ALIVE));
            add(&mut counts.zero_windows, marks.has(TcpMarks::ZERO_WINDOW));
        }
    }

    /// Round trips: ends the timings this segment acknowledges, then starts its own.
    pub(super) fn time(&mut self, a: &Arrival<'_>, marks: TcpMarks, arena: &mut TcpArena) {
        let now = a.now;
        let (own, peer) = (a.direction.index(), a.direction.reverse().index());
        if a.segment.flags.has(TcpFlags::ACK) {
            let ack = Sequence(a.segment.acknowledgment);
            let mut sample = rtt::finish(&mut self.directions[peer].timings, ack, now);
            if self.directions[peer].is_retimed()
                && let Some(anomalies) = arena.get_mut(self.place)
            {
                let retimed = &mut anomalies.retimed[peer];
                sample = sample.or(retimed.finish(a.segment, ack, now).map(|us| Sample { us, ends_more: true }));
                self.directions[peer].set_retimed(retimed.is_running());
            }
            if let Some(sample) = sample {
                self.note_sample(sample, a.direction, !a.occupies(), arena);
            }
        }
        if !a.occupies() || marks.has(TcpMarks::KEEP_ALIVE) {
            return;
        }
        if marks.has(TcpMarks(TcpMarks::RETRANSMISSION.0 | TcpMarks::FAST.0 | TcpMarks::SPURIOUS.0)) {
            rtt::cancel(&mut self.directions[own].timings, a.start, a.end);
            if let (Some(anomalies), Some((timestamp, _))) = (arena.get_mut(self.place), a.segment.options.timestamps) {
                anomalies.retimed[own] = Retimed { end: a.end, timestamp, sent: now };
                self.directions[own].set_retimed(a.end.known());
            }
        } else {
            rtt::start(&mut self.directions[own].timings, a.end, now);
        }
    }
}
