//! Files that get one line per flow as flows end: what they have in common.
//!
//! Owns the file and when lines reach it. Knows no format. Invariant: whenever nothing more is to be told, all
//! flows that ended so far are in the file.

use super::bytes::Bytes;
use super::fields::{Exported, RecordSettings};
use super::{OutputError, StreamFile};
use crate::aggregate::{Output, Summary, Table};
use crate::flow::FlowRecord;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::path::Path;

/// The syntax of such a file.
pub trait Line {
    /// Writes what stands before the first line.
    ///
    /// # Errors
    /// Those of `out`.
    fn begin(_out: &mut impl Write) -> io::Result<()> {
        Ok(())
    }

    /// Appends an ended flow and the end of its line.
    fn push(out: &mut Bytes, exported: &Exported<'_>);
}

/// Ended flows in the syntax `L`.
pub struct Lines<L> {
    file: StreamFile,
    text: Bytes,
    settings: RecordSettings,
    syntax: PhantomData<L>,
}

impl<L: Line> Lines<L> {
    /// Creates or empties `path` and writes what stands before the first line.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn create(path: &Path, settings: RecordSettings) -> Result<Self, OutputError> {
        let mut file = StreamFile::create(path)?;
        L::begin(&mut file).and_then(|()| file.flush()).map_err(|source| OutputError::new("write", path, source))?;
        Ok(Self { file, text: Bytes::default(), settings, syntax: PhantomData })
    }

    fn write_all(&mut self) -> io::Result<()> {
        self.text.write(&mut self.file)?;
        self.file.flush()
    }
}

impl<L: Line + Send> Output for Lines<L> {
    fn name(&self) -> &str {
        self.file.name()
    }

    fn wants_ended(&self) -> bool {
        true
    }

    fn ended(&mut self, record: &FlowRecord) -> io::Result<()> {
        L::push(&mut self.text, &Exported::new(record, self.settings));
        // Whole lines: somebody may be reading.
        if self.text.is_full() { self.text.write(&mut self.file) } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_all()
    }

    fn finish(&mut self, _table: &Table, _summary: &Summary) -> io::Result<()> {
        self.write_all()
    }
}
