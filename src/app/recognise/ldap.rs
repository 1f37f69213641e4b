//! LDAP (RFC 4511), also over datagrams.
//!
//! Owns the outer elements of a request; names and passwords are passed over.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

const BIND_REQUEST: u8 = 0x60;

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    look(Look::datagram(client))
}

/// Of a stream.
pub(super) fn read_stream<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    look(Look::stream(client))
}

fn look(mut look: Look<'_>) -> Looked<'_> {
    let mut message = look.element(0x30, true)?;
    ensure(message.integer()? > 0)?;
    let mark = AppMark::of(AppProtocol::Ldap);
    let mut next = message;
    match next.u8()? {
        BIND_REQUEST => {
            let version = message.element(BIND_REQUEST, true)?.integer()?;
            ensure((2..=3).contains(&version))?;
            Ok(mark.number(version as u8))
        }
        // Search, modify, add, compare; delete and unbind hold no elements.
        tag @ (0x63 | 0x66 | 0x68 | 0x6e) => {
            message.element(tag, true)?.expect_one(&[&[4], &[10]])?;
            Ok(mark)
        }
        // An extended request by its number, for example for TLS.
        0x77 => {
            message.element(0x77, true)?.expect(&[0x80])?;
            Ok(mark)
        }
        _ => Err(Unread::No),
    }
}
