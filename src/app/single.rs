//! What the payload of one packet says by itself, without the packets before it: for those who show packets.
//!
//! Owns who of a packet's two sides is taken for the server. Knows no flow. Invariants: what a packet says does not depend on others; a
//! message that goes on in the next packet is told as far as it goes.

use super::protocols::{DATAGRAM_PROTOCOLS, stream_protocol};
use super::{Conversation, DatagramReading, FactBuffer, Parsed, SeenDatagram};

/// The payload of a packet.
#[derive(Clone, Copy, Debug)]
pub struct SinglePayload<'a> {
    /// What was captured of it.
    pub bytes: &'a [u8],
    /// How long it was on the wire.
    pub wire_len: usize,
    /// Ports of sender and receiver.
    pub ports: [u16; 2],
}

impl SinglePayload<'_> {
    /// Who listens has the lower port, as a rule.
    const fn is_servers(&self) -> bool {
        self.ports[0] < self.ports[1]
    }

    /// Facts of a TCP segment that begins a message, into an empty buffer; nothing where it begins none that is known.
    pub fn read_segment(&self, facts: &mut FactBuffer) {
        let [own, other] = self.ports;
        let asks = Conversation::new(self.bytes, &[], other);
        let answers = Conversation::new(&[], self.bytes, own);
        let tries = if self.is_servers() { [answers, asks] } else { [asks, answers] };
        if self.bytes.is_empty() {
            return;
        }
        for conversation in tries {
            if let Parsed::Done(protocol) = stream_protocol(&conversation) {
                let _what_else_is_wanted = (protocol.read)(&conversation, facts);
                return;
            }
        }
    }

    /// Facts of a UDP datagram, likewise.
    pub fn read_datagram(&self, facts: &mut FactBuffer) {
        let [own, other] = self.ports;
        let is_clients = !self.is_servers();
        let [client_port, server_port] = if is_clients { [own, other] } else { [other, own] };
        let datagram = SeenDatagram { payload: self.bytes, len: self.wire_len, is_clients, server_port, client_port, time_ns: 0 };
        for protocol in DATAGRAM_PROTOCOLS.iter().filter(|protocol| (protocol.may_be)(&datagram)) {
            let mut inspector = (protocol.begin)();
            match inspector.datagram(&datagram) {
                DatagramReading::Foreign => {}
                DatagramReading::Told | DatagramReading::Done => return inspector.write(facts),
                DatagramReading::Unsure | DatagramReading::Watch => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{FactId, FactValue};

    const PROTOCOL: FactId = FactId { object: 0, member: 0 };
    /// A query for `a.example`, type A.
    const QUERY: &[u8] = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";

    fn protocol(is_tcp: bool, bytes: &[u8], ports: [u16; 2]) -> Option<String> {
        let payload = SinglePayload { bytes, wire_len: bytes.len(), ports };
        let mut facts = FactBuffer::default();
        if is_tcp {
            payload.read_segment(&mut facts)
        } else {
            payload.read_datagram(&mut facts)
        }
        match facts.facts().get(PROTOCOL)? {
            FactValue::Text(name) => Some(String::from_utf8_lossy(name).into_owned()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_sides_are_read_at_either_port() {
        let http = Some("http".to_owned());
        assert_eq!(protocol(true, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", [40_000, 8080]), http);
        assert_eq!(protocol(true, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", [8080, 40_000]), http, "the ports are a hint");
        assert_eq!(protocol(true, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", [80, 40_000]), http);
        assert_eq!(protocol(true, b"SSH-2.0-x\r\n", [22, 40_000]).as_deref(), Some("ssh"));
        assert_eq!(protocol(false, QUERY, [40_000, 53]).as_deref(), Some("dns"));
        assert_eq!(protocol(false, QUERY, [40_000, 54]), None, "a short message is looked for at its port");
        assert_eq!(protocol(true, &[], [1, 2]), None);
        assert_eq!(protocol(false, &[], [53, 2]), None);
    }
}
