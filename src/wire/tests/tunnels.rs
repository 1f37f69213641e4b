//! Tunnels: what each is called, what its id is, and what stays when its inside cannot be read.

use super::build::*;
use super::{dissect, eth};
use crate::wire::*;
use netscope_backends::LinkType;

fn tunnel_of(name: &str) -> (Option<(TunnelKind, u32)>, u8, Transport) {
    let (_, link, bytes) = zoo().into_iter().find(|(n, _, _)| *n == name).expect("in the zoo");
    let facts = dissect(LinkType(link), &bytes);
    assert_eq!(facts.fault, None, "{name}");
    (facts.tunnel.map(|t| (t.kind, t.id)), facts.tunnel_depth, facts.transport)
}

#[test]
fn every_tunnel_of_the_zoo() {
    for (name, kind, id) in [
        ("ip-in-ip", TunnelKind::IpInIp, 0),
        ("6in4", TunnelKind::IpInIp, 0),
        ("4in6", TunnelKind::IpInIp, 0),
        ("gre", TunnelKind::Gre, 77),
        ("gre routing", TunnelKind::Gre, 0),
        ("pptp", TunnelKind::Gre, 9),
        ("bridge", TunnelKind::Gre, 0),
        ("erspan1", TunnelKind::Erspan, 0),
        ("erspan2", TunnelKind::Erspan, 0x65),
        ("erspan3", TunnelKind::Erspan, 0x65),
        ("vxlan", TunnelKind::Vxlan, 0x1234),
        ("vxlan-gpe", TunnelKind::Vxlan, 9),
        ("geneve", TunnelKind::Geneve, 9),
        ("gtp-u", TunnelKind::GtpU, 0xdead_beef),
        ("teredo", TunnelKind::Teredo, 0),
        ("l2tp", TunnelKind::L2tp, 0x0003_0004),
        ("l2tpv3", TunnelKind::L2tp, 9),
        ("l2tpv3 over udp", TunnelKind::L2tp, 0x0102_0304),
        ("wccp 1", TunnelKind::Gre, 0),
        ("wccp 2", TunnelKind::Gre, 0),
        ("wccp 2 ipv6", TunnelKind::Gre, 0),
        ("gre 802.11", TunnelKind::Gre, 0),
        ("gre nsh", TunnelKind::Gre, 0),
        ("gre in udp", TunnelKind::Gre, 77),
        ("erspan3 ip", TunnelKind::Erspan, 0x65),
        ("etherip", TunnelKind::EtherIp, 0),
        ("srv6 ethernet", TunnelKind::Ethernet, 0),
        ("srv6 routing ethernet", TunnelKind::Ethernet, 0),
        ("mpls in ip", TunnelKind::Mpls, 0),
        ("mpls in udp", TunnelKind::Mpls, 0),
        ("vxlan-gpe nsh", TunnelKind::Vxlan, 9),
        ("geneve nsh", TunnelKind::Geneve, 9),
        ("gtp-u ethernet", TunnelKind::GtpU, 0xdead_beef),
        ("lisp", TunnelKind::Lisp, 0),
        ("lisp instance", TunnelKind::Lisp, 5),
        ("lisp ethernet", TunnelKind::Lisp, 5),
        ("ayiya", TunnelKind::Ayiya, 0),
    ] {
        let (tunnel, depth, transport) = tunnel_of(name);
        assert_eq!((tunnel, depth), (Some((kind, id)), 1), "{name}");
        assert!(
            matches!(transport, Transport::Tcp(_) | Transport::Udp(Ports { source: 5353, destination: 40000 })),
            "{name}: {transport:?}"
        );
    }
}

/// The outer flow stays, and the receiver's port makes a fault of what cannot be read.
#[test]
fn what_does_not_read_as_a_tunnel_is_a_udp_flow() {
    let unknown = |layer| Some(Fault { layer, kind: FaultKind::Unknown });
    let malformed = |layer| Some(Fault { layer, kind: FaultKind::Malformed });
    for (port, payload, fault) in [
        (4789, &b"plain text, no VXLAN"[..], unknown(Layer::Vxlan)),
        (8472, b"\xf7\0\0\0\0\0\x7b\0 no valid VNI", unknown(Layer::Vxlan)),
        (4790, b"plain text, no VXLAN", unknown(Layer::Vxlan)),
        (4790, b"\x1c\0\0\x03\0\0\0\0 version 1", unknown(Layer::Vxlan)),
        (4790, b"\x0c\0\0\x09\0\0\0\0 next protocol 9", unknown(Layer::Vxlan)),
        (4789, b"short", malformed(Layer::Vxlan)),
        (6081, b"\xc0\0\x08\0 version 3", unknown(Layer::Geneve)),
        (6081, b"\0\0\x88\xcc\0\0\0\0 not carried", unknown(Layer::Geneve)),
        (6081, b"\x02\0\x65\x58\0\0\0\0 opt", malformed(Layer::Geneve)),
        (6081, b"\0\x80\x65\x58\0\0\0\0 a control packet", None),
        (2152, b"\x30\xff\0\x08\0\0\0\0\x15no IP inside", unknown(Layer::GtpU)),
        (2152, b"\x32\x01\0\x04\0\0\0\0an echo request", None),
        (2152, b"\x50\xff\0\x04\0\0\0\0version 2", unknown(Layer::GtpU)),
        (3544, b"1 is no version, but this is long enough to hold an IPv6 header", unknown(Layer::Teredo)),
        (3544, b"\x60\0\0\0\xff\xff\x3b\x15 says it is longer than the datagram that it came in", malformed(Layer::Teredo)),
        (1701, b"\xc8\x02\0\x0c a control message", None),
        (1701, b"\xc8\x03\0\x0c a control message", None),
        (1701, b"\0\x01\0\x0c version 1", unknown(Layer::L2tp)),
        (1701, b"\0\x03\0\0\0\0\0\x09 no frame anywhere near here, whatever the cookie is", unknown(Layer::L2tp)),
        (4754, b"\0\x02\x08\0 version 2", unknown(Layer::Gre)),
        (4341, b"\0\0\0\0\0\0\0\0 no IP", unknown(Layer::Lisp)),
        (4341, b"\x04\0\0\x09\0\0\0\0 next protocol 9", unknown(Layer::Lisp)),
        (4341, b"\x01\0\0\0\0\0\0\0 key 1", Some(Fault { layer: Layer::Lisp, kind: FaultKind::Encrypted })),
        (5072, b"\x41\x52\x01\x06 TCP, which has no place here, behind 36 bytes", unknown(Layer::Ayiya)),
        (5072, b"\x41\x52\x02\x29 an echo request: 36 bytes and no packet at all", None),
        (5072, b"\x41\x52\x01\x29 short", malformed(Layer::Ayiya)),
        (6635, b"\0\x06\x41\xff\xf0 labels, and then nothing that is known", unknown(Layer::Mpls)),
        (53, b"", None),
        (4789, b"", None),
    ] {
        let facts = dissect(LinkType::RAW, &ipv4(17, &udp_ports(9, port, payload)));
        let ports = Ports { source: 9, destination: port };
        assert_eq!((facts.transport, facts.fault, facts.tunnel), (Transport::Udp(ports), fault, None), "{port} {payload:?}");
        assert_eq!(facts.payload_len as usize, payload.len());
        let from = dissect(LinkType::RAW, &ipv4(17, &udp_ports(port, 9, payload)));
        assert_eq!((from.fault, from.tunnel, from.layer), (None, None, Layer::Udp), "from {port} {payload:?}");
        let between = dissect(LinkType::RAW, &ipv4(17, &udp_ports(if port == 4789 { 6081 } else { 4789 }, port, payload)));
        assert_eq!((between.fault, between.tunnel), (fault, None), "{port} {payload:?}");
    }
}

/// Bits that a receiver ignores change nothing.
#[test]
fn reserved_bits_are_ignored() {
    let ip = ipv4(6, &tcp(b"inner"));
    let frame = ethernet(0x0800, &ip);
    let over_udp = |port: u16, header: &[u8], payload: &[u8]| ipv4(17, &udp_ports(50000, port, &join(&[header, payload])));
    for (what, packet, kind, id) in [
        ("VXLAN, all of them", over_udp(4789, &[0xff, 1, 2, 3, 0, 0, 123, 0xff], &frame), TunnelKind::Vxlan, 123),
        ("VXLAN, the old port", over_udp(8472, &[0x0c, 0, 0, 3, 0, 0, 123, 1], &frame), TunnelKind::Vxlan, 123),
        ("VXLAN-GPE", over_udp(4790, &[0xcf, 1, 2, 3, 0, 0, 123, 0xff], &frame), TunnelKind::Vxlan, 123),
        ("Geneve", over_udp(6081, &[0, 0x7f, 0x65, 0x58, 0, 0, 123, 0xff], &frame), TunnelKind::Geneve, 123),
        ("GRE bits 6 to 12", ipv4(47, &gre(0x03f8, 0x0800, &[], &ip)), TunnelKind::Gre, 0),
        ("GTP-U spare", ipv4(17, &gtpu(0x38, &[], &ip)), TunnelKind::GtpU, 0xdead_beef),
        ("L2TP", over_udp(1701, &[0x34, 0xf2, 0, 1, 0, 2], &join(&[&[0, 0x21], &ip])), TunnelKind::L2tp, 0x0001_0002),
        ("EtherIP", ipv4(97, &join(&[&[0x3f, 0xff], &frame])), TunnelKind::EtherIp, 0),
        ("LISP nonce and locators", over_udp(4341, &[0xc0, 1, 2, 3, 4, 5, 6, 7], &ip), TunnelKind::Lisp, 0),
        (
            "ERSPAN II",
            ipv4(47, &gre(0x1000, 0x88be, &[0; 4], &join(&[&[0x10, 0, 0xfc, 0x65, 0xff, 0xf0, 0, 0], &frame]))),
            TunnelKind::Erspan,
            0x65,
        ),
    ] {
        let facts = dissect(LinkType::RAW, &packet);
        assert_eq!((facts.fault, facts.tunnel), (None, Some(Tunnel { kind, id })), "{what}");
        assert!(matches!(facts.transport, Transport::Tcp(_)), "{what}");
    }
}

/// The sender's port alone opens a tunnel that reads as one.
#[test]
fn the_senders_port_is_a_hint() {
    let frame = ethernet(0x0800, &ipv4(6, &tcp(b"inner")));
    let packet = ipv4(17, &udp_ports(4789, 50000, &join(&[&[8, 0, 0, 0, 0, 0, 9, 0], &frame])));
    assert_eq!(dissect(LinkType::RAW, &packet).tunnel, Some(Tunnel { kind: TunnelKind::Vxlan, id: 9 }));
    let both = ipv4(17, &udp_ports(4789, 3544, &join(&[&[8, 0, 0, 0, 0, 0, 9, 0], &frame])));
    let facts = dissect(LinkType::RAW, &both);
    assert_eq!((facts.tunnel, facts.fault), (Some(Tunnel { kind: TunnelKind::Vxlan, id: 9 }), None));
}

#[test]
fn outer_facts_stay_when_the_inside_cannot_be_read() {
    let ports = Ports { source: 50000, destination: 4789 };
    let arp = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];
    let facts = eth(&ethernet(0x0800, &ipv4(17, &vxlan(&ethernet(0x0806, &arp)))));
    assert_eq!((facts.transport, facts.layer, facts.fault), (Transport::Udp(ports), Layer::Arp, None));
    assert_eq!((facts.tunnel, facts.tunnel_depth, facts.payload_offset, facts.payload_len), (None, 0, 42, 50));
    let broken = eth(&ethernet(0x0800, &ipv4(17, &vxlan(&ethernet(0x0800, &[0x45; 10])))));
    assert_eq!(
        (broken.transport, broken.fault),
        (Transport::Udp(ports), Some(Fault { layer: Layer::Ipv4, kind: FaultKind::Malformed }))
    );
    let relay = eth(&ethernet(0x0800, &ipv4(47, &gre(0, 0x6559, &[], &[0; 40]))));
    assert_eq!((relay.transport, relay.fault), (Transport::Other, Some(Fault { layer: Layer::Gre, kind: FaultKind::Unknown })));
    assert_eq!((relay.network.map(|n| n.protocol), relay.payload_len), (Some(47), 44));
    let version = eth(&ethernet(0x0800, &ipv4(47, &gre(2, 0x0800, &[], &[0; 40]))));
    assert_eq!(version.fault, Some(Fault { layer: Layer::Gre, kind: FaultKind::Unknown }));
    let keyless = eth(&ethernet(0x0800, &ipv4(47, &gre(1, 0x880b, &[], &[0; 40]))));
    assert_eq!(keyless.fault, Some(Fault { layer: Layer::Gre, kind: FaultKind::Malformed }));
}

#[test]
fn fragments_around_tunnels() {
    let inner = ipv4(6, &tcp(&[7; 600]));
    let whole = gre(0, 0x0800, &[], &inner);
    let first = dissect(LinkType::RAW, &ipv4_with(47, 0x2000, &[], &whole[..200]));
    assert_eq!(first.network.unwrap().fragment, None, "the fragment is the outer packet");
    let Transport::Tcp(segment) = first.transport else { panic!("{first:?}") };
    assert_eq!((segment.payload_len, first.payload_len, first.fault), (156, 156, None));
    let later = dissect(LinkType::RAW, &ipv4_with(47, 25, &[], &whole[200..]));
    assert_eq!((later.network.unwrap().fragment.unwrap().offset, later.transport, later.tunnel), (200, Transport::None, None));
    let inner_fragment = dissect(LinkType::RAW, &ipv4(47, &gre(0, 0x0800, &[], &ipv4_with(6, 0x2000, &[], &tcp(b"1234")))));
    assert!(inner_fragment.network.unwrap().fragment.is_some_and(|f| f.more));
}

#[test]
fn too_many_tunnels() {
    let nested = |count: usize| {
        let mut packet = ipv4(17, &udp(b"x"));
        for _ in 0..count {
            packet = ipv4(4, &packet);
        }
        dissect(LinkType::RAW, &packet)
    };
    let at_limit = nested(usize::from(TUNNEL_DEPTH_MAX));
    assert_eq!((at_limit.tunnel_depth, at_limit.fault, at_limit.layer), (TUNNEL_DEPTH_MAX, None, Layer::Udp));
    let over = nested(usize::from(TUNNEL_DEPTH_MAX) + 1);
    assert_eq!((over.tunnel_depth, over.fault), (TUNNEL_DEPTH_MAX, Some(Fault { layer: Layer::Ipv4, kind: FaultKind::TooDeep })));
    assert_eq!(over.transport, Transport::Other);
}

#[test]
fn tags_inside_a_tunnel_are_not_the_packets() {
    let inside = ethernet(0x8100, &vlan(99, 0x0800, &ipv4(6, &tcp(b""))));
    let facts = eth(&ethernet(0x8100, &vlan(7, 0x0800, &ipv4(17, &vxlan(&inside)))));
    assert_eq!((facts.vlan, facts.tunnel_depth), (VlanTags { ids: [7, 0], count: 1 }, 1));
}

#[test]
fn pptp_acknowledgments_carry_nothing() {
    let ack = eth(&ethernet(0x0800, &ipv4(47, &gre(0x2081, 0x880b, &[0, 0, 0, 9, 0, 0, 0, 1], &[]))));
    assert_eq!((ack.transport, ack.fault, ack.tunnel), (Transport::Other, None, None));
}
