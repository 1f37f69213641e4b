//! What the page knows of the run: the latest report, alerts, sampled packets, rates, and whom to ask for more.
//!
//! Owns the shared state. Knows no request. Invariants: who brings something waits for no client; all that is kept is bounded.

use super::alert_store::AlertStore;
use super::asking::AnswerCache;
use super::downloads::Downloads;
use super::frames::frame_message;
use super::history_kept::HistoryKept;
use super::metrics::RttSum;
use super::mute_book::MuteBook;
use super::packet_store::{PacketSampler, PacketStore};
use super::page_output::PageOutput;
use super::process::ProcessorShare;
use super::rates::FlowRates;
use super::setup::{PageFacts, PageHooks, PageSettings, boot_id};
use super::tick::{TickParts, tick_object};
use super::unix::seconds;
use super::window::{LastMinute, note_report};
use super::{error::ApiError, error::ErrorCode, ledger_json};
use crate::aggregate::{MuteRule, Report, Summary, Table};
use crate::dashboard::PageFrame;
use crate::detect::Alert;
use serde_json::Value;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// Heavy work (sorting, dissection, large answers) at once.
const HEAVY_MAX: usize = 2;
/// Requests that may wait for it; more are answered busy.
const HEAVY_WAITING_MAX: usize = 64;
/// Talkers and services are summed up anew after this time.
const MINUTE_FRESH: Duration = Duration::from_millis(500);

/// The shared state.
pub struct Board {
    /// How much is shown and kept.
    pub settings: PageSettings,
    /// What does not change.
    pub facts: PageFacts,
    /// Whom to ask.
    pub hooks: PageHooks,
    /// Names this run.
    pub boot_id: String,
    /// Sampled packets.
    pub packets: Arc<PacketStore>,
    /// The history as it was told last.
    pub history: Arc<HistoryKept>,
    /// Answers about flows.
    pub answers: AnswerCache,
    /// Downloads under way.
    pub downloads: Downloads,
    live: Mutex<LiveState>,
    alerts: Mutex<AlertStore>,
    mutes: Mutex<MuteBook>,
    rtt_sum: Mutex<RttSum>,
    frames: watch::Sender<Arc<PageFrame>>,
    /// Clients that look. Relaxed: a frame more or less is nothing. Written by `set_lookers`, read by `note_report`.
    lookers: AtomicUsize,
    end: OnceLock<Arc<(Table, Summary)>>,
    heavy: Arc<Semaphore>,
    heavy_waiting: Arc<Semaphore>,
}

/// What changes with each tick.
struct LiveState {
    report: Option<Arc<Report>>,
    before: Option<Arc<Report>>,
    rates: FlowRates,
    minute: LastMinute,
    minute_values: Option<(Instant, [Value; 4])>,
    lost: u64,
    last_loss: Option<f64>,
    frame_seq: u64,
    /// The tick that the latest frame had.
    tick: Value,
    /// The change of the alerts that the latest frame had.
    alert_change: u64,
    cpu: ProcessorShare,
    /// Of the latest tick.
    cpu_share: Option<f64>,
    has_ended: bool,
}

impl Board {
    /// Of a run that has not begun.
    ///
    /// # Errors
    /// When the system gives no random bits.
    pub fn new(settings: PageSettings, facts: PageFacts, hooks: PageHooks) -> io::Result<Arc<Self>> {
        let packets = Arc::new(PacketStore::new(settings.packet_buffer, settings.payload_bytes));
        let live = LiveState {
            report: None,
            before: None,
            rates: FlowRates::default(),
            minute: LastMinute::default(),
            minute_values: None,
            lost: 0,
            last_loss: None,
            frame_seq: 0,
            tick: Value::Null,
            alert_change: 0,
            cpu: ProcessorShare::new(),
            cpu_share: None,
            has_ended: false,
        };
        Ok(Arc::new(Self {
            mutes: Mutex::new(MuteBook::new(facts.config_mutes.clone())),
            settings,
            facts,
            hooks,
            boot_id: boot_id()?,
            packets,
            history: Arc::default(),
            answers: AnswerCache::default(),
            downloads: Downloads::default(),
            live: Mutex::new(live),
            alerts: Mutex::default(),
            rtt_sum: Mutex::default(),
            frames: watch::Sender::default(),
            lookers: AtomicUsize::new(0),
            end: OnceLock::new(),
            heavy: Arc::new(Semaphore::new(HEAVY_MAX)),
            heavy_waiting: Arc::new(Semaphore::new(HEAVY_WAITING_MAX)),
        }))
    }

    /// What is given to the run as an output: it brings reports, alerts, the history and the table at the end.
    pub fn output(self: &Arc<Self>) -> PageOutput {
        PageOutput::new(Arc::clone(self))
    }

    /// What is given to the run as a consumer of sampled packets.
    pub fn sampler(&self) -> PacketSampler {
        PacketSampler(Arc::clone(&self.packets))
    }

    /// A tick is over.
    pub(super) fn note_report(&self, report: &Arc<Report>) {
        let mut live = self.live();
        let live = &mut *live;
        note_report(&mut live.rates, &mut live.minute, report, self.settings.top_count);
        let lost = ledger_json::lost_packets(&report.totals);
        if lost > live.lost {
            (live.lost, live.last_loss) = (lost, Some(seconds(report.time)));
        }
        live.before = live.report.replace(Arc::clone(report));
        live.cpu_share = live.cpu.next();
        self.make_frame(live);
    }

    /// An alert was told.
    pub(super) fn note_alert(&self, alert: &Alert) {
        self.alerts().note(alert);
    }

    /// The run is over.
    pub(super) fn note_end(&self, end: &Arc<(Table, Summary)>) {
        let mut live = self.live();
        live.has_ended = true;
        live.rates.end();
        // The totals of the end are in no tick; a run of less than a tick has no report.
        let report = live.report.take().map(|report| (*report).clone()).unwrap_or_default();
        let totals = end.1.clone();
        let (packets_total, bytes_total) = (totals.ledger.packets, totals.ledger.bytes);
        live.report = Some(Arc::new(Report { totals, packets_total, bytes_total, active_flows: 0, ..report }));
        if self.leaves_table() {
            // Set once, as a run ends once.
            let _ = self.end.set(Arc::clone(end));
        }
        self.answers.forget();
        self.make_frame(&mut live);
    }

    /// At the end of the run there will be a table of all flows.
    pub fn leaves_table(&self) -> bool {
        self.settings.has_history && self.facts.source.is_file
    }

    /// The table of all flows, once the run is over, where it is kept.
    pub fn end(&self) -> Option<&Arc<(Table, Summary)>> {
        self.end.get()
    }

    /// Clients that look; the first one gets a frame at once.
    pub fn set_lookers(&self, count: usize) {
        let before = self.lookers.swap(count, Ordering::Relaxed);
        if before == 0 && count > 0 {
            let mut live = self.live();
            if live.report.is_some() {
                self.make_frame(&mut live);
            }
        }
    }

    /// Frames as they are made.
    pub fn frames(&self) -> watch::Receiver<Arc<PageFrame>> {
        self.frames.subscribe()
    }

    /// Makes a frame of the latest report; an empty one where nobody looks.
    fn make_frame(&self, live: &mut LiveState) {
        live.frame_seq += 1;
        let seq = live.frame_seq;
        if self.lookers.load(Ordering::Relaxed) == 0 {
            self.frames.send_replace(Arc::new(PageFrame { seq, ..PageFrame::default() }));
            return;
        }
        self.history.ask(&self.hooks.questions);
        let Some(tick) = self.tick_of(live) else { return };
        let (changed, left_out) = {
            let alerts = self.alerts();
            let changed = alerts.changed_since(live.alert_change, super::frames::ALERTS_MAX);
            live.alert_change = alerts.changes();
            changed
        };
        let alerts = changed.iter().map(|alert| alert.object(self.settings.records.community_id_seed)).collect();
        let json = frame_message(seq, &tick, alerts, left_out);
        live.tick = tick;
        self.frames.send_replace(Arc::new(PageFrame { seq, json }));
    }

    /// The tick as it is now; `None` before the first report.
    pub fn tick(&self) -> Option<Value> {
        self.tick_of(&mut self.live())
    }

    fn tick_of(&self, live: &mut LiveState) -> Option<Value> {
        let report = Arc::clone(live.report.as_ref()?);
        let minute = match &live.minute_values {
            Some((made, values)) if made.elapsed() < MINUTE_FRESH && !live.has_ended => values.clone(),
            _ => {
                let (minute, history) = (&live.minute, self.history.latest());
                let rtt = minute.rtt(history.as_deref(), report.time);
                let values = [minute.talkers(), minute.services(), rtt, minute.retransmissions()];
                live.minute_values = Some((Instant::now(), values.clone()));
                values
            }
        };
        let alerts = self.alerts();
        let parts = TickParts {
            report: &report,
            before: live.before.as_deref(),
            frame_seq: live.frame_seq,
            has_ended: live.has_ended,
            last_loss: live.last_loss,
            minute,
            alerts: (alerts.open(), alerts.began_on(report.time)),
            cpu_share: live.cpu_share,
        };
        Some(tick_object(&self.facts, parts, self.settings.top_n))
    }

    /// The latest report; `None` before the first.
    pub fn report(&self) -> Option<Arc<Report>> {
        self.live().report.clone()
    }

    /// True once the source has ended.
    pub fn has_ended(&self) -> bool {
        self.live().has_ended
    }

    /// When a packet was lost last, in Unix seconds.
    pub fn last_loss(&self) -> Option<f64> {
        self.live().last_loss
    }

    /// Looks at the rates of flows.
    pub fn with_rates<T>(&self, look: impl FnOnce(&FlowRates) -> T) -> T {
        look(&self.live().rates)
    }

    /// The alerts.
    pub fn alerts(&self) -> MutexGuard<'_, AlertStore> {
        // Nothing that is done under this lock, or the others, leaves it half done.
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mute rules.
    pub fn mutes(&self) -> MutexGuard<'_, MuteBook> {
        self.mutes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configuration was read again, with these mute rules. Whoever reads it tells the judge by itself.
    pub fn set_config_mutes(&self, rules: Vec<MuteRule>) {
        self.mutes().set_config(rules);
    }

    /// Round trips since the start.
    pub fn rtt_sum(&self) -> MutexGuard<'_, RttSum> {
        self.rtt_sum.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Clients that look.
    pub fn lookers(&self) -> usize {
        self.lookers.load(Ordering::Relaxed)
    }

    fn live(&self) -> MutexGuard<'_, LiveState> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does heavy work on a thread that may wait, a few at a time. Work that began goes on where its client leaves, and keeps its place.
    ///
    /// # Errors
    /// Busy, when too many wait, or what the work says.
    pub async fn heavy<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let busy = || ApiError::new(ErrorCode::Busy, "too many large answers are asked for at once; ask again in a second");
        let waiting = Arc::clone(&self.heavy_waiting).try_acquire_owned().map_err(|_| busy())?;
        let place = Arc::clone(&self.heavy).acquire_owned().await.map_err(|_| busy())?;
        let working = move || {
            let _places = (waiting, place);
            work()
        };
        let done = tokio::task::spawn_blocking(working).await;
        done.unwrap_or_else(|_| Err(ApiError::new(ErrorCode::Unavailable, "the answer could not be put together")))
    }
}
