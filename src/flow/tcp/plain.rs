//! Fast path of a plain segment, in order and with nothing that the analysis marks.
//!
//! Owns a shortcut and no rule. Its invariant: it leaves the same state as the slow path, [`TcpTracker::observe`], or changes
//! nothing and says so, whatever is analysed.

use super::arena::TcpArena;
use super::rtt::{self, Stamp};
use super::sequence::Sequence;
use super::sequences::TcpSequences;
use super::tcp_direction::{self, TcpDirection};
use super::tracker::{TcpAnalysis, TcpTracker};
use crate::flow::Direction;
use crate::wire::PlainSegment;
use netscope_backends::Timestamp;

impl TcpTracker<'_> {
    /// Takes in a segment without marks; false, and nothing changed, when [`TcpTracker::observe`] has to look at it. `LAST`: the
    /// segment has a FIN.
    #[inline(always)]
    pub fn take_in_plain<const LAST: bool>(
        &mut self,
        segment: &PlainSegment,
        direction: Direction,
        time: Timestamp,
        arena: &mut TcpArena,
        analysis: &TcpAnalysis,
    ) -> bool {
        let is_taken = match &mut self.analysed {
            Some(analysed) => analysed.sequences.take_in_plain::<LAST>(segment, direction, time, arena, analysis),
            None => true,
        };
        if is_taken {
            self.connection.note_flags(segment.flags, direction);
        }
        is_taken
    }
}

impl TcpSequences {
    /// The part of [`TcpTracker::take_in_plain`] that has to do with sequence numbers.
    #[inline(always)]
    pub fn take_in_plain<const LAST: bool>(
        &mut self,
        segment: &PlainSegment,
        direction: Direction,
        time: Timestamp,
        arena: &mut TcpArena,
        analysis: &TcpAnalysis,
    ) -> bool {
        if !self.is_current(time) {
            return false;
        }
        let (fwd, rev) = self.sides(direction);
        let now = Stamp::of(time);
        let start = Sequence(segment.sequence);
        let ack = Sequence(segment.acknowledgment);
        let taken = segment.payload_len + u32::from(LAST);
        let end = start + taken;
        if !is_plain(fwd, rev, segment, start, ack, end) {
            return false;
        }
        tcp_direction::take_in_plain(fwd, rev, segment, taken, now);
        if taken > 0 && analysis.rtt {
            rtt::start(&mut fwd.timings, end, now);
        }
        // Without round trips nothing is ever being timed.
        if let Some(sample) = rtt::finish(&mut rev.timings, ack, now) {
            self.note_sample(sample, direction, taken == 0, arena);
        }
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
    fwd.knows_next()
        && start == fwd.next
        && segment.window != 0
        // An ACK said before, without data: a duplicate, a window update or the answer to a keep-alive.
        && (brings || ack != fwd.ack)
        // One byte into a window that is closed: a probe.
        && !(segment.payload_len == 1 && rev.is_window_closed())
        // Beyond what was seen of the other side.
        && !(rev.knows_next() && ack.after(rev.expected_ack))
        // Acknowledged before it came, or its data was, if not the FIN behind it.
        && !(brings && rev.knows_ack() && (end.up_to(rev.ack) || data_end != end && data_end != start && data_end.up_to(rev.ack)))
        // So much is in flight, for want of ACKs, that the order of its ends is lost.
        && !(brings && fwd.is_far_behind(end))
        // The arena has to hear of it.
        && !(tcp_direction::may_ask_arena(fwd, rev) && (brings && fwd.would_clear_gaps() || fwd.is_closed_timed() || rev.would_tell_arena(ack)))
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
