//! Text under construction: bytes with room behind them, so that short pieces are stored at once and cut afterwards.
//!
//! Owns the memory and its growth. Knows no number and no format. Its invariant: what was pushed stands there in order, whatever
//! was stored beyond it on the way.

use std::io::{self, Write};

/// How much is gathered before it is written: enough that the call costs nothing, and small enough to stay in the second cache.
const WRITTEN_AT: usize = 128 << 10;
/// Room behind that: more than any record takes, so that the memory is made once.
const ROOM: usize = 8 << 10;

/// A growing text.
#[derive(Debug)]
pub struct Bytes {
    /// Initialised memory, of which the first `len` bytes are the text.
    memory: Vec<u8>,
    len: usize,
}

impl Bytes {
    /// An empty text with room for what is gathered before [`Bytes::write_when_full`] writes it.
    pub fn new() -> Self {
        Self { memory: vec![0; WRITTEN_AT + ROOM], len: 0 }
    }

    /// An empty text for a record or two.
    pub fn short() -> Self {
        Self { memory: vec![0; ROOM], len: 0 }
    }

    /// The text.
    pub fn as_slice(&self) -> &[u8] {
        self.memory.get(..self.len).unwrap_or_default()
    }

    /// Forgets the text and keeps the memory.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Takes the last `count` bytes away.
    #[inline(always)]
    pub fn shorten(&mut self, count: usize) {
        self.len = self.len.saturating_sub(count);
    }

    /// Stores `piece`, of which the first `used` bytes count. `used` is at most `N`.
    #[inline(always)]
    pub fn put<const N: usize>(&mut self, piece: [u8; N], used: usize) {
        debug_assert!(used <= N, "more counted than stored");
        match self.memory.get_mut(self.len..).and_then(<[u8]>::first_chunk_mut) {
            Some(room) => *room = piece,
            None => self.put_and_grow(&piece),
        }
        self.len += used;
    }

    /// Appends one byte.
    #[inline(always)]
    pub fn byte(&mut self, byte: u8) {
        self.put([byte], 1);
    }

    /// Appends a text of a few bytes; longer ones are right, too, and slower.
    #[inline(always)]
    pub fn word(&mut self, word: &[u8]) {
        // Two pieces that overlap cover every length between one piece and two: no loop and no call.
        match word.len() {
            0 => {}
            1 => self.ends::<1>(word),
            2..=3 => self.ends::<2>(word),
            4..=7 => self.ends::<4>(word),
            8..=16 => self.ends::<8>(word),
            17..=32 => self.ends::<16>(word),
            _ => self.long(word),
        }
    }

    /// Appends a word of `N` to `2 * N` bytes.
    #[inline(always)]
    fn ends<const N: usize>(&mut self, word: &[u8]) {
        if let (Some(first), Some(last)) = (word.first_chunk::<N>(), word.last_chunk::<N>()) {
            self.put(*first, word.len() - N);
            self.put(*last, N);
        }
    }

    #[cold]
    fn long(&mut self, word: &[u8]) {
        word.iter().for_each(|&byte| self.byte(byte));
    }

    #[cold]
    #[inline(never)]
    fn put_and_grow(&mut self, piece: &[u8]) {
        self.memory.truncate(self.len);
        self.memory.extend_from_slice(piece);
        let doubled = self.memory.len() * 2 + ROOM;
        self.memory.resize(doubled, 0);
    }

    /// Writes what has gathered to `out`, if that is worth a call.
    ///
    /// # Errors
    /// Those of `out`.
    #[inline]
    pub fn write_when_full(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.len >= WRITTEN_AT { self.write(out) } else { Ok(()) }
    }

    /// Writes what has gathered to `out`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&mut self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(self.as_slice())?;
        self.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_stand_as_they_were_pushed(words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 0..20)) {
            // Almost no room, so that growing is met at every length.
            let mut bytes = Bytes { memory: vec![7; 3], len: 0 };
            words.iter().for_each(|word| bytes.word(word));
            prop_assert_eq!(bytes.as_slice(), words.concat());
        }
    }

    #[test]
    fn what_was_stored_beyond_does_not_count() {
        let mut bytes = Bytes::short();
        bytes.put(*b"abcdef", 2);
        bytes.put(*b"xyz", 3);
        bytes.shorten(1);
        assert_eq!(bytes.as_slice(), b"abxy");
    }

    #[test]
    fn a_full_text_is_written_and_a_small_one_waits() {
        let mut out = Vec::new();
        let mut bytes = Bytes::new();
        bytes.word(b"first");
        bytes.write_when_full(&mut out).expect("a Vec takes everything");
        assert!(out.is_empty());
        for _ in 0..WRITTEN_AT {
            bytes.byte(b'x');
        }
        bytes.write_when_full(&mut out).expect("a Vec takes everything");
        assert_eq!((out.len(), bytes.as_slice()), (WRITTEN_AT + 5, &b""[..]));
    }
}
