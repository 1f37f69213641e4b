//! One run from the first packet to the last line: workers, aggregator, outputs, packet consumers, put together.
//!
//! Owns the order of starting and ending. Knows no flag and no format. Invariant: whatever fails, every thread is joined, every
//! output is finished, and all that went wrong is in the [`Outcome`].

use crate::aggregate::{
    self, AggregateSettings, Aggregator, BurstJudging, Control, LiveTableRequest, Output, OutputFailure, OutputResults, Outputs,
    Questions, QueueLimits, QueueSetup, Summary, Wants, wants_of,
};
use crate::engine::{
    EngineError, EngineSettings, OnClosed, PacketConsumer, Progress, Recorder, Running, Source, Stop, TapPolicy, TapReceivers,
    consume, launch,
};
use crate::flight::{AlertRecordings, FlightRecorder, FlightRequests, FlightSetup};
use crate::flow::FlowNote;
use netscope_backends::savefile::{SavefileOptions, SavefileSummary};
use netscope_backends::thread::{keep_off_cpus, lower_thread_priority};
use netscope_backends::{BackendError, Counters};
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

/// A packet consumer of the output module (the packet view).
pub type PacketView = Box<dyn PacketConsumer<Error = io::Error> + Send>;

/// Everything a run needs. Outputs are opened before, so that a wrong path is an error before the capture starts.
pub struct Session {
    /// Where the packets come from.
    pub source: Source,
    /// The hot side. Its `taps`, `flight`, `wants_ended`, `wants_reports`, `detection`, `bursts` and `history` are set by [`run`].
    pub engine: EngineSettings,
    /// The cold side.
    pub aggregate: AggregateSettings,
    /// Who is told of ticks and flows.
    pub outputs: Vec<Box<dyn Output>>,
    /// Write every packet to a file.
    pub record: Option<SavefileOptions>,
    /// Told of each segment of that file which was closed.
    pub on_closed: Option<OnClosed>,
    /// Show every packet.
    pub view: Option<PacketView>,
    /// Show some packets to somebody else, by a policy, for which nobody waits.
    pub sampled: Option<(TapPolicy, PacketView)>,
    /// By which the live flow table is asked for.
    pub live_table: LiveTableRequest,
    /// By which flows and the history are asked for.
    pub questions: Questions,
    /// Keep packets in memory, and write those that concern an alert.
    pub flight: Option<FlightSetup>,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Where everything went.
    pub summary: Summary,
    /// What the packet recorder wrote.
    pub recorded: Option<SavefileSummary>,
    /// Outputs that failed.
    pub failures: Vec<OutputFailure>,
    /// Any other thing that went wrong, worst first.
    pub errors: Vec<Box<dyn Error + Send + Sync>>,
    /// True when whoever read an output went away (`| head`): a reason to end quietly.
    pub reader_left: bool,
}

/// What a run tells while it goes on. Called from several threads.
pub trait Watcher: Send + Sync {
    /// The source has something to say (an interface went down, say).
    fn notice(&self, text: &str);
    /// An output failed.
    fn failed(&self, failure: &OutputFailure);
    /// Called every few milliseconds, for a progress display or a watch over silence.
    fn progress(&self, progress: &Progress);
    /// All packets were seen, and the outputs are about to write what they write at the end.
    fn ending(&self) {}
}

/// Runs a session to its end.
///
/// # Errors
/// When it cannot be started; what goes wrong later is in the [`Outcome`].
pub fn run(session: Session, stop: &Stop, watcher: &Arc<dyn Watcher>) -> Result<Outcome, Box<dyn Error + Send + Sync>> {
    let Session { source, mut engine, aggregate, outputs, record, on_closed, view, sampled, live_table, questions, flight } =
        session;
    let recorder = record.as_ref().map(|record| Recorder::create(record, on_closed, &engine.interfaces)).transpose()?;
    let sample = sampled.as_ref().map(|(policy, _)| policy.clone());
    engine.taps = recorder.iter().map(|_| TapPolicy::All).chain(view.iter().map(|_| TapPolicy::Counted)).chain(sample).collect();
    engine.flight = flight.as_ref().map(|flight| flight.settings.ring());
    let wants = outputs.iter().map(|output| wants_of(output.as_ref())).fold(Wants::default(), |all, one| all | one);
    set_wants(&mut engine, &aggregate, wants);
    let noticing = Arc::clone(watcher);
    let waits = source.waits();
    let mut running = launch(source, &engine, stop, move |text: &str| noticing.notice(text))?;
    // From here on this thread, and those it starts, are the cold side. A file waits for it anyway, a wire does not.
    keep_off_cpus(engine.cpus.get(..running.queues.len()).unwrap_or(&engine.cpus));
    if !waits {
        lower_thread_priority();
    }
    let mut outcome = Outcome::default();
    // In the order in which `launch` was asked for them: the recorder's first.
    let mut taps = std::mem::take(&mut running.taps).into_iter();
    let recording = recorder.and_then(|recorder| taps.next().map(|tap| (recorder, tap)));
    let showing = view.and_then(|view| taps.next().map(|tap| (view, tap)));
    let sampling = sampled.and_then(|(_, view)| taps.next().map(|tap| (view, tap)));
    let (flight, alerts) = with_flight(flight, &mut running, waits);
    let queues = std::mem::take(&mut running.queues);
    let count = u16::try_from(queues.len()).unwrap_or(u16::MAX);
    let setup = QueueSetup { count, may_be_split: running.may_be_split, waits };
    let aggregator = Aggregator::new(aggregate, wants, setup, Instant::now());
    let limits = if waits { QueueLimits::FILE } else { QueueLimits::WIRE };
    let failed = |failure: &OutputFailure| watcher.failed(failure);
    thread::scope(|scope| {
        let recording =
            recording.map(|(recorder, tap)| scope.spawn(move || record_packets(&tap, recorder, watcher.as_ref(), stop)));
        let showing = showing.map(|(view, tap)| scope.spawn(move || show_packets(&tap, view, stop)));
        let sampling = sampling.map(|(view, tap)| scope.spawn(move || show_sample(&tap, view)));
        let no_more_alerts = flight.as_ref().map(|flight| NoMoreAlerts(flight.requests.clone()));
        let flying = flight.map(|flight| scope.spawn(move || flight.run(&|text| watcher.notice(text))));
        let outputs = Outputs::start(scope, outputs, limits, &failed);
        let control = Control {
            live_table: &live_table,
            questions: &questions,
            notice: &|text| watcher.notice(text),
            idle: &|| watcher.progress(&running.progress),
            ending: &|| watcher.ending(),
            recording: &|alert| alerts.as_ref()?.note(alert),
            judged: &|time| alerts.iter().for_each(|alerts| alerts.note_judged(time)),
        };
        outcome.summary = aggregate::run(aggregator, &queues, &outputs, waits, &control);
        drop(no_more_alerts);
        let OutputResults { failures, panicked, rows, receivers } = outputs.join(outcome.summary.ledger.records_skipped);
        (outcome.failures, outcome.summary.rows, outcome.summary.receivers) = (failures, rows, receivers);
        outcome.errors.extend(panicked.into_iter().map(|name| EngineError::Panicked(name).into()));
        match recording.map(ScopedJoinHandle::join) {
            None => {}
            Some(Ok(recording)) => {
                let (recorded, error) = finish_recording(recording, &counted_by_queue(&outcome.summary), watcher.as_ref());
                outcome.summary.packets_written = recorded.packets;
                outcome.note(error);
                outcome.recorded = Some(recorded);
            }
            Some(Err(_)) => outcome.errors.push(EngineError::Panicked("packet recorder".to_owned()).into()),
        }
        if record.is_some() {
            let Summary { ledger, packets_written, .. } = &outcome.summary;
            outcome.summary.packets_not_written = ledger.packets.saturating_sub(*packets_written);
        }
        outcome.note_viewers(showing, sampling);
        match flying.map(ScopedJoinHandle::join) {
            None => {}
            Some(Ok(counts)) => outcome.summary.flight = Some(counts),
            Some(Err(_)) => outcome.errors.push(EngineError::Panicked("flight recorder".to_owned()).into()),
        }
        outcome.reader_left |= outcome.failures.iter().any(|failure| failure.source.kind() == io::ErrorKind::BrokenPipe);
    });
    if let Err(error) = running.join() {
        outcome.errors.insert(0, error.into());
    }
    Ok(outcome)
}

/// What the hot side has to gather.
fn set_wants(engine: &mut EngineSettings, aggregate: &AggregateSettings, wants: Wants) {
    engine.detection = aggregate.judge.as_ref().map(|judge| judge.detection.clone());
    engine.bursts = aggregate.microbursts.as_ref().map(BurstJudging::metering);
    engine.wants_ended = wants.ended || wants.table || wants.history || wants.recent;
    engine.wants_reports = wants.reports || wants.history || engine.bursts.is_some();
    engine.history = wants.history;
}

/// Tells the flight recorder that no more alerts come, also when a panic is the reason.
struct NoMoreAlerts(FlightRequests);

impl Drop for NoMoreAlerts {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// The flight recorder with what workers send it, and what is told of alerts.
fn with_flight(
    setup: Option<FlightSetup>,
    running: &mut Running,
    waits: bool,
) -> (Option<FlightRecorder>, Option<AlertRecordings>) {
    let Some(FlightSetup { settings, store, requests }) = setup else { return (None, None) };
    let alerts = AlertRecordings::new(requests.clone(), store.clone(), waits);
    let receivers = std::mem::take(&mut running.flight);
    (Some(FlightRecorder { settings, store, requests, receivers, waits }), Some(alerts))
}

impl Outcome {
    /// Waits for those who are shown packets, and takes in why they ended early.
    fn note_viewers(
        &mut self,
        showing: Option<ScopedJoinHandle<'_, Option<ConsumerFailure>>>,
        sampling: Option<ScopedJoinHandle<'_, Option<SampleError>>>,
    ) {
        match showing.map(ScopedJoinHandle::join) {
            None => {}
            Some(Ok(error)) => self.note(error),
            Some(Err(_)) => self.errors.push(EngineError::Panicked("packet view".to_owned()).into()),
        }
        match sampling.map(ScopedJoinHandle::join) {
            None => {}
            Some(Ok(error)) => self.errors.extend(error.map(Into::into)),
            Some(Err(_)) => self.errors.push(EngineError::Panicked("packet sample".to_owned()).into()),
        }
    }

    /// Takes in why a packet consumer ended early.
    fn note(&mut self, failure: Option<ConsumerFailure>) {
        match failure {
            None => {}
            Some(ConsumerFailure::ReaderLeft) => self.reader_left = true,
            Some(ConsumerFailure::Error(error)) => self.errors.push(error),
        }
    }
}

/// Why a packet consumer ended early.
enum ConsumerFailure {
    /// Whoever read what it wrote went away.
    ReaderLeft,
    /// Anything else.
    Error(Box<dyn Error + Send + Sync>),
}

/// A recorder that has seen its last packet, and what went wrong.
type RecordedPackets = (Recorder, Result<(), (u64, BackendError)>);

/// The recorder's thread. A closed pipe (`| head`) ends the run quietly.
fn record_packets(tap: &TapReceivers, mut recorder: Recorder, watcher: &dyn Watcher, stop: &Stop) -> RecordedPackets {
    /// Tells of a failure when it happens: the run goes on, perhaps for days.
    struct Telling<'a>(&'a mut Recorder, &'a dyn Watcher, &'a Stop);
    impl Telling<'_> {
        fn tell(&self, error: &BackendError) {
            if reader_left(error) {
                self.2.request();
            } else {
                tell(self.1, error, "; the run goes on, its packets are no longer written");
            }
        }
    }
    impl PacketConsumer for Telling<'_> {
        type Error = BackendError;
        fn queue(&mut self, queue: usize) {
            self.0.queue(queue);
        }
        fn packet(
            &mut self,
            number: u64,
            note: Option<&FlowNote>,
            packet: &netscope_backends::Packet<'_>,
        ) -> Result<(), BackendError> {
            self.0.packet(number, note, packet).inspect_err(|error| self.tell(error))
        }
        fn pause(&mut self) -> Result<(), BackendError> {
            self.0.pause().inspect_err(|error| self.tell(error))
        }
    }
    let consumed = consume(tap, &mut Telling(&mut recorder, watcher, stop));
    (recorder, consumed)
}

/// Tells why packets are not written.
fn tell(watcher: &dyn Watcher, error: &BackendError, consequence: &str) {
    let why = error.source().map_or_else(String::new, |source| format!(": {source}"));
    watcher.notice(&format!("{error}{why}{consequence}"));
}

/// What the source counted, by queue; all of it as one where its queues do not count for themselves.
fn counted_by_queue(summary: &Summary) -> Vec<Counters> {
    let by_queue: Vec<Counters> = summary.queues.iter().map(|queue| queue.source).collect();
    if by_queue.is_empty() { vec![summary.source] } else { by_queue }
}

/// Closes the recorder's files, with what the source `counted`: what is in them, and what went wrong.
fn finish_recording(
    (recorder, consumed): RecordedPackets,
    counted: &[Counters],
    watcher: &dyn Watcher,
) -> (SavefileSummary, Option<ConsumerFailure>) {
    // What was written before an error stays readable, so the file is closed properly in any case.
    let (recorded, taken, finished) = recorder.finish(counted);
    let unseen = match (consumed, finished) {
        (Ok(()), Ok(())) => return (recorded, None),
        (Ok(()), Err(error)) if reader_left(&error) => return (recorded, Some(ConsumerFailure::ReaderLeft)),
        (Err((_, error)), _) if reader_left(&error) => return (recorded, Some(ConsumerFailure::ReaderLeft)),
        (Ok(()), Err(error)) => {
            tell(watcher, &error, "");
            0
        }
        (Err((unseen, _)), _) => unseen,
    };
    // Of those it took, some were still in its buffer.
    let left_out = recorded.skipped_link_type + recorded.skipped_time;
    let written = recorded.packets;
    let unwritten = unseen + taken.saturating_sub(recorded.packets + left_out);
    (recorded, Some(ConsumerFailure::Error(RecordError { unwritten, written }.into())))
}

fn reader_left(error: &BackendError) -> bool {
    matches!(error, BackendError::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
}

/// The packet view's thread. A closed pipe ends the run quietly, and a full disk behind standard output ends it, too.
fn show_packets(tap: &TapReceivers, mut view: PacketView, stop: &Stop) -> Option<ConsumerFailure> {
    struct Quiet<'a>(&'a mut PacketView, &'a Stop);
    impl PacketConsumer for Quiet<'_> {
        type Error = io::Error;
        fn queue(&mut self, queue: usize) {
            self.0.queue(queue);
        }
        fn packet(&mut self, number: u64, note: Option<&FlowNote>, packet: &netscope_backends::Packet<'_>) -> io::Result<()> {
            self.0.packet(number, note, packet).inspect_err(|_| self.1.request())
        }
        fn pause(&mut self) -> io::Result<()> {
            self.0.pause().inspect_err(|_| self.1.request())
        }
    }
    match consume(tap, &mut Quiet(&mut view, stop)) {
        Ok(()) => None,
        Err((_, error)) if error.kind() == io::ErrorKind::BrokenPipe => Some(ConsumerFailure::ReaderLeft),
        Err((_, source)) => Some(ConsumerFailure::Error(ViewError { source }.into())),
    }
}

/// The thread of who looks at a sample. The run goes on without it.
fn show_sample(tap: &TapReceivers, mut view: PacketView) -> Option<SampleError> {
    struct Shown<'a>(&'a mut PacketView);
    impl PacketConsumer for Shown<'_> {
        type Error = io::Error;
        fn queue(&mut self, queue: usize) {
            self.0.queue(queue);
        }
        fn packet(&mut self, number: u64, note: Option<&FlowNote>, packet: &netscope_backends::Packet<'_>) -> io::Result<()> {
            self.0.packet(number, note, packet)
        }
        fn pause(&mut self) -> io::Result<()> {
            self.0.pause()
        }
    }
    consume(tap, &mut Shown(&mut view)).err().map(|(_, source)| SampleError { source })
}

/// Whoever took a sample of packets could not go on.
#[derive(Debug, thiserror::Error)]
#[error("cannot show sampled packets")]
pub struct SampleError {
    source: io::Error,
}

/// The packet recorder could not go on, for a reason that was told.
#[derive(Debug, thiserror::Error)]
#[error("writing packets failed; packets not written: {unwritten}; written: {written}")]
struct RecordError {
    unwritten: u64,
    written: u64,
}

/// Packets cannot be shown any more.
#[derive(Debug, thiserror::Error)]
#[error("cannot write packets to standard output")]
pub struct ViewError {
    source: io::Error,
}
