//! Who has the most of a slot, by several measures, and what all others have together.
//!
//! Owns tallies by key. Knows no record. Invariants: the tallies and those of the others add up to all that was added; what is kept depends on what was added,
//! in that order, alone.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// What a key has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes on the wire.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Flow records.
    pub flows: u64,
    /// Retransmitted segments.
    pub retransmissions: u64,
    /// Largest round trip of a flow, in ns.
    pub rtt_max_ns: u64,
}

impl Tally {
    /// Measures by which the best are kept.
    pub const MEASURES: [fn(&Self) -> u64; 5] = [
        |tally| tally.bytes,
        |tally| tally.packets,
        |tally| tally.flows,
        |tally| tally.retransmissions,
        |tally| tally.rtt_max_ns,
    ];

    /// Adds what another one has.
    pub fn add(&mut self, other: &Self) {
        let Self { bytes, packets, flows, retransmissions, rtt_max_ns } = other;
        self.bytes = self.bytes.saturating_add(*bytes);
        self.packets = self.packets.saturating_add(*packets);
        self.flows = self.flows.saturating_add(*flows);
        self.retransmissions = self.retransmissions.saturating_add(*retransmissions);
        self.rtt_max_ns = self.rtt_max_ns.max(*rtt_max_ns);
    }
}

/// Keys of one slot with their tallies. When there are too many, those that are among the best by no measure go to the others.
#[derive(Clone, Debug)]
pub struct TopTable<K> {
    tallies: HashMap<K, Tally>,
    others: Tally,
    /// Keys that went there before the slot was over: what the kept ones have is at least their tally.
    cut: u64,
}

/// The best of a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopList<K> {
    /// The best by each measure, by bytes and key.
    pub best: Box<[(K, Tally)]>,
    /// What all others have together.
    pub others: Tally,
    /// Keys that were left out while the slot went on; tallies are exact when it is 0.
    pub cut: u64,
}

impl<K: Copy + Eq + Hash + Ord> TopTable<K> {
    /// Keys in a table at most.
    pub const KEY_COUNT_MAX: usize = 16 * 1024;
    /// The best that stay when there are too many, by each measure.
    const KEPT: usize = Self::KEY_COUNT_MAX / 2 / Tally::MEASURES.len();

    /// An empty table.
    pub fn new() -> Self {
        Self { tallies: HashMap::new(), others: Tally::default(), cut: 0 }
    }

    /// Adds to a key.
    pub fn add(&mut self, key: K, tally: &Tally) {
        if let Some(known) = self.tallies.get_mut(&key) {
            known.add(tally);
            return;
        }
        if self.tallies.len() >= Self::KEY_COUNT_MAX {
            let kept = self.list(Self::KEPT);
            (self.others, self.cut) = (kept.others, kept.cut + (self.tallies.len() - kept.best.len()) as u64);
            self.tallies = kept.best.into_iter().collect();
        }
        self.tallies.insert(key, *tally);
    }

    /// The best `count` by each measure.
    pub fn list(&self, count: usize) -> TopList<K> {
        let mut best = BTreeSet::new();
        let mut all: Vec<(&K, &Tally)> = self.tallies.iter().collect();
        for measure in Tally::MEASURES {
            let rank = |(key, tally): &(&K, &Tally)| (Reverse(measure(tally)), **key);
            if count < all.len() {
                all.select_nth_unstable_by_key(count, rank);
            }
            best.extend(all.iter().take(count).filter(|(_, tally)| measure(tally) > 0).map(|(key, _)| **key));
        }
        let mut others = self.others;
        all.iter().filter(|(key, _)| !best.contains(key)).for_each(|(_, tally)| others.add(tally));
        let mut best: Vec<(K, Tally)> = best.into_iter().filter_map(|key| Some((key, *self.tallies.get(&key)?))).collect();
        best.sort_unstable_by_key(|(key, tally)| (Reverse(tally.bytes), *key));
        TopList { best: best.into_boxed_slice(), others, cut: self.cut }
    }
}

impl<K> TopList<K> {
    /// What all have together.
    pub fn total(&self) -> Tally {
        let mut total = self.others;
        self.best.iter().for_each(|(_, tally)| total.add(tally));
        total
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        size_of_val(&*self.best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tally(bytes: u64) -> Tally {
        Tally { bytes, packets: 1, flows: 1, ..Tally::default() }
    }

    #[test]
    fn a_heavy_key_survives_any_number_of_light_ones_and_nothing_is_lost() {
        let mut table = TopTable::new();
        for key in 0..100_000_u64 {
            table.add(key + 10, &tally(3));
            if key % 10 == 0 {
                table.add(7, &tally(1000));
            }
        }
        assert!(table.tallies.len() <= TopTable::<u64>::KEY_COUNT_MAX);
        let list = table.list(5);
        assert_eq!(list.best.first().map(|(key, tally)| (*key, tally.bytes)), Some((7, 10_000_000)));
        assert!(list.cut > 0 && list.best.len() <= 25);
        assert_eq!(list.total(), Tally { bytes: 10_300_000, packets: 110_000, flows: 110_000, ..Tally::default() });
    }

    proptest! {
        #[test]
        fn the_best_by_each_measure_are_there_and_all_adds_up(
            added in prop::collection::vec((0..40_u32, 0..1000_u64, 0..9_u64, 0..9_u64, 0..99_u64), 1..300),
        ) {
            let (mut table, mut total) = (TopTable::new(), Tally::default());
            let mut sums: std::collections::BTreeMap<u32, Tally> = Default::default();
            for &(key, bytes, packets, retransmissions, rtt_max_ns) in &added {
                let tally = Tally { bytes, packets, flows: 1, retransmissions, rtt_max_ns };
                table.add(key, &tally);
                total.add(&tally);
                sums.entry(key).or_default().add(&tally);
            }
            let list = table.list(3);
            prop_assert_eq!(list.total(), total);
            for measure in Tally::MEASURES {
                let most = sums.values().map(measure).max().unwrap_or(0);
                prop_assert!(most == 0 || list.best.iter().any(|(_, tally)| measure(tally) == most));
            }
            prop_assert!(list.best.iter().all(|(key, tally)| sums.get(key) == Some(tally)));
        }
    }
}
