//! The page as an output of a run: it is told of ticks, alerts, the history and the end.
//!
//! Owns nothing. Knows no client. Invariant: nothing here fails or waits, so the run never loses a report for it.

use super::board::Board;
use crate::aggregate::{HistorySnapshot, Output, Report, Summary, Table};
use crate::detect::Alert;
use std::io;
use std::sync::Arc;

/// The page.
pub struct PageOutput {
    board: Arc<Board>,
}

impl PageOutput {
    pub(super) const fn new(board: Arc<Board>) -> Self {
        Self { board }
    }
}

impl Output for PageOutput {
    fn name(&self) -> &str {
        "the page"
    }

    /// The table of a file's flows is what the page shows after its end. That of a wire would keep all flows that ever ended.
    fn wants_table(&self) -> bool {
        self.board.settings.has_history && self.board.facts.source.is_file
    }

    fn wants_recent(&self) -> bool {
        self.board.settings.has_history
    }

    fn wants_reports(&self) -> bool {
        true
    }

    fn wants_alerts(&self) -> bool {
        true
    }

    fn wants_history(&self) -> bool {
        self.board.settings.has_history
    }

    fn shared_report(&mut self, report: &Arc<Report>) -> io::Result<()> {
        self.board.note_report(report);
        Ok(())
    }

    fn alert(&mut self, alert: &Alert) -> io::Result<()> {
        self.board.note_alert(alert);
        Ok(())
    }

    fn history(&mut self, history: &HistorySnapshot, is_last: bool) -> io::Result<()> {
        if is_last {
            self.board.history.finish(history);
        }
        Ok(())
    }

    fn shared_finish(&mut self, end: &Arc<(Table, Summary)>) -> io::Result<()> {
        self.board.note_end(end);
        Ok(())
    }
}
