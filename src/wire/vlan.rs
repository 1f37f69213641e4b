//! IEEE 802.1Q tags, the 4 bytes behind a tag's EtherType. Knows nothing of what it tags.

use super::view::{be16, fixed_view};

fixed_view! {
    /// Tag control information and the EtherType of what follows (IEEE 802.1Q clause 9).
    Vlan, 4, Vlan
}

impl Vlan<'_> {
    /// VLAN id, 12 bits; 0 means priority only.
    pub const fn id(&self) -> u16 {
        be16(self.bytes, 0) & 0x0fff
    }

    /// Priority code point, 3 bits.
    pub const fn priority(&self) -> u8 {
        self.bytes[0] >> 5
    }

    /// Drop eligible indicator.
    pub const fn drop_eligible(&self) -> bool {
        self.bytes[0] & 0x10 != 0
    }

    /// EtherType, or the length of an LLC frame.
    pub const fn ether_type(&self) -> u16 {
        be16(self.bytes, 2)
    }
}
