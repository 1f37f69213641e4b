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

    fn write(&self, facts: &mut FactBuffer) {
        write_app("dtls", facts);
        let client = self.sides.iter().find_map(DtlsHandshake::client_hello);
        let server = self.sides.iter().find_map(DtlsHandshake::server_hello);
        let alert = self.sides.iter().find_map(DtlsHandshake::alert);
        tls::write_hellos(client.as_ref(), server.as_ref(), alert, facts);
    }
}
