//! Protocols that are told by their first bytes and say little more than their version: [`crate::app::recognise`] has them.
//!
//! Owns what of that are facts, and TLS behind a request for it (STARTTLS and its like).

use super::{tls, write_app_with, write_credentials};
use crate::app::recognise::{AppMark, AppProtocol, RECOGNISE_MAX, may_be_datagram, recognise_datagram, recognise_stream};
use crate::app::tls::{client_hello_behind, server_hello_behind};
use crate::app::{
    Conversation, DatagramInspector, DatagramProtocol, DatagramReading, FactBuffer, Parsed, Reading, SeenDatagram,
    StreamProtocol, Wanted, credentials_are_clear,
};

/// Over TCP.
pub(super) const MARKED_STREAM: StreamProtocol = StreamProtocol { is_spoken, read };
/// Over UDP.
pub(super) const MARKED_DATAGRAMS: DatagramProtocol = DatagramProtocol { may_be, begin: || Box::<MarkedFlow>::default() };

/// Bytes of each side in which the begin of TLS is looked for.
const PLAIN_BYTES_MAX: usize = 4096;
/// Bytes of a first datagram that are kept until the other side's comes.
const DATAGRAM_KEPT: usize = 2048;

fn mark<'a>(conversation: &Conversation<'a>) -> Parsed<AppMark<'a>> {
    if conversation.client.is_empty() && conversation.server.is_empty() {
        return Parsed::More { need: 1 };
    }
    recognise_stream(conversation.client, conversation.server, conversation.server_port)
}

fn is_spoken(conversation: &Conversation<'_>) -> Parsed<()> {
    mark(conversation).map(|_| ())
}

fn read(conversation: &Conversation<'_>, facts: &mut FactBuffer) -> Reading {
    let Parsed::Done(mark) = mark(conversation) else { return Reading::DONE };
    write_mark(&mark, facts);
    if mark.protocol == AppProtocol::Telnet {
        return read_telnet(conversation, facts);
    }
    if mark.may_grow {
        let more = |stream: &[u8]| if stream.len() < RECOGNISE_MAX { Wanted::Bytes(stream.len() + 1) } else { Wanted::Nothing };
        return Reading { client: more(conversation.client), server: more(conversation.server) };
    }
    if !may_begin_tls(mark.protocol) {
        return Reading::DONE;
    }
    let hello_at = client_hello_behind(conversation.client);
    let plain = conversation.client.get(..hello_at.unwrap_or(conversation.client.len())).unwrap_or_default();
    write_credentials(credentials_are_clear(mark.protocol, plain, conversation.server), facts);
    let Some(client_at) = hello_at else {
        let more = |stream: &[u8]| if stream.len() < PLAIN_BYTES_MAX { Wanted::Bytes(stream.len() + 1) } else { Wanted::Nothing };
        let client = more(conversation.client);
        return Reading { client, server: if client == Wanted::Nothing { client } else { more(conversation.server) } };
    };
    let server_at = server_hello_behind(conversation.server).unwrap_or(conversation.server.len());
    let inside = Conversation {
        client: conversation.client.get(client_at..).unwrap_or_default(),
        server: conversation.server.get(server_at..).unwrap_or_default(),
        ..*conversation
    };
    let Reading { client, server } = tls::read_inside(&inside, facts);
    Reading { client: client.after(client_at), server: server.after(server_at) }
}

/// Telnet has no end of a login: it is looked for in the beginning of both sides.
fn read_telnet(conversation: &Conversation<'_>, facts: &mut FactBuffer) -> Reading {
    let is_clear = credentials_are_clear(AppProtocol::Telnet, conversation.client, conversation.server);
    write_credentials(is_clear, facts);
    let are_long = [conversation.client, conversation.server].iter().any(|stream| stream.len() >= PLAIN_BYTES_MAX);
    if is_clear || are_long {
        return Reading::DONE;
    }
    Reading { client: Wanted::Bytes(conversation.client.len() + 1), server: Wanted::Bytes(conversation.server.len() + 1) }
}

/// Protocols that can turn into TLS in the middle (2595, 2817, 3207, 4217, 4511, 6120; MySQL's SSL request).
const fn may_begin_tls(protocol: AppProtocol) -> bool {
    matches!(
        protocol,
        AppProtocol::Smtp
            | AppProtocol::Imap
            | AppProtocol::Pop3
            | AppProtocol::Ftp
            | AppProtocol::Ldap
            | AppProtocol::MySql
            | AppProtocol::Rdp
            | AppProtocol::Nats
            | AppProtocol::Gnutella
            | AppProtocol::Xmpp
    )
}

fn write_mark(mark: &AppMark<'_>, facts: &mut FactBuffer) {
    let version = mark.version.map(|version| version.to_string()).unwrap_or_default();
    let (software, object) = (mark.software.unwrap_or_default(), mark.object.unwrap_or_default());
    write_app_with(mark.protocol.name(), [version.as_bytes(), software, object], facts);
}

/// A flow of datagrams: the first of each side.
#[derive(Default)]
struct MarkedFlow {
    /// Who began to be seen is the server.
    is_turned: bool,
    client: Vec<u8>,
    server: Vec<u8>,
    port: u16,
    /// What was found, once it was.
    facts: FactBuffer,
}

/// Whether anybody is to be asked of a first datagram, as of a client or of a server.
fn may_be(datagram: &SeenDatagram<'_>) -> bool {
    may_be_datagram(datagram.payload, asked_and_own(datagram))
}

/// The port that a datagram goes to, and that it comes from.
const fn asked_and_own(datagram: &SeenDatagram<'_>) -> [u16; 2] {
    let &SeenDatagram { is_clients, server_port, client_port, .. } = datagram;
    if is_clients { [server_port, client_port] } else { [client_port, server_port] }
}

impl DatagramInspector for MarkedFlow {
    fn datagram(&mut self, datagram: &SeenDatagram<'_>) -> DatagramReading {
        if self.client.is_empty() && self.server.is_empty() {
            return self.first(datagram);
        }
        let side = if datagram.is_clients == self.is_turned { &mut self.server } else { &mut self.client };
        if !side.is_empty() {
            return DatagramReading::Foreign;
        }
        side.extend_from_slice(kept(datagram.payload));
        match recognise_datagram(&self.client, &self.server, self.port) {
            Parsed::Done(mark) => {
                write_mark(&mark, &mut self.facts);
                DatagramReading::Done
            }
            Parsed::More { .. } | Parsed::No => DatagramReading::Foreign,
        }
    }

    fn kept_bytes(&self) -> usize {
        self.client.capacity() + self.server.capacity() + self.facts.memory_bytes()
    }

    fn write(&self, facts: &mut FactBuffer) {
        facts.copy(self.facts.facts());
    }
}

/// What is kept of a datagram.
fn kept(payload: &[u8]) -> &[u8] {
    &payload[..payload.len().min(DATAGRAM_KEPT)]
}

impl MarkedFlow {
    /// It asks, or it is an answer that tells enough without what was asked; then a server has sent it although its sender began, or the
    /// other way round.
    fn first(&mut self, datagram: &SeenDatagram<'_>) -> DatagramReading {
        let (payload, [asked, own]) = (datagram.payload, asked_and_own(datagram));
        let as_client = recognise_datagram(payload, &[], asked);
        if as_client.is_possible() {
            (self.is_turned, self.port) = (!datagram.is_clients, asked);
            return match as_client {
                Parsed::Done(mark) => {
                    write_mark(&mark, &mut self.facts);
                    DatagramReading::Done
                }
                _ => {
                    self.client.extend_from_slice(kept(payload));
                    DatagramReading::Unsure
                }
            };
        }
        let Parsed::Done(mark) = recognise_datagram(&[], payload, own) else { return DatagramReading::Foreign };
        write_mark(&mark, &mut self.facts);
        DatagramReading::Done
    }
}
