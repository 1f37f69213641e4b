//! Why there is no server. Each message names the flag, the file and what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Somebody else has the port.
    #[error(
        "port {} of {} is taken{}: choose another with --web-port (web.port)",
        address.port(), address.ip(), holder.as_ref().map_or_else(String::new, |(name, pid)| format!(" by {name} (pid {pid})"))
    )]
    PortTaken {
        /// Where we wanted to listen.
        address: SocketAddr,
        /// Name and number of the process, where we may see it.
        holder: Option<(String, u32)>,
    },
    /// It cannot listen for another reason.
    #[error("cannot listen on {address} (--web-bind, --web-port)")]
    Bind {
        /// Where we wanted to listen.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A file of the settings cannot be read.
    #[error("cannot read {} ({name})", path.display())]
    Read {
        /// Flag and key.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of the settings has something else in it.
    #[error("{} ({name}): {what}", path.display())]
    File {
        /// Flag and key.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A secret that cannot be used.
    #[error("{name} {what}")]
    Value {
        /// The key.
        name: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The system refuses something else that is needed.
    #[error("cannot {what} for the web server")]
    System {
        /// What.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}
