//! PostgreSQL (its protocol 3.0): the startup message, and TLS behind a request for it.
//!
//! Owns how a connection begins.

use super::{tls, write_app};
use crate::app::{Conversation, FactBuffer, Parsed, Reading, StreamProtocol, Wanted};

/// The protocol.
pub(super) const POSTGRESQL: StreamProtocol = StreamProtocol { is_spoken, read };

/// Number of its facts.
const OBJECT: u8 = 7;

/// Members of its object.
mod member {
    pub(super) const USER: u8 = 0;
    pub(super) const DATABASE: u8 = 1;
    pub(super) const APPLICATION: u8 = 2;
    pub(super) const TLS: u8 = 3;
}

/// What a client asks for TLS with, and for GSSAPI.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const GSS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];
/// Protocol 3.0, and the longest startup message that a server takes.
const VERSION: [u8; 4] = [0, 3, 0, 0];
const STARTUP_LEN_MAX: usize = 10_000;

fn is_spoken(conversation: &Conversation<'_>) -> Parsed<()> {
    match *conversation.client {
        [0, 0, high, low, a, b, c, d, ..] => {
            let len = usize::from(high) << 8 | usize::from(low);
            let is_startup = [a, b, c, d] == VERSION && (9..=STARTUP_LEN_MAX).contains(&len);
            let begins = |request: [u8; 8]| conversation.client.starts_with(&request);
            if is_startup || begins(TLS_REQUEST) || begins(GSS_REQUEST) { Parsed::Done(()) } else { Parsed::No }
        }
        [0, 0, ..] | [0] if conversation.client.len() < 8 => Parsed::More { need: 8 },
        _ => Parsed::No,
    }
}

fn read(conversation: &Conversation<'_>, facts: &mut FactBuffer) -> Reading {
    write_app("postgresql", facts);
    let (mut client, mut server) = (conversation.client, conversation.server);
    let mut skipped = [0, 0];
    // A client may ask for both, one after the other.
    for _ in 0..2 {
        let is_tls = client.starts_with(&TLS_REQUEST);
        if !is_tls && !client.starts_with(&GSS_REQUEST) {
            break;
        }
        let Some(&answer) = server.first() else {
            return Reading { client: Wanted::Bytes(skipped[0] + 9), server: Wanted::Bytes(skipped[1] + 1) };
        };
        (client, server) = (&client[8..], &server[1..]);
        skipped = [skipped[0] + 8, skipped[1] + 1];
        if is_tls && answer == b'S' {
            facts.object(OBJECT).flag(member::TLS, true);
            let inside = Conversation { client, server, ..*conversation };
            let Reading { client, server } = tls::read_inside(&inside, facts);
            return Reading { client: client.after(skipped[0]), server: server.after(skipped[1]) };
        }
    }
    let len = client.get(..4).map_or(8, |len| usize::from(len[2]) << 8 | usize::from(len[3]));
    let Some(parameters) = client.get(8..len.clamp(8, STARTUP_LEN_MAX)) else {
        return Reading { client: Wanted::Bytes(skipped[0] + len), server: Wanted::Nothing };
    };
    write_parameters(parameters, facts);
    Reading::DONE
}

/// Pairs of strings, each with a zero behind it.
fn write_parameters(parameters: &[u8], facts: &mut FactBuffer) {
    let mut postgresql = facts.object(OBJECT);
    let mut strings = parameters.split(|&byte| byte == 0);
    while let (Some(name), Some(value)) = (strings.next(), strings.next()) {
        match name {
            b"user" => postgresql.text(member::USER, bounded(value)),
            b"database" => postgresql.text(member::DATABASE, bounded(value)),
            b"application_name" => postgresql.text(member::APPLICATION, bounded(value)),
            _ => {}
        }
    }
}

fn bounded(text: &[u8]) -> &[u8] {
    &text[..text.len().min(128)]
}
