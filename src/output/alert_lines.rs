//! Alerts as a JSON object per line (`--alerts-jsonl`), for programs that act on them.
//!
//! Owns the file. Its objects are those of [`crate::record`]. Knows no detector. Invariant: a line is written whole and at
//! once, as soon as the alert is known.

use super::OutputError;
use super::growing_lines::GrowingLines;
use crate::aggregate::{Output, Summary, Table};
use crate::detect::Alert;
use crate::record::AlertObject;
use std::io;
use std::path::Path;

/// A growing file of alerts.
pub struct AlertLines {
    lines: GrowingLines,
    community_id_seed: u16,
}

impl AlertLines {
    /// Opens `path`; a file that is there is emptied with the first line.
    ///
    /// # Errors
    /// When it cannot be opened for writing.
    pub fn create(path: &Path, community_id_seed: u16) -> Result<Self, OutputError> {
        Ok(Self { lines: GrowingLines::create(path)?, community_id_seed })
    }
}

impl Output for AlertLines {
    fn name(&self) -> &str {
        self.lines.name()
    }

    fn wants_alerts(&self) -> bool {
        true
    }

    fn alert(&mut self, alert: &Alert) -> io::Result<()> {
        self.lines.write(&AlertObject::new(alert, self.community_id_seed))
    }

    fn finish(&mut self, _table: &Table, _summary: &Summary) -> io::Result<()> {
        self.lines.finish()
    }
}
