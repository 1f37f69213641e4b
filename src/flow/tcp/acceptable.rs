//! What a side accepts before its connection is established.
//!
//! Owns the rules of RFC 9293 section 3.10.7.3 (SYN-SENT) and of its section 3.10.7.4 for a reset in SYN-RECEIVED, seen from
//! outside. Knows no window and no time. Its invariant: what is analysed changes nothing here.

use super::beginning::TcpBeginning;
use super::connection::TcpConnection;
use crate::flow::Direction;
use crate::wire::TcpFlags;

/// The most data that a SYN may carry, and the most behind a SYN that is taken for acknowledged without a SYN-ACK: so that the
/// connection goes on where that one, and a few segments, were not captured.
const BEHIND_SYN_MAX: u32 = u16::MAX as u32;

/// What of a segment is asked.
#[derive(Clone, Copy)]
pub(super) struct Numbers {
    pub(super) flags: TcpFlags,
    pub(super) sequence: u32,
    pub(super) acknowledgment: u32,
}

impl TcpBeginning {
    /// The number is the one behind the first one of this direction, as far as that is known.
    #[inline(always)]
    pub(super) const fn is_next(&self, connection: &TcpConnection, number: u32, direction: Direction) -> bool {
        let first = self.first;
        !connection.knows_first(direction.index()) || first[direction.index()].0.wrapping_add(1) == number
    }

    /// The receiver of this segment, whose handshake is not complete, drops it, so the connection goes on without it.
    ///
    /// A side that has sent a SYN and has received none takes what acknowledges its SYN, and a SYN without ACK. Of any other state
    /// a reset is taken with the sequence number that is expected next.
    #[inline]
    pub(super) fn is_refused(&self, connection: &TcpConnection, numbers: Numbers, direction: Direction) -> bool {
        if !connection.is_handshaking() {
            return false;
        }
        let Numbers { flags, sequence, acknowledgment } = numbers;
        let with_syn = if connection.had_syn_data() { BEHIND_SYN_MAX } else { 0 };
        let is_behind = |number: u32, first: u32, max: u32| number.wrapping_sub(first.wrapping_add(1)) <= max;
        let is_reset = flags.has(TcpFlags::RST);
        match (self.first(connection, direction), self.first(connection, direction.reverse())) {
            (Some(own), _) => is_reset && !is_behind(sequence, own, with_syn),
            (None, Some(peer)) if flags.has(TcpFlags::ACK) => {
                let max = if is_reset || flags.has(TcpFlags::SYN) { with_syn } else { BEHIND_SYN_MAX };
                !is_behind(acknowledgment, peer, max)
            }
            (None, Some(_)) => is_reset || !flags.has(TcpFlags::SYN),
            (None, None) => false,
        }
    }
}
