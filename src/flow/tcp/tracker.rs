//! One TCP connection: who opened it, how far it came, what its segments say.
//!
//! Owns the slow path: every fast and warm path has to leave what [`TcpTracker::observe`] leaves. Knows no
//! table; time comes in with each segment. Its invariant: a connection takes [`TcpConnection`], [`TcpBeginning`] and, when it is
//! analysed, [`TcpSequences`] and a clock, however long it lives.

use super::acceptable::Numbers;
use super::arena::TcpArena;
use super::arrival::Arrival;
use super::beginning::TcpBeginning;
use super::connection::TcpConnection;
use super::marks::TcpMarks;
use super::sequence::Sequence;
use super::sequences::TcpSequences;
use crate::flow::Direction;
use crate::wire::{Announced, TcpFlags, TcpSegment};
use netscope_backends::Timestamp;

/// A connection that had a segment within this time is alive. Of one that was quiet for longer the end, or what moved the window, may
/// not have been captured.
const ALIVE_US: u32 = 1_000_000;

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

/// One TCP connection, to take in a segment. Both directions of it come through [`TcpTracker::observe`]. Whoever keeps the
/// parts lays them out; they always belong to the same connection.
#[derive(Debug)]
pub struct TcpTracker<'a> {
    /// Client, control bits and state.
    pub connection: &'a mut TcpConnection,
    /// First numbers and options.
    pub beginning: &'a mut TcpBeginning,
    /// What is analysed is remembered here; `None` when nothing is, for all of the connection's life.
    pub analysed: Option<Analysed<'a>>,
}

/// What the analysis remembers of a connection.
#[derive(Debug)]
pub struct Analysed<'a> {
    /// What is asked of every segment.
    pub sequences: &'a mut TcpSequences,
    /// The time of the latest SYN in ns, and in the end the handshake's round trip; the connection knows which.
    pub clock: &'a mut u64,
}

impl Analysed<'_> {
    /// The same for a shorter time.
    #[inline(always)]
    pub const fn again(&mut self) -> Analysed<'_> {
        Analysed { sequences: self.sequences, clock: self.clock }
    }
}

impl TcpTracker<'_> {
    /// Begins a connection whose first segment this is; [`TcpTracker::observe`] has to see the same segment next.
    pub fn open(&mut self, segment: &TcpSegment, direction: Direction, time: Timestamp) {
        *self.connection = TcpConnection::BLANK;
        *self.beginning = TcpBeginning::UNKNOWN;
        if let Some(analysed) = &mut self.analysed {
            *analysed.sequences = TcpSequences::new(time);
            *analysed.clock = 0;
        }
        self.connection.note_client(segment.flags, direction);
    }

    /// Takes in one segment, in the order of capture. What it was found to be.
    pub fn observe(
        &mut self,
        segment: &TcpSegment,
        direction: Direction,
        time: Timestamp,
        arena: &mut TcpArena,
        analysis: &TcpAnalysis,
    ) -> TcpMarks {
        let &TcpSegment { flags, sequence, acknowledgment, payload_len, ref options, .. } = segment;
        if self.is_stray(segment, direction, time, arena) {
            arena.note_out_of_window();
            if let Some(Analysed { sequences, .. }) = &mut self.analysed {
                sequences.note_stray(segment, direction, arena);
            }
            return TcpMarks::OUT_OF_WINDOW;
        }
        let arrival = Arrival::new(segment, direction, time);
        self.connection.note_client(flags, direction);
        if let Some(Analysed { sequences, .. }) = &mut self.analysed {
            sequences.age(time, arrival.now, arena);
            if flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::ACK) && self.connection.knows_first(direction.index()) {
                sequences.restore_next(direction, arena);
            }
        }
        self.beginning.note_firsts((flags, sequence, acknowledgment), direction, self.connection);
        let mut marks = TcpMarks::NONE;
        if let Some(Analysed { sequences, clock }) = &mut self.analysed {
            let initial_rtt_ns = self.connection.handshake_rtt_ns(**clock);
            marks = sequences.take_in(&arrival, initial_rtt_ns, arena, analysis);
            if !self.connection.time_handshake(flags, time, clock) {
                arena.note_backward_handshake();
            }
        }
        self.step(flags, payload_len, direction);
        self.connection.note_flags(flags, direction);
        self.connection.note_syn_data(flags, payload_len);
        if flags.has(TcpFlags::SYN) {
            let announced = Announced { mss: options.mss, window_scale: options.window_scale };
            self.beginning.note_options(announced, direction);
        }
        marks
    }

    /// True when this segment opens a new connection on a tuple that was used before, by the rule of [`TcpBeginning::is_other_syn`].
    /// A SYN outside the window of a connection that was alive just now opens nothing, whatever it says: its receiver answers with
    /// an ACK of the old one (RFC 5961 section 4.2). A SYN-ACK that answers such a SYN does: so nobody was there any more.
    pub fn reopens(&self, segment: &TcpSegment, direction: Direction, time: Timestamp, arena: &TcpArena) -> bool {
        segment.flags.has(TcpFlags::SYN)
            && self.beginning.is_other_syn(self.connection, segment.sequence, direction)
            && !self.is_stray(segment, direction, time, arena)
    }

    /// A segment that its receiver drops, as far as can be told. Before the connection is established that is what
    /// [`TcpBeginning::is_refused`] says; then a reset or a SYN whose number lies outside the window while the connection is alive
    /// (RFC 5961 sections 3.2 and 4.2). Who does not analyse does not know the window and follows any of those.
    fn is_stray(&self, segment: &TcpSegment, direction: Direction, time: Timestamp, arena: &TcpArena) -> bool {
        let &TcpSegment { flags, sequence, acknowledgment, .. } = segment;
        if self.connection.is_handshaking() {
            return self.beginning.is_refused(self.connection, Numbers { flags, sequence, acknowledgment }, direction);
        }
        let Some(Analysed { sequences, .. }) = &self.analysed else { return false };
        let is_syn = flags.has(TcpFlags::SYN) && self.beginning.is_other_syn(self.connection, sequence, direction);
        if !(is_syn || flags.has(TcpFlags::RST)) || !self.connection.is_established() || !self.connection.knows_both_firsts() {
            return false;
        }
        let answers = is_syn && flags.has(TcpFlags::ACK) && sequences.had_stray_syn(Sequence(acknowledgment), direction, arena);
        let scale = self.beginning.window_scale(direction.reverse());
        !answers && sequences.quiet_us(time) < ALIVE_US && sequences.is_outside_window(Sequence(sequence), direction, scale)
    }

    /// The state after a segment that was taken in.
    pub(super) fn step(&mut self, flags: TcpFlags, payload_len: u32, direction: Direction) {
        // Of a connection that is not analysed nobody knows what is acknowledged.
        let acknowledged = self.analysed.as_ref().map_or([false; 2], |analysed| analysed.sequences.acknowledged());
        self.connection.progress.step(flags, payload_len, direction, acknowledged);
    }
}
