//! Which of the workers that share a source sleep.
//!
//! Owns the set. Knows no unit. Its invariant: it has room for every worker there can be.

/// Workers at most: as many as `--workers` takes.
const WORKERS_MAX: usize = 1024;
const WORD_BITS: usize = u64::BITS as usize;
const WORDS: usize = WORKERS_MAX / WORD_BITS;

/// Some of the workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct WorkerSet([u64; WORDS]);

impl WorkerSet {
    pub fn add(&mut self, worker: u32) {
        if let Some(word) = self.0.get_mut(worker as usize / WORD_BITS) {
            *word |= 1 << (worker as usize % WORD_BITS);
        }
    }

    pub fn remove(&mut self, worker: u32) {
        if let Some(word) = self.0.get_mut(worker as usize / WORD_BITS) {
            *word &= !(1 << (worker as usize % WORD_BITS));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    /// In ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<> {
        let words = self.0;
        let bits = |word: u64| {
            std::iter::successors(Some(word), |&word| Some(word & word.wrapping_sub(1))).take_while(|&word| word != 0)
        };
        (0..)
            .step_by(WORD_BITS)
            .zip(words)
            .flat_map(move |(first, word)| bits(word).map(move |word| first + word.trailing_zeros()))
    }

    /// Takes out those that `wanted` says.
    pub fn take(&mut self, mut wanted: impl FnMut(u32) -> bool) -> Self {
        let mut taken = Self::default();
        self.iter().filter(|&worker| wanted(worker)).for_each(|worker| taken.add(worker));
        taken.iter().for_each(|worker| self.remove(worker));
        taken
    }

    /// Takes out one of them.
    pub fn take_one(&mut self) -> Self {
        let mut taken = Self::default();
        if let Some(worker) = self.iter().next() {
            taken.add(worker);
            self.remove(worker);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn is_a_set(workers in prop::collection::btree_set(0..WORKERS_MAX as u32, 0..40), divisor in 1..5u32) {
            let mut set = WorkerSet::default();
            workers.iter().for_each(|&worker| set.add(worker));
            prop_assert_eq!(set.is_empty(), workers.is_empty());
            prop_assert!(set.iter().eq(workers.iter().copied()));
            let taken = set.take(|worker| worker.is_multiple_of(divisor));
            let (expected, mut left): (BTreeSet<u32>, BTreeSet<u32>) = workers.iter().partition(|&&worker| worker % divisor == 0);
            prop_assert!(taken.iter().eq(expected));
            prop_assert!(set.take_one().iter().eq(left.pop_first()));
            prop_assert!(set.iter().eq(left));
        }
    }
}
