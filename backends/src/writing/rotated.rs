//! A growing file that is closed and followed by another when it is large or old enough.
//!
//! Owns when that is, the count of files and which are deleted. Knows no record: whoever writes asks before each
//! one. Its one invariant: a segment is never begun under a name that is there already.

use super::segments::SegmentNames;
use super::{AppendError, GrowingFile, output_name};
use crate::{BackendError, Timestamp};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where to write, and when to begin a new file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotationOptions {
    /// The file; `-` is standard output. With rotation this name is not created: segments `stem.000001.ext`,
    /// `stem.000002.ext`, ... are, beginning after the highest number that is there already; or, where it has
    /// conversions of strftime(3), segments named by the time of their first record ([`super::NamePattern`]).
    pub path: PathBuf,
    /// Begin a new segment before one would grow beyond this many bytes (before compression). A segment holds
    /// at least one record.
    pub rotate_bytes: Option<u64>,
    /// Begin a new segment when a record comes this many nanoseconds after the segment's first, by the
    /// records' own time.
    pub rotate_ns: Option<u64>,
    /// Keep this many of the newest segments; numbered ones of earlier runs under the same name included. Needs
    /// rotation.
    pub files_max: Option<u32>,
}

impl RotationOptions {
    /// True when there may be several files.
    pub const fn rotates(&self) -> bool {
        self.rotate_bytes.is_some() || self.rotate_ns.is_some()
    }
}

/// What became of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotationCounts {
    /// Files created.
    pub files_created: u64,
    /// Old segments deleted.
    pub files_deleted: u64,
    /// Why old segments could not be deleted, the last time that was so.
    pub delete_error: Option<String>,
}

/// The file that is written now, and those before.
#[derive(Debug)]
pub struct RotatedFile {
    options: RotationOptions,
    /// With rotation.
    segments: Option<SegmentNames>,
    /// `None` before the first record where its time is in the name, and after the end.
    file: Option<GrowingFile>,
    path: PathBuf,
    /// Bytes appended to this file, before compression.
    len: u64,
    /// Time of this file's first record.
    first_time: Option<Timestamp>,
    counts: RotationCounts,
    closed: Vec<PathBuf>,
}

impl RotatedFile {
    /// Opens the file, or the first segment unless its name waits for a time.
    ///
    /// # Errors
    /// [`BackendError::Io`] when that fails, or when `files_max` is given without rotation.
    pub fn create(options: &RotationOptions) -> Result<Self, BackendError> {
        let fail = |action, source| BackendError::Io { action, path: output_name(&options.path), source };
        if options.files_max.is_some() && !options.rotates() {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "a number of files to keep needs rotation by size or time");
            return Err(fail("write", source));
        }
        let segments = options.rotates().then(|| SegmentNames::find(&options.path)).transpose()?;
        let mut this = Self {
            options: options.clone(),
            segments,
            file: None,
            path: output_name(&options.path),
            len: 0,
            first_time: None,
            counts: RotationCounts::default(),
            closed: Vec::new(),
        };
        match &this.segments {
            Some(segments) if segments.wants_time() => {}
            Some(_) => this.open_segment(Timestamp(0))?,
            None => {
                this.file = Some(GrowingFile::open(&options.path).map_err(|source| fail("create", source))?);
                this.counts.files_created = 1;
            }
        }
        Ok(this)
    }

    /// The file being written to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What became of the files so far.
    pub const fn counts(&self) -> &RotationCounts {
        &self.counts
    }

    /// Segments that were closed since this was asked last.
    pub fn take_closed(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.closed)
    }

    /// True when nothing was appended to this file.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// False before the first record where its time is in the name: bytes wait for it.
    pub const fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// True when bytes are in the file for sure at sync points alone.
    pub fn is_compressed(&self) -> bool {
        self.file.as_ref().is_some_and(GrowingFile::is_compressed)
    }

    /// True when a record of this time belongs into a new file, as it would end `len` bytes behind what was
    /// appended. Before that, everything else is appended, and [`RotatedFile::rotate`] called.
    pub fn is_due(&self, len: u64, time: Timestamp) -> bool {
        let Some(first_time) = self.first_time else { return false };
        self.options.rotate_bytes.is_some_and(|max| self.len + len > max)
            || self.options.rotate_ns.is_some_and(|max| time.since(first_time) >= max)
    }

    /// A record of this time comes next: it opens a file whose name has a time.
    ///
    /// # Errors
    /// When that cannot be created.
    pub fn note_time(&mut self, time: Timestamp) -> Result<(), BackendError> {
        self.first_time.get_or_insert(time);
        if self.file.is_none() { self.open_segment(time) } else { Ok(()) }
    }

    /// Closes the file and opens the next one, whose first record has this time.
    ///
    /// # Errors
    /// Those of both.
    pub fn rotate(&mut self, time: Timestamp) -> Result<(), BackendError> {
        if self.segments.is_some() {
            self.close()?;
            (self.len, self.first_time) = (0, None);
            self.open_segment(time)?;
        }
        Ok(())
    }

    fn open_segment(&mut self, time: Timestamp) -> Result<(), BackendError> {
        let Some(segments) = &mut self.segments else { return Ok(()) };
        let (path, file) = segments.create_next(time)?;
        (self.path, self.file) = (path, Some(file));
        self.counts.files_created += 1;
        let (deleted, error) = segments.retain(self.options.files_max);
        self.counts.files_deleted += deleted;
        self.counts.delete_error = error.or(self.counts.delete_error.take());
        Ok(())
    }

    fn close(&mut self) -> Result<(), BackendError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        file.finish().map_err(|source| self.error(source))?;
        if self.segments.is_some() {
            self.closed.push(self.path.clone());
        }
        Ok(())
    }

    /// Writes bytes behind those before.
    ///
    /// # Errors
    /// As [`GrowingFile::append`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), AppendError> {
        let Some(file) = &mut self.file else {
            if bytes.is_empty() {
                return Ok(());
            }
            return Err(AppendError { written: 0, source: io::Error::other("no file is open") });
        };
        let result = file.append(bytes);
        self.len += result.as_ref().map_or_else(|error| error.written, |()| bytes.len()) as u64;
        result
    }

    /// As [`GrowingFile::sync_point`].
    ///
    /// # Errors
    /// As there.
    pub fn sync_point(&mut self, now: bool) -> io::Result<bool> {
        self.file.as_mut().map_or(Ok(true), |file| file.sync_point(now))
    }

    /// As [`GrowingFile::cut`].
    pub fn cut(&mut self, len: u64) {
        self.len = self.len.saturating_sub(len);
        if let Some(file) = &mut self.file {
            file.cut(len);
        }
    }

    /// Opens a file whose name has a time although no record came, so that there is one.
    ///
    /// # Errors
    /// When that cannot be created.
    pub fn open_at_end(&mut self) -> Result<(), BackendError> {
        if self.file.is_some() || self.counts.files_created > 0 {
            return Ok(());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.open_segment(Timestamp(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Closes the last file.
    ///
    /// # Errors
    /// As [`GrowingFile::finish`].
    pub fn finish(&mut self) -> Result<(), BackendError> {
        self.close()
    }

    /// An error of this file.
    pub fn error(&self, source: io::Error) -> BackendError {
        BackendError::Io { action: "write", path: self.path.clone(), source }
    }
}
