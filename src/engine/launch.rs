//! Starts the workers: one thread each, named, pinned where asked, with their mailboxes.
//!
//! Owns the threads. Invariant: every thread that was started is joined by [`Running::join`], and what went wrong in it is told.

use super::mailbox::{Receiver, mailbox};
use super::outbox::Outbox;
use super::{EndedChunk, Progress, Share, Snapshot, Stop, StopLine, TapChunk, Worker, WorkerSettings, broadcast, drive};
use crate::flow::FlowSettings;
use core_affinity::CoreId;
use netscope_backends::chunk::PacketChunk;
use netscope_backends::{Backend, BackendError};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Snapshots under way per queue.
const SNAPSHOT_BOXES: usize = 4;
/// Boxes of ended flows under way per queue.
const ENDED_BOXES: usize = 64;
/// Chunks of copied packets under way per tap, 1 MiB each.
const TAP_BOXES: usize = 8;

/// Where the packets come from.
pub enum Source {
    /// One reader per worker, all reading the same packets (a mapped file): each worker keeps its share.
    Same(Vec<Box<dyn Backend>>),
    /// One reader for all workers: a reader thread shows its packets to them.
    Broadcast(Box<dyn Backend>),
}

impl Source {
    fn workers(&self, settings: &EngineSettings) -> usize {
        match self {
            Self::Same(backends) => backends.len(),
            Self::Broadcast(_) => settings.workers.max(1),
        }
    }
}

/// How to run.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Flow table; `flow_count_max` is global.
    pub flow: FlowSettings,
    /// Length of a tick in ns.
    pub tick_ns: u64,
    /// Packets to process, 0 = all.
    pub count_max: u64,
    /// Workers, at least 1.
    pub workers: usize,
    /// CPUs to pin the workers to, in order; empty = not pinned.
    pub cpus: Vec<usize>,
    /// Longest wait of one poll.
    pub poll_timeout: Duration,
    /// Whether anybody wants the ended flows.
    pub wants_ended: bool,
    /// How many consumers want a copy of every packet.
    pub taps: usize,
    /// Chunks of 1 MiB between a reader and several workers.
    pub broadcast_chunks: usize,
}

/// The cold side's end of one queue.
pub struct QueueMail {
    /// A snapshot per tick.
    pub snapshots: Receiver<Snapshot>,
    /// Ended flows, when wanted.
    pub ended: Option<Receiver<EndedChunk>>,
}

/// Workers at work.
pub struct Running {
    /// One per worker.
    pub queues: Vec<QueueMail>,
    /// One per tap that was asked for.
    pub taps: Vec<Receiver<TapChunk>>,
    /// How far the leading worker is.
    pub progress: Arc<Progress>,
    threads: Vec<JoinHandle<Result<(), BackendError>>>,
}

/// Why a run went wrong.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The source failed; everything before that was processed.
    #[error(transparent)]
    Source(#[from] BackendError),
    /// A thread could not be started.
    #[error("cannot start thread {name}")]
    Thread {
        /// Its name.
        name: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A bound of 0 would be none.
    #[error("{workers} workers cannot share {flows} flows: each needs one at least; use fewer workers")]
    TooManyWorkers {
        /// How many were asked for.
        workers: usize,
        /// The global bound.
        flows: usize,
    },
    /// A bug of ours.
    #[error("thread {0} panicked; please report this")]
    Panicked(String),
}

/// Starts the workers on `source`. `notice` is given what the source has to say (an interface that went down, say).
///
/// # Errors
/// When a thread cannot be started, or there are more workers than flows.
pub fn launch(
    source: Source,
    settings: &EngineSettings,
    stop: &Stop,
    notice: impl Fn(&str) + Clone + Send + 'static,
) -> Result<Running, EngineError> {
    let (flows, workers) = (settings.flow.flow_count_max, source.workers(settings));
    if flows != 0 && workers > flows {
        return Err(EngineError::TooManyWorkers { workers, flows });
    }
    let progress = Arc::new(Progress::default());
    let mut running = Running { queues: Vec::new(), taps: Vec::new(), progress: Arc::clone(&progress), threads: Vec::new() };
    // The reader of a broadcast is stopped, and its workers end when it does.
    let (mut worker_stop, mut line) = (Some(stop.clone()), None);
    let backends: Vec<Box<dyn Backend>> = match source {
        Source::Same(backends) => {
            line = (backends.len() > 1).then(|| Arc::new(StopLine::new(backends.len())));
            backends
        }
        Source::Broadcast(backend) if settings.workers <= 1 => vec![backend],
        Source::Broadcast(backend) => {
            let (reader, shown) = broadcast::broadcast(backend, settings.workers, settings.broadcast_chunks);
            let (timeout, stop) = (settings.poll_timeout, worker_stop.take().unwrap_or_default());
            let count_max = if settings.count_max == 0 { u64::MAX } else { settings.count_max };
            running.threads.push(spawn("netscope-read", move || reader.run(timeout, count_max, &stop))?);
            shown.into_iter().map(|backend| Box::new(backend) as Box<dyn Backend>).collect()
        }
    };
    let count = u32::try_from(backends.len()).unwrap_or(u32::MAX);
    for (index, mut backend) in (0..count).zip(backends) {
        let worker_settings = WorkerSettings {
            flow: settings.flow,
            tick_ns: settings.tick_ns,
            count_max: settings.count_max,
            share: Share { index, count },
            waits: backend.waits(),
        };
        let outbox = running.open_mailboxes(&worker_settings, settings);
        let cpu = settings.cpus.get(index as usize % settings.cpus.len().max(1)).copied();
        let (timeout, stop, line) = (settings.poll_timeout, worker_stop.clone(), line.clone());
        let (progress, notice) = (Arc::clone(&progress), notice.clone());
        running.threads.push(spawn(&format!("netscope-w{index}"), move || {
            if let Some(id) = cpu
                && !core_affinity::set_for_current(CoreId { id })
            {
                notice(&format!("worker {index} cannot be pinned to CPU {id}; it runs unpinned"));
            }
            // Built here, so that the table's memory is first touched by the thread that uses it.
            let mut worker = Worker::new(&worker_settings, outbox);
            if let Some(line) = line {
                worker.stop_at(line);
            }
            drive(backend.as_mut(), worker, timeout, stop.as_ref(), &progress, &mut |text| notice(text))
        })?);
    }
    Ok(running)
}

impl Running {
    fn open_mailboxes(&mut self, worker: &WorkerSettings, settings: &EngineSettings) -> Outbox {
        let (snapshot_sender, snapshots) = mailbox(SNAPSHOT_BOXES, || Snapshot::new(settings.flow.top_count));
        let (ended_sender, ended) = if settings.wants_ended {
            let (sender, receiver) = mailbox(ENDED_BOXES, EndedChunk::new);
            (Some(sender), Some(receiver))
        } else {
            (None, None)
        };
        self.queues.push(QueueMail { snapshots, ended });
        let mut tap_senders = Vec::new();
        if worker.share.leads() {
            for _ in 0..settings.taps {
                let (sender, receiver) = mailbox(TAP_BOXES, || TapChunk { first_number: 0, packets: PacketChunk::new() });
                tap_senders.push(sender);
                self.taps.push(receiver);
            }
        }
        Outbox::new(worker.waits, snapshot_sender, ended_sender, tap_senders)
    }

    /// Waits for all threads.
    ///
    /// # Errors
    /// The first thing that went wrong; a panic outranks a failing source.
    pub fn join(self) -> Result<(), EngineError> {
        let mut outcome = Ok(());
        for thread in self.threads {
            let name = thread.thread().name().unwrap_or("unnamed").to_owned();
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => outcome = outcome.and(Err(EngineError::Source(error))),
                Err(_) => outcome = Err(EngineError::Panicked(name)),
            }
        }
        outcome
    }
}

fn spawn(
    name: &str,
    body: impl FnOnce() -> Result<(), BackendError> + Send + 'static,
) -> Result<JoinHandle<Result<(), BackendError>>, EngineError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|source| EngineError::Thread { name: name.to_owned(), source })
}
