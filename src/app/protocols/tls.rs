//! TLS over TCP: what its hellos, its certificates and its alerts tell.
//!
//! Owns which of it are facts, also for DTLS. Certificates are not verified.

use super::write_app;
use crate::app::tls::{
    CertificateFacts, ClientHello, Ja4, ServerFlight, ServerHello, Sslv2Hello, TlsAlert, ja3, ja3s, tls_version_name,
};
use crate::app::{Conversation, FactBuffer, FactId, FactWriter, Parsed, Reading, StreamProtocol, Wanted};

/// The protocol.
pub(super) const TLS: StreamProtocol = StreamProtocol { is_spoken, read };

/// Number of its facts.
pub(super) const OBJECT: u8 = 1;

/// True for members that are rarely the same for two connections.
pub(super) const fn is_of_one_flow(member: u8) -> bool {
    matches!(member, member::SNI | member::SUBJECT | member::NAMES | member::NOT_BEFORE | member::NOT_AFTER)
}

/// Longest record: 2^14 bytes and what encryption adds (RFC 5246 section 6.2.3).
const RECORD_LEN_MAX: usize = (1 << 14) + 2048;

/// The fact of a member.
pub(super) const fn id(member: u8) -> FactId {
    FactId { object: OBJECT, member }
}

/// Members of its object.
pub(super) mod member {
    pub(in crate::app::protocols) const SNI: u8 = 0;
    pub(in crate::app::protocols) const VERSION: u8 = 1;
    pub(in crate::app::protocols) const CIPHER: u8 = 2;
    pub(in crate::app::protocols) const ALPN: u8 = 3;
    pub(in crate::app::protocols) const ALPN_CHOSEN: u8 = 4;
    pub(in crate::app::protocols) const JA4: u8 = 5;
    pub(in crate::app::protocols) const JA3: u8 = 6;
    pub(in crate::app::protocols) const JA3S: u8 = 7;
    pub(in crate::app::protocols) const RESUMED: u8 = 8;
    pub(in crate::app::protocols) const ECH: u8 = 9;
    pub(in crate::app::protocols) const ALERT: u8 = 10;
    pub(in crate::app::protocols) const SUBJECT: u8 = 11;
    pub(in crate::app::protocols) const ISSUER: u8 = 12;
    pub(in crate::app::protocols) const NAMES: u8 = 13;
    pub(in crate::app::protocols) const NOT_BEFORE: u8 = 14;
    pub(in crate::app::protocols) const NOT_AFTER: u8 = 15;
    pub(in crate::app::protocols) const SELF_ISSUED: u8 = 16;
}

fn is_spoken(conversation: &Conversation<'_>) -> Parsed<()> {
    let (mut joined, client, server) = (Vec::new(), conversation.client, conversation.server);
    if client.is_empty() && server.is_empty() {
        return Parsed::More { need: 1 };
    }
    let mut best = Parsed::No;
    let of_client = [begins_with_hello(client, 1), Sslv2Hello::read_stream(client).map(|_| ())];
    // A server that refuses says no more than that.
    let of_server = [begins_with_hello(server, 2), ServerFlight::read_stream(server, &mut joined).map(|_| ())];
    let asked = [(client, of_client), (server, of_server)].into_iter().filter(|(stream, _)| !stream.is_empty());
    for answer in asked.flat_map(|(_, answers)| answers) {
        match answer {
            Parsed::Done(()) => return Parsed::Done(()),
            Parsed::More { .. } => best = answer,
            Parsed::No => {}
        }
    }
    if are_records(client) || are_records(server) {
        return Parsed::Done(());
    }
    best
}

/// Encrypted records, as in the middle of a connection: one after the other, the last one cut or not.
fn are_records(stream: &[u8]) -> bool {
    if stream.len() <= 5 || stream[0] != 23 {
        return false;
    }
    let mut left = stream;
    while let [kind, major, minor, high, low, rest @ ..] = left {
        let len = usize::from(*high) << 8 | usize::from(*low);
        if !matches!((kind, major, minor), (20..=23, 3, 1..=3)) || !(1..=RECORD_LEN_MAX).contains(&len) {
            return false;
        }
        left = rest.get(len..).unwrap_or_default();
    }
    // The rest of a header is too short to say no.
    left.is_empty() || matches!(left[0], 20..=23)
}

/// A record of a handshake that begins with a message of this kind: what tells TLS from all else within six bytes.
fn begins_with_hello(stream: &[u8], kind: u8) -> Parsed<()> {
    match *stream {
        [22, 3, 0..=4, high, low, found, ..] if found == kind && usize::from(high) << 8 | usize::from(low) >= 4 => {
            Parsed::Done(())
        }
        [22, 3, 0..=4, ..] | [22, 3] | [22] | [] if stream.len() < 6 => Parsed::More { need: 6 },
        _ => Parsed::No,
    }
}

fn read(conversation: &Conversation<'_>, facts: &mut FactBuffer) -> Reading {
    write_app("tls", facts);
    read_inside(conversation, facts)
}

/// The facts of TLS alone.
pub(super) fn read_inside(conversation: &Conversation<'_>, facts: &mut FactBuffer) -> Reading {
    let (mut joined_client, mut joined_server) = (Vec::new(), Vec::new());
    let mut tls = facts.object(OBJECT);
    let hello = ClientHello::read_stream(conversation.client, &mut joined_client);
    let flight = ServerFlight::read_stream(conversation.server, &mut joined_server);
    let server = if let Parsed::Done(flight) = &flight { flight.hello } else { None };
    match hello {
        Parsed::Done(hello) => {
            write_client(&mut tls, &hello, server.as_ref());
            if !tls.keep(member::JA3) {
                tls.text(member::JA3, &ja3(&hello).hex());
            }
        }
        _ => {
            if let Parsed::Done(hello) = Sslv2Hello::read_stream(conversation.client) {
                write_version(&mut tls, server.map_or(hello.version, |server| server.version));
            }
        }
    }
    if let Parsed::Done(flight) = &flight {
        write_server(&mut tls, flight);
    }
    Reading { client: wanted(&hello, conversation.client), server: wanted(&flight, conversation.server) }
}

fn wanted<T>(answer: &Parsed<T>, stream: &[u8]) -> Wanted {
    match answer {
        Parsed::More { need } => Wanted::Bytes(*need),
        // The other side comes later, or does not.
        Parsed::No if stream.is_empty() => Wanted::Bytes(1),
        Parsed::Done(_) | Parsed::No => Wanted::Nothing,
    }
}

fn write_client(tls: &mut FactWriter<'_>, hello: &ClientHello<'_>, server: Option<&ServerHello<'_>>) {
    tls.text(member::SNI, hello.server_name.unwrap_or_default());
    if let Some(server) = server {
        tls.flag(member::RESUMED, server.is_resumed(hello) == Some(true));
    } else {
        write_version(tls, hello.best_version());
    }
    tls.list(member::ALPN, hello.alpn.iter());
    if !tls.keep(member::JA4) {
        tls.text(member::JA4, Ja4::of(hello).as_bytes());
    }
    tls.flag(member::ECH, hello.has_ech);
}

fn write_server(tls: &mut FactWriter<'_>, flight: &ServerFlight<'_>) {
    if let Some(hello) = &flight.hello {
        write_choice(tls, hello);
        tls.text(member::JA3S, &ja3s(hello).hex());
    }
    if let Some(alert) = flight.alert {
        write_alert(tls, alert);
    }
    if let Some(certificate) = flight.certificates.first().and_then(CertificateFacts::read) {
        write_certificate(tls, &certificate);
    }
}

fn write_choice(tls: &mut FactWriter<'_>, hello: &ServerHello<'_>) {
    write_version(tls, hello.version);
    tls.text(member::CIPHER, format!("0x{:04x}", hello.cipher).as_bytes());
    tls.text(member::ALPN_CHOSEN, hello.alpn.unwrap_or_default());
}

/// What the hellos of DTLS tell.
pub(super) fn write_hellos(
    client: Option<&ClientHello<'_>>,
    server: Option<&ServerHello<'_>>,
    alert: Option<TlsAlert>,
    facts: &mut FactBuffer,
) {
    let mut tls = facts.object(OBJECT);
    if let Some(hello) = client {
        write_client(&mut tls, hello, server);
    }
    if let Some(hello) = server {
        write_choice(&mut tls, hello);
    }
    if let Some(alert) = alert {
        write_alert(&mut tls, alert);
    }
}

fn write_version(tls: &mut FactWriter<'_>, version: u16) {
    match tls_version_name(version) {
        Some(name) => tls.text(member::VERSION, name.as_bytes()),
        None => tls.text(member::VERSION, format!("0x{version:04x}").as_bytes()),
    }
}

fn write_alert(tls: &mut FactWriter<'_>, alert: TlsAlert) {
    match alert.name() {
        Some(name) => tls.text(member::ALERT, name.as_bytes()),
        None => tls.text(member::ALERT, alert.description.to_string().as_bytes()),
    }
}

fn write_certificate(tls: &mut FactWriter<'_>, certificate: &CertificateFacts) {
    tls.text(member::SUBJECT, certificate.subject.as_bytes());
    tls.text(member::ISSUER, certificate.issuer.as_bytes());
    tls.list(member::NAMES, certificate.names.iter().map(String::as_bytes));
    // Before 1970 is no time that a certificate of use has.
    tls.number(member::NOT_BEFORE, u64::try_from(certificate.not_before_secs).unwrap_or(0));
    tls.number(member::NOT_AFTER, u64::try_from(certificate.not_after_secs).unwrap_or(0));
    tls.flag(member::SELF_ISSUED, certificate.is_self_issued);
}
