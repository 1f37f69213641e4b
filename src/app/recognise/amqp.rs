//! AMQP 0-8 to 1.0.
//!
//! Owns the header that a client opens with.

use super::look::{Look, Looked, Unread};
use super::mark::{AppMark, AppProtocol};

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(client);
    look.expect(b"AMQP")?;
    let [kind, major, minor, revision] = [look.u8()?, look.u8()?, look.u8()?, look.u8()?];
    let version: &[u8] = match (kind, major, minor, revision) {
        (0, 0, 9, 1) => b"0-9-1",
        (0, 0, 9, 0) | (1, 1, 0, 9) => b"0-9",
        (1, 1, 8, 0) => b"0-8",
        (1, 1, 0, 10) => b"0-10",
        // As such, behind TLS and behind SASL.
        (0 | 2 | 3, 1, 0, 0) => b"1.0",
        _ => return Err(Unread::No),
    };
    Ok(AppMark::of(AppProtocol::Amqp).version(version))
}
