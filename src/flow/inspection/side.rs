//! One direction of a stream, put in order as far as it is needed.
//!
//! Owns the bytes from the first one that was seen. Knows no protocol. Invariants: at most `limit` bytes are kept; the result does not
//! depend on how the stream was cut into segments, nor on segments that came twice.

use crate::app::{PieceBuffer, Wanted};

/// Times that the beginning of a stream may turn out to be earlier than was thought.
const MOVES_MAX: u8 = 4;

/// How many bytes there are, and how often they turned out not to be the first ones: what is the same has the same bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SideProgress {
    len: usize,
    moves: u8,
}

/// One direction of a stream.
#[derive(Debug)]
pub(super) struct StreamSide {
    /// Sequence number of the first byte.
    base: Option<u32>,
    /// The SYN said so: nothing comes before it.
    is_start: bool,
    pieces: PieceBuffer,
    limit: usize,
    wanted: Wanted,
    /// How often the beginning turned out to be earlier.
    moves: u8,
    /// More is wanted than may be kept, or what is wanted was not captured.
    is_cut: bool,
}

impl StreamSide {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            base: None,
            is_start: false,
            pieces: PieceBuffer::new(limit),
            limit,
            wanted: Wanted::Bytes(1),
            moves: 0,
            is_cut: false,
        }
    }

    /// The bytes from the first one to the first gap.
    pub(super) fn bytes(&self) -> &[u8] {
        self.pieces.contiguous()
    }

    /// Bytes that may be kept.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// How far it is.
    pub(super) fn progress(&self) -> SideProgress {
        SideProgress { len: self.bytes().len(), moves: self.moves }
    }

    /// Bytes of memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.pieces.memory_bytes()
    }

    /// No more of it is wanted, or can be had.
    pub(super) fn is_over(&self) -> bool {
        self.is_cut || matches!(self.wanted, Wanted::Nothing)
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// After the bytes so far were read.
    pub(super) fn want(&mut self, wanted: Wanted) {
        self.wanted = wanted;
        // What was read stays: facts are read from the whole again when the other side has more.
        if let Wanted::Bytes(need) = wanted {
            self.is_cut |= need > self.limit;
        }
    }

    /// The segment comes after the first one that was seen, or again in its place, which may have been forged.
    pub(super) fn may_begin_again(&self, sequence: u32) -> bool {
        let offset = self.base.map_or(-1, |base| sequence.wrapping_sub(base) as i32);
        offset > 0 || offset == 0 && !self.bytes().is_empty()
    }

    /// The first byte has this sequence number, as the SYN said. It counts until a segment came.
    pub(super) fn start_at(&mut self, sequence: u32) {
        if self.base.is_none() {
            (self.base, self.is_start) = (Some(sequence), true);
        }
    }

    /// Forgets what came: the next segment is the beginning. Keeps the memory.
    pub(super) fn restart(&mut self) {
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.clear();
        *self = Self { pieces, ..Self::new(self.limit) };
    }

    /// Keeps a segment; true when there is as much as is wanted and more than before. `wire_len`: how long it was before capture.
    pub(super) fn insert(&mut self, sequence: u32, payload: &[u8], wire_len: usize) -> bool {
        if self.is_over() {
            return false;
        }
        let base = *self.base.get_or_insert(sequence);
        let offset = i64::from(sequence.wrapping_sub(base) as i32);
        if offset < 0 && self.is_start {
            // A keep-alive: what it brings of this stream is known already.
            return false;
        }
        if offset < 0 {
            return self.insert_before(sequence, offset.unsigned_abs(), payload);
        }
        let grew = self.pieces.insert(offset as u64, payload);
        // What was not captured will not come.
        if payload.len() < wire_len && (offset as u64) <= self.bytes().len() as u64 {
            self.is_cut = true;
        }
        grew && self.has_enough()
    }

    fn has_enough(&self) -> bool {
        match self.wanted {
            Wanted::Bytes(need) => self.bytes().len() >= need.min(self.limit) || self.is_cut,
            Wanted::Nothing => false,
        }
    }

    /// The stream begins earlier than was thought: segments came in another order.
    fn insert_before(&mut self, sequence: u32, before: u64, payload: &[u8]) -> bool {
        // A keep-alive is one byte of those before (RFC 9293 section 3.8.4).
        let Some(by) = usize::try_from(before).ok().filter(|&by| by <= self.limit && payload.len() > 1) else { return false };
        // Each time all that is there moves: a network that changes the order does it once or twice.
        self.moves += 1;
        if self.moves > MOVES_MAX {
            self.is_cut = true;
            return false;
        }
        self.pieces.shift(by);
        self.pieces.insert(0, payload);
        self.base = Some(sequence);
        self.has_enough()
    }
}
