//! Boxes between a worker and the cold side: a fixed number of them, full ones one way, empty ones back.
//!
//! Owns the boxes and nothing of what is in them. Invariant: no allocation and no lock after the start; a box is in exactly one
//! place (with the worker, full, with the receiver, or empty).

use crossbeam_queue::ArrayQueue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a waiting side naps between two looks.
const NAP: Duration = Duration::from_micros(50);

struct Shared<T> {
    full: ArrayQueue<Box<T>>,
    empty: ArrayQueue<Box<T>>,
    /// Set (Release) by whichever end is dropped first; read (Acquire) by the other end in `take_empty` and `is_finished`.
    closed: AtomicBool,
}

/// The worker's end.
pub struct Sender<T>(Arc<Shared<T>>);

/// The cold side's end.
pub struct Receiver<T>(Arc<Shared<T>>);

/// A mailbox of `boxes` boxes (at least 1), each made by `make`.
pub fn mailbox<T>(boxes: usize, mut make: impl FnMut() -> T) -> (Sender<T>, Receiver<T>) {
    let boxes = boxes.max(1);
    let shared = Arc::new(Shared { full: ArrayQueue::new(boxes), empty: ArrayQueue::new(boxes), closed: AtomicBool::new(false) });
    for _ in 0..boxes {
        let stored = shared.empty.push(Box::new(make())).is_ok();
        debug_assert!(stored, "an empty queue of that capacity takes every box");
    }
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Sender<T> {
    /// An empty box, if one is free.
    pub fn try_take(&self) -> Option<Box<T>> {
        self.0.empty.pop()
    }

    /// Empty boxes.
    pub fn free(&self) -> usize {
        self.0.empty.len()
    }

    /// True when no box is empty.
    pub fn is_out(&self) -> bool {
        self.0.empty.is_empty()
    }

    /// An empty box; waits for one. `None` once the receiver is gone.
    pub fn take(&self) -> Option<Box<T>> {
        loop {
            if let Some(taken) = self.0.empty.pop() {
                return Some(taken);
            }
            // Pairs with the Release store in `Receiver::drop`.
            if self.0.closed.load(Ordering::Acquire) {
                return None;
            }
            std::thread::sleep(NAP);
        }
    }

    /// Hands a box over. There is room for every box that exists, so this neither waits nor fails.
    pub fn send(&self, filled: Box<T>) {
        let stored = self.0.full.push(filled).is_ok();
        debug_assert!(stored, "more boxes than the mailbox was made with");
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // Pairs with the Acquire load in `Receiver::is_finished`: boxes sent before are seen by a receiver that sees the flag.
        self.0.closed.store(true, Ordering::Release);
    }
}

impl<T> Receiver<T> {
    /// The oldest full box, if any.
    pub fn receive(&self) -> Option<Box<T>> {
        self.0.full.pop()
    }

    /// Gives an emptied box back.
    pub fn give_back(&self, emptied: Box<T>) {
        let stored = self.0.empty.push(emptied).is_ok();
        debug_assert!(stored, "more boxes than the mailbox was made with");
    }

    /// True once the sender is gone and nothing is left to receive.
    pub fn is_finished(&self) -> bool {
        // Pairs with the Release store in `Sender::drop`; the flag is read before the queue so that nothing can slip in between.
        self.0.closed.load(Ordering::Acquire) && self.0.full.is_empty()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // Pairs with the Acquire load in `Sender::take`.
        self.0.closed.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_go_round_and_none_is_made_later() {
        let (sender, receiver) = mailbox(2, Vec::<u8>::new);
        let mut a = sender.try_take().expect("first box");
        let b = sender.try_take().expect("second box");
        assert!(sender.try_take().is_none(), "only two boxes exist");
        a.push(7);
        sender.send(a);
        sender.send(b);
        let got = receiver.receive().expect("sent");
        assert_eq!(*got, [7]);
        receiver.give_back(got);
        assert!(sender.try_take().is_some());
    }

    #[test]
    fn a_waiting_sender_is_released_when_the_receiver_goes() {
        let (sender, receiver) = mailbox(1, || 0u8);
        let _held = sender.take();
        drop(receiver);
        assert!(sender.take().is_none());
    }

    #[test]
    fn a_receiver_sees_everything_sent_before_the_end() {
        let (sender, receiver) = mailbox(4, || 0u32);
        let thread = std::thread::spawn(move || {
            for i in 1..=1000 {
                let mut next = sender.take().expect("receiver lives");
                *next = i;
                sender.send(next);
            }
        });
        let mut seen = 0;
        while !receiver.is_finished() {
            while let Some(got) = receiver.receive() {
                seen += 1;
                assert_eq!(*got, seen);
                receiver.give_back(got);
            }
            std::thread::yield_now();
        }
        thread.join().expect("sender");
        assert_eq!(seen, 1000);
    }
}
