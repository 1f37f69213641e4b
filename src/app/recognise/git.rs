//! Git's own protocol (gitprotocol-pack).
//!
//! Owns the request line: command and repository.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

/// Longest line that is read.
const LINE_MAX: usize = 1024;

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(client);
    for digit in client.iter().take(4) {
        ensure(digit.is_ascii_hexdigit())?;
    }
    look.take(4)?;
    look.expect_one(&[b"git-upload-pack ", b"git-receive-pack ", b"git-upload-archive "])?;
    let path = look.until(0, LINE_MAX)?;
    Ok(AppMark::of(AppProtocol::Git).object(path.trim_ascii()))
}
