//! IEEE 802.1BR port extender tags, the bytes behind a tag's EtherType. Know nothing of what they tag.

use super::view::{be16, fixed_view};

fixed_view! {
    /// E-TAG and the EtherType of what follows (IEEE 802.1BR clause 11.2).
    Etag, 8, Etag
}

impl Etag<'_> {
    /// E-channel identifier, 22 bits: group, base and extension.
    pub const fn channel(&self) -> u32 {
        ((be16(self.bytes, 2) & 0x3fff) as u32) << 8 | self.bytes[5] as u32
    }

    /// E-channel identifier of the port the frame came in by, 20 bits.
    pub const fn ingress_channel(&self) -> u32 {
        ((be16(self.bytes, 0) & 0x0fff) as u32) << 8 | self.bytes[4] as u32
    }

    /// EtherType, or the length of an LLC frame.
    pub const fn ether_type(&self) -> u16 {
        be16(self.bytes, 6)
    }
}
