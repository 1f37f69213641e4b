//! The loop of a worker's thread: poll the source, let the worker run to completion, look at the stop flag.
//!
//! Owns the order of these steps and nothing else. Invariant: however the source ends, the worker is finished, so every flow is
//! handed on and every export can be written.

use super::scheduler::{WorkerBell, WorkerHandle};
use super::{Observer, RequestReceiver, Worker, WorkerProgress};
use netscope_backends::{BATCH_MAX, Backend, BackendError, Counters, Polled, Position, RingFill};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for packets while a question is under way.
const ASKED_TIMEOUT: Duration = Duration::from_millis(1);
/// Longest time that is spent on an answer between two polls, while hardly anything waits.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(2);
/// A ring has room while no more than one in this many of its places is taken.
const ROOM: u32 = 8;

/// Set from outside (a signal, a closed terminal) to end a run early; shared by all threads.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A flag that something else sets, too.
    pub fn from_flag(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }

    /// Asks all threads to end.
    pub fn request(&self) {
        // Relaxed: the flag carries no data; whoever sees it late ends one poll later.
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once the end was requested.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where a worker's packets come from: a queue of its own, or its place among several on one source.
pub enum Feed {
    /// Lends packets.
    Backend(Box<dyn Backend>),
    /// One of several workers: it finds out whose packets are in a unit, and gets its own list of each.
    Shared(WorkerHandle),
}

impl Feed {
    pub(super) fn waits(&self) -> bool {
        match self {
            Self::Backend(backend) => backend.waits(),
            Self::Shared(handle) => handle.waits(),
        }
    }

    /// By which a worker that shares a source is woken when it is asked something; one with a queue of its own waits no longer than a
    /// poll does.
    pub(super) fn bell(&self) -> Option<WorkerBell> {
        match self {
            Self::Backend(_) => None,
            Self::Shared(handle) => Some(handle.bell()),
        }
    }

    /// Polls; with `requests` a part of them is answered after each batch of a backend, and a place among several is not waited at
    /// for longer than `timeout`.
    fn poll<O: Observer>(
        &mut self,
        timeout: Duration,
        worker: &mut Worker<O>,
        requests: Option<&mut RequestReceiver>,
    ) -> Result<Polled, BackendError> {
        match (self, requests) {
            (Self::Backend(backend), None) => backend.poll(timeout, &mut |packets| worker.batch(packets)),
            (Self::Backend(backend), Some(requests)) => {
                backend.poll(timeout, &mut |packets| worker.batch_and_answer(packets, requests))
            }
            (Self::Shared(handle), requests) => handle.poll(worker, requests.map(|_| timeout)),
        }
    }

    /// True when what arrives meanwhile certainly finds room.
    fn has_room(&mut self) -> bool {
        self.waits() || self.ring_fill().is_some_and(|ring| ring.waiting.saturating_mul(ROOM) <= ring.size)
    }

    fn ring_fill(&mut self) -> Option<RingFill> {
        match self {
            Self::Backend(backend) => backend.ring_fill(),
            Self::Shared(_) => None,
        }
    }

    fn counters(&mut self) -> Result<Counters, BackendError> {
        match self {
            Self::Backend(backend) => backend.counters(),
            Self::Shared(handle) => Ok(handle.counters()),
        }
    }

    fn notice(&mut self) -> Option<String> {
        match self {
            Self::Backend(backend) => backend.notice(),
            Self::Shared(handle) => handle.notice(),
        }
    }

    fn position(&self) -> Position {
        match self {
            Self::Backend(backend) => backend.position(),
            Self::Shared(handle) => handle.position(),
        }
    }
}

/// Answers a part of what is asked, and more while nothing is lost by it: as long as a file waits, or the ring of a wire is nearly empty.
fn answer<O: Observer>(feed: &mut Feed, worker: &mut Worker<O>, requests: &mut RequestReceiver, has_time: bool) {
    let begun = Instant::now();
    let mut has_time = has_time;
    loop {
        has_time |= feed.has_room();
        requests.answer(worker, has_time);
        let goes_on = has_time && requests.goes_on() && begun.elapsed() < ANSWER_TIME_MAX && feed.has_room();
        if !goes_on {
            break;
        }
    }
    worker.note_answering(begun.elapsed());
}

/// Runs `worker` on `feed` until the source ends, `--count` is reached, or `stop` is requested. Without a
/// `stop` the source is ended early elsewhere, and only its end counts.
///
/// # Errors
/// What the source reports; everything before it was processed and handed on, and workers on other queues end, too.
pub fn drive<O: Observer>(
    mut feed: Feed,
    mut worker: Worker<O>,
    mut requests: RequestReceiver,
    poll_timeout: Duration,
    stop: Option<&Stop>,
    progress: Option<&WorkerProgress>,
    notice: &mut dyn FnMut(&str),
) -> Result<(), BackendError> {
    let mut outcome = Ok(());
    let live = !feed.waits();
    while stop.is_none_or(|stop| !worker.ends_early(stop.is_requested())) {
        let is_asked = requests.is_asked();
        let timeout = if is_asked { poll_timeout.min(ASKED_TIMEOUT) } else { poll_timeout };
        let has_time = match feed.poll(timeout, &mut worker, is_asked.then_some(&mut requests)) {
            Ok(Polled::Lent(count)) => {
                if live {
                    worker.flush();
                }
                // What waits for workers that share a source waits in memory of ours.
                (count as usize) < BATCH_MAX || matches!(feed, Feed::Shared(_))
            }
            Ok(Polled::Idle(now)) => {
                worker.idle(now);
                true
            }
            Ok(Polled::End) => break,
            Err(error) => {
                outcome = Err(error);
                break;
            }
        };
        if is_asked {
            answer(&mut feed, &mut worker, &mut requests, has_time);
        }
        if worker.leads() {
            if worker.take_tick_ended() {
                match feed.counters() {
                    Ok(counters) => worker.set_source(counters, feed.ring_fill()),
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
            }
            if let Some(text) = feed.notice() {
                notice(&text);
            }
            if let Some(progress) = progress {
                progress.tell(feed.position(), worker.packets_seen());
            }
        }
    }
    if worker.leads() {
        match feed.counters() {
            Ok(counters) => worker.set_source(counters, feed.ring_fill()),
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    if outcome.is_err() {
        worker.fail();
    }
    worker.finish();
    outcome
}
