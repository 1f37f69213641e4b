//! Text under construction: bytes with room behind them, so that short pieces are stored at once and cut afterwards.
//!
//! Owns the memory. Knows no number and no format. Its invariant: what was pushed stands there in order, whatever was stored beyond it
//! on the way.
//!
//! A million records are some hundred million pieces, so a piece must cost next to nothing: the memory's size is a constant, which
//! leaves one comparison to be made, and a [`Text`] lies in registers as long as nobody but inlined functions gets a reference to it.
//! Others are called by way of [`Text::aside`].

use std::io::{self, Write};

/// How much is gathered before it is written: enough that the call costs nothing, and small enough to stay in the second cache.
const WRITTEN_AT: usize = 128 << 10;
/// Room behind that: more than any record takes. What goes beyond it is right, too, and slower.
const ROOM: usize = 8 << 10;
const MEMORY: usize = WRITTEN_AT + ROOM;

/// A text that is gathered and written from time to time.
#[derive(Debug)]
pub struct Bytes {
    /// What found no room any more was moved here; it comes first.
    spilled: Vec<u8>,
    /// The first `len` bytes are the text.
    memory: Box<[u8; MEMORY]>,
    len: usize,
}

/// The end of a text, open for appending.
pub struct Text<'a> {
    spilled: &'a mut Vec<u8>,
    memory: &'a mut [u8; MEMORY],
    len: usize,
}

impl Default for Bytes {
    fn default() -> Self {
        // Made on the heap at once.
        let memory = vec![0; MEMORY].into_boxed_slice().try_into().expect("the size is the one asked for");
        Self { spilled: Vec::new(), memory, len: 0 }
    }
}

impl Bytes {
    /// Appends what `push` pushes.
    #[inline(always)]
    pub fn append(&mut self, push: impl FnOnce(&mut Text<'_>)) {
        let Self { spilled, memory, len } = self;
        let mut text = Text { spilled, memory, len: *len };
        push(&mut text);
        *len = text.len;
    }

    /// Writes what has gathered to `out`, if that is worth a call.
    ///
    /// # Errors
    /// Those of `out`.
    #[inline]
    pub fn write_when_full(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.len >= WRITTEN_AT || !self.spilled.is_empty() { self.write(out) } else { Ok(()) }
    }

    /// Writes what has gathered to `out`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&mut self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.spilled)?;
        self.spilled.clear();
        out.write_all(self.memory.get(..self.len).unwrap_or_default())?;
        self.len = 0;
        Ok(())
    }
}

impl Text<'_> {
    /// Takes the last `count` bytes away.
    #[inline(always)]
    pub fn shorten(&mut self, count: usize) {
        match self.len.checked_sub(count) {
            Some(len) => self.len = len,
            None => self.aside(|text| {
                text.spill();
                text.spilled.truncate(text.spilled.len().saturating_sub(count));
            }),
        }
    }

    /// Stores `piece`, of which the first `used` bytes count. `used` is at most `N`.
    #[inline(always)]
    pub fn put<const N: usize>(&mut self, piece: [u8; N], used: usize) {
        debug_assert!(used <= N, "more counted than stored");
        if self.len > MEMORY - N {
            self.aside(|text| text.spill());
            self.len = 0;
        }
        if let Some(room) = self.memory.get_mut(self.len..self.len + N) {
            room.copy_from_slice(&piece);
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
            _ => self.aside(|text| text.long(word)),
        }
    }

    /// Has a function push that is not inlined.
    #[inline(always)]
    pub fn aside(&mut self, push: impl FnOnce(&mut Text<'_>)) {
        let mut other = Text { spilled: self.spilled, memory: self.memory, len: self.len };
        push(&mut other);
        self.len = other.len;
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
    #[inline(never)]
    fn long(&mut self, word: &[u8]) {
        word.iter().for_each(|&byte| self.byte(byte));
    }

    /// Makes room.
    #[cold]
    #[inline(never)]
    fn spill(&mut self) {
        self.spilled.extend_from_slice(self.memory.get(..self.len).unwrap_or_default());
        self.len = 0;
    }
}

/// What `push` pushes.
#[cfg(test)]
pub fn pushed(push: impl FnOnce(&mut Text<'_>)) -> Vec<u8> {
    let (mut bytes, mut out) = (Bytes::default(), Vec::new());
    bytes.append(push);
    bytes.write(&mut out).expect("a Vec takes everything");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn words_stand_as_they_were_pushed(
            words in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..70), 0..9usize), 0..20),
            left in 0..200usize,
        ) {
            // Almost no room, so that its end is met at every length.
            let mut expected = vec![7; MEMORY - left];
            let text = pushed(|text| {
                text.aside(|text| text.long(&vec![7; MEMORY - left]));
                for (word, taken) in &words {
                    text.word(word);
                    text.shorten(*taken);
                    expected.extend_from_slice(word);
                    expected.truncate(expected.len() - taken);
                }
            });
            prop_assert!(text == expected, "{} and {} bytes", text.len(), expected.len());
        }
    }

    #[test]
    fn what_was_stored_beyond_does_not_count() {
        let text = pushed(|text| {
            text.put(*b"abcdef", 2);
            text.put(*b"xyz", 3);
            text.shorten(1);
        });
        assert_eq!(text, b"abxy");
    }

    #[test]
    fn a_full_text_is_written_and_a_small_one_waits() {
        let mut out = Vec::new();
        let mut bytes = Bytes::default();
        bytes.append(|text| text.word(b"first"));
        bytes.write_when_full(&mut out).expect("a Vec takes everything");
        assert!(out.is_empty());
        bytes.append(|text| (0..WRITTEN_AT).for_each(|_| text.byte(b'x')));
        bytes.write_when_full(&mut out).expect("a Vec takes everything");
        assert_eq!((out.len(), bytes.len), (WRITTEN_AT + 5, 0));
    }
}
