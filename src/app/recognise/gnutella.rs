//! Gnutella (its protocol 0.4 and 0.6).
//!
//! Owns the handshake, the header of a datagram, and the signature of long queries. Over streams either side begins with `GNUTELLA`; a
//! datagram begins with any bytes.

use super::look::{Look, Looked, Unread, ensure, header};
use super::mark::{AppMark, AppProtocol};

/// Highest sum of hops that were made and are left.
const HOPS_MAX: u8 = 15;
/// A message's number, kind, hops and length.
const HEADER_LEN: usize = 23;

/// Of a stream.
pub(super) fn read_stream<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let bytes = if client.is_empty() { server } else { client };
    let mut look = Look::stream(bytes);
    look.expect_one(&[b"GNUTELLA CONNECT/", b"GNUTELLA/"])?;
    let line = look.line()?;
    let version = line.split(|&byte| byte == b' ').next().unwrap_or_default();
    ensure(matches!(version, [b'0', b'.', b'0'..=b'9']))?;
    let software = header(bytes, "user-agent").or_else(|| header(server, "user-agent"));
    Ok(AppMark::of(AppProtocol::Gnutella).version(version).software(software))
}

/// Of a datagram: a message that fills it.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let bytes = if client.is_empty() { server } else { client };
    let mut look = Look::datagram(bytes);
    look.take(16)?;
    let kind = look.u8()?;
    let len_min = match kind {
        // Ping, pong, bye, a vendor's, query, hits.
        0x00 | 0x02 => 0,
        0x01 => 14,
        0x31 | 0x32 => 8,
        0x44 => 5,
        0x80 => 3,
        0x81 => 27,
        _ => return Err(Unread::No),
    };
    let (left, made) = (look.u8()?, look.u8()?);
    ensure(left.checked_add(made).is_some_and(|hops| (1..=HOPS_MAX).contains(&hops)))?;
    let len = look.u32_le()? as usize;
    ensure(len >= len_min && len + HEADER_LEN == bytes.len())?;
    Ok(AppMark::of(AppProtocol::Gnutella))
}
