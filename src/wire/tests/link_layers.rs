//! Link layers: that they lead to the same network layer, and what is said when they do not.

use super::build::*;
use super::{dissect, eth};
use crate::wire::*;
use netscope_backends::LinkType;
use proptest::prelude::*;

/// What is left when the way to the packet does not count.
fn inner(facts: Dissected) -> Dissected {
    Dissected { payload_offset: 0, arp_offset: None, vlan: VlanTags::default(), tunnel: None, tunnel_depth: 0, ..facts }
}

#[test]
fn vlan_tags_in_any_stacking() {
    let ip = ipv4(6, &tcp(b"x"));
    let plain = eth(&ethernet(0x0800, &ip));
    for kind in [0x8100, 0x88a8, 0x9100, 0x9200] {
        let facts = eth(&ethernet(kind, &vlan(0x123, 0x0800, &ip)));
        assert_eq!(facts.vlan, VlanTags { ids: [0x123, 0], count: 1 });
        assert_eq!((inner(facts), facts.payload_offset), (inner(plain), plain.payload_offset + 4));
    }
    let triple = ethernet(0x88a8, &vlan(1, 0x8100, &vlan(2, 0x9100, &vlan(3, 0x0800, &ip))));
    assert_eq!(eth(&triple).vlan, VlanTags { ids: [1, 2], count: 3 });
    assert_eq!(inner(eth(&triple)), inner(plain));
}

#[test]
fn endless_tags_and_labels_are_too_deep() {
    let tags = [0u8, 1, 0x81, 0].repeat(1000);
    assert_eq!(eth(&ethernet(0x8100, &tags)).fault, Some(Fault { layer: Layer::Vlan, kind: FaultKind::TooDeep }));
    let labels = mpls(5, false).repeat(1000);
    assert_eq!(eth(&ethernet(0x8847, &labels)).fault, Some(Fault { layer: Layer::Mpls, kind: FaultKind::TooDeep }));
    let last_allowed = [0u8, 1, 0x81, 0].repeat(usize::from(LINK_HEADER_COUNT_MAX) - 1);
    let frame = ethernet(0x8100, &join(&[&last_allowed, &vlan(1, 0x0800, &ipv4(6, &tcp(b"")))]));
    assert_eq!((eth(&frame).fault, eth(&frame).layer), (None, Layer::Tcp));
}

#[test]
fn llc_frames() {
    let ip = ipv4(6, &tcp(b"x"));
    let plain = eth(&ethernet(0x0800, &ip));
    for header in [&[0xaau8, 0xaa, 3, 0, 0, 0, 8, 0][..], &[0xaa, 0xaa, 3, 0, 0, 0xf8, 8, 0], &[6, 6, 3]] {
        let payload = join(&[header, &ip]);
        let mut frame = ethernet(payload.len() as u16, &payload);
        frame.extend([0; 8]);
        assert_eq!(inner(eth(&frame)), inner(plain), "{header:?}");
    }
    let stp = eth(&ethernet(38, &[0x42; 46]));
    assert_eq!((stp.layer, stp.fault), (Layer::Llc, Some(Fault { layer: Layer::Llc, kind: FaultKind::Unknown })));
    assert_eq!((stp.payload_offset, stp.payload_len), (18, 34), "control 0x42 makes 4 bytes of LLC; padding does not count");
}

#[test]
fn mpls_guesses_what_follows() {
    let (ip, ip6) = (ipv4(6, &tcp(b"x")), ipv6(6, &tcp(b"x")));
    let frame = ethernet(0x0800, &ip);
    let under = |payload: &[u8]| inner(eth(&ethernet(0x8847, &join(&[&mpls(100, false), &mpls(3, true), payload]))));
    assert_eq!(under(&ip), inner(eth(&frame)));
    assert_eq!(under(&ip6), inner(eth(&ethernet(0x86dd, &ip6))));
    assert_eq!(under(&join(&[&[0, 0, 0, 1], &frame])), inner(eth(&frame)));
    assert_eq!(under(&frame), inner(eth(&frame)));
    let mut tricky = frame.clone();
    tricky[0] = 0x44;
    assert_eq!(under(&tricky), inner(eth(&frame)), "a MAC address that looks like IPv4");
    assert_eq!(under(&[0x10, 0, 0, 0x21]).fault, Some(Fault { layer: Layer::Mpls, kind: FaultKind::Unknown }));
}

#[test]
fn ppp_framings() {
    let ip = ipv4(6, &tcp(b"x"));
    let plain = dissect(LinkType::RAW, &ip);
    for framing in [&[0xff, 3, 0, 0x21][..], &[0xff, 3, 0x21], &[0, 0x21], &[0x21]] {
        assert_eq!(inner(dissect(LinkType::PPP, &join(&[framing, &ip]))), inner(plain), "{framing:?}");
        let mut frame = ethernet(0x8864, &pppoe(&join(&[framing, &ip])));
        frame.extend([0; 6]);
        assert_eq!(inner(eth(&frame)), inner(plain), "{framing:?} over PPPoE");
    }
    let lcp = dissect(LinkType::PPP, &[0xff, 3, 0xc0, 0x21, 1, 1, 0, 4]);
    assert_eq!((lcp.layer, lcp.fault), (Layer::Ppp, Some(Fault { layer: Layer::Ppp, kind: FaultKind::Unknown })));
    let discovery = eth(&ethernet(0x8863, &[0x11, 9, 0, 0, 0, 0]));
    assert_eq!((discovery.layer, discovery.fault), (Layer::Pppoe, None));
}

#[test]
fn loopback_families_in_both_byte_orders() {
    let (ip, ip6) = (ipv4(6, &tcp(b"x")), ipv6(6, &tcp(b"x")));
    for link in [0, 108] {
        for (family, packet) in [(2u32, &ip), (10, &ip6), (24, &ip6), (28, &ip6), (30, &ip6)] {
            for header in [family.to_be_bytes(), family.to_le_bytes()] {
                let facts = dissect(LinkType(link), &join(&[&header, packet]));
                assert_eq!(inner(facts), inner(dissect(LinkType::RAW, packet)), "{family}");
            }
        }
        assert_eq!(
            dissect(LinkType(link), &[0, 0, 0, 7, 0x45]).fault,
            Some(Fault { layer: Layer::Link, kind: FaultKind::Unknown })
        );
    }
}

#[test]
fn raw_ip_and_cooked_captures() {
    let (ip, ip6) = (ipv4(6, &tcp(b"x")), ipv6(6, &tcp(b"x")));
    let plain = inner(eth(&ethernet(0x0800, &ip)));
    for link in [12, 14, 101, 228] {
        assert_eq!(inner(dissect(LinkType(link), &ip)), plain);
    }
    for link in [12, 14, 101, 229] {
        assert_eq!(inner(dissect(LinkType(link), &ip6)), inner(eth(&ethernet(0x86dd, &ip6))));
    }
    let sll = |protocol: u16, hardware: u8, payload: &[u8]| {
        dissect(
            LinkType::LINUX_SLL,
            &join(&[&[0, 4, 3, hardware, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0], &protocol.to_be_bytes(), payload]),
        )
    };
    assert_eq!(inner(sll(0x0800, 4, &ip)), plain);
    let tagged = sll(0x8100, 4, &vlan(9, 0x0800, &ip));
    assert_eq!((inner(tagged), tagged.vlan.ids[0]), (plain, 9));
    assert_eq!(sll(4, 1, &[0x42, 0x42, 3, 0]).layer, Layer::Llc);
    assert_eq!(sll(0x0800, 0x38, &ip).fault, Some(Fault { layer: Layer::Sll, kind: FaultKind::Unknown }), "824 is netlink");
}

#[test]
fn arp_and_unknown_types() {
    let arp = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];
    let facts = eth(&ethernet(0x0806, &arp));
    assert_eq!((facts.layer, facts.network, facts.fault, facts.payload_len), (Layer::Arp, None, None, 0));
    assert_eq!(eth(&ethernet(0x0806, &arp[..20])).fault, Some(Fault { layer: Layer::Arp, kind: FaultKind::Malformed }));
    for value in [0x88cc, 0x05ff, 0x22f3] {
        let facts = eth(&ethernet(value, &[0; 46]));
        assert_eq!(
            (facts.layer, facts.fault),
            (Layer::Ethernet, Some(Fault { layer: Layer::Ethernet, kind: FaultKind::Unknown }))
        );
    }
    assert_eq!(dissect(LinkType(107), &[0; 60]).fault, Some(Fault { layer: Layer::Link, kind: FaultKind::Unknown }));
}

/// What ARP says of Ethernet and IPv4, wherever it lies.
#[test]
fn arp_messages() {
    let arp = [0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 2, 0, 0, 0, 0, 9, 10, 0, 0, 2];
    let message = ArpMessage {
        operation: 2,
        sender_mac: [2, 0, 0, 0, 0, 1],
        sender_ip: [10, 0, 0, 1],
        target_mac: [2, 0, 0, 0, 0, 9],
        target_ip: [10, 0, 0, 2],
    };
    let said = |link: LinkType, data: &[u8]| dissect(link, data).arp(data);
    let plain = ethernet(0x0806, &arp);
    assert_eq!(said(LinkType::ETHERNET, &plain), Some(message));
    assert_eq!(said(LinkType::ETHERNET, &join(&[&plain, &[0; 18]])), Some(message), "padding");
    assert_eq!(said(LinkType::ETHERNET, &ethernet(0x88a8, &vlan(5, 0x8100, &vlan(6, 0x0806, &arp)))), Some(message));
    assert_eq!(said(LinkType::ETHERNET, &ethernet(0x0800, &ipv4(17, &vxlan(&plain)))), Some(message), "in a tunnel");
    assert_eq!(said(LinkType::LINUX_SLL, &join(&[&[0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 6], &arp])), Some(message));
    assert_eq!(said(LinkType::ETHERNET, &plain[..41]), None, "cut");
    let with = |at: usize, value: u8| {
        let mut other = join(&[&plain, &[0; 40]]);
        other[14 + at] = value;
        let facts = eth(&other);
        assert_eq!((facts.layer, facts.fault), (Layer::Arp, None), "still an ARP packet");
        facts.arp(&other)
    };
    assert_eq!(with(1, 6), Some(message), "IEEE 802.2");
    assert_eq!([with(1, 7), with(0, 1), with(2, 9), with(3, 6), with(4, 8), with(4, 0), with(5, 16), with(5, 0)], [None; 8]);
    // The lengths of the addresses are swapped, and 20 bytes again.
    let mut swapped = plain.clone();
    (swapped[18], swapped[19]) = (4, 6);
    assert_eq!(said(LinkType::ETHERNET, &swapped), None);
}

#[test]
fn addresses_of_frames() {
    let (source, destination) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let frame = ethernet(0x8100, &vlan(5, 0x0800, &ipv4(17, &vxlan(&ethernet(0x88cc, &[])))));
    let outer = MacAddresses { source, destination: Some(destination) };
    assert_eq!(mac_addresses(LinkType::ETHERNET, &frame), Some(outer));
    assert_eq!(
        (mac_addresses(LinkType::ETHERNET, &frame[..14]), mac_addresses(LinkType::ETHERNET, &frame[..13])),
        (Some(outer), None)
    );
    let sender = Some(MacAddresses { source, destination: None });
    let sll = |len: u8| mac_addresses(LinkType::LINUX_SLL, &[0, 4, 0, 1, 0, len, 2, 0, 0, 0, 0, 1, 9, 9, 8, 0]);
    assert_eq!((sll(6), sll(0), sll(8)), (sender, None, None));
    let sll2 = |len: u8| mac_addresses(LinkType::LINUX_SLL2, &[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 4, len, 2, 0, 0, 0, 0, 1, 9, 9]);
    assert_eq!((sll2(6), sll2(0), sll2(8)), (sender, None, None));
    assert_eq!(mac_addresses(LinkType::RAW, &frame), None);
}

#[test]
fn supported_link_types_have_names_and_a_walk() {
    for link in (0..400).map(LinkType) {
        let refused = dissect(link, &ipv4(6, &tcp(b""))).fault == Some(Fault { layer: Layer::Link, kind: FaultKind::Unknown });
        if supports(link) {
            assert_ne!(link_name(link), "unknown");
        }
        // The only read link type that refuses an IPv4 header is the loopback family.
        assert_eq!(refused, !supports(link) || matches!(link.0, 0 | 108 | 229) && refused, "{link}");
    }
    assert_eq!(link_name(LinkType(105)), "IEEE 802.11");
}

proptest! {
    /// Wrapping in link layers changes nothing of what is inside, whatever that is.
    #[test]
    fn link_layers_do_not_matter(payload in proptest::collection::vec(any::<u8>(), 0..80), protocol in any::<u8>(), v6 in any::<bool>(),
                                 tags in proptest::collection::vec((0u16..4096, 0usize..4), 0..6)) {
        let ip = if v6 { ipv6(protocol, &payload) } else { ipv4(protocol, &payload) };
        let ether_type = if v6 { 0x86dd } else { 0x0800 };
        let plain = inner(dissect(LinkType::RAW, &ip));
        let mut wrapped = (ether_type, ip.clone());
        for (id, kind) in &tags {
            wrapped = ([0x8100, 0x88a8, 0x9100, 0x9200][*kind], vlan(*id, wrapped.0, &wrapped.1));
        }
        let facts = eth(&ethernet(wrapped.0, &wrapped.1));
        prop_assert_eq!(usize::from(facts.vlan.count), tags.len());
        prop_assert_eq!(inner(facts), plain);
        prop_assert_eq!(inner(eth(&ethernet(0x8847, &join(&[&mpls(77, true), &ip])))), plain);
        let ppp = if v6 { [0, 0x57] } else { [0, 0x21] };
        prop_assert_eq!(inner(eth(&ethernet(0x8864, &pppoe(&join(&[&ppp, &ip]))))), plain);
    }

    /// So does wrapping in tunnels, but for the tunnel itself.
    #[test]
    fn tunnels_do_not_matter(payload in proptest::collection::vec(any::<u8>(), 0..80), protocol in any::<u8>(), v6 in any::<bool>()) {
        let ip = if v6 { ipv6(protocol, &payload) } else { ipv4(protocol, &payload) };
        let ether_type = if v6 { 0x86dd } else { 0x0800 };
        let frame = ethernet(ether_type, &ip);
        let plain = dissect(LinkType::RAW, &ip);
        let tunnels = [
            (TunnelKind::Vxlan, 0x1234, ipv4(17, &vxlan(&frame))),
            (TunnelKind::Geneve, 9, ipv6(17, &geneve(ether_type, &[], &ip))),
            (TunnelKind::Gre, 0, ipv4(47, &gre(0, ether_type, &[], &ip))),
            (TunnelKind::Erspan, 0x65, ipv4(47, &gre(0x1000, 0x88be, &[0; 4], &join(&[&[0x10, 0, 0, 0x65, 0, 0, 0, 0], &frame])))),
            (TunnelKind::GtpU, 0xdead_beef, ipv4(17, &gtpu(0x30, &[], &ip))),
            (TunnelKind::IpInIp, 0, ipv6(if v6 { 41 } else { 4 }, &ip)),
        ];
        for (kind, id, packet) in tunnels {
            let facts = dissect(LinkType::RAW, &packet);
            if plain.tunnel_depth == 0 {
                prop_assert_eq!(facts.tunnel, Some(Tunnel { kind, id }));
            }
            prop_assert_eq!(facts.tunnel_depth, plain.tunnel_depth + 1);
            prop_assert_eq!(inner(facts), inner(plain));
        }
    }
}
