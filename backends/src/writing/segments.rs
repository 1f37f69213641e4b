//! The files of a rotated output: numbered, or named by time.
//!
//! Owns their names and which are deleted. Knows nothing of their content. Its one invariant: it creates no file
//! over another, and deletes no file but those named exactly `stem.NNNNNN.ext`, six digits, of its own stem and
//! extension, and of those named by time only what it created itself.

use super::compress::OutputCompression;
use super::pattern::NamePattern;
use super::{GrowingFile, output_name};
use std::collections::{BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{BackendError, Timestamp};

const DIGITS: usize = 6;
const NUMBER_MAX: u32 = 999_999;

/// Names of segments.
#[derive(Debug)]
pub struct SegmentNames {
    folder: PathBuf,
    stem: OsString,
    extension: Option<OsString>,
    /// The ending that asks for compression, behind the extension.
    compression: Option<OsString>,
    naming: SegmentNaming,
}

#[derive(Debug)]
enum SegmentNaming {
    Numbered {
        /// Those there are.
        numbers: BTreeSet<u32>,
        /// The highest that a file with another ending has.
        highest: u32,
    },
    Timed {
        pattern: NamePattern,
        /// The name made last, and how many files of that name came before.
        last: (String, u32),
        /// Those created, oldest first, as far as they are to be deleted some time.
        created: VecDeque<PathBuf>,
    },
}

impl SegmentNames {
    /// The names for an output of this path. No file is looked for.
    ///
    /// # Errors
    /// When the path names no file, or has a conversion that is not understood.
    pub fn of(path: &Path) -> Result<Self, BackendError> {
        let refuse = |what: String| BackendError::Io {
            action: "write",
            path: output_name(path),
            source: io::Error::new(io::ErrorKind::InvalidInput, what),
        };
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let Some(name) = path.file_name() else { return Err(refuse("it names no file".to_owned())) };
        let (plain, compression) = OutputCompression::split(Path::new(name));
        let Some(stem) = plain.file_stem() else { return Err(refuse("it names no file".to_owned())) };
        let naming = if name.as_encoded_bytes().contains(&b'%') {
            let stem = stem.to_str().ok_or_else(|| refuse("a name with a time has to be UTF-8".to_owned()))?;
            let pattern = NamePattern::parse(stem)
                .map_err(|wrong| refuse(format!("{wrong} is not understood in a name; {} are", NamePattern::CONVERSIONS)))?;
            SegmentNaming::Timed { pattern, last: (String::new(), 0), created: VecDeque::new() }
        } else {
            SegmentNaming::Numbered { numbers: BTreeSet::new(), highest: 0 }
        };
        let [extension, compression] = [plain.extension(), compression].map(|part| part.map(OsStr::to_owned));
        Ok(Self { folder, stem: stem.to_owned(), extension, compression, naming })
    }

    /// The same, after a look for the numbers of earlier runs.
    ///
    /// # Errors
    /// As [`SegmentNames::of`], and when the folder cannot be read.
    pub(super) fn find(path: &Path) -> Result<Self, BackendError> {
        let mut segments = Self::of(path)?;
        let fail = |source| BackendError::Io { action: "list the segments in", path: segments.folder.clone(), source };
        let (mut found, mut highest) = (BTreeSet::new(), 0);
        for entry in fs::read_dir(&segments.folder).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            found.extend(segments.number(&name, &segments.stem));
            // What became of older segments keeps their numbers, such as `stem.000001.ext.gz` of a command that compresses them.
            highest = highest.max(segments.number_of_remains(&name).unwrap_or(0));
        }
        if let SegmentNaming::Numbered { numbers, highest: taken } = &mut segments.naming {
            (*numbers, *taken) = (found, highest);
        }
        Ok(segments)
    }

    /// The folder they lie in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// True when a file of this name in [`SegmentNames::folder`] is a segment, or may become one.
    pub fn covers(&self, name: &OsStr) -> bool {
        match &self.naming {
            SegmentNaming::Numbered { .. } => self.number(name, &self.stem).is_some(),
            SegmentNaming::Timed { pattern, .. } => {
                let Some(stem) = self.without_endings(name).and_then(|stem| stem.to_str().map(str::to_owned)) else {
                    return false;
                };
                let is_number = |text: &str| text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
                pattern.matches(&stem)
                    || stem.rsplit_once('.').is_some_and(|(stem, number)| is_number(number) && pattern.matches(stem))
            }
        }
    }

    /// True when a name takes the time of the segment's first record.
    pub(super) const fn wants_time(&self) -> bool {
        matches!(self.naming, SegmentNaming::Timed { .. })
    }

    /// Creates the segment after the highest number, or the one of this time.
    pub(super) fn create_next(&mut self, time: Timestamp) -> Result<(PathBuf, GrowingFile), BackendError> {
        let mut number = match &mut self.naming {
            SegmentNaming::Numbered { numbers, highest } => numbers.last().copied().unwrap_or(0).max(*highest) + 1,
            SegmentNaming::Timed { pattern, last, .. } => {
                let name = pattern.name_at(time);
                if last.0 == name {
                    last.1 + 1
                } else {
                    *last = (name, 0);
                    0
                }
            }
        };
        loop {
            let stem = match &self.naming {
                SegmentNaming::Numbered { .. } => self.stem.clone(),
                SegmentNaming::Timed { last, .. } => OsString::from(&last.0),
            };
            let path = self.folder.join(self.name(&stem, number));
            let fail = |source| BackendError::Io { action: "create", path: path.clone(), source };
            if number > NUMBER_MAX {
                return Err(fail(io::Error::other("the six digits of its number are used up; move the old segments away")));
            }
            match (GrowingFile::create_new(&path), &mut self.naming) {
                (Err(error), SegmentNaming::Timed { .. }) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                (Err(error), _) => return Err(fail(error)),
                (Ok(file), SegmentNaming::Numbered { numbers, .. }) => {
                    numbers.insert(number);
                    return Ok((path, file));
                }
                (Ok(file), SegmentNaming::Timed { last, created, .. }) => {
                    last.1 = number;
                    created.push_back(path.clone());
                    return Ok((path, file));
                }
            }
        }
    }

    /// Deletes the oldest until `max` are left, but never the newest; how many were deleted, and why one was
    /// not. Without `max` they are forgotten instead.
    pub(super) fn retain(&mut self, max: Option<u32>) -> (u64, Option<String>) {
        let (mut deleted, mut failure) = (0, None);
        let left = max.map_or(1, |max| max.max(1)) as usize;
        loop {
            let oldest = match &mut self.naming {
                SegmentNaming::Numbered { numbers, .. } if numbers.len() > left => {
                    let oldest = numbers.pop_first();
                    oldest.map(|number| self.folder.join(self.name(&self.stem, number)))
                }
                SegmentNaming::Timed { created, .. } if created.len() > left => created.pop_front(),
                _ => None,
            };
            let Some(path) = oldest else { return (deleted, failure) };
            if max.is_none() {
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => deleted += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => failure = Some(format!("cannot delete {}: {error}", path.display())),
            }
        }
    }

    /// The name of a segment; 0 stands for none.
    fn name(&self, stem: &OsStr, number: u32) -> OsString {
        let mut name = stem.to_owned();
        if number > 0 {
            name.push(format!(".{number:0DIGITS$}"));
        }
        for ending in [&self.extension, &self.compression].into_iter().flatten() {
            name.push(".");
            name.push(ending);
        }
        name
    }

    /// A name without the endings of ours; `None` when it has others.
    fn without_endings(&self, name: &OsStr) -> Option<OsString> {
        let mut name = name.to_owned();
        for ending in [&self.compression, &self.extension].into_iter().flatten() {
            let path = Path::new(&name);
            if path.extension() != Some(ending) {
                return None;
            }
            name = path.file_stem()?.to_owned();
        }
        Some(name)
    }

    /// The number of a file that is named as a segment with something behind it, such as `.gz`.
    fn number_of_remains(&self, name: &OsStr) -> Option<u32> {
        let rest = name.as_encoded_bytes().strip_prefix(self.stem.as_encoded_bytes())?.strip_prefix(b".")?;
        let (digits, mut ending) = rest.split_at_checked(DIGITS)?;
        for part in [&self.extension, &self.compression].into_iter().flatten() {
            ending = ending.strip_prefix(b".")?.strip_prefix(part.as_encoded_bytes())?;
        }
        let is_more = ending.first() == Some(&b'.') && digits.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(digits).ok().filter(|_| is_more)?.parse().ok()
    }

    /// The number of the segment of this name, when it is one.
    fn number(&self, name: &OsStr, stem: &OsStr) -> Option<u32> {
        let numbered = self.without_endings(name)?;
        let numbered = Path::new(&numbered);
        let digits = numbered.extension()?.to_str()?;
        if numbered.file_stem()? != stem || digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().filter(|number| *number > 0)
    }
}
