//! The floor's flow table: open addressing, one cache line per flow, keyed hash. Its one invariant: at most
//! half of the slots are in use, so that a search ends and seldom takes a second line.

use super::key::{FloorKey, KeyedPacket};
use netscope_backends::{pages, prefetch};
use std::hash::{BuildHasher, RandomState};

/// Words of a slot: the key (5), packets there and back (32 bits each), bytes there, bytes back. The key's
/// last word is 0 in a free slot.
const SLOT: usize = 8;
type FloorSlot = [u64; SLOT];

/// Slots at the start: 16 MiB.
const SLOTS_MIN_BITS: u32 = 18;

/// What was counted for a conversation; `[0]` is from its first endpoint to its second, `[1]` back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloorFlow {
    /// Its 5-tuple.
    pub key: FloorKey,
    /// Packets per direction.
    pub packets: [u32; 2],
    /// Bytes on the wire per direction.
    pub bytes: [u64; 2],
}

/// All flows so far.
pub struct FloorTable {
    /// Comes zeroed and untouched from the system, so an empty table costs nothing; `start` words are left
    /// out to reach a line.
    words: Vec<u64>,
    start: usize,
    bits: u32,
    len: usize,
    secret: [u64; 5],
}

impl FloorTable {
    /// An empty table with a fresh secret.
    pub fn new() -> Self {
        let state = RandomState::new();
        let secret = std::array::from_fn(|i| state.hash_one(i));
        let (words, start) = slots(SLOTS_MIN_BITS);
        Self { words, start, bits: SLOTS_MIN_BITS, len: 0, secret }
    }

    /// Number of flows.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True before the first packet.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All flows in the order of the table.
    pub fn flows(&self) -> impl Iterator<Item = FloorFlow> + '_ {
        let used = self.slots().iter().filter(|slot| slot[4] != 0);
        used.map(|slot| FloorFlow {
            key: [slot[0], slot[1], slot[2], slot[3], slot[4]],
            packets: [slot[5] as u32, (slot[5] >> 32) as u32],
            bytes: [slot[6], slot[7]],
        })
    }

    /// Makes room for `more` flows.
    #[inline]
    pub(super) fn reserve(&mut self, more: usize) {
        if (self.len + more) << 1 > 1 << self.bits {
            self.grow();
        }
    }

    /// Where the search for `key` begins. High bits of the hash, so that a table twice the size has the same
    /// order.
    #[inline(always)]
    pub(super) fn home(&self, key: &FloorKey) -> u32 {
        (hash(&self.secret, key) >> (64 - self.bits)) as u32
    }

    #[inline(always)]
    pub(super) fn prefetch(&self, home: u32) {
        if let Some(slot) = self.slots().get(home as usize) {
            prefetch::prefetch_read(slot);
        }
    }

    /// Adds one packet. There must be room for a flow.
    #[inline(always)]
    pub(super) fn count(&mut self, home: u32, keyed: &KeyedPacket, bytes: u32) {
        let mask = (1 << self.bits) - 1;
        let (slots, _) = self.words[self.start..].as_chunks_mut::<SLOT>();
        let mut at = home as usize & mask;
        loop {
            let slot = &mut slots[at];
            if slot[4] == 0 {
                slot[..5].copy_from_slice(&keyed.key);
                self.len += 1;
            } else if !is_same(slot, &keyed.key) {
                at = (at + 1) & mask;
                continue;
            }
            slot[5] = slot[5].wrapping_add(1 << (u32::from(keyed.is_back) * 32));
            slot[6 + usize::from(keyed.is_back)] += u64::from(bytes);
            return;
        }
    }

    fn slots(&self) -> &[FloorSlot] {
        self.words[self.start..].as_chunks().0
    }

    /// Moves everything into a table of twice the size; old and new are walked in the same order, so it
    /// streams.
    #[cold]
    fn grow(&mut self) {
        let bits = self.bits + 1;
        let (mut words, start) = slots(bits);
        let (to, _) = words[start..].as_chunks_mut::<SLOT>();
        let mask = (1 << bits) - 1;
        for slot in self.slots().iter().filter(|slot| slot[4] != 0) {
            let mut at = (hash(&self.secret, &[slot[0], slot[1], slot[2], slot[3], slot[4]]) >> (64 - bits)) as usize;
            while to[at][4] != 0 {
                at = (at + 1) & mask;
            }
            to[at] = *slot;
        }
        (self.words, self.start, self.bits) = (words, start, bits);
    }
}

impl Default for FloorTable {
    fn default() -> Self {
        Self::new()
    }
}

/// Zeroed words for 2^bits slots, and how many of them lie in front of the first whole cache line.
fn slots(bits: u32) -> (Vec<u64>, usize) {
    let words = vec![0_u64; ((1 << bits) + 1) * SLOT];
    pages::prefer_huge_pages(&words);
    let start = words.as_ptr().align_offset(64);
    (words, start)
}

/// Without a branch per word, and without a call.
#[inline(always)]
fn is_same(slot: &FloorSlot, key: &FloorKey) -> bool {
    slot.iter().zip(key).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

/// Three folded multiplications under a secret.
#[inline(always)]
fn hash(secret: &[u64; 5], key: &FloorKey) -> u64 {
    let low = fold(key[0] ^ secret[0], key[1] ^ secret[1]);
    let high = fold(key[2] ^ secret[2], key[3] ^ secret[3]);
    fold(low ^ key[4], high ^ secret[4])
}

#[inline(always)]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}
