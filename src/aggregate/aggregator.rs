//! Merges the queues, and keeps what the exports at the end need: mail goes in, events come out.
//!
//! Owns the merged totals and the retained records. Knows no thread, no mailbox, no output and no clock: the
//! caller brings the time. Invariant: where the source waits, the events depend on what each queue sent
//! alone, not on when it arrived.

use super::address_names::AddressBook;
use super::alerting::{Alerting, AlertingSettings};
use super::announced::AnnouncementBook;
use super::answers::Answers;
use super::bursts::{BurstJudging, Bursts};
use super::finding::FlowSearch;
use super::history::{History, HistorySnapshot};
use super::join::join_halves;
use super::judging::{FOREVER, JudgeSettings, Judging};
use super::merge::{Arrivals, Ended, Inbox, Patience, least_through, least_tick, next_tick, settle, sort_settled};
use super::order::largest_first;
use super::recent::RecentEnded;
use super::records::{RecordPlace, Records};
use super::selection::FlowSelection;
use super::told::ToldFacts;
use super::{DetectionCounts, FlowsFound, LiveTable, QueueReport, RecordBatch, Report, Summary, Table};
use crate::detect::Alert;
use crate::engine::{EndedChunk, EvidenceBox, FlowAnswer, Ledger, Snapshot};
use crate::flow::{KeyScope, TopFlow};
use netscope_backends::{Counters, Timestamp};
use std::ops::BitOr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Most records in one [`Event::Ended`].
const RECORDS_PER_EVENT: usize = 256;

/// How to aggregate.
#[derive(Clone, Debug)]
pub struct AggregateSettings {
    /// Length of a tick in ns.
    pub tick_ns: u64,
    /// Top flows per report.
    pub top_count: usize,
    /// Flows that ended, the latest, which the table exports hold besides the live ones.
    pub export_ended_max: usize,
    /// What tells two flows with the same 5-tuple apart.
    pub flow_key: KeyScope,
    /// How evidence is judged; `None` = none comes.
    pub judge: Option<JudgeSettings>,
    /// How microbursts are judged; `None` = they are not measured.
    pub microbursts: Option<BurstJudging>,
    /// What is done with alerts.
    pub alerting: AlertingSettings,
    /// Which flows outputs get, as they end and in tables; `None`: all.
    pub selection: Option<Arc<FlowSelection>>,
    /// Names of addresses, as DNS answers told them, that are kept for flows without a name; 0: none.
    pub address_names_max: usize,
}

/// What outputs want to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// The table of all flows at the end.
    pub table: bool,
    /// Every flow as it ends.
    pub ended: bool,
    /// A report per tick.
    pub reports: bool,
    /// The table of all flows while the run goes on, when somebody asks for it.
    pub live_table: bool,
    /// Alerts.
    pub alerts: bool,
    /// The history, at the end and when somebody asks for it.
    pub history: bool,
    /// Flows that ended lately, for questions.
    pub recent: bool,
}

impl Wants {
    /// Flows that ended are kept, the latest of them.
    fn keeps_ended(self) -> bool {
        self.table || self.recent
    }

    /// Somebody sees flows in the order in which they ended.
    fn wants_order(self) -> bool {
        self.ended || self.history || self.recent
    }
}

impl BitOr for Wants {
    type Output = Self;

    /// What one of two wants.
    fn bitor(self, other: Self) -> Self {
        Self {
            table: self.table || other.table,
            ended: self.ended || other.ended,
            reports: self.reports || other.reports,
            live_table: self.live_table || other.live_table,
            alerts: self.alerts || other.alerts,
            history: self.history || other.history,
            recent: self.recent || other.recent,
        }
    }
}

/// The queues that send mail.
#[derive(Clone, Copy, Debug)]
pub struct QueueSetup {
    /// How many.
    pub count: u16,
    /// True when the packets of one flow may come on several of them.
    pub may_be_split: bool,
    /// True when the source waits for us (a file): then every queue is waited for, too.
    pub waits: bool,
}

/// What a queue sends.
pub enum Mail<'a> {
    /// Its totals at the end of a tick.
    Snapshot(&'a Snapshot),
    /// Flows that ended; the box is emptied.
    Ended(&'a mut EndedChunk),
    /// Live flows that were asked for; the box is emptied.
    Answer(&'a mut FlowAnswer),
    /// What its detectors gathered in a bin; taken out of the box.
    Evidence(&'a mut EvidenceBox),
    /// Nothing more.
    End,
}

/// What the aggregator tells.
pub enum Event {
    /// Flows that ended, in order.
    Ended(RecordBatch),
    /// A tick is complete.
    Report(Box<Report>),
    /// Detectors found something.
    Alert(Box<Alert>),
    /// What the history says when the run is over.
    History(Box<HistorySnapshot>),
    /// The flows that were asked for.
    Found(Box<FlowsFound>),
    /// All flows as they are now, as [`Event::End`] would have them; made by whoever needs it first.
    Table(LiveTable),
    /// Too many flows ended before every queue had answered: there will be no answer to what was asked.
    GivenUp,
    /// The run is over: all flows, most bytes first (none unless wanted), and everything that was counted. The last event.
    End(Box<(Table, Summary)>),
}

/// Merges queues into reports.
pub struct Aggregator {
    settings: AggregateSettings,
    wants: Wants,
    inboxes: Vec<Inbox>,
    /// `None` where every queue is waited for.
    patience: Option<Patience>,
    /// Records under way, and those for the table exports.
    records: Records,
    /// Names of addresses; `None` where none are kept.
    names: Option<AddressBook>,
    announced: AnnouncementBook,
    /// What workers were told of both.
    told: Option<Arc<ToldFacts>>,
    /// Live flows of tables whose facts found no room. Added to and read (Relaxed): a count alone.
    live_facts_left_out: Arc<AtomicU64>,
    /// Ended flows that are being passed on, from `passed` on.
    settled: Vec<Ended>,
    passed: usize,
    /// Places of the records for the table exports; kept only when an output wants them.
    shown: Vec<RecordPlace>,
    /// The queue of each of them; `None` where no flow can be split over queues.
    shown_queues: Option<Vec<u16>>,
    /// Flows that ended before the exit, for the table exports.
    recent: RecentEnded,
    summary: Summary,
    /// The question under way.
    answers: Option<Answers>,
    /// What was found so far, when all queues have answered.
    finding: Option<Box<FlowSearch>>,
    alerting: Alerting,
    judging: Option<Judging>,
    bursts: Option<Bursts>,
    /// `None` unless an output wants it; taken at the end.
    history: Option<History>,
    /// Tick and time of the latest report.
    reported: Option<(u64, Timestamp)>,
    has_ended: bool,
}

impl Aggregator {
    /// An aggregator over these queues, that start `now`.
    pub fn new(mut settings: AggregateSettings, wants: Wants, queues: QueueSetup, now: Instant) -> Self {
        let bursts = settings.microbursts.take().map(|judging| Bursts::new(judging, settings.tick_ns));
        // They are judged when a tick is reported, whoever reads that.
        let wants = Wants { reports: wants.reports || bursts.is_some() || wants.history, ..wants };
        let recent = RecentEnded::new(settings.export_ended_max, wants.wants_order());
        let judging = settings.judge.take().map(|judge| Judging::new(judge, queues.count));
        // A queue that gathers evidence is heard of at each bin's end, too.
        let heard_ns = judging.as_ref().map_or(settings.tick_ns, |judging| judging.bin_ns().min(settings.tick_ns));
        Self {
            inboxes: (0..queues.count).map(|index| Inbox::new(index, settings.top_count, now).with_waits(queues.waits)).collect(),
            patience: (!queues.waits).then(|| Patience::new(heard_ns)),
            alerting: Alerting::new(std::mem::take(&mut settings.alerting)),
            judging,
            bursts,
            history: wants.history.then(|| History::new(settings.tick_ns)),
            names: AddressBook::new(settings.address_names_max),
            announced: AnnouncementBook::default(),
            told: None,
            settings,
            wants,
            records: Records::default(),
            live_facts_left_out: Arc::default(),
            settled: Vec::new(),
            passed: 0,
            shown: Vec::new(),
            shown_queues: queues.may_be_split.then(Vec::new),
            recent,
            summary: Summary::default(),
            answers: None,
            finding: None,
            reported: None,
            has_ended: false,
        }
    }

    /// True when a snapshot of this queue may be given now. False until slower queues have caught up.
    pub fn takes_snapshot(&self, queue: usize) -> bool {
        self.inboxes[queue].takes_snapshot()
    }

    /// The same for ended flows.
    pub fn takes_ended(&self, queue: usize) -> bool {
        self.inboxes[queue].takes_ended(least_through(&self.inboxes))
    }

    /// The same for evidence.
    pub fn takes_evidence(&self, queue: usize) -> bool {
        self.judging.as_ref().is_some_and(|judging| judging.takes(queue))
    }

    /// All alerts of the evidence up to this packet time were given, once [`Aggregator::poll`] gives no event.
    pub fn judged(&self) -> Option<Timestamp> {
        match &self.judging {
            Some(judging) => judging.judged(),
            None => self.bursts.as_ref().and_then(Bursts::judged),
        }
    }

    /// Takes what a queue sent, `now` that it arrives.
    pub fn accept(&mut self, queue: usize, mail: Mail<'_>, now: Instant) {
        let inbox = &mut self.inboxes[queue];
        match mail {
            Mail::Snapshot(snapshot) => inbox.accept_snapshot(snapshot, now),
            Mail::Ended(ended) => {
                if let Some(answers) = &mut self.answers {
                    answers.note_ended(inbox.index(), ended);
                }
                let unordered = self.wants.table && !self.wants.wants_order() && self.shown_queues.is_none();
                let alive = unordered.then_some(&mut self.shown);
                let Self { records, announced, .. } = self;
                let names = self.names.as_mut();
                inbox.accept_ended(ended, &mut Arrivals { records, alive, names, announced }, now);
            }
            Mail::Answer(answer) => match &mut self.answers {
                Some(answers) => answers.accept(inbox.index(), answer),
                None => answer.clear(),
            },
            Mail::Evidence(evidence) => {
                inbox.hear(now);
                if let Some(judging) = &mut self.judging {
                    judging.accept(queue, evidence);
                }
            }
            Mail::End => inbox.accept_end(now),
        }
    }

    /// True when this queue's end was accepted.
    pub fn is_finished(&self, queue: usize) -> bool {
        self.inboxes[queue].is_finished()
    }

    /// True when no queue that is waited for has packets any more: only one that is silent can lose something by our waiting.
    pub fn is_ending(&self) -> bool {
        least_through(&self.inboxes) == u64::MAX
    }

    /// The next event by `now`, if any; called until there is none, after each time something was accepted and, on a wire, about
    /// every tick.
    pub fn poll(&mut self, now: Instant) -> Option<Event> {
        // A queue of which nobody wants anything until the end says nothing until then.
        let is_awaited = self.wants.reports || self.wants.ended || self.judging.is_some();
        if let Some(patience) = self.patience.filter(|_| is_awaited) {
            patience.mark_silent(&mut self.inboxes, now);
        }
        if let Some(alert) = self.next_alert() {
            self.history.iter_mut().for_each(|history| history.note_alert(&alert));
            return Some(Event::Alert(Box::new(alert)));
        }
        loop {
            if self.passed == self.settled.len() && !self.settle() {
                break;
            }
            let records = self.pass_ended();
            if !records.is_empty() {
                return Some(Event::Ended(records));
            }
        }
        while let Some(tick) = next_tick(&mut self.inboxes, self.reported.map(|(tick, _)| tick)) {
            if let Some(report) = self.report(tick) {
                return Some(Event::Report(Box::new(report)));
            }
        }
        if self.has_ended || !self.inboxes.iter().all(Inbox::is_done) {
            return self.poll_answers();
        }
        if let Some(history) = self.history.take() {
            return Some(Event::History(Box::new(history.snapshot())));
        }
        self.has_ended = true;
        Some(Event::End(Box::new(self.finish())))
    }

    /// The next alert that is not muted, if any.
    fn next_alert(&mut self) -> Option<Alert> {
        if let (Some(detection), Some(judging)) = (self.alerting.reload(), &mut self.judging) {
            judging.reload(&detection);
        }
        loop {
            let alert = self.next_judged()?;
            if !self.alerting.mutes(&alert) {
                return Some(alert);
            }
        }
    }

    /// The next alert, muted or not. Where the source waits, alerts of bins and of ticks have one order, by when these end.
    fn next_judged(&mut self) -> Option<Alert> {
        let Self { judging, bursts, inboxes, .. } = self;
        let Some(bursts) = bursts else { return judging.as_mut()?.poll(inboxes, FOREVER) };
        let least = least_tick(inboxes);
        let (is_over, has_order) = (least == u64::MAX, self.patience.is_none());
        let horizon = if is_over || !has_order {
            FOREVER
        } else {
            Timestamp(least.saturating_add(1).saturating_mul(self.settings.tick_ns))
        };
        let limit = if has_order { bursts.next_time().unwrap_or(horizon) } else { FOREVER };
        if let Some(judging) = judging {
            if let Some(alert) = judging.poll(inboxes, limit) {
                return Some(alert);
            }
            if (has_order || is_over) && !judging.has_passed(inboxes, limit) {
                return None;
            }
        }
        bursts.poll(is_over)
    }

    /// Finds the ended flows whose place in the order is settled by now; false when there is none.
    fn settle(&mut self) -> bool {
        self.settled.clear();
        self.passed = 0;
        settle(&mut self.inboxes, &mut self.settled);
        let ended_count = self.settled.iter().filter(|flow| !flow.alive).count();
        // The table is sorted at the end, so this order matters only to those who see it, and to which ones are left out.
        let some_go = self.wants.keeps_ended() && self.recent.needs_order(ended_count, &self.records);
        if self.wants.wants_order() || some_go {
            sort_settled(&mut self.settled, &self.records);
        }
        self.name_settled();
        !self.settled.is_empty()
    }

    /// Passes settled flows on: to the table, and as records to the outputs that want them. All of them, or
    /// as many as go into one event.
    fn pass_ended(&mut self) -> RecordBatch {
        let left = self.settled.get(self.passed..).unwrap_or_default();
        let next = if self.wants.ended { left.get(..RECORDS_PER_EVENT).unwrap_or(left) } else { left };
        let mut told = RecordBatch::with_capacity(if self.wants.ended { next.len() } else { 0 });
        for flow in next {
            if let Some(history) = &mut self.history {
                history.note_ended(&self.records.get(flow.place));
            }
            let is_selected =
                self.settings.selection.as_ref().is_none_or(|selection| selection.has_at(&self.records, flow.place));
            if self.wants.ended && is_selected {
                told.push(self.records.get(flow.place), self.records.facts(flow.place));
            }
            self.summary.unselected.ended += u64::from(self.wants.ended && !is_selected);
            let Wants { table, recent, .. } = self.wants;
            let left_out = match flow.alive {
                // Halves are judged when they are joined.
                false if table && !is_selected && self.shown_queues.is_none() => {
                    self.summary.unselected.table += 1;
                    Some(*flow)
                }
                false if table || recent => {
                    let left_out = self.recent.push(*flow);
                    self.summary.export_left_out += u64::from(table && left_out.is_some());
                    left_out
                }
                false => Some(*flow),
                true if !table => Some(*flow),
                true => {
                    self.shown.push(flow.place);
                    self.shown_queues.iter_mut().for_each(|queues| queues.push(flow.queue));
                    None
                }
            };
            if let Some(flow) = left_out {
                self.records.remove(flow.place);
            }
        }
        self.passed += next.len();
        told
    }

    /// A tick is complete on all queues that are waited for.
    fn report(&mut self, tick: u64) -> Option<Report> {
        if !self.wants.reports {
            self.reported = Some((tick, Timestamp(0)));
            return None;
        }
        let before = (self.summary.ledger, self.summary.source);
        self.sum_up();
        let time = self.inboxes.iter().map(|inbox| inbox.merged.time).max()?;
        let interval_ns = self.reported.map_or(self.settings.tick_ns, |(_, last)| time.since(last)).max(1);
        self.reported = Some((tick, time));
        let microbursts = self.bursts.as_mut().map_or_else(Vec::new, |bursts| bursts.report(&self.inboxes, time, interval_ns));
        let (ledger, source) = (&self.summary.ledger, &self.summary.source);
        let skipped = |ledger: &Ledger, source: &Counters| source.skipped + ledger.taps_skipped + ledger.records_skipped;
        let report = Report {
            tick: self.inboxes.iter().map(|inbox| inbox.merged.tick).max().unwrap_or(0),
            time,
            interval_ns,
            packets: ledger.packets.saturating_sub(before.0.packets),
            bytes: ledger.bytes.saturating_sub(before.0.bytes),
            packets_total: ledger.packets,
            bytes_total: ledger.bytes,
            directions: std::array::from_fn(|way| ledger.directions[way].since(before.0.directions[way])),
            active_flows: self.summary.flow_count,
            dispatch_drops: skipped(ledger, source) - skipped(&before.0, &before.1),
            dispatch_drops_total: skipped(ledger, source),
            kernel_drops: source.kernel_drops.saturating_sub(before.1.kernel_drops),
            kernel_drops_total: source.kernel_drops,
            interface_drops: source.interface_drops.saturating_sub(before.1.interface_drops),
            interface_drops_total: source.interface_drops,
            top: top(&self.inboxes, self.settings.top_count),
            microbursts,
            totals: self.summary.clone(),
            outputs: Vec::new(),
        };
        self.history.iter_mut().for_each(|history| history.note_report(&report, &self.inboxes));
        Some(report)
    }

    /// What the history says now; `None` where there is none.
    pub fn history(&self) -> Option<HistorySnapshot> {
        self.history.as_ref().map(History::snapshot)
    }

    /// Totals over all queues.
    fn sum_up(&mut self) {
        // What no queue counts stays; everything else is summed anew.
        let naming = self.names.as_ref().map(AddressBook::counts).unwrap_or_default();
        let Summary { export_left_out, unselected, .. } = self.summary;
        let queues = self.inboxes.iter().map(queue_report).collect();
        let announced = self.announced.counts();
        let mut sum = Summary { export_left_out, unselected, queues, naming, announced, ..Summary::default() };
        for inbox in &self.inboxes {
            let merged = &inbox.merged;
            sum.ledger += &merged.ledger;
            sum.source += &merged.source;
            sum.flows += &merged.flows;
            sum.flow_count += merged.flow_count;
            sum.fragments += &merged.fragments;
            sum.tcp_refused += merged.tcp_refused;
            sum.tcp_gaps_forgotten += merged.tcp_gaps_forgotten;
            sum.tcp_backward_handshakes += merged.tcp_backward_handshakes;
            sum.tcp_out_of_window += merged.tcp_out_of_window;
            sum.batches = sum.batches.with(merged.batches);
        }
        let counts = [self.judging.as_ref().map(Judging::counts), self.bursts.as_ref().map(Bursts::counts)];
        let muted = self.alerting.muted();
        let detection = counts.into_iter().flatten().reduce(DetectionCounts::with);
        sum.detection = detection.map(|counts| DetectionCounts { muted, ..counts });
        sum.mutes = self.alerting.mute_counts();
        let of_tables = self.live_facts_left_out.load(Ordering::Relaxed);
        sum.facts_left_out = sum.ledger.facts_left_out + self.records.facts_left_out() + of_tables;
        self.summary = sum;
    }

    fn finish(&mut self) -> (Table, Summary) {
        self.name_last();
        self.sum_up();
        let recent = self.recent.take();
        for flow in recent.into_iter().filter(|_| self.wants.table) {
            self.shown.push(flow.place);
            self.shown_queues.iter_mut().for_each(|queues| queues.push(flow.queue));
        }
        if let Some(queues) = &self.shown_queues {
            self.summary.flows_joined = join_halves(&mut self.records, &mut self.shown, queues, self.settings.flow_key);
            self.name_joined();
        }
        // As many as had packets to process; fewer where we are kept off most processors.
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(self.inboxes.len());
        let mut order = std::mem::take(&mut self.shown);
        if let Some(selection) = &self.settings.selection {
            self.summary.unselected.table += selection.retain(&self.records, &mut order, threads);
        }
        largest_first(&self.records, &mut order, threads);
        (Table::new(std::mem::take(&mut self.records), order), std::mem::take(&mut self.summary))
    }
}

/// The flows with the largest byte difference over all queues.
fn top(inboxes: &[Inbox], count: usize) -> Vec<TopFlow> {
    let mut top: Vec<TopFlow> = inboxes.iter().flat_map(|inbox| inbox.merged.evidence.top.iter().copied()).collect();
    TopFlow::keep_best(&mut top, count);
    top.sort_unstable_by_key(TopFlow::rank);
    top
}

fn queue_report(inbox: &Inbox) -> QueueReport {
    let Snapshot { tick, time, ledger, source, ring, flow_count, batches, busy_ns, .. } = &inbox.merged;
    QueueReport {
        queue: inbox.index(),
        tick: *tick,
        packets: ledger.packets,
        bytes: ledger.bytes,
        protocols: ledger.protocols,
        source: *source,
        flow_count: *flow_count,
        ring: *ring,
        batches: *batches,
        busy_ns: *busy_ns,
        silence_count: inbox.silence_count,
        silent_since: inbox.is_silent.then_some(*time),
    }
}

mod asking;
mod naming;

#[cfg(test)]
mod tests;
