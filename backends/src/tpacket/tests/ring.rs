//! The ring's turns, with a `Vec` in place of the kernel.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use libc::{TP_STATUS_BLK_TMO, TP_STATUS_KERNEL, TP_STATUS_USER};
use proptest::prelude::*;

use super::super::layout::{BLOCK_STATUS, READABLE};
use super::super::ring::BlockRing;
use super::super::walker::BlockWalker;
use super::*;

const BLOCK: usize = 512;

/// Plays the kernel: fills blocks in turn and hands them over.
struct Kernel {
    memory: Box<[u64]>,
    count: usize,
    next: usize,
    written: u32,
    freezes: u32,
}

impl Kernel {
    fn new(count: usize) -> Self {
        Self { memory: vec![0; count * BLOCK / 8].into(), count, next: 0, written: 0, freezes: 0 }
    }

    fn base(&mut self) -> NonNull<u8> {
        NonNull::from(&mut self.memory[..]).cast()
    }

    fn ring(&mut self) -> BlockRing {
        let base = self.base();
        // SAFETY: `count` blocks of 512 bytes, aligned to 8, which outlive the ring in every test; this
        // struct writes to them by the same pointer, and only while a block's status is its own.
        unsafe { BlockRing::new(base, BLOCK, self.count) }
    }

    fn status(&self, base: NonNull<u8>, index: usize) -> &AtomicU32 {
        // SAFETY: within the memory, aligned.
        let status = unsafe { base.add(index * BLOCK + BLOCK_STATUS) };
        // SAFETY: alive as long as `self`; the word is accessed as an atomic only.
        unsafe { AtomicU32::from_ptr(status.cast().as_ptr()) }
    }

    /// Closes a block of one packet that carries the number of the block; false when the ring is full.
    fn hand_over(&mut self, base: NonNull<u8>) -> bool {
        if self.status(base, self.next).load(Ordering::Acquire) & TP_STATUS_USER != 0 {
            self.freezes += 1;
            return false;
        }
        let mut bytes = vec![0; BLOCK];
        fill(&mut bytes, &[frame(&self.written.to_ne_bytes())]);
        // SAFETY: within the memory.
        let start = unsafe { base.add(self.next * BLOCK + READABLE) };
        // SAFETY: the block is the kernel's, and the rest of it after the status is as long.
        unsafe { std::ptr::copy_nonoverlapping(bytes[READABLE..].as_ptr(), start.as_ptr(), BLOCK - READABLE) };
        let how = if self.written.is_multiple_of(2) { TP_STATUS_USER } else { TP_STATUS_USER | TP_STATUS_BLK_TMO };
        self.status(base, self.next).store(how, Ordering::Release);
        self.next = (self.next + 1) % self.count;
        self.written += 1;
        true
    }
}

/// The number in the next block; `None` when there is none.
fn read(ring: &mut BlockRing) -> Option<u32> {
    let mut block = ring.take()?;
    let mut walker = BlockWalker::new(block.bytes(), FORMAT);
    let packet = walker.next().expect("a packet in each block");
    Some(u32::from_ne_bytes(packet.data.try_into().expect("four bytes")))
}

#[test]
fn an_empty_ring_has_nothing() {
    let mut kernel = Kernel::new(3);
    let mut ring = kernel.ring();
    assert!(!ring.is_ready());
    assert!(ring.take().is_none());
    assert_eq!(ring.block_count(), 3);
}

#[test]
fn a_full_ring_waits_for_its_oldest_block() {
    let mut kernel = Kernel::new(3);
    let (base, mut ring) = (kernel.base(), kernel.ring());
    assert!((0..3).all(|_| kernel.hand_over(base)));
    assert!(!kernel.hand_over(base));
    assert_eq!(read(&mut ring), Some(0));
    assert!(kernel.hand_over(base));
    assert!(!kernel.hand_over(base));
    assert_eq!((kernel.freezes, std::iter::from_fn(|| read(&mut ring)).collect::<Vec<_>>()), (2, vec![1, 2, 3]));
}

#[test]
fn blocks_come_in_order_round_and_round() {
    for count in 1..5 {
        let mut kernel = Kernel::new(count);
        let (base, mut ring) = (kernel.base(), kernel.ring());
        for number in 0..20 {
            assert!(kernel.hand_over(base));
            assert_eq!(read(&mut ring), Some(number));
            assert_eq!(read(&mut ring), None);
        }
    }
}

#[test]
fn a_block_is_ours_until_it_is_dropped_and_goes_back_when_a_reader_panics() {
    let mut kernel = Kernel::new(2);
    let (base, mut ring) = (kernel.base(), kernel.ring());
    assert!(kernel.hand_over(base));
    let block = ring.take().expect("handed over");
    assert_eq!(kernel.status(base, 0).load(Ordering::Acquire), TP_STATUS_USER);
    drop(block);
    assert_eq!(kernel.status(base, 0).load(Ordering::Acquire), TP_STATUS_KERNEL);
    assert!(kernel.hand_over(base));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut block = ring.take().expect("handed over");
        assert!(block.bytes().is_empty(), "on purpose");
    }));
    assert!(panicked.is_err());
    assert_eq!(kernel.status(base, 1).load(Ordering::Acquire), TP_STATUS_KERNEL);
    assert!(kernel.hand_over(base));
    assert_eq!(read(&mut ring), Some(2));
}

proptest! {
    /// Against a queue of numbers, for any order of filling and reading.
    #[test]
    fn a_ring_is_a_bounded_queue(count in 1..6_usize, steps in prop::collection::vec(any::<bool>(), 0..200)) {
        let mut kernel = Kernel::new(count);
        let (base, mut ring) = (kernel.base(), kernel.ring());
        let (mut model, mut next) = (VecDeque::new(), 0_u32);
        for is_filling in steps {
            if is_filling {
                let is_taken = kernel.hand_over(base);
                prop_assert_eq!(is_taken, model.len() < count);
                if is_taken {
                    model.push_back(next);
                    next += 1;
                }
            } else {
                prop_assert_eq!(ring.is_ready(), !model.is_empty());
                prop_assert_eq!(ring.waiting(), model.len());
                prop_assert_eq!(read(&mut ring), model.pop_front());
            }
        }
    }
}
