//! The capture files of a directory, such as the one that a rotating capture writes to.
//!
//! Owns which of its entries are read, and in what order. Keeps nothing open. Its one invariant: the order is that of the files' first
//! packets, by name where these are of the same time, so names that wrap around do not matter.

use std::path::{Path, PathBuf};

use super::{CaptureFile, FileOptions};
use crate::{Backend, BackendError, Polled, Timestamp};

/// Most files of one directory: each is opened once to learn the time of its first packet.
pub const DIRECTORY_FILES_MAX: usize = 100_000;

/// What is in a directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CaptureDirectory {
    /// Capture files in the order in which they are read.
    pub files: Vec<PathBuf>,
    /// Regular files that are none, by name.
    pub others: Vec<PathBuf>,
}

/// Looks for capture files right in `directory`. Hidden files and directories in it are left alone.
///
/// # Errors
/// When it cannot be read, has no capture file, or more than [`DIRECTORY_FILES_MAX`] files.
pub fn capture_directory(directory: &Path) -> Result<CaptureDirectory, BackendError> {
    let fail = |source| BackendError::Io { action: "read the directory", path: directory.to_owned(), source };
    let none = |what: String| BackendError::Format { path: directory.to_owned(), what };
    let mut paths = Vec::new();
    for entry in directory.read_dir().map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && path.is_file() {
            paths.push(path);
        }
        if paths.len() > DIRECTORY_FILES_MAX {
            return Err(none(format!("there are more than {DIRECTORY_FILES_MAX} files in it: name those to be read")));
        }
    }
    let mut known = Vec::new();
    let mut others = Vec::new();
    for path in paths {
        match first_time(&path) {
            Ok(time) => known.push((time, path)),
            Err(BackendError::Format { .. }) => others.push(path),
            Err(error) => return Err(error),
        }
    }
    known.sort_unstable();
    others.sort_unstable();
    if known.is_empty() {
        return Err(none("there is no capture file in it".to_owned()));
    }
    Ok(CaptureDirectory { files: known.into_iter().map(|(_, path)| path).collect(), others })
}

/// Time of a file's first packet; the latest there is when it has none.
fn first_time(path: &Path) -> Result<Timestamp, BackendError> {
    let mut backend = CaptureFile::open(path, &FileOptions::default())?.backend()?;
    let mut first = None;
    loop {
        let polled = backend.poll(std::time::Duration::ZERO, &mut |lent| {
            first = first.or_else(|| lent.first().map(|packet| packet.time));
        });
        match (first, polled) {
            (Some(time), _) => return Ok(time),
            // Damage is told when the file is read.
            (None, Ok(Polled::End) | Err(_)) => return Ok(Timestamp(u64::MAX)),
            (None, Ok(_)) => {}
        }
    }
}
