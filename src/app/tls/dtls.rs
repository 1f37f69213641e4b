//! DTLS 1.0, 1.2 and 1.3 (RFC 6347, RFC 9147): the hellos, whose fragments may come in several datagrams and in any order.
//!
//! Owns the headers of records and fragments. Its invariant: of one message at most [`DTLS_HELLO_MAX`] bytes are kept.

use super::alert::TlsAlert;
use super::client_hello::{ClientHello, HelloCarrier};
use super::handshake::{CLIENT_HELLO, SERVER_HELLO};
use super::server_hello::ServerHello;
use crate::app::parsed::Parsed;
use crate::app::pieces::PieceBuffer;
use crate::app::reading::ByteReader;

/// The longest hello that is put together.
pub const DTLS_HELLO_MAX: usize = 16 * 1024;

/// Kind, version, epoch, number, length.
const HEADER_LEN: usize = 13;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// The first hello of one side.
#[derive(Clone, Debug)]
pub struct DtlsHandshake {
    pieces: PieceBuffer,
    /// Kind, number and length of the message that is put together.
    message: Option<(u8, u16, usize)>,
    alert: Option<TlsAlert>,
}

impl Default for DtlsHandshake {
    fn default() -> Self {
        Self { pieces: PieceBuffer::new(DTLS_HELLO_MAX), message: None, alert: None }
    }
}

const fn is_record(kind: u8, version: u16) -> bool {
    matches!(version, 0xfeff | 0xfefd | 0xfefc | 0x0100) && matches!(kind, 20..=25)
}

/// A record: kind, epoch and body.
fn record<'a>(reader: &mut ByteReader<'a>) -> Option<(u8, u16, &'a [u8])> {
    let kind = reader.u8()?;
    let version = reader.u16()?;
    let epoch = reader.u16()?;
    reader.take(6)?;
    Some((kind, epoch, reader.block()?)).filter(|_| is_record(kind, version))
}

/// Whether a datagram of `len` bytes, of which `captured` was captured, is records of DTLS and nothing else.
pub fn are_dtls_records(captured: &[u8], len: usize) -> bool {
    let mut reader = ByteReader::new(captured);
    let mut at = 0;
    while !reader.is_empty() {
        let header = reader.array::<HEADER_LEN>();
        let Some([kind, major, minor, .., high, low]) = header else { return at > 0 && captured.len() < len };
        if !is_record(kind, u16::from_be_bytes([major, minor])) {
            return false;
        }
        let body_len = usize::from(u16::from_be_bytes([high, low]));
        at += HEADER_LEN + body_len;
        if reader.take(body_len).is_none() {
            return captured.len() < len && at <= len;
        }
    }
    at > 0
}

impl DtlsHandshake {
    /// Bytes of memory besides itself.
    pub fn memory_bytes(&self) -> usize {
        self.pieces.memory_bytes()
    }

    /// Takes a datagram of one side. `Done` says that the hello is whole; `More` that another datagram is needed (its `need` means
    /// nothing); `No` that this is no DTLS, or none in the clear.
    pub fn push(&mut self, datagram: &[u8]) -> Parsed<()> {
        let mut reader = ByteReader::new(datagram);
        let mut is_any = false;
        while let Some((kind, epoch, body)) = record(&mut reader) {
            if epoch != 0 {
                break;
            }
            is_any = true;
            match kind {
                HANDSHAKE => self.push_fragments(body),
                ALERT => self.alert = self.alert.or(TlsAlert::of_record(body, body.len())),
                _ => {}
            }
        }
        match self.body() {
            Some(_) => Parsed::Done(()),
            None if self.alert.is_some_and(TlsAlert::ends_connection) => Parsed::Done(()),
            None if is_any => Parsed::More { need: datagram.len() + 1 },
            None => Parsed::No,
        }
    }

    /// The fragments of a record; other messages than the first hello are passed over.
    fn push_fragments(&mut self, body: &[u8]) {
        let mut reader = ByteReader::new(body);
        let mut next = || {
            let (kind, len, number) = (reader.u8()?, reader.u24()?, reader.u16()?);
            let (offset, piece_len) = (reader.u24()?, reader.u24()?);
            Some(((kind, number, len), offset, reader.take(piece_len)?))
        };
        while let Some((message, offset, piece)) = next() {
            if matches!(message.0, CLIENT_HELLO | SERVER_HELLO) && *self.message.get_or_insert(message) == message {
                self.pieces.insert(offset as u64, piece);
            }
        }
    }

    /// The body of the whole message.
    fn body(&self) -> Option<(u8, &[u8])> {
        let (kind, _, len) = self.message?;
        Some((kind, self.pieces.contiguous().get(..len)?))
    }

    /// The client's, once it is whole.
    pub fn client_hello(&self) -> Option<ClientHello<'_>> {
        let (kind, body) = self.body()?;
        ClientHello::read(body, HelloCarrier::Datagram).filter(|_| kind == CLIENT_HELLO)
    }

    /// The server's, once it is whole.
    pub fn server_hello(&self) -> Option<ServerHello<'_>> {
        let (kind, body) = self.body()?;
        ServerHello::read(body).filter(|_| kind == SERVER_HELLO)
    }

    /// An alert in the clear.
    pub const fn alert(&self) -> Option<TlsAlert> {
        self.alert
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tls::Ja4;
    use proptest::prelude::*;

    fn body() -> Vec<u8> {
        let name = [0, 0, 0, 9, 0, 7, 0, 0, 4, b'h', b'o', b's', b't'];
        [&[0xfe, 0xfd][..], &[7; 32], &[0, 2, 0xaa, 0xbb, 0, 2, 0xc0, 0x2b, 1, 0, 0, 13], &name].concat()
    }

    fn fragment(kind: u8, number: u16, range: std::ops::Range<usize>) -> Vec<u8> {
        let body = body();
        let u24 = |number: usize| [(number >> 16) as u8, (number >> 8) as u8, number as u8];
        let piece = &body[range.clone()];
        let parts = [&[kind][..], &u24(body.len()), &number.to_be_bytes(), &u24(range.start), &u24(piece.len()), piece];
        parts.concat()
    }

    fn datagram(fragment: &[u8]) -> Vec<u8> {
        [&[22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 1][..], &(fragment.len() as u16).to_be_bytes(), fragment].concat()
    }

    #[test]
    fn fragments_of_any_order_make_the_hello() {
        let len = body().len();
        let mut handshake = DtlsHandshake::default();
        assert!(matches!(handshake.push(&datagram(&fragment(1, 0, 20..len))), Parsed::More { .. }));
        assert!(matches!(handshake.push(&datagram(&fragment(1, 1, 0..len))), Parsed::More { .. }), "another message");
        assert!(matches!(handshake.push(&datagram(&fragment(1, 0, 10..30))), Parsed::More { .. }));
        assert!(handshake.client_hello().is_none());
        assert_eq!(handshake.push(&datagram(&fragment(1, 0, 0..12))), Parsed::Done(()));
        let hello = handshake.client_hello().unwrap();
        assert_eq!((hello.server_name, hello.best_version()), (Some(&b"host"[..]), 0xfefd));
        assert_eq!(&Ja4::of(&hello).to_string()[..10], "dd2d010100");
        assert!(handshake.server_hello().is_none());
    }

    #[test]
    fn each_cut_of_a_datagram_is_survived_and_none_is_whole() {
        let whole = datagram(&fragment(1, 0, 0..body().len()));
        for cut in 0..whole.len() {
            assert_ne!(DtlsHandshake::default().push(&whole[..cut]), Parsed::Done(()), "{cut}");
        }
        assert_eq!(DtlsHandshake::default().push(&whole), Parsed::Done(()));
    }

    #[test]
    fn encrypted_records_and_other_protocols_are_none() {
        let mut bytes = datagram(&fragment(1, 0, 0..body().len()));
        bytes[4] = 1;
        assert_eq!(DtlsHandshake::default().push(&bytes), Parsed::No);
        assert_eq!(DtlsHandshake::default().push(b"GET / HTTP/1.1\r\n\r\n"), Parsed::No);
        let mut handshake = DtlsHandshake::default();
        assert_eq!(handshake.push(&[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40]), Parsed::Done(()));
        assert_eq!(handshake.alert().and_then(TlsAlert::name), Some("handshake_failure"));
    }

    #[test]
    fn records_have_to_fill_a_datagram() {
        let whole = datagram(&fragment(1, 0, 0..body().len()));
        let two = [&whole[..], &whole].concat();
        assert!(are_dtls_records(&whole, whole.len()) && are_dtls_records(&two, two.len()));
        for cut in 0..whole.len() {
            assert!(!are_dtls_records(&whole[..cut], cut), "{cut}");
            assert_eq!(are_dtls_records(&whole[..cut], whole.len()), cut >= HEADER_LEN, "{cut}");
            assert!(are_dtls_records(&two[..whole.len() + cut], two.len()), "{cut}");
        }
        let other = [&whole[..], b"x"].concat();
        assert!(!are_dtls_records(&other, other.len()));
        assert!(!are_dtls_records(b"GET / HTTP/1.1\r\n\r\n", 18));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 13..200)) {
            bytes[..5].copy_from_slice(&[22, 0xfe, 0xff, 0, 0]);
            let len = bytes.len() as u16 - 13;
            bytes[11..13].copy_from_slice(&len.to_be_bytes());
            let mut handshake = DtlsHandshake::default();
            handshake.push(&bytes);
            are_dtls_records(&bytes, bytes.len());
            handshake.client_hello();
            handshake.server_hello();
        }
    }
}
