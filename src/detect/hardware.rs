//! Hardware addresses of Ethernet as detectors need them: in text, as members of sets, and which of them are of one device.
//!
//! Owns what standards say of an address's bits and ranges. Knows no list of vendors.

use super::Contact;
use crate::flow::HostAddress;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of virtual routers, by their first bytes: VRRP and CARP (RFC 9568 section 7.3), HSRP 1 and 2, HSRP for IPv6, GLBP.
const VIRTUAL_ROUTERS: [&[u8]; 6] = [
    &[0, 0, 0x5e, 0, 1],
    &[0, 0, 0x5e, 0, 2],
    &[0, 0, 0x0c, 7, 0xac],
    &[0, 0, 0x0c, 0x9f],
    &[0, 5, 0x73, 0xa0],
    &[0, 7, 0xb4, 0],
];

/// An address of 48 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HardwareAddress(pub [u8; 6]);

impl fmt::Display for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl HardwareAddress {
    /// A group of stations: never the address of one.
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Given by whoever runs the station, not by its maker.
    pub const fn is_local(self) -> bool {
        self.0[0] & 2 != 0
    }

    /// The address that redundant routers share.
    pub fn is_virtual_router(self) -> bool {
        VIRTUAL_ROUTERS.iter().any(|start| self.0.starts_with(start))
    }

    /// Both are of one device, or of one group of redundant routers: ports of one network card have addresses in a row, given by
    /// its maker. The range of address 0 is used by tests.
    pub fn is_same_device(self, other: Self) -> bool {
        let is_made = |address: Self| !address.is_local() && address.0[..3] != [0; 3];
        self == other || self.is_virtual_router() && other.is_virtual_router() || is_made(self) && self.0[..5] == other.0[..5]
    }

    /// As a member of a set, beside an address of IPv4.
    pub fn with(self, address: [u8; 4]) -> Contact {
        let mut bytes = [0; 16];
        // What distinguishes it from an address of IPv4.
        bytes[0] = 1;
        bytes[4..10].copy_from_slice(&self.0);
        bytes[12..].copy_from_slice(&address);
        Contact { host: IpAddr::V6(Ipv6Addr::from(bytes)).into(), port: 0 }
    }

    /// As a member of a set.
    pub fn contact(self) -> Contact {
        self.with([0; 4])
    }

    /// What [`HardwareAddress::with`] made a member of.
    pub fn of_contact(contact: Contact) -> (Self, HostAddress) {
        let IpAddr::V6(address) = contact.host.ip() else { return (Self::default(), contact.host) };
        let [_, _, _, _, a, b, c, d, e, f, _, _, host @ ..] = address.octets();
        (Self([a, b, c, d, e, f]), IpAddr::V4(Ipv4Addr::from(host)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_as_a_member_of_a_set() {
        let address = HardwareAddress([0xde, 0xad, 0xbe, 0xef, 1, 2]);
        assert_eq!(address.to_string(), "de:ad:be:ef:01:02");
        assert_eq!(HardwareAddress::of_contact(address.with([10, 0, 0, 7])), (address, HostAddress::v4([10, 0, 0, 7])));
        assert!(address.is_local() && !address.is_group() && HardwareAddress([0xff; 6]).is_group());
    }

    #[test]
    fn ports_of_a_card_and_virtual_routers_are_one_device() {
        let of = HardwareAddress;
        assert!(of([0, 0x25, 0xb3, 1, 2, 3]).is_same_device(of([0, 0x25, 0xb3, 1, 2, 4])));
        assert!(!of([0, 0x25, 0xb3, 1, 2, 3]).is_same_device(of([0, 0x25, 0xb3, 1, 3, 3])));
        assert!(!of([2, 0, 0, 0, 0, 1]).is_same_device(of([2, 0, 0, 0, 0, 2])), "anybody can give himself such addresses");
        assert!(!of([0, 0, 0, 0, 0, 1]).is_same_device(of([0, 0, 0, 0, 0, 2])));
        let [vrrp, hsrp] = [of([0, 0, 0x5e, 0, 1, 7]), of([0, 0, 0x0c, 7, 0xac, 1])];
        assert!(vrrp.is_same_device(hsrp) && !vrrp.is_same_device(of([0, 0, 0x5e, 1, 1, 7])));
    }
}
