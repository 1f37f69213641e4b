//! ClientHello (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2; in DTLS with a cookie, RFC 6347 section 4.2.1).
//!
//! Owns its layout. What contradicts itself is left out and marked; the rest is still told.

use super::extension::{self, Extensions, NameList};
use super::handshake::CLIENT_HELLO;
use super::record::Flight;
use super::version::rank;
use crate::app::parsed::Parsed;
use crate::app::reading::{ByteReader, NumberList};

/// Longest server name that is told (RFC 1035 section 2.3.4).
pub const SERVER_NAME_MAX: usize = 255;

/// What carries the handshake; the hello's layout and its fingerprints depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HelloCarrier {
    /// Records over a stream.
    #[default]
    Stream,
    /// DTLS.
    Datagram,
    /// QUIC.
    Quic,
}

/// What a client offers. All that is borrowed is as it was sent, GREASE included; [`NumberList::without_grease`] leaves it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// What carried it.
    pub carrier: HelloCarrier,
    /// The field `legacy_version`.
    pub version: u16,
    /// Session to resume, or 32 bytes that stand for nothing.
    pub session_id: &'a [u8],
    /// Cipher suites.
    pub ciphers: NumberList<'a>,
    /// All extensions.
    pub extensions: Extensions<'a>,
    /// Host name of `server_name`, at most [`SERVER_NAME_MAX`] bytes.
    pub server_name: Option<&'a [u8]>,
    /// True with the extension `server_name`, whatever is in it.
    pub has_server_name: bool,
    /// Protocols of ALPN.
    pub alpn: NameList<'a>,
    /// Versions of `supported_versions`.
    pub supported_versions: NumberList<'a>,
    /// Groups of `supported_groups`, once elliptic curves.
    pub groups: NumberList<'a>,
    /// Formats of points on curves.
    pub point_formats: &'a [u8],
    /// Signature algorithms.
    pub signature_algorithms: NumberList<'a>,
    /// True where the hello has the extension `encrypted_client_hello`: the name it shows may be another one's.
    pub has_ech: bool,
    /// True with a ticket of an earlier session (RFC 5077).
    pub has_ticket: bool,
    /// True with a pre-shared key (in TLS 1.3 an earlier session's, as a rule).
    pub has_psk: bool,
    /// True where the client sends data before the server answers.
    pub has_early_data: bool,
    /// QUIC's transport parameters.
    pub transport_parameters: Option<&'a [u8]>,
    /// True where lengths contradict each other.
    pub is_malformed: bool,
}

impl<'a> ClientHello<'a> {
    /// Of the bytes that a client has sent so far; see [`Flight::read`] for `joined`.
    pub fn read_stream(stream: &'a [u8], joined: &'a mut Vec<u8>) -> Parsed<Self> {
        Flight::read(stream, joined).and_then(|flight| match flight.messages().next() {
            Some(message) if message.kind != CLIENT_HELLO => Parsed::No,
            Some(message) if message.is_whole => Self::parsed(message.body, HelloCarrier::Stream),
            Some(message) => flight.without(message.missing()),
            None if flight.handshake.first().is_some_and(|&kind| kind != CLIENT_HELLO) => Parsed::No,
            None => flight.without(1),
        })
    }

    /// Of handshake bytes without records, as in QUIC's CRYPTO frames.
    pub fn read_handshake(handshake: &'a [u8], carrier: HelloCarrier) -> Parsed<Self> {
        let mut reader = ByteReader::new(handshake);
        match (reader.u8(), reader.u24()) {
            (Some(kind), _) if kind != CLIENT_HELLO => Parsed::No,
            (_, Some(len)) => match reader.take(len) {
                Some(body) => Self::parsed(body, carrier),
                None => Parsed::More { need: 4 + len },
            },
            _ => Parsed::More { need: 4 },
        }
    }

    fn parsed(body: &'a [u8], carrier: HelloCarrier) -> Parsed<Self> {
        Self::read(body, carrier).map_or(Parsed::No, Parsed::Done)
    }

    /// Of the body of a whole message; `None` where it ends before the cipher suites do.
    pub fn read(body: &'a [u8], carrier: HelloCarrier) -> Option<Self> {
        let mut reader = ByteReader::new(body);
        let version = reader.u16().filter(|version| matches!(version >> 8, 3 | 0xfe))?;
        reader.take(32)?;
        let session_id = reader.short_block().filter(|id| id.len() <= 32)?;
        if carrier == HelloCarrier::Datagram {
            reader.short_block()?;
        }
        let ciphers = NumberList(reader.block()?);
        let mut hello = Self { carrier, version, session_id, ciphers, ..Self::default() };
        hello.is_malformed = !ciphers.0.len().is_multiple_of(2) || reader.short_block().is_none();
        if !reader.is_empty() && !hello.is_malformed {
            let whole = reader.block();
            hello.is_malformed = whole.is_none() || !reader.is_empty();
            hello.extensions = Extensions(whole.unwrap_or_else(|| reader.left().get(2..).unwrap_or_default()));
            let told: usize = hello.extensions.iter().map(|(number, body)| hello.take_extension(number, body)).sum();
            hello.is_malformed |= told != hello.extensions.0.len();
        }
        Some(hello)
    }

    /// Takes what an extension tells and says how long it is.
    fn take_extension(&mut self, number: u16, body: &'a [u8]) -> usize {
        let mut reader = ByteReader::new(body);
        let understood = match number {
            extension::SERVER_NAME => {
                self.has_server_name = true;
                self.server_name = self.server_name.or(host_name(body));
                self.server_name.is_some() || body.is_empty()
            }
            extension::ALPN => extension::alpn_names(body).map(|names| self.alpn = names).is_some(),
            extension::SUPPORTED_VERSIONS => {
                reader.short_block().map(|versions| self.supported_versions = NumberList(versions)).is_some()
            }
            extension::SUPPORTED_GROUPS => reader.block().map(|groups| self.groups = NumberList(groups)).is_some(),
            extension::EC_POINT_FORMATS => reader.short_block().map(|formats| self.point_formats = formats).is_some(),
            extension::SIGNATURE_ALGORITHMS => {
                reader.block().map(|algorithms| self.signature_algorithms = NumberList(algorithms)).is_some()
            }
            extension::SESSION_TICKET => {
                self.has_ticket = !body.is_empty();
                true
            }
            _ => {
                self.take_mark(number, body);
                true
            }
        };
        self.is_malformed |= !understood;
        4 + body.len()
    }

    /// Extensions of which it matters that they are there.
    fn take_mark(&mut self, number: u16, body: &'a [u8]) {
        match number {
            extension::PRE_SHARED_KEY => self.has_psk = true,
            extension::EARLY_DATA => self.has_early_data = true,
            extension::ENCRYPTED_CLIENT_HELLO => self.has_ech = true,
            extension::QUIC_TRANSPORT_PARAMETERS | extension::QUIC_TRANSPORT_PARAMETERS_DRAFT => {
                self.transport_parameters = Some(body);
            }
            _ => {}
        }
    }

    /// The newest version it offers, GREASE left out.
    pub fn best_version(&self) -> u16 {
        self.supported_versions.without_grease().max_by_key(|&version| rank(version)).unwrap_or(self.version)
    }

    /// True where the client would go on with an earlier session. A session's number alone says so up to TLS 1.2 only.
    pub fn offers_resumption(&self) -> bool {
        let has_old_session = !self.session_id.is_empty() && self.supported_versions.is_empty();
        self.has_ticket || self.has_psk || has_old_session
    }
}

/// The first host name of a `server_name` (RFC 6066 section 3), cut at [`SERVER_NAME_MAX`].
fn host_name(body: &[u8]) -> Option<&[u8]> {
    let mut names = ByteReader::new(ByteReader::new(body).block()?);
    loop {
        let (kind, name) = (names.u8()?, names.block()?);
        if kind == 0 {
            return Some(&name[..name.len().min(SERVER_NAME_MAX)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tls::tests::{client_hello_bytes, in_records, ja4_example};
    use proptest::prelude::*;

    #[test]
    fn an_offer_of_a_browser_is_told() {
        let stream = ja4_example();
        let mut joined = Vec::new();
        let hello = ClientHello::read_stream(&stream, &mut joined).done().unwrap();
        assert_eq!(hello.server_name, Some(&b"content-autofill.googleapis.com"[..]));
        assert_eq!(hello.alpn.iter().collect::<Vec<_>>(), [&b"h2"[..], b"http/1.1"]);
        assert_eq!((hello.version, hello.best_version()), (0x0303, 0x0304));
        assert_eq!(hello.groups.iter().collect::<Vec<_>>(), [0x3a3a, 29, 23, 24]);
        assert_eq!(hello.signature_algorithms.iter().next(), Some(0x0403));
        assert!(!hello.is_malformed && !hello.has_ech && !hello.offers_resumption() && !hello.has_ticket);
    }

    #[test]
    fn every_cut_asks_for_more_and_the_whole_is_done() {
        for len in [7, 16_384] {
            let stream = in_records(&client_hello_bytes(), len);
            for cut in 0..stream.len() {
                let mut joined = Vec::new();
                let answer = ClientHello::read_stream(&stream[..cut], &mut joined);
                let Parsed::More { need } = answer else { panic!("{cut}: {answer:?}") };
                assert!(cut < need && need <= stream.len(), "{cut}: {need} of {}", stream.len());
            }
            let mut joined = Vec::new();
            assert!(ClientHello::read_stream(&stream, &mut joined).done().is_some());
        }
    }

    /// A hello with one extension.
    fn with_extension(number: u16, body: &[u8]) -> Vec<u8> {
        let len = (body.len() as u16).to_be_bytes();
        let extension = [&number.to_be_bytes()[..], &len, body].concat();
        let all = (extension.len() as u16).to_be_bytes();
        [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &all, &extension].concat()
    }

    #[test]
    fn marks_and_names() {
        let read = |number, body: &[u8]| {
            let bytes = with_extension(number, body);
            let hello = ClientHello::read(&bytes, HelloCarrier::Stream).unwrap();
            (hello.has_ech, hello.offers_resumption(), hello.has_early_data, hello.is_malformed)
        };
        assert_eq!(read(0xfe0d, &[0]), (true, false, false, false));
        assert_eq!(read(35, &[]), (false, false, false, false));
        assert_eq!(read(35, &[1]), (false, true, false, false));
        assert_eq!(read(41, &[1]), (false, true, false, false));
        assert_eq!(read(42, &[]), (false, false, true, false));
        assert_eq!(read(43, &[9, 3]), (false, false, false, true), "a list that is longer than its extension");
        let name = |body: &[u8]| {
            let bytes = with_extension(0, body);
            ClientHello::read(&bytes, HelloCarrier::Stream).unwrap().server_name.map(<[u8]>::to_vec)
        };
        assert_eq!(name(&[0, 9, 5, 0, 1, b'x', 0, 0, 2, b'a', b'b']), Some(b"ab".to_vec()), "the first host name");
        let long = [&[1, 0x2f, 0, 1, 0x2c][..], &[b'a'; 300]].concat();
        assert_eq!(name(&long).map(|name| name.len()), Some(SERVER_NAME_MAX));
        assert_eq!(name(&[0, 9, 0]), None);
    }

    #[test]
    fn what_contradicts_itself_is_marked() {
        let mut bytes = with_extension(0, &[0, 5, 0, 0, 2, b'a', b'b']);
        let whole = bytes.len();
        bytes.push(0);
        assert!(ClientHello::read(&bytes, HelloCarrier::Stream).unwrap().is_malformed);
        let hello = ClientHello::read(&bytes[..whole - 1], HelloCarrier::Stream).unwrap();
        assert!(hello.is_malformed && hello.server_name.is_none());
        assert_eq!(ClientHello::read(&bytes[..30], HelloCarrier::Stream), None);
    }

    proptest! {
        #[test]
        fn any_damage_is_survived(at in 0_usize..600, byte in any::<u8>(), cut in 0_usize..600) {
            let mut stream = ja4_example();
            let at = at % stream.len();
            stream[at] = byte;
            stream.truncate(stream.len() - cut.min(stream.len()));
            let mut joined = Vec::new();
            ClientHello::read_stream(&stream, &mut joined);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for carrier in [HelloCarrier::Stream, HelloCarrier::Datagram, HelloCarrier::Quic] {
                ClientHello::read(&bytes, carrier);
                ClientHello::read_handshake(&bytes, carrier);
            }
        }
    }
}
