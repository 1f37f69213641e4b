//! RTP (RFC 3550 section 5.1).
//!
//! Owns its header.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

/// Of a datagram; weak, as two bits say little: something else has to agree.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::datagram(if client.is_empty() { server } else { client });
    let (first, second) = (look.u8()?, look.u8()?);
    ensure(first >> 6 == 2 && matches!(second & 0x7f, 0..=34 | 96..=127) && !(200..=213).contains(&second))?;
    look.take(10 + 4 * usize::from(first & 15))?;
    Ok(AppMark::of(AppProtocol::Rtp).number(2))
}
