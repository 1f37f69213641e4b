//! What the tests of the flow table share: packets without bytes.

use super::*;
use crate::wire::{Dissected, IpVersion, Layer, Network, Ports, Transport, VlanTags};
use std::net::IpAddr;

fn address(text: &str) -> (IpVersion, [u8; 16]) {
    match text.parse() {
        Ok(IpAddr::V4(ip)) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            (IpVersion::V4, bytes)
        }
        Ok(IpAddr::V6(ip)) => (IpVersion::V6, ip.octets()),
        Err(error) => panic!("{text}: {error}"),
    }
}

pub(super) fn network_of(source: &str, destination: &str, protocol: u8) -> Network {
    let ((version, source), (_, destination)) = (address(source), address(destination));
    Network { version, protocol, ttl: 64, traffic_class: 0, source, destination, fragment: None }
}

pub(super) fn key_of(source: &str, destination: &str, from: u16, to: u16, protocol: u8) -> (FlowKey, Direction) {
    FlowKey::new(&network_of(source, destination, protocol), Ports { source: from, destination: to })
}

pub(super) fn dissected(network: Network, transport: Transport) -> Dissected {
    Dissected {
        network: Some(network),
        transport,
        payload_offset: 0,
        payload_len: 0,
        vlan: VlanTags::default(),
        tunnel: None,
        tunnel_depth: 0,
        layer: Layer::Ipv4,
        fault: None,
        ipv4_checksum_bad: false,
        arp_offset: None,
    }
}

mod active;
mod closing;
mod fragment;
mod hash;
mod icmp;
mod table;
mod timeouts;
mod top;
