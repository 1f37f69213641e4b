//! SMTP and LMTP (RFC 5321, RFC 2033).
//!
//! Owns the greeting and the first command. FTP has the same code, so the text or the command decides.

use super::look::{Look, Looked, names};
use super::mark::{AppMark, AppProtocol};

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(server);
    look.expect(b"220")?;
    look.expect_one(&[b" ", b"-"])?;
    let text = look.line()?;
    if !names(text, b"SMTP") {
        Look::stream(client).expect_one(&[b"EHLO ", b"HELO ", b"LHLO "])?;
    }
    Ok(AppMark::of(AppProtocol::Smtp).software(text.trim_ascii()))
}
