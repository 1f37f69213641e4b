//! HTTP/2 over a connection without TLS (RFC 9113 section 3.3), and gRPC in it.
//!
//! Owns their names. Header lines are compressed with what went before, so none is told.

use super::write_app;
use crate::app::http1::HttpOpening;
use crate::app::http2::is_grpc;
use crate::app::{Conversation, FactBuffer, Parsed, Reading, StreamProtocol, Wanted};

/// The protocol.
pub(super) const HTTP2: StreamProtocol = StreamProtocol { is_spoken, read };

fn is_spoken(conversation: &Conversation<'_>) -> Parsed<()> {
    match HttpOpening::read_stream(conversation.client) {
        Parsed::Done(HttpOpening::Http2) => Parsed::Done(()),
        Parsed::More { need } if !conversation.client.is_empty() => Parsed::More { need },
        _ => Parsed::No,
    }
}

fn read(conversation: &Conversation<'_>, facts: &mut FactBuffer) -> Reading {
    let answer = is_grpc(conversation.client);
    write_app(if answer == Parsed::Done(true) { "grpc" } else { "http2" }, facts);
    let client = match answer {
        Parsed::More { need } => Wanted::Bytes(need),
        Parsed::Done(_) | Parsed::No => Wanted::Nothing,
    };
    Reading { client, server: Wanted::Nothing }
}
