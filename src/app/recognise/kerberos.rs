//! Kerberos 5 (RFC 4120).
//!
//! Owns the outer elements of its requests; names are passed over.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

const AS_REQ: u8 = 0x6a;
const TGS_REQ: u8 = 0x6c;
const AP_REQ: u8 = 0x6e;

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    look(Look::datagram(client))
}

/// Of a stream, where a length stands in front.
pub(super) fn read_stream<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    let mut from_client = Look::stream(client);
    ensure((20..100_000).contains(&from_client.u32()?))?;
    look(from_client)
}

fn look(mut look: Look<'_>) -> Looked<'_> {
    let tag = look.left().first().copied().unwrap_or(AS_REQ);
    ensure(matches!(tag, AS_REQ | TGS_REQ | AP_REQ))?;
    let mut request = look.element(tag, true)?.element(0x30, true)?;
    // The version is the first element, with another number in an AP-REQ.
    let mut version = request.element(if tag == AP_REQ { 0xa0 } else { 0xa1 }, true)?;
    ensure(version.integer()? == 5)?;
    Ok(AppMark::of(AppProtocol::Kerberos).number(5))
}
