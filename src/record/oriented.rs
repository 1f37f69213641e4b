//! A flow as it is seen from its client: who asks whom, and what went which way.
//!
//! Owns the orientation. Knows no format. Invariant: client and server are those of the fields `client_ip` and `server_ip`.

use super::fields::{Exported, endpoint_of, payload_bytes};
use super::names::{ICMP, ICMPV6};
use crate::flow::{Direction, FlowRecord, IcmpFlow};
use std::net::IpAddr;

/// A record and which of its directions goes to the server.
#[derive(Clone, Copy)]
pub(super) struct Oriented<'a> {
    pub record: &'a FlowRecord,
    pub client: (IpAddr, u16),
    pub server: (IpAddr, u16),
    to_server: Direction,
}

impl<'a> Oriented<'a> {
    pub fn of(exported: &Exported<'a>) -> Self {
        let record = exported.record();
        let to_server = record.client();
        let [client, server] = [to_server, to_server.reverse()].map(|side| endpoint_of(record, side));
        Self { record, client, server, to_server }
    }

    /// What went to the server and to the client.
    pub fn both<T: Copy>(&self, of: [T; 2]) -> [T; 2] {
        [of[self.to_server.index()], of[self.to_server.reverse().index()]]
    }

    /// Payload bytes to the server and to the client, where headers are kept.
    pub fn payload_bytes(&self) -> [Option<u64>; 2] {
        [self.to_server, self.to_server.reverse()].map(|direction| payload_bytes(self.record, direction))
    }

    /// Every control bit that was seen from the client and from the server; `None` for other protocols.
    pub fn tcp_flags(&self) -> Option<[u8; 2]> {
        self.record.tcp.as_ref().map(|tcp| self.both(tcp.flags))
    }

    /// True for ICMP and ICMPv6.
    pub fn is_icmp(&self) -> bool {
        matches!(self.record.key.protocol(), ICMP | ICMPV6)
    }

    /// Of an ICMP flow the message type that its client sends, and the type that answers it, or the code of a message without an
    /// answer.
    pub fn icmp_types(&self) -> Option<[u16; 2]> {
        Some(match (IcmpFlow::of(&self.record.key)?, self.record.key.protocol()) {
            (IcmpFlow::Echo(_), ICMP) => [8, 0],
            (IcmpFlow::Echo(_), _) => [128, 129],
            (IcmpFlow::Pair(kinds), _) => self.both(kinds).map(u16::from),
            (IcmpFlow::OneWay { kind, code, .. }, _) => [kind.into(), code.into()],
        })
    }
}
