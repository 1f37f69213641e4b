//! Downloads under way: each holds a thread at its client's pace, so that there are few.
//!
//! Owns their places and what is counted of them. Knows no file. Invariant: a place is free again when the thread of its download has ended, whatever became
//! of the request.

use super::error::{ApiError, ErrorCode};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Downloads of flows at once.
pub const FLOW_FILES_MAX: usize = 4;
/// Downloads of captures at once, with the recordings that are made for them.
pub const CAPTURES_MAX: usize = 2;

/// The places.
pub struct Downloads {
    flows: Arc<Semaphore>,
    captures: Arc<Semaphore>,
    counts: Arc<DownloadCounts>,
}

/// What was refused and what was left. Relaxed: numbers alone.
#[derive(Debug, Default)]
struct DownloadCounts {
    refused: AtomicU64,
    files_left: AtomicU64,
}

impl Default for Downloads {
    fn default() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { flows: places(FLOW_FILES_MAX), captures: places(CAPTURES_MAX), counts: Arc::default() }
    }
}

impl Downloads {
    /// A place for a download of flows.
    ///
    /// # Errors
    /// Busy, when there is none; counted.
    pub fn flows(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        self.place(&self.flows, "too many files of flows are downloaded at once; ask again in a second")
    }

    /// A place for a download of a capture.
    ///
    /// # Errors
    /// As above.
    pub fn capture(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        self.place(&self.captures, "too many captures are downloaded at once; ask again in a second")
    }

    fn place(&self, places: &Arc<Semaphore>, busy: &str) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(places).try_acquire_owned().map_err(|_| {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            ApiError::new(ErrorCode::Busy, busy)
        })
    }

    /// A file that goes with what holds it.
    pub fn file(&self) -> impl Fn(PathBuf) -> PassingFile + Send + 'static {
        let counts = Arc::clone(&self.counts);
        move |path| PassingFile { path, counts: Some(Arc::clone(&counts)) }
    }

    /// Downloads that were refused.
    pub fn refused(&self) -> u64 {
        self.counts.refused.load(Ordering::Relaxed)
    }

    /// Files that should have gone and could not be deleted.
    pub fn files_left(&self) -> u64 {
        self.counts.files_left.load(Ordering::Relaxed)
    }
}

/// A file that was made for one request: it is deleted when this is dropped, wherever that happens. One that cannot be deleted is counted.
#[derive(Debug)]
pub struct PassingFile {
    path: PathBuf,
    /// `None` once it is deleted.
    counts: Option<Arc<DownloadCounts>>,
}

impl PassingFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Deletes it now.
    ///
    /// # Errors
    /// What the system says; it is counted, too.
    pub fn remove(mut self) -> io::Result<()> {
        self.delete()
    }

    fn delete(&mut self) -> io::Result<()> {
        let Some(counts) = self.counts.take() else { return Ok(()) };
        fs::remove_file(&self.path).inspect_err(|_| _ = counts.files_left.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for PassingFile {
    fn drop(&mut self) {
        // Counted; nobody is there to be told.
        let _counted = self.delete();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_few_and_refusals_counted() {
        let downloads = Downloads::default();
        let taken: Vec<_> = (0..FLOW_FILES_MAX).map(|_| downloads.flows().expect("a place")).collect();
        assert_eq!(downloads.flows().expect_err("none").code(), "busy");
        let captures: Vec<_> = (0..CAPTURES_MAX).map(|_| downloads.capture().expect("a place of its own")).collect();
        assert_eq!((downloads.capture().is_err(), downloads.refused()), (true, 2));
        drop((taken, captures));
        assert!(downloads.flows().is_ok() && downloads.capture().is_ok());
    }

    #[test]
    fn a_file_goes_with_what_holds_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        let downloads = Downloads::default();
        let file = downloads.file();
        fs::write(&path, b"x").expect("room");
        drop(file(path.clone()));
        assert!(!path.exists());
        fs::write(&path, b"x").expect("room");
        file(path.clone()).remove().expect("it is there");
        assert_eq!((path.exists(), downloads.files_left()), (false, 0));
        assert!(file(path.clone()).remove().is_err());
        drop(file(path));
        assert_eq!(downloads.files_left(), 2);
    }
}
