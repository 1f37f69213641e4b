//! Apache JServ Protocol 1.3 (Tomcat's documentation).
//!
//! Owns the header of the first request. A client begins with 0x12 0x34, a server with `AB`.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

/// Longest packet.
const PACKET_MAX: u16 = 8192;
/// Highest number of a method.
const METHOD_MAX: u8 = 27;

/// Of a stream. Where the client's beginning was missed, the answers' kind and length tell.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mark = AppMark::of(AppProtocol::Ajp).pair(1, 3);
    if client.is_empty() {
        let mut look = Look::stream(server);
        look.expect(b"AB")?;
        let (len, kind) = (look.u16()?, look.u8()?);
        // Body, headers, end, the answer to a ping, a request for more of a body.
        let fits = match kind {
            3 => len >= 4,
            4 => len >= 7,
            5 => len == 2,
            6 => len == 3,
            9 => len == 1,
            _ => false,
        };
        ensure(fits && len <= PACKET_MAX)?;
        return Ok(mark);
    }
    let mut look = Look::stream(client);
    look.expect(&[0x12, 0x34])?;
    let (len, kind) = (look.u16()?, look.u8()?);
    ensure(len <= PACKET_MAX)?;
    match kind {
        // A ping of either kind.
        8 | 10 => ensure(len == 1)?,
        // A request: its method, and the protocol as a string.
        2 => {
            ensure((1..=METHOD_MAX).contains(&look.u8()?))?;
            look.expect(&[0, 8])?;
            look.expect(b"HTTP/")?;
        }
        _ => return Err(Unread::No),
    }
    Ok(mark)
}
