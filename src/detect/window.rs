//! The evidence of the last while: a ring of slots that are added up, and one bin ahead of them.
//!
//! Owns tables of evidence. Knows no rule. Invariants: what happened is judged when its bin is followed by another, so that answers have had time to come,
//! by default a second; the window is that of the slots up to the settled bin. There are at most
//! [`EvidenceWindow::SLOTS_MAX`] of them, so a long window is as coarse as a slot.

use super::detector::BinSpan;
use super::{EvidenceHash, EvidenceKey, EvidenceTable, KeyEvidence};
use std::collections::{BTreeSet, VecDeque};

/// The window.
pub struct EvidenceWindow<E> {
    slot_ns: u64,
    slot_count: u64,
    slots: VecDeque<(u64, EvidenceTable<E>)>,
    spare: Vec<EvidenceTable<E>>,
    /// The bin that came into the window last; `None` when it is all there is in the last slot.
    settled: Option<EvidenceTable<E>>,
    /// The one behind it, of which answers alone count yet.
    latest: EvidenceTable<E>,
    latest_bin: Option<BinSpan>,
    bytes_max: usize,
    hash: EvidenceHash,
}

impl<E: KeyEvidence> EvidenceWindow<E> {
    /// Slots at most.
    pub const SLOTS_MAX: u64 = 16;

    /// A window of this length over bins of `bin_ns`; each slot has at most `bytes_max` bytes.
    pub fn new(window_ns: u64, bin_ns: u64, bytes_max: usize, hash: &EvidenceHash) -> Self {
        let bins = window_ns.div_ceil(bin_ns).max(1);
        let slot_ns = bin_ns.saturating_mul(bins.div_ceil(Self::SLOTS_MAX));
        Self {
            slot_ns,
            slot_count: window_ns.div_ceil(slot_ns).max(1),
            slots: VecDeque::new(),
            spare: Vec::new(),
            settled: None,
            latest: EvidenceTable::new(bytes_max, hash),
            latest_bin: None,
            bytes_max,
            hash: hash.clone(),
        }
    }

    /// A bin is complete, and its table is taken: the one before it, which is returned, comes into the window.
    pub fn push(&mut self, bin: BinSpan, table: &mut EvidenceTable<E>) -> Option<BinSpan> {
        let before = self.settle();
        std::mem::swap(&mut self.latest, table);
        self.latest_bin = Some(bin);
        before
    }

    /// There is no bin behind the latest one: it comes into the window, too, and is returned.
    pub fn settle(&mut self) -> Option<BinSpan> {
        if let Some(settled) = self.settled.take() {
            self.keep(settled);
        }
        let bin = self.latest_bin.take()?;
        let slot = bin.start.0 / self.slot_ns;
        while self.slots.front().is_some_and(|(first, _)| first + self.slot_count <= slot) {
            if let Some((_, old)) = self.slots.pop_front() {
                self.keep(old);
            }
        }
        let empty = self.spare.pop().unwrap_or_else(|| EvidenceTable::new(self.bytes_max, &self.hash));
        let settled = std::mem::replace(&mut self.latest, empty);
        match self.slots.back_mut() {
            Some((last, table)) if *last >= slot => {
                table.merge(&settled);
                self.settled = Some(settled);
            }
            _ => self.slots.push_back((slot, settled)),
        }
        Some(bin)
    }

    /// Keeps the memory of a table for the next one.
    fn keep(&mut self, mut table: EvidenceTable<E>) {
        table.clear();
        self.spare.push(table);
    }

    fn settled_table(&self) -> Option<&EvidenceTable<E>> {
        self.settled.as_ref().or_else(|| self.slots.back().map(|(_, table)| table))
    }

    /// What the settled bin has of a key.
    pub fn settled(&self, key: &EvidenceKey) -> Option<&E> {
        self.settled_table()?.get(key)
    }

    /// Keys of the settled bin, for which a rule may begin to hold, with what the whole window has of them where their weight reaches
    /// `floor` and `holds` says so. In the order of keys.
    pub fn holding<T>(&self, floor: u64, mut holds: impl FnMut(&EvidenceKey, E) -> Option<T>) -> Vec<(EvidenceKey, T)> {
        let keys = self.settled_table().into_iter().flat_map(EvidenceTable::keys);
        let mut holding: Vec<_> = keys.filter_map(|key| Some((*key, holds(key, self.gather(key, floor)?)?))).collect();
        holding.sort_unstable_by_key(|(key, _)| *key);
        holding
    }

    /// What the whole window has of a key, and the answers that came in the bin behind it, where its weight reaches `floor`.
    pub fn gather(&self, key: &EvidenceKey, floor: u64) -> Option<E> {
        let parts = || self.slots.iter().filter_map(|(_, table)| table.get(key));
        if parts().map(KeyEvidence::weight).sum::<u64>() < floor {
            return None;
        }
        let mut parts = parts();
        let mut sum = parts.next()?.clone();
        parts.for_each(|part| {
            sum.merge(part);
        });
        if let Some(latest) = self.latest.get(key) {
            sum.merge_answers(latest);
        }
        Some(sum)
    }

    /// All keys of the window, in order.
    pub fn keys(&self) -> BTreeSet<EvidenceKey> {
        self.slots.iter().flat_map(|(_, table)| table.keys()).copied().collect()
    }

    /// True when the window has observations about keys for which there was no room.
    pub fn overflows(&self) -> bool {
        self.slots.iter().any(|(_, table)| table.overflows())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netscope_backends::Timestamp;

    /// Questions and answers.
    #[derive(Clone, Debug, Default, PartialEq)]
    struct Asked(u64, u64);

    impl KeyEvidence for Asked {
        fn merge(&mut self, other: &Self) -> usize {
            (self.0, self.1) = (self.0 + other.0, self.1 + other.1);
            0
        }

        fn merge_answers(&mut self, later: &Self) {
            self.1 += later.1;
        }

        fn clear(&mut self) {
            *self = Self::default();
        }

        fn weight(&self) -> u64 {
            self.0
        }
    }

    const KEY: EvidenceKey = EvidenceKey { port: 1, ..EvidenceKey::NONE };

    /// What the window has after each bin: of each bin its number, questions and answers.
    fn seen(window_ns: u64, bins: &[(u64, u64, u64)]) -> Vec<Option<Asked>> {
        let hash = EvidenceHash::fixed();
        let mut window = EvidenceWindow::new(window_ns, 10, 1 << 20, &hash);
        let mut seen = Vec::new();
        for &(number, asked, answered) in bins {
            let mut table = EvidenceTable::new(1 << 20, &hash);
            table.observe(KEY, |evidence: &mut Asked| evidence.merge(&Asked(asked, answered)));
            window.push(BinSpan { start: Timestamp(number * 10), end: Timestamp(number * 10 + 10) }, &mut table);
            seen.push(window.gather(&KEY, 1));
        }
        assert!(window.settle().is_some() && window.settle().is_none());
        seen.push(window.gather(&KEY, 1));
        seen
    }

    #[test]
    fn a_bin_counts_once_the_next_is_there_and_its_answers_at_once() {
        let seen = seen(30, &[(1, 5, 0), (2, 7, 4), (3, 1, 1), (4, 1, 1), (9, 2, 0)]);
        let expected = [None, Some(Asked(5, 4)), Some(Asked(12, 5)), Some(Asked(13, 6)), Some(Asked(9, 6)), Some(Asked(2, 0))];
        assert_eq!(seen, expected);
    }

    #[test]
    fn long_windows_have_few_slots() {
        let bins: Vec<(u64, u64, u64)> = (0..1000).map(|number| (number, 1, 0)).collect();
        let last = seen(1000, &bins).pop().flatten().expect("the window is not empty");
        // 100 bins in 15 slots of 7; the last slot has just begun.
        assert!((98 - 7..=105).contains(&last.0), "{last:?}");
    }
}
