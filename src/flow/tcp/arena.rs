//! Side memory for flows whose segments did not simply arrive in order.
//!
//! Owns the counts and the gaps of such flows, one [`Anomalies`] each. Knows nothing of segments. Its invariant: no more than the
//! bound is ever handed out, and a place is handed out to one flow at a time.

use super::gaps::Gaps;
use super::rtt::{Stamp, TOO_OLD};
use super::sequence::Sequence;
use crate::flow::arena::{Arena, PLACE_COUNT_MAX, Slot};
use crate::wire::TcpSegment;
use netscope_backends::prefetch::prefetch_read;

/// Names a flow's place in the arena; 0 is none, so that a tracker starts as zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ArenaPlace(u32);

impl ArenaPlace {
    /// None was ever needed.
    pub(super) const NONE: Self = Self(0);

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

const _: () = assert!(TcpArena::BYTES_PER_FLOW <= 384);

/// What one flow with anomalies needs beyond its tracker. Arrays are indexed by direction. The first cache line has what is counted and timed
/// and how many gaps the one direction has; the lowest gaps of a direction lie in one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Anomalies {
    pub(super) counts: Counts,
    pub(super) retimed: [Retimed; 2],
    /// What acknowledges the latest SYN outside the window.
    pub(super) stray_syn: Option<u32>,
    pub(super) gaps: [Gaps; 2],
}

impl Slot for Anomalies {
    fn next_free(&self) -> u32 {
        self.counts.retransmissions
    }

    fn set_next_free(&mut self, next: u32) {
        self.counts.retransmissions = next;
    }
}

/// Cold, bounded side memory of the trackers of one flow table, 6 MiB a segment. Grows as flows need it, never shrinks, reuses what was released.
pub struct TcpArena {
    places: Arena<Anomalies, 14>,
    flow_count_max: usize,
    refused: u64,
    gaps_forgotten: u64,
    backward_handshakes: u64,
    out_of_window: u64,
}

impl TcpArena {
    /// Bytes one flow with anomalies takes.
    pub const BYTES_PER_FLOW: usize = size_of::<Anomalies>();

    /// An arena for at most `flow_count_max` flows with anomalies at a time; 0 means no limit but that of the numbering
    /// (2^31 - 1).
    /// No memory is taken yet.
    pub fn with_capacity(flow_count_max: usize) -> Self {
        Self {
            places: Arena::with_capacity(0),
            flow_count_max,
            refused: 0,
            gaps_forgotten: 0,
            backward_handshakes: 0,
            out_of_window: 0,
        }
    }

    /// Flows that hold side memory now.
    pub fn flow_count(&self) -> usize {
        self.places.len()
    }

    /// Times that something could not be noted because the bound was reached: a count of a segment, a gap before it. It is missing in its
    /// flow's record.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Gaps that were forgotten because a direction had more than 16 of them at once. A segment that fills such a gap
    /// Handshakes that ended before they began, by the clock of the capture; they have no round trip.
    pub const fn backward_handshakes(&self) -> u64 {
        self.backward_handshakes
    }

    /// Resets and SYNs outside the window of their connection, which goes on.
    pub const fn out_of_window(&self) -> u64 {
        self.out_of_window
    }

    pub(super) const fn note_out_of_window(&mut self) {
        self.out_of_window += 1;
    }

    pub(super) const fn note_backward_handshake(&mut self) {
        self.backward_handshakes += 1;
    }

    /// late is taken for a retransmission instead of one out of order.
    pub fn gaps_forgotten(&self) -> u64 {
        self.gaps_forgotten
    }

    pub(super) fn note_forgotten(&mut self, count: u32) {
        self.gaps_forgotten += u64::from(count);
    }

    /// Gives all places away; what was counted stays.
    pub(in crate::flow) fn give_away(&mut self) -> Self {
        Self { places: std::mem::replace(&mut self.places, Arena::with_capacity(0)), ..*self }
    }

    /// What was noted at `place`; `None` when nothing ever was.
    pub(super) fn get(&self, place: ArenaPlace) -> Option<&Anomalies> {
        Some(self.places.get(place.0.checked_sub(1)?))
    }

    /// Brings the lines of `place` that a segment with few gaps needs into the cache.
    pub(super) fn prefetch(&self, place: ArenaPlace) {
        if let Some(anomalies) = self.get(place) {
            prefetch_read(&anomalies.counts);
            anomalies.gaps.iter().for_each(Gaps::prefetch);
        }
    }

    /// As [`TcpArena::get`], to write.
    pub(super) fn get_mut(&mut self, place: ArenaPlace) -> Option<&mut Anomalies> {
        Some(self.places.get_mut(place.0.checked_sub(1)?))
    }

    /// The memory at `place`, which is filled in first when it is none. `None` (and counted) when the bound is reached.
    pub(super) fn obtain(&mut self, place: &mut ArenaPlace) -> Option<&mut Anomalies> {
        if place.0 == 0 {
            *place = self.take()?;
        }
        self.get_mut(*place)
    }

    fn take(&mut self) -> Option<ArenaPlace> {
        let limit = if self.flow_count_max == 0 { PLACE_COUNT_MAX } else { self.flow_count_max.min(PLACE_COUNT_MAX) };
        if self.places.len() >= limit {
            self.refused += 1;
            return None;
        }
        Some(ArenaPlace(self.places.take(Anomalies::default()) + 1))
    }

    /// Gives a place back and forgets it.
    pub(super) fn give_back(&mut self, place: &mut ArenaPlace) {
        if let Some(index) = place.0.checked_sub(1) {
            self.places.give_back(index);
            *place = ArenaPlace::NONE;
        }
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
