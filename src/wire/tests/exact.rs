//! IP and transport: what exactly is said of known packets.

use super::build::*;
use super::{dissect, eth};
use crate::wire::*;
use netscope_backends::LinkType;

const TCP_PORTS: Ports = Ports { source: 443, destination: 51234 };
const UDP_PORTS: Ports = Ports { source: 5353, destination: 40000 };

fn v4(protocol: u8) -> Network {
    let wide = |a: [u8; 4]| {
        let mut w = [0; 16];
        w[..4].copy_from_slice(&a);
        w
    };
    Network {
        version: IpVersion::V4,
        protocol,
        ttl: 64,
        traffic_class: 0,
        source: wide(A4),
        destination: wide(B4),
        fragment: None,
    }
}

fn v6(protocol: u8) -> Network {
    Network { version: IpVersion::V6, protocol, ttl: 57, traffic_class: 0, source: A6, destination: B6, fragment: None }
}

fn segment(facts: &Dissected) -> TcpSegment {
    match facts.transport {
        Transport::Tcp(segment) => segment,
        other => panic!("{other:?}"),
    }
}

fn fault(layer: Layer, kind: FaultKind) -> Option<Fault> {
    Some(Fault { layer, kind })
}

#[test]
fn tcp_over_ipv4_with_padding() {
    let mut frame = ethernet(0x0800, &ipv4(6, &tcp(b"hi")));
    frame.resize(60, 0);
    assert_eq!(
        eth(&frame),
        Dissected {
            network: Some(v4(6)),
            transport: Transport::Tcp(TcpSegment {
                ports: TCP_PORTS,
                sequence: 0x0102_0304,
                acknowledgment: 0x0a0b_0c0d,
                flags: TcpFlags(0x18),
                window: 4096,
                payload_len: 2,
                options: TcpOptions::default(),
            }),
            payload_offset: 54,
            payload_len: 2,
            vlan: VlanTags::default(),
            tunnel: None,
            tunnel_depth: 0,
            layer: Layer::Tcp,
            fault: None,
            ipv4_checksum_bad: false,
            arp_offset: None,
        }
    );
}

#[test]
fn tcp_options_of_a_syn() {
    let options = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7];
    let facts = eth(&ethernet(0x86dd, &ipv6(6, &tcp_with(0x102, &options, b""))));
    assert_eq!(facts.network, Some(v6(6)));
    let segment = segment(&facts);
    assert_eq!(segment.flags, TcpFlags(0x102));
    let expected = TcpOptions {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some((1, 2)),
        kinds: 1 << 2 | 1 << 3 | 1 << 4 | 1 << 8,
        ..TcpOptions::default()
    };
    assert_eq!(segment.options, expected);
}

#[test]
fn tcp_options_sack_blocks_and_nonsense() {
    let two = parse_options(&[1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]);
    assert_eq!((two.sack_count, two.sack, two.malformed), (2, [(1, 2), (3, 4), (0, 0), (0, 0)], false));
    for bad in
        [&[2u8, 0][..], &[2, 1], &[2, 4, 1], &[2, 3, 1], &[8], &[5, 2], &[5, 9, 0, 0, 0, 0, 0, 0, 0], &[3, 4, 1, 1], &[99, 200]]
    {
        assert!(parse_options(bad).malformed, "{bad:?}");
    }
    assert_eq!(parse_options(&[0, 2, 0]), TcpOptions::default(), "nothing counts behind the end of the list");
    let odd = parse_options(&[254, 4, 1, 2, 30, 2, 3, 3, 9]);
    assert_eq!((odd.window_scale, odd.kinds), (Some(9), 1 << 63 | 1 << 30 | 1 << 3));
    let fast = parse_options(&[1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 8]);
    let slow = parse_options(&[1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0]);
    assert_eq!((fast.timestamps, fast), (Some((7, 8)), slow));
}

#[test]
fn wrong_ipv4_checksum_is_a_fact_and_no_fault() {
    let mut frame = ethernet(0x0800, &ipv4(17, &udp(b"x")));
    frame[14 + 8] ^= 1;
    let facts = eth(&frame);
    assert!(facts.ipv4_checksum_bad);
    assert_eq!((facts.fault, facts.transport), (None, Transport::Udp(UDP_PORTS)));
    let with_options = ethernet(0x0800, &ipv4_with(17, 0, &[0x94, 4, 0, 0], &udp(b"x")));
    assert!(!eth(&with_options).ipv4_checksum_bad);
}

#[test]
fn total_length_zero_means_all_that_is_there() {
    let mut frame = ethernet(0x0800, &ipv4(6, &tcp(&[7; 100])));
    frame[16..18].copy_from_slice(&[0, 0]);
    assert_eq!(segment(&eth(&frame)).payload_len, 100);
    let mut frame = ethernet(0x86dd, &ipv6(6, &tcp(&[7; 100])));
    frame[18..20].copy_from_slice(&[0, 0]);
    assert_eq!(segment(&eth(&frame)).payload_len, 100);
}

#[test]
fn empty_ipv6_with_padding_has_no_ports() {
    let mut frame = ethernet(0x86dd, &ipv6(6, b""));
    frame.resize(60, 0);
    assert_eq!((eth(&frame).transport, eth(&frame).fault), (Transport::None, fault(Layer::Tcp, FaultKind::Malformed)));
}

#[test]
fn cut_by_the_snap_length_is_truncated() {
    let frame = ethernet(0x0800, &ipv4(6, &tcp(&[1; 500])));
    let wire_len = frame.len() as u32;
    let at = |len: usize| super::super::dissect(LinkType::ETHERNET, &frame[..len], wire_len);
    assert_eq!(at(10).fault, fault(Layer::Ethernet, FaultKind::Truncated));
    assert_eq!(at(30).fault, fault(Layer::Ipv4, FaultKind::Truncated));
    assert_eq!((at(36).transport, at(36).fault), (Transport::None, fault(Layer::Tcp, FaultKind::Truncated)));
    assert_eq!((at(40).transport, at(40).fault), (Transport::TcpPorts(TCP_PORTS), fault(Layer::Tcp, FaultKind::Truncated)));
    assert_eq!((segment(&at(60)).payload_len, at(60).payload_len, at(60).fault), (500, 6, None));
}

#[test]
fn options_cut_by_the_snap_length_leave_the_segment() {
    let frame = ethernet(0x0800, &ipv4(6, &tcp_with(2, &[2, 4, 5, 0xb4, 1, 1, 4, 2], b"")));
    let facts = super::super::dissect(LinkType::ETHERNET, &frame[..58], frame.len() as u32);
    assert_eq!(facts.fault, fault(Layer::Tcp, FaultKind::Truncated));
    let options = segment(&facts).options;
    assert_eq!((options.mss, options.sack_permitted, options.malformed, facts.payload_len), (Some(1460), false, true, 0));
}

#[test]
fn lengths_that_contradict_each_other_are_malformed() {
    let mut short = ethernet(0x0800, &ipv4(6, &tcp(b"")));
    short[16..18].copy_from_slice(&30u16.to_be_bytes());
    assert_eq!(
        (eth(&short).transport, eth(&short).fault),
        (Transport::TcpPorts(TCP_PORTS), fault(Layer::Tcp, FaultKind::Malformed))
    );
    for (offset, expected) in [(4u8, Transport::TcpPorts(TCP_PORTS)), (15, Transport::TcpPorts(TCP_PORTS))] {
        let mut frame = ethernet(0x0800, &ipv4(6, &tcp(b"abc")));
        frame[14 + 20 + 12] = offset << 4;
        assert_eq!((eth(&frame).transport, eth(&frame).fault), (expected, fault(Layer::Tcp, FaultKind::Malformed)));
    }
    let mut header = ethernet(0x0800, &ipv4(6, &tcp(b"")));
    header[16..18].copy_from_slice(&19u16.to_be_bytes());
    assert_eq!((eth(&header).network, eth(&header).fault), (None, fault(Layer::Ipv4, FaultKind::Malformed)));
    for first in [0x44u8, 0x65, 0x05] {
        let mut frame = ethernet(0x0800, &ipv4(6, &tcp(b"")));
        frame[14] = first;
        assert_eq!((eth(&frame).network, eth(&frame).fault), (None, fault(Layer::Ipv4, FaultKind::Malformed)), "{first:#x}");
    }
}

#[test]
fn udp_lengths() {
    let with_len = |len: u16| {
        let mut frame = ethernet(0x0800, &ipv4(17, &udp(b"hello")));
        frame[38..40].copy_from_slice(&len.to_be_bytes());
        eth(&frame)
    };
    assert_eq!((with_len(13).payload_len, with_len(13).fault), (5, None));
    assert_eq!((with_len(10).payload_len, with_len(10).fault), (2, None));
    assert_eq!((with_len(0).payload_len, with_len(0).fault), (5, None));
    assert_eq!((with_len(14).payload_len, with_len(14).fault), (5, fault(Layer::Udp, FaultKind::Malformed)));
    assert_eq!((with_len(7).transport, with_len(7).fault), (Transport::Udp(UDP_PORTS), fault(Layer::Udp, FaultKind::Malformed)));
    let short = ethernet(0x0800, &ipv4(17, &udp(b"")[..6]));
    assert_eq!((eth(&short).transport, eth(&short).fault), (Transport::Udp(UDP_PORTS), fault(Layer::Udp, FaultKind::Malformed)));
}

#[test]
fn fragments() {
    let first = eth(&ethernet(0x0800, &ipv4_with(17, 0x2000, &[], &udp(b"12345678"))));
    assert_eq!(first.network.unwrap().fragment, Some(Fragment { id: 0x1234, offset: 0, len: 16, more: true }));
    assert_eq!(first.transport, Transport::Udp(UDP_PORTS));
    let later = eth(&ethernet(0x0800, &ipv4_with(17, 0x0003, &[], b"123")));
    assert_eq!(later.network.unwrap().fragment, Some(Fragment { id: 0x1234, offset: 24, len: 3, more: false }));
    assert_eq!((later.transport, later.payload_len, later.fault), (Transport::None, 3, None));
    let v6_first = eth(&ethernet(0x86dd, &ipv6(44, &join(&[&[17, 0, 0, 1, 0, 0, 0, 9], &udp(b"12345678")]))));
    assert_eq!(
        v6_first.network.unwrap(),
        Network { fragment: Some(Fragment { id: 9, offset: 0, len: 16, more: true }), ..v6(17) }
    );
    assert_eq!(v6_first.transport, Transport::Udp(UDP_PORTS));
    let v6_later = eth(&ethernet(0x86dd, &ipv6(44, &join(&[&[17, 0, 0, 0x10, 0, 0, 0, 9], b"123"]))));
    assert_eq!(
        v6_later.network.unwrap(),
        Network { fragment: Some(Fragment { id: 9, offset: 16, len: 3, more: false }), ..v6(17) }
    );
    assert_eq!((v6_later.transport, v6_later.payload_len), (Transport::None, 3));
    let atomic = eth(&ethernet(0x86dd, &ipv6(44, &join(&[&[17, 0, 0, 0, 0, 0, 0, 9], &udp(b"x")]))));
    assert_eq!((atomic.network, atomic.transport), (Some(v6(17)), Transport::Udp(UDP_PORTS)));
}

#[test]
fn ipv6_extension_headers() {
    for kind in [0u8, 43, 60, 135, 139, 140] {
        let facts = eth(&ethernet(0x86dd, &ipv6(kind, &join(&[&[17, 1], &[0; 14], &udp(b"x")]))));
        assert_eq!((facts.network, facts.transport, facts.fault), (Some(v6(17)), Transport::Udp(UDP_PORTS), None), "{kind}");
    }
    let ah = eth(&ethernet(0x86dd, &ipv6(51, &join(&[&[17, 4], &[0; 22], &udp(b"x")]))));
    assert_eq!((ah.network, ah.transport), (Some(v6(17)), Transport::Udp(UDP_PORTS)));
    let esp = eth(&ethernet(0x86dd, &ipv6(60, &join(&[&[50, 0, 0, 0, 0, 0, 0, 0], &[1; 16]]))));
    assert_eq!((esp.network, esp.transport, esp.fault, esp.payload_len), (Some(v6(50)), Transport::Other, None, 16));
    let cut = eth(&ethernet(0x86dd, &ipv6(60, &[17, 1, 0, 0, 0, 0, 0, 0])));
    assert_eq!(
        (cut.network, cut.transport, cut.fault),
        (Some(v6(60)), Transport::None, fault(Layer::Ipv6Extension, FaultKind::Malformed))
    );
}

#[test]
fn too_many_extension_headers() {
    let chain = |count: usize| {
        let mut bytes = [60u8, 0, 0, 0, 0, 0, 0, 0].repeat(count - 1);
        bytes.extend([17, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(udp(b"x"));
        eth(&ethernet(0x86dd, &ipv6(60, &bytes)))
    };
    let limit = usize::from(EXTENSION_COUNT_MAX);
    assert_eq!((chain(limit).transport, chain(limit).fault), (Transport::Udp(UDP_PORTS), None));
    let over = chain(limit + 1);
    assert_eq!(over.network, Some(v6(60)));
    assert_eq!((over.transport, over.fault), (Transport::None, fault(Layer::Ipv6Extension, FaultKind::TooDeep)));
}

#[test]
fn padding_before_a_jumbo_payload_length_is_read_for_a_while() {
    // The option says less than the datagram does.
    for (padding, payload_len) in [(4, 3), (100, 5)] {
        let header_len = (2 + padding + 6_usize).next_multiple_of(8);
        let len = header_len as u8 + 11;
        let options = join(&[&vec![0; padding], &[0xc2, 4, 0, 0, 0, len], &vec![0; header_len - padding - 8]]);
        let mut packet = ipv6(0, &join(&[&[17, (header_len / 8 - 1) as u8], &options, &udp(b"hello"), b"padding"]));
        packet[4..6].copy_from_slice(&[0, 0]);
        let facts = dissect(LinkType::RAW, &packet);
        assert_eq!((facts.transport, facts.payload_len), (Transport::Udp(UDP_PORTS), payload_len), "{padding}");
    }
}

#[test]
fn jumbo_payload_length() {
    let mut packet = ipv6(0, &join(&[&[17, 0, 0xc2, 4, 0, 0, 0, 21], &udp(b"hello"), b"padding"]));
    packet[4..6].copy_from_slice(&[0, 0]);
    let facts = dissect(LinkType::RAW, &packet);
    assert_eq!((facts.transport, facts.payload_len, facts.fault), (Transport::Udp(UDP_PORTS), 5, None));
}

#[test]
fn icmp_messages() {
    let echo = |bytes: &[u8]| dissect(LinkType::RAW, bytes).transport;
    assert_eq!(echo(&ipv4(1, &[8, 0, 0, 0, 1, 2, 0, 1])), Transport::Echo { id: 0x102, request: true, kind: 8, code: 0 });
    assert_eq!(echo(&ipv4(1, &[0, 3, 0, 0, 1, 2, 0, 1])), Transport::Echo { id: 0x102, request: false, kind: 0, code: 3 });
    assert_eq!(echo(&ipv6(58, &[128, 0, 0, 0, 1, 2, 0, 1])), Transport::Echo { id: 0x102, request: true, kind: 128, code: 0 });
    assert_eq!(echo(&ipv6(58, &[129, 0, 0, 0, 1, 2, 0, 1])), Transport::Echo { id: 0x102, request: false, kind: 129, code: 0 });
    assert_eq!(echo(&ipv6(58, &[8, 0, 0, 0, 1, 2, 0, 1])), Transport::Icmp { kind: 8, code: 0 });
    let error = dissect(LinkType::RAW, &ipv4(1, &join(&[&[3, 4, 0, 0, 0, 0, 0, 0], &ipv4(6, &tcp(b""))])));
    assert_eq!((error.transport, error.network, error.fault), (Transport::Icmp { kind: 3, code: 4 }, Some(v4(1)), None));
    let short = dissect(LinkType::RAW, &ipv4(1, &[8, 0, 0, 0, 1]));
    assert_eq!((short.transport, short.fault), (Transport::Icmp { kind: 8, code: 0 }, fault(Layer::Icmp, FaultKind::Malformed)));
}

#[test]
fn other_transports() {
    let of = |protocol: u8, bytes: &[u8]| {
        let facts = dissect(LinkType::IPV4, &ipv4(protocol, bytes));
        (facts.transport, facts.layer, facts.fault)
    };
    let ports = Ports { source: 1, destination: 2 };
    assert_eq!(of(132, &[0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]), (Transport::Sctp(ports), Layer::Sctp, None));
    assert_eq!(of(132, &[0, 1, 0, 2]), (Transport::Sctp(ports), Layer::Sctp, fault(Layer::Sctp, FaultKind::Malformed)));
    assert_eq!(of(136, &[0, 1, 0, 2, 0, 8, 0, 0]), (Transport::UdpLite(ports), Layer::UdpLite, None));
    assert_eq!(
        of(136, &[0, 1, 0, 2, 0, 7, 0, 0]),
        (Transport::UdpLite(ports), Layer::UdpLite, fault(Layer::UdpLite, FaultKind::Malformed))
    );
    assert_eq!(of(2, &[0x16, 0, 0, 0, 224, 0, 0, 5]), (Transport::Other, Layer::Igmp, None));
    assert_eq!(of(89, &[2, 1]), (Transport::Other, Layer::Ipv4, None));
    assert_eq!(of(51, &join(&[&[17, 4], &[0; 22], &udp(b"x")])), (Transport::Udp(UDP_PORTS), Layer::Udp, None));
}
