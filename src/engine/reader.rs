//! The thread that reads a source for several workers: a libpcap handle, a pipe, a compressed file.
//!
//! Owns the source. Knows no flow. Copies packets into units and hands them to the scheduler; the workers find out whose they
//! are. Invariant: without a free unit a file waits and a wire skips and counts, so a wire is read whatever the workers
//! do. Only the reader ends early, by a stop or by `--count`; its last unit has the final counters and no packets.

use super::Stop;
use super::scheduler::{Scheduler, WorkerHandle};
use super::work_unit::WorkUnit;
use crate::flow::Keying;
use netscope_backends::chunk::CHUNK_PACKETS_MAX;
use netscope_backends::{Backend, BackendError, Counters, Packet, Polled, Position, Timestamp};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a busy source is asked for its counters.
const COUNT_INTERVAL: Duration = Duration::from_millis(100);
/// Packets of a unit that are worth waking workers for: as many as one of a mapped file holds, and more where more are woken.
const GATHER_PACKETS: usize = 1024;
const GATHER_PACKETS_PER_WORKER: usize = 512;
const _: () = assert!(GATHER_PACKETS < CHUNK_PACKETS_MAX);
/// Longest time that packets wait until a unit is worth handing over, while a worker may have nothing to do.
const GATHER_TIME: Duration = Duration::from_millis(2);
/// With one unit the reader and the workers would wait for each other.
const UNITS_MIN: usize = 2;

/// The reader's side. Run it on a thread of its own.
pub struct Reader {
    source: Box<dyn Backend>,
    scheduler: Arc<Scheduler>,
    /// What the source counted when last asked.
    counters: Counters,
    copied: Copied,
    gather: usize,
    /// The last time without packets that workers were told, if no packets came since; of the same none is woken again.
    silent_at: Option<Timestamp>,
}

/// What the reader did with the packets.
#[derive(Default)]
struct Copied {
    /// Put into a unit.
    packets: u64,
    /// Left out for want of a unit.
    skipped: u64,
}

/// Places for `workers`, which key by `keying`, at what a reader takes from `source`, through `units` units of 1 MiB.
pub fn share_read(source: Box<dyn Backend>, workers: usize, keying: Keying, units: usize) -> (Reader, Vec<WorkerHandle>) {
    let scheduler = Scheduler::of_reader(units.max(UNITS_MIN), workers, keying, source.waits());
    let handles = scheduler.handles(source.position(), source.waits());
    let gather = (GATHER_PACKETS_PER_WORKER * workers).clamp(GATHER_PACKETS, CHUNK_PACKETS_MAX);
    let (counters, copied) = (Counters::default(), Copied::default());
    (Reader { source, scheduler, counters, copied, gather, silent_at: None }, handles)
}

impl Reader {
    /// Reads until the source ends or fails, `stop` is requested, or `count_max` packets were read. What went wrong is told to the
    /// leading worker, after everything before it.
    pub fn run(mut self, poll_timeout: Duration, count_max: u64, stop: &Stop) {
        self.scheduler.limit(count_max);
        let outcome = self.read(poll_timeout, count_max, stop);
        let counted = self.count();
        if let Some(last) = self.scheduler.take_free(true) {
            self.hand_over(last, None);
        }
        self.scheduler.end(outcome.and(counted).err());
    }

    fn read(&mut self, poll_timeout: Duration, count_max: u64, stop: &Stop) -> Result<(), BackendError> {
        let waits = self.source.waits();
        let mut counted_at = Instant::now();
        let (mut open, mut opened_at) = (None, counted_at);
        while !stop.is_requested() && self.copied.packets < count_max && !self.scheduler.is_deserted() {
            open = open.or_else(|| self.scheduler.take_free(waits));
            let was_empty = open.as_ref().is_none_or(WorkUnit::is_empty);
            let timeout = if was_empty { poll_timeout } else { poll_timeout.min(GATHER_TIME) };
            let Self { source, scheduler, counters, copied, .. } = &mut *self;
            let known = (*counters, source.position());
            let polled = source.poll(timeout, &mut |packets| {
                for packet in packets {
                    copied.copy(packet, &mut open, scheduler, known, waits);
                }
            });
            let now = Instant::now();
            let mut counted = Ok(());
            let is_idle = matches!(polled, Ok(Polled::Idle(_)));
            let counts = is_idle || now - counted_at > COUNT_INTERVAL;
            if counts {
                counted = self.count();
                counted_at = now;
            }
            if was_empty {
                opened_at = now;
            }
            let is_over = counted.is_err() || !matches!(polled, Ok(Polled::Lent(_)));
            let is_due = |unit: &mut WorkUnit| is_over || counts || self.is_enough(unit, now - opened_at);
            let idle = match polled {
                Ok(Polled::Idle(time)) => Some(time),
                _ => None,
            };
            // Whatever went wrong, what was read is shown first.
            if let Some(unit) = open.take_if(is_due) {
                open = self.hand_over_news(unit, idle, counts);
            }
            counted?;
            if polled? == Polled::End {
                break;
            }
        }
        if let Some(unit) = open {
            self.hand_over(unit, None);
        }
        Ok(())
    }

    /// True when a unit that was opened `age` ago is worth what it costs to wake workers for it. Of a wire it is filled to the brim
    /// while there is no other one to be filled: the workers have enough to do, and less is skipped.
    fn is_enough(&self, unit: &WorkUnit, age: Duration) -> bool {
        let is_worth_it = unit.len() >= self.gather || !unit.is_empty() && age > GATHER_TIME;
        is_worth_it && (self.source.waits() || self.scheduler.has_free())
    }

    fn count(&mut self) -> Result<(), BackendError> {
        self.counters = self.source.counters()?;
        Ok(())
    }

    /// Hands a unit over, unless it says nothing that workers do not know: then it stays open, and none is woken for it. A wire's time
    /// goes on while nothing comes; that of a pipe does not.
    fn hand_over_news(&mut self, mut unit: WorkUnit, idle: Option<Timestamp>, counts: bool) -> Option<WorkUnit> {
        if unit.is_empty() && idle.is_some() && idle == self.silent_at {
            return Some(unit);
        }
        self.silent_at = idle;
        unit.is_for_all = counts || idle.is_some();
        self.hand_over(unit, idle);
        None
    }

    fn hand_over(&mut self, mut unit: WorkUnit, idle: Option<Timestamp>) {
        unit.idle = idle;
        unit.counters = self.copied.merged(self.counters);
        unit.position = self.source.position();
        unit.notice = self.source.notice();
        self.scheduler.hand_over(unit);
    }
}

impl Drop for Reader {
    /// The workers learn of the end however it comes about, by a panic too.
    fn drop(&mut self) {
        self.scheduler.end(None);
    }
}

impl Copied {
    /// Copies one packet; a full unit is handed over, with what was `known` before this poll, and the next one taken.
    #[inline]
    fn copy(
        &mut self,
        packet: &Packet<'_>,
        unit: &mut Option<WorkUnit>,
        scheduler: &Scheduler,
        known: (Counters, Position),
        waits: bool,
    ) {
        let mut pushed = unit.as_mut().is_some_and(|open| open.push(packet));
        if !pushed {
            if let Some(mut full) = unit.take() {
                (full.counters, full.position) = (self.merged(known.0), known.1);
                scheduler.hand_over(full);
            }
            *unit = scheduler.take_free(waits);
            pushed = unit.as_mut().is_some_and(|open| open.push(packet));
        }
        self.packets += u64::from(pushed);
        self.skipped += u64::from(!pushed);
    }

    fn merged(&self, source: Counters) -> Counters {
        Counters { skipped: source.skipped + self.skipped, ..source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Outbox, Snapshot, Worker, WorkerSettings, WorkerShare, mailbox};
    use crate::flow::{FlowSettings, HashSecret, InspectionSettings, KeyScope, StateTimeouts};
    use netscope_backends::LinkType;
    use netscope_backends::chunk::CHUNK_BYTES;
    use netscope_backends::memory::{MemoryBackend, MemoryEvent, OwnedPacket};

    const UNITS: usize = 3;
    const KEYING: Keying = Keying { scope: KeyScope::Tuple, secret: HashSecret::FIXED };

    fn backend(count: u64, len: usize, waits: bool) -> Box<MemoryBackend> {
        let packet =
            |i| OwnedPacket { time: Timestamp(i), wire_len: len as u32, link_type: LinkType::ETHERNET, data: vec![0; len] };
        let mut events: Vec<_> = (0..count).map(|i| MemoryEvent::Packet(packet(i))).collect();
        events.push(MemoryEvent::Idle(Timestamp(count)));
        Box::new(MemoryBackend::with_events(LinkType::ETHERNET, events).waits_like_file(waits))
    }

    fn worker(index: u32, count: u32) -> Worker {
        let flow = FlowSettings {
            key: KEYING.scope,
            flow_count_max: 100,
            idle_timeout_ns: 0,
            timeouts: StateTimeouts::default(),
            closed_timeout_ns: 0,
            active_timeout_ns: 0,
            rtt: false,
            retransmissions: false,
            out_of_order: false,
            headers: false,
            inspection: InspectionSettings::default(),
            top_count: 0,
        };
        let share = WorkerShare { index, count };
        let settings = WorkerSettings { flow, tick_ns: u64::MAX, count_max: 0, share, waits: false, secret: KEYING.secret };
        Worker::new(&settings, Outbox::new(false, mailbox(1, || Snapshot::new(0)).0, None, Vec::new()), ())
    }

    /// Polls until the end; packets, and the times that were told without any.
    fn process(mut handle: WorkerHandle, index: u32, count: u32) -> (u64, Vec<Timestamp>, Counters) {
        let mut worker = worker(index, count);
        let mut idle = Vec::new();
        loop {
            match handle.poll(&mut worker, None).expect("memory does not fail") {
                Polled::Lent(_) => {}
                Polled::Idle(time) => idle.push(time),
                Polled::End => return (worker.packets_seen(), idle, handle.counters()),
            }
        }
    }

    #[test]
    fn a_wire_is_read_to_its_end_whatever_the_workers_do() {
        // By bytes and by packets: what fits into the units, and not one more.
        for (len, per_unit) in [(CHUNK_BYTES / 16, 16), (40, CHUNK_PACKETS_MAX as u64)] {
            let count = 10 * per_unit;
            let (mut reader, handles) = share_read(backend(count, len, false), 2, KEYING, UNITS);
            // Nobody processes anything.
            reader.read(Duration::ZERO, u64::MAX, &Stop::default()).expect("memory does not fail");
            let Copied { packets, skipped } = reader.copied;
            assert_eq!(packets + skipped, count);
            // All but the last are handed over when they are worth it, if they are not filled before.
            assert!(packets >= per_unit && packets <= UNITS as u64 * per_unit, "{packets} of {count}");
            // Now they do, and hear of every packet. The last word needs a unit, so it is spoken while they work.
            let workers: Vec<_> =
                (0..).zip(handles).map(|(index, handle)| std::thread::spawn(move || process(handle, index, 2))).collect();
            reader.run(Duration::ZERO, u64::MAX, &Stop::default());
            for worker in workers {
                let (seen, _, counters) = worker.join().expect("no panic");
                assert_eq!((seen, counters.received, counters.skipped), (packets, count, skipped));
            }
        }
    }

    #[test]
    fn a_file_waits_for_the_workers_and_loses_nothing() {
        let (reader, handles) = share_read(backend(100_000, 40, true), 3, KEYING, 0);
        let reading = std::thread::spawn(|| reader.run(Duration::ZERO, u64::MAX, &Stop::default()));
        let workers: Vec<_> =
            (0..).zip(handles).map(|(index, handle)| std::thread::spawn(move || process(handle, index, 3))).collect();
        for worker in workers {
            let (seen, idle, counters) = worker.join().expect("no panic");
            assert_eq!((seen, idle), (100_000, vec![Timestamp(100_000)]));
            assert_eq!((counters.received, counters.skipped), (100_000, 0));
        }
        reading.join().expect("no panic");
    }

    #[test]
    fn workers_are_not_told_of_silence_again() {
        let mut events: Vec<_> = [5, 5, 5, 7].map(|time| MemoryEvent::Idle(Timestamp(time))).into();
        let data = vec![0; 40];
        let packet = OwnedPacket { time: Timestamp(7), wire_len: 40, link_type: LinkType::ETHERNET, data };
        events.push(MemoryEvent::Packet(packet));
        events.extend([7, 7].map(|time| MemoryEvent::Idle(Timestamp(time))));
        let source = MemoryBackend::with_events(LinkType::ETHERNET, events).waits_like_file(true);
        let (reader, handles) = share_read(Box::new(source), 2, KEYING, UNITS);
        let reading = std::thread::spawn(|| reader.run(Duration::ZERO, u64::MAX, &Stop::default()));
        let workers: Vec<_> =
            (0..).zip(handles).map(|(index, handle)| std::thread::spawn(move || process(handle, index, 2))).collect();
        for worker in workers {
            let (seen, idle, _) = worker.join().expect("no panic");
            assert_eq!((seen, idle), (1, [5, 7, 7].map(Timestamp).to_vec()));
        }
        reading.join().expect("no panic");
    }

    #[test]
    fn a_worker_that_waits_is_woken_by_a_question() {
        let scheduler = Scheduler::of_reader(UNITS, 2, KEYING, true);
        let mut handles = scheduler.handles(Position::default(), true);
        let bell = handles[0].bell();
        let (mut first, mut second) = (handles.remove(0), handles.remove(0));
        let waiting = std::thread::spawn(move || {
            let polled = first.poll(&mut worker(0, 2), None);
            (polled.map_err(|error| error.to_string()), first)
        });
        // Rung before or after it sleeps.
        bell.ring();
        let (polled, first) = waiting.join().expect("no panic");
        assert_eq!(polled, Ok(Polled::Lent(0)));
        // With something to answer it does not wait for long.
        assert!(matches!(second.poll(&mut worker(1, 2), None), Ok(Polled::Lent(0))), "it was asked, too");
        assert!(matches!(second.poll(&mut worker(1, 2), Some(Duration::from_millis(1))), Ok(Polled::Lent(0))));
        scheduler.end(None);
        for mut handle in [first, second] {
            assert!(matches!(handle.poll(&mut worker(0, 2), None), Ok(Polled::End)));
        }
    }

    #[test]
    fn a_reader_ends_when_a_worker_is_gone() {
        let (reader, mut handles) = share_read(backend(100_000, 40, true), 2, KEYING, UNITS);
        drop(handles.pop());
        // Returns, though nobody lets go of a unit.
        reader.run(Duration::ZERO, u64::MAX, &Stop::default());
        let (seen, ..) = process(handles.remove(0), 0, 2);
        assert_eq!(seen, 0);
    }
}
