//! X11 (X Window System Protocol, section 8).
//!
//! Owns the opening. A client begins with `B` or `l`, and any byte.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

const VERSION: u16 = 11;
/// Longest name and data of an authorisation.
const AUTHORISATION_MAX: u16 = 1024;

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(client);
    let is_little = match look.u8()? {
        b'l' => true,
        b'B' => false,
        _ => return Err(Unread::No),
    };
    look.u8()?;
    let mut number = || look.u16().map(|number| if is_little { number.swap_bytes() } else { number });
    ensure(number()? == VERSION)?;
    let minor = number()?;
    ensure(minor <= 9)?;
    ensure(number()? <= AUTHORISATION_MAX)?;
    ensure(number()? <= AUTHORISATION_MAX)?;
    // The answer: refused, accepted, or more is asked for.
    if let Some(&answer) = server.first() {
        ensure(answer <= 2)?;
    }
    Ok(AppMark::of(AppProtocol::X11).pair(VERSION as u8, minor as u8))
}
