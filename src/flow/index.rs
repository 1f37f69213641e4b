//! From hash to entry number: open addressing in buckets of one cache line.
//!
//! Owns tags and entry numbers only; whether a candidate is the flow is the caller's question. Knows no keys, no time. Its
//! invariant: each bucket counts the entries that had to go past it, so a search ends at the first bucket nobody went past,
//! and removing leaves nothing behind.
//!
//! A bucket is 32 words of 16 bits: 10 tags (0 = empty), 10 entry numbers of two words, and a 32-bit count of
//! entries past it. The bucket comes from the upper 32 bits of the hash, the tag from the lower 16. The
//! sharing of flows among queues must not depend on this hash, or most buckets of each queue's index would
//! stay empty.

use netscope_backends::lanes::equal_of_eight;
use netscope_backends::pages::prefer_huge_pages;
use netscope_backends::prefetch::prefetch_read;
use std::hint::black_box;

type Bucket = [u16; WORDS];

const WORDS: usize = 32;
const SLOTS: usize = 10;
const PAST: usize = 30;
/// IndexedEntries per bucket that the index is sized for.
const LOAD: usize = 7;
const BUCKETS_MIN: usize = 4;
/// What an index without a limit begins with: 1 MiB, which is resident as it is used.
const GROWING_MIN: usize = 1 << 14;
/// How many times larger it becomes when it is full: each entry is moved a third of a time on average, once with twice.
const GROWTH: usize = 4;
/// The same the first time: a table of a hundred thousand flows probably grows much larger, and 16 MiB are
/// little beside its entries.
const FIRST_GROWTH: usize = 16;
/// Large pages are this large, or larger.
const LARGE_PAGE_BYTES: usize = 2 << 20;

/// What the index asks of those whose numbers it holds.
pub(super) trait IndexedEntries {
    /// The hash under which an entry was added.
    fn hash_of(&self, number: u32) -> u64;
    /// [`IndexedEntries::hash_of`] will be asked of this one.
    fn prefetch(&self, number: u32);
}

/// An index that is sized once (bounded) or grows by moving one bucket per insert (unlimited).
pub(super) struct Index {
    now: Buckets,
    /// While growing: the smaller table, and how many of its buckets have been emptied.
    old: Option<(Buckets, usize)>,
    /// Before growing: the larger table, and how many of its pages are ready.
    coming: Option<(Buckets, usize)>,
    grows: bool,
    len: usize,
}

impl Index {
    /// Room for `count` entries for good; 0 means growing without a limit.
    pub fn new(count: usize) -> Self {
        let grows = count == 0;
        let buckets = if grows { GROWING_MIN } else { count.div_ceil(LOAD).max(BUCKETS_MIN) };
        Self { now: Buckets::new(buckets), old: None, coming: None, grows, len: 0 }
    }

    /// The first entry number under this hash for which `is` holds.
    #[inline]
    pub fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        if let Some(number) = self.now.find(hash, &mut is) {
            return Some(number);
        }
        self.old.as_ref().and_then(|(old, _)| old.find(hash, is))
    }

    /// Adds an entry. `entries` answers for entry numbers already in the index, for moving them.
    #[inline]
    pub fn insert(&mut self, hash: u64, number: u32, entries: &impl IndexedEntries) {
        if self.grows && (self.old.is_some() || self.len >= self.now.prepared_from()) {
            self.grow_step(entries);
        }
        self.add(hash, number);
    }

    /// The same where there is room: no entry is moved.
    #[inline]
    pub fn add(&mut self, hash: u64, number: u32) {
        self.now.insert(hash, number);
        self.len += 1;
    }

    /// Removes an entry that is in the index under this hash.
    pub fn remove(&mut self, hash: u64, number: u32) {
        let removed = self.now.remove(hash, number) || self.old.as_mut().is_some_and(|(old, _)| old.remove(hash, number));
        debug_assert!(removed, "entry {number} is not in the index");
        self.len -= usize::from(removed);
    }

    /// Asks for the bucket of this hash, so that it is in the cache when it is needed.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        prefetch_read(self.now.bucket(self.now.home(hash)));
        if let Some((old, _)) = &self.old {
            prefetch_read(old.bucket(old.home(hash)));
        }
    }

    /// The first candidate of this hash in its own bucket, unverified.
    #[inline(always)]
    pub fn candidate(&self, hash: u64) -> Option<u32> {
        self.now.candidate(hash).or_else(|| self.old.as_ref().and_then(|(old, _)| old.candidate(hash)))
    }

    pub fn memory_bytes(&self) -> usize {
        let others = [&self.old, &self.coming];
        self.now.memory_bytes() + others.into_iter().flatten().map(|(table, _)| table.memory_bytes()).sum::<usize>()
    }

    /// Makes a larger table ready in the last quarter before this one is full, then takes it and empties one old bucket per insert:
    /// the old table is empty after at most a twentieth of the inserts that fill the new one. No insert waits for more than one
    /// page to be cleared.
    #[inline(never)]
    fn grow_step(&mut self, entries: &impl IndexedEntries) {
        if self.old.is_none() {
            self.prepare();
            if self.len >= self.now.full()
                && let Some((larger, _)) = self.coming.take()
            {
                self.old = Some((std::mem::replace(&mut self.now, larger), 0));
            }
        }
        let Some((old, emptied)) = &mut self.old else { return };
        for (slot, number) in old.entries(*emptied) {
            let hash = entries.hash_of(number);
            old.take(hash, *emptied, slot);
            self.now.insert(hash, number);
        }
        *emptied += 1;
        if *emptied == old.count {
            self.old = None;
        } else {
            // They lie anywhere; by the next insert they are here.
            old.entries(*emptied).for_each(|(_, number)| entries.prefetch(number));
            // And where most of them will go: what lay in its own bucket, into one of as many as the table grew by.
            let growth = self.now.count / old.count;
            (*emptied * growth..).take(growth).for_each(|at| prefetch_read(self.now.bucket(at)));
            if *emptied + 1 < old.count {
                prefetch_read(old.bucket(*emptied + 1));
            }
        }
    }
}

impl Index {
    /// Has as many pages of the larger table ready as are due by now. All of them are about to be used, and one that is read first
    /// is given twice: at first a page of zeros that all share.
    fn prepare(&mut self) {
        let (from, full) = (self.now.prepared_from(), self.now.full());
        let growth = if self.now.count == GROWING_MIN { FIRST_GROWTH } else { GROWTH };
        let (larger, ready) = self.coming.get_or_insert_with(|| (Buckets::new(self.now.count * growth), 0));
        let pages = larger.memory_bytes().div_ceil(LARGE_PAGE_BYTES);
        let due = (self.len + 1).saturating_sub(from).saturating_mul(pages).div_ceil(full - from).min(pages);
        // The next one alone, should entries have gone and come again.
        if *ready < due {
            larger.touch(*ready);
            *ready += 1;
        }
    }
}

/// One table of buckets, each aligned to a cache line.
struct Buckets {
    words: Vec<u16>,
    offset: usize,
    count: usize,
}

impl Buckets {
    fn new(count: usize) -> Self {
        // Zeroed memory comes from the system untouched; a vector of aligned structs would be written once in full.
        let words = vec![0u16; (count + 1) * WORDS];
        prefer_huge_pages(&words);
        let offset = match words.as_ptr().align_offset(64) {
            offset if offset <= WORDS => offset,
            _ => 0,
        };
        Self { words, offset, count }
    }

    /// IndexedEntries that it holds when it is full.
    #[inline(always)]
    const fn full(&self) -> usize {
        self.count * LOAD
    }

    /// IndexedEntries from which on the next table is made ready.
    #[inline(always)]
    const fn prepared_from(&self) -> usize {
        self.full() - self.full() / 4
    }

    /// Writes to a large page.
    fn touch(&mut self, page: usize) {
        if let Some(word) = self.words.get_mut(page * (LARGE_PAGE_BYTES / 2)) {
            *word = black_box(0);
        }
    }

    #[inline(always)]
    fn bucket(&self, at: usize) -> &Bucket {
        let start = self.offset + at * WORDS;
        self.words[start..].first_chunk().expect("a bucket below the count lies in the words")
    }

    fn bucket_mut(&mut self, at: usize) -> &mut Bucket {
        &mut self.words[self.offset..].as_chunks_mut().0[at]
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        (((hash >> 32) * self.count as u64) >> 32) as usize
    }

    #[inline(always)]
    fn candidate(&self, hash: u64) -> Option<u32> {
        let bucket = self.bucket(self.home(hash));
        let hits = matches(bucket, tag_of(hash));
        (hits != 0).then(|| number_at(bucket, hits.trailing_zeros() as usize))
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.count { 0 } else { at + 1 }
    }

    #[inline(always)]
    fn find(&self, hash: u64, is: impl FnMut(u32) -> bool) -> Option<u32> {
        let (tag, home) = (tag_of(hash), self.home(hash));
        let bucket = self.bucket(home);
        // What begins a flow is told so by one line.
        if matches(bucket, tag) == 0 && past(bucket) == 0 { None } else { self.find_from(home, tag, is) }
    }

    #[inline(never)]
    fn find_from(&self, mut at: usize, tag: u16, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        for _ in 0..self.count {
            let bucket = self.bucket(at);
            let mut hits = matches(bucket, tag);
            while hits != 0 {
                let number = number_at(bucket, hits.trailing_zeros() as usize);
                if is(number) {
                    return Some(number);
                }
                hits &= hits - 1;
            }
            if past(bucket) == 0 {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    fn insert(&mut self, hash: u64, number: u32) {
        let mut at = self.home(hash);
        // There are at least 10 slots for 7 entries, so this ends.
        loop {
            let next = self.after(at);
            let bucket = self.bucket_mut(at);
            let empty = matches(bucket, 0);
            if empty != 0 {
                let slot = empty.trailing_zeros() as usize;
                bucket[slot] = tag_of(hash);
                bucket[SLOTS + 2 * slot] = number as u16;
                bucket[SLOTS + 2 * slot + 1] = (number >> 16) as u16;
                return;
            }
            set_past(bucket, past(bucket) + 1);
            at = next;
        }
    }

    fn remove(&mut self, hash: u64, number: u32) -> bool {
        let (tag, home) = (tag_of(hash), self.home(hash));
        let mut at = home;
        for _ in 0..self.count {
            let bucket = self.bucket_mut(at);
            if let Some(slot) = slot_of(bucket, tag, number) {
                bucket[slot] = 0;
                self.forget_way(home, at);
                return true;
            }
            if past(bucket) == 0 {
                return false;
            }
            at = self.after(at);
        }
        false
    }

    /// Removes what lies at this place, under this hash.
    fn take(&mut self, hash: u64, at: usize, slot: usize) {
        self.bucket_mut(at)[slot] = 0;
        // IndexedEntries past a bucket are counted from their home on, so they leave by the same way.
        self.forget_way(self.home(hash), at);
    }

    fn forget_way(&mut self, home: usize, end: usize) {
        let mut at = home;
        while at != end {
            let next = self.after(at);
            let bucket = self.bucket_mut(at);
            set_past(bucket, past(bucket) - 1);
            at = next;
        }
    }

    /// The slots in use of one bucket, copied out.
    fn entries(&self, at: usize) -> impl Iterator<Item = (usize, u32)> + use<> {
        let bucket = *self.bucket(at);
        (0..SLOTS).filter(move |&slot| bucket[slot] != 0).map(move |slot| (slot, number_at(&bucket, slot)))
    }

    fn memory_bytes(&self) -> usize {
        self.words.len() * 2
    }
}

#[inline]
fn tag_of(hash: u64) -> u16 {
    (hash as u16).max(1)
}

/// One bit per slot whose tag is `tag`.
#[inline(always)]
fn matches(bucket: &Bucket, tag: u16) -> u32 {
    let Some((eight, rest)) = bucket.split_first_chunk::<8>() else { return 0 };
    u32::from(equal_of_eight(eight, tag)) | u32::from(rest[0] == tag) << 8 | u32::from(rest[1] == tag) << 9
}

#[inline]
fn number_at(bucket: &Bucket, slot: usize) -> u32 {
    u32::from(bucket[SLOTS + 2 * slot]) | u32::from(bucket[SLOTS + 2 * slot + 1]) << 16
}

/// Where this number lies under this tag.
#[inline]
fn slot_of(bucket: &Bucket, tag: u16, number: u32) -> Option<usize> {
    let mut hits = matches(bucket, tag);
    while hits != 0 {
        let slot = hits.trailing_zeros() as usize;
        if number_at(bucket, slot) == number {
            return Some(slot);
        }
        hits &= hits - 1;
    }
    None
}

#[inline]
fn past(bucket: &Bucket) -> u32 {
    u32::from(bucket[PAST]) | u32::from(bucket[PAST + 1]) << 16
}

fn set_past(bucket: &mut Bucket, count: u32) {
    bucket[PAST] = count as u16;
    bucket[PAST + 1] = (count >> 16) as u16;
}

#[cfg(test)]
mod tests {
    use super::{GROWING_MIN, Index, IndexedEntries, LOAD, past};

    /// IndexedEntries whose hash follows from their number.
    struct Numbered;

    impl IndexedEntries for Numbered {
        fn hash_of(&self, number: u32) -> u64 {
            let mixed = u64::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
        }

        fn prefetch(&self, _number: u32) {}
    }

    fn has(index: &Index, number: u32) -> bool {
        index.find(Numbered.hash_of(number), |found| found == number) == Some(number)
    }

    #[test]
    fn entries_come_and_go_while_it_grows() {
        let full = (GROWING_MIN * LOAD) as u32;
        let mut index = Index::new(0);
        (0..full).for_each(|number| index.insert(Numbered.hash_of(number), number, &Numbered));
        assert!(index.old.is_none());
        let mut end = full;
        for also in [3000, GROWING_MIN as u32] {
            for number in end..end + also {
                index.insert(Numbered.hash_of(number), number, &Numbered);
                let gone = number - full;
                index.remove(Numbered.hash_of(gone), gone);
            }
            end += also;
            assert_eq!(index.old.is_some(), also == 3000, "under way, then done");
            assert!((0..end).all(|number| has(&index, number) == (number >= end - full)));
        }
        (end - full..end).for_each(|number| index.remove(Numbered.hash_of(number), number));
        assert!((0..index.now.count).all(|at| index.now.entries(at).count() == 0 && past(index.now.bucket(at)) == 0));
        assert_eq!(index.len, 0);
    }
}
