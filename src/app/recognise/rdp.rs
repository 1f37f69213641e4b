//! RDP (MS-RDPBCGR section 2.2.1.1).
//!
//! Owns the connection request. The user's name in its cookie is passed over.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(client);
    look.expect(&[3, 0])?;
    let len = usize::from(look.u16()?);
    ensure((11..=512).contains(&len))?;
    let request_len = usize::from(look.u8()?);
    ensure(request_len + 5 == len)?;
    look.expect(&[0xe0, 0, 0])?;
    look.take(3)?;
    let rest = look.take(len - 11)?;
    // RDP_NEG_REQ: kind 1, flags, length 8, protocols.
    let asks = rest.len() >= 8 && rest[rest.len() - 8] == 1 && rest[rest.len() - 6..rest.len() - 4] == [8, 0];
    ensure(asks || rest.starts_with(b"Cookie: mstshash="))?;
    Ok(AppMark::of(AppProtocol::Rdp))
}
