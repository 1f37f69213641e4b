//! NetFlow 5 and 9 (RFC 3954) and IPFIX (RFC 7011).
//!
//! Owns their headers, whose lengths have to be the datagram's. A client begins with 0x00 and 0x05, 0x09 or 0x0a.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

const V5_HEADER_LEN: usize = 24;
const V5_RECORD_LEN: usize = 48;
/// Sets that are looked at.
const SETS_MAX: usize = 32;

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    let mut look = Look::datagram(client);
    look.expect(&[0])?;
    let version = look.u8()?;
    let number = usize::from(look.u16()?);
    match version {
        5 => ensure((1..=30).contains(&number) && client.len() == V5_HEADER_LEN + number * V5_RECORD_LEN)?,
        9 => {
            ensure(number > 0)?;
            look.take(16)?;
            sets(look, &[0, 1])?;
        }
        10 => {
            ensure(number == client.len())?;
            look.take(12)?;
            sets(look, &[2, 3])?;
        }
        _ => return Err(Unread::No),
    }
    Ok(AppMark::of(AppProtocol::NetFlow).number(version))
}

/// Sets, of templates with these numbers or of data, up to the end.
fn sets(mut look: Look<'_>, templates: &[u16]) -> Result<(), Unread<'static>> {
    for _ in 0..SETS_MAX {
        let (number, len) = (look.u16()?, usize::from(look.u16()?));
        ensure((number > 255 || templates.contains(&number)) && len > 4)?;
        look.take(len - 4)?;
        if look.left().is_empty() {
            break;
        }
    }
    Ok(())
}
