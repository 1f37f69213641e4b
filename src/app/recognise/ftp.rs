//! FTP (RFC 959).
//!
//! Owns the greeting and the first command. Mail has the same code, so the text or the command decides.

use super::look::{Look, Looked, names};
use super::mark::{AppMark, AppProtocol};

const COMMANDS: [&[u8]; 10] =
    [b"USER ", b"AUTH ", b"FEAT\r\n", b"SYST\r\n", b"OPTS ", b"HOST ", b"CLNT ", b"QUIT\r\n", b"NOOP\r\n", b"PBSZ "];

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(server);
    look.expect(b"220")?;
    look.expect_one(&[b" ", b"-"])?;
    let text = look.line()?;
    if !names(text, b"FTP") || names(text, b"SMTP") {
        Look::stream(client).expect_one(&COMMANDS)?;
    }
    Ok(AppMark::of(AppProtocol::Ftp).software(text.trim_ascii()))
}
