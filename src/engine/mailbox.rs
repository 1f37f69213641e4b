//! Boxes between a worker and the cold side: a fixed number of them, full ones one way, empty ones back.
//!
//! Owns the boxes, and whom to wake for them; nothing of what is in them. Invariant: no allocation and no lock after the start; a
//! box is in exactly one place (with the worker, full, with the receiver, or empty). Neither side makes a system call for a box
//! unless the other side sleeps.

use crossbeam_queue::ArrayQueue;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

/// Longest sleep of a sender that waits for an empty box. It is woken for each; this covers the one that came back before its
/// thread was known.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// A thread that sleeps until it is woken: the receiver of one or more mailboxes, or a sender that is out of boxes.
#[derive(Debug, Default)]
pub struct Parker {
    /// Set once, by [`Parker::register`] or the first sleep.
    thread: OnceLock<Thread>,
    /// Senders that wait for this receiver. Written (Relaxed) by [`Sender::take`], read (Relaxed) by [`Sender::send`]: a late look
    /// costs a sleep's timeout at most.
    waiting: AtomicUsize,
}

impl Parker {
    /// Sleeps until [`Parker::wake`], which may have been called before, or for `timeout`. Always called by the same thread.
    pub fn sleep(&self, timeout: Duration) {
        self.register();
        thread::park_timeout(timeout);
    }

    /// Ends the sleep that goes on, or the next one. A system call only when the thread sleeps.
    pub fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Tells who sleeps here, so that nothing sent before the first sleep is missed. Called by that thread.
    pub fn register(&self) {
        self.thread.get_or_init(thread::current);
    }
}

struct Shared<T> {
    full: ArrayQueue<Box<T>>,
    empty: ArrayQueue<Box<T>>,
    /// Set (Release) by whichever end is dropped first; read (Acquire) by the other end in `take`, `is_abandoned` and `is_finished`.
    closed: AtomicBool,
    sender: Parker,
    receiver: Arc<Parker>,
}

impl<T> Shared<T> {
    /// True when at least half of the boxes are in this queue: the other side has slept long enough.
    fn is_half(&self, queue: &ArrayQueue<Box<T>>) -> bool {
        queue.len() * 2 >= queue.capacity()
    }
}

/// The worker's end.
pub struct Sender<T>(Arc<Shared<T>>);

/// The cold side's end.
pub struct Receiver<T>(Arc<Shared<T>>);

/// A mailbox of `boxes` boxes (at least 1), each made by `make`, with a receiver that waits for no other mailbox.
pub fn mailbox<T>(boxes: usize, make: impl FnMut() -> T) -> (Sender<T>, Receiver<T>) {
    mailbox_to(&Arc::default(), boxes, make)
}

/// The same, for a thread that receives from several mailboxes.
pub fn mailbox_to<T>(receiver: &Arc<Parker>, boxes: usize, mut make: impl FnMut() -> T) -> (Sender<T>, Receiver<T>) {
    let boxes = boxes.max(1);
    let shared = Arc::new(Shared {
        full: ArrayQueue::new(boxes),
        empty: ArrayQueue::new(boxes),
        closed: AtomicBool::new(false),
        sender: Parker::default(),
        receiver: Arc::clone(receiver),
    });
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

    /// True once the receiver is gone: no box comes back any more.
    pub fn is_abandoned(&self) -> bool {
        // Pairs with the Release store in `Receiver::drop`.
        self.0.closed.load(Ordering::Acquire)
    }

    /// An empty box; waits for one. `None` once the receiver is gone.
    pub fn take(&self) -> Option<Box<T>> {
        self.try_take().or_else(|| self.wait())
    }

    #[cold]
    fn wait(&self) -> Option<Box<T>> {
        let Shared { empty, closed, sender, receiver, .. } = &*self.0;
        sender.register();
        receiver.waiting.fetch_add(1, Ordering::Relaxed);
        let taken = loop {
            if let Some(taken) = empty.pop() {
                break Some(taken);
            }
            // Pairs with the Release store in `Receiver::drop`.
            if closed.load(Ordering::Acquire) {
                break None;
            }
            receiver.wake();
            sender.sleep(WAIT_MAX);
        };
        receiver.waiting.fetch_sub(1, Ordering::Relaxed);
        taken
    }

    /// Hands a box over. There is room for every box that exists, so this neither waits nor fails. The receiver is woken when half
    /// of the boxes are full, or when a sender waits for it; until then it looks by itself from time to time.
    pub fn send(&self, filled: Box<T>) {
        let shared = &*self.0;
        let stored = shared.full.push(filled).is_ok();
        debug_assert!(stored, "more boxes than the mailbox was made with");
        if shared.is_half(&shared.full) || shared.receiver.waiting.load(Ordering::Relaxed) > 0 {
            shared.receiver.wake();
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // Pairs with the Acquire load in `Receiver::is_finished`: boxes sent before are seen by a receiver that sees the flag.
        self.0.closed.store(true, Ordering::Release);
        self.0.receiver.wake();
    }
}

impl<T> Receiver<T> {
    /// The oldest full box, if any.
    pub fn receive(&self) -> Option<Box<T>> {
        self.0.full.pop()
    }

    /// Gives an emptied box back. A sender that waits is woken when half of the boxes are empty; before it sleeps, a receiver calls
    /// [`Receiver::wake_sender`], too.
    pub fn give_back(&self, emptied: Box<T>) {
        let stored = self.0.empty.push(emptied).is_ok();
        debug_assert!(stored, "more boxes than the mailbox was made with");
        if self.0.is_half(&self.0.empty) {
            self.wake_sender();
        }
    }

    /// Wakes the sender if it waits for a box.
    pub fn wake_sender(&self) {
        self.0.sender.wake();
    }

    /// Whom the sender wakes.
    pub fn parker(&self) -> &Arc<Parker> {
        &self.0.receiver
    }

    /// True once the sender is gone and nothing is left to receive.
    pub fn is_finished(&self) -> bool {
        // Pairs with the Release store in `Sender::drop`; the flag is read before the queue so that nothing can slip in between.
        self.0.closed.load(Ordering::Acquire) && self.0.full.is_empty()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // Pairs with the Acquire load in `Sender::wait`.
        self.0.closed.store(true, Ordering::Release);
        self.wake_sender();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

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
        let held = sender.take();
        let thread = thread::spawn(move || sender.take().is_none());
        drop(receiver);
        assert!(thread.join().expect("sender"));
        drop(held);
        let (sender, receiver) = mailbox(1, || 0u8);
        assert!(!sender.is_abandoned());
        drop(receiver);
        assert!(sender.is_abandoned());
    }

    /// Sleeps that would be far too long for a thread that is not woken.
    const FOR_EVER: Duration = Duration::from_secs(3600);

    #[test]
    fn a_receiver_sleeps_until_half_of_the_boxes_are_full_or_the_sender_goes() {
        let (sender, receiver) = mailbox(4, || 0u32);
        let (told, slept) = channel();
        let thread = thread::spawn(move || {
            let mut seen = Vec::new();
            receiver.parker().register();
            while !receiver.is_finished() {
                while let Some(got) = receiver.receive() {
                    seen.push(*got);
                    receiver.give_back(got);
                }
                told.send(()).expect("the test waits");
                receiver.parker().sleep(FOR_EVER);
            }
            seen
        });
        slept.recv().expect("it sleeps");
        for i in 0..2 {
            let mut next = sender.try_take().expect("four boxes");
            *next = i;
            sender.send(next);
        }
        slept.recv().expect("woken by two of four boxes");
        drop(sender);
        assert_eq!(thread.join().expect("receiver"), [0, 1]);
    }

    #[test]
    fn a_receiver_sees_everything_sent_before_the_end_and_neither_side_sleeps_on() {
        const BOXES: u32 = 10_000;
        let (sender, receiver) = mailbox(4, || 0u32);
        let thread = thread::spawn(move || {
            for i in 1..=BOXES {
                let mut next = sender.take().expect("receiver lives");
                *next = i;
                sender.send(next);
            }
        });
        let mut seen = 0;
        // Known from the start: what is sent before the first sleep wakes nobody.
        receiver.parker().register();
        while !receiver.is_finished() {
            while let Some(got) = receiver.receive() {
                seen += 1;
                assert_eq!(*got, seen);
                receiver.give_back(got);
            }
            receiver.wake_sender();
            if !receiver.is_finished() {
                receiver.parker().sleep(FOR_EVER);
            }
        }
        thread.join().expect("sender");
        assert_eq!(seen, BOXES);
    }
}
