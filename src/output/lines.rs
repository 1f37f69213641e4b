//! Files that get one line per flow as flows end: what they have in common.
//!
//! Owns the file, when lines reach it and how many are in it. Knows no format. Invariants: whenever nothing more is to be told,
//! all flows that ended so far are in the file; a file holds whole lines, after a failed
//! write, too.

use super::OutputError;
use super::rows::ExportSettings;
use crate::aggregate::{Output, Summary, Table};
use crate::engine::OnClosed;
use crate::flow::{FactSet, FlowRecord};
use crate::record::{Exported, FactSchema, TextBuffer};
use netscope_backends::writing::{AppendError, RotatedFile, RotationOptions};
use netscope_backends::{BackendError, Timestamp};
use std::io;
use std::path::Path;

/// The format of such a file.
pub trait LineFormat {
    /// What stands before the first line has a time, so it waits for the first flow.
    const BEGINS_WITH_TIME: bool = false;

    /// Appends what stands before the first line; `time` is that of the first flow, or 0 in a file without one.
    fn begin(&self, _out: &mut TextBuffer, _schema: FactSchema, _time: Timestamp) {}

    /// Appends an ended flow and the end of its line; nothing where the flow has none here.
    fn push(&self, out: &mut TextBuffer, exported: &Exported<'_>);

    /// Appends what stands behind the last line; `time` is that of the latest packet of any flow.
    fn end(&self, _out: &mut TextBuffer, _time: Timestamp) {}
}

/// Ended flows in the format `L`.
pub struct LineFile<L> {
    file: RotatedFile,
    name: String,
    /// What comes before `text`: the head of a file and its first line.
    head: Vec<u8>,
    text: TextBuffer,
    /// Where each line in `head` and `text` ends.
    ends: Vec<usize>,
    /// The latest packet of any flow so far.
    latest: Timestamp,
    rows_written: u64,
    flows_without_row: u64,
    /// Lines that a compressed file has taken and need not hold yet.
    rows_unsynced: u64,
    settings: ExportSettings,
    on_closed: Option<OnClosed>,
    format: L,
    /// What stands before the first line is not in `head` or the file yet.
    is_headless: bool,
}

impl<L: LineFormat> LineFile<L> {
    /// Opens `path`. A file that is there is emptied when the run has begun.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn create(path: &Path, format: L, settings: ExportSettings) -> Result<Self, OutputError> {
        Self::rotating(&RotationOptions { path: path.to_owned(), ..RotationOptions::default() }, format, settings, None)
    }

    /// The same with rotation, by the time of the latest packet of the flows that are written; `on_closed` is told of each
    /// segment that is complete.
    ///
    /// # Errors
    /// When the file or the first segment cannot be created.
    pub fn rotating(
        rotation: &RotationOptions,
        format: L,
        settings: ExportSettings,
        on_closed: Option<OnClosed>,
    ) -> Result<Self, OutputError> {
        let file = RotatedFile::create(rotation).map_err(|error| match error {
            BackendError::Io { action, path, source } => OutputError { action, path, source },
            other => OutputError::new("create", &rotation.path, io::Error::other(other)),
        })?;
        let mut lines = Self {
            file,
            name: netscope_backends::writing::output_name(&rotation.path).display().to_string(),
            head: Vec::new(),
            text: TextBuffer::default(),
            ends: Vec::new(),
            latest: Timestamp(0),
            rows_written: 0,
            flows_without_row: 0,
            rows_unsynced: 0,
            settings,
            on_closed,
            format,
            is_headless: true,
        };
        if !L::BEGINS_WITH_TIME {
            lines.begin(Timestamp(0));
        }
        Ok(lines)
    }

    /// Appends what stands before the first line, unless it is there.
    fn begin(&mut self, time: Timestamp) {
        if std::mem::take(&mut self.is_headless) {
            self.format.begin(&mut self.text, self.settings.schema, time);
        }
    }

    /// Writes what stands behind the last line.
    fn end(&mut self, time: Timestamp) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.format.end(&mut self.text, time);
        self.text.write(&mut bytes)?;
        self.append(&bytes, &[])
    }

    fn len(&self) -> usize {
        self.head.len() + self.text.text_len()
    }

    /// Writes whole lines: somebody may be reading.
    fn write_text(&mut self) -> io::Result<()> {
        if !self.file.is_open() {
            // Its name has the time of the first line.
            return Ok(());
        }
        let mut bytes = std::mem::take(&mut self.head);
        self.text.write(&mut bytes)?;
        let ends = std::mem::take(&mut self.ends);
        self.append(&bytes, &ends)?;
        (self.ends, self.head) = (ends, bytes);
        self.ends.clear();
        self.head.clear();
        Ok(())
    }

    /// Writes lines that end at `ends`.
    fn append(&mut self, bytes: &[u8], ends: &[usize]) -> io::Result<()> {
        match self.file.append(bytes) {
            Ok(()) if self.file.is_compressed() => self.rows_unsynced += ends.len() as u64,
            Ok(()) => self.rows_written += ends.len() as u64,
            Err(AppendError { written, source }) => {
                let whole = ends.partition_point(|&end| end <= written);
                self.rows_written += whole as u64;
                let kept = ends.get(..whole).and_then(<[usize]>::last).copied().unwrap_or(0);
                self.file.cut((written - kept) as u64);
                return Err(source);
            }
        }
        Ok(())
    }

    /// Begins a new file with the line that begins at `start`; `before` is the time of the latest packet before it.
    fn rotate(&mut self, start: usize, before: Timestamp) -> io::Result<()> {
        let mut bytes = std::mem::take(&mut self.head);
        self.text.write(&mut bytes)?;
        let row = bytes.split_off(start);
        let ends = std::mem::take(&mut self.ends);
        self.append(&bytes, &ends)?;
        self.end(before)?;
        self.file.rotate(self.latest).map_err(as_io)?;
        self.note_synced();
        self.is_headless = true;
        self.begin(self.latest);
        self.text.write(&mut self.head)?;
        self.head.extend_from_slice(&row);
        self.tell_closed();
        Ok(())
    }

    fn note_synced(&mut self) {
        self.rows_written += std::mem::take(&mut self.rows_unsynced);
    }

    fn tell_closed(&mut self) {
        for path in self.file.take_closed() {
            self.on_closed.iter_mut().for_each(|on_closed| on_closed(&path));
        }
    }
}

/// The same error for an output.
fn as_io(error: BackendError) -> io::Error {
    match &error {
        BackendError::Io { source, .. } => io::Error::new(source.kind(), error),
        _ => io::Error::other(error),
    }
}

impl<L: LineFormat + Send> Output for LineFile<L> {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants_ended(&self) -> bool {
        true
    }

    fn rows_written(&self) -> Option<u64> {
        Some(self.rows_written)
    }

    fn flows_without_row(&self) -> u64 {
        self.flows_without_row
    }

    fn ended(&mut self, record: &FlowRecord, facts: FactSet<'_>) -> io::Result<()> {
        let ExportSettings { community_id_seed, times, schema, interfaces, .. } = self.settings;
        let before = self.latest;
        self.latest = before.max(record.last_seen);
        self.begin(record.first_seen);
        let start = self.len();
        let exported = Exported::new(record, community_id_seed).with_times(times).with_facts(facts, schema);
        self.format.push(&mut self.text, &exported.on_interface(interfaces));
        if self.len() == start {
            self.flows_without_row += 1;
            return Ok(());
        }
        if self.file.is_due(self.len() as u64, self.latest) {
            self.rotate(start, before)?;
        }
        self.ends.push(self.len());
        self.file.note_time(self.latest).map_err(as_io)?;
        if self.text.is_full() { self.write_text() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_text()?;
        // Now, as it is not asked again before the next flow.
        self.file.sync_point(true).inspect_err(|_| self.file.cut(0))?;
        self.note_synced();
        Ok(())
    }

    fn finish(&mut self, _table: &Table, _summary: &Summary) -> io::Result<()> {
        self.file.open_at_end().map_err(as_io)?;
        self.begin(self.latest);
        self.write_text()?;
        self.end(self.latest)?;
        self.file.finish().map_err(as_io)?;
        self.note_synced();
        self.tell_closed();
        Ok(())
    }
}
