//! Syslog (RFC 3164, RFC 5424; over streams RFC 6587).
//!
//! Owns the priority in front; the message is passed over.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

/// The highest priority: facility 23, severity 7.
const PRIORITY_MAX: u32 = 191;

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    look(Look::datagram(client))
}

/// Of a stream, where a length may stand in front.
pub(super) fn read_stream<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    let mut from_client = Look::stream(client);
    if client.first().is_some_and(u8::is_ascii_digit) {
        let digits = from_client.until(b' ', 7)?;
        ensure(digits.iter().all(u8::is_ascii_digit))?;
    }
    look(from_client)
}

fn look(mut look: Look<'_>) -> Looked<'_> {
    look.expect(b"<")?;
    let digits = look.until(b'>', 4)?;
    let priority =
        digits.iter().try_fold(0, |number, &digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')));
    ensure(!digits.is_empty() && priority.is_some_and(|priority| priority <= PRIORITY_MAX))?;
    let mark = AppMark::of(AppProtocol::Syslog);
    let next = look.u8()?;
    if next == b'1' && look.u8()? == b' ' {
        return Ok(mark.number(1));
    }
    ensure(next.is_ascii_graphic() || next == b' ')?;
    Ok(mark)
}
