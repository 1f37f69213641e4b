//! NATS (its client protocol).
//!
//! Owns the server's INFO line and the version in it.

use super::look::{Look, Looked};
use super::mark::{AppMark, AppProtocol};

const VERSION: &[u8] = b"\"version\":\"";

/// Of a stream.
pub(super) fn read<'a>(_: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(server);
    look.expect(b"INFO {")?;
    let line = look.line()?;
    let at = line.windows(VERSION.len()).position(|window| window == VERSION);
    let version = at.and_then(|at| Look::datagram(&line[at + VERSION.len()..]).until(b'"', 64).ok());
    Ok(AppMark::of(AppProtocol::Nats).version(version))
}
