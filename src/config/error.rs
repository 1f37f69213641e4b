//! What can be wrong with a configuration. Every message names the flag or key and says what to do.

use crate::query::QueryError;
use std::path::PathBuf;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line could not be understood, or help or the version was asked for.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The configuration file could not be read.
    #[error("cannot read configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The configuration file says something that it cannot.
    #[error("{}, line {line}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Line from 1.
        line: usize,
        /// What is wrong, with the key's name, and what to do.
        what: String,
    },
    /// A value is out of its range.
    #[error("{name} {what}")]
    Value {
        /// Flag and key.
        name: &'static str,
        /// What is wrong and what to do.
        what: String,
    },
    /// The filter of flows cannot be understood.
    #[error("--where (output.where): {0}")]
    Where(QueryError),
    /// Two settings that do not go together.
    #[error("{0}")]
    Combination(String),
}

impl ConfigError {
    /// What the program ends with: 0 for help and version, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(usage) if !usage.use_stderr() => 0,
            _ => 1,
        }
    }
}
