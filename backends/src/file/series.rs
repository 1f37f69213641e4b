//! Several capture files read one after the other as one source.
//!
//! Owns which file is read now and what came of those before it. Knows no format. Its one invariant: a file that is damaged or has gone
//! away does not keep those after it from being read; it is told when it happens and is the source's error at the end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{CaptureFile, FileBackend, FileOptions};
use crate::{Backend, BackendError, Counters, LinkType, Packet, Polled, Position};

/// Capture files, one after the other.
pub struct FileSeries {
    files: std::vec::IntoIter<PathBuf>,
    options: FileOptions,
    link_type: LinkType,
    bytes_total: u64,
    current: Option<FileBackend>,
    /// Of the files before the current one.
    done: Counters,
    bytes_done: u64,
    faults: Faults,
}

impl FileSeries {
    /// Reads `files` in their order. Each is opened when its turn comes; the first one now.
    ///
    /// # Errors
    /// What opening the first one says, and that of a file that is not there.
    pub fn open(files: Vec<PathBuf>, options: FileOptions) -> Result<Self, BackendError> {
        let bytes_total = bytes_of(&files)?;
        let mut files = files.into_iter();
        let Some(first) = files.next() else { return Err(no_files()) };
        let current = CaptureFile::open(&first, &options)?.backend()?;
        let link_type = current.link_type();
        let (done, faults) = (Counters::default(), Faults::default());
        Ok(Self { files, options, link_type, bytes_total, current: Some(current), done, bytes_done: 0, faults })
    }

    /// The current file is over.
    fn leave(&mut self) -> Result<(), BackendError> {
        if let Some(mut file) = self.current.take() {
            if let Some(text) = file.notice() {
                self.faults.notices.push(text);
            }
            self.done += &file.counters()?;
            self.bytes_done += file.position().bytes_total;
        }
        let Some(next) = self.files.next() else { return Ok(()) };
        match CaptureFile::open(&next, &self.options).and_then(|file| file.backend()) {
            Ok(file) => self.current = Some(file),
            Err(error) => {
                self.bytes_done += length(&next);
                self.faults.note(error);
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.current.is_none() && self.files.as_slice().is_empty()
    }
}

impl Backend for FileSeries {
    fn link_type(&self) -> LinkType {
        self.link_type
    }

    fn waits(&self) -> bool {
        true
    }

    fn poll(&mut self, timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        let polled = match &mut self.current {
            Some(file) => file.poll(timeout, visit),
            None => Ok(Polled::End),
        };
        match polled {
            Ok(Polled::End) => {}
            Ok(polled) => return Ok(polled),
            Err(error) => self.faults.note(error),
        }
        if self.is_over() {
            return self.faults.end();
        }
        self.leave()?;
        // What follows comes with the next call: what was said of this file is told before it.
        Ok(Polled::Lent(0))
    }

    fn counters(&mut self) -> Result<Counters, BackendError> {
        let mut counters = self.done;
        if let Some(file) = &mut self.current {
            counters += &file.counters()?;
        }
        Ok(counters)
    }

    fn notice(&mut self) -> Option<String> {
        self.faults.next_notice(|| self.current.as_mut()?.notice())
    }

    fn position(&self) -> Position {
        let read = self.current.as_ref().map_or(0, |file| file.position().bytes_read);
        Position { bytes_read: self.bytes_done + read, bytes_total: self.bytes_total }
    }
}

/// What went wrong with some of several files.
#[derive(Default)]
pub(super) struct Faults {
    first: Option<BackendError>,
    more: usize,
    pub(super) notices: Vec<String>,
    /// What was told last.
    told: String,
}

impl Faults {
    /// Remembers an error; it is told now and again at the end.
    pub(super) fn note(&mut self, error: BackendError) {
        self.notices.push(format!("{}; the other files are read all the same", with_cause(&error)));
        match &self.first {
            None => self.first = Some(error),
            Some(_) => self.more += 1,
        }
    }

    /// What is to be told next, of these faults or of the files; not what was told last, as each file may say the same.
    pub(super) fn next_notice(&mut self, of_files: impl FnOnce() -> Option<String>) -> Option<String> {
        let own = (!self.notices.is_empty()).then(|| self.notices.remove(0));
        let text = own.or_else(of_files).filter(|text| *text != self.told)?;
        self.told.clone_from(&text);
        Some(text)
    }

    /// What the end of all files comes to; an error once.
    pub(super) fn end(&mut self) -> Result<Polled, BackendError> {
        match self.first.take() {
            None => Ok(Polled::End),
            Some(error) if self.more == 0 => Err(error),
            Some(error) => Err(BackendError::SeveralFiles { first: Box::new(error), more: std::mem::take(&mut self.more) }),
        }
    }
}

fn with_cause(error: &BackendError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// The sum of the files' lengths.
pub(super) fn bytes_of(files: &[PathBuf]) -> Result<u64, BackendError> {
    let len = |path: &PathBuf| {
        let fail = |source| BackendError::Io { action: "open", path: path.clone(), source };
        let metadata = path.metadata().map_err(fail)?;
        if !metadata.is_file() {
            let what = "it is not a regular file, and pipes cannot be read together with others".to_owned();
            return Err(BackendError::Format { path: path.clone(), what });
        }
        Ok(metadata.len())
    };
    files.iter().map(len).sum()
}

/// The file's length, 0 where it is gone: the display of progress alone depends on it.
fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

pub(super) fn no_files() -> BackendError {
    BackendError::Format { path: PathBuf::new(), what: "there is no file to read".to_owned() }
}
