//! SIP (RFC 3261).
//!
//! Owns the first line and the name of the program. Who calls whom is passed over.

use super::look::{Look, Looked, ensure, header};
use super::mark::{AppMark, AppProtocol};

const METHODS: [&[u8]; 14] = [
    b"INVITE ",
    b"ACK ",
    b"BYE ",
    b"CANCEL ",
    b"OPTIONS ",
    b"REGISTER ",
    b"PRACK ",
    b"SUBSCRIBE ",
    b"NOTIFY ",
    b"PUBLISH ",
    b"INFO ",
    b"REFER ",
    b"MESSAGE ",
    b"UPDATE ",
];

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let bytes = if client.is_empty() { server } else { client };
    look(Look::datagram(bytes), bytes, server)
}

/// Of a stream.
pub(super) fn read_stream<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    look(Look::stream(client), client, server)
}

fn look<'a>(mut look: Look<'a>, head: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    if look.expect(b"SIP/2.0 ").is_err() {
        look.expect_one(&METHODS)?;
        look.expect_one(&[b"sip:", b"sips:", b"tel:"])?;
        ensure(look.line()?.ends_with(b" SIP/2.0"))?;
    }
    let software = header(head, "user-agent").or_else(|| header(head, "server")).or_else(|| header(server, "server"));
    Ok(AppMark::of(AppProtocol::Sip).version(&b"2.0"[..]).software(software))
}
