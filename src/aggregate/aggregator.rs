//! The cold side's one thread: merges the queues, keeps what the exports at the end need, feeds the outputs.
//!
//! Owns the merged totals and the retained records. Knows no format and no socket. Invariant: an output that fails is told of
//! once, left out from then on, and never reaches a worker.

use super::join::join_halves;
use super::merge::{Arrivals, Ended, Inbox, collect, next_tick, settle, sort_settled};
use super::order::largest_first;
use super::records::{Place, Records};
use super::{Output, OutputFailure, Report, Summary, Table};
use crate::engine::{Ledger, QueueMail};
use crate::flow::TopFlow;
use netscope_backends::{Counters, Timestamp};
use std::time::Duration;

/// How long the aggregator naps when no queue had anything. Each nap in vain is twice as long as the one before.
const NAP: Duration = Duration::from_millis(1);
/// Longest nap where nobody waits for it: at a thousand naps a second it would use most of what a silent wire costs at all (1.0 % of a
/// core, 0.2 % with these). The boxes hold what ends meanwhile.
const NAP_MAX: Duration = Duration::from_millis(16);
/// The same where a reader of a file waits once all boxes are full, and the run's end for what is found here. (A silent pipe costs half a
/// percent of a core.)
const NAP_MAX_AWAITED: Duration = Duration::from_millis(2);

/// How to aggregate.
#[derive(Clone, Debug)]
pub struct AggregateSettings {
    /// Length of a tick in ns.
    pub tick_ns: u64,
    /// Top flows per report.
    pub top_count: usize,
    /// Ended flows that the table exports hold besides the live ones.
    pub export_ended_max: usize,
}

/// What the aggregator reads from.
pub struct Queues {
    /// One per worker.
    pub mail: Vec<QueueMail>,
    /// True when the packets of one flow may have come on several queues.
    pub may_be_split: bool,
    /// True when the source waits for us (a file).
    pub waits: bool,
}

/// Merges queues into reports.
pub struct Aggregator {
    settings: AggregateSettings,
    inboxes: Vec<Inbox>,
    outputs: Vec<Slot>,
    failures: Vec<OutputFailure>,
    /// Records under way, and those for the table exports.
    records: Records,
    /// Ended flows that are being passed on.
    settled: Vec<Ended>,
    /// Places of the records for the table exports; kept only when an output wants them.
    shown: Vec<Place>,
    /// The queue of each of them; `None` where no flow can be split over queues.
    shown_queues: Option<Vec<u16>>,
    wants_table: bool,
    wants_ended: bool,
    /// How many of `shown` ended before the exit.
    retained: usize,
    summary: Summary,
    last_report: Option<Timestamp>,
    /// Longest nap.
    nap_max: Duration,
}

/// An output and whether it still works.
struct Slot {
    output: Box<dyn Output>,
    failed: bool,
}

impl Aggregator {
    /// An aggregator over these queues and outputs.
    pub fn new(settings: AggregateSettings, queues: Queues, outputs: Vec<Box<dyn Output>>) -> Self {
        let wants_table = outputs.iter().any(|output| output.wants_table());
        let wants_ended = outputs.iter().any(|output| output.wants_ended());
        Self {
            settings,
            inboxes: (0..).zip(queues.mail).map(|(index, mail)| Inbox::new(index, mail)).collect(),
            outputs: outputs.into_iter().map(|output| Slot { output, failed: false }).collect(),
            failures: Vec::new(),
            records: Records::default(),
            settled: Vec::new(),
            shown: Vec::new(),
            shown_queues: queues.may_be_split.then(Vec::new),
            wants_table,
            wants_ended,
            retained: 0,
            summary: Summary::default(),
            last_report: None,
            nap_max: if queues.waits { NAP_MAX_AWAITED } else { NAP_MAX },
        }
    }

    /// Runs until every queue has ended and everything was passed on. `idle` is called every few milliseconds or sooner
    /// while something arrives or a file is read (progress display); `failed` as soon as an output fails.
    pub fn run(mut self, mut idle: impl FnMut(), mut failed: impl FnMut(&OutputFailure)) -> (Summary, Vec<OutputFailure>) {
        let mut nap = NAP;
        loop {
            let mut some = self.collect();
            self.pass_ended(&mut failed);
            while next_tick(&mut self.inboxes).is_some() {
                self.report(&mut failed);
                some = true;
            }
            if self.inboxes.iter().all(Inbox::is_done) {
                break;
            }
            idle();
            if some {
                nap = NAP;
            } else {
                std::thread::sleep(nap);
                nap = (nap * 2).min(self.nap_max);
            }
        }
        self.finish(&mut failed);
        (self.summary, self.failures)
    }

    /// Takes what has arrived; false when there was nothing.
    fn collect(&mut self) -> bool {
        let unordered = self.wants_table && !self.wants_ended && self.shown_queues.is_none();
        let alive = unordered.then_some(&mut self.shown);
        collect(&mut self.inboxes, Arrivals { records: &mut self.records, alive })
    }

    /// Passes on the ended flows whose place in the order is settled: to the outputs that want them, and to the table.
    fn pass_ended(&mut self, failed: &mut impl FnMut(&OutputFailure)) {
        let mut settled = std::mem::take(&mut self.settled);
        settle(&mut self.inboxes, &mut settled);
        let ended_max = self.settings.export_ended_max;
        let ended_count = settled.iter().filter(|flow| !flow.alive).count();
        // The table is sorted at the end, so this order matters only to those who see it, and to which ones are left out.
        if self.wants_ended || self.retained + ended_count > ended_max {
            sort_settled(&mut settled, &self.records);
        }
        for flow in settled.drain(..) {
            if self.wants_ended {
                let record = self.records.get(flow.place);
                for slot in &mut self.outputs {
                    slot.call(&mut self.failures, failed, |output| output.ended(&record));
                }
            }
            let kept = self.wants_table && (flow.alive || self.retained < ended_max);
            if kept {
                self.retained += usize::from(!flow.alive);
                self.shown.push(flow.place);
                if let Some(queues) = &mut self.shown_queues {
                    queues.push(flow.queue);
                }
            } else {
                self.summary.export_left_out += u64::from(self.wants_table);
                self.records.remove(flow.place);
            }
        }
        self.settled = settled;
    }

    /// A tick is complete on all queues.
    fn report(&mut self, failed: &mut impl FnMut(&OutputFailure)) {
        let before = (self.summary.ledger, self.summary.source);
        self.sum_up();
        let Some(time) = self.inboxes.iter().map(|inbox| inbox.merged.time).max() else { return };
        let interval_ns = self.last_report.map_or(self.settings.tick_ns, |last| time.since(last)).max(1);
        self.last_report = Some(time);
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
            active_flows: self.summary.flow_count,
            dispatch_drops: skipped(ledger, source) - skipped(&before.0, &before.1),
            dispatch_drops_total: skipped(ledger, source),
            kernel_drops: source.kernel_drops.saturating_sub(before.1.kernel_drops),
            kernel_drops_total: source.kernel_drops,
            interface_drops: source.interface_drops.saturating_sub(before.1.interface_drops),
            interface_drops_total: source.interface_drops,
            top: top(&self.inboxes, self.settings.top_count),
        };
        for slot in &mut self.outputs {
            slot.call(&mut self.failures, failed, |output| output.report(&report));
        }
    }

    /// Totals over all queues.
    fn sum_up(&mut self) {
        // What no queue counts stays; everything else is summed anew.
        let Summary { export_left_out, .. } = self.summary;
        let mut sum = Summary { export_left_out, ..Summary::default() };
        for inbox in &self.inboxes {
            let merged = &inbox.merged;
            sum.ledger += &merged.ledger;
            sum.source += &merged.source;
            sum.flows += &merged.flows;
            sum.flow_count += merged.flow_count;
            sum.fragments += &merged.fragments;
            sum.tcp_refused += merged.tcp_refused;
            sum.tcp_gaps_forgotten += merged.tcp_gaps_forgotten;
            sum.batches = sum.batches.with(merged.batches);
        }
        self.summary = sum;
    }

    fn finish(&mut self, failed: &mut impl FnMut(&OutputFailure)) {
        self.sum_up();
        if let Some(queues) = &self.shown_queues {
            self.summary.flows_joined = join_halves(&mut self.records, &mut self.shown, queues);
        }
        // As many as had packets to process; fewer where we are kept off most processors.
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(self.inboxes.len());
        let mut order = std::mem::take(&mut self.shown);
        largest_first(&self.records, &mut order, threads);
        let table = Table::new(std::mem::take(&mut self.records), order);
        let Self { outputs, failures, summary, .. } = self;
        for slot in outputs {
            slot.call(failures, failed, |output| output.finish(&table, summary));
        }
    }
}

/// The flows with the largest byte difference over all queues.
fn top(inboxes: &[Inbox], count: usize) -> Vec<TopFlow> {
    let mut top: Vec<TopFlow> = inboxes.iter().flat_map(|inbox| inbox.merged.top.iter().copied()).collect();
    top.sort_unstable_by(|x, y| y.delta_bytes.cmp(&x.delta_bytes).then_with(|| x.key.cmp(&y.key)));
    top.truncate(count);
    top
}

impl Slot {
    fn call(
        &mut self,
        failures: &mut Vec<OutputFailure>,
        failed: &mut impl FnMut(&OutputFailure),
        action: impl FnOnce(&mut dyn Output) -> std::io::Result<()>,
    ) {
        if self.failed {
            return;
        }
        if let Err(source) = action(self.output.as_mut()) {
            self.failed = true;
            let failure = OutputFailure { output: self.output.name().to_owned(), source };
            failed(&failure);
            failures.push(failure);
        }
    }
}
