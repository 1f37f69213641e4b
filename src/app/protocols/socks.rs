//! SOCKS: the host that is asked for, and the facts of TLS or HTTP behind the handshake.
//!
//! Owns what is read behind it; the name of the flow stays `socks`.

use super::{http, tls, write_app_with};
use crate::app::{Conversation, FactBuffer, Parsed, Reading, SocksOpening, StreamProtocol, Wanted};

/// The protocol.
pub(super) const SOCKS: StreamProtocol = StreamProtocol { is_spoken, read };

fn is_spoken(conversation: &Conversation<'_>) -> Parsed<()> {
    SocksOpening::read_stream(conversation.client, conversation.server).map(|_| ())
}

fn read(conversation: &Conversation<'_>, facts: &mut FactBuffer) -> Reading {
    let Conversation { client, server, .. } = *conversation;
    let Parsed::Done(opening) = SocksOpening::read_stream(client, server) else { return Reading::DONE };
    let version = opening.version.to_string();
    write_app_with("socks", [version.as_bytes(), &[], opening.host.unwrap_or_default()], facts);
    let Some([client_len, server_len]) = opening.lens else {
        return Reading { client: Wanted::Bytes(client.len() + 1), server: Wanted::Bytes(server.len() + 1) };
    };
    let inside = Conversation { client: &client[client_len..], server: &server[server_len..], ..*conversation };
    let protocols = [(tls::TLS.is_spoken, tls::read_inside as fn(&_, &mut _) -> _), (http::HTTP.is_spoken, http::read_inside)];
    let mut more = Reading::DONE;
    for (is_spoken, read) in protocols {
        match is_spoken(&inside) {
            Parsed::Done(()) => {
                let Reading { client, server } = read(&inside, facts);
                return Reading { client: client.after(client_len), server: server.after(server_len) };
            }
            Parsed::More { .. } => {
                more = Reading { client: Wanted::Bytes(client.len() + 1), server: Wanted::Bytes(server.len() + 1) };
            }
            Parsed::No => {}
        }
    }
    more
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{FactId, FactValue};

    #[test]
    fn what_is_behind_the_handshake_is_told() {
        let client = b"\x05\x01\x00\x05\x01\x00\x03\x04host\x00\x50GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n";
        let server = b"\x05\x00\x05\x00\x00\x01\xc0\x00\x02\x01\x01\x02HTTP/1.1 204 No Content\r\n\r\n";
        for (client_len, is_http) in [(14, false), (client.len(), true)] {
            let conversation = Conversation { client: &client[..client_len], server, server_port: 1080 };
            assert_eq!(is_spoken(&conversation), Parsed::Done(()));
            let mut facts = FactBuffer::default();
            read(&conversation, &mut facts);
            let fact = |object, member| facts.facts().get(FactId { object, member });
            assert_eq!(fact(0, 0), Some(FactValue::Text(b"socks")));
            assert_eq!(fact(0, 4), Some(FactValue::Text(b"host")));
            assert_eq!(fact(4, 1), is_http.then_some(FactValue::Text(b"GET")));
        }
    }
}
