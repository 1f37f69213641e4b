//! One source that cannot be read twice (a libpcap handle, a pipe, a compressed file), shown to several workers.
//!
//! A reader thread copies packets into chunks; every worker gets every chunk and keeps its own share, as each would of a
//! file. Owns the chunks. Invariant: a chunk is refilled only when the last worker has let go of it; without a free chunk a
//! file waits and a wire skips and counts. Only the reader ends early, by a stop or by `--count`; the workers go on until they
//! have seen its last chunk, so all of them end at the same packet and know the final counters.

use super::Stop;
use crossbeam_queue::ArrayQueue;
use netscope_backends::chunk::PacketChunk;
use netscope_backends::{Backend, BackendError, Counters, LinkType, Packet, Polled, Position, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a side naps when there is nothing to do.
const NAP: Duration = Duration::from_micros(100);
/// How often a busy source is asked for its counters.
const COUNT_INTERVAL: Duration = Duration::from_millis(100);

/// A chunk on its way to the workers, with what the reader knew when it sent it.
struct Broadcast {
    packets: PacketChunk,
    /// Set when nothing arrived: the time by which ticks may go on.
    idle: Option<Timestamp>,
    counters: Counters,
    position: Position,
    notice: Option<String>,
}

/// What reader and workers share.
struct Shared {
    /// Chunks nobody uses.
    free: ArrayQueue<Broadcast>,
    lanes: Vec<Lane>,
    /// Set (Release) after the last chunk was queued; read (Acquire) by a worker that finds its lane empty.
    ended: AtomicBool,
}

/// One worker's queue of chunks.
struct Lane {
    chunks: ArrayQueue<Arc<Broadcast>>,
    /// Set (Release) when the worker is gone; read (Acquire) by the reader, which then shows it nothing more.
    closed: AtomicBool,
}

/// The reader's side. Run it on a thread of its own.
pub struct Reader {
    source: Box<dyn Backend>,
    shared: Arc<Shared>,
    /// What the source counted when last asked.
    counters: Counters,
    copied: Copied,
}

/// What the reader did with the packets.
#[derive(Default)]
struct Copied {
    /// Put into a chunk.
    packets: u64,
    /// Left out for want of a chunk.
    skipped: u64,
}

/// A worker's view of the shared source.
pub struct Shown {
    shared: Arc<Shared>,
    lane: usize,
    link_type: LinkType,
    waits: bool,
    counters: Counters,
    position: Position,
    notice: Option<String>,
}

/// Shows `source` to `workers` workers through `chunks` chunks of 1 MiB.
pub fn broadcast(source: Box<dyn Backend>, workers: usize, chunks: usize) -> (Reader, Vec<Shown>) {
    let chunks = chunks.max(2);
    let shared = Arc::new(Shared {
        free: ArrayQueue::new(chunks),
        lanes: (0..workers).map(|_| Lane { chunks: ArrayQueue::new(chunks), closed: AtomicBool::new(false) }).collect(),
        ended: AtomicBool::new(false),
    });
    for _ in 0..chunks {
        let stored = shared.free.push(Broadcast {
            packets: PacketChunk::new(),
            idle: None,
            counters: Counters::default(),
            position: Position::default(),
            notice: None,
        });
        debug_assert!(stored.is_ok(), "the queue takes every chunk");
    }
    let shown = (0..workers)
        .map(|lane| Shown {
            shared: Arc::clone(&shared),
            lane,
            link_type: source.link_type(),
            waits: source.waits(),
            counters: Counters::default(),
            position: source.position(),
            notice: None,
        })
        .collect();
    (Reader { source, shared, counters: Counters::default(), copied: Copied::default() }, shown)
}

impl Reader {
    /// Reads until the source ends, `stop` is requested, or `count_max` packets were read.
    ///
    /// # Errors
    /// What the source reports; everything before it was shown to the workers.
    pub fn run(mut self, poll_timeout: Duration, count_max: u64, stop: &Stop) -> Result<(), BackendError> {
        let outcome = self.read(poll_timeout, count_max, stop);
        // The workers want the final counters, so the last word is an empty chunk.
        let counted = self.count();
        if let Some(last) = free_chunk(&self.shared, true) {
            self.show(last, None);
        }
        outcome.and(counted)
    }

    fn read(&mut self, poll_timeout: Duration, count_max: u64, stop: &Stop) -> Result<(), BackendError> {
        let waits = self.source.waits();
        let mut counted_at = Instant::now();
        while !stop.is_requested() && self.copied.packets < count_max && !self.shared.is_deserted() {
            let mut chunk = free_chunk(&self.shared, waits);
            let Self { source, shared, counters, copied } = &mut *self;
            let polled = source.poll(poll_timeout, &mut |packets| {
                for packet in packets {
                    copy(packet, &mut chunk, shared, *counters, copied, waits);
                }
            });
            let idle = match polled {
                Ok(Polled::Idle(now)) => Some(now),
                _ => None,
            };
            let mut counted = Ok(());
            if idle.is_some() || counted_at.elapsed() > COUNT_INTERVAL {
                counted = self.count();
                counted_at = Instant::now();
            }
            // Whatever went wrong, what was read is shown first.
            if let Some(chunk) = chunk {
                self.show(chunk, idle);
            }
            counted?;
            if polled? == Polled::End {
                break;
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), BackendError> {
        self.counters = self.source.counters()?;
        Ok(())
    }

    fn show(&mut self, mut chunk: Broadcast, idle: Option<Timestamp>) {
        chunk.idle = idle;
        chunk.counters = merged(self.counters, &self.copied);
        chunk.position = self.source.position();
        chunk.notice = self.source.notice();
        queue(&self.shared, chunk);
    }
}

impl Drop for Reader {
    /// The workers learn of the end however it comes about, by a panic too.
    fn drop(&mut self) {
        // Pairs with the Acquire load in `Shown::poll`.
        self.shared.ended.store(true, Ordering::Release);
    }
}

impl Shared {
    /// True when no worker is left to show anything to.
    fn is_deserted(&self) -> bool {
        // Pairs with the Release store in `Shown::drop`.
        self.lanes.iter().all(|lane| lane.closed.load(Ordering::Acquire))
    }

    /// Takes back what was queued for a worker at the moment it went away.
    fn sweep(&self) {
        // Pairs with the Release store in `Shown::drop`.
        for lane in self.lanes.iter().filter(|lane| lane.closed.load(Ordering::Acquire)) {
            while let Some(chunk) = lane.chunks.pop() {
                release(self, chunk);
            }
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let lane = &self.shared.lanes[self.lane];
        // Pairs with the Acquire loads in `queue`, `is_deserted` and `sweep`.
        lane.closed.store(true, Ordering::Release);
        while let Some(chunk) = lane.chunks.pop() {
            release(&self.shared, chunk);
        }
    }
}

fn merged(source: Counters, copied: &Copied) -> Counters {
    Counters { skipped: source.skipped + copied.skipped, ..source }
}

/// A free chunk; with `insist` waits for one as long as there is a worker that may give one back.
fn free_chunk(shared: &Shared, insist: bool) -> Option<Broadcast> {
    loop {
        if let Some(mut free) = shared.free.pop() {
            free.packets.clear();
            free.notice = None;
            return Some(free);
        }
        if !insist || shared.is_deserted() {
            return None;
        }
        shared.sweep();
        std::thread::sleep(NAP);
    }
}

/// Copies one packet; a full chunk is sent on and the next one taken.
fn copy(
    packet: &Packet<'_>,
    chunk: &mut Option<Broadcast>,
    shared: &Shared,
    counters: Counters,
    copied: &mut Copied,
    waits: bool,
) {
    let mut pushed = chunk.as_mut().is_some_and(|open| open.packets.push(packet));
    if !pushed {
        if let Some(mut full) = chunk.take() {
            full.idle = None;
            full.counters = merged(counters, copied);
            queue(shared, full);
        }
        *chunk = free_chunk(shared, waits);
        pushed = chunk.as_mut().is_some_and(|open| open.packets.push(packet));
    }
    copied.packets += u64::from(pushed);
    copied.skipped += u64::from(!pushed);
}

/// Gives a chunk to every worker.
fn queue(shared: &Shared, chunk: Broadcast) {
    let chunk = Arc::new(chunk);
    for lane in &shared.lanes {
        // Pairs with the Release store in `Shown::drop`.
        if !lane.closed.load(Ordering::Acquire) {
            let stored = lane.chunks.push(Arc::clone(&chunk));
            debug_assert!(stored.is_ok(), "a lane holds as many chunks as exist");
        }
    }
    release(shared, chunk);
}

/// Lets go of a chunk; whoever is last makes it free again.
fn release(shared: &Shared, chunk: Arc<Broadcast>) {
    if let Some(free) = Arc::into_inner(chunk) {
        let stored = shared.free.push(free);
        debug_assert!(stored.is_ok(), "the queue takes every chunk");
    }
}

impl Backend for Shown {
    fn link_type(&self) -> LinkType {
        self.link_type
    }

    fn waits(&self) -> bool {
        self.waits
    }

    fn poll(&mut self, timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        let started = Instant::now();
        loop {
            // Read before the lane, so that a chunk queued just before the end is not missed.
            // Pairs with the Release store in `Reader::drop`.
            let ended = self.shared.ended.load(Ordering::Acquire);
            let Some(chunk) = self.shared.lanes[self.lane].chunks.pop() else {
                if ended {
                    return Ok(Polled::End);
                }
                if started.elapsed() >= timeout {
                    // The reader tells the time; without word from it, time stands still.
                    return Ok(Polled::Idle(Timestamp(0)));
                }
                std::thread::sleep(NAP);
                continue;
            };
            let lent = chunk.packets.len();
            chunk.packets.visit(visit);
            self.counters = chunk.counters;
            self.position = chunk.position;
            if chunk.notice.is_some() {
                self.notice.clone_from(&chunk.notice);
            }
            let idle = chunk.idle;
            release(&self.shared, chunk);
            return Ok(match idle {
                Some(now) if lent == 0 => Polled::Idle(now),
                _ => Polled::Lent(u32::try_from(lent).unwrap_or(u32::MAX)),
            });
        }
    }

    fn counters(&mut self) -> Result<Counters, BackendError> {
        Ok(self.counters)
    }

    fn position(&self) -> Position {
        self.position
    }

    fn notice(&mut self) -> Option<String> {
        self.notice.take()
    }
}
