//! The addresses of a packet's first network header: those by which an interface's own host, or the next router, would handle it.
//!
//! Owns which header that is: the first IP header or ARP message behind the link layer, whatever tags and labels stand before it; what is
//! in a tunnel is not looked at. Knows no flow. Its invariant: the fast path finds what the walk finds, in any packet.

use super::ethernet::ethertype;
use super::view::{array_at, be16};
use super::{Header, Visitor, walk};
use netscope_backends::{LinkType, Packet};

/// Source and destination: of an IP header, or of an ARP message for IPv4 its sender and target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OuterAddresses {
    /// RFC 791, RFC 826
    V4([[u8; 4]; 2]),
    /// RFC 8200
    V6([[u8; 16]; 2]),
}

impl OuterAddresses {
    /// Of a packet; `None` without a whole network header.
    #[inline]
    pub fn of(packet: &Packet<'_>) -> Option<Self> {
        if packet.link_type == LinkType::ETHERNET
            && let Some(found) = Self::of_frame(packet.data)
        {
            return Some(found);
        }
        Self::of_any(packet)
    }

    /// Of an Ethernet frame with at most one VLAN tag, and plain IP: a header without options.
    #[inline(always)]
    fn of_frame(data: &[u8]) -> Option<Self> {
        match ether_type_at::<12>(data)? {
            ethertype::VLAN => Self::plain::<18>(data, ether_type_at::<16>(data)?),
            other => Self::plain::<14>(data, other),
        }
    }

    #[inline(always)]
    fn plain<const AT: usize>(data: &[u8], ether_type: u16) -> Option<Self> {
        let rest = data.get(AT..)?;
        match ether_type {
            ethertype::IPV4 => {
                let header = rest.first_chunk::<20>().filter(|header| header[0] == 0x45 && be16(header, 2) >= 20)?;
                Some(Self::V4([array_at(header, 12), array_at(header, 16)]))
            }
            ethertype::IPV6 => {
                let header = rest.first_chunk::<40>().filter(|header| header[0] >> 4 == 6)?;
                Some(Self::V6([array_at(header, 8), array_at(header, 24)]))
            }
            _ => None,
        }
    }

    /// Of any packet, by reading its headers.
    #[inline(never)]
    fn of_any(packet: &Packet<'_>) -> Option<Self> {
        let mut first = FirstNetwork(None);
        walk(packet.link_type, packet.data, packet.wire_len, &mut first);
        first.0
    }
}

#[inline(always)]
fn ether_type_at<const AT: usize>(data: &[u8]) -> Option<u16> {
    data.get(AT..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

/// Keeps the first that is shown.
struct FirstNetwork(Option<OuterAddresses>);

impl Visitor for FirstNetwork {
    fn header(&mut self, header: &Header<'_>, _offset: usize) {
        if self.0.is_some() {
            return;
        }
        self.0 = match header {
            Header::Ipv4(header) => Some(OuterAddresses::V4([header.source(), header.destination()])),
            Header::Ipv6(header) => Some(OuterAddresses::V6([header.source(), header.destination()])),
            Header::Arp(header) if header.protocol_type() == ethertype::IPV4 => {
                let pair = (header.sender_protocol().try_into(), header.target_protocol().try_into());
                if let (Ok(sender), Ok(target)) = pair { Some(OuterAddresses::V4([sender, target])) } else { None }
            }
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::build;
    use crate::wire::tests::fast::frame;
    use netscope_backends::Timestamp;
    use proptest::prelude::*;

    fn packet(data: &[u8]) -> Packet<'_> {
        Packet { data, time: Timestamp(0), wire_len: data.len() as u32, link_type: LinkType::ETHERNET }
    }

    proptest! {
        #[test]
        fn the_fast_path_finds_what_the_walk_finds((data, _) in frame(), len in 0_usize..100, noise: u8, at in 0_usize..60) {
            let mut data = data[..data.len().min(len)].to_vec();
            data.iter_mut().skip(at).take(1).for_each(|byte| *byte = noise);
            prop_assert_eq!(OuterAddresses::of(&packet(&data)), OuterAddresses::of_any(&packet(&data)));
        }
    }

    #[test]
    fn the_outermost_header_counts_behind_any_tags() {
        let inner = build::ipv4(17, &build::udp(b"x"));
        let outer = build::ipv6(41, &build::ipv6(4, &inner));
        let plain = OuterAddresses::of(&packet(&build::ethernet(0x86dd, &outer))).expect("addresses");
        assert!(matches!(plain, OuterAddresses::V6(_)));
        for tags in [&[0x00, 7, 0x86, 0xdd][..], &[0x00, 7, 0x81, 0x00, 0x00, 8, 0x86, 0xdd]] {
            let tagged = build::ethernet(0x8100, &[tags, &outer].concat());
            assert_eq!(OuterAddresses::of(&packet(&tagged)), Some(plain));
        }
        let labelled = build::ethernet(0x8847, &[&[0, 1, 0x01, 64][..], &outer].concat());
        assert_eq!(OuterAddresses::of(&packet(&labelled)), Some(plain));
        let raw = Packet { link_type: LinkType::RAW, ..packet(&outer) };
        assert_eq!(OuterAddresses::of(&raw), Some(plain));
    }

    #[test]
    fn arp_has_two_addresses_and_other_frames_none() {
        let message = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];
        let arp = build::ethernet(0x0806, &message);
        assert_eq!(OuterAddresses::of(&packet(&arp)), Some(OuterAddresses::V4([[10, 0, 0, 1], [10, 0, 0, 2]])));
        assert_eq!(OuterAddresses::of(&packet(&build::ethernet(0x88cc, &[0; 50]))), None);
    }
}
