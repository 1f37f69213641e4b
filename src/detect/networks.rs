//! Which addresses are inside.
//!
//! Owns prefixes. Knows no interface: whoever opens one says what its prefixes are.

use crate::flow::HostAddress;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network: an address and how many of its first bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpPrefix {
    address: HostAddress,
    len: u8,
}

impl IpPrefix {
    /// The network of an address; `None` when the length is beyond the address's own.
    pub fn new(address: IpAddr, len: u8) -> Option<Self> {
        let address_len = if address.is_ipv4() { 32 } else { 128 };
        (len <= address_len).then(|| Self { address: HostAddress::from(address).prefix(len), len })
    }

    /// How many bits of the address count.
    pub const fn prefix_len(&self) -> u8 {
        self.len
    }

    /// True when the address is in it.
    pub fn contains(&self, address: HostAddress) -> bool {
        address.is_v4() == self.address.is_v4() && address.prefix(self.len) == self.address
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

/// No network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no network: give an address and a length, such as 10.0.0.0/8 or 2001:db8::/32")]
pub struct NoPrefix;

impl FromStr for IpPrefix {
    type Err = NoPrefix;

    /// `10.0.0.0/8`; an address alone is that one host.
    fn from_str(text: &str) -> Result<Self, NoPrefix> {
        let (address, len) = text.split_once('/').map_or((text, None), |(address, len)| (address, Some(len)));
        let address: IpAddr = address.parse().map_err(|_| NoPrefix)?;
        let len = match len {
            Some(len) => len.parse().map_err(|_| NoPrefix)?,
            None if address.is_ipv4() => 32,
            None => 128,
        };
        Self::new(address, len).ok_or(NoPrefix)
    }
}

/// Networks that are inside by default: private use (RFC 1918, RFC 4193), link-local (RFC 3927, RFC 4291), loopback.
const PRIVATE: [&str; 8] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10", "::1/128"];

/// The networks that are inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalNetworks(Vec<IpPrefix>);

impl LocalNetworks {
    /// These networks and no others.
    pub const fn of(networks: Vec<IpPrefix>) -> Self {
        Self(networks)
    }

    /// Private and link-local ranges, loopback, and `own`: the prefixes of the interface.
    pub fn private_and(own: impl IntoIterator<Item = IpPrefix>) -> Self {
        Self(PRIVATE.iter().filter_map(|text| text.parse().ok()).chain(own).collect())
    }

    /// True when the address is inside.
    pub fn contains(&self, address: HostAddress) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Which way from one host to another: `internal`, `outbound`, `inbound` or `external`.
    pub fn direction(&self, from: HostAddress, to: HostAddress) -> &'static str {
        match (self.contains(from), self.contains(to)) {
            (true, true) => "internal",
            (true, false) => "outbound",
            (false, true) => "inbound",
            (false, false) => "external",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostAddress {
        text.parse::<IpAddr>().expect("an address").into()
    }

    #[test]
    fn private_ranges_and_the_interface_are_inside() {
        let local = LocalNetworks::private_and(["198.51.100.0/24".parse().expect("a network")]);
        assert_eq!(local.0.len(), PRIVATE.len() + 1, "each of them is one");
        let from = |source, destination| local.direction(host(source), host(destination));
        assert_eq!(from("10.1.2.3", "172.31.0.1"), "internal");
        assert_eq!(from("172.32.0.1", "198.51.100.7"), "inbound");
        assert_eq!(from("fd00::1", "2001:db8::1"), "outbound");
        assert_eq!(from("8.8.8.8", "2001:db8::1"), "external");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "x/8", "::/129", "10.0.0.0/"] {
            assert_eq!(text.parse::<IpPrefix>(), Err(NoPrefix), "{text}");
        }
        let parsed: IpPrefix = "10.1.2.3/8".parse().expect("a network");
        assert_eq!(parsed.to_string(), "10.0.0.0/8");
    }
}
