//! OpenVPN (openvpn.net, network protocol).
//!
//! Owns the reset that a client opens with; with a key for packets the answer has to agree.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    look(Look::datagram(client), client.len(), Look::datagram(server))
}

/// Of a stream, where a length stands in front.
pub(super) fn read_stream<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let (mut from_client, mut from_server) = (Look::stream(client), Look::stream(server));
    let len = usize::from(from_client.u16()?);
    ensure((RESET_LEN..=RESET_LEN_MAX).contains(&len))?;
    if !server.is_empty() {
        from_server.u16()?;
    }
    look(from_client, len, from_server)
}

/// Kind, session, no acknowledgments, number 0.
const RESET_LEN: usize = 14;
/// With a hash of 64 bytes, a packet number, a time, and a wrapped key of a client.
const RESET_LEN_MAX: usize = 1200;

fn look<'a>(mut client: Look<'a>, len: usize, mut server: Look<'a>) -> Looked<'a> {
    // P_CONTROL_HARD_RESET_CLIENT_V2 and V3 with key 0.
    client.expect_one(&[&[0x38], &[0x50]])?;
    let session = client.take(8)?;
    ensure(session != [0; 8] && len <= RESET_LEN_MAX)?;
    if len == RESET_LEN {
        client.expect(&[0; 5])?;
    } else {
        ensure(len > RESET_LEN + 20)?;
        // P_CONTROL_HARD_RESET_SERVER_V2.
        server.expect(&[0x40])?;
        ensure(server.take(8)? != [0; 8])?;
    }
    Ok(AppMark::of(AppProtocol::OpenVpn))
}
