//! What can go wrong at a source. A chain in the cold path: which call, on what, why.

use crate::file::STDIN_PATH;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Why a source could not be opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// A file or device could not be opened or read.
    #[error("cannot {action} {path}")]
    Io {
        /// What we tried, e.g. "open".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The capture file is damaged or cut short at this byte; everything before it was read.
    #[error("{} is damaged at byte {offset}: {what}; packets read before it: {packets}", said(path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Offset in bytes into the (decompressed) capture.
        offset: u64,
        /// What is wrong there.
        what: String,
        /// Packets read before it.
        packets: u64,
    },
    /// Of several capture files, more than one could not be read to its end.
    #[error("{first}; and {more} more of the files could not be read to their ends")]
    SeveralFiles {
        /// What was wrong with the first of them.
        first: Box<BackendError>,
        /// How many more there are.
        more: usize,
    },
    /// There is nothing in it.
    #[error("{} is empty", said(path))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Not a capture file we read.
    #[error("{} is not a capture file that can be read: {what}", said(path))]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        what: String,
    },
    /// The filter expression does not compile.
    #[error("invalid filter expression \"{expression}\": {why}")]
    Filter {
        /// As given.
        expression: String,
        /// What libpcap says.
        why: String,
    },
    /// A live interface is not captured from, because the host would lose what it uses it for.
    #[error("interface {interface} {what}")]
    Used {
        /// Its name.
        interface: String,
        /// What it is used for, what would be lost, and what to do.
        what: String,
    },
    /// A live interface could not be opened, configured or read.
    #[error("interface {interface}: {what}")]
    Interface {
        /// Its name.
        interface: String,
        /// What failed, why, and what to do.
        what: String,
    },
}

/// What a source is called.
fn said(path: &Path) -> Cow<'_, str> {
    if path.as_os_str() == STDIN_PATH { "standard input".into() } else { path.to_string_lossy() }
}
