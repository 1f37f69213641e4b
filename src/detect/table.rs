//! Evidence by key, in bounded memory: a bottom-k table whose k is what fits.
//!
//! Owns the keys' evidence. Knows no rule. Invariants: memory stays under its limit; the keys that are kept are those with the smallest ranks
//! whose evidence fits together, and what is known of them is complete. So the table is a function of what was observed, in whatever
//! order and in however many parts: memory of a key only grows, so a key that fits into the whole fits into every part.

use super::EvidenceHash;
use crate::flow::{FoldHash, HostAddress};
use std::collections::{BinaryHeap, HashMap};

/// What evidence is about. What is not meant is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EvidenceKey {
    /// The host, or the first address of a network.
    pub host: HostAddress,
    /// The other host.
    pub peer: HostAddress,
    /// The port.
    pub port: u16,
    /// IANA protocol number.
    pub protocol: u8,
}

impl EvidenceKey {
    /// About nothing.
    pub const NONE: Self = Self { host: HostAddress::NONE, peer: HostAddress::NONE, port: 0, protocol: 0 };
}

/// What is known of one key. All sums and unions; nothing that depends on order.
pub trait KeyEvidence: Clone + Default + Send + 'static {
    /// Adds what another part knows; what its memory grew by, in bytes.
    fn merge(&mut self, other: &Self) -> usize;

    /// Adds the answers alone that another part knows; they count a bin before the questions of that bin do.
    fn merge_answers(&mut self, later: &Self);

    /// Forgets all; may keep a little memory.
    fn clear(&mut self);

    /// How much of it tells against somebody, cheaply: over all parts of a window it adds up to at least what a rule's floor is compared with.
    fn weight(&self) -> u64;

    /// True when a rule may begin to hold by what is in it.
    fn tells(&self) -> bool {
        self.weight() > 0
    }
}

struct KeyCell<E> {
    key: EvidenceKey,
    rank: u64,
    /// Observations in it.
    observed: u64,
    bytes: usize,
    evidence: E,
}

/// The table.
pub struct EvidenceTable<E> {
    hash: EvidenceHash,
    bytes_max: usize,
    bytes: usize,
    index: HashMap<EvidenceKey, usize, FoldHash>,
    /// Those in the index, and emptied ones.
    cells: Vec<KeyCell<E>>,
    free: Vec<usize>,
    /// Ranks of those in the index, largest first, and where they lie; kept once a key had to go.
    ranks: Option<BinaryHeap<(u64, usize)>>,
    /// No key of this rank or a larger one is kept.
    rank_end: Option<u64>,
    /// Where the latest key lies: as a rule the next observation is about the same.
    latest: Option<usize>,
    observed: u64,
}

impl<E: KeyEvidence> EvidenceTable<E> {
    /// Bytes of a key beside its evidence's own: its cell, and its places in index and heap.
    const KEY_BYTES: usize = size_of::<KeyCell<E>>() + 2 * size_of::<(EvidenceKey, usize)>() + size_of::<(u64, usize)>();

    /// An empty table of at most `bytes_max` bytes; it takes memory as it needs it.
    pub fn new(bytes_max: usize, hash: &EvidenceHash) -> Self {
        Self {
            hash: hash.clone(),
            bytes_max,
            bytes: 0,
            index: HashMap::with_hasher(FoldHash::random()),
            cells: Vec::new(),
            free: Vec::new(),
            ranks: None,
            rank_end: None,
            latest: None,
            observed: 0,
        }
    }

    /// An observation about a key: `add` adds it to the key's evidence and says what its memory grew by.
    pub fn observe(&mut self, key: EvidenceKey, add: impl FnOnce(&mut E) -> usize) {
        self.observed += 1;
        if let Some(at) = self.place(key) {
            self.grow(at, 1, add);
        }
    }

    /// Where the key's evidence lies, new or known; `None` when it is not kept.
    fn place(&mut self, key: EvidenceKey) -> Option<usize> {
        if let Some(at) = self.latest
            && self.cells[at].key == key
        {
            return Some(at);
        }
        // Under random keys most are refused here, without a look at memory.
        let is_refused = |rank: u64| self.rank_end.is_some_and(|end| rank >= end);
        let ranked = self.rank_end.map(|_| self.hash.rank(&key));
        if ranked.is_some_and(is_refused) {
            return None;
        }
        if let Some(&at) = self.index.get(&key) {
            self.latest = Some(at);
            return Some(at);
        }
        let rank = ranked.unwrap_or_else(|| self.hash.rank(&key));
        let at = match self.free.pop() {
            Some(at) => {
                let cell = &mut self.cells[at];
                (cell.key, cell.rank, cell.observed, cell.bytes) = (key, rank, 0, Self::KEY_BYTES);
                at
            }
            None => {
                self.cells.push(KeyCell { key, rank, observed: 0, bytes: Self::KEY_BYTES, evidence: E::default() });
                self.cells.len() - 1
            }
        };
        self.bytes += Self::KEY_BYTES;
        self.index.insert(key, at);
        if let Some(ranks) = &mut self.ranks {
            ranks.push((rank, at));
        }
        self.latest = Some(at);
        Some(at)
    }

    fn grow(&mut self, at: usize, observed: u64, add: impl FnOnce(&mut E) -> usize) {
        let cell = &mut self.cells[at];
        cell.observed += observed;
        let grown = add(&mut cell.evidence);
        cell.bytes += grown;
        self.bytes += grown;
        self.fit();
    }

    /// Lets the keys with the largest ranks go until the rest fits.
    fn fit(&mut self) {
        while self.bytes > self.bytes_max
            && let Some((rank, at)) = self.ranks().pop()
        {
            self.release(at);
            self.rank_end = Some(rank);
        }
    }

    fn ranks(&mut self) -> &mut BinaryHeap<(u64, usize)> {
        let Self { ranks, index, cells, .. } = self;
        ranks.get_or_insert_with(|| index.values().map(|&at| (cells[at].rank, at)).collect())
    }

    fn release(&mut self, at: usize) {
        self.latest = self.latest.filter(|latest| *latest != at);
        let cell = &mut self.cells[at];
        self.bytes -= cell.bytes;
        self.index.remove(&cell.key);
        cell.evidence.clear();
        self.free.push(at);
    }

    /// Adds what another part observed.
    pub fn merge(&mut self, other: &Self) {
        self.observed += other.observed;
        if let Some(end) = other.rank_end {
            self.rank_end = Some(self.rank_end.map_or(end, |own| own.min(end)));
            while let Some(&(rank, at)) = self.ranks().peek()
                && rank >= end
            {
                self.ranks().pop();
                self.release(at);
            }
        }
        for cell in other.live() {
            if let Some(at) = self.place(cell.key) {
                self.grow(at, cell.observed, |evidence| evidence.merge(&cell.evidence));
            }
        }
    }

    fn live(&self) -> impl Iterator<Item = &KeyCell<E>> {
        self.index.values().map(|&at| &self.cells[at])
    }

    /// The evidence of a key, if it is kept.
    pub fn get(&self, key: &EvidenceKey) -> Option<&E> {
        self.index.get(key).map(|&at| &self.cells[at].evidence)
    }

    /// All keys that are kept, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &EvidenceKey> {
        self.index.keys()
    }

    /// All keys that are kept and their evidence, in no order.
    pub fn entries(&self) -> impl Iterator<Item = (&EvidenceKey, &E)> {
        self.live().map(|cell| (&cell.key, &cell.evidence))
    }

    /// All keys that are kept and their evidence, by key.
    #[cfg(test)]
    fn sorted(&self) -> Vec<(EvidenceKey, &E)> {
        let mut all: Vec<_> = self.live().map(|cell| (cell.key, &cell.evidence)).collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }

    /// Keys that are kept.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True when no key is kept.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Bytes that count for the limit.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Observations about keys for which there was no room.
    pub fn overflow(&self) -> u64 {
        self.observed - self.live().map(|cell| cell.observed).sum::<u64>()
    }

    /// True when there were any.
    pub fn overflows(&self) -> bool {
        self.rank_end.is_some()
    }

    /// Forgets all; memory is kept for the next keys.
    pub fn clear(&mut self) {
        for at in self.index.drain().map(|(_, at)| at) {
            self.cells[at].evidence.clear();
            self.free.push(at);
        }
        (self.ranks, self.latest) = (None, None);
        (self.bytes, self.rank_end, self.observed) = (0, None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Contact, DistinctSet};
    use proptest::prelude::*;

    /// Which ports were seen, how often.
    #[derive(Clone, Debug, Default, PartialEq)]
    struct Ports(DistinctSet, u64);

    impl KeyEvidence for Ports {
        fn merge(&mut self, other: &Self) -> usize {
            self.1 += other.1;
            self.0.merge(&other.0)
        }

        fn merge_answers(&mut self, _later: &Self) {}

        fn clear(&mut self) {
            self.0.clear();
            self.1 = 0;
        }

        fn weight(&self) -> u64 {
            self.1
        }
    }

    fn key(host: u8) -> EvidenceKey {
        EvidenceKey { host: HostAddress::v4([10, 0, 0, host]), ..EvidenceKey::default() }
    }

    fn observed<'a>(all: impl IntoIterator<Item = &'a (u8, u16)>, bytes_max: usize) -> EvidenceTable<Ports> {
        let hash = EvidenceHash::fixed();
        let mut table = EvidenceTable::new(bytes_max, &hash);
        for &(host, port) in all {
            let contact = Contact { port, ..Contact::default() };
            table.observe(key(host), |ports: &mut Ports| {
                ports.1 += 1;
                ports.0.insert(hash.rank(&contact), contact, 1)
            });
            assert!(table.bytes() <= bytes_max);
        }
        table
    }

    fn contents(table: &EvidenceTable<Ports>) -> (Vec<(EvidenceKey, Ports)>, u64) {
        (table.sorted().into_iter().map(|(key, ports)| (key, ports.clone())).collect(), table.overflow())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_order_and_any_parts_give_the_same_table(
            all in prop::collection::vec((0_u8..40, 0_u16..200), 0..600),
            shares in prop::collection::vec(0_usize..4, 600),
            bytes_max in prop::sample::select(vec![1000, 3000, 10_000, 1 << 20]),
        ) {
            let whole = contents(&observed(&all, bytes_max));
            let parts: Vec<_> = (0..4)
                .map(|part| observed(all.iter().zip(&shares).filter(|(_, share)| **share == part).map(|(one, _)| one), bytes_max))
                .collect();
            for order in [[0, 1, 2, 3], [2, 0, 3, 1]] {
                let mut merged = EvidenceTable::new(bytes_max, &EvidenceHash::fixed());
                order.iter().for_each(|&part| merged.merge(&parts[part]));
                prop_assert_eq!(contents(&merged), whole.clone());
                prop_assert!(merged.bytes() <= bytes_max);
            }
            // Pairs first: merging is associative.
            let pair = |first: usize, second: usize| {
                let mut merged = EvidenceTable::new(bytes_max, &EvidenceHash::fixed());
                merged.merge(&parts[first]);
                merged.merge(&parts[second]);
                merged
            };
            let mut merged = pair(3, 1);
            merged.merge(&pair(0, 2));
            prop_assert_eq!(contents(&merged), whole.clone());
            prop_assert_eq!(contents(&observed(all.iter().rev(), bytes_max)), whole);
        }
    }

    #[test]
    fn a_table_that_was_cleared_is_as_new() {
        let all: Vec<(u8, u16)> = (0..500).map(|i| (i as u8 % 50, i)).collect();
        let mut table = observed(&all, 5000);
        assert!(table.overflow() > 0 && !table.is_empty());
        table.clear();
        assert_eq!((table.len(), table.bytes(), table.overflow()), (0, 0, 0));
        table.merge(&observed(&all, 5000));
        assert_eq!(contents(&table), contents(&observed(&all, 5000)));
    }
}
