//! The numbered files of a rotated capture.
//!
//! Owns their names, their numbers and which are deleted. Knows nothing of their content. Its one invariant:
//! it creates and deletes no file but those named exactly `stem.NNNNNN.ext`, six digits, of its own stem and
//! extension.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::BackendError;

const DIGITS: usize = 6;
const NUMBER_MAX: u32 = 999_999;

#[derive(Debug)]
pub(super) struct SavefileSegments {
    folder: PathBuf,
    stem: OsString,
    extension: Option<OsString>,
    /// Those there are.
    numbers: BTreeSet<u32>,
}

impl SavefileSegments {
    /// Finds the segments of earlier runs.
    pub(super) fn find(path: &Path) -> Result<Self, BackendError> {
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let Some(stem) = path.file_stem() else {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it names no file");
            return Err(BackendError::Io { action: "write", path: path.to_owned(), source });
        };
        let mut segments =
            Self { stem: stem.to_owned(), extension: path.extension().map(OsStr::to_owned), numbers: BTreeSet::new(), folder };
        let fail = |source| BackendError::Io { action: "list the segments in", path: segments.folder.clone(), source };
        let mut numbers = BTreeSet::new();
        for entry in fs::read_dir(&segments.folder).map_err(fail)? {
            numbers.extend(segments.number(&entry.map_err(fail)?.file_name()));
        }
        segments.numbers = numbers;
        Ok(segments)
    }

    /// Creates the segment after the highest.
    pub(super) fn create_next(&mut self) -> Result<(PathBuf, File), BackendError> {
        let number = self.numbers.last().map_or(1, |last| last + 1);
        let path = self.folder.join(self.name(number));
        let fail = |source| BackendError::Io { action: "create", path: path.clone(), source };
        if number > NUMBER_MAX {
            return Err(fail(io::Error::other("the six digits of its number are used up; move the old segments away")));
        }
        let file = File::options().write(true).create_new(true).open(&path).map_err(fail)?;
        self.numbers.insert(number);
        Ok((path, file))
    }

    /// Deletes the oldest until `max` are left, but never the newest; how many were deleted, and why one was
    /// not.
    pub(super) fn retain(&mut self, max: u32) -> (u64, Option<String>) {
        let (mut deleted, mut failure) = (0, None);
        while self.numbers.len() > (max.max(1)) as usize {
            let Some(number) = self.numbers.pop_first() else { break };
            let path = self.folder.join(self.name(number));
            match fs::remove_file(&path) {
                Ok(()) => deleted += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => failure = Some(format!("cannot delete {}: {error}", path.display())),
            }
        }
        (deleted, failure)
    }

    fn name(&self, number: u32) -> OsString {
        let mut name = self.stem.clone();
        name.push(format!(".{number:0DIGITS$}"));
        if let Some(extension) = &self.extension {
            name.push(".");
            name.push(extension);
        }
        name
    }

    /// The number of the segment of this name, when it is one.
    fn number(&self, name: &OsStr) -> Option<u32> {
        let path = Path::new(name);
        let numbered = match &self.extension {
            Some(extension) => {
                if path.extension() != Some(extension) {
                    return None;
                }
                Path::new(path.file_stem()?)
            }
            None => path,
        };
        let digits = numbered.extension()?.to_str()?;
        if numbered.file_stem()? != self.stem || digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().filter(|number| *number > 0)
    }
}
