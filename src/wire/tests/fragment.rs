//! The fast path for common fragments against the walk: the same facts, or none.

use super::super::fragment::dissect_fragment;
use super::super::walk::is_tunnel_port;
use super::build::{ethernet, ipv4_with, ipv6, join, udp_ports, vlan};
use super::trace;
use crate::wire::{Dissected, common, seems_fragment};
use netscope_backends::LinkType;
use proptest::prelude::*;

/// True when the fast path read it; then it agrees with the walk.
fn agrees(data: &[u8], wire_len: u32) -> bool {
    let mut short = Dissected::NOTHING;
    let read = dissect_fragment(LinkType::ETHERNET, data, &mut short);
    if read {
        assert_eq!(short, trace(LinkType::ETHERNET, data, wire_len).0, "{data:02x?}, {wire_len} on the wire");
        // What was there before is written over in full.
        let mut again = trace(LinkType::ETHERNET, &ethernet(0x8100, &vlan(7, 0x0806, &[0; 28])), 60).0;
        dissect_fragment(LinkType::ETHERNET, data, &mut again);
        assert_eq!(again, short);
    } else {
        assert_eq!(short, Dissected::NOTHING, "what was not read is not touched");
    }
    read
}

/// Fragments: tagged or not, IPv4 or IPv6, first or later, of UDP or something else, padded or not; with
/// whether the fast path has to read it.
fn frame() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let offset = prop_oneof![2 => Just(0u16), 2 => 1u16..0x2000];
    let port = prop_oneof![4 => any::<u16>(), 1 => Just(4789)];
    let protocol = prop_oneof![4 => Just(17u8), 1 => Just(6), 1 => Just(51), 1 => any::<u8>()];
    let payload = proptest::collection::vec(any::<u8>(), 0..40);
    (any::<bool>(), any::<bool>(), offset, any::<bool>(), port, protocol, payload, 0..8usize).prop_map(
        |(tagged, six, offset, more, port, protocol, payload, padding)| {
            let datagram = udp_ports(port, 53, &payload);
            let (kind, packet) = if six {
                let place = (offset << 3 | u16::from(more)).to_be_bytes();
                (0x86dd, ipv6(44, &join(&[&[protocol, 0], &place, &[1, 2, 3, 4], &datagram])))
            } else {
                (0x0800, ipv4_with(protocol, offset | u16::from(more) << 13, &[], &datagram))
            };
            let mut frame = if tagged { ethernet(0x8100, &vlan(port, kind, &packet)) } else { ethernet(kind, &packet) };
            frame.extend(vec![0; padding]);
            let is_read = offset != 0 || more && protocol == 17 && !is_tunnel_port(port);
            (frame, is_read)
        },
    )
}

proptest! {
    #[test]
    fn whole_frames((data, is_read) in frame()) {
        prop_assert_eq!(agrees(&data, data.len() as u32), is_read, "{:02x?}", data);
    }

    #[test]
    fn damaged_frames((data, _) in frame(), at in any::<proptest::sample::Index>(), byte in any::<u8>(), cut in any::<proptest::sample::Index>(), more in 0u32..100) {
        let mut data = data;
        let at = at.index(data.len());
        data[at] = byte;
        let wire_len = data.len() as u32 + more;
        agrees(&data, wire_len);
        agrees(&data[..cut.index(data.len())], wire_len);
        agrees(&data[..cut.index(data.len())], 0);
    }
}

#[test]
fn every_cut_of_a_fragment() {
    for place in [0x2000, 0x0010] {
        let mut first = None;
        let data = ethernet(0x0800, &ipv4_with(17, place, &[], &udp_ports(1, 2, b"12345678")));
        for len in 0..=data.len() {
            if agrees(&data[..len], data.len() as u32) {
                first.get_or_insert(len);
            }
        }
        assert_eq!(first, Some(if place == 0x2000 { 42 } else { 34 }), "with its headers it is read");
    }
}

proptest! {
    /// What seems to be a fragment is no common frame: trying the ways in another order changes nothing.
    #[test]
    fn what_seems_a_fragment_is_not_common((data, _) in frame(), at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let mut data = data;
        let at = at.index(data.len());
        data[at] = byte;
        let is_common = common(LinkType::ETHERNET, &data, data.len() as u32).is_some();
        prop_assert!(!(is_common && seems_fragment(&data)), "{:02x?}", data);
    }
}
