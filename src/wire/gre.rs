//! GRE headers, version 0 and the enhanced version 1 of PPTP. Know nothing of what they carry.

use super::view::{Unreadable, View, be16};
use super::{Header, Layer};

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const STRICT_ROUTE: u16 = 0x0800;
const ACKNOWLEDGMENT: u16 = 0x0080;
/// Source routes that are read over at most, the last and empty one included.
const ROUTE_COUNT_MAX: usize = 16;

/// True for the protocols of 802.11 frames between a controller of Aruba's and its access points: 0x8200, and 0x10 more for each
/// of its queues.
pub const fn carries_wlan(protocol: u16) -> bool {
    matches!(protocol, 0x8200..=0x8330) && protocol.is_multiple_of(0x10)
}

/// GRE header with its optional fields (RFC 2784, RFC 2890, RFC 1701 for routing; RFC 2637 section 4.1 for version 1).
#[derive(Clone, Copy, Debug)]
pub struct Gre<'a> {
    fixed: &'a [u8; 4],
    key: Option<u32>,
    sequence: Option<u32>,
    len: usize,
}

impl<'a> View<'a> for Gre<'a> {
    const LAYER: Layer = Layer::Gre;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some(fixed) = bytes.first_chunk::<4>() else { return Err(Unreadable::Short(4)) };
        let flags = be16(fixed, 0);
        let mut fields = Fields { bytes, at: 4 };
        match flags & 7 {
            0 => {
                if flags & (CHECKSUM | ROUTING) != 0 {
                    fields.word()?;
                }
                let key = fields.word_if(flags & KEY != 0)?;
                let sequence = fields.word_if(flags & SEQUENCE != 0)?;
                if flags & ROUTING != 0 {
                    fields.skip_routes()?;
                }
                Ok(Self { fixed, key, sequence, len: fields.at })
            }
            1 if flags & KEY == 0 || flags & (CHECKSUM | ROUTING | STRICT_ROUTE) != 0 => Err(Unreadable::Malformed),
            1 => {
                let key = Some(fields.word()?);
                let sequence = fields.word_if(flags & SEQUENCE != 0)?;
                fields.word_if(flags & ACKNOWLEDGMENT != 0)?;
                Ok(Self { fixed, key, sequence, len: fields.at })
            }
            _ => Err(Unreadable::Unknown),
        }
    }

    fn header_len(&self) -> usize {
        self.len
    }

    fn wrap(self) -> Header<'a> {
        Header::Gre(self)
    }
}

impl Gre<'_> {
    /// Flag and version bits.
    pub const fn flags(&self) -> u16 {
        be16(self.fixed, 0)
    }

    /// 0, or 1 for PPTP.
    pub const fn version(&self) -> u8 {
        self.fixed[1] & 7
    }

    /// EtherType of what is carried.
    pub const fn protocol(&self) -> u16 {
        be16(self.fixed, 2)
    }

    /// Key. Version 1: payload length in the upper, call id in the lower 16 bits.
    pub const fn key(&self) -> Option<u32> {
        self.key
    }

    /// Sequence number.
    pub const fn sequence(&self) -> Option<u32> {
        self.sequence
    }
}

/// The optional fields, read in their order.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    fn word(&mut self) -> Result<u32, Unreadable> {
        let word = self.bytes.get(self.at..).and_then(|b| b.first_chunk::<4>());
        self.at += 4;
        word.map(|w| u32::from_be_bytes(*w)).ok_or(Unreadable::Short(self.at))
    }

    fn word_if(&mut self, present: bool) -> Result<Option<u32>, Unreadable> {
        if present { self.word().map(Some) } else { Ok(None) }
    }

    /// Source route entries: address family, offset, length, and as many bytes; one of family 0 and length 0 ends them.
    fn skip_routes(&mut self) -> Result<(), Unreadable> {
        for _ in 0..ROUTE_COUNT_MAX {
            let entry = self.word()?;
            let (family, len) = (entry >> 16, (entry & 0xff) as usize);
            if family == 0 && len == 0 {
                return Ok(());
            }
            self.at += len;
            if self.at > self.bytes.len() {
                return Err(Unreadable::Short(self.at));
            }
        }
        Err(Unreadable::TooDeep)
    }
}
