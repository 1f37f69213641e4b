//! POP3 (RFC 1939).
//!
//! Owns the greeting. Redis answers with the same bytes, but never first.

use super::look::{Look, Looked};
use super::mark::{AppMark, AppProtocol};

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(server);
    look.expect(b"+OK")?;
    let text = look.line()?;
    if !client.is_empty() {
        Look::stream(client).expect_one(&[b"USER", b"CAPA", b"APOP", b"AUTH", b"STLS", b"QUIT", b"UTF8"])?;
    }
    // A time stamp for APOP may stand behind the text.
    let end = text.iter().position(|&byte| byte == b'<').unwrap_or(text.len());
    Ok(AppMark::of(AppProtocol::Pop3).software(text[..end].trim_ascii()))
}
