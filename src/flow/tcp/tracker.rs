//! One TCP connection: who opened it, how far it came, what its segments say.

use super::{TcpArena, TcpState, TcpStateDetail};
use crate::flow::{Direction, TcpRecord};
use crate::wire::{TcpFlags, TcpSegment};
use netscope_backends::Timestamp;

/// Which parts of the sequence analysis run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpAnalysis {
    /// Round-trip times, the handshake's included.
    pub rtt: bool,
    /// Retransmissions and the other anomalies that are found with them.
    pub retransmissions: bool,
    /// Segments that arrive late.
    pub out_of_order: bool,
}

impl Default for TcpAnalysis {
    fn default() -> Self {
        Self { rtt: true, retransmissions: true, out_of_order: true }
    }
}

/// What is known about one TCP connection.
#[derive(Clone, Copy, Debug)]
pub struct TcpTracker {
    flags: [u8; 2],
    syn_sequence: [u32; 2],
    client: Option<Direction>,
    state: TcpState,
}

const _: () = assert!(size_of::<TcpTracker>() <= 136);

impl TcpTracker {
    /// A tracker for a flow whose first segment this is; [`TcpTracker::observe`] has to see the same segment next.
    pub fn open(_segment: &TcpSegment, _direction: Direction, _time: Timestamp) -> Self {
        Self { flags: [0; 2], syn_sequence: [0; 2], client: None, state: TcpState::Unknown }
    }

    /// True when this segment opens a new connection on a tuple that was used before: a SYN with another initial sequence
    /// number, or any SYN after the connection ended (RFC 9293 section 3.6.1).
    pub fn reopens(&self, segment: &TcpSegment, direction: Direction) -> bool {
        let flags = segment.flags;
        if !flags.has(TcpFlags::SYN) || flags.has(TcpFlags::ACK) {
            return false;
        }
        let seen = TcpFlags(u16::from(self.flags[direction.index()])).has(TcpFlags::SYN);
        (seen && segment.sequence != self.syn_sequence[direction.index()]) || self.finished()
    }

    /// Takes in one segment.
    pub fn observe(
        &mut self,
        segment: &TcpSegment,
        direction: Direction,
        _time: Timestamp,
        _arena: &mut TcpArena,
        _analysis: &TcpAnalysis,
    ) {
        let flags = segment.flags;
        if flags.has(TcpFlags::SYN) {
            self.syn_sequence[direction.index()] = segment.sequence;
            if self.client.is_none() {
                self.client = Some(if flags.has(TcpFlags::ACK) { direction.reverse() } else { direction });
            }
        }
        self.flags[direction.index()] |= flags.0 as u8;
        let fins = self.flags.map(|f| TcpFlags(u16::from(f)).has(TcpFlags::FIN));
        let syns = self.flags.map(|f| TcpFlags(u16::from(f)).has(TcpFlags::SYN));
        self.state = if flags.has(TcpFlags::RST) || self.state == TcpState::Reset {
            TcpState::Reset
        } else if fins == [true; 2] {
            TcpState::Closed
        } else if fins != [false; 2] {
            TcpState::FinWait
        } else if flags.has(TcpFlags::SYN) && self.state != TcpState::Established {
            if flags.has(TcpFlags::ACK) || syns == [true; 2] { TcpState::SynAck } else { TcpState::SynSent }
        } else if flags.has(TcpFlags::ACK) {
            TcpState::Established
        } else {
            self.state
        };
    }

    /// True once both sides closed, or one reset the connection: a short linger applies.
    pub fn finished(&self) -> bool {
        matches!(self.state, TcpState::Closed | TcpState::Reset)
    }

    /// The TCP part of the flow's record, as of now.
    pub fn record(&self, _arena: &TcpArena) -> TcpRecord {
        TcpRecord {
            state: self.state,
            detail: TcpStateDetail::Unknown,
            client: self.client,
            flags: self.flags,
            retransmissions: 0,
            fast_retransmissions: 0,
            spurious_retransmissions: 0,
            out_of_order: 0,
            lost_segments: 0,
            ack_lost_segments: 0,
            duplicate_acks: 0,
            keep_alives: 0,
            zero_windows: 0,
            mss: [0; 2],
            window_scale: [None; 2],
            handshake_rtt_ns: None,
            rtt: None,
        }
    }

    /// Gives the side memory back; the tracker must not be used afterwards.
    pub fn release(&mut self, _arena: &mut TcpArena) {}
}
