//! How a TCP connection began: what few segments ask for.
//!
//! Owns the first sequence numbers and what the SYNs announced. Knows no time. Its invariant: all of it is kept whatever is
//! analysed.

use super::connection::TcpConnection;
use super::sequence::Sequence;
use crate::flow::{Direction, TcpRecord};
use crate::wire::{Announced, TcpFlags};

/// First numbers and options of one connection, 13 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed)]
pub struct TcpBeginning {
    /// Initial sequence numbers, or the ones before the first byte where no SYN was seen. The connection knows which are known.
    pub(super) first: [Sequence; 2],
    mss: [u16; 2],
    /// Shift counts: that of endpoint a in the low four bits, that of b in the high ones.
    window_scales: u8,
}

const _: () = assert!(size_of::<TcpBeginning>() == 13);

/// Greatest window shift count (RFC 7323 section 2.3).
pub(super) const SCALE_MAX: u8 = 14;
/// No window scale option was seen.
const NO_SCALE: u8 = 15;
const _: () = assert!(SCALE_MAX < NO_SCALE);

impl TcpBeginning {
    /// Before the first segment.
    pub const UNKNOWN: Self = Self { first: [Sequence(0); 2], mss: [0; 2], window_scales: NO_SCALE << 4 | NO_SCALE };

    /// True when a SYN or SYN-ACK with this sequence number opens a new connection on a tuple that was used before: it is not the
    /// initial one on record, or it comes after a FIN or a reset (RFC 9293 section 3.6.1).
    #[inline]
    pub const fn is_other_syn(&self, connection: &TcpConnection, sequence: u32, direction: Direction) -> bool {
        connection.is_opened_again(direction, self.first[direction.index()], sequence)
    }

    /// The sequence number before a side's first byte, if it is known: of its SYN, where that was seen.
    pub const fn first(&self, connection: &TcpConnection, direction: Direction) -> Option<u32> {
        let first = self.first;
        if connection.knows_first(direction.index()) { Some(first[direction.index()].0) } else { None }
    }

    /// The window shift count that a side announced.
    pub fn window_scale(&self, direction: Direction) -> Option<u8> {
        let scale = self.window_scales >> (4 * direction.index()) & 15;
        (scale != NO_SCALE).then_some(scale)
    }

    /// The TCP part of the flow's record, as of now: no counts and no times.
    #[inline]
    pub fn record(&self, connection: &TcpConnection) -> TcpRecord {
        let window_scale = [Direction::AToB, Direction::BToA].map(|direction| self.window_scale(direction));
        TcpRecord { mss: self.mss, window_scale, ..connection.record() }
    }

    pub(super) fn note_firsts(&mut self, numbers: (TcpFlags, u32, u32), direction: Direction, connection: &mut TcpConnection) {
        let mut first = self.first;
        connection.note_firsts(numbers, direction, &mut first);
        self.first = first;
    }

    pub(super) fn note_options(&mut self, announced: Announced, direction: Direction) {
        if let Some(mss) = announced.mss {
            self.mss[direction.index()] = mss;
        }
        if let Some(scale) = announced.window_scale {
            let shift = 4 * direction.index();
            self.window_scales = self.window_scales & !(15 << shift) | scale.min(SCALE_MAX) << shift;
        }
    }
}
