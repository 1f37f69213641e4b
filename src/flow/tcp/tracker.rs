//! One TCP connection: who opened it, how far it came, what its segments say.
//!
//! Owns the slow path: every fast and warm path has to leave what [`TcpTracker::observe`] leaves. Knows no
//! table; time comes in with each segment. Its invariant: a connection takes [`TcpConnection`],
//! [`TcpSequences`], [`Epoch`], [`TcpBeginning`] and at most one place in the arena, however long it lives.

use super::arena::{ArenaPlace, Counts, Retimed, TcpArena};
use super::arrival::{Arrival, Marks};
use super::connection::TcpConnection;
use super::rtt::{self, Epoch, Passed, Samples, Stamp};
use super::sequence::Sequence;
use super::tcp_direction::{TcpDirection, analyse, may_ask_arena};
use crate::flow::{Direction, TcpRecord};
use crate::wire::{Announced, TcpFlags, TcpSegment};
use netscope_backends::Timestamp;

/// Which parts of the analysis run; all do by default. State, client, flags and options are always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpAnalysis {
    /// Round-trip times.
    pub rtt: bool,
    /// Retransmissions, duplicate ACKs, losses, keep-alives, zero windows.
    pub retransmissions: bool,
    /// Segments that arrive late. Their limit is the handshake's round trip, which is therefore measured too.
    pub out_of_order: bool,
}

impl Default for TcpAnalysis {
    fn default() -> Self {
        Self { rtt: true, retransmissions: true, out_of_order: true }
    }
}

impl TcpAnalysis {
    /// False when only what is always kept is asked for: no sequence number is followed, and the handshake is not timed.
    #[inline(always)]
    pub const fn is_any(&self) -> bool {
        self.rtt || self.retransmissions || self.out_of_order
    }
}

/// What the sequence analysis remembers of one TCP connection and asks of every segment, 108 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TcpSequences {
    pub(super) directions: [TcpDirection; 2],
    pub(super) samples: Samples,
    pub(super) place: ArenaPlace,
}

const _: () = assert!(size_of::<TcpSequences>() == 108 && align_of::<TcpSequences>() == 4);

/// How a connection began: what few segments ask for, kept apart from what every segment asks for. 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TcpBeginning {
    /// The time of the latest SYN in ns, and in the end the handshake's round trip; the connection knows which.
    pub(super) clock: u64,
    /// Initial sequence numbers, or the ones before the first byte where no SYN was seen.
    pub(super) first: [Sequence; 2],
    mss: [u16; 2],
    window_scale: [u8; 2],
}

const _: () = assert!(size_of::<TcpBeginning>() == 24);

/// No window scale option was seen.
const NO_SCALE: u8 = u8::MAX;
/// Greatest window shift count (RFC 7323 section 2.3).
pub(super) const SCALE_MAX: u8 = 14;

/// One TCP connection, to take in a segment. Both directions of it come through [`TcpTracker::observe`]. Whoever keeps the
/// parts lays them out; they always belong to the same connection.
#[derive(Debug)]
pub struct TcpTracker<'a> {
    pub(super) connection: &'a mut TcpConnection,
    pub(super) sequences: &'a mut TcpSequences,
    pub(super) epoch: &'a mut Epoch,
}

impl TcpConnection {
    /// True when this segment opens a new connection on a tuple that was used before: a SYN or SYN-ACK with another initial
    /// sequence number than the one on record, or any SYN or SYN-ACK after a FIN or a reset (RFC 9293 section 3.6.1).
    pub fn reopens(&self, beginning: &TcpBeginning, segment: &TcpSegment, direction: Direction) -> bool {
        segment.flags.has(TcpFlags::SYN) && self.is_other_syn(beginning, segment.sequence, direction)
    }

    /// The same of a SYN or SYN-ACK with this sequence number.
    #[inline]
    pub fn is_other_syn(&self, beginning: &TcpBeginning, sequence: u32, direction: Direction) -> bool {
        self.is_opened_again(direction, beginning.first[direction.index()], sequence)
    }

    fn handshake_rtt_ns(&self, beginning: &TcpBeginning) -> Option<u64> {
        self.knows_handshake_rtt().then_some(beginning.clock)
    }
}

impl TcpSequences {
    /// Zeros, to be written over.
    pub const BLANK: Self = Self { directions: [TcpDirection::BLANK; 2], samples: Samples::NONE, place: ArenaPlace::NONE };

    /// The next segment probably changes what the arena holds.
    pub const fn may_ask_arena(&self) -> bool {
        may_ask_arena(&self.directions[0], &self.directions[1])
    }

    /// Asks for what the arena holds, if anything. No effect but speed.
    pub fn prefetch(&self, arena: &TcpArena) {
        arena.prefetch(self.place);
    }

    /// Gives the side memory back; counts and gaps are forgotten, so take the record first.
    pub fn release(&mut self, arena: &mut TcpArena) {
        arena.give_back(&mut self.place);
    }

    /// The TCP part of the flow's record, as of now.
    #[inline]
    pub fn record(&self, connection: &TcpConnection, beginning: &TcpBeginning, arena: &TcpArena) -> TcpRecord {
        let counts = arena.get(self.place).map_or(Counts::default(), |x| x.counts);
        TcpRecord {
            retransmissions: counts.retransmissions,
            fast_retransmissions: counts.fast_retransmissions,
            spurious_retransmissions: counts.spurious_retransmissions,
            out_of_order: counts.out_of_order,
            lost_segments: counts.lost_segments,
            ack_lost_segments: counts.ack_lost_segments,
            duplicate_acks: counts.duplicate_acks,
            keep_alives: counts.keep_alives,
            zero_windows: counts.zero_windows,
            mss: beginning.mss,
            window_scale: beginning.window_scale.map(|scale| (scale != NO_SCALE).then_some(scale)),
            handshake_rtt_ns: connection.handshake_rtt_ns(beginning),
            rtt: self.samples.record(),
            ..connection.record()
        }
    }

    /// Of each direction, whether all that was sent in it is acknowledged.
    fn acknowledged(&self) -> [bool; 2] {
        [0, 1].map(|i| {
            let (own, peer) = (&self.directions[i], &self.directions[1 - i]);
            own.next.known() && peer.ack.known() && own.next.up_to(peer.ack)
        })
    }
}

impl<'a> TcpTracker<'a> {
    /// Of the parts of one connection.
    #[inline(always)]
    pub const fn new(connection: &'a mut TcpConnection, sequences: &'a mut TcpSequences, epoch: &'a mut Epoch) -> Self {
        Self { connection, sequences, epoch }
    }

    /// Begins a connection whose first segment this is; [`TcpTracker::observe`] has to see the same segment next. The
    /// beginning has to be [`TcpBeginning::UNKNOWN`].
    pub fn open(&mut self, segment: &TcpSegment, direction: Direction, time: Timestamp) {
        *self.connection = TcpConnection::BLANK;
        *self.sequences = TcpSequences { directions: [TcpDirection::new(Stamp::of(time)); 2], ..TcpSequences::BLANK };
        *self.epoch = Epoch::of(time);
        self.connection.note_client(segment.flags, direction);
    }

    /// Takes in one segment, in the order of capture.
    pub fn observe(
        &mut self,
        segment: &TcpSegment,
        direction: Direction,
        time: Timestamp,
        beginning: &mut TcpBeginning,
        arena: &mut TcpArena,
        analysis: &TcpAnalysis,
    ) {
        let arrival = Arrival::new(segment, direction, time);
        self.age(time, arrival.now, arena);
        self.connection.note_client(segment.flags, direction);
        self.note_base(&arrival, beginning, arena);
        if analysis.is_any() {
            let marks = self.analyse(&arrival, self.connection.handshake_rtt_ns(beginning), arena);
            self.count(marks, arena, analysis);
            if analysis.rtt {
                self.time(&arrival, marks, arena);
            }
            self.connection.time_handshake(segment.flags, time, &mut beginning.clock);
        }
        self.step(segment.flags, segment.payload_len, direction);
        self.connection.note_flags(segment.flags, direction);
        if segment.flags.has(TcpFlags::SYN) {
            let announced = Announced { mss: segment.options.mss, window_scale: segment.options.window_scale };
            beginning.note_options(announced, direction);
        }
    }

    /// The state after a segment that was taken in.
    pub(super) fn step(&mut self, flags: TcpFlags, payload_len: u32, direction: Direction) {
        self.connection.progress.step(flags, payload_len, direction, self.sequences.acknowledged());
    }

    fn age(&mut self, time: Timestamp, now: Stamp, arena: &mut TcpArena) {
        let epoch = Epoch::of(time);
        let passed = epoch.since(*self.epoch);
        if passed != Passed::Nothing {
            *self.epoch = epoch;
            let all = passed == Passed::More;
            let TcpSequences { directions, place, .. } = &mut *self.sequences;
            let retimed = arena.get_mut(*place).map(|anomalies| &mut anomalies.retimed);
            for (side, retimed) in directions.iter_mut().zip(retimed.into_iter().flatten()) {
                retimed.age(now, all);
                side.set_retimed(retimed.is_running());
            }
            for side in directions {
                side.age(now, all);
            }
        }
    }

    fn note_base(&mut self, a: &Arrival<'_>, beginning: &mut TcpBeginning, arena: &mut TcpArena) {
        let &TcpSegment { flags, sequence, acknowledgment, .. } = a.segment;
        let own = a.direction.index();
        if flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::ACK) && self.connection.knows_first(own) {
            self.sequences.directions[own].restore_next(a.direction, self.sequences.place, arena);
        }
        self.connection.note_firsts((flags, sequence, acknowledgment), a.direction, &mut beginning.first);
    }

    pub(super) fn analyse(&mut self, a: &Arrival<'_>, initial_rtt_ns: Option<u64>, arena: &mut TcpArena) -> Marks {
        let [x, y] = &mut self.sequences.directions;
        let (fwd, rev) = match a.direction {
            Direction::AToB => (x, y),
            Direction::BToA => (y, x),
        };
        analyse(fwd, rev, a, initial_rtt_ns, &mut self.sequences.place, arena)
    }

    pub(super) fn count(&mut self, marks: Marks, arena: &mut TcpArena, analysis: &TcpAnalysis) {
        const RESENT: Marks = Marks(Marks::RETRANSMISSION.0 | Marks::FAST.0 | Marks::SPURIOUS.0);
        const COUNTED: Marks = Marks(
            RESENT.0 | Marks::LOST.0 | Marks::ACK_LOST.0 | Marks::DUPLICATE_ACK.0 | Marks::KEEP_ALIVE.0 | Marks::ZERO_WINDOW.0,
        );
        let late = analysis.out_of_order && marks.has(Marks::OUT_OF_ORDER);
        let rest = analysis.retransmissions && marks.has(COUNTED);
        if !(late || rest) {
            return;
        }
        let Some(anomalies) = arena.obtain(&mut self.sequences.place) else { return };
        let counts = &mut anomalies.counts;
        let add = |count: &mut u32, found: bool| *count = count.saturating_add(u32::from(found));
        add(&mut counts.out_of_order, late);
        if rest {
            add(&mut counts.retransmissions, marks.has(RESENT));
            add(&mut counts.fast_retransmissions, marks.has(Marks::FAST));
            add(&mut counts.spurious_retransmissions, marks.has(Marks::SPURIOUS));
            add(&mut counts.lost_segments, marks.has(Marks::LOST));
            add(&mut counts.ack_lost_segments, marks.has(Marks::ACK_LOST));
            add(&mut counts.duplicate_acks, marks.has(Marks::DUPLICATE_ACK));
            add(&mut counts.keep_alives, marks.has(Marks::KEEP_ALIVE));
            add(&mut counts.zero_windows, marks.has(Marks::ZERO_WINDOW));
        }
    }

    /// Round trips: ends the timings this segment acknowledges, then starts its own.
    pub(super) fn time(&mut self, a: &Arrival<'_>, marks: Marks, arena: &mut TcpArena) {
        let now = a.now;
        let (own, peer) = (a.direction.index(), a.direction.reverse().index());
        if a.segment.flags.has(TcpFlags::ACK) {
            let ack = Sequence(a.segment.acknowledgment);
            let mut sample = rtt::finish(&mut self.sequences.directions[peer].timings, ack, now);
            if self.sequences.directions[peer].is_retimed()
                && let Some(anomalies) = arena.get_mut(self.sequences.place)
            {
                let retimed = &mut anomalies.retimed[peer];
                sample = sample.or(retimed.finish(a.segment, ack, now));
                self.sequences.directions[peer].set_retimed(retimed.is_running());
            }
            if let Some(sample) = sample {
                self.sequences.samples.add(sample);
            }
        }
        if !a.occupies() || marks.has(Marks::KEEP_ALIVE) {
            return;
        }
        if marks.has(Marks(Marks::RETRANSMISSION.0 | Marks::FAST.0 | Marks::SPURIOUS.0)) {
            rtt::cancel(&mut self.sequences.directions[own].timings, a.start, a.end);
            if let (Some(anomalies), Some((timestamp, _))) = (arena.get_mut(self.sequences.place), a.segment.options.timestamps) {
                anomalies.retimed[own] = Retimed { end: a.end, timestamp, sent: now };
                self.sequences.directions[own].set_retimed(a.end.known());
            }
        } else {
            rtt::start(&mut self.sequences.directions[own].timings, a.end, now);
        }
    }
}

impl TcpBeginning {
    /// Before the first segment.
    pub const UNKNOWN: Self = Self { clock: 0, first: [Sequence(0); 2], mss: [0; 2], window_scale: [NO_SCALE; 2] };

    pub(super) const fn note_options(&mut self, announced: Announced, direction: Direction) {
        if let Some(mss) = announced.mss {
            self.mss[direction.index()] = mss;
        }
        if let Some(scale) = announced.window_scale {
            self.window_scale[direction.index()] = if scale < SCALE_MAX { scale } else { SCALE_MAX };
        }
    }
}
