//! ICMP messages in flow keys.
//!
//! Owns which messages are a flow together, as Community ID version 1 has it (Zeek and Suricata agree): a request
//! and its answer are, of any other message each type and code is a flow of its own, in one direction. Echo goes
//! by its identifier besides. Knows no table. Its invariant: no two kinds of flows have the same ports in a key.

use super::{Direction, FlowKey};
use crate::wire::Ports;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Ports of the sender and the receiver for type 0 and code 0, which are not an answer in ICMPv6. No pair of
/// messages has these.
const ZERO: (u16, u16) = (1, 2);

/// What an ICMP flow consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpFlow {
    /// Echo requests and replies with this identifier.
    Echo(u16),
    /// Requests and answers: the message types that endpoints a and b send.
    Pair([u8; 2]),
    /// Messages of one type and code.
    OneWay {
        /// Who sends them: a to b or b to a.
        direction: Direction,
        /// Message type.
        kind: u8,
        /// Message code.
        code: u8,
    },
}

/// The type that answers this one, or that it answers (RFC 792, 950, 1256, 4443, 4861, 2710, 4620, 6275).
pub(super) const fn counterpart(protocol: u8, kind: u8) -> Option<u8> {
    Some(match (protocol, kind) {
        (ICMP, 0) => 8,
        (ICMP, 8) => 0,
        (ICMP, 9) => 10,
        (ICMP, 10) => 9,
        (ICMP, 13 | 15 | 17) | (ICMPV6, 128 | 130 | 133 | 135 | 139 | 144) => kind + 1,
        (ICMP, 14 | 16 | 18) | (ICMPV6, 129 | 131 | 134 | 136 | 140 | 145) => kind - 1,
        _ => return None,
    })
}

/// Whether the key of such a message, which is no echo with an identifier, holds two types and no code.
pub(super) const fn is_in_pair(protocol: u8, kind: u8) -> bool {
    match counterpart(protocol, kind) {
        Some(other) => other != 0 && kind != 0,
        None => false,
    }
}

/// The ports in the key of a message that is no echo or whose identifier is cut off, as seen from its sender.
pub(super) const fn icmp_ports(protocol: u8, kind: u8, code: u8) -> Ports {
    match (counterpart(protocol, kind), u16::from_be_bytes([kind, code])) {
        (Some(other), _) if is_in_pair(protocol, kind) => Ports { source: kind as u16, destination: other as u16 },
        (_, 0) => Ports { source: ZERO.0, destination: ZERO.1 },
        (_, both) => Ports { source: both, destination: 0 },
    }
}

impl IcmpFlow {
    /// What the key says; `None` for other protocols.
    pub fn of(key: &FlowKey) -> Option<Self> {
        let one_way = |direction, both: u16| {
            let [kind, code] = both.to_be_bytes();
            Self::OneWay { direction, kind, code }
        };
        Some(match (key.protocol(), key.a_port(), key.b_port()) {
            (ICMP | ICMPV6, a, b) if a == b => Self::Echo(a),
            (ICMP | ICMPV6, a, 0) => one_way(Direction::AToB, a),
            (ICMP | ICMPV6, 0, b) => one_way(Direction::BToA, b),
            (ICMP | ICMPV6, a, b) if (a, b) == ZERO => one_way(Direction::AToB, 0),
            (ICMP | ICMPV6, a, b) if (b, a) == ZERO => one_way(Direction::BToA, 0),
            (ICMP | ICMPV6, a, b) => Self::Pair([a as u8, b as u8]),
            _ => return None,
        })
    }
}

impl FlowKey {
    /// The ICMP message type that a flow begins with: of echo the request's, of others that of `initiator`.
    /// `None` for other protocols.
    pub fn icmp_type(&self, initiator: Direction) -> Option<u8> {
        Some(match IcmpFlow::of(self)? {
            IcmpFlow::Echo(_) if self.protocol() == ICMP => 8,
            IcmpFlow::Echo(_) => 128,
            IcmpFlow::Pair(kinds) => kinds[initiator.index()],
            IcmpFlow::OneWay { kind, .. } => kind,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::tests::key_of;
    use std::collections::HashMap;

    /// Every type and code in each direction, between different and between equal addresses.
    #[test]
    fn every_message_has_its_flow() {
        for protocol in [ICMP, ICMPV6] {
            for (from, to) in [("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1"), ("10.0.0.1", "10.0.0.1")] {
                let mut keys = HashMap::new();
                for (kind, code) in (0..=255).flat_map(|kind| (0..=255).map(move |code| (kind, code))) {
                    let ports = icmp_ports(protocol, kind, code);
                    let (key, direction) = key_of(from, to, ports.source, ports.destination, protocol);
                    let is_echo = matches!((protocol, kind), (ICMP, 0 | 8) | (ICMPV6, 128 | 129));
                    let expected = match counterpart(protocol, kind) {
                        Some(other) if !is_echo || protocol == ICMPV6 => {
                            IcmpFlow::Pair(if direction == Direction::AToB { [kind, other] } else { [other, kind] })
                        }
                        _ => IcmpFlow::OneWay { direction, kind, code },
                    };
                    assert_eq!(IcmpFlow::of(&key), Some(expected), "{protocol} {from} {to} {kind} {code}");
                    assert_eq!(key.icmp_type(direction), Some(kind));
                    let first = *keys.entry(key).or_insert((kind, code));
                    let together = matches!(expected, IcmpFlow::Pair(_));
                    assert!(together || first == (kind, code), "{first:?} and {kind} {code}");
                    assert_ne!(ports.source, ports.destination);
                }
            }
        }
    }

    #[test]
    fn a_request_and_its_answer_are_one_flow() {
        for (protocol, request, answer) in
            [(1, 13, 14), (1, 10, 9), (58, 135, 136), (58, 133, 134), (58, 130, 131), (58, 144, 145)]
        {
            let (asked, told) = (icmp_ports(protocol, request, 0), icmp_ports(protocol, answer, 0));
            let (key, direction) = key_of("10.0.0.9", "10.0.0.1", asked.source, asked.destination, protocol);
            assert_eq!(key_of("10.0.0.1", "10.0.0.9", told.source, told.destination, protocol), (key, direction.reverse()));
        }
    }

    #[test]
    fn other_protocols_have_none() {
        let (key, direction) = key_of("10.0.0.1", "10.0.0.2", 0, 0, 6);
        assert_eq!((IcmpFlow::of(&key), key.icmp_type(direction)), (None, None));
    }
}
