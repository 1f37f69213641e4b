//! VN-TAGs of virtual interfaces, the bytes behind a tag's EtherType. Know nothing of what they tag.

use super::view::{be16, fixed_view};

fixed_view! {
    /// VN-TAG and the EtherType of what follows (the proposal to IEEE 802.1Qbh that Cisco builds).
    Vntag, 6, Vntag
}

impl Vntag<'_> {
    /// Virtual interface the frame goes to, 14 bits.
    pub const fn destination(&self) -> u16 {
        be16(self.bytes, 0) & 0x3fff
    }

    /// Virtual interface the frame comes from, 12 bits.
    pub const fn source(&self) -> u16 {
        be16(self.bytes, 2) & 0x0fff
    }

    /// EtherType, or the length of an LLC frame.
    pub const fn ether_type(&self) -> u16 {
        be16(self.bytes, 4)
    }
}
