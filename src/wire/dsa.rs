//! Tags between a CPU and the Marvell switch behind it. Know nothing of what they tag.

use super::view::{array_at, be16, fixed_view};

fixed_view! {
    /// Ethernet addresses, a DSA tag in the place of the EtherType, and the EtherType of what follows (LINKTYPE_DSA_TAG_DSA,
    /// net/dsa/tag_dsa.c).
    Dsa, 18, Dsa
}

impl Dsa<'_> {
    /// The tag.
    pub const fn tag(&self) -> DsaTag {
        DsaTag(array_at(self.bytes, 12))
    }

    /// EtherType, or the length of an LLC frame.
    pub const fn ether_type(&self) -> u16 {
        be16(self.bytes, 16)
    }
}

fixed_view! {
    /// What is behind the EtherType of an EDSA tag: two reserved bytes, a DSA tag, and the EtherType of what follows
    /// (LINKTYPE_DSA_TAG_EDSA).
    Edsa, 8, Dsa
}

impl Edsa<'_> {
    /// The tag.
    pub const fn tag(&self) -> DsaTag {
        DsaTag(array_at(self.bytes, 2))
    }

    /// EtherType, or the length of an LLC frame.
    pub const fn ether_type(&self) -> u16 {
        be16(self.bytes, 6)
    }
}

/// The four bytes of a DSA tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DsaTag([u8; 4]);

impl DsaTag {
    /// Number of the switch, 5 bits.
    pub const fn device(&self) -> u8 {
        self.0[0] & 0x1f
    }

    /// Port of the switch, 5 bits.
    pub const fn port(&self) -> u8 {
        self.0[1] >> 3
    }

    /// VLAN id of the 802.1Q tag that this tag took the place of; `None` when the frame had none.
    pub const fn vlan(&self) -> Option<u16> {
        if self.0[0] & 0x20 != 0 { Some(be16(&self.0, 2) & 0x0fff) } else { None }
    }
}
