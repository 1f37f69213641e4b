//! Facts of many flows: equal ones are kept once.
//!
//! Owns their bytes and how many flows have them. Invariant: a reference is good until it was released as often as it was given.

use crate::app::FactSet;
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};

/// The facts of one or more flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolRef(pub(super) u32);

#[derive(Clone, Default)]
struct Pooled {
    bytes: Box<[u8]>,
    uses: u32,
}

/// All of them.
#[derive(Clone, Default)]
pub struct FactPool {
    sets: Vec<Pooled>,
    free: Vec<u32>,
    table: HashTable<u32>,
    hasher: RandomState,
    byte_count: usize,
}

/// References share their word with a bit of others.
const SETS_MAX: usize = 1 << 31;

impl FactPool {
    /// Keeps facts; `None` for none, or where no number is left.
    pub fn insert(&mut self, facts: FactSet<'_>) -> Option<PoolRef> {
        let bytes = facts.as_bytes();
        if bytes.is_empty() {
            return None;
        }
        let hash = self.hasher.hash_one(bytes);
        let Self { sets, free, table, hasher, byte_count } = self;
        if let Some(&number) = table.find(hash, |&number| *sets[number as usize].bytes == *bytes) {
            sets[number as usize].uses += 1;
            return Some(PoolRef(number));
        }
        let pooled = Pooled { bytes: bytes.into(), uses: 1 };
        let number = match free.pop() {
            Some(number) => {
                sets[number as usize] = pooled;
                number
            }
            None if sets.len() < SETS_MAX => {
                sets.push(pooled);
                (sets.len() - 1) as u32
            }
            None => return None,
        };
        *byte_count += bytes.len();
        table.insert_unique(hash, number, |&number| hasher.hash_one(&*sets[number as usize].bytes));
        Some(PoolRef(number))
    }

    /// The facts of a reference.
    pub fn get(&self, PoolRef(number): PoolRef) -> FactSet<'_> {
        FactSet::of_bytes(self.sets.get(number as usize).map(|pooled| &*pooled.bytes).unwrap_or_default())
    }

    /// A flow that had them is over.
    pub fn release(&mut self, PoolRef(number): PoolRef) {
        let Some(pooled) = self.sets.get_mut(number as usize) else { return };
        pooled.uses = pooled.uses.saturating_sub(1);
        if pooled.uses > 0 {
            return;
        }
        let bytes = std::mem::take(&mut pooled.bytes);
        self.byte_count -= bytes.len();
        if let Ok(entry) = self.table.find_entry(self.hasher.hash_one(&*bytes), |&found| found == number) {
            entry.remove();
        }
        self.free.push(number);
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Bytes in use.
    pub fn memory_bytes(&self) -> usize {
        self.byte_count + self.sets.capacity() * size_of::<Pooled>() + self.table.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{FactBuffer, FactId};

    fn facts(text: &str) -> FactBuffer {
        let mut facts = FactBuffer::default();
        assert!(facts.text(FactId { object: 1, member: 0 }, text.as_bytes()));
        facts
    }

    #[test]
    fn equal_facts_are_kept_once_and_until_the_last_flow_ends() {
        let mut pool = FactPool::default();
        let one = pool.insert(facts("a").facts()).expect("facts");
        let bytes = pool.byte_count;
        assert_eq!((pool.insert(facts("a").facts()), pool.byte_count), (Some(one), bytes));
        let other = pool.insert(facts("b").facts()).expect("facts");
        assert_ne!(one, other);
        pool.release(one);
        assert_eq!(pool.get(one), facts("a").facts());
        pool.release(one);
        assert!(pool.get(one).is_empty() && pool.byte_count == bytes);
        assert_eq!(pool.insert(facts("c").facts()), Some(one), "the place is used again");
        assert_eq!(pool.insert(FactSet::NONE), None);
        assert_eq!(pool.get(other), facts("b").facts());
    }

    #[test]
    fn many_come_and_go_in_bounded_memory() {
        let mut pool = FactPool::default();
        for round in 0..10_000 {
            let place = pool.insert(facts(&format!("name {round}")).facts()).expect("facts");
            assert_eq!(pool.get(place), facts(&format!("name {round}")).facts());
            pool.release(place);
        }
        assert_eq!((pool.sets.len(), pool.byte_count, pool.table.len()), (1, 0, 0));
    }
}
