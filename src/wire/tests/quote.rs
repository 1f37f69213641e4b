//! ICMP messages: type and code of all of them, and the packets that errors quote.

use super::build::*;
use super::{dissect, eth};
use crate::wire::*;
use netscope_backends::LinkType;
use proptest::prelude::*;

const TCP_PORTS: Ports = Ports { source: 443, destination: 51234 };
const UDP_PORTS: Ports = Ports { source: 5353, destination: 40000 };

/// What an ICMP error (type and code, rest of header) in `packet` quotes.
fn quoted_by(packet: &[u8]) -> Option<QuotedPacket> {
    dissect(LinkType::RAW, packet).quoted_packet(packet)
}

fn in_error(quote: &[u8]) -> Option<QuotedPacket> {
    quoted_by(&ipv4(1, &join(&[&[3, 1, 0, 0, 0, 0, 0, 0], quote])))
}

fn in_error6(quote: &[u8]) -> Option<QuotedPacket> {
    quoted_by(&ipv6(58, &join(&[&[1, 4, 0, 0, 0, 0, 0, 0], quote])))
}

/// Network facts and transport that a packet has when it is met itself.
fn of_itself(packet: &[u8]) -> Option<QuotedPacket> {
    let facts = dissect(LinkType::RAW, packet);
    Some(QuotedPacket { network: facts.network?, transport: facts.transport, tunnel: facts.tunnel })
}

#[test]
fn type_and_code_of_every_message() {
    let of = |packet: &[u8]| dissect(LinkType::RAW, packet).transport.icmp_type_and_code();
    for kind in 0..=255 {
        assert_eq!(of(&ipv4(1, &[kind, 7, 0, 0, 1, 2, 0, 1])), Some((kind, 7)));
        assert_eq!(of(&ipv6(58, &[kind, 9, 0, 0, 1, 2, 0, 1])), Some((kind, 9)));
    }
    assert_eq!(of(&ipv4(1, &[8, 1, 0, 0])), Some((8, 1)), "an echo request without its identifier");
    assert_eq!(of(&ipv4(1, &[8, 1, 0])), None, "no whole header");
    assert_eq!(of(&ipv4(17, &udp(b"x"))), None);
}

#[test]
fn eight_bytes_of_the_transport_header_are_enough() {
    let ports = |packet: Option<QuotedPacket>| packet.expect("quoted").transport;
    let segment = ipv4(6, &tcp(b"data"));
    assert_eq!(ports(in_error(&segment[..28])), Transport::TcpPorts(TCP_PORTS));
    assert_eq!(in_error(&segment[..28]).unwrap().network, of_itself(&segment).unwrap().network);
    assert_eq!(ports(in_error(&segment[..24])), Transport::TcpPorts(TCP_PORTS));
    assert_eq!(ports(in_error(&segment[..23])), Transport::None);
    assert_eq!(ports(in_error(&segment[..20])), Transport::None);
    assert_eq!(in_error(&segment[..19]), None);
    assert_eq!(in_error(&segment), of_itself(&segment));
    assert_eq!(ports(in_error(&ipv4(17, &udp(&[1; 100]))[..28])), Transport::Udp(UDP_PORTS));
    let sctp = ipv4(132, &[0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]);
    assert_eq!(ports(in_error(&sctp[..28])), Transport::Sctp(Ports { source: 1, destination: 2 }));
    let echo = ipv4(1, &[8, 5, 0, 0, 1, 2, 0, 1, 9, 9, 9, 9]);
    assert_eq!(ports(in_error(&echo[..28])), Transport::Echo { id: 0x102, request: true, kind: 8, code: 5 });
    assert_eq!(ports(in_error(&ipv4(50, &[1; 20])[..28])), Transport::Other);
    assert_eq!(ports(in_error6(&ipv6(6, &tcp(&[1; 2000]))[..48])), Transport::TcpPorts(TCP_PORTS));
}

#[test]
fn headers_in_front_of_the_quoted_ports() {
    let options = ipv4_with(17, 0, &[1; 40], &udp(&[1; 100]));
    assert_eq!(in_error(&options[..68]).unwrap().transport, Transport::Udp(UDP_PORTS));
    let first = ipv4_with(17, 0x2000, &[], &udp(&[1; 100]));
    assert_eq!(in_error(&first[..28]).unwrap().transport, Transport::Udp(UDP_PORTS));
    let later = in_error(&ipv4_with(17, 0x0010, &[], &udp(&[1; 100]))[..28]).unwrap();
    assert_eq!((later.transport, later.network.fragment.map(|f| f.offset)), (Transport::None, Some(128)));
    let chain = ipv6(0, &join(&[&[60, 0, 1, 4, 0, 0, 0, 0], &[44, 0, 1, 4, 0, 0, 0, 0], &[17, 0, 0, 1, 0, 0, 0, 9], &udp(b"x")]));
    let quoted = in_error6(&chain).unwrap();
    assert_eq!(Some(quoted), of_itself(&chain));
    assert_eq!((quoted.network.protocol, quoted.transport), (17, Transport::Udp(UDP_PORTS)));
    let later = ipv6(44, &join(&[&[17, 0, 0, 0x10, 0, 0, 0, 9], &udp(b"x")]));
    assert_eq!(in_error6(&later).unwrap().transport, Transport::None);
}

#[test]
fn extension_headers_are_read_to_the_same_depth() {
    let chain = |count: usize| {
        let mut bytes = [60u8, 0, 0, 0, 0, 0, 0, 0].repeat(count - 1);
        bytes.extend([17, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(udp(b"x"));
        in_error6(&ipv6(60, &bytes)).expect("quoted").transport
    };
    let limit = usize::from(EXTENSION_COUNT_MAX);
    assert_eq!(chain(limit), Transport::Udp(UDP_PORTS));
    assert_eq!(chain(limit + 1), Transport::None);
}

#[test]
fn only_errors_quote() {
    let inner = ipv4(6, &tcp(b""));
    let inner6 = ipv6(6, &tcp(b""));
    for kind in 0..=255u8 {
        let body = |quote: &[u8]| join(&[&[kind, 0, 0, 0, 0, 0, 0, 0], quote]);
        assert_eq!(quoted_by(&ipv4(1, &body(&inner))).is_some(), matches!(kind, 3 | 4 | 5 | 11 | 12), "ICMP type {kind}");
        assert_eq!(quoted_by(&ipv6(58, &body(&inner6))).is_some(), matches!(kind, 1..=4), "ICMPv6 type {kind}");
        assert_eq!(quoted_by(&ipv4(1, &body(&inner6))), None, "the other version");
        assert_eq!(quoted_by(&ipv6(58, &body(&inner))), None, "the other version");
        assert_eq!(quoted_by(&ipv4(17, &body(&inner))), None);
    }
    let nested = in_error(&ipv4(1, &join(&[&[3, 1, 0, 0, 0, 0, 0, 0], &inner]))).expect("quoted");
    assert_eq!(nested.transport, Transport::Icmp { kind: 3, code: 1 }, "a quote in a quote is not read");
}

#[test]
fn the_quote_ends_where_the_message_does() {
    let error = ipv4(1, &join(&[&[3, 1, 0, 0, 0, 0, 0, 0], &ipv4(6, &tcp(b""))[..20]]));
    let mut padded = ethernet(0x0800, &error);
    padded.resize(80, 0);
    assert_eq!(eth(&padded).quoted_packet(&padded).unwrap().transport, Transport::None, "padding is not quoted");
    // The header chain reaches into what lies behind the 128 bytes stated.
    let chain = join(&[&[60, 10, 0, 0], &[0; 84], &udp(b"x")]);
    for (stated, transport) in [(0, Transport::Udp(UDP_PORTS)), (15, Transport::Udp(UDP_PORTS)), (16, Transport::None)] {
        let mut quote = ipv6(60, &join(&[&[60, 0, 0, 0, 0, 0, 0, 0], &chain]));
        quote[40 + 8] = 17;
        let quoted = quoted_by(&ipv6(58, &join(&[&[1, 4, 0, 0, stated, 0, 0, 0], &quote])));
        assert_eq!(quoted.expect("quoted").transport, transport, "{stated} words of 8 bytes");
        let bytes = quoted_by(&ipv6(58, &join(&[&[2, 0, 0, 0, stated, 0, 0, 0], &quote])));
        assert_eq!(bytes.expect("quoted").transport, Transport::Udp(UDP_PORTS), "an MTU is no length");
    }
    let authenticated = ipv4(51, &join(&[&[17, 30, 0, 0], &[0; 124], &udp(b"x")]));
    for kind in [3u8, 4, 5, 11, 12] {
        let quoted = quoted_by(&ipv4(1, &join(&[&[kind, 0, 0, 0, 200, 32, 0, 0], &authenticated]))).expect("quoted");
        let ends = if matches!(kind, 3 | 11 | 12) { Transport::None } else { Transport::Udp(UDP_PORTS) };
        assert_eq!(quoted.transport, ends, "ICMP type {kind}, 32 words of 4 bytes");
    }
}

#[test]
fn a_tunnelled_packet_is_quoted_as_it_was_counted() {
    let inner = ipv4(6, &tcp(b"inner"));
    let outer = ipv4(17, &vxlan(&ethernet(0x0800, &inner)));
    assert_eq!(in_error(&outer), of_itself(&outer));
    assert_eq!(in_error(&outer).unwrap().network, of_itself(&inner).unwrap().network);
    let ports = Ports { source: 50000, destination: 4789 };
    assert_eq!(in_error(&outer[..28]).unwrap().transport, Transport::Udp(ports));
    let wrapped = ethernet(
        0x8100,
        &vlan(7, 0x0800, &ipv4(47, &gre(0, 0x0800, &[], &ipv4(1, &join(&[&[11, 0, 0, 0, 0, 0, 0, 0], &inner]))))),
    );
    assert_eq!(eth(&wrapped).quoted_packet(&wrapped), of_itself(&inner), "an error in a tunnel");
}

proptest! {
    /// However much of a packet is quoted, nothing is said of it that the packet cut there would not say.
    #[test]
    fn a_quote_says_what_the_packet_does(protocol in prop_oneof![Just(6u8), Just(17), Just(1), Just(58), any::<u8>()], v6 in any::<bool>(),
                                         payload in proptest::collection::vec(any::<u8>(), 0..80), cut in any::<proptest::sample::Index>()) {
        let packet = if v6 { ipv6(protocol, &payload) } else { ipv4(protocol, &payload) };
        let quote = &packet[..cut.index(packet.len() + 1)];
        let quoted = if v6 { in_error6(quote) } else { in_error(quote) };
        prop_assert_eq!(quoted, of_itself(quote));
        prop_assert_eq!(quoted.is_some(), quote.len() >= if v6 { 40 } else { 20 });
    }
}
