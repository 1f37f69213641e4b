//! Cassandra's native protocol (versions 1 to 5).
//!
//! Owns the first frame and the kind of the answer.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

const STARTUP: u8 = 1;
const OPTIONS: u8 = 5;

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(client);
    let version = look.u8()?;
    ensure((1..=5).contains(&version))?;
    ensure(look.u8()? & 0xe0 == 0)?;
    // From version 3 on the stream's number has two bytes.
    look.take(if version < 3 { 1 } else { 2 })?;
    let kind = look.u8()?;
    let len = look.u32()?;
    ensure(match kind {
        STARTUP => (15..4096).contains(&len),
        OPTIONS => len == 0,
        _ => false,
    })?;
    if kind == STARTUP {
        let count = look.u16()?;
        ensure((1..=16).contains(&count))?;
    }
    let mut answer = Look::stream(server);
    ensure(answer.u8()? & 0x80 != 0)?;
    answer.take(if version < 3 { 2 } else { 3 })?;
    // An error, READY, AUTHENTICATE or SUPPORTED.
    ensure(matches!(answer.u8()?, 0 | 2 | 3 | 6))?;
    Ok(AppMark::of(AppProtocol::Cassandra).number(version))
}
