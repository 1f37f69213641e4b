//! Bytes that come in pieces of any order: TCP's segments, QUIC's CRYPTO frames, DTLS's fragments.
//!
//! Owns which bytes are there. Its invariants: at most `limit` bytes are kept; what was written first stays; a piece costs as many steps
//! as it has bytes, whatever came before it; pieces that come in order are copied and no more.

/// A message that grows from pieces.
#[derive(Clone, Debug, Default)]
pub struct PieceBuffer {
    limit: usize,
    bytes: Vec<u8>,
    /// One bit for each byte of `bytes`, of which those before `contiguous` do not count. Shorter than `bytes` while nothing lies behind a
    /// gap.
    present: Vec<u64>,
    /// Bytes from the first one without a gap.
    contiguous: usize,
    /// Bytes of pieces that lie past `limit`.
    refused: u64,
    #[cfg(test)]
    steps: u64,
}

impl PieceBuffer {
    /// An empty one for at most `limit` bytes; it takes memory when pieces come.
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// The bytes from the first one up to the first gap.
    pub fn contiguous(&self) -> &[u8] {
        &self.bytes[..self.contiguous]
    }

    /// Bytes that were left out because they lie past the limit.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Bytes of memory.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.present.capacity() * size_of::<u64>()
    }

    /// Moves all pieces so many bytes back, to make room for what comes before them. What is then past the limit is left out.
    pub fn shift(&mut self, by: usize) {
        let mut moved = Self::new(self.limit);
        moved.insert(by as u64, &self.bytes[..self.contiguous]);
        let mut at = self.contiguous;
        while let Some(start) = self.next_run(at, true) {
            let end = self.next_run(start, false).unwrap_or(self.bytes.len());
            moved.insert((start + by) as u64, &self.bytes[start..end]);
            at = end;
        }
        moved.refused += self.refused;
        *self = moved;
    }

    /// The first byte from `from` on, which lies behind the contiguous ones, that is there, or is not.
    fn next_run(&self, from: usize, present: bool) -> Option<usize> {
        (from..self.bytes.len()).find(|&at| (self.present[at / 64] >> (at % 64) & 1 == 1) == present)
    }

    /// Forgets all pieces and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.present.clear();
        (self.contiguous, self.refused) = (0, 0);
    }

    /// Puts `piece` at `offset`; true where there are now more contiguous bytes.
    pub fn insert(&mut self, offset: u64, piece: &[u8]) -> bool {
        let room = usize::try_from(offset).map_or(0, |offset| self.limit.saturating_sub(offset));
        let kept = &piece[..piece.len().min(room)];
        self.refused = self.refused.saturating_add((piece.len() - kept.len()) as u64);
        // Past this line `offset` is below the limit, so it fits.
        let Ok(offset) = usize::try_from(offset) else { return false };
        if kept.is_empty() {
            return false;
        }
        let end = offset + kept.len();
        let start = offset.max(self.contiguous);
        if start >= end {
            return false;
        }
        let kept = &kept[start - offset..];
        if start == self.bytes.len() && start == self.contiguous {
            // In order, as nearly all of it is.
            self.bytes.extend_from_slice(kept);
            self.contiguous = end;
            return true;
        }
        self.insert_apart(start, kept);
        let before = self.contiguous;
        self.advance();
        self.contiguous > before
    }

    /// The same where a gap is before the piece or in it.
    fn insert_apart(&mut self, start: usize, kept: &[u8]) {
        let end = start + kept.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.present.resize(self.bytes.len().div_ceil(64), 0);
        for (at, &byte) in (start..end).zip(kept) {
            let bit = 1 << (at % 64);
            if self.present[at / 64] & bit == 0 {
                self.present[at / 64] |= bit;
                self.bytes[at] = byte;
            }
            self.count_step();
        }
    }

    /// Moves the end of the contiguous bytes to the first gap; over all calls each word is passed once.
    fn advance(&mut self) {
        while let Some(&word) = self.present.get(self.contiguous / 64) {
            self.count_step();
            let ones = (word >> (self.contiguous % 64)).trailing_ones() as usize;
            self.contiguous += ones;
            if ones == 0 || !self.contiguous.is_multiple_of(64) {
                break;
            }
        }
    }

    #[cfg(test)]
    fn count_step(&mut self) {
        self.steps += 1;
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests count here")]
    fn count_step(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn thousands_of_single_bytes_cost_a_step_each() {
        const LEN: u64 = 16_384;
        for order in [|at: u64| at, |at| LEN - 1 - at, |at| at * 2 % LEN + at * 2 / LEN, |at| at * 7919 % LEN] {
            let mut pieces = PieceBuffer::new(LEN as usize);
            (0..LEN).map(order).for_each(|at| {
                pieces.insert(at, &[at as u8]);
            });
            assert_eq!(pieces.contiguous().len() as u64, LEN);
            assert!(pieces.contiguous().iter().zip(0_u64..).all(|(&byte, at)| byte == at as u8));
            assert!(pieces.steps <= 3 * LEN, "{} steps", pieces.steps);
        }
    }

    #[test]
    fn nothing_past_the_limit_is_kept_and_all_of_it_is_counted() {
        let mut pieces = PieceBuffer::new(4);
        assert!(!pieces.insert(2, b"cdef"));
        assert!(!pieces.insert(u64::MAX, b"xyz"));
        assert!(!pieces.insert(0, b""));
        assert_eq!((pieces.contiguous(), pieces.refused(), pieces.bytes.len()), (&b""[..], 5, 4));
        assert!(pieces.insert(0, b"ab"));
        assert_eq!(pieces.contiguous(), b"abcd");
        pieces.clear();
        assert_eq!((pieces.contiguous(), pieces.refused()), (&b""[..], 0));
        assert!(pieces.insert(0, b"z"));
        assert_eq!(pieces.contiguous(), b"z");
    }

    #[test]
    fn what_came_first_stays() {
        let mut pieces = PieceBuffer::new(8);
        pieces.insert(1, b"bc");
        pieces.insert(0, b"ZZZZ");
        assert_eq!(pieces.contiguous(), b"ZbcZ");
    }

    #[test]
    fn what_comes_before_the_first_byte_finds_room() {
        let mut pieces = PieceBuffer::new(8);
        pieces.insert(0, b"cd");
        pieces.insert(4, b"gh");
        pieces.shift(2);
        assert!(pieces.insert(0, b"ab") && pieces.contiguous() == b"abcd");
        assert!(pieces.insert(4, b"ef") && pieces.contiguous() == b"abcdefgh");
        pieces.shift(1);
        assert_eq!((pieces.refused(), pieces.contiguous()), (1, &b""[..]));
    }

    proptest! {
        #[test]
        fn any_order_gives_the_same_bytes(cuts in prop::collection::vec((0_u64..300, 1_usize..40), 0..60)) {
            let all: Vec<u8> = (0..340).map(|at| at as u8).collect();
            let mut pieces = PieceBuffer::new(all.len());
            let mut model = [false; 340];
            for (offset, len) in cuts {
                let at = offset as usize;
                pieces.insert(offset, &all[at..at + len]);
                model[at..at + len].fill(true);
                let gap = model.iter().position(|there| !there).unwrap_or(model.len());
                prop_assert_eq!(pieces.contiguous(), &all[..gap]);
            }
        }
    }
}
