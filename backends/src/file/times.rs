//! Whether the time of a packet can be right, by the packets around it.
//!
//! Owns the judgement. Does no I/O and knows no format. Its one invariant: a time is called wrong only when the packet before it and most
//! of those behind it say so, and what is said of it depends on the capture alone.
//!
//! A capture's clock goes forward in small steps, but for gaps in which nothing came. One record whose time is years ahead (a flipped
//! bit, a clock that was set) would put every clock that follows it out of action: nothing after it would ever be late.

use super::walker::{CaptureWalker, Peeked};
use crate::Timestamp;

/// A step ahead by more than this is judged.
pub(super) const STEP_NS: u64 = 600 * Timestamp::NS_PER_SEC;

/// Most packets behind one that are asked about its time.
const WITNESSES: usize = 16;
/// Most records looked at for them.
const RECORDS_MAX: usize = 64;
/// Most bytes looked at for them: a stream holds as many.
const LOOK_LEN: usize = 1 << 20;

/// What is known of the times of a capture, up to a packet.
#[derive(Clone, Debug, Default)]
pub(super) struct CaptureTimes {
    /// A later time is judged.
    pub(super) limit: Timestamp,
    last: Option<Timestamp>,
    /// Packets whose times were called wrong.
    pub(super) contradicted: u64,
}

/// What comes of a judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// The time may be right.
    Possible,
    /// It cannot be right; this one stands for it.
    Contradicted(Timestamp),
    /// The packets behind are not here yet.
    Undecided,
}

impl CaptureTimes {
    /// A packet of this time comes.
    #[inline(always)]
    pub(super) fn pass(&mut self, time: Timestamp) {
        self.limit = Timestamp(time.0.saturating_add(STEP_NS));
        self.last = Some(time);
    }

    /// Judges a time behind the limit: that of a packet before `rest`, which `walker` goes on with. `is_all`: no more can be asked for.
    #[cold]
    pub(super) fn judge(&self, time: Timestamp, walker: &CaptureWalker, rest: &[u8], is_all: bool) -> Judged {
        let is_all = is_all || rest.len() >= LOOK_LEN;
        let rest = rest.get(..LOOK_LEN).unwrap_or(rest);
        let (mut at, mut for_it, mut against_it, mut other) = (0, 0, 0, None);
        for _ in 0..RECORDS_MAX {
            match walker.peek(rest.get(at..).unwrap_or_default()) {
                Peeked::Packet { time: witness, consumed } => {
                    at += consumed;
                    if witness.0.saturating_add(STEP_NS) < time.0 {
                        against_it += 1;
                        other = other.or(Some(witness));
                    } else {
                        for_it += 1;
                    }
                }
                Peeked::Skip { consumed } => at += consumed,
                Peeked::NeedMore if !is_all => return Judged::Undecided,
                Peeked::NeedMore | Peeked::Other => break,
            }
            if for_it >= WITNESSES / 2 || against_it > WITNESSES / 2 {
                break;
            }
        }
        match self.last.or(other) {
            Some(stand_in) if against_it > for_it => Judged::Contradicted(stand_in),
            _ => Judged::Possible,
        }
    }
}
