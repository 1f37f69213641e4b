//! Side memory for flows that had more than a handshake, and for those whose segments did not simply arrive in order.
//!
//! Owns the round trips of each side of the former, and the counts and gaps of the latter, one [`Anomalies`] each. Knows nothing of
//! segments. Its invariant: no more than the bound is ever handed out, and a place is handed out to one flow at a time.

use super::gaps::Gaps;
use super::rtt::{Stamp, TOO_OLD};
use super::samples::SideSamples;
use super::sequence::Sequence;
use super::zero_window::ClosedTime;
use crate::flow::Direction;
use crate::flow::arena::{Arena, PLACE_COUNT_MAX, Slot};
use crate::wire::TcpSegment;
use netscope_backends::prefetch::prefetch_read;

/// Names a flow's place in the arena: its number from 1, and whether it is one for anomalies. 0 is none, so that a tracker starts as
/// zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ArenaPlace(u32);

/// The place is one for anomalies.
const HAS_ANOMALIES: u32 = 1 << 31;
/// Most places of either kind: their numbers from 1 leave that bit alone.
const NUMBERED_MAX: usize = PLACE_COUNT_MAX - 1;

/// What a place is for.
enum Kind {
    /// Nothing was ever needed.
    None,
    Measured(u32),
    Anomalies(u32),
}

impl ArenaPlace {
    /// None was ever needed.
    pub(super) const NONE: Self = Self(0);

    const fn kind(self) -> Kind {
        match (self.0 & !HAS_ANOMALIES).checked_sub(1) {
            None => Kind::None,
            Some(number) if self.0 & HAS_ANOMALIES == 0 => Kind::Measured(number),
            Some(number) => Kind::Anomalies(number),
        }
    }

    /// The number of a place for anomalies.
    const fn anomalies(self) -> Option<u32> {
        match self.kind() {
            Kind::Anomalies(number) => Some(number),
            Kind::None | Kind::Measured(_) => None,
        }
    }

    /// No place was ever needed.
    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// Counts per kind of anomaly, as they appear in a [`crate::flow::TcpRecord`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) retransmissions: u32,
    pub(super) fast_retransmissions: u32,
    pub(super) spurious_retransmissions: u32,
    pub(super) out_of_order: u32,
    pub(super) lost_segments: u32,
    pub(super) ack_lost_segments: u32,
    pub(super) duplicate_acks: u32,
    pub(super) keep_alives: u32,
    pub(super) zero_windows: u32,
}

/// A retransmitted segment that carried a timestamp: its ACK can be told from an ACK of the original (RFC 7323 section 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Retimed {
    /// Sequence number behind the segment; unknown when nothing is being timed.
    pub(super) end: Sequence,
    /// Its timestamp value; the ACK has to echo it.
    pub(super) timestamp: u32,
    /// When it was sent.
    pub(super) sent: Stamp,
}

impl Retimed {
    /// An ACK of the segment is awaited.
    pub(super) const fn is_running(&self) -> bool {
        self.end.known()
    }

    /// Gives it up when it is too old to be told from a new one; `all` when everything is.
    pub(super) fn age(&mut self, now: Stamp, all: bool) {
        if all || now.since(self.sent) >= TOO_OLD {
            self.end = Sequence::default();
        }
    }

    /// The round trip in microseconds when `ack` covers the segment and the ACK echoes its timestamp.
    pub(super) fn finish(&mut self, segment: &TcpSegment, ack: Sequence, now: Stamp) -> Option<u32> {
        if !self.end.known() || ack.before(self.end) {
            return None;
        }
        self.end = Sequence::default();
        let echo = segment.options.timestamps.map(|(_, echo)| echo);
        let age = now.since(self.sent);
        (echo == Some(self.timestamp) && (1..TOO_OLD).contains(&age)).then_some(age)
    }
}

const _: () = assert!(TcpArena::BYTES_PER_FLOW <= 448 && size_of::<Measured>() == 64);

/// What one flow with anomalies needs beyond its tracker. Arrays are indexed by direction. The first cache line has what is counted and timed
/// and how many gaps the one direction has; the lowest gaps of a direction lie in one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Anomalies {
    pub(super) counts: Counts,
    pub(super) retimed: [Retimed; 2],
    /// Who sent the latest SYN outside the window, and what acknowledges it.
    pub(super) stray_syn: Option<(Direction, u32)>,
    pub(super) closed: [ClosedTime; 2],
    /// As [`Measured`]'s.
    pub(super) sides: [SideSamples; 2],
    pub(super) gaps: [Gaps; 2],
}

/// What a flow needs beyond its tracker from the second round trip of a side on: one cache line, so that a sample costs no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Measured {
    /// All round trips of each side that had more than one.
    pub(super) sides: [SideSamples; 2],
}

impl Slot for Measured {
    fn next_free(&self) -> u32 {
        self.sides[0].count as u32
    }

    fn set_next_free(&mut self, next: u32) {
        self.sides[0].count = next.into();
    }
}

impl Slot for Anomalies {
    fn next_free(&self) -> u32 {
        self.counts.retransmissions
    }

    fn set_next_free(&mut self, next: u32) {
        self.counts.retransmissions = next;
    }
}

/// Cold, bounded side memory of the trackers of one flow table: segments of 7 MiB for anomalies and of 1 MiB for round trips. Grows as
/// flows need it, never shrinks, reuses what was released.
pub struct TcpArena {
    places: Arena<Anomalies, 14>,
    measured: Arena<Measured, 14>,
    flow_count_max: usize,
    refused: u64,
    gaps_forgotten: u64,
    backward_handshakes: u64,
    out_of_window: u64,
}

impl TcpArena {
    /// Bytes one flow with anomalies takes.
    pub const BYTES_PER_FLOW: usize = size_of::<Anomalies>();

    /// Bytes one flow takes from the second round trip of a side on, until it has an anomaly.
    pub const BYTES_PER_MEASURED_FLOW: usize = size_of::<Measured>();

    /// An arena for at most `flow_count_max` flows at a time with anomalies, and as many without; 0 means no limit but that of the
    /// numbering (2^31 - 2).
    /// No memory is taken yet.
    pub fn with_capacity(flow_count_max: usize) -> Self {
        Self {
            places: Arena::with_capacity(0),
            measured: Arena::with_capacity(0),
            flow_count_max,
            refused: 0,
            gaps_forgotten: 0,
            backward_handshakes: 0,
            out_of_window: 0,
        }
    }

    /// Flows with anomalies now.
    pub fn flow_count(&self) -> usize {
        self.places.len()
    }

    /// Flows without anomalies that hold side memory for round trips now.
    pub const fn measured_count(&self) -> usize {
        self.measured.len()
    }

    /// Bytes of all places ever used, free ones included.
    pub const fn memory_bytes(&self) -> usize {
        self.places.memory_bytes() + self.measured.memory_bytes()
    }

    /// Times that something could not be noted because the bound was reached: a count of a segment, a gap before it, a round trip. It
    /// is missing in its flow's record.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Handshakes that ended before they began, by the clock of the capture; they have no round trip.
    pub const fn backward_handshakes(&self) -> u64 {
        self.backward_handshakes
    }

    /// Segments that were not followed: resets and SYNs outside the window of their connection, and what a side whose handshake is
    /// not complete drops. The connection goes on.
    pub const fn out_of_window(&self) -> u64 {
        self.out_of_window
    }

    pub(super) const fn note_out_of_window(&mut self) {
        self.out_of_window += 1;
    }

    pub(super) const fn note_backward_handshake(&mut self) {
        self.backward_handshakes += 1;
    }

    /// Gaps that were forgotten because a direction had more than 16 of them at once. A segment that fills such a gap
    /// late is taken for a retransmission instead of one out of order.
    pub fn gaps_forgotten(&self) -> u64 {
        self.gaps_forgotten
    }

    pub(super) fn note_forgotten(&mut self, count: u32) {
        self.gaps_forgotten += u64::from(count);
    }

    /// Gives all places away; what was counted stays.
    pub(in crate::flow) fn give_away(&mut self) -> Self {
        let places = std::mem::replace(&mut self.places, Arena::with_capacity(0));
        let measured = std::mem::replace(&mut self.measured, Arena::with_capacity(0));
        Self { places, measured, ..*self }
    }

    /// The anomalies noted at `place`; `None` when there are none.
    pub(super) fn get(&self, place: ArenaPlace) -> Option<&Anomalies> {
        Some(self.places.get(place.anomalies()?))
    }

    /// The round trips of each side that had more than one; `None` when neither had.
    pub(super) fn sides(&self, place: ArenaPlace) -> Option<&[SideSamples; 2]> {
        match place.kind() {
            Kind::None => None,
            Kind::Measured(number) => Some(&self.measured.get(number).sides),
            Kind::Anomalies(number) => Some(&self.places.get(number).sides),
        }
    }

    /// The same of one side, to add to, where the place is one for nothing else.
    #[inline(always)]
    pub(super) fn measured_side(&mut self, place: ArenaPlace, side: Direction) -> Option<&mut SideSamples> {
        // One look tells it from none and from anomalies.
        if place.0.cast_signed() <= 0 {
            return None;
        }
        let [a, b] = &mut self.measured.get_mut(place.0 - 1).sides;
        Some(if matches!(side, Direction::AToB) { a } else { b })
    }

    /// The same to add to. `None` (and counted) when the bound is reached.
    pub(super) fn obtain_sides(&mut self, place: &mut ArenaPlace) -> Option<&mut [SideSamples; 2]> {
        let number = match place.kind() {
            Kind::Anomalies(number) => return Some(&mut self.places.get_mut(number).sides),
            Kind::Measured(number) => number,
            Kind::None => {
                if self.measured.len() >= self.limit() {
                    self.refused += 1;
                    return None;
                }
                let number = self.measured.take(Measured::default());
                *place = ArenaPlace(number + 1);
                number
            }
        };
        Some(&mut self.measured.get_mut(number).sides)
    }

    /// Brings the lines of `place` that a segment with few gaps needs into the cache.
    pub(super) fn prefetch(&self, place: ArenaPlace) {
        if let Some(anomalies) = self.get(place) {
            prefetch_read(&anomalies.counts);
            anomalies.gaps.iter().for_each(Gaps::prefetch);
        }
    }

    /// Brings the round trips of `place` into the cache, where it is one for nothing else.
    #[inline(always)]
    pub(super) fn prefetch_measured(&self, place: ArenaPlace) {
        if place.0.cast_signed() > 0 {
            prefetch_read(self.measured.get(place.0 - 1));
        }
    }

    /// As [`TcpArena::get`], to write.
    pub(super) fn get_mut(&mut self, place: ArenaPlace) -> Option<&mut Anomalies> {
        Some(self.places.get_mut(place.anomalies()?))
    }

    /// The anomalies at `place`, which becomes a place for them first. `None` (and counted) when the bound is reached.
    pub(super) fn obtain(&mut self, place: &mut ArenaPlace) -> Option<&mut Anomalies> {
        if place.anomalies().is_none() {
            if self.places.len() >= self.limit() {
                self.refused += 1;
                return None;
            }
            let sides = self.sides(*place).copied().unwrap_or_default();
            self.give_back(place);
            *place = ArenaPlace((self.places.take(Anomalies { sides, ..Anomalies::default() }) + 1) | HAS_ANOMALIES);
        }
        self.get_mut(*place)
    }

    const fn limit(&self) -> usize {
        if self.flow_count_max == 0 || self.flow_count_max > NUMBERED_MAX { NUMBERED_MAX } else { self.flow_count_max }
    }

    /// Gives a place back and forgets it.
    pub(super) fn give_back(&mut self, place: &mut ArenaPlace) {
        match place.kind() {
            Kind::None => return,
            Kind::Measured(number) => self.measured.give_back(number),
            Kind::Anomalies(number) => self.places.give_back(number),
        }
        *place = ArenaPlace::NONE;
    }
}

#[cfg(test)]
mod tests {
    use super::{ArenaPlace, Retimed, TcpArena};
    use crate::flow::tcp::rtt::{Stamp, TOO_OLD};
    use crate::flow::tcp::sequence::Sequence;
    use netscope_backends::Timestamp;

    #[test]
    fn the_bound_holds_and_is_counted() {
        let mut arena = TcpArena::with_capacity(2);
        let mut places = [ArenaPlace::NONE; 3];
        assert!(arena.obtain(&mut places[0]).is_some());
        assert!(arena.obtain(&mut places[1]).is_some());
        assert!(arena.obtain(&mut places[2]).is_none());
        assert_eq!((arena.flow_count(), arena.refused()), (2, 1));
    }

    #[test]
    fn round_trips_move_with_a_flow_that_gets_anomalies() {
        let mut arena = TcpArena::with_capacity(1);
        let [mut first, mut second] = [ArenaPlace::NONE; 2];
        arena.obtain_sides(&mut first).unwrap()[1].add(7, false);
        assert!(arena.obtain_sides(&mut second).is_none() && second == ArenaPlace::NONE);
        assert_eq!((arena.flow_count(), arena.measured_count(), arena.refused()), (0, 1, 1));
        assert!(arena.get(first).is_none() && arena.get_mut(first).is_none());
        arena.obtain(&mut first).unwrap().counts.keep_alives = 3;
        assert_eq!((arena.flow_count(), arena.measured_count()), (1, 0));
        assert_eq!((arena.sides(first).unwrap()[1].count, arena.get(first).unwrap().counts.keep_alives), (1, 3));
        // Refused, a flow keeps what it has.
        arena.obtain_sides(&mut second).unwrap()[0].add(9, false);
        assert!(arena.obtain(&mut second).is_none());
        assert_eq!(arena.sides(second).unwrap()[0].count, 1);
        arena.give_back(&mut first);
        arena.give_back(&mut second);
        assert_eq!((arena.flow_count(), arena.measured_count()), (0, 0));
    }

    #[test]
    fn what_is_timed_for_too_long_is_given_up() {
        let timed = Retimed { end: Sequence(100), timestamp: 1, sent: Stamp::of(Timestamp(0)) };
        let after = |us: u32, all| {
            let mut retimed = timed;
            retimed.age(Stamp::of(Timestamp(u64::from(us) * 1000)), all);
            retimed.is_running()
        };
        assert!(after(TOO_OLD - 1, false) && !after(TOO_OLD, false) && !after(1, true));
    }

    #[test]
    fn released_places_are_used_again_and_clean() {
        let mut arena = TcpArena::with_capacity(1);
        let mut first = ArenaPlace::NONE;
        arena.obtain(&mut first).unwrap().counts.retransmissions = 7;
        arena.give_back(&mut first);
        arena.give_back(&mut first);
        assert_eq!(arena.flow_count(), 0);
        let mut second = ArenaPlace::NONE;
        assert_eq!(arena.obtain(&mut second).unwrap().counts.retransmissions, 0);
        assert_eq!(arena.flow_count(), 1);
    }
}
