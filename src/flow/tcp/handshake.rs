//! Warm paths of an orderly handshake: the SYN that opens a connection, its answer, the ACK that establishes
//! it.
//!
//! Owns shortcuts and no rule. Its invariant: each leaves the same state as the slow path, [`TcpTracker::observe`], or changes
//! nothing and says so, whatever is analysed.

use super::rtt::{self, Epoch, Passed, Stamp};
use super::sequence::Sequence;
use super::tcp_direction::{self, TcpDirection};
use super::tracker::{TcpAnalysis, TcpBeginning, TcpTracker};
use crate::flow::Direction;
use crate::wire::{PlainSegment, SynSegment};
use netscope_backends::Timestamp;

impl TcpTracker<'_> {
    /// Makes blank parts, and a beginning of which nothing is known, a connection that begins with this SYN, no SYN-ACK, and has
    /// taken it in.
    #[inline(always)]
    pub fn begin(
        &mut self,
        syn: &SynSegment,
        direction: Direction,
        time: Timestamp,
        beginning: &mut TcpBeginning,
        analysis: &TcpAnalysis,
    ) {
        let now = Stamp::of(time);
        let [a, b] = &mut self.sequences.directions;
        let (fwd, rev) = if direction == Direction::AToB { (a, b) } else { (b, a) };
        *rev = TcpDirection::new(now);
        let is_any = analysis.is_any();
        if is_any {
            *fwd = TcpDirection::begun_by(syn, now, analysis.rtt);
            beginning.clock = time.0;
        } else {
            *fwd = TcpDirection::new(now);
        }
        *self.epoch = Epoch::of(time);
        self.connection.begin(syn.flags, direction, is_any);
        beginning.first[direction.index()] = Sequence(syn.sequence);
        beginning.note_options(syn.announced, direction);
    }

    /// Takes in a SYN or SYN-ACK that is the first segment of its direction; false, and nothing changed, when
    /// [`TcpTracker::observe`] has to look at it.
    #[inline]
    pub fn observe_syn(
        &mut self,
        syn: &SynSegment,
        direction: Direction,
        time: Timestamp,
        beginning: &mut TcpBeginning,
        analysis: &TcpAnalysis,
    ) -> bool {
        let (is_any, is_answer) = (analysis.is_any(), syn.is_answer());
        if is_any && !self.is_orderly(syn, direction)
            || self.connection.progress.closing()
            || Epoch::of(time).since(*self.epoch) != Passed::Nothing
        {
            return false;
        }
        self.connection.note_client(syn.flags, direction);
        self.connection.note_firsts((syn.flags, syn.sequence, syn.acknowledgment), direction, &mut beginning.first);
        if is_any {
            self.take_in_syn(syn, direction, Stamp::of(time), analysis);
            if !is_answer {
                self.connection.start_handshake(time, &mut beginning.clock);
            }
        }
        self.connection.progress.begin(is_answer);
        self.connection.note_flags(syn.flags, direction);
        beginning.note_options(syn.announced, direction);
        true
    }

    /// The first segment of its direction, and of both directions or the answer to the other one's SYN.
    #[inline(always)]
    fn is_orderly(&self, syn: &SynSegment, direction: Direction) -> bool {
        let [fwd, rev] = [direction, direction.reverse()].map(|of| &self.sequences.directions[of.index()]);
        let ack = Sequence(syn.acknowledgment);
        let fits = if syn.is_answer() {
            rev.next.known() && ack == rev.next && ack == rev.expected_ack && !rev.ack.known()
        } else {
            rev.is_untouched()
        };
        fits && fwd.is_untouched() && self.sequences.place.is_none()
    }

    /// The sequence analysis of such a SYN.
    #[inline(always)]
    fn take_in_syn(&mut self, syn: &SynSegment, direction: Direction, now: Stamp, analysis: &TcpAnalysis) {
        let [a, b] = &mut self.sequences.directions;
        let (fwd, rev) = if direction == Direction::AToB { (a, b) } else { (b, a) };
        tcp_direction::take_in_syn(fwd, rev, syn, now, analysis.rtt);
        if syn.is_answer()
            && let Some(sample) = rtt::finish(&mut rev.timings, Sequence(syn.acknowledgment), now)
        {
            self.sequences.samples.add(sample);
        }
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
        analysis: &TcpAnalysis,
    ) -> bool {
        let connection = &self.connection;
        let opens = connection.knows_both_firsts() && self.sequences.place.is_none() && connection.progress.is_opening();
        if !opens || !self.take_in_plain::<false>(segment, direction, time, analysis) {
            return false;
        }
        self.connection.end_handshake(time, &mut beginning.clock);
        self.connection.progress.establish();
        true
    }
}
