//! Teredo indications before an IPv6 packet. Knows nothing of Teredo's servers and relays.

use super::view::{Unreadable, View};
use super::{Header, Layer};

/// Authentication and origin indications, possibly none, before a plausible IPv6 packet (RFC 4380 section 5.1.1).
#[derive(Clone, Copy, Debug)]
pub struct Teredo<'a> {
    indications: &'a [u8],
    has_authentication: bool,
    has_origin: bool,
}

impl<'a> View<'a> for Teredo<'a> {
    const LAYER: Layer = Layer::Teredo;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let mut len = 0;
        let has_authentication = bytes.starts_with(&[0, 1]);
        if has_authentication {
            // Identifier, authentication value, 8 bytes nonce, 1 byte confirmation.
            let Some(&[_, _, id_len, value_len]) = bytes.first_chunk() else { return Err(Unreadable::Short(4)) };
            len = 4 + usize::from(id_len) + usize::from(value_len) + 9;
        }
        let behind = bytes.get(len..).unwrap_or(&[]);
        let has_origin = behind.starts_with(&[0, 0]);
        if has_origin {
            len += 8;
        }
        match bytes.get(len) {
            // The first half of an indication's type.
            Some(0) if behind.len() == 1 => Err(Unreadable::Short(len + 2)),
            None => Err(Unreadable::Short(len + 1)),
            Some(first) if first >> 4 != 6 => Err(Unreadable::Unknown),
            Some(_) => Ok(Self { indications: &bytes[..len], has_authentication, has_origin }),
        }
    }

    fn header_len(&self) -> usize {
        self.indications.len()
    }

    fn wrap(self) -> Header<'a> {
        Header::Teredo(self)
    }
}

impl Teredo<'_> {
    /// An authentication indication is there.
    pub const fn has_authentication(&self) -> bool {
        self.has_authentication
    }

    /// An origin indication is there.
    pub const fn has_origin(&self) -> bool {
        self.has_origin
    }
}
