//! The straight way through an orderly handshake: the SYN that opens a connection, its answer, the ACK that establishes it.
//!
//! Owns shortcuts and no rule: what [`TcpTracker::observe`] makes of a segment is the truth. Its invariant: each either
//! leaves exactly what `observe` would, or changes nothing and says so. All parts of the analysis must be on.

use super::rtt::{self, Epoch, Passed, Stamp};
use super::sequence::Sequence;
use super::tcp_direction::{self, TcpDirection};
use super::tracker::{TcpBeginning, TcpTracker};
use crate::flow::Direction;
use crate::wire::{PlainSegment, SynSegment};
use netscope_backends::Timestamp;

impl TcpTracker {
    /// Makes a blank tracker, and a beginning of which nothing is known, a connection that begins with this SYN, no SYN-ACK, and has
    /// taken it in.
    #[inline(always)]
    pub fn begin(&mut self, syn: &SynSegment, direction: Direction, time: Timestamp, beginning: &mut TcpBeginning) {
        let now = Stamp::of(time);
        self.directions[direction.index()] = TcpDirection::begun_by(syn, now);
        self.directions[direction.reverse().index()] = TcpDirection::new(now);
        self.epoch = Epoch::of(time);
        self.flags[direction.index()] = syn.flags.0 as u8;
        self.progress.begin(false);
        self.note_first_syn(direction);
        beginning.begin(syn, direction, time);
    }

    /// Takes in a SYN or SYN-ACK that is the first segment of its direction; false, and nothing changed, when
    /// [`TcpTracker::observe`] has to look at it.
    #[inline]
    pub fn observe_syn(&mut self, syn: &SynSegment, direction: Direction, time: Timestamp, beginning: &mut TcpBeginning) -> bool {
        let (own, peer) = (direction.index(), direction.reverse().index());
        let (is_answer, ack) = (syn.is_answer(), Sequence(syn.acknowledgment));
        let rev = &self.directions[peer];
        let is_orderly = if is_answer {
            rev.next.known() && ack == rev.next && ack == rev.expected_ack && !rev.ack.known()
        } else {
            rev.is_untouched()
        };
        if !is_orderly
            || !self.directions[own].is_untouched()
            || !self.place.is_none()
            || self.progress.closing()
            || Epoch::of(time).since(self.epoch) != Passed::Nothing
        {
            return false;
        }
        let now = Stamp::of(time);
        self.note_syn(syn, direction, time, beginning);
        let [a, b] = &mut self.directions;
        let (fwd, rev) = if direction == Direction::AToB { (a, b) } else { (b, a) };
        tcp_direction::take_in_syn(fwd, rev, syn, now);
        if is_answer && let Some(sample) = rtt::finish(&mut rev.timings, ack, now) {
            self.samples.add(sample);
        }
        self.progress.begin(is_answer);
        self.flags[own] |= syn.flags.0 as u8;
        true
    }

    /// Takes in the segment that makes the connection established; false, and nothing changed, when [`TcpTracker::observe`] has to
    /// look at it.
    #[inline]
    pub fn observe_first_ack(
        &mut self,
        segment: &PlainSegment,
        direction: Direction,
        time: Timestamp,
        beginning: &mut TcpBeginning,
    ) -> bool {
        let opens = self.knows_both_firsts() && self.place.is_none() && self.progress.is_opening();
        if !opens || !self.take_in_plain::<false>(segment, direction, time) {
            return false;
        }
        self.end_handshake(time, beginning);
        self.progress.establish();
        true
    }
}
