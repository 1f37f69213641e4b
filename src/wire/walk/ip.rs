//! The steps through IP: headers, extension headers, fragments, and the choice of what follows.
//!
//! Owns how an IP header bounds what it carries. Knows no transport.

use super::{Next, Walker, depth};
use crate::wire::ipv6::{NO_NEXT_HEADER, extension};
use crate::wire::view::Unreadable;
use crate::wire::{FaultKind, Fragment, IpVersion, Ipv4, Ipv6, Ipv6Extension, Layer, Network, Transport, TunnelKind, Visitor};

/// Shortest payload that a length field of 0 may stand for: a TCP header. Shorter is padding, as only segmentation offload
/// leaves the field at 0.
const OFFLOADED_LEN_MIN: usize = 20;

impl<V: Visitor> Walker<'_, '_, V> {
    pub(super) fn any_ip(&mut self) -> Next {
        match self.rest().first().map(|b| b >> 4) {
            Some(4) => Next::Ipv4,
            Some(6) => Next::Ipv6,
            Some(_) => self.unknown(),
            None => self.unreadable(self.out.layer, Unreadable::Short(1)),
        }
    }

    #[inline(always)]
    pub(super) fn ipv4(&mut self) -> Next {
        let start = self.at;
        let Some(header) = self.header::<Ipv4>() else { return Next::Stop };
        if !header.checksum_ok() {
            self.out.ipv4_checksum_bad = true;
        }
        if header.total_len() != 0 {
            self.end_at(start + usize::from(header.total_len()));
        }
        let mut network = Network {
            version: IpVersion::V4,
            protocol: header.protocol(),
            ttl: header.ttl(),
            traffic_class: header.traffic_class(),
            source: widen(header.source()),
            destination: widen(header.destination()),
            fragment: None,
        };
        if header.is_fragment() {
            let fragment = Fragment {
                id: u32::from(header.id()),
                offset: header.fragment_offset(),
                len: self.claimed() as u32,
                more: header.more_fragments(),
            };
            network.fragment = Some(fragment);
            if fragment.offset != 0 {
                self.found_network(network);
                return Next::Stop;
            }
        }
        self.found_network(network);
        if header.protocol() == extension::AUTHENTICATION { self.extensions(network) } else { Next::Protocol(header.protocol()) }
    }

    #[inline(always)]
    pub(super) fn ipv6(&mut self) -> Next {
        if self.rest().first().is_some_and(|b| b >> 4 != 6) {
            return self.fail(Layer::Ipv6, FaultKind::Malformed);
        }
        let Some(header) = self.header::<Ipv6>() else { return Next::Stop };
        let (payload_len, protocol) = (usize::from(header.payload_len()), header.next_header());
        if payload_len != 0 || protocol == NO_NEXT_HEADER || self.claimed() < OFFLOADED_LEN_MIN {
            self.end_at(self.at + payload_len);
        }
        let network = Network {
            version: IpVersion::V6,
            protocol,
            ttl: header.hop_limit(),
            traffic_class: header.traffic_class(),
            source: header.source(),
            destination: header.destination(),
            fragment: None,
        };
        self.found_network(network);
        if Ipv6Extension::is_extension(protocol) { self.extensions(network) } else { Next::Protocol(protocol) }
    }

    /// Reads over extension headers, noting a fragment and a jumbo length, and corrects the network facts.
    fn extensions(&mut self, mut network: Network) -> Next {
        let start = self.at;
        let limit = depth::extension_headers_max();
        let mut count = 0;
        let next = loop {
            if !Ipv6Extension::is_extension(network.protocol) {
                break Next::Protocol(network.protocol);
            }
            if count == limit {
                break self.fail(Layer::Ipv6Extension, FaultKind::TooDeep);
            }
            count += 1;
            let header = match Ipv6Extension::read(network.protocol, self.rest()) {
                Ok(header) => header,
                Err(why) => break self.unreadable(Layer::Ipv6Extension, why),
            };
            self.enter(Ipv6Extension::LAYER, header.wrap(), header.bytes().len());
            network.protocol = header.next_header();
            match header.kind() {
                extension::HOP_BY_HOP => {
                    if let Some(len) = header.jumbo_len() {
                        self.end_at((start + len as usize).max(self.at));
                    }
                }
                extension::FRAGMENT if header.fragment_offset() != 0 || header.more_fragments() => {
                    network.fragment = Some(Fragment {
                        id: header.fragment_id(),
                        offset: header.fragment_offset(),
                        len: self.claimed() as u32,
                        more: header.more_fragments(),
                    });
                }
                _ => {}
            }
            if network.fragment.is_some_and(|f| f.offset != 0) {
                break Next::Stop;
            }
        };
        // As far as it could be read.
        self.found_network(network);
        next
    }

    /// What an IP header carries, by its protocol number.
    #[inline(always)]
    pub(super) fn protocol(&mut self, number: u8) -> Next {
        match number {
            6 => self.tcp(),
            17 => self.udp(),
            _ => self.rare_protocol(number),
        }
    }

    fn rare_protocol(&mut self, number: u8) -> Next {
        match number {
            1 => self.icmp(),
            58 => self.icmpv6(),
            132 => self.sctp(),
            136 => self.udp_lite(),
            _ => {
                self.out.transport = Transport::Other;
                match number {
                    2 => self.igmp(),
                    4 => self.ip_in_ip(Next::Ipv4),
                    41 => self.ip_in_ip(Next::Ipv6),
                    47 => self.gre(),
                    97 => self.ether_ip(),
                    115 => self.l2tpv3(),
                    137 => self.enter_tunnel(TunnelKind::Mpls, 0, self.out.layer, Next::Mpls),
                    143 => self.enter_tunnel(TunnelKind::Ethernet, 0, self.out.layer, Next::Ethernet),
                    _ => Next::Stop,
                }
            }
        }
    }

    fn ip_in_ip(&mut self, next: Next) -> Next {
        let layer = self.out.layer;
        self.enter_tunnel(TunnelKind::IpInIp, 0, layer, next)
    }
}

/// An IPv4 address in the place of an address of either version.
#[inline(always)]
fn widen(address: [u8; 4]) -> [u8; 16] {
    let mut wide = [0; 16];
    wide[..4].copy_from_slice(&address);
    wide
}
