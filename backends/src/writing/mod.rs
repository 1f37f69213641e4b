//! Files that grow while a program runs: where the bytes go, compression by the name's ending, rotation.
//!
//! Owns opening, cutting back after a failed write, the names of rotated files and which are deleted. Knows no
//! record. Its one invariant: nothing that existed before is changed until the first bytes are written.

mod compress;
mod growing;
mod pattern;
mod rotated;
mod segments;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

pub use compress::{CompressedFile, OutputCompression};
pub use growing::{AppendError, GrowingFile};
pub use pattern::NamePattern;
pub use rotated::{RotatedFile, RotationCounts, RotationOptions};
pub use segments::SegmentNames;

/// As the path of an output: standard output.
pub const STDOUT_PATH: &str = "-";
/// What standard output is called in messages.
pub const STDOUT_NAME: &str = "standard output";
/// Other names of it, on Linux and macOS.
const STDOUT_ALIASES: [&str; 4] = [STDOUT_PATH, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
/// Links followed one after the other, as the kernel does (MAXSYMLINKS).
const LINKS_MAX: usize = 40;

/// True when an output of this path goes to standard output: `-`, `/dev/stdout`, or a link to that.
pub fn is_stdout(path: &Path) -> bool {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        if STDOUT_ALIASES.iter().any(|alias| path.as_os_str() == *alias) {
            return true;
        }
        let Ok(target) = fs::read_link(&path) else { return false };
        path = path.parent().map_or_else(|| target.clone(), |parent| parent.join(&target));
    }
    false
}

/// What an output of this path is called in messages.
pub fn output_name(path: &Path) -> PathBuf {
    if is_stdout(path) { PathBuf::from(STDOUT_NAME) } else { path.to_owned() }
}

/// Standard output as a file of its own, without the standard library's buffer.
///
/// # Errors
/// When it is closed, or no more files may be open.
pub fn open_stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}
