//! What lies at a flow's place, with and without a TCP analysis.
//!
//! Owns the two layouts and the one view of both. Knows no number of places. Its invariant: the tracker of a place without
//! analysis is told of everything that one with analysis is told of.

use super::Direction;
use super::entry::{ColdHalf, Entry};
use super::tcp::{Analysed, TcpAnalysis, TcpArena, TcpSequences, TcpTracker};
use crate::wire::{PlainSegment, TcpSegment};
use netscope_backends::Timestamp;
use std::borrow::{Borrow, BorrowMut};

/// The hot half of a flow whose TCP connection is analysed: three cache lines.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct AnalysedEntry {
    entry: Entry,
    /// Means something while the entry is tracked.
    sequences: TcpSequences,
}

/// The cold half of such a flow.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(super) struct TimedCold {
    cold: ColdHalf,
    handshake_clock: u64,
}

const _: () = assert!(size_of::<AnalysedEntry>() == 192 && size_of::<TimedCold>() == 48);
const _: () = assert!(size_of::<AnalysedEntry>() + size_of::<TimedCold>() <= 248, "a million flows fit into 256 MiB");
const _: () = assert!(size_of::<Entry>() + size_of::<ColdHalf>() <= 118, "without analysis they fit into 128 MiB");

/// The hot half of either layout; its default is blank.
pub(super) trait HotHalf: BorrowMut<Entry> + Default {
    /// Takes in a segment without marks, on a [steady](super::tcp::TcpConnection::is_steady) connection; false, and nothing
    /// changed, when the tracker has to look at it.
    fn observe_plain(
        &mut self,
        segment: &PlainSegment,
        direction: Direction,
        time: Timestamp,
        arena: &mut TcpArena,
        analysis: &TcpAnalysis,
    ) -> bool;
}

impl HotHalf for Entry {
    #[inline(always)]
    fn observe_plain(
        &mut self,
        segment: &PlainSegment,
        direction: Direction,
        _: Timestamp,
        _: &mut TcpArena,
        _: &TcpAnalysis,
    ) -> bool {
        self.connection.note_flags(segment.flags, direction);
        true
    }
}

impl HotHalf for AnalysedEntry {
    #[inline(always)]
    fn observe_plain(
        &mut self,
        segment: &PlainSegment,
        direction: Direction,
        time: Timestamp,
        arena: &mut TcpArena,
        analysis: &TcpAnalysis,
    ) -> bool {
        let is_taken = self.sequences.take_in_plain::<false>(segment, direction, time, arena, analysis);
        if is_taken {
            self.entry.connection.note_flags(segment.flags, direction);
        }
        is_taken
    }
}

impl Default for AnalysedEntry {
    #[inline(always)]
    fn default() -> Self {
        Self { entry: Entry::BLANK, sequences: TcpSequences::BLANK }
    }
}

impl Borrow<Entry> for AnalysedEntry {
    #[inline(always)]
    fn borrow(&self) -> &Entry {
        &self.entry
    }
}

impl BorrowMut<Entry> for AnalysedEntry {
    #[inline(always)]
    fn borrow_mut(&mut self) -> &mut Entry {
        &mut self.entry
    }
}

impl Borrow<ColdHalf> for TimedCold {
    #[inline(always)]
    fn borrow(&self) -> &ColdHalf {
        &self.cold
    }
}

impl BorrowMut<ColdHalf> for TimedCold {
    #[inline(always)]
    fn borrow_mut(&mut self) -> &mut ColdHalf {
        &mut self.cold
    }
}

/// Both halves of a flow's place.
pub(super) struct Parts<'a> {
    pub entry: &'a mut Entry,
    pub cold: &'a mut ColdHalf,
    analysed: Option<Analysed<'a>>,
}

impl AnalysedEntry {
    /// What the sequence analysis remembers.
    pub const fn sequences(&self) -> &TcpSequences {
        &self.sequences
    }
}

impl TimedCold {
    /// As [`Analysed`]'s clock.
    pub const fn handshake_clock(&self) -> u64 {
        self.handshake_clock
    }
}

impl<'a> Parts<'a> {
    /// Of a flow without analysis.
    #[inline(always)]
    pub const fn compact(entry: &'a mut Entry, cold: &'a mut ColdHalf) -> Self {
        Self { entry, cold, analysed: None }
    }

    /// Of a flow with analysis.
    #[inline(always)]
    pub const fn analysed(hot: &'a mut AnalysedEntry, back: &'a mut TimedCold) -> Self {
        let analysed = Analysed { sequences: &mut hot.sequences, clock: &mut back.handshake_clock };
        Self { entry: &mut hot.entry, cold: &mut back.cold, analysed: Some(analysed) }
    }

    /// The TCP tracker of a flow that had a segment.
    #[inline(always)]
    pub fn tracker(&mut self) -> TcpTracker<'_> {
        TcpTracker {
            connection: &mut self.entry.connection,
            beginning: &mut self.cold.beginning,
            analysed: self.analysed.as_mut().map(Analysed::again),
        }
    }

    /// The TCP tracker, made at the first segment.
    #[inline]
    pub fn tracker_or_open(&mut self, segment: &TcpSegment, direction: Direction, time: Timestamp) -> TcpTracker<'_> {
        let is_tracked = self.entry.is_tracked();
        let mut tracker = self.tracker();
        if !is_tracked {
            tracker.open(segment, direction, time);
        }
        tracker
    }

    /// The tracker took in a segment.
    #[inline]
    pub fn note_tracked(&mut self) {
        self.entry.note_tracked(self.analysed.as_ref().is_some_and(|analysed| analysed.sequences.may_ask_arena()));
    }

    /// Gives the tracker's side memory back, if there is a tracker.
    pub fn release_tcp(&mut self, arena: &mut TcpArena) {
        if self.entry.is_tracked() {
            if let Some(analysed) = &mut self.analysed {
                analysed.sequences.release(arena);
            }
            self.entry.note_released();
        }
    }
}
