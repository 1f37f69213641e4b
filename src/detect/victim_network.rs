//! The network that a victim is in, for floods of many of its hosts.
//!
//! Owns how large it is. Knows no kind of flood.

use crate::flow::HostAddress;

/// Bits of an address that make the victim's network.
const NETWORK_BITS_V4: u8 = 24;
const NETWORK_BITS_V6: u8 = 64;
/// So many flooded hosts of a network are told of together.
pub(super) const CARPET_HOSTS: usize = 4;

/// Bits of this address that are its network.
pub(super) fn network_bits(host: HostAddress) -> u8 {
    if host.is_v4() { NETWORK_BITS_V4 } else { NETWORK_BITS_V6 }
}

/// First address of the network.
pub(super) fn network_of(host: HostAddress) -> HostAddress {
    host.prefix(network_bits(host))
}
