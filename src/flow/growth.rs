//! What flows grew by since somebody last asked.
//!
//! Owns, by place in the table, which flows had a packet since then, and what their counters said then. Knows no bin and nobody who
//! asks. Invariant: what is told of a record over its life adds up to its totals, and nothing is told of a flow
//! without packets, so asking costs what there is to tell and one look per 64 places.

use super::store::FlowStore;
use super::{Direction, FlowKey};
use netscope_backends::Timestamp;

/// Ended flows that are kept until they are asked for, some 10 MiB; [`super::FlowTable::growth_is_due`] says when there are as many.
const ENDED_MAX: usize = 1 << 16;
/// Flows that are shown at once.
const SHOWN_MAX: usize = 256;
const WORD_BITS: usize = u64::BITS as usize;

/// What a flow grew by, and where it stands now. Arrays are indexed by [`Direction::index`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowGrowth {
    /// The flow.
    pub key: FlowKey,
    /// Who began the record.
    pub initiator: Direction,
    /// Packets per direction since the last time.
    pub packets: [u64; 2],
    /// Bytes per direction since the last time, link headers included.
    pub bytes: [u64; 2],
    /// Packets per direction since the record began.
    pub packets_total: [u64; 2],
    /// Bytes per direction since the record began.
    pub bytes_total: [u64; 2],
    /// Time of the earliest packet.
    pub first_seen: Timestamp,
    /// Time of the latest packet.
    pub last_seen: Timestamp,
    /// Number of the packet that opened the record, on its queue.
    pub first_packet: u64,
}

/// Counters of a record when it was last told of.
#[derive(Clone, Copy, Default)]
struct ToldTotals {
    packets: [u64; 2],
    bytes: [u64; 2],
}

/// Growth of the flows of one table. Empty and without cost unless it is followed.
#[derive(Default)]
pub(super) struct GrowthTracker {
    is_on: bool,
    /// A bit per place: it had a packet.
    touched: Vec<u64>,
    told: Vec<ToldTotals>,
    ended: Vec<FlowGrowth>,
}

impl GrowthTracker {
    /// From now on growth is followed.
    pub fn follow(&mut self) {
        self.is_on = true;
    }

    pub const fn is_on(&self) -> bool {
        self.is_on
    }

    /// A packet was counted for the flow at a place.
    #[inline(always)]
    pub fn touch(&mut self, place: u32) {
        let place = place as usize;
        match self.touched.get_mut(place / WORD_BITS) {
            Some(word) => *word |= 1 << (place % WORD_BITS),
            None => self.reach(place),
        }
    }

    #[cold]
    #[inline(never)]
    fn reach(&mut self, place: usize) {
        // Twice as far, so that reaching place after place moves little memory.
        let words = (place / WORD_BITS + 1).next_power_of_two();
        self.touched.resize(words, 0);
        self.told.resize(words * WORD_BITS, ToldTotals::default());
        self.touched[place / WORD_BITS] |= 1 << (place % WORD_BITS);
    }

    /// The record at a place ends: what it grew by is kept until it is asked for, and what comes there next begins with nothing.
    pub fn end(&mut self, place: u32, store: &FlowStore) {
        let at = place as usize;
        let Some(word) = self.touched.get_mut(at / WORD_BITS) else { return };
        let bit = 1 << (at % WORD_BITS);
        let was_touched = *word & bit != 0;
        *word &= !bit;
        let told = std::mem::take(&mut self.told[at]);
        if was_touched {
            self.ended.push(growth(place, &told, store));
        }
    }

    /// True when ended flows are to be asked for now.
    #[inline(always)]
    pub const fn is_due(&self) -> bool {
        self.ended.len() >= ENDED_MAX
    }

    /// Shows the ended flows.
    pub fn show_ended(&mut self, show: &mut dyn FnMut(&[FlowGrowth])) {
        self.ended.chunks(SHOWN_MAX).for_each(show);
        self.ended.clear();
    }

    /// Shows all flows that had a packet since the last time, ended ones first.
    pub fn show(&mut self, store: &FlowStore, show: &mut dyn FnMut(&[FlowGrowth])) {
        self.show_ended(show);
        let mut shown = Vec::with_capacity(SHOWN_MAX);
        for (at, word) in self.touched.iter_mut().enumerate() {
            let mut bits = std::mem::take(word);
            while bits != 0 {
                let place = at * WORD_BITS + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let told = &mut self.told[place];
                let grown = growth(place as u32, told, store);
                *told = ToldTotals { packets: grown.packets_total, bytes: grown.bytes_total };
                shown.push(grown);
                if shown.len() == SHOWN_MAX {
                    show(&shown);
                    shown.clear();
                }
            }
        }
        if !shown.is_empty() {
            show(&shown);
        }
    }

    /// Bytes in use.
    pub const fn memory_bytes(&self) -> usize {
        self.touched.capacity() * size_of::<u64>()
            + self.told.capacity() * size_of::<ToldTotals>()
            + self.ended.capacity() * size_of::<FlowGrowth>()
    }
}

fn growth(place: u32, told: &ToldTotals, store: &FlowStore) -> FlowGrowth {
    let (entry, cold) = store.entries.both(place);
    let (packets_total, bytes_total) = (entry.packets(), entry.bytes());
    let since = |now: [u64; 2], then: [u64; 2]| [now[0].saturating_sub(then[0]), now[1].saturating_sub(then[1])];
    FlowGrowth {
        key: entry.key.tuple(),
        initiator: entry.initiator(),
        packets: since(packets_total, told.packets),
        bytes: since(bytes_total, told.bytes),
        packets_total,
        bytes_total,
        first_seen: cold.first_seen,
        last_seen: entry.last_seen,
        first_packet: cold.first_packet(),
    }
}
