//! The cold side: the aggregator that merges all queues, a low-priority thread that feeds it, and a thread
//! for each output.
//!
//! Owns merged totals, reports and what the exports at the end hold. Only a [`Report`], ended flows and a [`Summary`] leave it.
//! Invariant: on a wire no output is waited for.

mod address_names;
mod aggregator;
mod alerting;
mod announced;
mod answers;
mod asking;
mod batch;
mod bursts;
mod compact_record;
mod fact_store;
mod finding;
mod history;
mod join;
mod judging;
mod merge;
mod muting;
mod order;
mod output_queue;
mod outputs;
mod pool;
mod questions;
mod recent;
mod records;
mod report;
mod run;
mod selection;
mod table;
mod told;

use crate::detect::Alert;
use crate::flow::{FactSet, FlowRecord};
use std::io;
use std::sync::Arc;

pub use crate::engine::FlowTotals;
pub use address_names::NamingCounts;
pub use aggregator::{AggregateSettings, Aggregator, Event, Mail, QueueSetup, Wants};
pub use alerting::{AlertingSettings, JudgeReload, JudgeReloads};
pub use announced::AnnouncedCounts;
pub use answers::Purpose;
pub use batch::RecordBatch;
pub use bursts::BurstJudging;
pub use history::{
    AlertTally, Distribution, DistributionKind, EndedSlot, HistoryMetric, HistoryPoint, HistoryQuery, HistorySnapshot,
    KeptDistribution, KeptSlot, SlotDrops, Tally, TimelineSlots, TopList, TrafficSlot,
};
pub use judging::{DetectionCounts, JudgeSettings};
pub use muting::{MuteCount, MuteRule};
pub use output_queue::QueueLimits;
pub use outputs::{OnFailure, OutputResults, Outputs, wants_of};
pub use pool::export_pool;
pub use questions::{FlowQuestion, FlowsFound, FoundFlow, NoAnswer, Question, Questions, Reply};
pub use report::{AlertDeliveries, CommandCounts, OutputLoss, OutputRows, OutputState, QueueReport, Report, Summary};
pub use run::{Control, LiveTableRequest, run};
pub use selection::{FlowSelection, FlowsUnselected};
pub use table::{LiveTable, Table};

/// Shows or writes what the aggregator knows, on a thread of its own. Every method may do nothing.
pub trait Output: Send {
    /// What it is, for messages: usually the path it writes to.
    fn name(&self) -> &str;

    /// True when [`Output::finish`] needs the table of all flows.
    fn wants_table(&self) -> bool {
        false
    }

    /// True when [`Output::ended`] needs every flow as it ends.
    fn wants_ended(&self) -> bool {
        false
    }

    /// True when [`Output::report`] needs every tick.
    fn wants_reports(&self) -> bool {
        false
    }

    /// True when [`Output::alert`] needs every alert.
    fn wants_alerts(&self) -> bool {
        false
    }

    /// True when [`Output::history`] writes something.
    fn wants_history(&self) -> bool {
        false
    }

    /// True when questions ([`Questions`]) are to find flows that ended lately, as many as table exports hold.
    fn wants_recent(&self) -> bool {
        false
    }

    /// True when [`Output::live_table`] writes something.
    fn wants_live_table(&self) -> bool {
        false
    }

    /// Flows that are in its file, after an error too; `None` when it writes none.
    fn rows_written(&self) -> Option<u64> {
        None
    }

    /// Flows that it was told of as they ended and that have no row in its file, as a log of names has none of a flow without one.
    fn flows_without_row(&self) -> u64 {
        0
    }

    /// Rows that it makes of the table at the end, once it was told of it; `None`: one for each flow.
    fn rows_of_table(&self) -> Option<u64> {
        None
    }

    /// What became of alerts, after an error too; `None` when it is no receiver of them.
    fn deliveries(&self) -> Option<AlertDeliveries> {
        None
    }

    /// A flow ended. Told in batches: it may be some milliseconds ago.
    ///
    /// # Errors
    /// Any error ends the output: it is called no more.
    fn ended(&mut self, _record: &FlowRecord, _facts: FactSet<'_>) -> io::Result<()> {
        Ok(())
    }

    /// A tick ended on all queues.
    ///
    /// # Errors
    /// As [`Output::ended`].
    fn report(&mut self, _report: &Report) -> io::Result<()> {
        Ok(())
    }

    /// The same, for an output that keeps reports; called instead of [`Output::report`].
    ///
    /// # Errors
    /// As [`Output::ended`].
    fn shared_report(&mut self, report: &Arc<Report>) -> io::Result<()> {
        self.report(report)
    }

    /// An alert began, grew or ended.
    ///
    /// # Errors
    /// As [`Output::ended`].
    fn alert(&mut self, _alert: &Alert) -> io::Result<()> {
        Ok(())
    }

    /// Nothing more is to be told for the moment: what was written so far is to be seen.
    ///
    /// # Errors
    /// As [`Output::ended`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Somebody asked for the flows while the run goes on. `table`: what [`Output::finish`] would get now.
    ///
    /// # Errors
    /// Any error is told, and the output goes on: the next table may find room again.
    fn live_table(&mut self, _table: &Table) -> io::Result<()> {
        Ok(())
    }

    /// Somebody asked for the history, or the run is over (`is_last`).
    ///
    /// # Errors
    /// As [`Output::live_table`], and at the end as [`Output::ended`].
    fn history(&mut self, _history: &HistorySnapshot, _is_last: bool) -> io::Result<()> {
        Ok(())
    }

    /// The run ended. `table`: all flows, most bytes first; empty unless somebody wants it.
    ///
    /// # Errors
    /// As [`Output::ended`].
    fn finish(&mut self, _table: &Table, _summary: &Summary) -> io::Result<()> {
        Ok(())
    }

    /// The same, for an output that keeps the table; called instead of [`Output::finish`].
    ///
    /// # Errors
    /// As [`Output::ended`].
    fn shared_finish(&mut self, end: &Arc<(Table, Summary)>) -> io::Result<()> {
        self.finish(&end.0, &end.1)
    }
}

/// An output that could not go on.
#[derive(Debug, thiserror::Error)]
#[error("output {output} {}", consequence(*goes_on))]
pub struct OutputFailure {
    /// Its name.
    pub output: String,
    /// True when only a table or a history that was asked for is missing.
    pub goes_on: bool,
    /// Why.
    pub source: io::Error,
}

/// What an [`OutputFailure`] means for the output.
fn consequence(goes_on: bool) -> &'static str {
    if goes_on { "did not write what was asked for, and goes on" } else { "failed; nothing more is written to it" }
}
