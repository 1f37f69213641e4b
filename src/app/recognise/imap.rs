//! IMAP (RFC 9051).
//!
//! Owns the greeting.

use super::look::{Look, Looked};
use super::mark::{AppMark, AppProtocol};

/// Of a stream.
pub(super) fn read<'a>(_: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(server);
    look.expect_one(&[b"* OK ", b"* PREAUTH ", b"* BYE "])?;
    let text = look.line()?;
    // A list of capabilities may stand in front of the text.
    let behind = text.strip_prefix(b"[").and_then(|rest| rest.iter().position(|&byte| byte == b']').map(|at| &rest[at + 1..]));
    Ok(AppMark::of(AppProtocol::Imap).software(behind.unwrap_or(text).trim_ascii()))
}
