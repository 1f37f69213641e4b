//! Files that get one line per flow as flows end: what they have in common.
//!
//! Owns the file and when lines reach it. Knows no format. Invariant: whenever nothing more is to be told,
//! all flows that ended so far are in the file.

use super::rows::ExportSettings;
use super::{OutputError, StreamFile};
use crate::aggregate::{Output, Summary, Table};
use crate::flow::{FactSet, FlowRecord};
use crate::record::{Exported, FactSchema, TextBuffer};
use std::io::{self, Write};
use std::marker::PhantomData;
use std::path::Path;

/// The format of such a file.
pub trait LineFormat {
    /// Appends what stands before the first line.
    fn begin(_out: &mut TextBuffer, _schema: FactSchema) {}

    /// Appends an ended flow and the end of its line.
    fn push(out: &mut TextBuffer, exported: &Exported<'_>);
}

/// Ended flows in the format `L`.
pub struct LineFile<L> {
    file: StreamFile,
    text: TextBuffer,
    settings: ExportSettings,
    format: PhantomData<L>,
}

impl<L: LineFormat> LineFile<L> {
    /// Creates or empties `path` and writes what stands before the first line.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn create(path: &Path, settings: ExportSettings) -> Result<Self, OutputError> {
        let mut lines = Self { file: StreamFile::create(path)?, text: TextBuffer::default(), settings, format: PhantomData };
        L::begin(&mut lines.text, settings.schema);
        lines.write_all().map_err(|source| OutputError::new("write", path, source))?;
        Ok(lines)
    }

    fn write_all(&mut self) -> io::Result<()> {
        self.write_text()?;
        self.file.flush()
    }

    /// Writes whole lines: somebody may be reading.
    fn write_text(&mut self) -> io::Result<()> {
        self.text.write(&mut self.file)
    }
}

impl<L: LineFormat + Send> Output for LineFile<L> {
    fn name(&self) -> &str {
        self.file.name()
    }

    fn wants_ended(&self) -> bool {
        true
    }

    fn ended(&mut self, record: &FlowRecord, facts: FactSet<'_>) -> io::Result<()> {
        let ExportSettings { community_id_seed, times, schema, interfaces, .. } = self.settings;
        let exported = Exported::new(record, community_id_seed).with_times(times).with_facts(facts, schema);
        L::push(&mut self.text, &exported.on_interface(interfaces));
        if self.text.is_full() { self.write_text() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_all()
    }

    fn finish(&mut self, _table: &Table, _summary: &Summary) -> io::Result<()> {
        self.write_all()
    }
}
