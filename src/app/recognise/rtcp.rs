//! RTCP (RFC 3550 section 6).
//!
//! Owns its headers: a compound packet, whose lengths have to add up.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

/// Packets of one datagram that are looked at.
const PACKETS_MAX: usize = 32;

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::datagram(if client.is_empty() { server } else { client });
    for index in 0..PACKETS_MAX {
        let (first, kind) = (look.u8()?, look.u8()?);
        // The first one is a report.
        let is_kind = if index == 0 { matches!(kind, 200 | 201) } else { (200..=213).contains(&kind) };
        ensure(first >> 6 == 2 && is_kind)?;
        let words = usize::from(look.u16()?);
        ensure(words > 0)?;
        look.take(4 * words)?;
        if look.left().is_empty() {
            break;
        }
    }
    Ok(AppMark::of(AppProtocol::Rtcp).number(2))
}
