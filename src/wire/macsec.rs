//! MACsec tags, and the EtherType behind those that leave it readable. Know no key.

use super::view::{Unreadable, View, be32};
use super::{Header, Layer};

/// Length of the integrity check value of both cipher suites that leave the data readable (IEEE 802.1AE clause 14).
pub const ICV_LEN: usize = 16;

const VERSION: u8 = 0x80;
const HAS_CHANNEL: u8 = 0x20;
const ENCRYPTED: u8 = 0x08;
const CHANGED: u8 = 0x04;

/// Security tag of 6 or 14 bytes (IEEE 802.1AE clause 9.3), and the EtherType of the data where that is not encrypted.
#[derive(Clone, Copy, Debug)]
pub struct Macsec<'a> {
    fixed: &'a [u8; 6],
    len: usize,
    ether_type: Option<u16>,
}

impl<'a> View<'a> for Macsec<'a> {
    const LAYER: Layer = Layer::Macsec;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some(fixed) = bytes.first_chunk::<6>() else { return Err(Unreadable::Short(6)) };
        if fixed[0] & VERSION != 0 {
            return Err(Unreadable::Unknown);
        }
        let tag_len = if fixed[0] & HAS_CHANNEL != 0 { 14 } else { 6 };
        let is_readable = fixed[0] & (ENCRYPTED | CHANGED) == 0;
        let len = if is_readable { tag_len + 2 } else { tag_len };
        let Some(tag) = bytes.get(..len) else { return Err(Unreadable::Short(len)) };
        let ether_type = tag.last_chunk().filter(|_| is_readable).map(|bytes| u16::from_be_bytes(*bytes));
        Ok(Self { fixed, len, ether_type })
    }

    fn header_len(&self) -> usize {
        self.len
    }

    fn wrap(self) -> Header<'a> {
        Header::Macsec(self)
    }
}

impl Macsec<'_> {
    /// EtherType of the data; `None` when it is encrypted.
    pub const fn ether_type(&self) -> Option<u16> {
        self.ether_type
    }

    /// Length of the data in bytes, EtherType included and integrity check value not, where it is less than 48; otherwise 0.
    pub const fn short_len(&self) -> u8 {
        self.fixed[1] & 0x3f
    }

    /// Association number, 2 bits.
    pub const fn association(&self) -> u8 {
        self.fixed[0] & 3
    }

    /// Packet number, the lower 32 bits.
    pub const fn packet_number(&self) -> u32 {
        be32(self.fixed, 2)
    }
}
