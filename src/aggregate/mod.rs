//! The cold side: one low-priority thread that brings all queues together.
//!
//! Owns merged totals, reports and what the exports at the end hold. Only a [`Report`], ended flows and a [`Summary`] leave it.

mod aggregator;
mod join;
mod kept;
mod merge;
mod order;
mod pool;
mod records;
mod report;
mod table;

use crate::flow::FlowRecord;
use std::io;

pub use aggregator::{AggregateSettings, Aggregator, Queues};
pub use pool::export_pool;
pub use report::{Report, Summary};
pub use table::Table;

/// Somebody who shows or writes what the aggregator knows. Every method may do nothing.
pub trait Output {
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

    /// A flow ended.
    ///
    /// # Errors
    /// Any error ends the output: it is called no more.
    fn ended(&mut self, _record: &FlowRecord) -> io::Result<()> {
        Ok(())
    }

    /// A tick ended on all queues.
    ///
    /// # Errors
    /// As [`Output::ended`].
    fn report(&mut self, _report: &Report) -> io::Result<()> {
        Ok(())
    }

    /// The run ended. `table`: all flows, most bytes first; empty unless somebody wants it.
    ///
    /// # Errors
    /// As [`Output::ended`].
    fn finish(&mut self, _table: &Table, _summary: &Summary) -> io::Result<()> {
        Ok(())
    }
}

/// An output that could not go on.
#[derive(Debug, thiserror::Error)]
#[error("output {output} failed and was left out from then on")]
pub struct OutputFailure {
    /// Its name.
    pub output: String,
    /// Why.
    pub source: io::Error,
}
