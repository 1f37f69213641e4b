//! The blocks of a TPACKET_V3 ring, in the order in which the kernel fills them.
//!
//! Owns whose turn it is. Knows neither sockets nor what is in a block. Its one invariant: a block is read
//! only between the kernel's handing over and ours, and it goes back to the kernel exactly once, also when
//! the reader panics.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use libc::{TP_STATUS_KERNEL, TP_STATUS_USER};

use super::layout::{BLOCK_STATUS, READABLE};

/// A ring of blocks in memory shared with the kernel.
pub(super) struct BlockRing {
    base: NonNull<u8>,
    block_len: usize,
    block_count: usize,
    /// The block that is ours next, less than `block_count`.
    next: usize,
}

// JUSTIFICATION: a pointer is not `Send` by itself, and a ring belongs to the thread that reads it, which is
// not the one that made it.
// SAFETY: whoever holds the `BlockRing` is its only reader in this process (`new` asks for that), and every
// method that touches memory takes `&mut self` or reads an atomic.
unsafe impl Send for BlockRing {}

impl BlockRing {
    /// A ring at `base`, its first block next.
    ///
    /// # Safety
    /// `block_count` times `block_len` bytes at `base` are mapped for reading and writing as long as the ring
    /// lives, `base` and `block_len` are multiples of 8, `block_len` is at least a page, `block_count` at
    /// least 1. Nobody in this process touches them otherwise; somebody else writes to a block only while its
    /// status is `TP_STATUS_KERNEL`.
    pub(super) const unsafe fn new(base: NonNull<u8>, block_len: usize, block_count: usize) -> Self {
        Self { base, block_len, block_count, next: 0 }
    }

    pub(super) const fn block_count(&self) -> usize {
        self.block_count
    }

    /// Whether the next block has been handed over.
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        self.is_handed_over(self.next)
    }

    fn is_handed_over(&self, index: usize) -> bool {
        // Acquire: pairs with the barrier before prb_close_block() of the kernel's af_packet.c writes the
        // status, so that the packets written before it are seen after it.
        self.status(index).load(Ordering::Acquire) & TP_STATUS_USER != 0
    }

    /// More blocks than this have been handed over and not taken: one look, as the kernel hands them over in order.
    pub(super) fn has_more_than(&self, count: usize) -> bool {
        count < self.block_count && self.is_handed_over((self.next + count) % self.block_count)
    }

    /// Blocks that have been handed over and not taken. The kernel hands them over in order, so a few are looked
    /// at: the logarithm of their number.
    pub(super) fn waiting(&self) -> usize {
        let (mut waiting, mut end) = (0, self.block_count);
        while waiting < end {
            let middle = waiting.midpoint(end);
            if self.is_handed_over((self.next + middle) % self.block_count) {
                waiting = middle + 1;
            } else {
                end = middle;
            }
        }
        waiting
    }

    /// The next block, if it has been handed over. Dropping it gives it back.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Block<'_>> {
        if !self.is_ready() {
            return None;
        }
        let index = self.next;
        self.next = if index + 1 == self.block_count { 0 } else { index + 1 };
        Some(Block { ring: self, index })
    }

    fn block(&self, index: usize) -> NonNull<u8> {
        debug_assert!(index < self.block_count);
        // JUSTIFICATION: the kernel's memory has no owner of ours that could be indexed.
        // SAFETY: `index` is less than `block_count` (kept by `take`), so this stays within the bytes that
        // `new` was promised.
        unsafe { self.base.add(index * self.block_len) }
    }

    fn status(&self, index: usize) -> &AtomicU32 {
        // JUSTIFICATION: as above.
        // SAFETY: the status lies within the block, which is longer than its header.
        let status = unsafe { self.block(index).add(BLOCK_STATUS) };
        // JUSTIFICATION: the word is written by the kernel at any time, which only an atomic may read.
        // SAFETY: it is mapped as long as the ring lives (promised to `new`) and 4-byte aligned, as base,
        // block length and offset are multiples of 4; no reference to plain memory ever covers it
        // ([`Block::bytes`] begins behind it).
        unsafe { AtomicU32::from_ptr(status.cast::<u32>().as_ptr()) }
    }
}

/// A block that is ours until it is dropped.
pub(super) struct Block<'a> {
    ring: &'a mut BlockRing,
    index: usize,
}

impl Block<'_> {
    /// The block without its first [`READABLE`] bytes.
    #[inline]
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        // JUSTIFICATION: as in [`BlockRing::block`].
        // SAFETY: within the block, which is longer than its header.
        let start = unsafe { self.ring.block(self.index).add(READABLE) };
        let len = self.ring.block_len - READABLE;
        // JUSTIFICATION: packets are lent from the memory the kernel wrote them to, without a copy.
        // SAFETY: mapped for reading and writing and initialised (a mapping is zeroed); ours alone, as the
        // status says (seen by an Acquire in `take`) and the kernel keeps to it until `drop` gives the block
        // back, which cannot happen while the slice borrows `self`. Bytes have no invalid values and no
        // alignment.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), len) }
    }
}

impl Drop for Block<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the kernel's read of the status in prb_dispatch_next_block(), so that what we
        // read of the block, and the tags we put back, come before its next packet.
        self.ring.status(self.index).store(TP_STATUS_KERNEL, Ordering::Release);
    }
}

impl std::fmt::Debug for BlockRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { base: _, block_len, block_count, next } = self;
        f.debug_struct("Ring")
            .field("block_len", block_len)
            .field("block_count", block_count)
            .field("next", next)
            .finish_non_exhaustive()
    }
}
