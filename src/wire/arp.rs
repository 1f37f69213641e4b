//! ARP packets. Knows nothing of who asks for what.

use super::ethernet::ethertype;
use super::view::{Unreadable, View, array_at, be16};
use super::{Dissected, Header, Layer};

/// Hardware types with addresses of IEEE 802: Ethernet and IEEE 802.2, which Linux takes for the same
/// (net/ipv4/arp.c).
const HARDWARE_ETHERNET: [u16; 2] = [1, 6];

/// ARP packet with all four addresses (RFC 826).
#[derive(Clone, Copy, Debug)]
pub struct Arp<'a> {
    fixed: &'a [u8; 8],
    addresses: &'a [u8],
}

/// ARP for IPv4 over Ethernet (RFC 826).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpMessage {
    /// 1 request, 2 reply (IANA ARP parameters).
    pub operation: u16,
    /// Hardware address of the sender; need not be the source of the Ethernet frame.
    pub sender_mac: [u8; 6],
    /// Protocol address of the sender; 0.0.0.0 in a probe (RFC 5227).
    pub sender_ip: [u8; 4],
    /// Hardware address of the target, meaningless in a request.
    pub target_mac: [u8; 6],
    /// Protocol address of the target.
    pub target_ip: [u8; 4],
}

impl Dissected {
    /// The ARP message, read from `data`, the bytes that were dissected. `None` when there is no ARP packet,
    /// when it is not whole, and when its addresses are not those of Ethernet and IPv4.
    pub fn arp(&self, data: &[u8]) -> Option<ArpMessage> {
        let bytes = data.get(self.arp_offset?.get() as usize..)?;
        Arp::read(bytes).ok()?.message()
    }
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

    /// What it says, when its addresses are those of Ethernet and IPv4.
    pub fn message(&self) -> Option<ArpMessage> {
        let addresses = self.addresses.first_chunk::<20>()?;
        let is_ethernet = HARDWARE_ETHERNET.contains(&self.hardware_type()) && self.fixed[4] == 6;
        let is_ipv4 = self.protocol_type() == ethertype::IPV4 && self.fixed[5] == 4;
        (is_ethernet && is_ipv4).then(|| ArpMessage {
            operation: self.operation(),
            sender_mac: array_at(addresses, 0),
            sender_ip: array_at(addresses, 6),
            target_mac: array_at(addresses, 10),
            target_ip: array_at(addresses, 16),
        })
    }

    fn address(&self, at: usize, len: u8) -> &'a [u8] {
        self.addresses.get(at..at + usize::from(len)).unwrap_or(&[])
    }
}
