//! Files with the flow table, written as a whole when the run ends and when somebody asks: what they have in common.
//!
//! Owns the target and when it is written. Knows no format. Invariant: the target holds what it held before
//! or a whole document.

use super::{AtomicFile, OutputError};
use crate::aggregate::{Output, Summary, Table};
use netscope_backends::writing::output_name;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The flow table in a format.
pub trait Document {
    /// Writes all of it.
    ///
    /// # Errors
    /// Those of `out`.
    fn write(&self, out: &mut (impl Write + Send), table: &Table) -> io::Result<()>;

    /// How many rows it makes of the table; one for each flow unless it says otherwise.
    fn row_count(&self, table: &Table) -> u64 {
        table.len() as u64
    }
}

/// A document and the file that it becomes.
pub struct DocumentFile<D> {
    /// Where the next document goes; `None` where it is yet to be created.
    file: Option<AtomicFile>,
    path: PathBuf,
    name: String,
    document: D,
    rows_written: u64,
    /// Rows of the table at the end, once it is there.
    rows_of_table: Option<u64>,
}

impl<D: Document> DocumentFile<D> {
    /// Opens the temporary file next to `path`.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub fn create(path: &Path, document: D) -> Result<Self, OutputError> {
        let file = Some(AtomicFile::create(path)?);
        Ok(Self {
            file,
            path: path.to_owned(),
            name: output_name(path).display().to_string(),
            document,
            rows_written: 0,
            rows_of_table: None,
        })
    }

    /// The file to write to now.
    fn take_file(&mut self) -> io::Result<AtomicFile> {
        match self.file.take() {
            Some(file) => Ok(file),
            None => Ok(AtomicFile::create(&self.path)?),
        }
    }
}

impl<D: Document + Send> Output for DocumentFile<D> {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants_table(&self) -> bool {
        true
    }

    fn wants_live_table(&self) -> bool {
        true
    }

    fn rows_written(&self) -> Option<u64> {
        Some(self.rows_written)
    }

    fn rows_of_table(&self) -> Option<u64> {
        self.rows_of_table
    }

    fn live_table(&mut self, table: &Table) -> io::Result<()> {
        let mut file = self.take_file()?;
        // First of all: the next document is to have a place whatever fails.
        self.file = match file.next() {
            Ok(next) => next,
            Err(error) => {
                self.file = Some(file);
                return Err(error);
            }
        };
        self.document.write(&mut file, table)?;
        file.commit()
    }

    fn finish(&mut self, table: &Table, _summary: &Summary) -> io::Result<()> {
        let rows = self.document.row_count(table);
        self.rows_of_table = Some(rows);
        let mut file = self.take_file()?;
        self.document.write(&mut file, table)?;
        file.commit()?;
        self.rows_written = rows;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::tempdir;

    struct Word(&'static str);

    impl Document for Word {
        fn write(&self, out: &mut (impl Write + Send), _table: &Table) -> io::Result<()> {
            out.write_all(self.0.as_bytes())
        }
    }

    #[test]
    fn a_live_table_that_cannot_be_written_does_not_cost_the_last_one() {
        let parent = tempdir().unwrap();
        let (directory, moved) = (parent.path().join("exports"), parent.path().join("moved"));
        fs::create_dir(&directory).unwrap();
        let target = directory.join("flows");
        let mut output = DocumentFile::create(&target, Word("whole")).unwrap();
        fs::rename(&directory, &moved).unwrap();
        (0..2).for_each(|_| drop(output.live_table(&Table::default()).unwrap_err()));
        fs::rename(&moved, &directory).unwrap();
        output.finish(&Table::default(), &Summary::default()).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "whole");
        let left = fs::read_dir(&directory).unwrap().count();
        assert_eq!(left, 2, "what was begun while the directory was away stays: files that are there are never removed");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_that_is_full_takes_the_next_document() {
        let mut output = DocumentFile::create(Path::new("/dev/full"), Word("whole")).unwrap();
        (0..2).for_each(|_| assert_eq!(output.live_table(&Table::default()).unwrap_err().kind(), io::ErrorKind::StorageFull));
        assert_eq!(output.finish(&Table::default(), &Summary::default()).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
