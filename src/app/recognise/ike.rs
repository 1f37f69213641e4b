//! IKE (RFC 2408, RFC 7296).
//!
//! Owns its header, also behind the marker of RFC 3948.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

const HEADER_LEN: u32 = 28;

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let bytes = if client.is_empty() { server } else { client };
    let bytes = bytes.strip_prefix(&[0; 4]).filter(|rest| rest.len() >= HEADER_LEN as usize).unwrap_or(bytes);
    let mut look = Look::datagram(bytes);
    ensure(look.take(8)? != [0; 8])?;
    look.take(8)?;
    let (payload, version) = (look.u8()?, look.u8()?);
    let (exchange, flags) = (look.u8()?, look.u8()?);
    look.take(4)?;
    let len = look.u32()?;
    let is_exchange = match version {
        0x10 => matches!(exchange, 1..=6 | 32 | 33) && flags & 0xf8 == 0 && payload <= 20,
        0x20 => (34..=43).contains(&exchange) && flags & 0xc7 == 0 && matches!(payload, 0 | 33..=53),
        _ => false,
    };
    ensure(is_exchange && len >= HEADER_LEN && len as usize == bytes.len())?;
    Ok(AppMark::of(AppProtocol::Ike).pair(version >> 4, version & 15))
}
