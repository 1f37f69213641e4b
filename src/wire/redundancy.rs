//! Tags of frames that are sent twice and may arrive twice. Know nothing of what they tag.

use super::view::{be16, fixed_view};

fixed_view! {
    /// HSR tag (IEC 62439-3 clause 5.6) or R-TAG (IEEE 802.1CB clause 7.8) behind its EtherType, and the EtherType of what follows.
    Redundancy, 6, Redundancy
}

impl Redundancy<'_> {
    /// Number by which the second copy is known.
    pub const fn sequence(&self) -> u16 {
        be16(self.bytes, 2)
    }

    /// EtherType, or the length of an LLC frame.
    pub const fn ether_type(&self) -> u16 {
        be16(self.bytes, 4)
    }
}
