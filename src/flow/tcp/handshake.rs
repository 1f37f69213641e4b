//! Warm paths of an orderly handshake: the SYN that opens a connection, its answer, the ACK that establishes
//! it.
//!
//! Owns shortcuts and no rule. Its invariant: each leaves the same state as the slow path, [`TcpTracker::observe`], or changes
//! nothing and says so, whatever is analysed.

use super::arena::TcpArena;
use super::rtt::{self, Epoch, Stamp};
use super::sequence::Sequence;
use super::sequences::TcpSequences;
use super::tcp_direction::{self, TcpDirection};
use super::tracker::{TcpAnalysis, TcpTracker};
use crate::flow::Direction;
use crate::wire::{PlainSegment, SynSegment};
use netscope_backends::Timestamp;

impl TcpTracker<'_> {
    /// Makes blank parts a connection that begins with this SYN, no SYN-ACK, and has taken it in.
    #[inline(always)]
    pub fn begin(&mut self, syn: &SynSegment, direction: Direction, time: Timestamp, analysis: &TcpAnalysis) {
        self.connection.begin(syn.flags, direction, self.analysed.is_some());
        self.beginning.first[direction.index()] = Sequence(syn.sequence);
        self.beginning.note_options(syn.announced, direction);
        if let Some(analysed) = &mut self.analysed {
            analysed.sequences.begin(syn, direction, time, analysis);
            *analysed.clock = time.0;
        }
    }

    /// Takes in a SYN or SYN-ACK that is the first segment of its direction; false, and nothing changed, when
    /// [`TcpTracker::observe`] has to look at it.
    #[inline]
    pub fn observe_syn(&mut self, syn: &SynSegment, direction: Direction, time: Timestamp, analysis: &TcpAnalysis) -> bool {
        let is_answer = syn.is_answer();
        if self.connection.progress.closing()
            || is_answer && !self.beginning.is_next(self.connection, syn.acknowledgment, direction.reverse())
        {
            return false;
        }
        if let Some(analysed) = &mut self.analysed {
            if !analysed.sequences.is_orderly(syn, direction) || !analysed.sequences.is_current(time) {
                return false;
            }
            analysed.sequences.take_in_syn(syn, direction, Stamp::of(time), analysis);
            if !is_answer {
                self.connection.start_handshake(time, analysed.clock);
            }
        }
        self.connection.note_client(syn.flags, direction);
        self.beginning.note_firsts((syn.flags, syn.sequence, syn.acknowledgment), direction, self.connection);
        self.connection.progress.begin(is_answer);
        self.connection.note_flags(syn.flags, direction);
        self.beginning.note_options(syn.announced, direction);
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
        arena: &mut TcpArena,
        analysis: &TcpAnalysis,
    ) -> bool {
        let opens = self.connection.knows_both_firsts() && self.connection.progress.is_opening();
        // What the slow path counts: gaps, and a clock that ran backwards.
        let is_odd = self.analysed.as_ref().is_some_and(|analysed| {
            !analysed.sequences.place.is_none() || !self.connection.handshake_may_end(time, *analysed.clock)
        });
        if !opens || is_odd || !self.take_in_plain::<false>(segment, direction, time, arena, analysis) {
            return false;
        }
        if let Some(analysed) = &mut self.analysed {
            self.connection.end_handshake(time, analysed.clock);
        }
        self.connection.progress.establish();
        true
    }
}

impl TcpSequences {
    /// Makes blank sequences those of a connection that begins with this SYN.
    #[inline(always)]
    fn begin(&mut self, syn: &SynSegment, direction: Direction, time: Timestamp, analysis: &TcpAnalysis) {
        let now = Stamp::of(time);
        let (fwd, rev) = self.sides(direction);
        *rev = TcpDirection::new(now);
        *fwd = TcpDirection::begun_by(syn, now, analysis.rtt);
        self.epoch = Epoch::of(time);
    }

    /// The first segment of its direction, and of both directions or the answer to the other one's SYN.
    #[inline(always)]
    fn is_orderly(&self, syn: &SynSegment, direction: Direction) -> bool {
        let [fwd, rev] = [direction, direction.reverse()].map(|of| &self.directions[of.index()]);
        let ack = Sequence(syn.acknowledgment);
        let fits = if syn.is_answer() {
            rev.knows_next() && ack == rev.next && ack == rev.expected_ack && !rev.knows_ack()
        } else {
            rev.is_untouched()
        };
        fits && fwd.is_untouched() && self.place.is_none()
    }

    /// The sequence analysis of such a SYN.
    #[inline(always)]
    fn take_in_syn(&mut self, syn: &SynSegment, direction: Direction, now: Stamp, analysis: &TcpAnalysis) {
        let (fwd, rev) = self.sides(direction);
        tcp_direction::take_in_syn(fwd, rev, syn, now, analysis.rtt);
        if syn.is_answer()
            && let Some(sample) = rtt::finish(&mut rev.timings, Sequence(syn.acknowledgment), now)
        {
            self.samples.add(sample.us);
            // It is the first segment of its direction, so the first that acknowledges.
            self.samples.keep_first(direction.index(), sample.us);
        }
    }
}
