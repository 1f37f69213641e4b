//! The recorder's thread: takes boxes from workers, keeps them, begins recordings, and lets each go on.
//!
//! Owns the rings and the recordings under way. Knows no file. Invariants: on a wire it waits for nothing, so workers
//! always get boxes back; from a source that waits, nothing is forgotten that a recording under way has not looked at,
//! and age is measured up to what was judged, so that an alert finds what came before it.

use super::comment::RecordingComment;
use super::recording::{ActiveRecording, RecordingPlan, RecordingStep};
use super::ring::QueueRing;
use super::selection::PacketSelection;
use super::writer::{RecordingHeader, RecordingWriter, WriteBox};
use super::{FlightCounts, FlightQuestion, FlightRequest, FlightRequests, FlightSettings, RECORDINGS_MAX, RecordingStore};
use crate::detect::Alert;
use crate::engine::{FlightBox, Receiver, Sender, mailbox};
use netscope_backends::Timestamp;
use netscope_backends::filter::FilterSet;
use std::thread;
use std::time::{Duration, Instant};

/// Boxes between the recorder and the writer beyond one for each recording.
const WRITE_BOXES_SPARE: usize = 8;
/// First sleep when nothing came, and the longest: each in vain is twice as long as the one before.
const SLEEP: Duration = Duration::from_millis(1);
const SLEEP_MAX: Duration = Duration::from_millis(16);
/// On a wire, packets of one queue wait so long for older ones of another.
const QUEUE_PATIENCE: Duration = Duration::from_millis(300);
/// On a wire, a recording ends so long after its end although no packet tells that it has come.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// Boxes of a queue that its worker has, of so many.
fn spare(boxes: usize) -> usize {
    (boxes / 4).clamp(2, 16)
}

/// A recorder with everything it needs.
pub struct FlightRecorder {
    /// How to record.
    pub settings: FlightSettings,
    /// The files.
    pub store: RecordingStore,
    /// What is asked for.
    pub requests: FlightRequests,
    /// One per worker that sends packets.
    pub receivers: Vec<Receiver<FlightBox>>,
    /// True where a worker without a box waits.
    pub waits: bool,
}

impl FlightRecorder {
    /// Records until all workers have ended and no more alerts come. `notice`: what a person should know.
    pub fn run(self, notice: &(dyn Fn(&str) + Sync)) -> FlightCounts {
        let (sender, receiver) = mailbox(RECORDINGS_MAX + WRITE_BOXES_SPARE, WriteBox::new);
        let writer = RecordingWriter {
            store: self.store.clone(),
            origin: self.settings.origin.clone(),
            snaplen: u32::try_from(self.settings.snaplen).unwrap_or(0),
            notice,
        };
        let _gone = RecorderGone(&self.requests);
        thread::scope(|scope| {
            let thread = thread::Builder::new().name("netscope-flight-w".to_owned());
            let thread = thread.spawn_scoped(scope, move || writer.serve(&receiver));
            let recorded = RunningRecorder::new(&self, sender, notice).run();
            match thread.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(written)) => recorded.plus(&written),
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                Err(error) => {
                    notice(&format!("recordings are not written: no thread can be started: {error}"));
                    recorded
                }
            }
        })
    }
}

/// Tells those who wait for room that there will be none, also when a panic is the reason.
struct RecorderGone<'a>(&'a FlightRequests);

impl Drop for RecorderGone<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

struct RunningRecorder<'a> {
    recorder: &'a FlightRecorder,
    rings: Vec<QueueRing>,
    /// When each queue was heard last.
    heard: Vec<Instant>,
    recordings: Vec<ActiveRecording>,
    writer: Sender<WriteBox>,
    next_id: u64,
    counts: FlightCounts,
    notice: &'a (dyn Fn(&str) + Sync),
}

impl<'a> RunningRecorder<'a> {
    fn new(recorder: &'a FlightRecorder, writer: Sender<WriteBox>, notice: &'a (dyn Fn(&str) + Sync)) -> Self {
        let boxes = recorder.settings.boxes;
        Self {
            recorder,
            rings: recorder.receivers.iter().map(|_| QueueRing::new(boxes.saturating_sub(spare(boxes)))).collect(),
            heard: vec![Instant::now(); recorder.receivers.len()],
            recordings: Vec::new(),
            writer,
            next_id: 0,
            counts: FlightCounts::default(),
            notice,
        }
    }

    fn run(mut self) -> FlightCounts {
        let FlightRecorder { requests, receivers, .. } = self.recorder;
        if let Some(receiver) = receivers.first() {
            receiver.parker().register();
            requests.set_recorder(receiver.parker());
        }
        let mut sleep = SLEEP;
        loop {
            // Asked first: what was sent and asked for before is then seen.
            let no_alerts = requests.is_finished();
            let no_packets = receivers.iter().all(Receiver::is_finished);
            let judged = requests.judged();
            while let Some(request) = requests.take() {
                self.begin(request);
            }
            let mut some = self.receive();
            some |= self.step(no_packets && !some);
            self.forget(judged);
            if no_alerts && no_packets && !some && self.recordings.is_empty() {
                break;
            }
            if some {
                sleep = SLEEP;
                continue;
            }
            receivers.iter().for_each(Receiver::wake_sender);
            match receivers.first() {
                Some(receiver) => receiver.parker().sleep(sleep),
                None => thread::sleep(sleep),
            }
            sleep = (sleep * 2).min(SLEEP_MAX);
        }
        self.counts.packets_skipped = self.rings.iter().map(QueueRing::skipped).sum();
        self.counts.lost_busy += requests.refused();
        self.counts
    }

    /// Takes what workers have sent; true when that was something.
    fn receive(&mut self) -> bool {
        let mut some = false;
        for (queue, receiver) in self.recorder.receivers.iter().enumerate() {
            while let Some(taken) = receiver.receive() {
                some = true;
                self.heard[queue] = Instant::now();
                self.rings[queue].push(taken, |emptied| receiver.give_back(emptied));
                if self.recorder.waits {
                    // Before the next one takes the place of what is not looked at.
                    while self.step(false) {}
                }
            }
        }
        some
    }

    /// Lets each recording go on; true when one has more to do. `ends`: no more packets come.
    fn step(&mut self, ends: bool) -> bool {
        let until = self.horizon(ends);
        let (rings, writer, waits) = (&self.rings, &self.writer, self.recorder.waits);
        let mut has_more = false;
        self.recordings.retain_mut(|recording| match recording.step(rings, until, ends, writer, waits) {
            RecordingStep::More => {
                has_more = true;
                true
            }
            RecordingStep::Waits => true,
            RecordingStep::Done => false,
        });
        has_more
    }

    /// Up to this time no older packet comes from another queue, unless that has been silent.
    fn horizon(&self, ends: bool) -> Timestamp {
        if ends || self.rings.len() == 1 {
            return Timestamp(u64::MAX);
        }
        let speaking = self.rings.iter().zip(&self.heard).filter(|(_, heard)| heard.elapsed() < QUEUE_PATIENCE);
        speaking.map(|(ring, _)| ring.latest()).min().unwrap_or(Timestamp(u64::MAX))
    }

    /// Gives back what is too old.
    fn forget(&mut self, judged: Timestamp) {
        let latest = self.latest().min(judged);
        let edge = Timestamp(latest.0.saturating_sub(self.recorder.settings.ring_ns));
        for (ring, receiver) in self.rings.iter_mut().zip(&self.recorder.receivers) {
            ring.forget_before(edge, |emptied| receiver.give_back(emptied));
        }
    }

    /// The latest time of all packets.
    fn latest(&self) -> Timestamp {
        self.rings.iter().map(QueueRing::latest).max().unwrap_or(Timestamp(0))
    }

    fn begin(&mut self, request: FlightRequest) {
        if matches!(&request, FlightRequest::Asked(question) if !question.reply.is_wanted()) {
            return;
        }
        if self.recordings.len() >= RECORDINGS_MAX {
            self.counts.lost_busy += 1;
            (self.notice)("a recording is lost: too many are under way");
            return;
        }
        let plan = match request {
            FlightRequest::Alert(alert, name) => self.plan_of_alert(&alert, name),
            FlightRequest::OnDemand(filter) => self.plan_on_demand(filter, None, None),
            FlightRequest::Asked(FlightQuestion { filter, from, to, reply }) => {
                let mut plan = self.plan_on_demand(filter, from, to);
                // Two that are asked for at one moment are two files.
                plan.header.name = RecordingStore::name(plan.end, &format!("asked-{}", self.next_id + 1));
                plan.header.reply = Some(reply);
                plan
            }
        };
        self.next_id += 1;
        self.recordings.push(ActiveRecording::new(self.next_id, plan, &self.rings));
    }

    fn plan_of_alert(&self, alert: &Alert, name: String) -> RecordingPlan {
        let settings = &self.recorder.settings;
        let oldest = Timestamp(alert.time.0.saturating_sub(settings.ring_ns));
        let start = Timestamp(alert.began.0.saturating_sub(settings.before_ns)).max(oldest);
        let end = alert.time.plus(settings.after_ns);
        let selection = PacketSelection::of_alert(alert);
        let mut comment = RecordingComment::of_alert(alert);
        comment.packets(&selection.describe(), start, Some(end), settings);
        self.note_missing(&mut comment, start);
        let patience = Duration::from_nanos(settings.after_ns) + END_PATIENCE;
        RecordingPlan {
            header: RecordingHeader { name, comment: comment.into_text(), on_demand: false, reply: None },
            selection,
            start,
            end,
            bytes_max: settings.recording_bytes_max,
            deadline: (!self.recorder.waits).then(|| Instant::now() + patience),
        }
    }

    fn plan_on_demand(&self, filter: Option<Box<FilterSet>>, from: Option<Timestamp>, to: Option<Timestamp>) -> RecordingPlan {
        let settings = &self.recorder.settings;
        let selection = filter.map_or(PacketSelection::All, PacketSelection::Filter);
        let latest = self.latest();
        let earliest = self.rings.iter().map(QueueRing::earliest).min().unwrap_or(latest).min(latest);
        let (start, end) = (from.unwrap_or(earliest).max(earliest), to.unwrap_or(latest).min(latest));
        let mut comment = RecordingComment::on_demand();
        comment.packets(&selection.describe(), start, Some(end), settings);
        if let Some(from) = from {
            self.note_missing(&mut comment, from);
        }
        RecordingPlan {
            header: RecordingHeader {
                name: RecordingStore::name(latest, "on-demand"),
                comment: comment.into_text(),
                on_demand: true,
                reply: None,
            },
            selection,
            start,
            end,
            bytes_max: settings.recording_bytes_max,
            deadline: Some(Instant::now()),
        }
    }

    /// Says in the comment when packets from `start` on are not in memory any more.
    fn note_missing(&self, comment: &mut RecordingComment, start: Timestamp) {
        let forgotten = self.rings.iter().filter_map(QueueRing::forgotten).max();
        if let Some(until) = forgotten.filter(|until| *until >= start) {
            comment.not_in_memory(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{FLIGHT_BOX_BYTES, FlightSender};
    use crate::flight::FlightReply;
    use netscope_backends::savefile::CaptureOrigin;
    use netscope_backends::{LinkType, Packet};
    use std::path::PathBuf;
    use std::sync::Arc;

    const BOXES: usize = 8;
    const PACKET_LEN: usize = 1000;
    const PER_BOX: usize = FLIGHT_BOX_BYTES / (PACKET_LEN + 16);

    fn recorder(directory: PathBuf, waits: bool) -> (FlightRecorder, FlightSender) {
        let settings = FlightSettings {
            directory,
            ring_ns: u64::MAX,
            boxes: BOXES,
            snaplen: PACKET_LEN,
            before_ns: 0,
            after_ns: 0,
            recording_bytes_max: u64::MAX,
            files_max: 10,
            bytes_max: u64::MAX,
            age_max: None,
            filter: None,
            origin: CaptureOrigin::default(),
        };
        let store = RecordingStore::open(&settings).expect("a directory of ours");
        let (sender, receiver) = mailbox(BOXES, FlightBox::new);
        let requests = FlightRequests::new(Arc::default(), None, false);
        let flight = FlightSender::new(sender, PACKET_LEN, 0);
        (FlightRecorder { settings, store, requests, receivers: vec![receiver], waits }, flight)
    }

    /// So many packets, numbered by their times.
    fn send(flight: &mut FlightSender, from: usize, count: usize) {
        let data = [7; PACKET_LEN];
        let packet = |time| Packet { data: &data, time: Timestamp(time as u64), wire_len: 1000, link_type: LinkType::ETHERNET };
        flight.record(&(from..from + count).map(packet).collect::<Vec<_>>(), false);
    }

    #[test]
    fn a_disk_that_stands_still_holds_up_nobody_and_makes_the_recording_incomplete() {
        let directory = tempfile::tempdir().expect("a directory");
        let (recorder, mut flight) = recorder(directory.path().to_owned(), false);
        let (writer, slow) = mailbox(2, WriteBox::new);
        let mut running = RunningRecorder::new(&recorder, writer, &|text| panic!("{text}"));
        send(&mut flight, 0, 4 * PER_BOX);
        running.receive();
        running.begin(FlightRequest::OnDemand(None));
        while running.step(false) {}
        let mut sent = 4 * PER_BOX;
        for _ in 0..40 {
            // More than the rings hold, a box at a time; each comes back.
            send(&mut flight, sent, PER_BOX);
            sent += PER_BOX;
            running.receive();
            while running.step(false) {}
        }
        assert_eq!((running.recordings.len(), running.rings[0].skipped()), (1, 0), "it waits, and no packet was left out");
        let (mut packets, mut end) = (0, None);
        while end.is_none() {
            let mut taken = slow.receive().expect("the recording goes on when there are boxes");
            packets += taken.packets.count();
            end = taken.end.take();
            slow.give_back(taken);
            while running.step(false) {}
        }
        assert_eq!(end, Some(true), "incomplete");
        assert!(packets > 0 && packets < 4 * PER_BOX as u64, "{packets}");
        assert!(running.recordings.is_empty());
    }

    #[test]
    fn recordings_at_once_are_bounded_and_those_that_find_no_place_counted() {
        let directory = tempfile::tempdir().expect("a directory");
        let (recorder, mut flight) = recorder(directory.path().to_owned(), false);
        let (writer, slow) = mailbox(1, WriteBox::new);
        let mut running = RunningRecorder::new(&recorder, writer, &|_| {});
        send(&mut flight, 0, 2 * PER_BOX);
        running.receive();
        (0..RECORDINGS_MAX + 3).for_each(|_| running.begin(FlightRequest::OnDemand(None)));
        assert_eq!((running.recordings.len(), running.counts.lost_busy), (RECORDINGS_MAX, 3));
        drop(slow);
        for _ in 0..10 {
            running.step(true);
        }
        assert!(running.recordings.is_empty(), "without a writer they end");
    }

    #[test]
    fn a_recording_that_nobody_waits_for_ends_and_leaves_no_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let (recorder, mut flight) = recorder(directory.path().to_owned(), false);
        let (writer, slow) = mailbox(2, WriteBox::new);
        let mut running = RunningRecorder::new(&recorder, writer, &|text| panic!("{text}"));
        send(&mut flight, 0, 4 * PER_BOX);
        running.receive();
        let ask = |running: &mut RunningRecorder<'_>| {
            let asker = Arc::new(());
            let reply = FlightReply::new(|_| panic!("nobody is told"), Arc::downgrade(&asker));
            running.begin(FlightRequest::Asked(FlightQuestion { filter: None, from: None, to: None, reply }));
            asker
        };
        let asker = ask(&mut running);
        while running.step(false) {}
        assert_eq!(running.recordings.len(), 1, "it waits for boxes of the writer");
        drop(asker);
        drop(ask(&mut running));
        assert_eq!(running.recordings.len(), 2, "one that the writer knows and one that it does not");
        running.step(false);
        assert_eq!(running.recordings.len(), 1);
        let writing = RecordingWriter {
            store: recorder.store.clone(),
            origin: CaptureOrigin::default(),
            snaplen: 0,
            notice: &|text| panic!("{text}"),
        };
        let counts = thread::scope(|scope| {
            let writing = scope.spawn(|| writing.serve(&slow));
            while !running.recordings.is_empty() {
                running.step(false);
                thread::sleep(SLEEP);
            }
            drop(running);
            writing.join().expect("no panic")
        });
        assert_eq!((counts.recordings, counts.lost_disk), (0, 0), "{counts:?}");
        assert_eq!(std::fs::read_dir(directory.path()).expect("ours").count(), 0);
    }

    #[test]
    fn everything_sent_before_the_end_is_in_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let (recorder, mut flight) = recorder(directory.path().to_owned(), true);
        send(&mut flight, 1, 3 * PER_BOX);
        flight.finish();
        drop(flight);
        recorder.requests.finish();
        assert!(recorder.requests.ask(FlightRequest::OnDemand(None), false));
        let counts = recorder.run(&|_| {});
        // The request came before the packets were taken, so what is in memory then is not known: nothing, or a part.
        assert_eq!((counts.recordings, counts.incomplete, counts.packets_skipped), (1, 0, 0), "{counts:?}");
    }
}
