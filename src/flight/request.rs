//! What the flight recorder is asked for, by alerts and by people, and how far the judging of evidence is.
//!
//! Owns the bounded queue of requests. Knows no packet. Invariant: who asks waits for nothing on a wire; a request that
//! finds no room is refused and counted.

use super::RecordingStore;
use crate::detect::{Alert, AlertPhase};
use crate::engine::Parker;
use crossbeam_queue::ArrayQueue;
use netscope_backends::Timestamp;
use netscope_backends::filter::FilterSet;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Duration;

/// Requests that may wait.
const REQUESTS_MAX: usize = 64;
/// Between two looks for room, where the source waits.
const LOOK: Duration = Duration::from_millis(1);

/// Something to be recorded.
#[derive(Debug)]
pub enum FlightRequest {
    /// An alert began: what concerns it, to a file of this name.
    Alert(Box<Alert>, String),
    /// Everything in memory that matches; all without a filter.
    OnDemand(Option<Box<FilterSet>>),
    /// The same of a span of time, for somebody who waits for the file.
    Asked(FlightQuestion),
}

/// Which packets in memory somebody wants, and who is told of the file.
#[derive(Debug)]
pub struct FlightQuestion {
    /// Those that match; all packets without one. The recorder's thread compiles it for the link types of packets that the filter was
    /// not compiled for: one from elsewhere is of [`FilterSet::without_names`], so that the recorder never waits for a name server.
    pub filter: Option<Box<FilterSet>>,
    /// Packets from this time on; the oldest without one.
    pub from: Option<Timestamp>,
    /// Packets up to this time; the latest without one. Later ones than there are now are not waited for.
    pub to: Option<Timestamp>,
    /// Told of the file, which is the asker's then: it counts for no bound of the store and is deleted by nobody else.
    pub reply: FlightReply,
}

/// Takes the path of a complete recording, or why there is none; called once, from a thread of the recorder's, so it must be quick.
/// Dropped without a call where the recording is lost, or nobody waits for it any more.
pub struct FlightReply {
    tell: Box<dyn FnOnce(Result<PathBuf, String>) + Send>,
    asker: Weak<()>,
}

impl FlightReply {
    /// One that calls this. Without whoever holds `asker`, the recording ends and leaves no file.
    pub fn new(tell: impl FnOnce(Result<PathBuf, String>) + Send + 'static, asker: Weak<()>) -> Self {
        Self { tell: Box::new(tell), asker }
    }

    /// Tells.
    pub(super) fn tell(self, result: Result<PathBuf, String>) {
        (self.tell)(result);
    }

    /// Gone with whoever waits.
    pub(super) const fn asker(&self) -> &Weak<()> {
        &self.asker
    }

    /// True while somebody waits.
    pub(super) fn is_wanted(&self) -> bool {
        self.asker.strong_count() > 0
    }
}

impl fmt::Debug for FlightReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FlightReply")
    }
}

#[derive(Debug)]
struct SharedRequests {
    queue: ArrayQueue<FlightRequest>,
    /// Set by a signal, Relaxed: it carries no data. Read and cleared in [`FlightRequests::take`].
    signal: Arc<AtomicBool>,
    /// What a signal asks for.
    signal_filter: Option<Box<FilterSet>>,
    /// Evidence up to this packet time was judged. Stored (Release) by [`FlightRequests::note_judged`] after the alerts of
    /// that time were queued, loaded (Acquire) by [`FlightRequests::judged`] before requests are taken.
    judged: AtomicU64,
    /// Stored (Release) by [`FlightRequests::finish`], loaded (Acquire) by [`FlightRequests::is_finished`]: what was asked
    /// before is in the queue then.
    finished: AtomicBool,
    /// Nobody takes requests any more. Stored (Release) when the recorder ends, whatever the reason, loaded (Acquire) by those who wait for room.
    gone: AtomicBool,
    /// Requests without room. Relaxed: a number alone.
    refused: AtomicU64,
    recorder: OnceLock<Arc<Parker>>,
}

/// By which recordings are asked for; shared by all who ask and the recorder.
#[derive(Clone, Debug)]
pub struct FlightRequests(Arc<SharedRequests>);

impl FlightRequests {
    /// Requests also come by a flag that a signal sets; such a one is for what matches `signal_filter`. `judges`: alerts may come.
    pub fn new(signal: Arc<AtomicBool>, signal_filter: Option<Box<FilterSet>>, judges: bool) -> Self {
        Self(Arc::new(SharedRequests {
            queue: ArrayQueue::new(REQUESTS_MAX),
            signal,
            signal_filter,
            judged: AtomicU64::new(if judges { 0 } else { u64::MAX }),
            finished: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            recorder: OnceLock::new(),
        }))
    }

    /// Asks for a recording; false when too many requests wait. `may_wait`: for room.
    pub fn ask(&self, request: FlightRequest, may_wait: bool) -> bool {
        if self.0.gone.load(Ordering::Acquire) {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let mut refused = self.0.queue.push(request);
        while let Err(request) = refused {
            if !may_wait || self.0.gone.load(Ordering::Acquire) {
                self.0.refused.fetch_add(1, Ordering::Relaxed);
                return false;
            }
            self.wake();
            thread::sleep(LOOK);
            refused = self.0.queue.push(request);
        }
        self.wake();
        true
    }

    /// Nobody takes requests any more.
    pub(super) fn leave(&self) {
        self.0.gone.store(true, Ordering::Release);
    }

    fn wake(&self) {
        if let Some(recorder) = self.0.recorder.get() {
            recorder.wake();
        }
    }

    /// Evidence up to this packet time was judged, and the alerts of that were asked for.
    pub fn note_judged(&self, time: Timestamp) {
        self.0.judged.fetch_max(time.0, Ordering::Release);
    }

    /// No more alerts come.
    pub fn finish(&self) {
        self.0.finished.store(true, Ordering::Release);
        self.wake();
    }

    /// Who is to be woken by requests.
    pub(super) fn set_recorder(&self, recorder: &Arc<Parker>) {
        self.0.recorder.get_or_init(|| Arc::clone(recorder));
    }

    pub(super) fn judged(&self) -> Timestamp {
        Timestamp(self.0.judged.load(Ordering::Acquire))
    }

    pub(super) fn is_finished(&self) -> bool {
        self.0.finished.load(Ordering::Acquire)
    }

    pub(super) fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// The next request.
    pub(super) fn take(&self) -> Option<FlightRequest> {
        if self.0.signal.load(Ordering::Relaxed) && self.0.signal.swap(false, Ordering::Relaxed) {
            return Some(FlightRequest::OnDemand(self.0.signal_filter.clone()));
        }
        self.0.queue.pop()
    }
}

/// Asks for a recording of each alert, and knows its file while the alert goes on.
pub struct AlertRecordings {
    requests: FlightRequests,
    store: RecordingStore,
    /// True where the source waits, so that an alert does, too.
    waits: bool,
    /// Of alerts under way, which detectors bound, the file.
    live: RefCell<BTreeMap<String, String>>,
}

impl AlertRecordings {
    /// Of no alert yet.
    pub const fn new(requests: FlightRequests, store: RecordingStore, waits: bool) -> Self {
        Self { requests, store, waits, live: RefCell::new(BTreeMap::new()) }
    }

    /// As [`FlightRequests::note_judged`].
    pub fn note_judged(&self, time: Timestamp) {
        self.requests.note_judged(time);
    }

    /// An alert is told: one that begins is recorded. The file of its recording, if there is to be one.
    pub fn note(&self, alert: &Alert) -> Option<String> {
        match alert.phase {
            AlertPhase::Begin => {
                let name = RecordingStore::name(alert.time, &alert.key);
                let path = self.store.path(&name).display().to_string();
                if !self.requests.ask(FlightRequest::Alert(Box::new(alert.clone()), name), self.waits) {
                    return None;
                }
                self.live.borrow_mut().insert(alert.key.clone(), path.clone());
                Some(path)
            }
            AlertPhase::Update => self.live.borrow().get(&alert.key).cloned(),
            AlertPhase::End(_) => self.live.borrow_mut().remove(&alert.key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netscope_backends::LinkType;

    #[test]
    fn requests_are_bounded_and_a_signal_is_one_request() {
        let signal = Arc::new(AtomicBool::new(false));
        let tcp = FilterSet::new("tcp", LinkType::ETHERNET).expect("a filter");
        let requests = FlightRequests::new(Arc::clone(&signal), Some(Box::new(tcp)), false);
        assert!(requests.take().is_none() && requests.judged() == Timestamp(u64::MAX));
        let asked = (0..REQUESTS_MAX + 3).filter(|_| requests.ask(FlightRequest::OnDemand(None), false)).count();
        assert_eq!((asked, requests.refused()), (REQUESTS_MAX, 3));
        signal.store(true, Ordering::Relaxed);
        assert!(matches!(requests.take(), Some(FlightRequest::OnDemand(Some(filter))) if filter.expression() == "tcp"));
        assert_eq!(std::iter::from_fn(|| requests.take()).count(), REQUESTS_MAX);
        assert!(!requests.is_finished());
        requests.finish();
        assert!(requests.is_finished());
    }

    #[test]
    fn who_may_wait_is_let_in_when_there_is_room() {
        let requests = FlightRequests::new(Arc::default(), None, true);
        (0..REQUESTS_MAX).for_each(|_| assert!(requests.ask(FlightRequest::OnDemand(None), false)));
        let asking = requests.clone();
        let thread = thread::spawn(move || asking.ask(FlightRequest::OnDemand(None), true));
        while requests.0.queue.len() == REQUESTS_MAX {
            assert!(requests.take().is_some());
        }
        assert!(thread.join().expect("no panic"));
        requests.note_judged(Timestamp(7));
        requests.note_judged(Timestamp(5));
        assert_eq!(requests.judged(), Timestamp(7), "it never goes back");
    }
}
