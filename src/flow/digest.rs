//! SHA-1 (RFC 3174) of several short messages at once, side by side in the lanes of vectors.
//!
//! Owns the compression of one block per message; a Community ID never needs a second one. Knows nothing of what is hashed. Its
//! invariant: each lane's digest is that of its message alone. A million records are named at the end of a run, and one hash at
//! a time would be a fifth of what writing them costs.

use netscope_backends::wide::{Wide, widest};

/// Longest message in bytes: what a block holds besides its end mark and length.
pub(super) const MESSAGE_MAX: usize = 64 - 1 - 8;

const START: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// A message of at most [`MESSAGE_MAX`] bytes, padded to a block.
pub(super) struct Block {
    bytes: [u8; 64],
    len: usize,
}

impl Block {
    pub const EMPTY: Self = Self { bytes: [0; 64], len: 0 };

    /// Appends to the message.
    #[inline]
    pub fn push<const N: usize>(&mut self, part: [u8; N]) {
        debug_assert!(self.len + N <= MESSAGE_MAX, "the message is longer than a block");
        if let Some(room) = self.bytes.get_mut(self.len..self.len + N) {
            room.copy_from_slice(&part);
        }
        self.len += N;
    }

    /// The words of the padded message.
    #[inline]
    fn words(mut self) -> [u32; 16] {
        if let Some(end) = self.bytes.get_mut(self.len) {
            *end = 0x80;
        }
        let mut words = [0; 16];
        for (word, bytes) in words.iter_mut().zip(self.bytes.as_chunks().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        words[15] = self.len as u32 * 8;
        words
    }
}

/// The digests of `L` messages.
pub(super) fn digests<const L: usize>(blocks: [Block; L]) -> [[u8; 20]; L] {
    let mut schedule = [[0; L]; 16];
    for (lane, block) in blocks.into_iter().enumerate() {
        for (words, word) in schedule.iter_mut().zip(block.words()) {
            words[lane] = word;
        }
    }
    let state = widest(Compression(schedule));
    std::array::from_fn(|lane| {
        let mut digest = [0; 20];
        for (bytes, words) in digest.as_chunks_mut().0.iter_mut().zip(&state) {
            *bytes = words[lane].to_be_bytes();
        }
        digest
    })
}

/// One word of each message.
type Words<const L: usize> = [u32; L];

/// The compression of one block per lane, from the start value.
struct Compression<const L: usize>([Words<L>; 16]);

impl<const L: usize> Wide for Compression<L> {
    type Output = [Words<L>; 5];

    #[inline(always)]
    fn run(self) -> Self::Output {
        let mut schedule = self.0;
        let mut state = START.map(|word| [word; L]);
        rounds(&mut state, &mut schedule, 0, 0x5a82_7999, |b, c, d| d ^ (b & (c ^ d)));
        rounds(&mut state, &mut schedule, 20, 0x6ed9_eba1, |b, c, d| b ^ c ^ d);
        rounds(&mut state, &mut schedule, 40, 0x8f1b_bcdc, |b, c, d| (b & c) | (d & (b | c)));
        rounds(&mut state, &mut schedule, 60, 0xca62_c1d6, |b, c, d| b ^ c ^ d);
        for (words, start) in state.iter_mut().zip(START) {
            *words = each(|i| words[i].wrapping_add(start));
        }
        state
    }
}

/// Rounds `first` to `first + 19`, which share a constant and a function.
#[inline(always)]
fn rounds<const L: usize>(
    state: &mut [Words<L>; 5],
    schedule: &mut [Words<L>; 16],
    first: usize,
    constant: u32,
    function: impl Fn(u32, u32, u32) -> u32,
) {
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for t in first..first + 20 {
        if t >= 16 {
            let [x, y, z, w] = [13, 8, 2, 0].map(|ahead| schedule[(t + ahead) % 16]);
            schedule[t % 16] = each(|i| (x[i] ^ y[i] ^ z[i] ^ w[i]).rotate_left(1));
        }
        let word = schedule[t % 16];
        let next = each(|i| {
            let mixed = function(b[i], c[i], d[i]);
            a[i].rotate_left(5).wrapping_add(mixed).wrapping_add(e[i]).wrapping_add(constant).wrapping_add(word[i])
        });
        (e, d, c, b, a) = (d, c, each(|i| b[i].rotate_left(30)), a, next);
    }
    *state = [a, b, c, d, e];
}

#[inline(always)]
fn each<const L: usize>(word: impl Fn(usize) -> u32) -> Words<L> {
    std::array::from_fn(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha1::{Digest, Sha1};

    fn block(message: &[u8]) -> Block {
        let mut block = Block::EMPTY;
        message.iter().for_each(|&byte| block.push([byte]));
        block
    }

    /// From RFC 3174 section 7.3.
    #[test]
    fn published_digest() {
        let [digest] = digests([block(b"abc")]);
        assert_eq!(digest[..4], [0xa9, 0x99, 0x3e, 0x36]);
        assert_eq!(digest[16..], [0x9c, 0xd0, 0xd8, 0x9d]);
    }

    proptest! {
        #[test]
        fn lanes_agree_with_another_implementation(
            messages in prop::array::uniform8(prop::collection::vec(any::<u8>(), 0..=MESSAGE_MAX)),
        ) {
            let expected: [[u8; 20]; 8] = std::array::from_fn(|lane| Sha1::digest(&messages[lane]).into());
            prop_assert_eq!(digests(std::array::from_fn::<_, 8, _>(|lane| block(&messages[lane]))), expected);
            prop_assert_eq!(digests([block(&messages[0])]), [expected[0]]);
        }
    }
}
