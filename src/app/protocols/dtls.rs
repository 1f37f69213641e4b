//! DTLS: what its hellos and alerts tell, as of TLS.
//!
//! Owns how long a flow is followed. The facts are those of the object `tls`; JA3 is not defined for DTLS, and certificates are not put
//! together.

use super::{tls, write_app};
use crate::app::tls::{DtlsHandshake, TlsAlert, are_dtls_records};
use crate::app::{DatagramInspector, DatagramProtocol, DatagramReading, FactBuffer, SeenDatagram};

/// The protocol.
pub(super) const DTLS: DatagramProtocol = DatagramProtocol { may_be, begin: || Box::<DtlsFlow>::default() };

/// Datagrams in which both hellos are looked for.
const DATAGRAMS_MAX: u8 = 24;

/// One connection, as far as it is followed.
#[derive(Default)]
struct DtlsFlow {
    /// Of the side that began, and of the other one.
    sides: [DtlsHandshake; 2],
    has_hello: [bool; 2],
    seen: u8,
}

/// Its datagrams are records and nothing else; of the last one a part may not have been captured.
fn may_be(datagram: &SeenDatagram<'_>) -> bool {
    are_dtls_records(datagram.payload, datagram.len)
}

impl DatagramInspector for DtlsFlow {
    fn datagram(&mut self, datagram: &SeenDatagram<'_>) -> DatagramReading {
        if !may_be(datagram) {
            return DatagramReading::Foreign;
        }
        let is_first = self.seen == 0;
        self.seen += 1;
        let at = usize::from(!datagram.is_clients);
        let side = &mut self.sides[at];
        side.push(datagram.payload);
        let has_hello = side.client_hello().is_some() || side.server_hello().is_some();
        let is_new = has_hello && !std::mem::replace(&mut self.has_hello[at], has_hello);
        let is_over = self.sides.iter().any(|side| side.alert().is_some_and(TlsAlert::ends_connection));
        if self.has_hello == [true; 2] || is_over || self.seen >= DATAGRAMS_MAX {
            DatagramReading::Done
        } else if is_first || is_new {
            DatagramReading::Told
        } else {
            DatagramReading::Watch
        }
    }

    fn kept_bytes(&self) -> usize {
        self.sides.iter().map(DtlsHandshake::memory_bytes).sum()
    }

    fn write(&self, facts: &mut FactBuffer) {
        write_app("dtls", facts);
        let client = self.sides.iter().find_map(DtlsHandshake::client_hello);
        let server = self.sides.iter().find_map(DtlsHandshake::server_hello);
        let alert = self.sides.iter().find_map(DtlsHandshake::alert);
        tls::write_hellos(client.as_ref(), server.as_ref(), alert, facts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{FactId, FactValue};

    fn record(kind: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 1, 0, body.len() as u8][..], body].concat()
    }

    fn hello(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = body.len() as u8;
        record(22, 0, &[&[kind, 0, 0, len, 0, 0, 0, 0, 0, 0, 0, len][..], body].concat())
    }

    fn client_hello() -> Vec<u8> {
        let name = [0, 0, 0, 9, 0, 7, 0, 0, 4, b'h', b'o', b's', b't'];
        hello(1, &[&[0xfe, 0xfd][..], &[7; 32], &[0, 0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 13], &name].concat())
    }

    fn send(flow: &mut DtlsFlow, payload: &[u8], is_clients: bool) -> DatagramReading {
        let len = payload.len();
        flow.datagram(&SeenDatagram { payload, len, is_clients, server_port: 4433, client_port: 2, time_ns: 0 })
    }

    fn told(flow: &DtlsFlow) -> Vec<String> {
        let mut facts = FactBuffer::default();
        flow.write(&mut facts);
        let text = |(object, member)| match facts.facts().get(FactId { object, member }) {
            Some(FactValue::Text(text)) => String::from_utf8(text.to_vec()).unwrap(),
            _ => String::new(),
        };
        // Name, server's name, version, cipher, JA3.
        [(0, 0), (1, 0), (1, 1), (1, 2), (1, 6)].map(text).to_vec()
    }

    #[test]
    fn both_hellos_are_told_whoever_began() {
        for is_clients in [true, false] {
            let mut flow = DtlsFlow::default();
            assert_eq!(send(&mut flow, &client_hello(), is_clients), DatagramReading::Told);
            assert_eq!(told(&flow), ["dtls", "host", "DTLSv1.2", "", ""]);
            // The server wants to see the client's address used first.
            assert_eq!(send(&mut flow, &hello(3, &[0xfe, 0xff, 2, 1, 1]), !is_clients), DatagramReading::Watch);
            let server = hello(2, &[&[0xfe, 0xfd][..], &[9; 32], &[0, 0xc0, 0x2b, 0]].concat());
            assert_eq!(send(&mut flow, &server, !is_clients), DatagramReading::Done);
            assert_eq!(told(&flow), ["dtls", "host", "DTLSv1.2", "0xc02b", ""]);
        }
    }

    #[test]
    fn encrypted_records_tell_the_protocol_and_an_alert_ends_it() {
        let mut flow = DtlsFlow::default();
        assert_eq!(send(&mut flow, &record(23, 1, &[7; 40]), true), DatagramReading::Told);
        assert_eq!(told(&flow), ["dtls", "", "", "", ""]);
        assert_eq!(send(&mut flow, b"other", true), DatagramReading::Foreign);
        assert_eq!(send(&mut flow, &record(21, 0, &[2, 40]), false), DatagramReading::Done);
        let mut flow = DtlsFlow::default();
        let answers: Vec<_> = (0..DATAGRAMS_MAX).map(|_| send(&mut flow, &record(23, 1, &[7; 40]), true)).collect();
        assert_eq!(answers.last(), Some(&DatagramReading::Done), "it is not followed for ever");
    }
}
