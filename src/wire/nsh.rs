//! Network service headers with their context. Know nothing of what they carry.

use super::view::{Unreadable, View, be32};
use super::{Header, Layer};

/// Network service header (RFC 8300 section 2): 8 bytes and the context headers.
#[derive(Clone, Copy, Debug)]
pub struct Nsh<'a> {
    fixed: &'a [u8; 8],
    len: usize,
}

impl<'a> View<'a> for Nsh<'a> {
    const LAYER: Layer = Layer::Nsh;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some(fixed) = bytes.first_chunk::<8>() else { return Err(Unreadable::Short(8)) };
        if fixed[0] >> 6 != 0 {
            return Err(Unreadable::Unknown);
        }
        let len = usize::from(fixed[1] & 0x3f) * 4;
        match len {
            ..8 => Err(Unreadable::Malformed),
            _ if bytes.len() < len => Err(Unreadable::Short(len)),
            _ => Ok(Self { fixed, len }),
        }
    }

    fn header_len(&self) -> usize {
        self.len
    }

    fn wrap(self) -> Header<'a> {
        Header::Nsh(self)
    }
}

impl Nsh<'_> {
    /// 1 IPv4, 2 IPv6, 3 Ethernet, 4 NSH, 5 MPLS (IANA NSH next protocols).
    pub const fn next_protocol(&self) -> u8 {
        self.fixed[3]
    }

    /// Service path, 24 bits.
    pub const fn path(&self) -> u32 {
        be32(self.fixed, 4) >> 8
    }

    /// Place on the path.
    pub const fn index(&self) -> u8 {
        self.fixed[7]
    }
}
