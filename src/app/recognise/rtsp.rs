//! RTSP (RFC 2326, RFC 7826).
//!
//! Owns the first line and the name of the program; the address is passed over, as a password may be in it. A client begins with a letter
//! of a method, a server with `RTSP/`.

use super::look::{Look, Looked, Unread, header};
use super::mark::{AppMark, AppProtocol};

const METHODS: [&[u8]; 11] = [
    b"OPTIONS ",
    b"DESCRIBE ",
    b"ANNOUNCE ",
    b"SETUP ",
    b"PLAY ",
    b"PAUSE ",
    b"TEARDOWN ",
    b"GET_PARAMETER ",
    b"SET_PARAMETER ",
    b"REDIRECT ",
    b"RECORD ",
];

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let version = if client.is_empty() { of_answer(server)? } else { of_request(client)? };
    let software = header(client, "user-agent").or_else(|| header(server, "server"));
    Ok(AppMark::of(AppProtocol::Rtsp).version(version).software(software))
}

fn of_request(client: &[u8]) -> Result<&[u8], Unread<'static>> {
    let mut look = Look::stream(client);
    look.expect_one(&METHODS)?;
    let line = look.line()?;
    let at = line.iter().rposition(|&byte| byte == b' ').ok_or(Unread::No)?;
    line[at + 1..].strip_prefix(b"RTSP/").filter(|version| is_version(version)).ok_or(Unread::No)
}

fn of_answer(server: &[u8]) -> Result<&[u8], Unread<'static>> {
    let mut look = Look::stream(server);
    look.expect(b"RTSP/")?;
    let version = look.until(b' ', 8)?;
    Some(version).filter(|version| is_version(version)).ok_or(Unread::No)
}

fn is_version(version: &[u8]) -> bool {
    matches!(version, [b'1' | b'2', b'.', b'0'])
}
