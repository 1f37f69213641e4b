//! How long a side's window was closed.
//!
//! Owns the time from the segment that closes a window to the one that opens it. Knows no rule of what closes one: the mark does.
//! Its invariant: while the time runs, no fast path takes a segment of the side, so each moves the time on.

use super::arena::TcpArena;
use super::arrival::Arrival;
use super::marks::TcpMarks;
use super::rtt::Stamp;
use super::sequences::TcpSequences;
use super::tracker::TcpAnalysis;

/// The time of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClosedTime {
    /// Up to here the time is in `us`; means something while it runs.
    since: Stamp,
    /// The window was closed at some time.
    is_begun: bool,
    us: u64,
}

impl ClosedTime {
    /// A segment came at `now`; `is_running`: the one before it left the window closed.
    fn pass(&mut self, now: Stamp, is_running: bool) {
        if is_running {
            // Captures whose clock steps back give nearly 2^32 here: no time.
            let us = now.since(self.since);
            self.us += if us >> 31 == 0 { u64::from(us) } else { 0 };
        }
        (self.since, self.is_begun) = (now, true);
    }

    /// As [`Stamp::aged`]; a window that was closed for longer counts as closed for 18 minutes.
    pub(super) const fn age(&mut self, now: Stamp, all: bool) {
        self.since = if all { now.long_ago() } else { self.since.aged(now) };
    }

    /// The time in ns; `None` when the window was never closed.
    pub(super) const fn ns(&self) -> Option<u64> {
        if self.is_begun { Some(self.us.saturating_mul(1000)) } else { None }
    }
}

impl TcpSequences {
    /// A segment was classified: a window that it leaves closed is timed on, any other one is not.
    #[inline]
    pub(super) fn time_window(&mut self, a: &Arrival<'_>, marks: TcpMarks, arena: &mut TcpArena, analysis: &TcpAnalysis) {
        let side = &mut self.directions[a.direction.index()];
        let is_running = side.is_closed_timed();
        // Of a probe nothing else is asked, so it has no mark for its own window.
        let stays_closed = is_running && a.segment.window == 0 && !a.syn_fin_or_rst;
        if !(marks.has(TcpMarks::ZERO_WINDOW) || is_running) || !analysis.retransmissions {
            return;
        }
        if let Some(anomalies) = arena.obtain(&mut self.place) {
            anomalies.closed[a.direction.index()].pass(a.now, is_running);
            side.set_closed_timed(marks.has(TcpMarks::ZERO_WINDOW) || stays_closed);
        }
    }
}
