//! A growing file of JSON objects, one per line, each flushed as it comes: statistics of intervals, alerts.
//!
//! Owns the file. Knows nothing of what the objects say. Invariant: a line is written whole, or is cut away again.

use super::OutputError;
use netscope_backends::writing::{AppendError, GrowingFile};
use serde::Serialize;
use std::io;
use std::path::Path;

/// A growing file of JSON lines.
pub(super) struct GrowingLines {
    /// `None` once it is closed.
    file: Option<GrowingFile>,
    name: String,
    line: Vec<u8>,
}

impl GrowingLines {
    /// Opens `path`; a file that is there is emptied with the first line.
    ///
    /// # Errors
    /// When it cannot be opened for writing.
    pub(super) fn create(path: &Path) -> Result<Self, OutputError> {
        let file = GrowingFile::open(path).map_err(|source| OutputError::new("create", path, source))?;
        let name = file.name().display().to_string();
        Ok(Self { file: Some(file), name, line: Vec::new() })
    }

    /// The file's name, as it is told.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Writes and flushes one object.
    ///
    /// # Errors
    /// When it cannot be written; then nothing of it is in the file.
    pub(super) fn write(&mut self, object: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, object)?;
        self.line.push(b'\n');
        let Some(file) = &mut self.file else { return Ok(()) };
        file.begin()?;
        if let Err(AppendError { written, source }) = file.append(&self.line) {
            file.cut(written as u64);
            return Err(source);
        }
        file.sync_point(true).map(|_| ())
    }

    /// Closes the file. One without a line is left empty.
    ///
    /// # Errors
    /// When what is left cannot be written.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.begin()?;
        file.finish()
    }
}

/// Nanoseconds as seconds, rounded to microseconds: what a double holds exactly enough until the year 2200.
pub(super) fn seconds(ns: u64) -> f64 {
    (ns / 1000) as f64 / 1e6
}
