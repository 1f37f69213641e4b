//! SOCKS: the host that is asked for, and the facts of TLS or HTTP behind the handshake.
//!
//! Owns what is read behind it. The flow has the name of what is behind, where that is known, and says that it went through a proxy.

use super::{APP, http, tls, write_app_with};
use crate::app::{Conversation, FactBuffer, Parsed, Reading, SocksOpening, StreamProtocol, Wanted};

/// The protocol.
pub(super) const SOCKS: StreamProtocol = StreamProtocol { is_spoken, read };

const NAME: &str = "socks";
/// Number of the member that says through what a protocol is spoken.
const VIA: u8 = 5;

/// What is looked for behind the handshake, with the facts of it alone.
const INSIDE: [(&str, StreamProtocol); 2] = [
    ("tls", StreamProtocol { read: tls::read_inside, ..tls::TLS }),
    ("http", StreamProtocol { read: http::read_inside, ..http::HTTP }),
];

fn is_spoken(conversation: &Conversation<'_>) -> Parsed<()> {
    SocksOpening::read_stream(conversation.client, conversation.server).map(|_| ())
}

fn read(conversation: &Conversation<'_>, facts: &mut FactBuffer) -> Reading {
    let Conversation { client, server, .. } = *conversation;
    let Parsed::Done(opening) = SocksOpening::read_stream(client, server) else { return Reading::DONE };
    let host = opening.host.unwrap_or_default();
    let mut more = Reading { client: Wanted::Bytes(client.len() + 1), server: Wanted::Bytes(server.len() + 1) };
    if let Some([client_len, server_len]) = opening.lens {
        let inside = Conversation { client: &client[client_len..], server: &server[server_len..], ..*conversation };
        let answers = INSIDE.map(|(_, protocol)| (protocol.is_spoken)(&inside));
        if let Some(at) = answers.iter().position(|answer| *answer == Parsed::Done(())) {
            let (name, protocol) = &INSIDE[at];
            write_app_with(name, [&[], &[], host], facts);
            facts.object(APP).text(VIA, NAME.as_bytes());
            let Reading { client, server } = (protocol.read)(&inside, facts);
            return Reading { client: client.after(client_len), server: server.after(server_len) };
        }
        if answers.iter().all(|answer| *answer == Parsed::No) {
            more = Reading::DONE;
        }
    }
    write_app_with(NAME, [opening.version.to_string().as_bytes(), &[], host], facts);
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
        for (lens, is_http) in [([14, 12], false), ([client.len(), server.len()], true)] {
            let conversation = Conversation::new(&client[..lens[0]], &server[..lens[1]], 1080);
            assert_eq!(is_spoken(&conversation), Parsed::Done(()));
            let mut facts = FactBuffer::default();
            read(&conversation, &mut facts);
            let fact = |object, member| facts.facts().get(FactId { object, member });
            let name: &[u8] = if is_http { b"http" } else { b"socks" };
            assert_eq!(fact(0, 0), Some(FactValue::Text(name)));
            assert_eq!(fact(0, VIA), is_http.then_some(FactValue::Text(b"socks")));
            assert_eq!(fact(0, 4), Some(FactValue::Text(b"host")));
            assert_eq!(fact(4, 1), is_http.then_some(FactValue::Text(b"GET")));
        }
    }
}
