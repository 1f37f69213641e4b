//! S7comm of Siemens controllers: TPKT (RFC 1006), COTP (ISO 8073), and the header behind them.
//!
//! Owns the way to that header. A client begins with 0x03 0x00; a server is not asked.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

/// COTP: asks for a connection; carries data.
const CONNECTION_REQUEST: u8 = 0xe0;
const DATA: u8 = 0xf0;
/// First byte of the header, and of that of the newer controllers.
const S7: u8 = 0x32;
const S7_PLUS: u8 = 0x72;
/// Longest request for a connection.
const REQUEST_MAX: usize = 128;

/// Of a stream. A connection that was caught in its middle has no request in front.
pub(super) fn read<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(client);
    let (kind, left) = packet(&mut look)?;
    if kind == CONNECTION_REQUEST {
        ensure(left <= REQUEST_MAX)?;
        look.take(left)?;
        let (kind, _) = packet(&mut look)?;
        ensure(kind == DATA)?;
    } else {
        ensure(kind == DATA)?;
    }
    look.expect(&[0x80])?;
    match look.u8()? {
        // A request, an acknowledgment, an answer, or user data; then two bytes that are zero.
        S7 => {
            ensure(matches!(look.u8()?, 1..=3 | 7))?;
            look.expect(&[0, 0])?;
        }
        S7_PLUS => ensure((1..=3).contains(&look.u8()?))?,
        _ => return Err(Unread::No),
    }
    Ok(AppMark::of(AppProtocol::S7Comm))
}

/// The headers of TPKT and COTP up to the kind: the kind, and how much of the packet is left.
fn packet(look: &mut Look<'_>) -> Result<(u8, usize), Unread<'static>> {
    look.expect(&[3, 0])?;
    let len = usize::from(look.u16()?);
    let header_len = usize::from(look.u8()?);
    let kind = look.u8()?;
    let fits = if kind == DATA { header_len == 2 && len > 7 } else { header_len >= 6 && header_len + 5 == len };
    ensure(fits)?;
    Ok((kind, len - 6))
}
