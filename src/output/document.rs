//! Files that are written as a whole, when the run ends and, those with flows, when somebody asks: what they have in common.
//!
//! Owns the target and when it is written. Knows no format. Invariant: the target holds what it held before
//! or a whole document.

use super::{AtomicFile, OutputError};
use crate::aggregate::{Output, Summary, Table};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What can be said at the end of a run.
pub trait Document {
    /// True when flows are in it.
    const WANTS_TABLE: bool = true;

    /// Writes all of it.
    ///
    /// # Errors
    /// Those of `out`.
    fn write(&self, out: &mut (impl Write + Send), table: &Table, summary: &Summary) -> io::Result<()>;
}

/// A document and the file that it becomes.
pub struct DocumentFile<D> {
    file: Option<AtomicFile>,
    path: PathBuf,
    name: String,
    document: D,
}

impl<D: Document> DocumentFile<D> {
    /// Opens the temporary file next to `path`.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub fn create(path: &Path, document: D) -> Result<Self, OutputError> {
        let file = Some(AtomicFile::create(path)?);
        Ok(Self { file, path: path.to_owned(), name: path.display().to_string(), document })
    }
}

impl<D: Document + Send> Output for DocumentFile<D> {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants_table(&self) -> bool {
        D::WANTS_TABLE
    }

    fn wants_live_table(&self) -> bool {
        D::WANTS_TABLE
    }

    fn live_table(&mut self, table: &Table) -> io::Result<()> {
        self.finish(table, &Summary::default())?;
        self.file = Some(AtomicFile::create(&self.path)?);
        Ok(())
    }

    fn finish(&mut self, table: &Table, summary: &Summary) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        self.document.write(&mut file, table, summary)?;
        file.commit()
    }
}
