//! TACACS+ (RFC 8907).
//!
//! Owns the header; the answer has to be of the same session. Both sides begin with 0xc0 or 0xc1.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

const BODY_MAX: u32 = 0xffff;

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let (kind, session) = header(client, 1)?;
    let of_answer = header(server, 2)?;
    ensure(of_answer == (kind, session))?;
    Ok(AppMark::of(AppProtocol::Tacacs))
}

/// Kind and session of a packet with this number.
fn header(bytes: &[u8], number: u8) -> Result<(u8, u32), Unread<'_>> {
    let mut look = Look::stream(bytes);
    ensure(matches!(look.u8()?, 0xc0 | 0xc1))?;
    let kind = look.u8()?;
    ensure((1..=3).contains(&kind))?;
    look.expect(&[number])?;
    // Whether it is in the clear, and whether the connection stays.
    ensure(look.u8()? & !5 == 0)?;
    let session = look.u32()?;
    ensure(look.u32()? <= BODY_MAX)?;
    Ok((kind, session))
}
