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
    ] {
        let (tunnel, depth, transport) = tunnel_of(name);
        assert_eq!((tunnel, depth), (Some((kind, id)), 1), "{name}");
        assert!(
            matches!(transport, Transport::Tcp(_) | Transport::Udp(Ports { source: 5353, destination: 40000 })),
            "{name}: {transport:?}"
        );
    }
}

#[test]
fn what_does_not_read_as_a_tunnel_is_a_udp_flow() {
    for (port, payload) in [
        (4789, &b"plain text, no VXLAN"[..]),
        (4790, b"plain text, no VXLAN"),
        (6081, b"\xc0\0\x08\0 version 3"),
        (2152, b"\x30\xff\0\x08\0\0\0\0\x15no IP inside"),
        (2152, b"\x32\x01\0\x04\0\0\0\0an echo request"),
        (3544, b"no Teredo either, but long enough to hold an IPv6 header"),
        (3544, b"\x60\0\0\0\xff\xff\x3b\x15 says it is longer than the datagram that it came in"),
        (1701, b"\xc8\x02\0\x0c a control message"),
        (53, b""),
    ] {
        let facts = dissect(LinkType::RAW, &ipv4(17, &udp_ports(9, port, payload)));
        let ports = Ports { source: 9, destination: port };
        assert_eq!((facts.transport, facts.fault, facts.tunnel), (Transport::Udp(ports), None, None), "{port}");
        assert_eq!(facts.payload_len as usize, payload.len());
    }
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
    let wlan = eth(&ethernet(0x0800, &ipv4(47, &gre(0, 0x8200, &[], &[0; 40]))));
    assert_eq!((wlan.transport, wlan.fault), (Transport::Other, Some(Fault { layer: Layer::Gre, kind: FaultKind::Unknown })));
    assert_eq!((wlan.network.map(|n| n.protocol), wlan.payload_len), (Some(47), 44));
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
