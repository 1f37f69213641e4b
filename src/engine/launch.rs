//! Starts the workers: one thread each, named, pinned where asked, with their mailboxes.
//!
//! Owns the threads. Invariant: every thread that was started is joined by [`Running::join`], and what went wrong in it is told.

use super::mailbox::{Parker, Receiver, mailbox_to};
use super::outbox::Outbox;
use super::{
    BurstMetering, Detecting, Detection, EndedChunk, EvidenceBox, Feed, FlightBox, FlightRing, FlightSender, Observer,
    PacketBudget, Progress, RequestSender, Snapshot, Stop, StopGroup, TapChunk, TapOrder, TapPolicy, TapReceivers, TapSender,
    Worker, WorkerHandle, WorkerSettings, WorkerShare, drive, requests, share_mapped, share_read,
};
use crate::detect::LocalNetworks;
use crate::flow::{FlowSettings, HashSecret, Keying};
use core_affinity::CoreId;
use netscope_backends::file::{MappedBytes, Scanner};
use netscope_backends::thread::Start;
use netscope_backends::{Backend, BackendError};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Snapshots under way per queue.
const SNAPSHOT_BOXES: usize = 32;
/// Boxes of evidence under way per queue; each may be large.
const EVIDENCE_BOXES: usize = 3;
/// Boxes of ended flows under way per queue.
const ENDED_BOXES: usize = 64;
/// Chunks of copied packets under way per tap, 1 MiB each.
const TAP_BOXES: usize = 8;

/// Where the packets come from.
pub enum Source {
    /// One queue per worker, each with packets of its own (the rings of an interface; a file, for one worker).
    Queues(Vec<Box<dyn Backend>>),
    /// One reader for all workers (a libpcap handle, a pipe, a compressed file): a thread of its own copies the packets.
    Reader(Box<dyn Backend>),
    /// A mapped file, whose packets the workers find together.
    Mapped(Box<Scanner>),
}

impl Source {
    /// True where unread packets wait for us.
    pub(crate) fn waits(&self) -> bool {
        match self {
            Self::Queues(backends) => backends.iter().all(|backend| backend.waits()),
            Self::Reader(backend) => backend.waits(),
            Self::Mapped(_) => true,
        }
    }

    fn workers(&self, settings: &EngineSettings) -> usize {
        match self {
            Self::Queues(backends) => backends.len(),
            Self::Reader(_) | Self::Mapped(_) => settings.workers.max(1),
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
    /// Workers on a source with one reader, at least 1; the others have as many as they have readers.
    pub workers: usize,
    /// CPUs to pin the workers to, in order; empty = not pinned.
    pub cpus: Vec<usize>,
    /// Of each queue the place of its interface among those of the run; empty where there is one, or none.
    pub interfaces: Vec<u8>,
    /// Longest wait of one poll.
    pub poll_timeout: Duration,
    /// Whether anybody wants the ended flows.
    pub wants_ended: bool,
    /// Whether anybody wants reports.
    pub wants_reports: bool,
    /// Which packets are copied, one policy per consumer.
    pub taps: Vec<TapPolicy>,
    /// Chunks of 1 MiB between a reader and several workers.
    pub reader_chunks: usize,
    /// What is detected; `None` = nothing is gathered.
    pub detection: Option<Detection>,
    /// How bytes are counted by bins; `None` = they are not.
    pub bursts: Option<LinkMetering>,
    /// Whether a history is kept.
    pub history: bool,
    /// Networks that are inside: packets are counted by the way they go; `None` = they are not.
    pub directions: Option<LocalNetworks>,
    /// How packets are kept for the flight recorder; `None` = they are not.
    pub flight: Option<FlightRing>,
}

/// How bytes are counted by bins on all queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkMetering {
    /// Length of a bin in ns, at least 1.
    pub bin_ns: u64,
    /// Of each interface, by its place, the load of a bin above which it is hot; `u64::MAX` where that is not known.
    pub hot_loads: Vec<u64>,
}

impl LinkMetering {
    /// How one of `queue_count` queues of an interface counts: of a hot bin one of them has this part at least.
    fn of_queue(&self, interface: u8, queue_count: usize) -> BurstMetering {
        let hot_load = self.hot_loads.get(usize::from(interface)).copied().unwrap_or(u64::MAX);
        let part = if hot_load == u64::MAX { hot_load } else { hot_load / queue_count.max(1) as u64 };
        BurstMetering { bin_ns: self.bin_ns, hot_load: part }
    }
}

/// The cold side's end of one queue. All queues wake the same thread.
pub struct QueueMail {
    /// A snapshot per tick.
    pub snapshots: Receiver<Snapshot>,
    /// Ended flows, when wanted.
    pub ended: Option<Receiver<EndedChunk>>,
    /// Questions about live flows, and the answers.
    pub requests: RequestSender,
    /// What detectors have gathered, when something is detected.
    pub evidence: Option<Receiver<EvidenceBox>>,
}

/// Workers at work.
pub struct Running {
    /// One per worker.
    pub queues: Vec<QueueMail>,
    /// One per tap that was asked for, in that order.
    pub taps: Vec<TapReceivers>,
    /// What the flight recorder receives, where there is one, with the number of the worker that sends it. Of a source that
    /// several share, the leading one sends all packets.
    pub flight: Vec<Receiver<FlightBox>>,
    /// How far the workers are.
    pub progress: Arc<Progress>,
    /// True when the packets of one flow may have come on several queues.
    pub may_be_split: bool,
    threads: Vec<JoinHandle<Result<(), BackendError>>>,
    /// Who receives from all queues.
    parker: Arc<Parker>,
    /// Who receives from each tap.
    tap_parkers: Vec<Arc<Parker>>,
    /// The flight recorder's thread.
    flight_parker: Arc<Parker>,
    /// The file in which its packets lie, where that is mapped.
    flight_file: Option<MappedBytes>,
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
    let mut running = Running {
        queues: Vec::new(),
        taps: settings
            .taps
            .iter()
            .map(|_| TapReceivers { receivers: Vec::new(), order: TapOrder::Shared, waits: true })
            .collect(),
        flight: Vec::new(),
        progress: Arc::new(Progress::new(workers)),
        may_be_split: false,
        threads: Vec::new(),
        parker: Arc::default(),
        tap_parkers: settings.taps.iter().map(|_| Arc::default()).collect(),
        flight_parker: Arc::default(),
        flight_file: mapped(&source),
    };
    let keying = Keying { scope: settings.flow.key, secret: HashSecret::random() };
    // Workers that share a source end where its units do: whoever fills those is stopped.
    let mut worker_stop = Some(stop.clone());
    let lent = |backends: Vec<Box<dyn Backend>>| backends.into_iter().map(Feed::Backend).collect::<Vec<_>>();
    let shared = |handles: Vec<WorkerHandle>| handles.into_iter().map(Feed::Shared).collect::<Vec<_>>();
    let count_max = if settings.count_max == 0 { u64::MAX } else { settings.count_max };
    let (feeds, group) = match source {
        Source::Queues(backends) if backends.len() > 1 => {
            running.may_be_split = true;
            (lent(backends), StopGroup::Queues(Arc::new(PacketBudget::new(settings.count_max))))
        }
        Source::Queues(backends) => (lent(backends), StopGroup::None),
        Source::Reader(backend) if workers == 1 => (lent(vec![backend]), StopGroup::None),
        Source::Reader(backend) => {
            let (reader, handles) = share_read(backend, workers, keying, settings.reader_chunks);
            let (timeout, stop) = (settings.poll_timeout, worker_stop.take().unwrap_or_default());
            running.threads.push(spawn("netscope-read", move || {
                reader.run(timeout, count_max, &stop);
                Ok(())
            })?);
            (shared(handles), StopGroup::None)
        }
        Source::Mapped(scanner) => {
            let stop = worker_stop.take().unwrap_or_default();
            (shared(share_mapped(*scanner, workers, keying, count_max, &stop)), StopGroup::None)
        }
    };
    let count = u32::try_from(feeds.len()).unwrap_or(u32::MAX);
    for (index, feed) in (0..count).zip(feeds) {
        let assignment = Assignment {
            part: WorkerShare { index, count },
            group: group.clone(),
            stop: worker_stop.clone(),
            secret: keying.secret,
        };
        running.start(feed, assignment, settings, notice.clone())?;
    }
    Ok(running)
}

/// The file in which all packets of a source lie, where it is mapped.
fn mapped(source: &Source) -> Option<MappedBytes> {
    match source {
        Source::Queues(backends) => backends.first().filter(|_| backends.len() == 1)?.mapped(),
        Source::Reader(_) => None,
        Source::Mapped(scanner) => Some(scanner.bytes()),
    }
}

/// A worker's place among the others.
struct Assignment {
    /// Its part of what all share.
    part: WorkerShare,
    group: StopGroup,
    /// `None` for a worker that somebody else ends.
    stop: Option<Stop>,
    /// Everybody's.
    secret: HashSecret,
}

impl Assignment {
    /// What it is told. Of a bound on all queues each gets a part, as each of the packets where all see the same.
    fn settings(&self, settings: &EngineSettings, waits: bool) -> WorkerSettings {
        let (flow, tick_ns, secret) = (settings.flow, settings.tick_ns, self.secret);
        if self.group.has_own_packets() {
            let flow = FlowSettings { flow_count_max: self.part.part_of(flow.flow_count_max), ..flow };
            // The group count.
            WorkerSettings { flow, tick_ns, count_max: 0, share: WorkerShare::WHOLE, waits, secret }
        } else {
            WorkerSettings { flow, tick_ns, count_max: settings.count_max, share: self.part, waits, secret }
        }
    }
}

/// What a worker is made of on its own thread.
struct WorkerRun {
    settings: WorkerSettings,
    outbox: Outbox,
    group: StopGroup,
    interface: u8,
    bursts: Option<BurstMetering>,
    history: bool,
    directions: Option<LocalNetworks>,
}

impl WorkerRun {
    /// The worker. Built where it runs, so that the table's memory is first touched by the thread that uses it.
    fn worker<O: Observer>(self, observer: O) -> Worker<O> {
        let mut worker = Worker::new(&self.settings, self.outbox, observer);
        worker.join(self.group);
        worker.on_interface(self.interface);
        if let Some(metering) = self.bursts {
            worker.measure_bursts(metering);
        }
        if self.history {
            worker.measure_ticks();
        }
        if let Some(inside) = self.directions {
            worker.measure_directions(inside);
        }
        worker
    }
}

/// Ends the workers on other queues when this one's thread panics.
struct Alarm(StopGroup);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail();
        }
    }
}

impl Running {
    /// Starts one worker on its own thread.
    fn start(
        &mut self,
        feed: Feed,
        assignment: Assignment,
        settings: &EngineSettings,
        notice: impl Fn(&str) + Send + 'static,
    ) -> Result<(), EngineError> {
        let worker_settings = assignment.settings(settings, feed.waits());
        let (request_sender, request_receiver) = requests(&self.parker);
        let request_sender = request_sender.with_bell(feed.bell());
        let tap_senders = self.open_taps(&assignment, &worker_settings, settings);
        let (outbox, evidence) = self.open_mailboxes(&worker_settings, settings, request_sender, tap_senders);
        let index = assignment.part.index as usize;
        let interface = settings.interfaces.get(index).copied().unwrap_or(0);
        let (history, directions) = (settings.history, settings.directions.clone());
        let bursts = settings.bursts.as_ref().map(|metering| {
            let of_interface = settings.interfaces.iter().filter(|&&other| other == interface).count();
            let all = if settings.interfaces.is_empty() { assignment.part.count as usize } else { of_interface };
            metering.of_queue(interface, if assignment.group.has_own_packets() { all } else { 1 })
        });
        let outbox = outbox.with_flight(self.open_flight(&worker_settings, settings, interface));
        let cpu = settings.cpus.get(index % settings.cpus.len().max(1)).copied();
        let (timeout, progress) = (settings.poll_timeout, Arc::clone(&self.progress));
        // A capture has time to find its CPUs, and is free to take to those that come later.
        let begins = (assignment.part.count > 1 && feed.waits()).then(Start::here);
        let Assignment { group, stop, .. } = assignment;
        let thread = spawn(&format!("netscope-w{index}"), move || {
            let _alarm = Alarm(group.clone());
            match cpu {
                Some(id) if !core_affinity::set_for_current(CoreId { id }) => {
                    notice(&format!("worker {index} cannot be pinned to CPU {id}; it runs unpinned"));
                }
                Some(_) => {}
                // Not where the thread runs that has more of them to start.
                None => begins.iter().for_each(|begins| begins.move_by(index + 1)),
            }
            let run = WorkerRun { settings: worker_settings, outbox, group, interface, bursts, history, directions };
            let (stop, progress, mut notice) = (stop.as_ref(), progress.worker(index), |text: &str| notice(text));
            match evidence {
                Some(observer) => drive(feed, run.worker(observer), request_receiver, timeout, stop, progress, &mut notice),
                None => drive(feed, run.worker(()), request_receiver, timeout, stop, progress, &mut notice),
            }
        })?;
        self.threads.push(thread);
        // It moves away, or is on its way already.
        thread::yield_now();
        Ok(())
    }

    fn open_mailboxes(
        &mut self,
        worker: &WorkerSettings,
        settings: &EngineSettings,
        requests: RequestSender,
        taps: Vec<TapSender>,
    ) -> (Outbox, Option<Detecting>) {
        let (snapshot_sender, snapshots) = mailbox_to(&self.parker, SNAPSHOT_BOXES, || Snapshot::new(settings.flow.top_count));
        let (ended_sender, ended) = if settings.wants_ended {
            let (sender, receiver) = mailbox_to(&self.parker, ENDED_BOXES, EndedChunk::new);
            (Some(sender), Some(receiver))
        } else {
            (None, None)
        };
        let (detecting, evidence) = match &settings.detection {
            Some(detection) => {
                let detectors = detection.detectors();
                let (sender, receiver) = mailbox_to(&self.parker, EVIDENCE_BOXES, || EvidenceBox::new(&detectors));
                (Some(Detecting::new(detection, worker.waits, sender)), Some(receiver))
            }
            None => (None, None),
        };
        self.queues.push(QueueMail { snapshots, ended, requests, evidence });
        let outbox = Outbox::new(worker.waits, snapshot_sender, ended_sender, taps)
            .with_reports(settings.wants_reports)
            .with_names(worker.flow.inspection.names_max() > 0);
        (outbox, detecting)
    }

    /// A worker's ends of the taps. Of a source that several share, the leading one copies all packets where
    /// all are wanted.
    fn open_taps(&mut self, assignment: &Assignment, worker: &WorkerSettings, settings: &EngineSettings) -> Vec<TapSender> {
        let mut senders = Vec::new();
        for (tap, (policy, parker)) in settings.taps.iter().zip(&self.tap_parkers).enumerate() {
            let is_of_units = *policy == TapPolicy::All && worker.share.count > 1;
            if is_of_units && !worker.share.leads() {
                continue;
            }
            let new = if policy.has_notes() { TapChunk::with_notes } else { TapChunk::new };
            let (sender, receiver) = mailbox_to(parker, TAP_BOXES, new);
            senders.push(if is_of_units {
                TapSender::of_units(tap, sender)
            } else {
                TapSender::new(tap, &policy.part_of(assignment.part), worker.secret, sender)
            });
            self.taps[tap].receivers.push(receiver);
            self.taps[tap].waits = worker.waits && !matches!(policy, TapPolicy::Sampled { .. });
            self.taps[tap].order = match (assignment.group.has_own_packets(), worker.share.count) {
                (true, _) => TapOrder::Own,
                (false, 2..) if *policy == TapPolicy::Counted => TapOrder::Sequence,
                (false, _) => TapOrder::Shared,
            };
        }
        senders
    }

    /// A worker's end of the flight recorder: of those that share a source, the leading one's.
    fn open_flight(&mut self, worker: &WorkerSettings, settings: &EngineSettings, interface: u8) -> Option<FlightSender> {
        let ring = settings.flight.filter(|_| worker.share.leads())?;
        let (sender, receiver) = mailbox_to(&self.flight_parker, ring.boxes, || FlightBox::over(self.flight_file.clone()));
        self.flight.push(receiver);
        Some(FlightSender::new(sender, ring.snaplen, interface))
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
