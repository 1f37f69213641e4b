//! Warm path of an orderly end: the FINs, what is acknowledged between them and after.
//!
//! Owns a shortcut and no rule. Its invariant: it leaves the same state as the slow path, [`TcpTracker::observe`], or changes
//! nothing and says so, whatever is analysed.

use super::arena::TcpArena;
use super::tracker::{TcpAnalysis, TcpTracker};
use crate::flow::Direction;
use crate::wire::PlainSegment;
use netscope_backends::Timestamp;

impl TcpTracker<'_> {
    /// Takes in a segment with a FIN, or one without on a connection that is not, or no more, established; false, and nothing
    /// changed, when [`TcpTracker::observe`] has to look at it.
    #[inline]
    pub fn observe_closing(
        &mut self,
        segment: &PlainSegment,
        direction: Direction,
        time: Timestamp,
        arena: &mut TcpArena,
        analysis: &TcpAnalysis,
    ) -> bool {
        let is_taken = self.connection.is_settled()
            && if segment.is_last() {
                self.take_in_plain::<true>(segment, direction, time, arena, analysis)
            } else {
                self.take_in_plain::<false>(segment, direction, time, arena, analysis)
            };
        if is_taken {
            self.step(segment.flags, segment.payload_len, direction);
        }
        is_taken
    }
}
