//! The evidence of the last while: a ring of slots that are added up, and a few bins behind them.
//!
//! Owns tables of evidence. Knows no rule. Invariants: a bin settles, and is judged, when [`EvidenceWindow::ANSWER_BINS`] bins have passed since it ended, so that
//! answers have had time to come; the window is that of the slots up to the settled bin. There are at most
//! [`EvidenceWindow::SLOTS_MAX`] of them, so a long window is as coarse as a slot.

use super::detector::BinSpan;
use super::{EvidenceHash, EvidenceKey, EvidenceTable, KeyEvidence};
use netscope_backends::Timestamp;
use std::collections::{BTreeSet, VecDeque};

/// The window.
pub struct EvidenceWindow<E> {
    /// Time that answers have, in ns.
    answers_ns: u64,
    slot_ns: u64,
    slot_count: u64,
    slots: VecDeque<(u64, EvidenceTable<E>)>,
    spare: Vec<EvidenceTable<E>>,
    /// The bin that came into the window last; `None` when it is all there is in the last slot.
    settled: Option<EvidenceTable<E>>,
    /// Those behind it, of which answers alone count yet.
    later: VecDeque<(BinSpan, EvidenceTable<E>)>,
    bytes_max: usize,
    hash: EvidenceHash,
}

impl<E: KeyEvidence> EvidenceWindow<E> {
    /// Slots at most.
    pub const SLOTS_MAX: u64 = 16;
    /// Bins that an answer may be late by.
    pub const ANSWER_BINS: u64 = 3;

    /// A window of this length over bins of `bin_ns`; each slot has at most `bytes_max` bytes.
    pub fn new(window_ns: u64, bin_ns: u64, bytes_max: usize, hash: &EvidenceHash) -> Self {
        let bins = window_ns.div_ceil(bin_ns).max(1);
        let slot_ns = bin_ns.saturating_mul(bins.div_ceil(Self::SLOTS_MAX));
        Self {
            answers_ns: Self::ANSWER_BINS.saturating_mul(bin_ns),
            slot_ns,
            slot_count: window_ns.div_ceil(slot_ns).max(1),
            slots: VecDeque::new(),
            spare: Vec::new(),
            settled: None,
            later: VecDeque::new(),
            bytes_max,
            hash: hash.clone(),
        }
    }

    /// The same for what has no answers: a bin settles as soon as it is complete.
    #[must_use]
    pub fn without_answers(self) -> Self {
        Self { answers_ns: 0, ..self }
    }

    /// A bin is complete, and its table is taken. Bins come in order.
    pub fn push(&mut self, bin: BinSpan, table: &mut EvidenceTable<E>) {
        let empty = self.empty();
        self.later.push_back((bin, std::mem::replace(table, empty)));
    }

    /// The next bin whose answers have had their time by `now` comes into the window, and is returned. At the end of a run no bin is waited for:
    /// `now` is the end of time.
    pub fn settle(&mut self, now: Timestamp) -> Option<BinSpan> {
        let (next, _) = self.later.front()?;
        if next.end.0.saturating_add(self.answers_ns) > now.0 {
            return None;
        }
        let (bin, settled) = self.later.pop_front()?;
        if let Some(before) = self.settled.take() {
            self.keep(before);
        }
        let slot = bin.start.0 / self.slot_ns;
        while self.slots.front().is_some_and(|(first, _)| first + self.slot_count <= slot) {
            if let Some((_, old)) = self.slots.pop_front() {
                self.keep(old);
            }
        }
        match self.slots.back_mut() {
            Some((last, table)) if *last >= slot => {
                table.merge(&settled);
                self.settled = Some(settled);
            }
            _ => self.slots.push_back((slot, settled)),
        }
        Some(bin)
    }

    fn empty(&mut self) -> EvidenceTable<E> {
        self.spare.pop().unwrap_or_else(|| EvidenceTable::new(self.bytes_max, &self.hash))
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

    /// Keys of which the settled bin [`tells`](KeyEvidence::tells), for which a rule may begin to hold, with what the whole window has of them where their weight
    /// reaches `floor` and `holds` says so. In the order of keys.
    pub fn holding<T>(&self, floor: u64, mut holds: impl FnMut(&EvidenceKey, E) -> Option<T>) -> Vec<(EvidenceKey, T)> {
        let settled = self.settled_table().into_iter().flat_map(EvidenceTable::entries);
        let keys = settled.filter(|(_, evidence)| evidence.tells()).map(|(key, _)| key);
        let mut holding: Vec<_> = keys.filter_map(|key| Some((*key, holds(key, self.gather(key, floor)?)?))).collect();
        holding.sort_unstable_by_key(|(key, _)| *key);
        holding
    }

    /// What the whole window has of a key, and the answers that came in the bins behind it, where its weight reaches `floor`.
    pub fn gather(&self, key: &EvidenceKey, floor: u64) -> Option<E> {
        let weights = self.slots.iter().filter_map(|(_, table)| table.get(key)).map(KeyEvidence::weight);
        if weights.sum::<u64>() < floor {
            return None;
        }
        let mut sum = self.settled_sum(key)?;
        self.later.iter().filter_map(|(_, table)| table.get(key)).for_each(|later| sum.merge_answers(later));
        Some(sum)
    }

    /// What the whole window has of a key up to the settled bin: with each bin that is [`EvidenceWindow::settled`] later added to it, everything is
    /// counted once.
    pub fn settled_sum(&self, key: &EvidenceKey) -> Option<E> {
        let mut parts = self.slots.iter().filter_map(|(_, table)| table.get(key));
        let mut sum = parts.next()?.clone();
        parts.for_each(|part| {
            sum.merge(part);
        });
        Some(sum)
    }

    /// All keys of the window, in order.
    pub fn keys(&self) -> BTreeSet<EvidenceKey> {
        self.slots.iter().flat_map(|(_, table)| table.keys()).copied().collect()
    }

    /// All keys of the window with what each slot has of them: a key comes once per slot, in no order.
    pub fn entries(&self) -> impl Iterator<Item = (&EvidenceKey, &E)> {
        self.slots.iter().flat_map(|(_, table)| table.entries())
    }

    /// True when the window has observations about keys for which there was no room.
    pub fn overflows(&self) -> bool {
        self.slots.iter().any(|(_, table)| table.overflows())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// What the window has when each bin has settled: of each bin its number, questions and answers.
    fn seen(window_ns: u64, bins: &[(u64, u64, u64)]) -> Vec<(u64, Option<Asked>)> {
        let hash = EvidenceHash::fixed();
        let mut window = EvidenceWindow::new(window_ns, 10, 1 << 20, &hash);
        let mut seen = Vec::new();
        for &(number, asked, answered) in bins {
            let mut table = EvidenceTable::new(1 << 20, &hash);
            table.observe(KEY, |evidence: &mut Asked| evidence.merge(&Asked(asked, answered)));
            let bin = BinSpan { start: Timestamp(number * 10), end: Timestamp(number * 10 + 10) };
            window.push(bin, &mut table);
            assert!(table.is_empty());
            while let Some(settled) = window.settle(bin.end) {
                seen.push((settled.start.0 / 10, window.gather(&KEY, 1)));
            }
        }
        while let Some(settled) = window.settle(Timestamp(u64::MAX)) {
            seen.push((settled.start.0 / 10, window.gather(&KEY, 1)));
        }
        seen
    }

    #[test]
    fn a_bin_counts_when_answers_had_their_time_and_answers_count_at_once() {
        let bins = [(1, 5, 0), (2, 7, 4), (3, 1, 1), (4, 1, 1), (5, 0, 1), (20, 2, 0), (21, 0, 1)];
        let expected = [(1, 5, 6), (2, 12, 7), (3, 13, 7), (4, 9, 7), (5, 2, 3), (20, 2, 1), (21, 2, 1)]
            .map(|(bin, asked, answered)| (bin, Some(Asked(asked, answered))));
        assert_eq!(seen(30, &bins), expected);
    }

    #[test]
    fn long_windows_have_few_slots() {
        let bins: Vec<(u64, u64, u64)> = (0..1000).map(|number| (number, 1, 0)).collect();
        let last = seen(1000, &bins).pop().and_then(|(_, asked)| asked).expect("the window is not empty");
        // 100 bins in 15 slots of 7; the last slot has just begun.
        assert!((98 - 7..=105).contains(&last.0), "{last:?}");
    }
}
