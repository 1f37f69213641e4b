//! Warm path of a plain segment on a steady connection that the analysis marks, or that changes what the
//! arena holds: one that comes after a loss, acknowledges what was not captured, changes the window, repeats
//! an ACK.
//!
//! Owns no rule: the rules are [`tcp_direction::analyse`](super::tcp_direction)'s. Left out is what such a segment cannot do: open,
//! close, shake hands, be a retransmission. Its invariant is that of [`super::plain`].

use super::arena::TcpArena;
use super::arrival::Arrival;
use super::marks::TcpMarks;
use super::sequence::Sequence;
use super::sequences::TcpSequences;
use super::tracker::{TcpAnalysis, TcpTracker};
use crate::flow::Direction;
use crate::wire::{PlainSegment, Ports, TcpOptions, TcpSegment};
use netscope_backends::Timestamp;

impl TcpTracker<'_> {
    /// Takes in a segment that [`TcpSequences::take_in_plain`] declined. What it was found to be; `None`, and nothing changed, when
    /// [`TcpTracker::observe`] has to look at it.
    #[inline]
    pub fn observe_loss(
        &mut self,
        segment: &PlainSegment,
        direction: Direction,
        time: Timestamp,
        arena: &mut TcpArena,
        analysis: &TcpAnalysis,
    ) -> Option<TcpMarks> {
        debug_assert!(self.connection.is_steady(), "who calls has to know");
        let marks = match &mut self.analysed {
            Some(analysed) => analysed.sequences.take_in_loss(segment, direction, time, arena, analysis)?,
            None => TcpMarks::NONE,
        };
        self.connection.note_flags(segment.flags, direction);
        Some(marks)
    }
}

impl TcpSequences {
    #[inline]
    fn take_in_loss(
        &mut self,
        segment: &PlainSegment,
        direction: Direction,
        time: Timestamp,
        arena: &mut TcpArena,
        analysis: &TcpAnalysis,
    ) -> Option<TcpMarks> {
        let [fwd, rev] = [direction, direction.reverse()].map(|of| &self.directions[of.index()]);
        let (start, end) = (Sequence(segment.sequence), Sequence(segment.sequence) + segment.payload_len);
        let is_resent = !fwd.knows_next() || start.before(fwd.next) || segment.payload_len > 0 && end.up_to(rev.ack);
        // The timestamps of what is sent again and of its ACK are asked for, and a plain segment has left them out.
        if is_resent || rev.is_retimed() || !self.is_current(time) {
            return None;
        }
        let &PlainSegment { sequence, acknowledgment, payload_len, window, flags } = segment;
        let ports = Ports { source: 0, destination: 0 };
        let options = TcpOptions::default();
        let whole = TcpSegment { ports, sequence, acknowledgment, flags, window, payload_len, options };
        let arrival = Arrival::new(&whole, direction, time);
        // The handshake's round trip tells late from sent again, and this is neither.
        Some(self.take_in(&arrival, None, arena, analysis))
    }
}
