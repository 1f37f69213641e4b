//! QUIC: what its Initial packets tell.
//!
//! Owns which of it are facts. What follows the handshake's first flight is encrypted for everybody but the two sides.

use super::{QuicStage, write_app};
use crate::app::quic::{GoogleHello, QuicInitials, QuicSide, QuicVersion, quic_error_name};
use crate::app::tls::{Ja4, tls_version_name};
use crate::app::{DatagramInspector, DatagramProtocol, DatagramReading, FactBuffer, FactId, Parsed, SeenDatagram};

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
    pub(super) const STATE: u8 = 10;
}

/// How far the connection is.
pub(super) const STATE: FactId = FactId { object: OBJECT, member: member::STATE };

/// Datagrams after the client's hello in which the server's answer is looked for.
const ANSWERS_MAX: u8 = 8;
/// Datagrams after the client's hello in which the end of the handshake is looked for.
const HANDSHAKE_MAX: u8 = 24;

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
    /// The server's hello is whole.
    has_answer: bool,
    /// Datagrams since the client's hello.
    answers: u8,
    /// The server was heard, and the client.
    heard: [bool; 2],
    /// The client has sent a packet with a short header since.
    is_established: bool,
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
        let before = self.stage();
        let reading = self.read(datagram);
        let is_clients = datagram.is_clients != self.is_turned;
        self.heard[usize::from(is_clients)] = true;
        // The client sends none before its handshake is complete (RFC 9001 section 5.7).
        self.is_established |= is_clients && self.heard == [true; 2] && has_short_header(datagram.payload);
        match reading {
            DatagramReading::Done => reading,
            _ if self.is_over() => DatagramReading::Done,
            DatagramReading::Foreign if before.is_none() => reading,
            _ if self.stage() != before => DatagramReading::Told,
            _ => reading,
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
        if let Some(stage) = self.stage() {
            quic.text(member::STATE, stage.name().as_bytes());
        }
    }
}

impl QuicFlow {
    /// How far the connection is, where that can be seen.
    fn stage(&self) -> Option<QuicStage> {
        match (self.heard, self.google.is_some()) {
            (_, true) | ([false, false], _) => None,
            _ if self.initials.close().is_some() => Some(QuicStage::Closed),
            _ if self.is_established => Some(QuicStage::Established),
            ([true, true], _) => Some(QuicStage::Handshake),
            _ => Some(QuicStage::Initial),
        }
    }

    /// A hello of either side was read: the client's may be lost in part.
    const fn has_begun(&self) -> bool {
        self.has_hello || self.has_answer
    }

    /// Nothing more is to be seen.
    fn is_over(&self) -> bool {
        let may_go_on = self.answers < if self.has_answer { HANDSHAKE_MAX } else { ANSWERS_MAX };
        self.is_established || self.has_begun() && (self.initials.close().is_some() || !may_go_on)
    }

    /// Reads what is in the clear.
    fn read(&mut self, datagram: &SeenDatagram<'_>) -> DatagramReading {
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
        if self.has_answer && has_short_header(datagram.payload) {
            self.answers = self.answers.saturating_add(1);
            return DatagramReading::Watch;
        }
        let mut answer = self.initials.push(datagram.payload, side(is_clients));
        if answer == Parsed::No && is_first {
            answer = self.initials.push(datagram.payload, side(!is_clients));
            self.is_turned = answer != Parsed::No;
        }
        self.answers = self.answers.saturating_add(u8::from(self.has_begun()));
        let known = (self.has_hello, self.has_answer);
        self.has_hello = self.has_hello || self.read_hello();
        self.has_answer = self.has_answer || matches!(self.initials.server_hello(), Parsed::Done(_));
        match answer {
            Parsed::No if is_first && !is_known_header(datagram.payload) => DatagramReading::Foreign,
            // A version that cannot be opened is QUIC all the same.
            Parsed::No if is_first => DatagramReading::Told,
            Parsed::No if self.has_answer => DatagramReading::Watch,
            Parsed::No => DatagramReading::Foreign,
            _ if is_first || (self.has_hello, self.has_answer) != known => DatagramReading::Told,
            _ => DatagramReading::Watch,
        }
    }

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

/// True of what follows the handshake (RFC 9000 section 17.3.1).
fn has_short_header(payload: &[u8]) -> bool {
    payload.first().is_some_and(|first| first & 0xc0 == 0x40)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::protocols::AppStage;
    use crate::app::quic::tests::{RFC9001_CLIENT, RFC9001_SERVER};

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex")).collect()
    }

    /// Shows datagrams in order; after each, what is answered and how far the connection is.
    fn shown(datagrams: &[(bool, &[u8])]) -> Vec<(DatagramReading, Option<AppStage>)> {
        let mut flow = QuicFlow::default();
        let mut facts = FactBuffer::default();
        let shown = datagrams.iter().map(|&(is_clients, payload)| {
            let datagram =
                SeenDatagram { payload, len: payload.len(), is_clients, server_port: 443, client_port: 40_000, time_ns: 0 };
            let reading = flow.datagram(&datagram);
            if matches!(reading, DatagramReading::Told | DatagramReading::Done) {
                facts.clear();
                flow.write(&mut facts);
            }
            (reading, AppStage::of(facts.facts()))
        });
        shown.collect()
    }

    #[test]
    fn a_connection_is_followed_until_the_clients_short_header() {
        use DatagramReading::{Done, Told, Watch};
        let (client, server) = (hex(RFC9001_CLIENT), hex(RFC9001_SERVER));
        // A handshake packet of version 1, and short headers.
        let handshake: &[u8] =
            &[0xe3, 0, 0, 0, 1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let short: &[u8] = &[0x43; 40];
        let stage = |stage| Some(AppStage::Quic(stage));
        let told =
            shown(&[(true, &client), (false, &server), (false, handshake), (false, short), (true, handshake), (true, short)]);
        assert_eq!(
            told,
            [
                (Told, stage(QuicStage::Initial)),
                (Told, stage(QuicStage::Handshake)),
                (Watch, stage(QuicStage::Handshake)),
                (Watch, stage(QuicStage::Handshake)),
                (Watch, stage(QuicStage::Handshake)),
                (Done, stage(QuicStage::Established)),
            ]
        );
    }

    #[test]
    fn the_end_of_the_handshake_is_looked_for_in_so_many_datagrams() {
        let (client, server) = (hex(RFC9001_CLIENT), hex(RFC9001_SERVER));
        let short: &[u8] = &[0x43; 40];
        let mut datagrams: Vec<(bool, &[u8])> = vec![(true, &client), (false, &server)];
        datagrams.resize(100, (false, short));
        let told = shown(&datagrams);
        let done = told.iter().position(|(reading, _)| *reading == DatagramReading::Done);
        assert_eq!(done, Some(usize::from(HANDSHAKE_MAX)));
        // Where the server is not heard, a short header says nothing, and there is no answer to wait for.
        let told = shown(&[(true, &client), (true, short), (true, short)]);
        assert_eq!(told[2].1, Some(AppStage::Quic(QuicStage::Initial)));
        let mut datagrams: Vec<(bool, &[u8])> = vec![(true, &client)];
        datagrams.resize(20, (true, short));
        let done = shown(&datagrams).iter().position(|(reading, _)| *reading == DatagramReading::Done);
        assert_eq!(done, Some(usize::from(ANSWERS_MAX)));
    }
}
