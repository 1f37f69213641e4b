//! SOCKS 4 and 5 (RFC 1928, RFC 1929).
//!
//! Owns the handshake, and the host that is asked for where it is a name; users and passwords are passed over. A client begins with 0x04
//! or 0x05, a server with 0x00 or 0x05.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

/// Methods that a client offers at most; eight are registered.
const METHODS_MAX: usize = 16;
const NO_PASSWORD: u8 = 0;
const REFUSED: u8 = 0xff;
const NAME: u8 = 3;
/// Longest text.
const TEXT_MAX: usize = 256;

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let (mut look, answer) = (Look::stream(client), Look::stream(server));
    match look.u8()? {
        4 => version_4(look, answer),
        5 => version_5(look, answer),
        _ => Err(Unread::No),
    }
}

fn version_4<'a>(mut look: Look<'a>, mut answer: Look<'a>) -> Looked<'a> {
    ensure(matches!(look.u8()?, 1 | 2))?;
    let (port, address) = (look.u16()?, look.u32()?);
    ensure(port != 0)?;
    let user = look.until(0, TEXT_MAX)?;
    ensure(user.iter().all(u8::is_ascii_graphic))?;
    let mark = AppMark::of(AppProtocol::Socks).number(4);
    // An address 0.0.0.x stands for a name (SOCKS 4a).
    let name = if (1..=0xff).contains(&address) { Some(look.until(0, TEXT_MAX)?) } else { None };
    answer.expect(&[0])?;
    ensure((0x5a..=0x5d).contains(&answer.u8()?))?;
    Ok(mark.object(name))
}

fn version_5<'a>(mut look: Look<'a>, mut answer: Look<'a>) -> Looked<'a> {
    let count = usize::from(look.u8()?);
    ensure((1..=METHODS_MAX).contains(&count))?;
    let methods = look.take(count)?;
    answer.expect(&[5])?;
    let method = answer.u8()?;
    ensure(method == REFUSED || methods.contains(&method))?;
    let mark = AppMark::of(AppProtocol::Socks).number(5);
    if method != NO_PASSWORD {
        return Ok(mark);
    }
    look.expect(&[5])?;
    ensure((1..=3).contains(&look.u8()?))?;
    look.expect(&[0])?;
    match look.u8()? {
        1 | 4 => Ok(mark),
        NAME => {
            let len = look.u8()?.into();
            Ok(mark.object(look.take(len)?))
        }
        _ => Err(Unread::No),
    }
}
