//! RADIUS (RFC 2865, RFC 2866, RFC 5176).
//!
//! Owns the header and the lengths of attributes, which have to add up; values are passed over.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

/// Attributes that are looked at.
const ATTRIBUTES_MAX: usize = 128;

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let bytes = if client.is_empty() { server } else { client };
    let mut look = Look::datagram(bytes);
    ensure(matches!(look.u8()?, 1..=5 | 11..=13 | 40..=45))?;
    look.u8()?;
    let len = usize::from(look.u16()?);
    ensure((20..=4096).contains(&len) && len <= bytes.len())?;
    look.take(16)?;
    let mut attributes = Look::datagram(look.take(len - 20)?);
    for _ in 0..ATTRIBUTES_MAX {
        if attributes.left().is_empty() {
            break;
        }
        ensure(attributes.u8()? != 0)?;
        let len = usize::from(attributes.u8()?);
        ensure(len >= 2)?;
        attributes.take(len - 2)?;
    }
    Ok(AppMark::of(AppProtocol::Radius))
}
