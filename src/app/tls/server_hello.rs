//! ServerHello (RFC 8446 section 4.1.3, RFC 5246 section 7.4.1.3) and what else a server sends in the clear.
//!
//! Owns what was negotiated. Up to TLS 1.2 the certificates come with it; later ones are encrypted.

use super::alert::TlsAlert;
use super::certificate_list::CertificateList;
use super::client_hello::ClientHello;
use super::extension::{self, Extensions};
use super::handshake::{CERTIFICATE, SERVER_HELLO};
use super::record::{Flight, FlightEnd};
use super::version::is_1_3;
use crate::app::parsed::Parsed;
use crate::app::reading::ByteReader;

const HELLO_REQUEST: u8 = 0;
const SERVER_HELLO_DONE: u8 = 14;
/// Messages of a flight that are looked at; a server sends four before it waits.
const MESSAGES_MAX: usize = 16;
/// The value of `random` that makes a ServerHello a HelloRetryRequest.
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a,
    0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What a server chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHello<'a> {
    /// The field `legacy_version`.
    pub legacy_version: u16,
    /// The version of the connection.
    pub version: u16,
    /// Up to TLS 1.2 the session's number; later the client's bytes.
    pub session_id: &'a [u8],
    /// Cipher suite.
    pub cipher: u16,
    /// All extensions.
    pub extensions: Extensions<'a>,
    /// Protocol of ALPN, where it is told in the clear.
    pub alpn: Option<&'a [u8]>,
    /// True where it took the client's pre-shared key.
    pub has_psk: bool,
    /// True where the client has to try again (HelloRetryRequest).
    pub is_retry: bool,
}

impl<'a> ServerHello<'a> {
    /// Of the body of a whole message; `None` where it ends before its fixed part does.
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let mut reader = ByteReader::new(body);
        let legacy_version = reader.u16().filter(|version| matches!(version >> 8, 3 | 0xfe | 0x7f))?;
        let random: [u8; 32] = reader.array()?;
        let is_draft = legacy_version >> 8 == 0x7f;
        // Drafts 18 to 21 of TLS 1.3 left session and compression out.
        let session_id = if is_draft { &[][..] } else { reader.short_block().filter(|id| id.len() <= 32)? };
        let cipher = reader.u16()?;
        if !is_draft {
            reader.u8()?;
        }
        let extensions = Extensions(reader.block().unwrap_or_default());
        let mut hello = Self {
            legacy_version,
            version: legacy_version,
            session_id,
            cipher,
            extensions,
            alpn: None,
            has_psk: false,
            is_retry: random == RETRY_RANDOM,
        };
        for (number, body) in extensions.iter() {
            match number {
                extension::SUPPORTED_VERSIONS => {
                    hello.version = ByteReader::new(body).u16().unwrap_or(legacy_version);
                }
                extension::ALPN => hello.alpn = extension::alpn_names(body).and_then(|names| names.first()),
                extension::PRE_SHARED_KEY => hello.has_psk = true,
                _ => {}
            }
        }
        Some(hello)
    }

    /// Of handshake bytes without records, as in QUIC's CRYPTO frames.
    pub fn read_handshake(handshake: &'a [u8]) -> Parsed<Self> {
        let mut reader = ByteReader::new(handshake);
        match (reader.u8(), reader.u24()) {
            (Some(kind), _) if kind != SERVER_HELLO => Parsed::No,
            (_, Some(len)) => match reader.take(len) {
                Some(body) => Self::read(body).map_or(Parsed::No, Parsed::Done),
                None => Parsed::More { need: 4 + len },
            },
            _ => Parsed::More { need: 4 },
        }
    }

    /// Whether an earlier session goes on, as far as the two hellos say so. From TLS 1.3 on a pre-shared key is taken for one.
    pub fn is_resumed(&self, client: &ClientHello<'_>) -> Option<bool> {
        if is_1_3(self.version) {
            return Some(self.has_psk);
        }
        let is_same = !self.session_id.is_empty() && self.session_id == client.session_id;
        // With a ticket and no number (RFC 5077 section 3.4) the answer shows in the messages that follow.
        let is_open = client.has_ticket && client.session_id.is_empty();
        (is_same || !is_open).then_some(is_same)
    }

    /// True for TLS or DTLS 1.3.
    pub const fn is_1_3(&self) -> bool {
        is_1_3(self.version)
    }
}

/// What a server sends in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerFlight<'a> {
    /// The last ServerHello: after a HelloRetryRequest the one that answers the second try.
    pub hello: Option<ServerHello<'a>>,
    /// True where the server asked for a second try.
    pub has_retried: bool,
    /// Its certificates up to TLS 1.2, its own first.
    pub certificates: CertificateList<'a>,
    /// The alert it ended with, or else the last warning.
    pub alert: Option<TlsAlert>,
}

impl<'a> ServerFlight<'a> {
    /// Of the bytes that a server has sent so far; see [`Flight::read`] for `joined`. It is done when nothing more can come in the clear.
    pub fn read_stream(stream: &'a [u8], joined: &'a mut Vec<u8>) -> Parsed<Self> {
        Flight::read(stream, joined).and_then(|flight| match Self::walk(&flight) {
            None => Parsed::No,
            Some((told, ServerProgress::Whole)) => Parsed::Done(told),
            Some((told, ServerProgress::Missing(missing))) => match flight.end {
                FlightEnd::Open { .. } => flight.without(missing),
                _ if told.hello.is_some() || told.alert.is_some() => Parsed::Done(told),
                _ => Parsed::No,
            },
        })
    }

    /// What is known so far, where no more will come: a capture that ends, or a gap. `None` without a whole ServerHello or an alert.
    pub fn known(stream: &'a [u8], joined: &'a mut Vec<u8>) -> Option<Self> {
        let (told, _) = Self::walk(&Flight::read(stream, joined).done()?)?;
        (told.hello.is_some() || told.alert.is_some()).then_some(told)
    }

    /// What a flight tells; `None` where it is no server's.
    fn walk(flight: &Flight<'a>) -> Option<(Self, ServerProgress)> {
        let alert = match flight.end {
            FlightEnd::Alert(alert) => Some(alert),
            _ => flight.warning,
        };
        let mut told = Self { hello: None, has_retried: false, certificates: CertificateList::default(), alert };
        let mut missing = 1;
        for (index, message) in flight.messages().enumerate() {
            if index == MESSAGES_MAX {
                return Some((told, ServerProgress::Whole)).filter(|(told, _)| told.hello.is_some());
            }
            missing = message.missing().max(1);
            match message.kind {
                SERVER_HELLO if message.is_whole => {
                    let hello = ServerHello::read(message.body)?;
                    told.has_retried |= hello.is_retry;
                    told.hello = Some(hello);
                    if hello.is_1_3() && !hello.is_retry {
                        return Some((told, ServerProgress::Whole));
                    }
                }
                CERTIFICATE if told.hello.is_some() => {
                    // Of a message that is cut the first certificates may be there.
                    told.certificates = CertificateList::of_message(message.body);
                    if message.is_whole {
                        return Some((told, ServerProgress::Whole));
                    }
                }
                SERVER_HELLO_DONE if told.hello.is_some() => return Some((told, ServerProgress::Whole)),
                HELLO_REQUEST | SERVER_HELLO => {}
                _ if told.hello.is_none() => return None,
                _ => {}
            }
        }
        Some((told, ServerProgress::Missing(missing)))
    }
}

/// Whether more can come in the clear.
enum ServerProgress {
    /// No.
    Whole,
    /// Yes, and so many bytes are missing at least.
    Missing(usize),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tls::client_hello::HelloCarrier;
    use crate::app::tls::tests::{in_records, message};
    use proptest::prelude::*;

    fn hello(version: u16, random: [u8; 32], session_id: &[u8], extensions: &[u8]) -> Vec<u8> {
        let body = [
            &version.to_be_bytes()[..],
            &random,
            &[session_id.len() as u8],
            session_id,
            &[0x13, 1, 0],
            &(extensions.len() as u16).to_be_bytes(),
            extensions,
        ];
        message(SERVER_HELLO, &body.concat())
    }

    const V1_3: &[u8] = &[0, 43, 0, 2, 3, 4];

    /// ServerHello, Certificate with two entries, ServerHelloDone.
    fn flight_1_2() -> Vec<u8> {
        let certificates = [0, 0, 9, 0, 0, 2, 0xaa, 0xbb, 0, 0, 1, 0xcc];
        let alpn = [0, 16, 0, 5, 0, 3, 2, b'h', b'2'];
        [hello(0x0303, [1; 32], &[5; 32], &alpn), message(CERTIFICATE, &certificates), message(SERVER_HELLO_DONE, &[])].concat()
    }

    #[test]
    fn a_flight_of_1_2_is_told_over_any_records_and_cuts() {
        for len in [3, 50, 16_384] {
            let stream = in_records(&flight_1_2(), len);
            let mut done_at = None;
            for cut in 0..=stream.len() {
                let mut joined = Vec::new();
                match ServerFlight::read_stream(&stream[..cut], &mut joined) {
                    Parsed::More { need } => assert!(cut < need && need <= stream.len(), "{cut} {need}"),
                    Parsed::No => panic!("{cut}"),
                    Parsed::Done(flight) => {
                        let hello = flight.hello.unwrap();
                        assert_eq!((hello.version, hello.cipher, hello.alpn), (0x0303, 0x1301, Some(&b"h2"[..])));
                        let certificates: Vec<&[u8]> = flight.certificates.iter().collect();
                        assert_eq!(certificates, [&[0xaa, 0xbb][..], &[0xcc]]);
                        done_at = done_at.or(Some(cut));
                    }
                }
            }
            assert!(done_at.is_some());
        }
    }

    #[test]
    fn messages_have_a_bound() {
        let mut joined = Vec::new();
        let requests = message(HELLO_REQUEST, &[]).repeat(MESSAGES_MAX + 1);
        assert_eq!(ServerFlight::read_stream(&in_records(&requests, 16_384), &mut joined), Parsed::No);
        let empty = message(22, &[]).repeat(MESSAGES_MAX);
        let stream = in_records(&[hello(0x0303, [1; 32], &[], &[]), empty].concat(), 16_384);
        assert!(ServerFlight::read_stream(&stream, &mut joined).done().is_some());
    }

    #[test]
    fn what_is_known_of_a_flight_that_stays_cut() {
        let stream = in_records(&flight_1_2(), 16_384);
        let hello_end = 5 + hello(0x0303, [1; 32], &[5; 32], &[0, 16, 0, 5, 0, 3, 2, b'h', b'2']).len();
        let known = |len: usize| {
            let mut joined = Vec::new();
            ServerFlight::known(&stream[..len], &mut joined).map(|told| (told.hello.is_some(), told.certificates.iter().count()))
        };
        assert_eq!(known(hello_end - 1), None);
        assert_eq!(known(hello_end), Some((true, 0)));
        assert_eq!(known(hello_end + 4 + 3 + 5), Some((true, 1)), "the first certificate of a list that is cut");
        assert_eq!(known(stream.len()), Some((true, 2)));
    }

    #[test]
    fn a_second_try_is_told_across_the_change_of_ciphers() {
        let retry = in_records(&hello(0x0303, RETRY_RANDOM, &[], V1_3), 16_384);
        let answer = in_records(&hello(0x0303, [2; 32], &[], V1_3), 16_384);
        let mut stream = retry;
        let mut joined = Vec::new();
        assert!(matches!(ServerFlight::read_stream(&stream, &mut joined), Parsed::More { .. }));
        stream.extend([20, 3, 3, 0, 1, 1]);
        stream.extend(answer);
        let flight = ServerFlight::read_stream(&stream, &mut joined).done().unwrap();
        assert!(flight.has_retried && flight.hello.is_some_and(|hello| !hello.is_retry && hello.is_1_3()));
    }

    #[test]
    fn a_refusal_is_an_alert_without_a_hello() {
        let mut joined = Vec::new();
        let flight = ServerFlight::read_stream(&[21, 3, 3, 0, 2, 2, 70], &mut joined).done().unwrap();
        assert_eq!((flight.hello, flight.alert.and_then(TlsAlert::name)), (None, Some("protocol_version")));
        let client = in_records(&crate::app::tls::tests::client_hello_bytes(), 16_384);
        assert_eq!(ServerFlight::read_stream(&client, &mut joined), Parsed::No);
    }

    #[test]
    fn resumption_is_told_where_it_can_be_known() {
        let client = ClientHello { session_id: &[5; 32], ..ClientHello::default() };
        let read = |bytes: &[u8], client: &ClientHello<'_>| ServerHello::read(&bytes[4..]).unwrap().is_resumed(client);
        let same = hello(0x0303, [1; 32], &[5; 32], &[]);
        assert_eq!(read(&same, &client), Some(true));
        assert_eq!(read(&same, &ClientHello { session_id: &[6; 32], ..client }), Some(false));
        assert_eq!(read(&same, &ClientHello { session_id: &[], has_ticket: true, ..client }), None);
        assert_eq!(read(&hello(0x0303, [1; 32], &[5; 32], V1_3), &client), Some(false), "1.3 repeats the client's bytes");
        let psk = [V1_3, &[0, 41, 0, 2, 0, 0]].concat();
        assert_eq!(read(&hello(0x0303, [1; 32], &[], &psk), &client), Some(true));
    }

    #[test]
    fn without_records() {
        let bytes = hello(0x0303, [1; 32], &[], V1_3);
        for cut in 0..bytes.len() {
            let answer = ServerHello::read_handshake(&bytes[..cut]);
            assert_eq!(answer, Parsed::More { need: if cut < 4 { 4 } else { bytes.len() } });
        }
        assert!(ServerHello::read_handshake(&bytes).done().is_some());
        assert_eq!(ClientHello::read_handshake(&bytes, HelloCarrier::Quic), Parsed::No);
    }

    proptest! {
        #[test]
        fn any_damage_is_survived(at in 0_usize..600, byte in any::<u8>(), cut in 0_usize..200) {
            let mut stream = in_records(&flight_1_2(), 60);
            let at = at % stream.len();
            stream[at] = byte;
            stream.truncate(stream.len() - cut.min(stream.len()));
            let mut joined = Vec::new();
            if let Parsed::Done(flight) = ServerFlight::read_stream(&stream, &mut joined) {
                flight.certificates.iter().for_each(drop);
            }
        }
    }
}
