//! Geneve headers with their options. Know nothing of what they carry.

use super::view::{Unreadable, View, be16, be32};
use super::{Header, Layer};

/// Geneve header of 8 bytes and up to 252 bytes of options (RFC 8926 section 3.4).
#[derive(Clone, Copy, Debug)]
pub struct Geneve<'a> {
    fixed: &'a [u8; 8],
    options: &'a [u8],
}

impl<'a> View<'a> for Geneve<'a> {
    const LAYER: Layer = Layer::Geneve;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some((fixed, rest)) = bytes.split_first_chunk::<8>() else { return Err(Unreadable::Short(8)) };
        if fixed[0] >> 6 != 0 {
            return Err(Unreadable::Unknown);
        }
        let len = usize::from(fixed[0] & 0x3f) * 4;
        match rest.get(..len) {
            Some(options) => Ok(Self { fixed, options }),
            None => Err(Unreadable::Short(8 + len)),
        }
    }

    fn header_len(&self) -> usize {
        8 + self.options.len()
    }

    fn wrap(self) -> Header<'a> {
        Header::Geneve(self)
    }
}

impl<'a> Geneve<'a> {
    /// A control packet, not tenant data.
    pub const fn is_control(&self) -> bool {
        self.fixed[1] & 0x80 != 0
    }

    /// EtherType of what is carried.
    pub const fn protocol(&self) -> u16 {
        be16(self.fixed, 2)
    }

    /// Virtual network identifier, 24 bits.
    pub const fn vni(&self) -> u32 {
        be32(self.fixed, 4) >> 8
    }

    /// Option bytes.
    pub const fn options(&self) -> &'a [u8] {
        self.options
    }
}
