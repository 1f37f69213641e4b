//! One file, pipe or device that grows.
//!
//! Owns its being opened, emptied and cut back. Knows no record: whoever appends says where one ends. Its one
//! invariant: a file that was there before is emptied when the first bytes come, and not before.

use super::compress::{CompressedFile, OutputCompression};
use super::{is_stdout, open_stdout, output_name};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time between two points up to which a compressed file can be read while it grows. Each costs some bytes.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// A write that failed.
#[derive(Debug)]
pub struct AppendError {
    /// How many of the bytes are in the file all the same; of a compressed one that is not known, so 0.
    pub written: usize,
    /// Why no more.
    pub source: io::Error,
}

/// A file that grows under its own name.
#[derive(Debug)]
pub struct GrowingFile {
    name: PathBuf,
    writer: CompressedFile,
    /// A file of an earlier run that is still as it was.
    is_old: bool,
    /// A regular file of ours, which can be cut back.
    can_be_cut: bool,
    /// Bytes in the file at the last sync point.
    synced: u64,
    /// When that was.
    synced_at: Instant,
    /// Bytes came after it.
    has_unsynced: bool,
}

impl GrowingFile {
    /// Opens an output: standard output for `-`, a device or FIFO as it is, a file that is there for being
    /// replaced, any other name as a new file.
    ///
    /// # Errors
    /// When it cannot be opened for writing.
    pub fn open(path: &Path) -> io::Result<Self> {
        if is_stdout(path) {
            return Self::new(path, open_stdout()?, false, false);
        }
        let was_there = fs::metadata(path).is_ok_and(|found| found.is_file());
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        let is_file = file.metadata()?.is_file();
        Self::new(path, file, is_file && was_there, is_file)
    }

    /// Creates a file that is not there.
    ///
    /// # Errors
    /// When it is, or cannot be created.
    pub fn create_new(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Self::new(path, file, false, true)
    }

    fn new(path: &Path, file: File, is_old: bool, can_be_cut: bool) -> io::Result<Self> {
        let writer = CompressedFile::new(file, OutputCompression::of(path))?;
        let name = output_name(path);
        Ok(Self { name, writer, is_old, can_be_cut, synced: 0, synced_at: Instant::now(), has_unsynced: false })
    }

    /// Its path, or what it is called in messages.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// True when it is compressed, so that bytes are in it for sure at sync points alone.
    pub fn is_compressed(&self) -> bool {
        self.writer.compression() != OutputCompression::None
    }

    /// Empties a file of an earlier run. Called when what replaces it has begun.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn begin(&mut self) -> io::Result<()> {
        if self.is_old {
            self.writer.file().set_len(0)?;
            self.is_old = false;
        }
        Ok(())
    }

    /// Writes bytes behind those before.
    ///
    /// # Errors
    /// When not all of them could be written. [`GrowingFile::cut`] is called next, and nothing else.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), AppendError> {
        let before = self.writer.written();
        let result = self.begin().and_then(|()| self.writer.write_all(bytes));
        self.has_unsynced |= self.is_compressed() && !bytes.is_empty();
        result.map_err(|source| {
            let written = if self.is_compressed() { 0 } else { self.writer.written() - before };
            AppendError { written: usize::try_from(written).unwrap_or(usize::MAX), source }
        })
    }

    /// Brings what an encoder holds into the file, if `now`, if it is time for it, or if nobody can read it later
    /// (a pipe). True when everything that was appended is in the file.
    ///
    /// # Errors
    /// As [`GrowingFile::append`].
    pub fn sync_point(&mut self, now: bool) -> io::Result<bool> {
        if self.has_unsynced && !now && self.can_be_cut && self.synced_at.elapsed() < SYNC_INTERVAL {
            return Ok(false);
        }
        self.begin()?;
        if self.has_unsynced {
            self.writer.flush()?;
            (self.synced, self.synced_at, self.has_unsynced) = (self.writer.written(), Instant::now(), false);
        }
        Ok(true)
    }

    /// Takes back the last `len` bytes of a plain file, or everything behind the last sync point of a
    /// compressed one, after a write that failed; nothing can be written any more. A pipe or device keeps what
    /// it has.
    pub fn cut(&mut self, len: u64) {
        self.writer.shut();
        if self.can_be_cut && !self.is_old {
            let kept = if self.is_compressed() { self.synced } else { self.writer.written().saturating_sub(len) };
            // The error worth telling is the one of the write.
            let _ = self.writer.file().set_len(kept);
        }
    }

    /// Ends a compressed stream and closes the file.
    ///
    /// # Errors
    /// As [`GrowingFile::append`]; the file is cut back to its last sync point.
    pub fn finish(mut self) -> io::Result<()> {
        self.begin()?;
        let (can_be_cut, is_compressed, synced) = (self.can_be_cut, self.is_compressed(), self.synced);
        let file = self.writer.file().try_clone();
        self.writer.finish().map(drop).inspect_err(|_| {
            if let (true, true, Ok(file)) = (can_be_cut, is_compressed, file) {
                let _ = file.set_len(synced);
            }
        })
    }
}
