//! IPv4 headers. Know nothing of what they carry.

use super::view::{Unreadable, View, array_at, be16, be32};
use super::{Header, Layer};

/// IPv4 header with its options (RFC 791 section 3.1).
#[derive(Clone, Copy, Debug)]
pub struct Ipv4<'a> {
    fixed: &'a [u8; 20],
    options: &'a [u8],
}

impl<'a> View<'a> for Ipv4<'a> {
    const LAYER: Layer = Layer::Ipv4;

    #[inline(always)]
    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some((fixed, rest)) = bytes.split_first_chunk::<20>() else { return Err(Unreadable::Short(20)) };
        let len = usize::from(fixed[0] & 0x0f) * 4;
        let total_len = usize::from(be16(fixed, 2));
        if fixed[0] >> 4 != 4 || len < 20 || (total_len < len && total_len != 0) {
            return Err(Unreadable::Malformed);
        }
        match rest.get(..len - 20) {
            Some(options) => Ok(Self { fixed, options }),
            None => Err(Unreadable::Short(len)),
        }
    }

    #[inline(always)]
    fn header_len(&self) -> usize {
        20 + self.options.len()
    }

    #[inline(always)]
    fn wrap(self) -> Header<'a> {
        Header::Ipv4(self)
    }
}

impl<'a> Ipv4<'a> {
    /// Differentiated services and ECN byte.
    pub const fn traffic_class(&self) -> u8 {
        self.fixed[1]
    }

    /// Length of header and payload in bytes; 0 when the sender's hardware was to fill it in.
    pub const fn total_len(&self) -> u16 {
        be16(self.fixed, 2)
    }

    /// Identification.
    pub const fn id(&self) -> u16 {
        be16(self.fixed, 4)
    }

    /// Don't fragment.
    pub const fn dont_fragment(&self) -> bool {
        self.fixed[6] & 0x40 != 0
    }

    /// More fragments follow.
    pub const fn more_fragments(&self) -> bool {
        self.fixed[6] & 0x20 != 0
    }

    /// Offset of the fragment in bytes.
    pub const fn fragment_offset(&self) -> u32 {
        ((be16(self.fixed, 6) & 0x1fff) as u32) * 8
    }

    /// True for any fragment: one look at both fields.
    pub const fn is_fragment(&self) -> bool {
        be16(self.fixed, 6) & 0x3fff != 0
    }

    /// Time to live.
    pub const fn ttl(&self) -> u8 {
        self.fixed[8]
    }

    /// IANA protocol number.
    pub const fn protocol(&self) -> u8 {
        self.fixed[9]
    }

    /// Header checksum as sent.
    pub const fn checksum(&self) -> u16 {
        be16(self.fixed, 10)
    }

    /// Source address.
    pub const fn source(&self) -> [u8; 4] {
        array_at(self.fixed, 12)
    }

    /// Destination address.
    pub const fn destination(&self) -> [u8; 4] {
        array_at(self.fixed, 16)
    }

    /// Option bytes, a multiple of 4.
    pub const fn options(&self) -> &'a [u8] {
        self.options
    }

    /// True when the header's ones' complement sum is all ones (RFC 1071).
    #[inline(always)]
    pub fn checksum_ok(&self) -> bool {
        let f = self.fixed;
        let mut sum = u64::from(be32(f, 0))
            + u64::from(be32(f, 4))
            + u64::from(be32(f, 8))
            + u64::from(be32(f, 12))
            + u64::from(be32(f, 16));
        for word in self.options.chunks_exact(4) {
            sum += u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
        }
        sum = (sum >> 32) + (sum & 0xffff_ffff);
        sum = (sum >> 16) + (sum & 0xffff);
        sum = (sum >> 16) + (sum & 0xffff);
        sum = (sum >> 16) + (sum & 0xffff);
        sum == 0xffff
    }
}
