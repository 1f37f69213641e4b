//! QUIC: what its Initial packets tell.
//!
//! Owns which of it are facts. What follows the handshake's first flight is encrypted for everybody but the two sides.

use super::write_app;
use crate::app::quic::{GoogleHello, QuicInitials, QuicSide, QuicVersion, quic_error_name};
use crate::app::tls::{Ja4, tls_version_name};
use crate::app::{DatagramInspector, DatagramProtocol, DatagramReading, FactBuffer, Parsed, SeenDatagram};

/// The protocol.
pub(super) const QUIC: DatagramProtocol = DatagramProtocol { may_be, begin: || Box::<QuicFlow>::default() };

/// Number of its facts.
pub(super) const OBJECT: u8 = 2;

/// Members of its object.
pub(super) mod member {
    pub(in crate::app::protocols) const SNI: u8 = 0;
    pub(super) const VERSION: u8 = 1;
    pub(super) const ALPN: u8 = 2;
    pub(super) const JA4: u8 = 3;
    pub(super) const CIPHER: u8 = 4;
    pub(super) const TLS_VERSION: u8 = 5;
    pub(super) const USER_AGENT: u8 = 6;
    pub(super) const RETRIED: u8 = 7;
    pub(super) const CLOSE: u8 = 8;
    pub(super) const ECH: u8 = 9;
}

/// Datagrams after the client's hello in which the server's answer is looked for.
const ANSWERS_MAX: u8 = 8;

/// One connection, as far as it is followed.
#[derive(Default)]
struct QuicFlow {
    initials: QuicInitials,
    /// Google's older versions: what the client said.
    google: Option<GoogleName>,
    /// Version in the first long header.
    seen_version: Option<QuicVersion>,
    /// Who began is the server: the first packets were not captured, or lost their order.
    is_turned: bool,
    has_hello: bool,
    answers: u8,
}

/// What a [`GoogleHello`] tells, kept.
#[derive(Default)]
struct GoogleName {
    server_name: Vec<u8>,
    user_agent: Vec<u8>,
}

impl GoogleName {
    fn of(hello: &GoogleHello<'_>) -> Self {
        Self {
            server_name: hello.server_name.unwrap_or_default().to_vec(),
            user_agent: hello.user_agent.unwrap_or_default().to_vec(),
        }
    }
}

/// A long header with a version that is known, or negotiates; or a public header of Google's.
fn may_be(datagram: &SeenDatagram<'_>) -> bool {
    match datagram.payload {
        [first, a, b, c, d, id_len, ..] if first & 0x80 != 0 => {
            let version = QuicVersion(u32::from_be_bytes([*a, *b, *c, *d]));
            (version.is_known() || version.is_google() || version.is_reserved() || version.0 == 0 && datagram.server_port == 443)
                && (*id_len <= 20 || version.is_google())
        }
        _ => GoogleHello::read(datagram.payload).is_some(),
    }
}

impl DatagramInspector for QuicFlow {
    fn datagram(&mut self, datagram: &SeenDatagram<'_>) -> DatagramReading {
        let is_first = self.seen_version.is_none();
        if is_first {
            self.seen_version = Some(version_of(datagram.payload));
        }
        if self.google.is_none()
            && datagram.is_clients
            && let Some(hello) = GoogleHello::read(datagram.payload)
        {
            self.google = Some(GoogleName::of(&hello));
            self.seen_version = Some(hello.version);
            return DatagramReading::Done;
        }
        let side = |is_clients| if is_clients { QuicSide::Client } else { QuicSide::Server };
        let is_clients = datagram.is_clients != self.is_turned;
        let mut answer = self.initials.push(datagram.payload, side(is_clients));
        if answer == Parsed::No && is_first {
            answer = self.initials.push(datagram.payload, side(!is_clients));
            self.is_turned = answer != Parsed::No;
        }
        self.answers += u8::from(self.has_hello);
        let had_hello = self.has_hello;
        self.has_hello |= self.read_hello();
        let has_answer = matches!(self.initials.server_hello(), Parsed::Done(_)) || self.initials.close().is_some();
        if self.has_hello && (has_answer || self.answers >= ANSWERS_MAX) {
            return DatagramReading::Done;
        }
        match answer {
            Parsed::No if is_first && !is_known_header(datagram.payload) => DatagramReading::Foreign,
            // A version that cannot be opened is QUIC all the same.
            Parsed::No if is_first => DatagramReading::Told,
            Parsed::No => DatagramReading::Foreign,
            _ if is_first || self.has_hello != had_hello => DatagramReading::Told,
            _ => DatagramReading::Watch,
        }
    }

    fn kept_bytes(&self) -> usize {
        let google = self.google.as_ref().map_or(0, |name| name.server_name.capacity() + name.user_agent.capacity());
        self.initials.memory_bytes() + google
    }

    fn write(&self, facts: &mut FactBuffer) {
        write_app("quic", facts);
        let mut quic = facts.object(OBJECT);
        if let Some(version) = self.initials.version().or(self.seen_version).filter(|version| version.0 != 0) {
            quic.text(member::VERSION, version.to_string().as_bytes());
        }
        if let Parsed::Done(hello) = self.initials.client_hello() {
            quic.text(member::SNI, hello.server_name.unwrap_or_default());
            quic.list(member::ALPN, hello.alpn.iter());
            quic.text(member::JA4, Ja4::of(&hello).as_bytes());
            quic.flag(member::ECH, hello.has_ech);
        }
        if let Some(google) = &self.google {
            quic.text(member::SNI, &google.server_name);
            quic.text(member::USER_AGENT, &google.user_agent);
        }
        if let Parsed::Done(hello) = self.initials.server_hello() {
            quic.text(member::CIPHER, format!("0x{:04x}", hello.cipher).as_bytes());
            if let Some(name) = tls_version_name(hello.version) {
                quic.text(member::TLS_VERSION, name.as_bytes());
            }
        }
        quic.flag(member::RETRIED, self.initials.has_retried());
        if let Some(close) = self.initials.close() {
            match quic_error_name(close.error).filter(|_| !close.is_application) {
                Some(name) => quic.text(member::CLOSE, name.as_bytes()),
                None => quic.text(member::CLOSE, close.error.to_string().as_bytes()),
            }
        }
    }
}

impl QuicFlow {
    /// True when the client's hello is whole.
    fn read_hello(&mut self) -> bool {
        let version = self.initials.version();
        if let Some(version) = version.filter(|version| version.is_google()) {
            if let Some(hello) = GoogleHello::of_message(version, self.initials.client_handshake()) {
                self.google = Some(GoogleName::of(&hello));
            }
            return self.google.is_some();
        }
        matches!(self.initials.client_hello(), Parsed::Done(_))
    }
}

fn version_of(payload: &[u8]) -> QuicVersion {
    match *payload {
        [first, a, b, c, d, ..] if first & 0x80 != 0 => QuicVersion(u32::from_be_bytes([a, b, c, d])),
        _ => QuicVersion(0),
    }
}

fn is_known_header(payload: &[u8]) -> bool {
    let version = version_of(payload);
    version.is_known() || version.is_google()
}
