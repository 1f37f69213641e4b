//! SHA-1 (RFC 3174) of a message that fits into one block, written so that the compiler can do several side by side.
//!
//! Owns padding and compression; a Community ID never needs a second block. Knows nothing of what is hashed. Its invariant: no branch
//! and no index depends on the message or on a loop, so that a loop over messages becomes lanes of vectors. A million records are
//! named at the end of a run, and one hash at a time would be a fifth of what writing them costs.

/// Longest message in bytes: what a block holds besides its end mark and length.
pub(super) const MESSAGE_MAX: usize = 64 - 1 - 8;

const START: Digest = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// The words of a padded message.
pub(super) type Words = [u32; 16];

/// A digest, as words.
pub(super) type Digest = [u32; 5];

/// A message of at most [`MESSAGE_MAX`] bytes.
pub(super) struct DigestMessage {
    bytes: [u8; 64],
    len: usize,
}

impl DigestMessage {
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
    pub fn words(mut self) -> Words {
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

/// Twenty rounds from `$first` on. Written out one by one: with a loop the words' places would be found at run time.
macro_rules! rounds {
    ($state:ident, $words:ident, $first:literal, $constant:literal, $function:expr) => {
        rounds!(@ $state, $words, $first, $constant, $function, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19)
    };
    (@ $state:ident, $words:ident, $first:literal, $constant:literal, $function:expr, $($t:literal)*) => {
        $(round::<{ $first + $t }>(&mut $state, &mut $words, $constant, $function);)*
    };
}

/// The digest of a padded message.
#[inline(always)]
pub(super) fn digest(mut words: Words) -> Digest {
    let mut state = START;
    rounds!(state, words, 0, 0x5a82_7999, |b, c, d| d ^ (b & (c ^ d)));
    rounds!(state, words, 20, 0x6ed9_eba1, |b, c, d| b ^ c ^ d);
    rounds!(state, words, 40, 0x8f1b_bcdc, |b, c, d| (b & c) | (d & (b | c)));
    rounds!(state, words, 60, 0xca62_c1d6, |b, c, d| b ^ c ^ d);
    std::array::from_fn(|i| state[i].wrapping_add(START[i]))
}

#[inline(always)]
fn round<const T: usize>(state: &mut Digest, words: &mut Words, constant: u32, function: impl Fn(u32, u32, u32) -> u32) {
    let [a, b, c, d, e] = *state;
    if T >= 16 {
        words[T % 16] = (words[(T + 13) % 16] ^ words[(T + 8) % 16] ^ words[(T + 2) % 16] ^ words[T % 16]).rotate_left(1);
    }
    let next =
        a.rotate_left(5).wrapping_add(function(b, c, d)).wrapping_add(e.wrapping_add(constant).wrapping_add(words[T % 16]));
    *state = [next, a, b.rotate_left(30), c, d];
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha1::{Digest, Sha1};

    fn bytes_of(message: &[u8]) -> Vec<u8> {
        let mut padded = DigestMessage::EMPTY;
        message.iter().for_each(|&byte| padded.push([byte]));
        digest(padded.words()).iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// From RFC 3174 section 7.3.
    #[test]
    fn published_digest() {
        let digest = bytes_of(b"abc");
        assert_eq!(digest[..4], [0xa9, 0x99, 0x3e, 0x36]);
        assert_eq!(digest[16..], [0x9c, 0xd0, 0xd8, 0x9d]);
    }

    proptest! {
        #[test]
        fn another_implementation_agrees(message in prop::collection::vec(any::<u8>(), 0..=MESSAGE_MAX)) {
            prop_assert_eq!(bytes_of(&message), Sha1::digest(&message).to_vec());
        }
    }
}
