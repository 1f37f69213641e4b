//! VXLAN headers with the group policy and generic protocol extensions. Know nothing of what they carry.

use super::view::{be32, fixed_view};

fixed_view! {
    /// RFC 7348 section 5, draft-smith-vxlan-group-policy, draft-ietf-nvo3-vxlan-gpe.
    Vxlan, 8, Vxlan
}

impl Vxlan<'_> {
    const VNI_VALID: u8 = 0x08;
    const GROUP_POLICY: u8 = 0x80;

    /// Flag bits of the first byte.
    pub const fn flags(&self) -> u8 {
        self.bytes[0]
    }

    /// VXLAN network identifier, 24 bits.
    pub const fn vni(&self) -> u32 {
        be32(self.bytes, 4) >> 8
    }

    /// What RFC 7348 lets a header be: the VNI is valid and no unknown flag is set (a group policy may be).
    pub const fn is_plain(&self) -> bool {
        self.bytes[0] & !Self::GROUP_POLICY == Self::VNI_VALID && self.bytes[7] == 0
    }

    /// Generic protocol extension: version 0 and the VNI is valid. Senders that name the next protocol do not all set the flag
    /// for it.
    pub const fn is_generic(&self) -> bool {
        self.bytes[0] & 0xf8 == Self::VNI_VALID
    }

    /// Next protocol of the generic extension: 0 as in plain VXLAN, 1 IPv4, 2 IPv6, 3 Ethernet, 5 MPLS.
    pub const fn next_protocol(&self) -> u8 {
        self.bytes[3]
    }
}
