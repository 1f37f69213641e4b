//! PPP framing: optional address and control, protocol in one or two bytes. Knows nothing of the protocols.

use super::view::{Unreadable, View};
use super::{Header, Layer};

/// PPP protocol numbers (IANA PPP numbers) that are read here.
pub mod protocol {
    #![allow(missing_docs)]
    pub const IPV4: u16 = 0x0021;
    pub const IPV6: u16 = 0x0057;
    pub const MPLS_UNICAST: u16 = 0x0281;
    pub const MPLS_MULTICAST: u16 = 0x0283;
}

/// PPP header of 1 to 4 bytes (RFC 1661 sections 2 and 6.5, 6.6; RFC 1662 section 3.1).
#[derive(Clone, Copy, Debug)]
pub struct Ppp<'a> {
    bytes: &'a [u8],
    protocol: u16,
}

impl<'a> View<'a> for Ppp<'a> {
    const LAYER: Layer = Layer::Ppp;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let framing = if bytes.starts_with(&[0xff, 0x03]) { 2 } else { 0 };
        let (len, protocol) = match *bytes.get(framing..).unwrap_or(&[]) {
            [] => return Err(Unreadable::Short(framing + 1)),
            // Protocol numbers are odd in their last byte and even in their first, so an odd first byte is the last.
            [low, ..] if low & 1 != 0 => (framing + 1, u16::from(low)),
            [_] => return Err(Unreadable::Short(framing + 2)),
            [high, low, ..] => (framing + 2, u16::from_be_bytes([high, low])),
        };
        match bytes.get(..len) {
            Some(bytes) => Ok(Self { bytes, protocol }),
            None => Err(Unreadable::Short(len)),
        }
    }

    fn header_len(&self) -> usize {
        self.bytes.len()
    }

    fn wrap(self) -> Header<'a> {
        Header::Ppp(self)
    }
}

impl Ppp<'_> {
    /// Protocol number.
    pub const fn protocol(&self) -> u16 {
        self.protocol
    }
}
