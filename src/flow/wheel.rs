//! The order in which flows fall due: a lazy timer wheel of doubly linked lists.
//!
//! Owns slots and the links in the entries. Knows no flow semantics: deadlines come in, due entries come out. Its invariant: every
//! live entry is in exactly one list, and in no later slot than its deadline asks for.
//!
//! Lazy: touching a flow does not move it. When its slot comes up, the caller looks at its true deadline and files it again. The
//! slots are between 1/512 and 1/256 of the horizon wide (117 to 235 ms for 60 s), so that is how late an end can be
//! noticed by the wheel; the packet that finds its flow overdue does not wait for the wheel.

use super::entries::Entries;
use netscope_backends::Timestamp;

const SLOTS: u64 = 1024;
const WORDS: usize = SLOTS as usize / 64;
/// The list of flows past their slot that no timer ends.
const STALE: usize = SLOTS as usize;
/// The list of flows beyond the farthest slot: the cursor has not caught up with a jump of the clock yet.
const FAR: usize = STALE + 1;
/// Marks a link that leads to a list's end instead of an entry.
const END: u32 = 1 << 31;
/// Slots are at least 2^16 ns = 66 µs wide.
const WIDTH_BITS_MIN: u32 = 16;

#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

/// The wheel.
pub(super) struct Wheel {
    lists: Box<[List]>,
    /// One bit per slot that is not empty.
    occupied: [u64; WORDS],
    /// Number of the earliest slot (time / width) that may hold entries; slot numbers grow, places come round.
    cursor: u64,
    width_bits: u32,
}

impl Wheel {
    /// A wheel for deadlines up to about `horizon_ns` ahead of the clock.
    pub fn new(horizon_ns: u64) -> Self {
        let width = (horizon_ns / (SLOTS / 2)).saturating_add(1).checked_next_power_of_two().unwrap_or(1 << 63);
        Self {
            lists: vec![List { head: END, tail: END }; FAR + 1].into(),
            occupied: [0; WORDS],
            cursor: 0,
            width_bits: width.trailing_zeros().max(WIDTH_BITS_MIN),
        }
    }

    /// Empties all lists.
    pub fn clear(&mut self) {
        self.lists.fill(List { head: END, tail: END });
        self.occupied.fill(0);
    }

    /// The slot a time lies in.
    #[inline]
    pub fn slot_of(&self, time: Timestamp) -> u64 {
        time.0 >> self.width_bits
    }

    /// Nothing becomes due before this time, as long as nothing is filed whose deadline lies further ahead of the clock than the
    /// horizon; 0 when something may be due already.
    pub fn next_deadline(&self, clock: Timestamp) -> Timestamp {
        if self.may_be_due(clock) {
            return Timestamp(0);
        }
        Timestamp(self.cursor.saturating_add(1).saturating_mul(1 << self.width_bits))
    }

    /// False when no slot can have become due.
    #[inline]
    pub fn may_be_due(&self, clock: Timestamp) -> bool {
        self.cursor < self.slot_of(clock) || self.head_of(FAR).is_some()
    }

    /// Files an entry, which is in no list, at the end of the slot of its deadline.
    pub fn file(&mut self, entries: &mut Entries, number: u32, deadline: Timestamp) {
        let slot = self.slot_of(deadline).max(self.cursor);
        let list = if slot - self.cursor < SLOTS { (slot % SLOTS) as usize } else { FAR };
        self.append(entries, number, list);
    }

    /// Files an entry, which is in no list, behind those whose slot came up and whom no timer ends.
    pub fn file_stale(&mut self, entries: &mut Entries, number: u32) {
        self.append(entries, number, STALE);
    }

    /// The first entry of the earliest slot that ended before the clock, and that slot; when there is none, an entry that was too
    /// far away and now has to be filed, as if from slot 0. It stays filed until the caller moves it.
    pub fn due(&mut self, clock: Timestamp) -> Option<(u64, u32)> {
        let now = self.slot_of(clock);
        match self.earliest() {
            Some(slot) if slot < now => {
                self.cursor = slot;
                Some((slot, self.lists[(slot % SLOTS) as usize].head))
            }
            _ => {
                self.cursor = self.cursor.max(now);
                self.head_of(FAR).map(|number| (0, number))
            }
        }
    }

    /// The first entry in the order of ending, and its slot; `None` for a stale one.
    pub fn front(&self) -> Option<(Option<u64>, u32)> {
        if let Some(stale) = self.head_of(STALE) {
            return Some((None, stale));
        }
        match self.earliest() {
            Some(slot) => Some((Some(slot), self.lists[(slot % SLOTS) as usize].head)),
            None => self.head_of(FAR).map(|number| (Some(u64::MAX), number)),
        }
    }

    /// All entries whose deadlines may have passed, in no order. What is stale is not among them, as no timer ends it.
    pub fn filed_until(&self, entries: &Entries, clock: Timestamp) -> Vec<u32> {
        let slot_count = (self.slot_of(clock) + 1).saturating_sub(self.cursor).min(SLOTS);
        let slots = (self.cursor..).take(slot_count as usize).map(|slot| (slot % SLOTS) as usize);
        let heads = slots.chain([FAR]).filter_map(|list| self.head_of(list));
        heads.flat_map(|head| std::iter::successors(Some(head), |&number| self.next(entries, number))).collect()
    }

    /// The entry behind this one in its list.
    pub fn next(&self, entries: &Entries, number: u32) -> Option<u32> {
        let next = entries.cold(number).next;
        (next & END == 0).then_some(next)
    }

    /// Takes an entry out of its list.
    pub fn unlink(&mut self, entries: &mut Entries, number: u32) {
        let (previous, next) = {
            let cold = entries.cold(number);
            (cold.previous, cold.next)
        };
        if previous & END == 0 {
            entries.cold_mut(previous).next = next;
        } else {
            self.lists[(previous & !END) as usize].head = next;
        }
        if next & END == 0 {
            entries.cold_mut(next).previous = previous;
        } else {
            self.lists[(next & !END) as usize].tail = previous;
        }
        if previous & END != 0 && next & END != 0 {
            self.mark_empty((previous & !END) as usize);
        }
    }

    fn head_of(&self, list: usize) -> Option<u32> {
        let head = self.lists[list].head;
        (head & END == 0).then_some(head)
    }

    fn append(&mut self, entries: &mut Entries, number: u32, list: usize) {
        let end = END | list as u32;
        let empty = self.lists[list].tail & END != 0;
        let previous = if empty { end } else { self.lists[list].tail };
        let cold = entries.cold_mut(number);
        cold.previous = previous;
        cold.next = end;
        if empty {
            self.lists[list].head = number;
        } else {
            entries.cold_mut(previous).next = number;
        }
        self.lists[list].tail = number;
        if list < STALE {
            self.occupied[list / 64] |= 1 << (list % 64);
        }
    }

    fn mark_empty(&mut self, list: usize) {
        if list < STALE {
            self.occupied[list / 64] &= !(1 << (list % 64));
        }
    }

    /// The number of the first slot from the cursor on that is not empty: at most 17 words are looked at.
    fn earliest(&self) -> Option<u64> {
        let start = (self.cursor % SLOTS) as usize;
        for step in 0..=WORDS {
            let word = (start / 64 + step) % WORDS;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == WORDS {
                bits &= !(u64::MAX << (start % 64));
            }
            if bits != 0 {
                let place = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (place + SLOTS as usize - start) % SLOTS as usize;
                return Some(self.cursor + ahead as u64);
            }
        }
        None
    }
}
