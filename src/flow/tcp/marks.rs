//! What the sequence analysis finds a segment to be.
//!
//! Owns the marks. Knows no rule: those are in [`tcp_direction`](super::tcp_direction), and `docs/tcp-analysis.md`
//! states them.

use super::tracker::TcpAnalysis;

/// What a segment was found to be; several may hold. Most segments have none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpMarks(pub(super) u16);

impl TcpMarks {
    /// Nothing was found.
    pub const NONE: Self = Self(0);
    /// One byte into a closed window.
    pub const ZERO_WINDOW_PROBE: Self = Self(1);
    /// The window is closed.
    pub const ZERO_WINDOW: Self = Self(1 << 1);
    /// What lies before it was not captured.
    pub const LOST: Self = Self(1 << 2);
    /// At most one byte below the next number.
    pub const KEEP_ALIVE: Self = Self(1 << 3);
    /// The same ACK with another window.
    pub const WINDOW_UPDATE: Self = Self(1 << 4);
    /// Answers a keep-alive.
    pub const KEEP_ALIVE_ACK: Self = Self(1 << 5);
    /// Answers a probe, the window still closed.
    pub const ZERO_WINDOW_PROBE_ACK: Self = Self(1 << 6);
    /// The same ACK with the same window and without data.
    pub const DUPLICATE_ACK: Self = Self(1 << 7);
    /// It acknowledges what was not captured.
    pub const ACK_LOST: Self = Self(1 << 8);
    /// Sent again though acknowledged.
    pub const SPURIOUS: Self = Self(1 << 9);
    /// Sent again after two duplicate ACKs.
    pub const FAST: Self = Self(1 << 10);
    /// It came late.
    pub const OUT_OF_ORDER: Self = Self(1 << 11);
    /// Sent again.
    pub const RETRANSMISSION: Self = Self(1 << 12);
    /// A reset or SYN outside the window, or what a side whose handshake is not complete drops: it ends and opens nothing (RFC 5961,
    /// RFC 9293 section 3.10.7).
    pub const OUT_OF_WINDOW: Self = Self(1 << 13);

    /// True when one of `other` was found.
    #[inline(always)]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True when nothing was found.
    #[inline(always)]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One mark, by the number of its bit.
    #[cfg(test)]
    pub(crate) const fn from_bit(bit: u32) -> Self {
        Self(1 << bit)
    }

    pub(super) const fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Without those that were not asked for.
    pub(super) const fn asked_for(self, analysis: &TcpAnalysis) -> Self {
        let late = if analysis.out_of_order { self.0 & Self::OUT_OF_ORDER.0 } else { 0 };
        let rest = if analysis.retransmissions { self.0 & !Self::OUT_OF_ORDER.0 } else { 0 };
        Self(late | rest)
    }
}
