//! The straight way through an orderly end: the FINs, what is acknowledged between them and after.
//!
//! Owns a shortcut and no rule: what [`TcpTracker::observe`] makes of a segment is the truth. Its invariant: it either
//! leaves exactly what `observe` would, or changes nothing and says so. All parts of the analysis must be on.

use super::tracker::TcpTracker;
use crate::flow::Direction;
use crate::wire::PlainSegment;
use netscope_backends::Timestamp;

impl TcpTracker {
    /// Takes in a segment with a FIN, or one without on a connection that is not, or no more, established; false, and nothing
    /// changed, when [`TcpTracker::observe`] has to look at it.
    #[inline]
    pub fn observe_closing(&mut self, segment: &PlainSegment, direction: Direction, time: Timestamp) -> bool {
        let is_taken = self.is_settled()
            && if segment.is_last() {
                self.take_in_plain::<true>(segment, direction, time)
            } else {
                self.take_in_plain::<false>(segment, direction, time)
            };
        if is_taken {
            self.step(segment.flags, segment.payload_len, direction);
        }
        is_taken
    }
}
