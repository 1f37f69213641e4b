//! Damage: packets cut at every length, with every byte changed, and random bytes. Nothing panics, and less never gives more.

use super::build::zoo;
use super::{Trace, trace};
use crate::wire::*;
use netscope_backends::LinkType;
use proptest::prelude::*;

const LINKS: [u16; 26] =
    [0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 107, 108, 113, 119, 127, 163, 166, 192, 204, 205, 228, 229, 239, 276, 284, 285];

/// What holds for any bytes.
fn check(link: LinkType, data: &[u8], wire_len: u32) -> (Dissected, Trace) {
    let (facts, headers) = trace(link, data, wire_len);
    assert_eq!(facts, dissect(link, data, wire_len), "a visitor changes nothing");
    assert!(facts.payload_offset as usize + facts.payload_len as usize <= data.len(), "{facts:?}");
    assert!(facts.network.is_some() || matches!(facts.transport, Transport::None), "{facts:?}");
    assert_eq!(facts.tunnel.is_some(), facts.tunnel_depth > 0, "{facts:?}");
    assert!(facts.network.is_some() || facts.tunnel_depth == 0, "{facts:?}");
    assert!(facts.tunnel_depth <= TUNNEL_DEPTH_MAX);
    assert!(headers.0.windows(2).all(|w| w[0].1 < w[1].1), "{headers:?}");
    assert!(headers.0.iter().all(|h| h.1 < data.len()));
    let arp = headers.0.iter().find(|h| h.0 == "Arp").map(|h| h.1);
    assert_eq!(facts.arp_offset.map(|offset| offset.get() as usize), arp);
    assert!(arp.is_some() || facts.arp(data).is_none());
    let quoted = facts.quoted_packet(data);
    assert!(quoted.is_none() || matches!(facts.transport, Transport::Icmp { .. }), "{quoted:?} in {facts:?}");
    // Whatever bytes they are read from.
    let _ = (facts.arp(&data[data.len() / 2..]), facts.quoted_packet(&data[data.len() / 2..]), mac_addresses(link, data));
    (facts, headers)
}

#[test]
fn whole_packets_have_no_fault() {
    for (name, link, bytes) in zoo() {
        let (facts, _) = check(LinkType(link), &bytes, bytes.len() as u32);
        assert_eq!((facts.fault, facts.ipv4_checksum_bad), (None, false), "{name}");
    }
}

#[test]
fn cut_at_every_length_never_gives_more() {
    for (name, link, bytes) in zoo() {
        let wire_len = bytes.len() as u32;
        let (whole, all) = check(LinkType(link), &bytes, wire_len);
        for len in 0..bytes.len() {
            let (facts, headers) = check(LinkType(link), &bytes[..len], wire_len);
            assert!(all.0.starts_with(&headers.0), "{name} cut to {len}: {headers:?} of {all:?}");
            assert!(facts.tunnel_depth <= whole.tunnel_depth && facts.payload_len <= wire_len, "{name} cut to {len}");
            let kind = facts.fault.map(|f| f.kind);
            assert!(matches!(kind, None | Some(FaultKind::Truncated)), "{name} cut to {len}: {facts:?}");
            assert!(facts.network.is_none() || whole.network.is_some(), "{name} cut to {len}");
            assert!([None, whole.arp(&bytes)].contains(&facts.arp(&bytes[..len])), "{name} cut to {len}");
            assert!([None, mac_addresses(LinkType(link), &bytes)].contains(&mac_addresses(LinkType(link), &bytes[..len])));
            let quoted = facts.quoted_packet(&bytes[..len]);
            assert!(quoted.is_none() || whole.quoted_packet(&bytes).is_some(), "{name} cut to {len}: {quoted:?}");
            check(LinkType(link), &bytes[..len], len as u32);
        }
    }
}

#[test]
fn every_byte_changed() {
    for (_, link, bytes) in zoo() {
        let mut damaged = bytes.clone();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                damaged[at] ^= 1 << bit;
                check(LinkType(link), &damaged, bytes.len() as u32);
                damaged[at] = bytes[at];
            }
            for value in [0, 0xff, bytes[at].wrapping_add(1), bytes[at].wrapping_sub(1)] {
                damaged[at] = value;
                check(LinkType(link), &damaged, bytes.len() as u32);
            }
            damaged[at] = bytes[at];
        }
    }
}

proptest! {
    #[test]
    fn random_bytes(data in proptest::collection::vec(any::<u8>(), 0..200), wire_len in any::<u32>(), link in proptest::sample::select(&LINKS[..])) {
        check(LinkType(link), &data, wire_len);
    }

    #[test]
    fn random_tails(which in any::<proptest::sample::Index>(), at in any::<proptest::sample::Index>(), tail in proptest::collection::vec(any::<u8>(), 0..120)) {
        let zoo = zoo();
        let (_, link, bytes) = &zoo[which.index(zoo.len())];
        let mut data = bytes[..at.index(bytes.len())].to_vec();
        data.extend(tail);
        check(LinkType(*link), &data, data.len() as u32);
    }

    #[test]
    fn random_options(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let options = parse_options(&bytes);
        prop_assert!(usize::from(options.sack_count) <= options.sack.len());
    }
}
