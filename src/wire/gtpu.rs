//! GTP-U version 1 headers with extension headers. Know nothing of what they carry.

use super::view::{Unreadable, View, be16, be32};
use super::{Header, Layer};

/// Message type of user data (3GPP TS 29.281 table 6.1-1).
pub const G_PDU: u8 = 255;

/// Extension headers that are read over at most; six kinds of them are defined, and each is there once.
const EXTENSION_COUNT_MAX: usize = 16;

/// GTP-U header (3GPP TS 29.281 section 5): 8 bytes, 4 more when a flag asks for them, extension headers behind those.
#[derive(Clone, Copy, Debug)]
pub struct Gtpu<'a> {
    fixed: &'a [u8; 8],
    len: usize,
}

impl<'a> View<'a> for Gtpu<'a> {
    const LAYER: Layer = Layer::GtpU;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some(fixed) = bytes.first_chunk::<8>() else { return Err(Unreadable::Short(8)) };
        // Version 1, protocol type GTP (not GTP').
        if fixed[0] & 0xf0 != 0x30 {
            return Err(Unreadable::Unknown);
        }
        if fixed[0] & 7 == 0 {
            return Ok(Self { fixed, len: 8 });
        }
        let Some(&[_, _, _, mut next]) = bytes.get(8..).and_then(|b| b.first_chunk()) else { return Err(Unreadable::Short(12)) };
        let (mut len, mut count) = (12, 0);
        // The next extension type counts only with the E flag.
        while fixed[0] & 4 != 0 && next != 0 {
            let Some(&units) = bytes.get(len) else { return Err(Unreadable::Short(len + 1)) };
            if units == 0 {
                return Err(Unreadable::Malformed);
            }
            if count == EXTENSION_COUNT_MAX {
                return Err(Unreadable::TooDeep);
            }
            count += 1;
            len += usize::from(units) * 4;
            let Some(&last) = bytes.get(len - 1) else { return Err(Unreadable::Short(len)) };
            next = last;
        }
        Ok(Self { fixed, len })
    }

    fn header_len(&self) -> usize {
        self.len
    }

    fn wrap(self) -> Header<'a> {
        Header::Gtpu(self)
    }
}

impl Gtpu<'_> {
    /// Message type; 255 is user data.
    pub const fn message_type(&self) -> u8 {
        self.fixed[1]
    }

    /// Length of what follows the first 8 bytes.
    pub const fn message_len(&self) -> u16 {
        be16(self.fixed, 2)
    }

    /// Tunnel endpoint identifier.
    pub const fn teid(&self) -> u32 {
        be32(self.fixed, 4)
    }
}
