//! Facts of many flows: what they have in common is kept once.
//!
//! Owns their bytes and how many flows have them. Facts are kept in two runs ([`FactSet::split`]): names and the like, which are a flow's
//! own, and all others, which are the same for most flows of a program. Both are kept once, whatever the number of flows that have them.
//! Invariant: a reference is good until it was released as often as it was given.

use super::byte_slab::{ByteSlab, SlabPlace};
use crate::app::FactSet;
use crate::app::protocols::is_of_one_flow;
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};

/// The facts of one or more flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolRef(pub(super) u32);

/// A run of bytes that is kept once.
#[derive(Clone, Copy)]
struct Run {
    place: SlabPlace,
    /// Of the run, and of what it belongs to.
    hash: u32,
    uses: u32,
    /// Number of the common run that an own one belongs to.
    common: u32,
    len: u16,
}

/// Runs, each with what it belongs to, by number.
#[derive(Clone, Default)]
struct RunTable {
    runs: Vec<Run>,
    free: Vec<u32>,
    table: HashTable<u32>,
}

/// All of them.
#[derive(Clone, Default)]
pub struct FactPool {
    bytes: ByteSlab,
    common: RunTable,
    own: RunTable,
    hasher: RandomState,
    /// While facts are split.
    common_run: Vec<u8>,
    own_run: Vec<u8>,
}

/// References share their word with a bit of others.
const RUNS_MAX: usize = 1 << 31;

impl RunTable {
    /// The number of a run, which has one use more now; and true when it is new.
    fn insert(&mut self, run: &[u8], common: u32, bytes: &mut ByteSlab, hasher: &RandomState) -> Option<(u32, bool)> {
        let Self { runs, free, table } = self;
        let wide = hasher.hash_one((common, run));
        let hash = wide as u32;
        let is_it = |known: &Run| {
            known.hash == hash
                && known.common == common
                && usize::from(known.len) == run.len()
                && bytes.get(known.place, run.len()) == run
        };
        if let Some(&number) = table.find(spread(hash), |&number| is_it(&runs[number as usize])) {
            let uses = &mut runs[number as usize].uses;
            *uses = uses.checked_add(1)?;
            return Some((number, false));
        }
        if free.is_empty() && runs.len() >= RUNS_MAX {
            return None;
        }
        let new = Run { place: bytes.insert(run)?, hash, uses: 1, common, len: u16::try_from(run.len()).ok()? };
        let number = match free.pop() {
            Some(number) => {
                runs[number as usize] = new;
                number
            }
            None => {
                runs.push(new);
                (runs.len() - 1) as u32
            }
        };
        table.insert_unique(spread(hash), number, |&number| spread(runs[number as usize].hash));
        Some((number, true))
    }

    fn get(&self, number: u32) -> Option<&Run> {
        self.runs.get(number as usize)
    }

    /// One use less; what was at the number when that was the last one.
    fn release(&mut self, number: u32, bytes: &mut ByteSlab) -> Option<Run> {
        let run = self.runs.get_mut(number as usize)?;
        run.uses = run.uses.saturating_sub(1);
        if run.uses > 0 {
            return None;
        }
        let run = *run;
        bytes.remove(run.place, run.len.into());
        if let Ok(entry) = self.table.find_entry(spread(run.hash), |&found| found == number) {
            entry.remove();
        }
        self.free.push(number);
        Some(run)
    }

    fn memory_bytes(&self) -> usize {
        self.runs.capacity() * size_of::<Run>() + self.free.capacity() * 4 + self.table.allocation_size()
    }
}

/// The table looks at the upper bits as well as at the lower ones.
const fn spread(hash: u32) -> u64 {
    (hash as u64) << 32 | hash as u64
}

impl FactPool {
    /// Keeps facts; `None` for none, or where no number is left.
    pub fn insert(&mut self, facts: FactSet<'_>) -> Option<PoolRef> {
        if facts.is_empty() {
            return None;
        }
        let Self { bytes, common, own, hasher, common_run, own_run } = self;
        common_run.clear();
        own_run.clear();
        facts.split(is_of_one_flow, common_run, own_run);
        let (common_number, _) = common.insert(common_run, 0, bytes, hasher)?;
        let kept = own.insert(own_run, common_number, bytes, hasher);
        if !matches!(kept, Some((_, true))) {
            // A use of it is one by another own run.
            common.release(common_number, bytes);
        }
        kept.map(|(number, _)| PoolRef(number))
    }

    /// The facts of a reference.
    pub fn get(&self, PoolRef(number): PoolRef) -> FactSet<'_> {
        let runs = self.own.get(number).and_then(|own| Some((own, self.common.get(own.common)?)));
        let Some((own, common)) = runs.filter(|(own, _)| own.uses > 0) else { return FactSet::NONE };
        let bytes = |run: &Run| self.bytes.get(run.place, run.len.into());
        FactSet::of_runs(bytes(common), bytes(own))
    }

    /// A flow that had them is over.
    pub fn release(&mut self, PoolRef(number): PoolRef) {
        if let Some(own) = self.own.release(number, &mut self.bytes) {
            self.common.release(own.common, &mut self.bytes);
        }
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.own.table.is_empty()
    }

    /// Bytes in use.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.memory_bytes() + self.common.memory_bytes() + self.own.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{FactBuffer, FactId};

    /// A server's name and a version, as TLS has them.
    fn facts(name: &str) -> FactBuffer {
        let mut facts = FactBuffer::default();
        assert!(facts.text(FactId { object: 1, member: 0 }, name.as_bytes()));
        assert!(facts.text(FactId { object: 1, member: 1 }, b"TLS 1.3"));
        facts
    }

    /// Runs in use, common and own.
    fn counts(pool: &FactPool) -> (usize, usize) {
        (pool.common.table.len(), pool.own.table.len())
    }

    #[test]
    fn equal_facts_are_kept_once_and_until_the_last_flow_ends() {
        let mut pool = FactPool::default();
        let one = pool.insert(facts("a").facts()).expect("facts");
        assert_eq!((pool.insert(facts("a").facts()), counts(&pool)), (Some(one), (1, 1)));
        let other = pool.insert(facts("b").facts()).expect("facts");
        assert_ne!(one, other);
        assert_eq!(counts(&pool), (1, 2), "the version is the same");
        pool.release(one);
        assert_eq!(pool.get(one), facts("a").facts());
        pool.release(one);
        assert!(pool.get(one).is_empty());
        assert_eq!(counts(&pool), (1, 1));
        assert_eq!(pool.insert(facts("c").facts()), Some(one), "the place is used again");
        assert_eq!(pool.insert(FactSet::NONE), None);
        assert_eq!(pool.get(other), facts("b").facts());
        pool.release(other);
        pool.release(one);
        assert!(pool.is_empty() && counts(&pool) == (0, 0));
    }

    #[test]
    fn many_come_and_go_in_bounded_memory() {
        let mut pool = FactPool::default();
        for round in 0..10_000 {
            let place = pool.insert(facts(&format!("name {round:4}")).facts()).expect("facts");
            assert_eq!(pool.get(place), facts(&format!("name {round:4}")).facts());
            pool.release(place);
        }
        assert_eq!((pool.own.runs.len(), pool.common.runs.len(), counts(&pool)), (1, 1, (0, 0)));
        assert!(pool.memory_bytes() < 64 << 10, "{}", pool.memory_bytes());
    }

    #[test]
    fn facts_of_a_flow_alone_and_common_ones_alone_are_kept() {
        let mut pool = FactPool::default();
        let mut only = [FactBuffer::default(), FactBuffer::default()];
        assert!(only[0].text(FactId { object: 1, member: 0 }, b"name"));
        assert!(only[1].text(FactId { object: 1, member: 1 }, b"TLS 1.2"));
        let places = only.each_ref().map(|facts| pool.insert(facts.facts()).expect("facts"));
        assert_eq!(places.map(|place| pool.get(place)), only.each_ref().map(FactBuffer::facts));
    }
}
