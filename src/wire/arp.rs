//! ARP packets. Knows nothing of who asks for what.

use super::view::{Unreadable, View, be16};
use super::{Header, Layer};

/// ARP packet with all four addresses (RFC 826).
#[derive(Clone, Copy, Debug)]
pub struct Arp<'a> {
    fixed: &'a [u8; 8],
    addresses: &'a [u8],
}

impl<'a> View<'a> for Arp<'a> {
    const LAYER: Layer = Layer::Arp;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some((fixed, rest)) = bytes.split_first_chunk::<8>() else { return Err(Unreadable::Short(8)) };
        let len = 2 * (usize::from(fixed[4]) + usize::from(fixed[5]));
        match rest.get(..len) {
            Some(addresses) => Ok(Self { fixed, addresses }),
            None => Err(Unreadable::Short(8 + len)),
        }
    }

    fn header_len(&self) -> usize {
        8 + self.addresses.len()
    }

    fn wrap(self) -> Header<'a> {
        Header::Arp(self)
    }
}

impl<'a> Arp<'a> {
    /// Hardware type, 1 for Ethernet.
    pub const fn hardware_type(&self) -> u16 {
        be16(self.fixed, 0)
    }

    /// Protocol type, an EtherType.
    pub const fn protocol_type(&self) -> u16 {
        be16(self.fixed, 2)
    }

    /// 1 request, 2 reply (IANA ARP parameters).
    pub const fn operation(&self) -> u16 {
        be16(self.fixed, 6)
    }

    /// Hardware address of the sender.
    pub fn sender_hardware(&self) -> &'a [u8] {
        self.address(0, self.fixed[4])
    }

    /// Protocol address of the sender.
    pub fn sender_protocol(&self) -> &'a [u8] {
        self.address(usize::from(self.fixed[4]), self.fixed[5])
    }

    /// Hardware address of the target.
    pub fn target_hardware(&self) -> &'a [u8] {
        self.address(usize::from(self.fixed[4]) + usize::from(self.fixed[5]), self.fixed[4])
    }

    /// Protocol address of the target.
    pub fn target_protocol(&self) -> &'a [u8] {
        self.address(2 * usize::from(self.fixed[4]) + usize::from(self.fixed[5]), self.fixed[5])
    }

    fn address(&self, at: usize, len: u8) -> &'a [u8] {
        self.addresses.get(at..at + usize::from(len)).unwrap_or(&[])
    }
}
