//! IEEE 802.2 LLC headers with the SNAP extension. Knows nothing of what they carry.

use super::view::{Unreadable, View};
use super::{Header, Layer};

/// Service access point of SNAP (IEEE 802).
pub const SAP_SNAP: u8 = 0xaa;
/// Service access point of IPv4 (RFC 948).
pub const SAP_IP: u8 = 0x06;
/// Organisation code of RFC 1042: the SNAP protocol is an EtherType.
pub const OUI_ETHERTYPE: [u8; 3] = [0, 0, 0];
/// Organisation code of IEEE 802.1H bridge tunnelling: an EtherType as well.
pub const OUI_BRIDGE_TUNNEL: [u8; 3] = [0, 0, 0xf8];

/// LLC header, 3 bytes for unnumbered frames and 4 for others; 8 with SNAP (IEEE 802.2, RFC 1042).
#[derive(Clone, Copy, Debug)]
pub struct Llc<'a> {
    fixed: &'a [u8; 3],
    snap: Option<&'a [u8; 5]>,
}

impl<'a> View<'a> for Llc<'a> {
    const LAYER: Layer = Layer::Llc;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some((fixed, rest)) = bytes.split_first_chunk::<3>() else { return Err(Unreadable::Short(3)) };
        if fixed[2] & 3 != 3 {
            return if rest.is_empty() { Err(Unreadable::Short(4)) } else { Ok(Self { fixed, snap: None }) };
        }
        if fixed[0] != SAP_SNAP || fixed[1] & 0xfe != SAP_SNAP {
            return Ok(Self { fixed, snap: None });
        }
        match rest.first_chunk() {
            Some(snap) => Ok(Self { fixed, snap: Some(snap) }),
            None => Err(Unreadable::Short(8)),
        }
    }

    fn header_len(&self) -> usize {
        match (self.snap, self.fixed[2] & 3) {
            (Some(_), _) => 8,
            (None, 3) => 3,
            (None, _) => 4,
        }
    }

    fn wrap(self) -> Header<'a> {
        Header::Llc(self)
    }
}

impl Llc<'_> {
    /// Destination service access point.
    pub const fn dsap(&self) -> u8 {
        self.fixed[0]
    }

    /// Source service access point; the lowest bit marks a response.
    pub const fn ssap(&self) -> u8 {
        self.fixed[1]
    }

    /// First byte of the control field.
    pub const fn control(&self) -> u8 {
        self.fixed[2]
    }

    /// Organisation code and protocol of a SNAP header.
    pub fn snap(&self) -> Option<([u8; 3], u16)> {
        self.snap.map(|s| ([s[0], s[1], s[2]], u16::from_be_bytes([s[3], s[4]])))
    }
}
