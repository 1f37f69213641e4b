//! ERSPAN headers of types II and III behind GRE. Type I has none.

use super::view::{Unreadable, View, be16};
use super::{Header, Layer};

/// ERSPAN header (draft-foschiano-erspan-03 section 4): 8 bytes in type II, 12 or 20 in type III.
#[derive(Clone, Copy, Debug)]
pub struct Erspan<'a> {
    fixed: &'a [u8; 8],
    len: usize,
    frame_type: u8,
}

impl<'a> View<'a> for Erspan<'a> {
    const LAYER: Layer = Layer::Erspan;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some((fixed, rest)) = bytes.split_first_chunk::<8>() else { return Err(Unreadable::Short(8)) };
        match fixed[0] >> 4 {
            1 => Ok(Self { fixed, len: 8, frame_type: 0 }),
            2 => {
                let Some(tail) = rest.first_chunk::<4>() else { return Err(Unreadable::Short(12)) };
                let len = if tail[3] & 1 != 0 { 20 } else { 12 };
                if bytes.len() < len {
                    return Err(Unreadable::Short(len));
                }
                Ok(Self { fixed, len, frame_type: (tail[2] >> 2) & 0x1f })
            }
            _ => Err(Unreadable::Unknown),
        }
    }

    fn header_len(&self) -> usize {
        self.len
    }

    fn wrap(self) -> Header<'a> {
        Header::Erspan(self)
    }
}

impl Erspan<'_> {
    /// 1 for type II, 2 for type III.
    pub const fn version(&self) -> u8 {
        self.fixed[0] >> 4
    }

    /// VLAN of the mirrored frame.
    pub const fn vlan(&self) -> u16 {
        be16(self.fixed, 0) & 0x0fff
    }

    /// Session, 10 bits.
    pub const fn session_id(&self) -> u16 {
        be16(self.fixed, 2) & 0x03ff
    }

    /// Frame type of an Ethernet frame, which is all that type II carries.
    pub const ETHERNET: u8 = 0;
    /// Frame type of an IP packet.
    pub const IP: u8 = 2;

    /// What follows.
    pub const fn frame_type(&self) -> u8 {
        self.frame_type
    }
}
