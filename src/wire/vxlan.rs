//! VXLAN headers with the group policy and generic protocol extensions. Know nothing of what they carry.

use super::view::{Unreadable, View, be32};
use super::{Header, Layer};

const VNI_VALID: u8 = 0x08;

/// Flags, reserved bits and VNI (RFC 7348 section 5, draft-smith-vxlan-group-policy, draft-ietf-nvo3-vxlan-gpe). A header without a
/// valid VNI is none.
#[derive(Clone, Copy, Debug)]
pub struct Vxlan<'a> {
    bytes: &'a [u8; 8],
}

impl<'a> View<'a> for Vxlan<'a> {
    const LAYER: Layer = Layer::Vxlan;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        match bytes.first_chunk() {
            Some(bytes) if bytes[0] & VNI_VALID != 0 => Ok(Self { bytes }),
            Some(_) => Err(Unreadable::Unknown),
            None => Err(Unreadable::Short(8)),
        }
    }

    fn header_len(&self) -> usize {
        self.bytes.len()
    }

    fn wrap(self) -> Header<'a> {
        Header::Vxlan(self)
    }
}

impl Vxlan<'_> {
    /// Length of the header in bytes.
    pub const LEN: usize = 8;

    /// Flag bits of the first byte.
    pub const fn flags(&self) -> u8 {
        self.bytes[0]
    }

    /// VXLAN network identifier, 24 bits.
    pub const fn vni(&self) -> u32 {
        be32(self.bytes, 4) >> 8
    }

    /// Version of the generic protocol extension; reserved bits without it.
    pub const fn generic_version(&self) -> u8 {
        self.bytes[0] >> 4 & 3
    }

    /// Next protocol of the generic extension: 0 as in plain VXLAN, 1 IPv4, 2 IPv6, 3 Ethernet, 4 NSH, 5 MPLS. Senders do not all
    /// set the flag for it.
    pub const fn next_protocol(&self) -> u8 {
        self.bytes[3]
    }
}
