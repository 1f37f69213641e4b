//! TFTP (RFC 1350).
//!
//! Owns the two requests.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

/// Longest file name and mode that are read.
const TEXT_MAX: usize = 512;

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    let mut look = Look::datagram(client);
    ensure(matches!(look.u16()?, 1 | 2))?;
    let file = look.until(0, TEXT_MAX)?;
    let mode = look.until(0, TEXT_MAX)?;
    let is_mode = ["octet", "netascii", "mail"].iter().any(|one| mode.eq_ignore_ascii_case(one.as_bytes()));
    ensure(is_mode && !file.is_empty())?;
    Ok(AppMark::of(AppProtocol::Tftp).object(file))
}
