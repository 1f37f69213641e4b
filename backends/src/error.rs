//! What can go wrong at a source. A chain in the cold path: which call, on what, why.

use std::path::PathBuf;

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
    #[error("{path} is damaged at byte {offset}: {what}; the {packets} packets before it were read")]
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
    /// Not a capture file we read.
    #[error("{path} is not a capture file that can be read: {what}")]
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
