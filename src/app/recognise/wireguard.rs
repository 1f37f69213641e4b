//! WireGuard (wireguard.com/protocol).
//!
//! Owns the kinds and lengths of its handshake messages.

use super::look::{Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let is = |bytes: &[u8], kind, len| bytes.len() == len && bytes[..4] == [kind, 0, 0, 0];
    if client.is_empty() && server.is_empty() {
        return Err(Unread::More);
    }
    let is_first = is(client, 1, 148);
    let is_answer = is(server, 2, 92) || is(server, 3, 64);
    ensure(if client.is_empty() { is_answer } else { is_first && (server.is_empty() || is_answer) })?;
    Ok(AppMark::of(AppProtocol::WireGuard))
}
