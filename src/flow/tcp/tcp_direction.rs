//! What is remembered of one direction, and the rules that classify its segments.
//!
//! Owns the sequence analysis. Knows no flow, no record and no states. Its rules are those of the reference analysis (Wireshark's
//! user guide, "TCP Analysis"); `docs/tcp-analysis.md` states each of them and where it comes from. Invariant: `low` never lies
//! behind `next`, and gaps lie between the two unless nothing is in flight.

use super::arena::{ArenaPlace, TcpArena};
use super::arrival::Arrival;
use super::marks::TcpMarks;
use super::rtt::{self, Stamp, TIMINGS, Timing};
use super::sequence::Sequence;
use crate::flow::Direction;
use crate::wire::{PlainSegment, SynSegment, TcpFlags};

/// A fast retransmission follows the last duplicate ACK within this time.
const FAST_US: u32 = 20_000;
/// How late a segment may be to count as out of order while the handshake's round trip is not known, or
/// too short for the clock.
const OUT_OF_ORDER_NS: u64 = 3_000_000;
/// The most duplicate ACKs in a row that are counted: two are what matters to the rules, the rest is shown.
const DUPLICATES_MAX: u16 = 63;

/// The latest segment was a probe of the peer's closed window.
const PROBED: u16 = 1;
/// The latest segment was a keep-alive.
const KEPT_ALIVE: u16 = 1 << 1;
/// A window was seen.
const WINDOW_KNOWN: u16 = 1 << 2;
/// The arena holds gaps of this direction.
const HAS_GAPS: u16 = 1 << 3;
/// The latest segment had SACK blocks.
const SACKED: u16 = 1 << 4;
/// The segment that moved `next` last carried no data.
const MOVED_BY_NOTHING: u16 = 1 << 5;
/// The arena holds a retransmission of this direction that is being timed.
const IS_RETIMED: u16 = 1 << 6;
/// The arena holds since when the window of this direction is closed.
const IS_CLOSED_TIMED: u16 = 1 << 9;
/// `next` and `expected_ack` say something.
const NEXT_KNOWN: u16 = 1 << 7;
/// `ack` says something.
const ACK_KNOWN: u16 = 1 << 8;
/// From here on: duplicate ACKs in a row, at most [`DUPLICATES_MAX`].
const DUPLICATES: u32 = 10;

/// One direction of a connection, 44 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct TcpDirection {
    /// When the latest segment was seen; meaningless before the first.
    time: Stamp,
    /// When `next` moved last.
    next_time: Stamp,
    /// Behind the highest byte seen.
    pub(super) next: Sequence,
    /// Behind the highest byte seen without a gap; an ACK beyond it acknowledges what was not captured.
    pub(super) expected_ack: Sequence,
    /// Latest acknowledgment number this side sent.
    pub(super) ack: Sequence,
    /// From here to `next`, but for the gaps, data was seen that is not acknowledged yet.
    low: Sequence,
    /// Latest window, as sent.
    window: u16,
    bits: u16,
    /// Segments whose ACK is awaited.
    pub(super) timings: [Timing; TIMINGS],
}

const _: () = assert!(size_of::<TcpDirection>() == 44);

impl TcpDirection {
    /// Zeros, to be written over.
    pub(super) const BLANK: Self = Self {
        time: Stamp::BLANK,
        next_time: Stamp::BLANK,
        next: Sequence(0),
        expected_ack: Sequence(0),
        ack: Sequence(0),
        low: Sequence(0),
        window: 0,
        bits: 0,
        timings: [Timing::FREE; TIMINGS],
    };

    /// Before any segment; `now` is the time of the first one in either direction.
    pub(super) fn new(now: Stamp) -> Self {
        Self { time: now.long_ago(), next_time: now.long_ago(), ..Self::BLANK }
    }

    /// After a SYN or SYN-ACK, the first segment of its direction; `is_timed`: its ACK is awaited.
    #[inline(always)]
    pub(super) fn begun_by(syn: &SynSegment, now: Stamp, is_timed: bool) -> Self {
        let start = Sequence(syn.sequence);
        let end = start + 1;
        Self {
            time: now,
            next_time: now,
            next: end,
            expected_ack: end,
            ack: Sequence(syn.acknowledgment),
            low: start,
            window: syn.window,
            bits: WINDOW_KNOWN | MOVED_BY_NOTHING | NEXT_KNOWN | ack_known(syn.flags, syn.acknowledgment),
            timings: [if is_timed { Timing { end, sent: now } } else { Timing::FREE }, Timing::FREE],
        }
    }

    const fn is(&self, bit: u16) -> bool {
        self.bits & bit != 0
    }

    const fn put(&mut self, bit: u16, value: bool) {
        if value {
            self.bits |= bit;
        } else {
            self.bits &= !bit;
        }
    }

    /// The highest byte seen is known.
    #[inline(always)]
    pub(super) const fn knows_next(&self) -> bool {
        self.is(NEXT_KNOWN)
    }

    /// What this side acknowledged is known.
    #[inline(always)]
    pub(super) const fn knows_ack(&self) -> bool {
        self.is(ACK_KNOWN)
    }

    /// The segment acknowledges what the latest one did, or neither acknowledges anything.
    fn repeats_ack(&self, a: &Arrival<'_>) -> bool {
        a.ack == self.ack && (ack_known(a.segment.flags, a.segment.acknowledgment) != 0) == self.knows_ack()
    }

    /// Duplicate ACKs in a row, the latest segment included when it is one; at most 63.
    pub(super) const fn duplicates(&self) -> u16 {
        self.bits >> DUPLICATES
    }

    fn set_duplicates(&mut self, count: u16) {
        self.bits = self.bits & !(DUPLICATES_MAX << DUPLICATES) | count.min(DUPLICATES_MAX) << DUPLICATES;
    }

    /// Everything up to `at` was seen or acknowledged.
    const fn set_next(&mut self, at: Sequence) {
        (self.next, self.expected_ack, self.low) = (at, at, at);
        self.put(NEXT_KNOWN, true);
    }

    /// Ages what is remembered of time; `all` when everything is old.
    pub(super) fn age(&mut self, now: Stamp, all: bool) {
        if all {
            (self.time, self.next_time) = (now.long_ago(), now.long_ago());
            self.timings = [Timing::FREE; TIMINGS];
        } else {
            (self.time, self.next_time) = (self.time.aged(now), self.next_time.aged(now));
            rtt::age(&mut self.timings, now);
        }
    }

    /// A SYN came once more on a connection that has not ended: what a stray reset said of the next number is void.
    pub(super) fn restore_next(&mut self, direction: Direction, place: ArenaPlace, arena: &mut TcpArena) {
        if self.knows_next() && self.expected_ack.before(self.next) {
            self.next = self.expected_ack;
            if self.low.after(self.next) {
                self.low = self.next;
            }
            if let Some(anomalies) = arena.get_mut(place) {
                anomalies.gaps[direction.index()].clear();
                self.put(HAS_GAPS, false);
            }
        }
    }

    /// No segment came in this direction yet.
    pub(super) const fn is_untouched(&self) -> bool {
        !self.is(WINDOW_KNOWN)
    }

    /// The latest window seen was 0.
    pub(super) const fn is_window_closed(&self) -> bool {
        self.is(WINDOW_KNOWN) && self.window == 0
    }

    /// Microseconds since the latest segment.
    pub(super) const fn quiet_us(&self, now: Stamp) -> u32 {
        now.since(self.time)
    }

    /// The latest window seen, in bytes.
    pub(super) fn window_bytes(&self, scale: u8) -> u32 {
        u32::from(self.window) << scale
    }

    /// `at` lies before everything that is in flight.
    pub(super) const fn is_far_behind(&self, at: Sequence) -> bool {
        at.before(self.low)
    }

    /// Nothing is known to be in flight.
    fn nothing_in_flight(&self) -> bool {
        self.low == self.next
    }

    /// The whole range was seen and is not acknowledged.
    fn in_flight(&self, a: &Arrival<'_>, place: ArenaPlace, arena: &TcpArena) -> bool {
        !self.nothing_in_flight()
            && self.low.up_to(a.start)
            && a.data_end.up_to(self.next)
            && arena.get(place).is_none_or(|x| !x.gaps[a.direction.index()].touch(a.start, a.data_end))
    }

    /// Notes that the range was seen, up to where `next` will be moved.
    fn note_seen(&mut self, a: &Arrival<'_>, place: &mut ArenaPlace, arena: &mut TcpArena) {
        let index = a.direction.index();
        let is_new = self.knows_next() && self.next.up_to(a.start);
        if is_new && !a.end.after(self.next) {
            return; // it begins less than 2 GiB ahead and ends more than that: nobody can tell where it lies
        }
        // More than 2 GiB in flight, for want of ACKs: the order of its ends is lost, so what was seen before is forgotten.
        let too_much = is_new && (self.is_far_behind(a.start) || self.is_far_behind(a.end));
        let fresh = self.nothing_in_flight() || !self.knows_next() || too_much;
        let new_gap = if fresh {
            self.low = a.start;
            let rest = a.end.before(self.next) && self.knows_next();
            rest.then_some((a.end, self.next))
        } else if a.start.after(self.next) {
            Some((self.next, a.start))
        } else if a.start.before(self.low) {
            let gap = a.end.before(self.low).then_some((a.end, self.low));
            self.low = a.start;
            gap
        } else {
            None
        };
        let mut forgotten = 0;
        if let Some(anomalies) = arena.get_mut(*place) {
            let gaps = &mut anomalies.gaps[index];
            if fresh {
                gaps.clear();
            } else {
                forgotten += gaps.fill(a.start, a.end);
            }
            self.put(HAS_GAPS, !gaps.is_empty());
        }
        if let Some((start, end)) = new_gap
            && let Some(anomalies) = arena.obtain(place)
        {
            forgotten += anomalies.gaps[index].add(start, end);
            self.put(HAS_GAPS, true);
        }
        arena.note_forgotten(forgotten);
    }

    /// Moves `next` without data: what lies between was not seen.
    fn skip_to(&mut self, a: &Arrival<'_>, place: &mut ArenaPlace, arena: &mut TcpArena) {
        if self.nothing_in_flight() || !self.knows_next() {
            self.low = a.end;
        } else if let Some(anomalies) = arena.obtain(place) {
            let gaps = &mut anomalies.gaps[a.direction.index()];
            let forgotten = gaps.add(self.next, a.end);
            self.put(HAS_GAPS, !gaps.is_empty());
            arena.note_forgotten(forgotten);
        }
    }

    /// The peer acknowledged everything before `ack`.
    fn acknowledged(&mut self, direction: Direction, ack: Sequence, place: ArenaPlace, arena: &mut TcpArena) {
        if self.nothing_in_flight() || !ack.after(self.low) {
            return;
        }
        let mut low = ack;
        if let Some(anomalies) = arena.get_mut(place) {
            let gaps = &mut anomalies.gaps[direction.index()];
            if ack.before(self.next) {
                low = gaps.acknowledge(ack);
            } else {
                gaps.clear();
            }
            self.put(HAS_GAPS, !gaps.is_empty());
        }
        self.low = if low.before(self.next) { low } else { self.next };
    }

    /// Data that follows `next` would make gaps void that the arena still holds.
    pub(super) fn would_clear_gaps(&self) -> bool {
        self.is(HAS_GAPS) && self.nothing_in_flight()
    }

    /// The arena has to hear of this acknowledgment, because it holds gaps below it or a retransmission that is being timed.
    pub(super) fn would_tell_arena(&self, ack: Sequence) -> bool {
        self.is(IS_RETIMED) || self.is(HAS_GAPS) && !self.nothing_in_flight() && ack.after(self.low)
    }

    /// The arena holds a retransmission of this direction that is being timed.
    pub(super) const fn is_retimed(&self) -> bool {
        self.is(IS_RETIMED)
    }

    /// The arena holds since when the window of this direction is closed, and has to hear of its next segment.
    pub(super) const fn is_closed_timed(&self) -> bool {
        self.is(IS_CLOSED_TIMED)
    }

    /// See [`TcpDirection::is_closed_timed`].
    pub(super) const fn set_closed_timed(&mut self, timed: bool) {
        self.put(IS_CLOSED_TIMED, timed);
    }

    /// See [`TcpDirection::is_retimed`].
    pub(super) const fn set_retimed(&mut self, retimed: bool) {
        self.put(IS_RETIMED, retimed);
    }

    /// The same where the arena holds no gaps that lie below `ack`.
    #[inline(always)]
    fn acknowledged_plainly(&mut self, ack: Sequence) {
        if !self.nothing_in_flight() && ack.after(self.low) {
            self.low = if ack.before(self.next) { ack } else { self.next };
        }
    }

    /// An ACK came that lies beyond what was seen without a gap: where the next such ACK would begin. When it lies in data that
    /// was seen, that is where this data ends.
    fn seen_from(&self, direction: Direction, ack: Sequence, place: ArenaPlace, arena: &TcpArena) -> Sequence {
        if self.nothing_in_flight() || !ack.before(self.next) || ack.before(self.low) {
            return ack;
        }
        let gaps = arena.get(place).map_or(&[][..], |x| x.gaps[direction.index()].ranges());
        match gaps.iter().find(|gap| gap.end.after(ack)) {
            Some(gap) if gap.start.up_to(ack) => ack,
            Some(gap) => gap.start,
            None => self.next,
        }
    }
}

/// Classifies a segment and takes it in. `fwd` is its direction, `rev` the other; `initial_rtt_ns` is that of the handshake.
pub(super) fn analyse(
    fwd: &mut TcpDirection,
    rev: &mut TcpDirection,
    a: &Arrival<'_>,
    initial_rtt_ns: Option<u64>,
    place: &mut ArenaPlace,
    arena: &mut TcpArena,
) -> TcpMarks {
    let mut marks = forward_marks(fwd, rev, a);
    if marks.has(TcpMarks::ZERO_WINDOW_PROBE_ACK) && !fwd.repeats_ack(a) {
        rev.set_next(a.ack);
    }
    if !fwd.repeats_ack(a) {
        fwd.set_duplicates(0);
    }
    marks.set(ack_marks(fwd, rev, a, *place, arena));
    if a.occupies() && !marks.has(TcpMarks::KEEP_ALIVE) {
        marks.set(resent_marks(fwd, rev, a, initial_rtt_ns, *place, arena));
    }
    take_in(fwd, rev, a, marks, place, arena);
    if fwd.knows_ack() {
        rev.acknowledged(a.direction.reverse(), a.ack, *place, arena);
    }
    note_sack(fwd, a, &mut marks);
    marks
}

/// [`ACK_KNOWN`] after a segment: the number says something when the control bit does or it is not 0.
const fn ack_known(flags: TcpFlags, acknowledgment: u32) -> u16 {
    if acknowledgment != 0 || flags.has(TcpFlags::ACK) { ACK_KNOWN } else { 0 }
}

/// Rules about windows, gaps, keep-alives and repeated ACKs.
fn forward_marks(fwd: &mut TcpDirection, rev: &TcpDirection, a: &Arrival<'_>) -> TcpMarks {
    let mut marks = TcpMarks::default();
    let (len, window) = (a.segment.payload_len, a.segment.window);
    let next = fwd.knows_next().then_some(fwd.next);
    if len == 1 && next == Some(a.start) && rev.is_window_closed() {
        return TcpMarks::ZERO_WINDOW_PROBE;
    }
    if window == 0 && !a.syn_fin_or_rst {
        marks.set(TcpMarks::ZERO_WINDOW);
    }
    if next.is_some_and(|next| a.start.after(next)) && !a.has(TcpFlags::RST) {
        marks.set(TcpMarks::LOST);
    }
    if len <= 1 && next == Some(a.start + 1) && !a.syn_fin_or_rst {
        marks.set(TcpMarks::KEEP_ALIVE);
    }
    let repeats = len == 0 && next == Some(a.start) && !a.syn_fin_or_rst;
    let same_window = fwd.is(WINDOW_KNOWN) && window == fwd.window;
    if repeats && fwd.repeats_ack(a) && window != 0 {
        if !same_window {
            marks.set(TcpMarks::WINDOW_UPDATE);
        } else if rev.is(KEPT_ALIVE) {
            marks.set(TcpMarks::KEEP_ALIVE_ACK);
        } else {
            fwd.set_duplicates(fwd.duplicates() + 1);
            marks.set(TcpMarks::DUPLICATE_ACK);
        }
    } else if repeats && window == 0 && same_window && rev.is(PROBED) && (fwd.repeats_ack(a) || a.ack == fwd.ack + 1) {
        marks.set(TcpMarks::ZERO_WINDOW_PROBE_ACK);
    }
    marks
}

/// Rule about ACKs of data that was never seen.
fn ack_marks(fwd: &TcpDirection, rev: &mut TcpDirection, a: &Arrival<'_>, place: ArenaPlace, arena: &TcpArena) -> TcpMarks {
    if !rev.knows_next() || !a.ack.after(rev.expected_ack) || !a.has(TcpFlags::ACK) {
        return TcpMarks::default();
    }
    if a.ack == fwd.ack + 1 && a.start == fwd.next && rev.is(PROBED) {
        rev.set_next(a.ack);
        return TcpMarks::WINDOW_UPDATE;
    }
    rev.expected_ack = rev.seen_from(a.direction.reverse(), a.ack, place, arena);
    TcpMarks::ACK_LOST
}

/// Rules about segments that bring nothing above the highest number seen.
fn resent_marks(
    fwd: &TcpDirection,
    rev: &TcpDirection,
    a: &Arrival<'_>,
    initial_rtt_ns: Option<u64>,
    place: ArenaPlace,
    arena: &TcpArena,
) -> TcpMarks {
    let len = a.segment.payload_len;
    if len > 0 && rev.knows_ack() && a.data_end.up_to(rev.ack) {
        return TcpMarks::SPURIOUS;
    }
    // A longer segment that starts one below the next number repeats a probe's byte and brings new ones.
    let brings_more = len > 1 && a.start == fwd.next - 1;
    if !fwd.knows_next() || !a.start.before(fwd.next) || brings_more {
        return TcpMarks::default();
    }
    if rev.duplicates() >= 2 && a.now.since(rev.time) < FAST_US && (rev.ack == a.start || rev.is(SACKED)) {
        return TcpMarks::FAST;
    }
    let ends_at_next = fwd.next == a.end;
    if u64::from(a.now.since(fwd.next_time)) * 1000 < initial_rtt_ns.filter(|&rtt| rtt != 0).unwrap_or(OUT_OF_ORDER_NS)
        && (!ends_at_next || fwd.is(MOVED_BY_NOTHING))
        && !fwd.in_flight(a, place, arena)
    {
        return TcpMarks::OUT_OF_ORDER;
    }
    TcpMarks::RETRANSMISSION
}

/// Moves what is remembered of this direction past the segment.
fn take_in(
    fwd: &mut TcpDirection,
    rev: &TcpDirection,
    a: &Arrival<'_>,
    marks: TcpMarks,
    place: &mut ArenaPlace,
    arena: &mut TcpArena,
) {
    let probe = marks.has(TcpMarks::ZERO_WINDOW_PROBE);
    let knew_next = fwd.knows_next();
    let advances = !knew_next || a.end.after(fwd.next);
    if !knew_next || a.end.after(fwd.next + u32::from(a.syn_or_fin)) {
        fwd.put(MOVED_BY_NOTHING, a.segment.payload_len == 0);
    }
    if !probe {
        // What the peer has acknowledged already is called spurious when it comes again, seen or not.
        let awaits_ack = a.occupies() && !(rev.knows_ack() && a.end.up_to(rev.ack));
        if awaits_ack {
            fwd.note_seen(a, place, arena);
        } else if advances {
            fwd.skip_to(a, place, arena);
        }
        if advances {
            fwd.next = a.end;
            fwd.next_time = a.now;
            fwd.put(NEXT_KNOWN, true);
        }
        if a.start == fwd.expected_ack || !knew_next {
            fwd.expected_ack = fwd.next;
        }
    }
    fwd.window = a.segment.window;
    fwd.put(WINDOW_KNOWN, true);
    fwd.ack = a.ack;
    fwd.put(ACK_KNOWN, ack_known(a.segment.flags, a.segment.acknowledgment) != 0);
    fwd.time = a.now;
    fwd.put(KEPT_ALIVE, marks.has(TcpMarks::KEEP_ALIVE));
    fwd.put(PROBED, probe);
}

/// False when the arena holds nothing of either direction that a segment could change of which no rule marks anything.
pub(super) const fn may_ask_arena(one: &TcpDirection, other: &TcpDirection) -> bool {
    (one.bits | other.bits) & (HAS_GAPS | IS_RETIMED | IS_CLOSED_TIMED) != 0
}

/// As [`analyse`], for a segment of which [`super::plain`] has found that no rule marks it and that the arena need not know of it.
/// It takes up `taken` sequence numbers: one more than its payload when it has a FIN.
#[inline(always)]
pub(super) fn take_in_plain(fwd: &mut TcpDirection, rev: &mut TcpDirection, segment: &PlainSegment, taken: u32, now: Stamp) {
    let (start, ack) = (Sequence(segment.sequence), Sequence(segment.acknowledgment));
    let duplicates = if ack != fwd.ack { DUPLICATES_MAX << DUPLICATES } else { 0 };
    let mut bits = fwd.bits & !(KEPT_ALIVE | PROBED | SACKED | duplicates) | WINDOW_KNOWN | ACK_KNOWN;
    if taken > 0 {
        if fwd.nothing_in_flight() {
            fwd.low = start;
        }
        fwd.next = start + taken;
        fwd.next_time = now;
        // A FIN alone leaves it to the data before it.
        bits &= if segment.payload_len > 0 { !MOVED_BY_NOTHING } else { u16::MAX };
    }
    if start == fwd.expected_ack {
        fwd.expected_ack = fwd.next;
    }
    fwd.bits = bits;
    fwd.window = segment.window;
    fwd.ack = ack;
    fwd.time = now;
    rev.acknowledged_plainly(ack);
}

/// As [`analyse`] and then, when `is_timed`, [`rtt::start`], for a SYN or SYN-ACK without data of which [`super::handshake`] has found
/// that it is the first segment of its direction and that no rule marks it.
#[inline(always)]
pub(super) fn take_in_syn(fwd: &mut TcpDirection, rev: &mut TcpDirection, syn: &SynSegment, now: Stamp, is_timed: bool) {
    *fwd = TcpDirection::begun_by(syn, now, is_timed);
    if fwd.knows_ack() {
        rev.acknowledged_plainly(Sequence(syn.acknowledgment));
    }
}

/// SACK blocks (RFC 2018): a window update that has some repeats an ACK because data arrived above a gap.
fn note_sack(fwd: &mut TcpDirection, a: &Arrival<'_>, marks: &mut TcpMarks) {
    let sacked = a.segment.options.sack_count > 0;
    fwd.put(SACKED, sacked);
    if sacked && marks.has(TcpMarks::WINDOW_UPDATE) {
        marks.0 &= !TcpMarks::WINDOW_UPDATE.0;
        marks.set(TcpMarks::DUPLICATE_ACK);
        fwd.set_duplicates(fwd.duplicates() + 1);
    }
}

#[cfg(test)]
#[path = "tcp_direction_tests.rs"]
mod tests;
