//! The flow that an ICMP error is about.
//!
//! Owns the way from a quoted packet to the flow it belongs to. Knows no table. Its invariant: a flow is named only when the quote
//! says all of its key.

use super::icmp::counterpart;
use super::{Direction, FlowKey, transport_ports};
use crate::wire::{Dissected, Transport, Tunnel};

/// A flow that an ICMP error names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotedFlow {
    /// Canonical 5-tuple.
    pub key: FlowKey,
    /// Who began, as far as the quoted packet tells: of ICMP echo the side that requests, else the packet's sender.
    pub initiator: Direction,
}

/// What an ICMP error says of the packet it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The packet's flow.
    pub flow: QuotedFlow,
    /// The packet's direction in it.
    pub direction: Direction,
    /// The innermost tunnel in the quote, or else the one the error came in: the quoted packet was in it, too.
    pub tunnel: Option<Tunnel>,
}

impl Quote {
    /// What the ICMP error (RFC 792 types 3, 4, 5, 11 and 12) or ICMPv6 error (RFC 4443 types 1 to 4) in `data` quotes, of which
    /// `dissected` are the facts. `None` for any other packet, and when the quote ends before the ports or the identifier or is of a
    /// later fragment.
    pub fn of(dissected: &Dissected, data: &[u8]) -> Option<Self> {
        let quoted = dissected.quoted_packet(data)?;
        let protocol = quoted.network.protocol;
        if let Transport::Icmp { kind, .. } = quoted.transport
            && counterpart(protocol, kind).is_some_and(|other| is_echo(protocol, kind.min(other)))
        {
            // Its identifier is cut off.
            return None;
        }
        let (key, direction) = FlowKey::new(&quoted.network, transport_ports(protocol, &quoted.transport)?);
        let is_reply = matches!(quoted.transport, Transport::Echo { request: false, .. });
        let initiator = if is_reply { direction.reverse() } else { direction };
        Some(Self { flow: QuotedFlow { key, initiator }, direction, tunnel: quoted.tunnel.or(dissected.tunnel) })
    }
}

/// Whether the smaller of the two types of a request and its answer is one of echo (RFC 792, RFC 4443).
const fn is_echo(protocol: u8, smaller: u8) -> bool {
    matches!((protocol, smaller), (1, 0) | (58, 128))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::tests::key_of;
    use crate::wire;
    use crate::wire::tests::build::*;
    use netscope_backends::LinkType;

    fn of(packet: &[u8]) -> Option<Quote> {
        Quote::of(&wire::dissect(LinkType::RAW, packet, packet.len() as u32), packet)
    }

    /// The quote of this in an error.
    fn in_error(quote: &[u8]) -> Option<Quote> {
        of(&ipv4(1, &join(&[&[3, 1, 0, 0, 0, 0, 0, 0], quote])))
    }

    #[test]
    fn a_quote_names_the_flow_that_its_packet_is_counted_for() {
        let segment = ipv4(6, &tcp(b"data"));
        let facts = wire::dissect(LinkType::RAW, &segment, segment.len() as u32);
        let (key, direction) = FlowKey::new(&facts.network.unwrap(), crate::flow::ports_of(&facts).unwrap());
        let expected = Quote { flow: QuotedFlow { key, initiator: direction }, direction, tunnel: None };
        for len in [24, 28, segment.len()] {
            assert_eq!(in_error(&segment[..len]), Some(expected), "{len} bytes");
        }
        for len in [0, 19, 20, 23] {
            assert_eq!(in_error(&segment[..len]), None, "{len} bytes");
        }
        assert_eq!(of(&segment), None, "no error");
    }

    #[test]
    fn fragments_are_named_by_their_first_one_alone() {
        assert!(in_error(&ipv4_with(17, 0x2000, &[], &udp(&[1; 100]))[..28]).is_some());
        assert_eq!(in_error(&ipv4_with(17, 0x0010, &[], &udp(&[1; 100]))[..28]), None);
    }

    #[test]
    fn who_asked_began_an_echo_and_it_is_not_named_without_its_identifier() {
        let echo = |kind: u8| ipv4(1, &[kind, 0, 0, 0, 0, 77, 0, 1]);
        let (asked, answered) = (in_error(&echo(8)).unwrap(), in_error(&echo(0)).unwrap());
        assert_eq!((asked.flow.initiator, answered.flow.initiator), (asked.direction, answered.direction.reverse()));
        assert_eq!(asked.flow.key.a_port(), 77);
        assert_eq!((in_error(&echo(8)[..24]), in_error(&echo(0)[..24])), (None, None));
        let (other, _) = key_of("10.0.0.1", "10.0.0.2", 0, 0, 1);
        let timestamp = in_error(&ipv4(1, &[13, 0, 0, 0, 0, 77, 0, 1])).expect("named by its type");
        assert_ne!(timestamp.flow.key.a_port(), other.a_port());
    }

    #[test]
    fn the_tunnel_is_that_of_the_quote_or_that_of_the_error() {
        let segment = ipv4(6, &tcp(b"data"));
        let inside = in_error(&ipv4(17, &vxlan(&ethernet(0x0800, &segment)))).unwrap();
        assert_eq!(inside.flow, in_error(&segment).unwrap().flow);
        assert!(inside.tunnel.is_some());
        let error = ipv4(1, &join(&[&[11, 0, 0, 0, 0, 0, 0, 0], &segment]));
        let around = of(&ipv4(17, &vxlan(&ethernet(0x0800, &error)))).unwrap();
        assert_eq!(around, inside);
    }
}
