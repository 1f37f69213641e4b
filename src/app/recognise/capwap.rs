//! CAPWAP between access points and their controller (RFC 5415 section 4).
//!
//! Owns its two headers. Either side begins with 0x00 or 0x01.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

const PLAIN: u8 = 0;
const ENCRYPTED: u8 = 1;
/// Words of the shortest header.
const HEADER_WORDS_MIN: u8 = 2;

/// Of a datagram; weak, as its first bits are zeros.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::datagram(if client.is_empty() { server } else { client });
    match look.u8()? {
        PLAIN => {
            let words = look.u8()? >> 3;
            ensure(words >= HEADER_WORDS_MIN)?;
            // The payload's binding, flags, and reserved bits at the end of the eight bytes.
            let rest = look.take(usize::from(words) * 4 - 2)?;
            ensure(rest[5] & 7 == 0)?;
        }
        // Three bytes that are reserved, then DTLS.
        ENCRYPTED => {
            look.expect(&[0, 0, 0])?;
            ensure((20..=25).contains(&look.u8()?))?;
            look.expect(&[0xfe])?;
        }
        _ => return Err(Unread::No),
    }
    Ok(AppMark::of(AppProtocol::Capwap))
}
