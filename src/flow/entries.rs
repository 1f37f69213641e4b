//! Where flows lie: entries by number, the hot half and the cold half apart, because most packets need the hot one alone.
//!
//! Owns both halves' memory, in one of two layouts, and the list of free places. Knows nothing of what an entry means. Its
//! invariant: a number that was given out names the same place until it is given back, and growing moves no entry.

use super::Direction;
use super::TcpRecord;
use super::arena::{NO_PLACE, Segments};
use super::entry::{ColdHalf, Entry, Flag};
use super::parts::{AnalysedEntry, Parts, TimedCold};
use super::tcp::TcpArena;
use netscope_backends::prefetch::prefetch_whole;
use std::borrow::BorrowMut;

/// 192 or 78 MiB of hot halves and 48 or 40 of cold ones: growing is a mapping of untouched memory, which becomes resident as it
/// is used, and nearly all of it can lie on huge pages.
const SEGMENT_BITS: u32 = 20;

/// Flows by number.
pub(super) struct Entries {
    layout: Layout,
    /// The first free place; each free one's `next` names the one behind it.
    free: u32,
    len: usize,
}

/// The memory of both halves.
pub(super) enum Layout {
    /// With TCP analysis.
    Analysed(Halves<AnalysedEntry, TimedCold>),
    /// Without.
    Compact(Halves<Entry, ColdHalf>),
}

/// Hot halves and cold halves by one number.
pub(super) struct Halves<H, C> {
    pub hot: Segments<H, SEGMENT_BITS>,
    pub cold: Segments<C, SEGMENT_BITS>,
}

/// The same expression for either layout.
macro_rules! either {
    ($layout:expr, $halves:ident => $result:expr) => {
        match $layout {
            Layout::Analysed($halves) => $result,
            Layout::Compact($halves) => $result,
        }
    };
}

impl<H: BorrowMut<Entry> + Default, C: BorrowMut<ColdHalf> + Default> Halves<H, C> {
    fn with_capacity(count: usize) -> Self {
        Self { hot: Segments::with_capacity(count), cold: Segments::with_capacity(count) }
    }

    /// What the hot halves of both layouts have.
    #[inline(always)]
    fn entry(&self, number: u32) -> &Entry {
        self.hot.get(number).borrow()
    }

    /// What the cold halves of both layouts have.
    #[inline(always)]
    fn cold_half(&self, number: u32) -> &ColdHalf {
        self.cold.get(number).borrow()
    }

    /// A new place, blank.
    #[inline(always)]
    fn push(&mut self) -> u32 {
        self.cold.push(C::default());
        self.hot.push(H::default()).0
    }

    /// Makes a place blank again.
    #[inline(always)]
    fn blank(&mut self, number: u32) {
        *self.hot.get_mut(number) = H::default();
        *self.cold.get_mut(number) = C::default();
    }
}

impl Entries {
    /// Reserves `count` entries; untouched memory is not resident. `analyses`: TCP connections are analysed.
    pub fn with_capacity(count: usize, analyses: bool) -> Self {
        let layout =
            if analyses { Layout::Analysed(Halves::with_capacity(count)) } else { Layout::Compact(Halves::with_capacity(count)) };
        Self { layout, free: NO_PLACE, len: 0 }
    }

    /// Gives all entries away; an empty store of the same layout stays behind.
    pub fn give_away(&mut self) -> Self {
        let analyses = matches!(self.layout, Layout::Analysed(_));
        std::mem::replace(self, Self::with_capacity(0, analyses))
    }

    /// The halves themselves, for who looks at the layout once and then does more.
    #[inline(always)]
    pub const fn layout_mut(&mut self) -> &mut Layout {
        &mut self.layout
    }

    /// What every packet asks for.
    #[inline(always)]
    pub fn get(&self, number: u32) -> &Entry {
        either!(&self.layout, halves => halves.entry(number))
    }

    /// The same, to write.
    #[inline(always)]
    pub fn get_mut(&mut self, number: u32) -> &mut Entry {
        either!(&mut self.layout, halves => halves.hot.get_mut(number).borrow_mut())
    }

    /// The cold half.
    #[inline(always)]
    pub fn cold(&self, number: u32) -> &ColdHalf {
        either!(&self.layout, halves => halves.cold_half(number))
    }

    /// The cold half, to write.
    #[inline(always)]
    pub fn cold_mut(&mut self, number: u32) -> &mut ColdHalf {
        either!(&mut self.layout, halves => halves.cold.get_mut(number).borrow_mut())
    }

    /// Both halves.
    #[inline(always)]
    pub fn both(&self, number: u32) -> (&Entry, &ColdHalf) {
        (self.get(number), self.cold(number))
    }

    /// Everything at a place, to write.
    #[inline(always)]
    pub fn parts(&mut self, number: u32) -> Parts<'_> {
        match &mut self.layout {
            Layout::Analysed(halves) => Parts::analysed(halves.hot.get_mut(number), halves.cold.get_mut(number)),
            Layout::Compact(halves) => Parts::compact(halves.hot.get_mut(number), halves.cold.get_mut(number)),
        }
    }

    /// The TCP part of a flow's record, as of now.
    #[inline]
    pub fn tcp_record(&self, number: u32, arena: &TcpArena) -> Option<TcpRecord> {
        let (entry, cold) = self.both(number);
        let mut record = entry.is_tracked().then(|| cold.beginning.record(&entry.connection))?;
        if let Layout::Analysed(halves) = &self.layout {
            halves.hot.get(number).sequences().complete(&mut record, arena);
            record.handshake_rtt_ns = entry.connection.handshake_rtt_ns(halves.cold.get(number).handshake_clock());
        }
        Some(record)
    }

    /// The handshake's round trip of a tracked connection in ns, if it is known.
    pub fn handshake_rtt_ns(&self, number: u32) -> Option<u64> {
        match &self.layout {
            Layout::Analysed(halves) => {
                halves.entry(number).connection.handshake_rtt_ns(halves.cold.get(number).handshake_clock())
            }
            Layout::Compact(_) => None,
        }
    }

    /// Duplicate ACKs in a row that a direction of a tracked connection sent last.
    pub fn duplicate_acks(&self, number: u32, direction: Direction) -> u16 {
        match &self.layout {
            Layout::Analysed(halves) => halves.hot.get(number).sequences().duplicate_acks(direction),
            Layout::Compact(_) => 0,
        }
    }

    /// Takes a place, the one freed last first. A flow is written where it stays: its hot half is large, and what is made
    /// elsewhere is copied twice. What is there is blank.
    #[inline(always)]
    pub fn take(&mut self) -> u32 {
        self.len += 1;
        if self.free == NO_PLACE { either!(&mut self.layout, halves => halves.push()) } else { self.take_freed() }
    }

    #[inline]
    fn take_freed(&mut self) -> u32 {
        let number = self.free;
        self.free = self.cold(number).next;
        if self.free != NO_PLACE {
            self.prefetch(self.free);
            self.prefetch_cold(self.free);
        }
        either!(&mut self.layout, halves => halves.blank(number));
        number
    }

    /// Gives a place back.
    pub fn give_back(&mut self, number: u32) {
        self.get_mut(number).set(Flag::LIVE, false);
        self.cold_mut(number).next = self.free;
        self.free = number;
        self.len -= 1;
    }

    /// Asks for all cache lines of the hot half.
    #[inline(always)]
    pub fn prefetch(&self, number: u32) {
        either!(&self.layout, halves => prefetch_whole(halves.hot.get(number)));
    }

    /// Asks for the cold half.
    #[inline(always)]
    pub fn prefetch_cold(&self, number: u32) {
        either!(&self.layout, halves => prefetch_whole(halves.cold.get(number)));
    }

    /// Asks for what the arena holds of a flow, if anything.
    pub fn prefetch_side(&self, number: u32, arena: &TcpArena) {
        if let Layout::Analysed(halves) = &self.layout {
            halves.hot.get(number).sequences().prefetch(arena);
        }
    }

    /// Asks for the round trips of flows that have more than their first ones.
    #[inline(always)]
    pub fn prefetch_measured(&self, numbers: impl Iterator<Item = u32>, arena: &TcpArena) {
        if let Layout::Analysed(halves) = &self.layout {
            numbers.for_each(|number| halves.hot.get(number).sequences().prefetch_measured(arena));
        }
    }

    /// Live entries.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// All numbers ever given out lie below this.
    pub const fn extent(&self) -> u32 {
        either!(&self.layout, halves => halves.hot.extent())
    }

    /// Bytes in use, free places included.
    pub const fn memory_bytes(&self) -> usize {
        either!(&self.layout, halves => halves.hot.memory_bytes() + halves.cold.memory_bytes())
    }
}
