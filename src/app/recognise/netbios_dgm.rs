//! NetBIOS datagrams (RFC 1002 section 4.4).
//!
//! Owns the header. A client begins with 0x10 to 0x16.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

const PORT: u16 = 138;
/// Both names, each of 32 letters behind a length.
const NAMES_LEN_MIN: usize = 68;

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::datagram(if client.is_empty() { server } else { client });
    let (kind, flags) = (look.u8()?, look.u8()?);
    // To one name, to a group, to all; an error and two questions are short and not told.
    ensure(matches!(kind, 0x10..=0x12) && flags & 0xf0 == 0)?;
    // Its number and the sender's address.
    look.take(6)?;
    ensure(look.u16()? == PORT)?;
    let len = usize::from(look.u16()?);
    look.take(2)?;
    ensure(len >= NAMES_LEN_MIN)?;
    // The sender's name: letters from A to P.
    look.expect(&[32])?;
    ensure(look.take(32)?.iter().all(|letter| (b'A'..=b'P').contains(letter)))?;
    Ok(AppMark::of(AppProtocol::NetBiosDatagram))
}
