//! Waits for a descriptor.
//!
//! Owns the call of poll(2). Knows nothing of what is read. Its one invariant: it returns once the timeout
//! has passed.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// What a descriptor has for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Nothing within the timeout.
    Nothing,
    /// Bytes, or the end.
    Readable,
    /// An error to be fetched.
    Error,
}

/// Waits at most `timeout` (rounded up to milliseconds) until `file` has bytes, has ended or has failed. A
/// signal ends the wait.
pub(crate) fn wait_readable(file: &impl AsRawFd, timeout: Duration) -> io::Result<Readiness> {
    let mut entry = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let timeout_ms = libc::c_int::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX);
    // JUSTIFICATION: the standard library has no way to wait for a descriptor with a timeout.
    // SAFETY: one live entry is passed, and its descriptor is open as long as `file` is borrowed.
    let ready = unsafe { libc::poll(&raw mut entry, 1, timeout_ms) };
    match ready {
        0 => Ok(Readiness::Nothing),
        1.. if entry.revents & libc::POLLERR != 0 => Ok(Readiness::Error),
        1.. => Ok(Readiness::Readable),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(Readiness::Nothing),
            error => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn tells_silence_bytes_and_the_end_apart_from_nothing() {
        let (reader, mut writer) = io::pipe().unwrap();
        assert_eq!(wait_readable(&reader, Duration::from_millis(1)).unwrap(), Readiness::Nothing);
        writer.write_all(b"x").unwrap();
        assert_eq!(wait_readable(&reader, Duration::from_secs(60)).unwrap(), Readiness::Readable);
        drop(writer);
        assert_eq!(wait_readable(&reader, Duration::from_secs(60)).unwrap(), Readiness::Readable);
    }
}
