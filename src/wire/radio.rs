//! What capturing systems put before a wireless frame: radiotap, Prism, AVS and PPI headers. Know nothing of the frame.

use super::view::{Unreadable, View};
use super::{Header, Layer};
use netscope_backends::LinkType;

/// Version of an AVS header, in its first four bytes.
const AVS_MAGIC: [u8; 4] = [0x80, 0x21, 0x10, 0x01];

/// A header of 8 bytes at least that says its own length.
#[derive(Clone, Copy, Debug)]
pub struct Radio<'a> {
    bytes: &'a [u8],
}

impl<'a> View<'a> for Radio<'a> {
    const LAYER: Layer = Layer::Radiotap;

    /// A radiotap header (LINKTYPE_IEEE802_11_RADIOTAP, radiotap.org).
    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        match bytes {
            [0, _, low, high, ..] => Self::of_len(bytes, u32::from(u16::from_le_bytes([*low, *high]))),
            [_, _, _, _, ..] => Err(Unreadable::Unknown),
            _ => Err(Unreadable::Short(4)),
        }
    }

    fn header_len(&self) -> usize {
        self.bytes.len()
    }

    fn wrap(self) -> Header<'a> {
        Header::Radiotap(self)
    }
}

impl<'a> Radio<'a> {
    const LEN_MIN: u32 = 8;
    const FLAGS: u8 = 0x02;
    const TIME: u8 = 0x01;
    const FCS_AT_END: u8 = 0x10;
    const PADDED: u8 = 0x20;
    /// Presence words that are looked at, one for each antenna and one more; a header with more counts as one without flags.
    const WORD_COUNT_MAX: usize = 32;

    /// A Prism header, or an AVS header in its place (LINKTYPE_IEEE802_11_PRISM, LINKTYPE_IEEE802_11_AVS).
    ///
    /// # Errors
    /// As [`View::read`].
    pub fn prism_or_avs(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some((magic, rest)) = bytes.split_first_chunk::<4>() else { return Err(Unreadable::Short(8)) };
        let Some(len) = rest.first_chunk() else { return Err(Unreadable::Short(8)) };
        Self::of_len(bytes, if *magic == AVS_MAGIC { u32::from_be_bytes(*len) } else { u32::from_le_bytes(*len) })
    }

    fn of_len(bytes: &'a [u8], len: u32) -> Result<Self, Unreadable> {
        match bytes.get(..len as usize) {
            _ if len < Self::LEN_MIN => Err(Unreadable::Malformed),
            Some(bytes) => Ok(Self { bytes }),
            None => Err(Unreadable::Short(len as usize)),
        }
    }

    /// The flags field of a radiotap header; 0 when it has none. It is the second field of the first presence word; the first
    /// is 8 bytes long and lies at a multiple of 8.
    fn flags(&self) -> u8 {
        let Some(&present) = self.bytes.get(4) else { return 0 };
        if present & Self::FLAGS == 0 {
            return 0;
        }
        // The highest bit of a presence word says that another follows.
        let words = self.bytes.get(4..).unwrap_or(&[]).chunks_exact(4).take(Self::WORD_COUNT_MAX);
        let words = words.take_while(|word| word[3] & 0x80 != 0).count() + 1;
        if words > Self::WORD_COUNT_MAX {
            return 0;
        }
        let fields = 4 + words * 4;
        let at = if present & Self::TIME != 0 { fields.next_multiple_of(8) + 8 } else { fields };
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// The frame ends with its checksum.
    pub fn has_fcs(&self) -> bool {
        self.flags() & Self::FCS_AT_END != 0
    }

    /// The frame's header is padded to a multiple of four bytes.
    pub fn is_padded(&self) -> bool {
        self.flags() & Self::PADDED != 0
    }
}

/// Per-packet information header (LINKTYPE_PPI): its fields are read over.
#[derive(Clone, Copy, Debug)]
pub struct Ppi<'a> {
    bytes: &'a [u8],
    link: u32,
}

impl<'a> View<'a> for Ppi<'a> {
    const LAYER: Layer = Layer::Ppi;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some(&[version, _, low, high, link @ ..]) = bytes.first_chunk::<8>() else { return Err(Unreadable::Short(8)) };
        if version != 0 {
            return Err(Unreadable::Unknown);
        }
        let len = usize::from(u16::from_le_bytes([low, high]));
        match bytes.get(..len) {
            _ if len < 8 => Err(Unreadable::Malformed),
            Some(bytes) => Ok(Self { bytes, link: u32::from_le_bytes(link) }),
            None => Err(Unreadable::Short(len)),
        }
    }

    fn header_len(&self) -> usize {
        self.bytes.len()
    }

    fn wrap(self) -> Header<'a> {
        Header::Ppi(self)
    }
}

impl Ppi<'_> {
    /// Link type of what follows.
    pub fn link_type(&self) -> LinkType {
        LinkType(u16::try_from(self.link).unwrap_or(u16::MAX))
    }
}
