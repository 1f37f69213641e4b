//! Whether the time of a packet can be right, by the packets around it.
//!
//! Owns the judgement. Does no I/O and knows no format. Its one invariant: a time is called wrong only when it lies in the future and the
//! packet before it and most of those behind it contradict it.
//!
//! One record whose time is years ahead (a flipped bit, a clock that was set) would put every clock that follows it out of action: nothing
//! after it would ever be late. Times of the past are taken as they are, in any order: captures of several times are put together, and their
//! readers want what the file says.

use super::walker::{CaptureWalker, Peeked};
use crate::Timestamp;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// A step into the future by more than this is judged.
pub(super) const STEP_NS: u64 = 600 * Timestamp::NS_PER_SEC;
/// Behind the time when the program first read a capture, in seconds, what is captured may lie: clocks are set wrong by hours.
const FUTURE_AFTER_S: u64 = 86_400;

/// What lies behind it is the future.
static FUTURE: LazyLock<Timestamp> = LazyLock::new(|| {
    // A clock before 1970 calls everything the future, which is then judged by its steps.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp((now.as_secs() + FUTURE_AFTER_S).saturating_mul(Timestamp::NS_PER_SEC))
});

/// Most packets behind one that are asked about its time.
const WITNESSES: usize = 16;
/// Most records looked at for them.
const RECORDS_MAX: usize = 64;
/// Most bytes looked at for them: a stream holds as many.
const LOOK_LEN: usize = 1 << 20;

/// What is known of the times of a capture, up to a packet.
#[derive(Clone, Debug)]
pub(super) struct CaptureTimes {
    /// No earlier time is judged.
    pub(super) future: Timestamp,
    pub(super) last: Option<Timestamp>,
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

impl Default for CaptureTimes {
    fn default() -> Self {
        Self { future: *FUTURE, last: None, contradicted: 0 }
    }
}

impl CaptureTimes {
    /// A packet of this time comes.
    #[inline(always)]
    pub(super) fn pass(&mut self, time: Timestamp) {
        self.last = Some(time);
    }

    /// The time is to be judged.
    #[inline(always)]
    pub(super) fn is_far(&self, time: Timestamp) -> bool {
        time > self.future && self.last.is_none_or(|last| time.0 > last.0.saturating_add(STEP_NS))
    }

    /// Judges a far time: that of a packet before `rest`, which `walker` goes on with. `is_all`: no more can be asked for.
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
