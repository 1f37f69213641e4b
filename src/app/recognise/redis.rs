//! Redis (RESP).
//!
//! Owns the first command's shape; its words are passed over.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(client);
    look.expect(b"*")?;
    let count = number(look.until(b'\n', 8)?)?;
    look.expect(b"$")?;
    let len = number(look.until(b'\n', 8)?)?;
    ensure((1..=1_000_000).contains(&count) && (1..=32).contains(&len))?;
    let command = look.take(len)?;
    look.expect(b"\r\n")?;
    ensure(command.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'.' | b'_' | b'-')))?;
    Ok(AppMark::of(AppProtocol::Redis))
}

fn number(line: &[u8]) -> Result<usize, Unread<'_>> {
    let digits = line.strip_suffix(b"\r").ok_or(Unread::No)?;
    ensure(!digits.is_empty() && digits.iter().all(u8::is_ascii_digit))?;
    Ok(digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}
