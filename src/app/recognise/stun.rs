//! STUN (RFC 8489).
//!
//! Owns its header and the attribute SOFTWARE.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const SOFTWARE: u16 = 0x8022;
/// Attributes that are looked at.
const ATTRIBUTES_MAX: usize = 32;

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    look(Look::datagram(if client.is_empty() { server } else { client }))
}

/// Of a stream.
pub(super) fn read_stream<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    look(Look::stream(client))
}

fn look(mut look: Look<'_>) -> Looked<'_> {
    let kind = look.u16()?;
    let len = usize::from(look.u16()?);
    // Microsoft's relays send other lengths, too (MS-TURN); those have to be the datagram's.
    ensure(kind & 0xc000 == 0 && (len.is_multiple_of(4) || look.left().len() == len + 16))?;
    look.expect(&MAGIC_COOKIE)?;
    look.take(12)?;
    let mut attributes = Look::datagram(look.take(len)?);
    let mut mark = AppMark::of(AppProtocol::Stun);
    for _ in 0..ATTRIBUTES_MAX {
        let (Ok(kind), Ok(len)) = (attributes.u16(), attributes.u16()) else { break };
        let Ok(value) = attributes.take(len.into()) else { break };
        if kind == SOFTWARE {
            mark = mark.software(value.trim_ascii());
        }
        let padding = usize::from(len).next_multiple_of(4) - usize::from(len);
        if attributes.take(padding).is_err() {
            break;
        }
    }
    Ok(mark)
}
