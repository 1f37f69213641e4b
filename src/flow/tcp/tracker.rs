//! One TCP connection: who opened it, how far it came, what its segments say.
//!
//! Owns all that is remembered of one connection, its place in the arena included. Knows no table; time comes in with each
//! segment. Its invariant: it is as large as [`TcpTracker`] and its one place in the arena, however long it lives.

use super::arena::{ArenaPlace, Counts, Retimed, TcpArena};
use super::rtt::{self, Epoch, Passed, Samples, Stamp};
use super::sequence::Sequence;
use super::state::{TcpProgress, TcpStateDetail};
use super::tcp_direction::{Arrival, Marks, TcpDirection, analyse, may_ask_arena};
use crate::flow::{Direction, TcpRecord};
use crate::wire::{Announced, SynSegment, TcpFlags, TcpSegment};
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

/// `clock` holds the handshake's round trip in ns.
const RTT_KNOWN: u8 = 1;
/// `clock` holds the time of the latest SYN in ns.
const SYN_TIMED: u8 = 1 << 1;
/// The client is known.
const CLIENT_KNOWN: u8 = 1 << 2;
/// The client is endpoint b.
const CLIENT_IS_B: u8 = 1 << 3;
/// The number before the first byte of endpoint a is known; that of endpoint b has the next bit.
const FIRST_KNOWN: u8 = 1 << 4;

/// What is known about one TCP connection (RFC 9293) and asked for by every segment, 116 bytes. Both directions of it come
/// through [`TcpTracker::observe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TcpTracker {
    pub(super) directions: [TcpDirection; 2],
    pub(super) samples: Samples,
    pub(super) place: ArenaPlace,
    pub(super) flags: [u8; 2],
    pub(super) progress: TcpProgress,
    bits: u8,
    pub(super) epoch: Epoch,
}

const _: () = assert!(size_of::<TcpTracker>() == 116);

/// How a connection began: what few segments ask for, kept beside its [`TcpTracker`]. 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TcpBeginning {
    /// See [`RTT_KNOWN`] and [`SYN_TIMED`].
    clock: u64,
    /// Initial sequence numbers, or the ones before the first byte where no SYN was seen.
    first: [Sequence; 2],
    mss: [u16; 2],
    window_scale: [u8; 2],
}

const _: () = assert!(size_of::<TcpBeginning>() == 24);

impl TcpBeginning {
    /// Before the first segment.
    pub const UNKNOWN: Self = Self { clock: 0, first: [Sequence(0); 2], mss: [0; 2], window_scale: [NO_SCALE; 2] };
}

/// No window scale option was seen.
const NO_SCALE: u8 = u8::MAX;
/// Greatest window shift count (RFC 7323 section 2.3).
const SCALE_MAX: u8 = 14;

impl TcpTracker {
    /// Of no connection yet, to be written over.
    pub const BLANK: Self = Self {
        directions: [TcpDirection::BLANK; 2],
        samples: Samples::NONE,
        place: ArenaPlace::NONE,
        flags: [0; 2],
        progress: TcpProgress::NEW,
        bits: 0,
        epoch: Epoch::BLANK,
    };

    /// A tracker for a flow whose first segment this is; [`TcpTracker::observe`] has to see the same segment next.
    pub fn open(segment: &TcpSegment, direction: Direction, time: Timestamp) -> Self {
        let mut tracker = Self::untouched(time);
        tracker.note_client(segment.flags, direction);
        tracker
    }

    /// Before any segment; `time` is that of the first.
    fn untouched(time: Timestamp) -> Self {
        Self { directions: [TcpDirection::new(Stamp::of(time)); 2], epoch: Epoch::of(time), ..Self::BLANK }
    }

    /// True when this segment opens a new connection on a tuple that was used before: a SYN or SYN-ACK with another initial
    /// sequence number than the one on record, or any SYN or SYN-ACK after a FIN or a reset (RFC 9293 section 3.6.1).
    pub fn reopens(&self, beginning: &TcpBeginning, segment: &TcpSegment, direction: Direction) -> bool {
        segment.flags.has(TcpFlags::SYN) && self.is_other_syn(beginning, segment.sequence, direction)
    }

    /// The same of a SYN or SYN-ACK with this sequence number.
    #[inline]
    pub fn is_other_syn(&self, beginning: &TcpBeginning, sequence: u32, direction: Direction) -> bool {
        self.knows_first(direction.index()) && (beginning.first[direction.index()].0 != sequence || self.progress.closing())
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
        self.note_client(segment.flags, direction);
        self.note_base(&arrival, beginning, arena);
        if analysis.retransmissions || analysis.out_of_order || analysis.rtt {
            let marks = self.analyse(&arrival, self.handshake_rtt_ns(beginning), arena);
            self.count(marks, arena, analysis);
            if analysis.rtt {
                self.time(&arrival, marks, arena);
            }
            self.note_handshake(&arrival, beginning);
        }
        self.step(segment.flags, segment.payload_len, direction);
        self.flags[direction.index()] |= segment.flags.0 as u8;
        if segment.flags.has(TcpFlags::SYN) {
            let announced = Announced { mss: segment.options.mss, window_scale: segment.options.window_scale };
            beginning.note_options(announced, direction);
        }
    }

    /// The state after a segment that was taken in.
    pub(super) fn step(&mut self, flags: TcpFlags, payload_len: u32, direction: Direction) {
        let acknowledged = [0, 1].map(|i| {
            let (own, peer) = (&self.directions[i], &self.directions[1 - i]);
            own.next.known() && peer.ack.known() && own.next.up_to(peer.ack)
        });
        self.progress.step(flags, payload_len, direction, acknowledged);
    }

    /// The next segment probably changes what the arena holds.
    pub const fn may_ask_arena(&self) -> bool {
        may_ask_arena(&self.directions[0], &self.directions[1])
    }

    /// Asks for what the arena holds, if anything. No effect but speed.
    pub fn prefetch(&self, arena: &TcpArena) {
        arena.prefetch(self.place);
    }

    /// True once both sides sent a FIN, or one reset the connection: a short linger applies.
    pub fn finished(&self) -> bool {
        self.progress.finished()
    }

    /// The TCP part of the flow's record, as of now.
    #[inline]
    pub fn record(&self, beginning: &TcpBeginning, arena: &TcpArena) -> TcpRecord {
        let counts = arena.get(self.place).map_or(Counts::default(), |x| x.counts);
        TcpRecord {
            state: self.progress.state(),
            detail: self.progress.detail(),
            client: self.client(),
            flags: self.flags,
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
            handshake_rtt_ns: self.handshake_rtt_ns(beginning),
            rtt: self.samples.record(),
        }
    }

    /// Gives the side memory back; counts and gaps are forgotten, so take the record first.
    pub fn release(&mut self, arena: &mut TcpArena) {
        arena.give_back(&mut self.place);
    }

    fn age(&mut self, time: Timestamp, now: Stamp, arena: &mut TcpArena) {
        let epoch = Epoch::of(time);
        let passed = epoch.since(self.epoch);
        if passed != Passed::Nothing {
            self.epoch = epoch;
            let all = passed == Passed::More;
            let retimed = arena.get_mut(self.place).map(|anomalies| &mut anomalies.retimed);
            for (side, retimed) in self.directions.iter_mut().zip(retimed.into_iter().flatten()) {
                retimed.age(now, all);
                side.set_retimed(retimed.is_running());
            }
            for side in &mut self.directions {
                side.age(now, all);
            }
        }
    }

    /// The handshake has begun and is not complete.
    pub const fn is_handshaking(&self) -> bool {
        matches!(self.progress.detail(), TcpStateDetail::SynSent | TcpStateDetail::SynReceived)
    }

    /// A SYN was seen and no answer.
    pub const fn is_syn_sent(&self) -> bool {
        matches!(self.progress.detail(), TcpStateDetail::SynSent)
    }

    /// Both sides may send.
    pub const fn is_established(&self) -> bool {
        self.progress.is_established()
    }

    /// Who sent the first SYN, if it is known.
    pub fn client(&self) -> Option<Direction> {
        let b = self.bits & CLIENT_IS_B != 0;
        (self.bits & CLIENT_KNOWN != 0).then_some(if b { Direction::BToA } else { Direction::AToB })
    }

    /// The client sent the first SYN; when only a SYN-ACK is seen, it is who that goes to.
    fn note_client(&mut self, flags: TcpFlags, direction: Direction) {
        if self.bits & CLIENT_KNOWN != 0 || !flags.has(TcpFlags::SYN) {
            return;
        }
        let client = if flags.has(TcpFlags::ACK) { direction.reverse() } else { direction };
        self.bits |= CLIENT_KNOWN | if client == Direction::BToA { CLIENT_IS_B } else { 0 };
    }

    const fn knows_first(&self, index: usize) -> bool {
        self.bits & FIRST_KNOWN << index != 0
    }

    fn note_base(&mut self, a: &Arrival<'_>, beginning: &mut TcpBeginning, arena: &mut TcpArena) {
        let flags = a.segment.flags;
        let own = a.direction.index();
        if flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::ACK) && self.knows_first(own) {
            self.directions[own].restore_next(a.direction, self.place, arena);
        }
        self.note_firsts(a, beginning);
    }

    fn note_firsts(&mut self, a: &Arrival<'_>, beginning: &mut TcpBeginning) {
        let flags = a.segment.flags;
        let first = if flags.has(TcpFlags::SYN) { a.start } else { a.start - 1 };
        self.set_first(a.direction.index(), first, beginning);
        if flags.has(TcpFlags::ACK) {
            self.set_first(a.direction.reverse().index(), a.ack - 1, beginning);
        }
    }

    fn set_first(&mut self, index: usize, first: Sequence, beginning: &mut TcpBeginning) {
        if !self.knows_first(index) {
            beginning.first[index] = first;
            self.bits |= FIRST_KNOWN << index;
        }
    }

    pub(super) fn analyse(&mut self, a: &Arrival<'_>, initial_rtt_ns: Option<u64>, arena: &mut TcpArena) -> Marks {
        let [x, y] = &mut self.directions;
        let (fwd, rev) = match a.direction {
            Direction::AToB => (x, y),
            Direction::BToA => (y, x),
        };
        analyse(fwd, rev, a, initial_rtt_ns, &mut self.place, arena)
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
        let Some(anomalies) = arena.obtain(&mut self.place) else { return };
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
            let mut sample = rtt::finish(&mut self.directions[peer].timings, ack, now);
            if self.directions[peer].is_retimed()
                && let Some(anomalies) = arena.get_mut(self.place)
            {
                let retimed = &mut anomalies.retimed[peer];
                sample = sample.or(retimed.finish(a.segment, ack, now));
                self.directions[peer].set_retimed(retimed.is_running());
            }
            if let Some(sample) = sample {
                self.samples.add(sample);
            }
        }
        if !a.occupies() || marks.has(Marks::KEEP_ALIVE) {
            return;
        }
        if marks.has(Marks(Marks::RETRANSMISSION.0 | Marks::FAST.0 | Marks::SPURIOUS.0)) {
            rtt::cancel(&mut self.directions[own].timings, a.start, a.end);
            if let (Some(anomalies), Some((timestamp, _))) = (arena.get_mut(self.place), a.segment.options.timestamps) {
                anomalies.retimed[own] = Retimed { end: a.end, timestamp, sent: now };
                self.directions[own].set_retimed(a.end.known());
            }
        } else {
            rtt::start(&mut self.directions[own].timings, a.end, now);
        }
    }

    fn handshake_rtt_ns(&self, beginning: &TcpBeginning) -> Option<u64> {
        (self.bits & RTT_KNOWN != 0).then_some(beginning.clock)
    }

    /// From the latest SYN to the first segment with an ACK that is no SYN.
    fn note_handshake(&mut self, a: &Arrival<'_>, beginning: &mut TcpBeginning) {
        let flags = a.segment.flags;
        if self.bits & RTT_KNOWN != 0 {
            return;
        }
        if flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::ACK) {
            beginning.clock = a.time.0;
            self.bits |= SYN_TIMED;
        } else if flags.has(TcpFlags::ACK) && !flags.has(TcpFlags::SYN) {
            self.end_handshake(a.time, beginning);
        }
    }

    /// As [`TcpTracker::note_syn`] of a SYN before which nothing is known.
    #[inline(always)]
    pub(super) const fn note_first_syn(&mut self, direction: Direction) {
        let client = if matches!(direction, Direction::BToA) { CLIENT_IS_B } else { 0 };
        self.bits = CLIENT_KNOWN | client | FIRST_KNOWN << direction.index() | SYN_TIMED;
    }

    /// What is noted of a SYN or SYN-ACK beside the sequence analysis, in the order of [`TcpTracker::observe`].
    #[inline(always)]
    pub(super) fn note_syn(&mut self, syn: &SynSegment, direction: Direction, time: Timestamp, beginning: &mut TcpBeginning) {
        self.note_client(syn.flags, direction);
        self.set_first(direction.index(), Sequence(syn.sequence), beginning);
        if syn.is_answer() {
            self.set_first(direction.reverse().index(), Sequence(syn.acknowledgment) - 1, beginning);
        } else if self.bits & RTT_KNOWN == 0 {
            beginning.clock = time.0;
            self.bits |= SYN_TIMED;
        }
        beginning.note_options(syn.announced, direction);
    }

    /// A segment with an ACK that is no SYN.
    pub(super) fn end_handshake(&mut self, time: Timestamp, beginning: &mut TcpBeginning) {
        if self.bits & (RTT_KNOWN | SYN_TIMED) != SYN_TIMED {
            return;
        }
        let rtt = time.since(Timestamp(beginning.clock));
        if rtt > 0 {
            beginning.clock = rtt;
            self.bits |= RTT_KNOWN;
        }
    }

    /// True when the handshake has nothing more to say and both sides' first numbers are known.
    pub(super) const fn is_settled(&self) -> bool {
        self.bits & (RTT_KNOWN | SYN_TIMED) != SYN_TIMED && self.knows_both_firsts()
    }

    pub(super) const fn knows_both_firsts(&self) -> bool {
        const KNOWN: u8 = FIRST_KNOWN | FIRST_KNOWN << 1;
        self.bits & KNOWN == KNOWN
    }
}

impl TcpBeginning {
    /// The connection begins with this SYN, no SYN-ACK.
    #[inline(always)]
    pub(super) fn begin(&mut self, syn: &SynSegment, direction: Direction, time: Timestamp) {
        self.clock = time.0;
        self.first[direction.index()] = Sequence(syn.sequence);
        self.note_options(syn.announced, direction);
    }

    fn note_options(&mut self, announced: Announced, direction: Direction) {
        if let Some(mss) = announced.mss {
            self.mss[direction.index()] = mss;
        }
        if let Some(scale) = announced.window_scale {
            self.window_scale[direction.index()] = scale.min(SCALE_MAX);
        }
    }
}
