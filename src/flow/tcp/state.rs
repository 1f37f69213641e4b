//! The states a TCP connection can be in, seen from outside, and the machine that goes through them.
//!
//! Owns the states' names and order. Knows no sequence numbers. Its invariant: states only advance; what began again is a new
//! connection.

use crate::flow::Direction;
use crate::wire::TcpFlags;

/// The seven exported states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum TcpState {
    #[default]
    Unknown,
    SynSent,
    SynAck,
    Established,
    FinWait,
    Closed,
    Reset,
}

impl TcpState {
    /// Both sides sent a FIN, or one a reset.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Reset)
    }

    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::SynSent => "syn_sent",
            Self::SynAck => "syn_ack",
            Self::Established => "established",
            Self::FinWait => "fin_wait",
            Self::Closed => "closed",
            Self::Reset => "reset",
        }
    }
}

/// The finer state: that of the side that is furthest, by the names of RFC 9293 section 3.3.2. LISTEN cannot be seen from outside.
///
/// After the first FIN, `FinWait1` until it is acknowledged, then `FinWait2`, or `CloseWait` once the other side is seen to go on
/// sending data (side-closed). After the second FIN, `Closing` while the first is not acknowledged, `LastAck` while only the
/// second is not, then `TimeWait`. `Closed` is a connection that was reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum TcpStateDetail {
    #[default]
    Unknown,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
    Closed,
}

impl TcpStateDetail {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::SynSent => "syn_sent",
            Self::SynReceived => "syn_received",
            Self::Established => "established",
            Self::FinWait1 => "fin_wait_1",
            Self::FinWait2 => "fin_wait_2",
            Self::CloseWait => "close_wait",
            Self::Closing => "closing",
            Self::LastAck => "last_ack",
            Self::TimeWait => "time_wait",
            Self::Closed => "closed",
        }
    }
}

/// How far a connection came, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TcpProgress(u8);

/// Bits above the detail's four.
const CLOSED_BY_B: u8 = 1 << 4;
const FIN_FROM_A: u8 = 1 << 5;
const FIN_FROM_B: u8 = 1 << 6;
const RESET: u8 = 1 << 7;

impl TcpProgress {
    /// Before any segment.
    pub(super) const NEW: Self = Self(0);

    /// The finer state.
    pub(super) const fn detail(self) -> TcpStateDetail {
        match self.0 & 15 {
            1 => TcpStateDetail::SynSent,
            2 => TcpStateDetail::SynReceived,
            3 => TcpStateDetail::Established,
            4 => TcpStateDetail::FinWait1,
            5 => TcpStateDetail::FinWait2,
            6 => TcpStateDetail::CloseWait,
            7 => TcpStateDetail::Closing,
            8 => TcpStateDetail::LastAck,
            9 => TcpStateDetail::TimeWait,
            10 => TcpStateDetail::Closed,
            _ => TcpStateDetail::Unknown,
        }
    }

    /// The exported state. A connection counts as closed from the second FIN on: what follows it is only the last ACK.
    pub(super) const fn state(self) -> TcpState {
        if self.0 & RESET != 0 {
            return TcpState::Reset;
        }
        match self.detail() {
            TcpStateDetail::Unknown => TcpState::Unknown,
            TcpStateDetail::SynSent => TcpState::SynSent,
            TcpStateDetail::SynReceived => TcpState::SynAck,
            TcpStateDetail::Established => TcpState::Established,
            TcpStateDetail::FinWait1 | TcpStateDetail::FinWait2 | TcpStateDetail::CloseWait => TcpState::FinWait,
            TcpStateDetail::Closing | TcpStateDetail::LastAck | TcpStateDetail::TimeWait | TcpStateDetail::Closed => {
                TcpState::Closed
            }
        }
    }

    /// Established, and no end in sight: a segment without SYN, FIN and RST changes nothing.
    pub(super) const fn is_established(self) -> bool {
        self.0 == TcpStateDetail::Established as u8
    }

    /// Not established yet, and no end in sight.
    pub(super) const fn is_opening(self) -> bool {
        self.0 < TcpStateDetail::Established as u8
    }

    /// As [`TcpProgress::step`] of a SYN, or of a SYN-ACK, without FIN and RST while no end is in sight.
    pub(super) fn begin(&mut self, is_answer: bool) {
        self.advance(if is_answer { TcpStateDetail::SynReceived } else { TcpStateDetail::SynSent });
    }

    /// As [`TcpProgress::step`] of an ACK without SYN, FIN and RST while no end is in sight.
    pub(super) fn establish(&mut self) {
        self.advance(TcpStateDetail::Established);
    }

    /// A FIN or a reset was seen.
    pub(super) const fn closing(self) -> bool {
        self.0 & (FIN_FROM_A | FIN_FROM_B | RESET) != 0
    }

    /// Both sides sent a FIN, or one a reset.
    pub(super) const fn finished(self) -> bool {
        self.0 & RESET != 0 || self.0 & (FIN_FROM_A | FIN_FROM_B) == FIN_FROM_A | FIN_FROM_B
    }

    /// Takes in a segment's control bits (RFC 9293 section 3.10.7). `acknowledged` says of each direction whether all that was
    /// sent in it, this segment included, is acknowledged.
    pub(super) fn step(&mut self, flags: TcpFlags, payload_len: u32, direction: Direction, acknowledged: [bool; 2]) {
        let has = |flag| flags.has(flag);
        if self.0 & RESET != 0 {
            return;
        }
        if has(TcpFlags::RST) {
            self.0 |= RESET;
            return self.advance(TcpStateDetail::Closed);
        }
        if has(TcpFlags::SYN) && !self.closing() {
            // Two SYNs that cross make both sides go to SYN-RECEIVED (RFC 9293 figure 7), which the SYN-ACKs that follow show.
            self.begin(has(TcpFlags::ACK));
        } else if has(TcpFlags::ACK) && !has(TcpFlags::SYN) {
            self.establish();
        }
        let fin = if direction == Direction::AToB { FIN_FROM_A } else { FIN_FROM_B };
        if has(TcpFlags::FIN) {
            if !self.closing() && direction == Direction::BToA {
                self.0 |= CLOSED_BY_B;
            }
            self.0 |= fin;
        }
        if self.closing() {
            let data_after = payload_len > 0 && self.0 & fin == 0;
            self.close(acknowledged, data_after);
        }
    }

    fn close(&mut self, acknowledged: [bool; 2], data_after: bool) {
        let first = usize::from(self.0 & CLOSED_BY_B != 0);
        let to = match (self.finished(), acknowledged[first], acknowledged[1 - first]) {
            (false, false, _) => TcpStateDetail::FinWait1,
            (false, true, _) if data_after => TcpStateDetail::CloseWait,
            (false, true, _) => TcpStateDetail::FinWait2,
            (true, false, _) => TcpStateDetail::Closing,
            (true, true, false) => TcpStateDetail::LastAck,
            (true, true, true) => TcpStateDetail::TimeWait,
        };
        self.advance(to);
    }

    fn advance(&mut self, to: TcpStateDetail) {
        if to as u8 > self.0 & 15 {
            self.0 = self.0 & !15 | to as u8;
        }
    }
}
