//! SNMP (RFC 1157, RFC 1901, RFC 3412).
//!
//! Owns its first bytes. The community, which is a password, is passed over.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::datagram(if client.is_empty() { server } else { client });
    let mut message = look.element(0x30, false)?;
    let version = message.integer()?;
    let text: &[u8] = match version {
        0 => b"1",
        1 => b"2c",
        3 => b"3",
        _ => return Err(Unread::No),
    };
    if version == 3 {
        message.element(0x30, false)?;
    } else {
        message.element(4, false)?;
        ensure((0xa0..=0xa8).contains(&message.u8()?))?;
    }
    Ok(AppMark::of(AppProtocol::Snmp).version(text))
}
