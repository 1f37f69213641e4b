//! Telnet (RFC 854).
//!
//! Owns the options that a side opens with.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

const COMMAND: u8 = 255;
/// Highest option that is registered, below the one for more of them.
const OPTION_MAX: u8 = 140;

/// Of a stream: of the side that negotiates first.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let bytes = if server.first() == Some(&COMMAND) || client.is_empty() { server } else { client };
    let mut look = Look::stream(bytes);
    look.expect(&[COMMAND])?;
    // WILL, WONT, DO, DONT.
    ensure((251..=254).contains(&look.u8()?))?;
    ensure(look.u8()? <= OPTION_MAX)?;
    Ok(AppMark::of(AppProtocol::Telnet))
}
