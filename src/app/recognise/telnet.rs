//! Telnet (RFC 854).
//!
//! Owns the options that a side opens with.

use super::look::{Look, Looked, either, ensure};
use super::mark::{AppMark, AppProtocol};

const COMMAND: u8 = 255;
/// Highest option that is registered, below the one for more of them.
const OPTION_MAX: u8 = 140;

/// Of a stream: of the side that negotiates.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    either(server, client, look)
}

fn look(mut look: Look<'_>) -> Looked<'_> {
    look.expect(&[COMMAND])?;
    // WILL, WONT, DO, DONT.
    ensure((251..=254).contains(&look.u8()?))?;
    ensure(look.u8()? <= OPTION_MAX)?;
    Ok(AppMark::of(AppProtocol::Telnet))
}
