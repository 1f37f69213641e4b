//! Text under construction: bytes with unused memory behind them, so that short pieces are stored whole and
//! cut afterwards.
//!
//! Owns the memory. Knows no number and no format. Its invariant: the text is what was pushed, in order,
//! whatever was stored beyond its end meanwhile.
//!
//! A million records are some hundred million pieces, so a piece must cost next to nothing: the memory's size
//! is a constant, which leaves one comparison to be made, and a [`TextEnd`] lies in registers as long as
//! nobody but inlined functions gets a reference to it: whoever builds a record owns its text and passes it
//! to functions that are always inlined, and to no large closure, which would not be. Others are called by
//! way of [`TextEnd::aside`].

use std::io::{self, Write};

/// How much is gathered before it is written: enough that the call costs nothing, and small enough to stay in
/// the second cache.
const WRITTEN_AT: usize = 128 << 10;
/// Room behind that: more than any record takes. What goes beyond it is right, too, and slower.
const ROOM: usize = 8 << 10;
const MEMORY: usize = WRITTEN_AT + ROOM;

/// A text that is gathered and written from time to time.
#[derive(Debug)]
pub struct TextBuffer {
    /// What found no room any more was moved here; it comes first.
    spilled: Vec<u8>,
    /// The first `len` bytes are the text.
    memory: Box<[u8; MEMORY]>,
    len: usize,
}

/// A word of a few letters, which is stored as one piece.
///
/// A comma stands behind it, because one stands behind a value in most formats; where none does, it does not
/// count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldWord {
    letters: [u8; Self::SIZE],
    len: u8,
}

impl FieldWord {
    const SIZE: usize = 16;
    /// No letter at all.
    pub const EMPTY: Self = Self { letters: [b','; Self::SIZE], len: 0 };

    /// A word of at most 15 letters. To be called where a constant is made: a longer one does not compile.
    pub const fn new(text: &str) -> Self {
        Self::EMPTY.and(text.as_bytes())
    }

    /// The word with more ASCII letters behind it; together at most 15.
    pub const fn and(mut self, letters: &[u8]) -> Self {
        let mut at = 0;
        while at < letters.len() {
            assert!(letters[at].is_ascii() && (self.len as usize) < Self::SIZE - 1, "not a word of ours");
            self.letters[self.len as usize] = letters[at];
            self.len += 1;
            at += 1;
        }
        self
    }

    /// A name from outside, of which only letters, digits and `._:@-` are kept, the others as `_`; at most 15 of them.
    pub fn of_name(name: &str) -> Self {
        let safe = |letter: char| if letter.is_ascii_alphanumeric() || "._:@-".contains(letter) { letter as u8 } else { b'_' };
        name.chars().take(Self::SIZE - 1).fold(Self::EMPTY, |word, letter| word.and(&[safe(letter)]))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        // Made of ASCII, so the text is never refused.
        self.letters.get(..usize::from(self.len)).and_then(|letters| std::str::from_utf8(letters).ok()).unwrap_or_default()
    }
}

/// The end of a text, open for appending. What is pushed counts once it is closed.
pub struct TextEnd<'a> {
    spilled: &'a mut Vec<u8>,
    memory: &'a mut [u8; MEMORY],
    closed_len: &'a mut usize,
    len: usize,
}

impl Default for TextBuffer {
    fn default() -> Self {
        // Made on the heap at once.
        let memory = vec![0; MEMORY].into_boxed_slice().try_into().expect("the size is the one asked for");
        Self { spilled: Vec::new(), memory, len: 0 }
    }
}

impl TextBuffer {
    /// Opens the end.
    #[inline(always)]
    pub fn open(&mut self) -> TextEnd<'_> {
        let Self { spilled, memory, len } = self;
        TextEnd { spilled, memory, len: *len, closed_len: len }
    }

    /// Writes what has gathered to `out`, if that is worth a call: pieces of one size, so that in a file that
    /// nobody else writes to each begins where a page of memory begins, and fills pages of its own. Lines may
    /// be cut.
    ///
    /// # Errors
    /// Those of `out`.
    #[inline]
    pub fn write_when_full(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.is_full() { self.write_piece(out) } else { Ok(()) }
    }

    #[inline(never)]
    fn write_piece(&mut self, out: &mut impl Write) -> io::Result<()> {
        if !self.spilled.is_empty() {
            return self.write(out);
        }
        let written = self.len.min(WRITTEN_AT);
        out.write_all(self.memory.get(..written).unwrap_or_default())?;
        self.memory.copy_within(written..self.len, 0);
        self.len -= written;
        Ok(())
    }

    /// True when so much has gathered that writing it is worth a call.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len >= WRITTEN_AT || !self.spilled.is_empty()
    }

    /// Bytes that have gathered.
    #[inline]
    pub fn text_len(&self) -> usize {
        self.spilled.len() + self.len
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

impl TextEnd<'_> {
    /// Ends the appending.
    #[inline(always)]
    pub fn close(self) {
        *self.closed_len = self.len;
    }

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
        self.fill(|room| {
            *room = piece;
            used
        });
    }

    /// Has `fill` store into room of `N` bytes and say how many of them count: several pieces for one look at
    /// what is left.
    #[inline(always)]
    pub fn fill<const N: usize>(&mut self, fill: impl FnOnce(&mut [u8; N]) -> usize) {
        if self.len > MEMORY - N {
            self.aside(|text| text.spill());
            self.len = 0;
        }
        if let Some(room) = self.memory.get_mut(self.len..self.len + N).and_then(|room| room.first_chunk_mut()) {
            let used = fill(room);
            debug_assert!(used <= N, "more counted than stored");
            self.len += used;
        }
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
            33..=64 => self.ends::<32>(word),
            _ => self.aside(|text| text.long(word)),
        }
    }

    /// Appends a word.
    #[inline(always)]
    pub fn letters(&mut self, word: &FieldWord) {
        self.put(word.letters, word.len.into());
    }

    /// Appends a word and a comma.
    #[inline(always)]
    pub fn letters_comma(&mut self, word: &FieldWord) {
        self.put(word.letters, usize::from(word.len) + 1);
    }

    /// Has a function push that is not inlined.
    #[inline(always)]
    pub fn aside(&mut self, push: impl FnOnce(&mut TextEnd<'_>)) {
        let mut other = TextEnd { spilled: self.spilled, memory: self.memory, closed_len: self.closed_len, len: self.len };
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
        let (pieces, rest) = word.as_chunks::<32>();
        pieces.iter().for_each(|piece| self.put(*piece, piece.len()));
        rest.iter().for_each(|&byte| self.byte(byte));
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
pub fn pushed(push: impl FnOnce(&mut TextEnd<'_>)) -> Vec<u8> {
    let (mut bytes, mut out) = (TextBuffer::default(), Vec::new());
    let mut text = bytes.open();
    push(&mut text);
    text.close();
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
    fn what_had_no_room_is_written_before_what_came_after_it() {
        let (mut out, mut bytes) = (Vec::new(), TextBuffer::default());
        let mut text = bytes.open();
        (0..MEMORY).for_each(|_| text.byte(b'x'));
        text.word(b"last");
        text.close();
        bytes.write_when_full(&mut out).expect("a Vec takes everything");
        assert!(out.len() == MEMORY + 4 && out.ends_with(b"xlast"));
    }

    #[test]
    fn a_full_text_is_written_and_a_small_one_waits() {
        let mut out = Vec::new();
        let mut bytes = TextBuffer::default();
        let mut text = bytes.open();
        text.word(b"first");
        text.close();
        bytes.write_when_full(&mut out).expect("a Vec takes everything");
        assert!(out.is_empty());
        let mut text = bytes.open();
        (0..WRITTEN_AT).for_each(|_| text.byte(b'x'));
        text.close();
        bytes.write_when_full(&mut out).expect("a Vec takes everything");
        assert_eq!((out.len(), bytes.len), (WRITTEN_AT, 5), "pieces of one size");
        bytes.write(&mut out).expect("a Vec takes everything");
        assert!(out.starts_with(b"firstxxx") && out.ends_with(b"xxx"));
        assert_eq!((out.len(), bytes.len), (WRITTEN_AT + 5, 0));
    }
}
