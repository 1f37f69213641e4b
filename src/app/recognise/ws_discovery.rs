//! WS-Discovery (OASIS, version 1.1, and the draft of 2005 that devices speak).
//!
//! Owns the names of its XML. Either side begins with `<`, or with 0xef of a byte order mark.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

/// Bytes in which the name is looked for.
const HEAD_MAX: usize = 2048;
const NAMES: [&[u8]; 2] = [b"schemas.xmlsoap.org/ws/2005/04/discovery", b"docs.oasis-open.org/ws-dd/ns/discovery/"];

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let bytes = if client.is_empty() { server } else { client };
    let mut look = Look::datagram(bytes);
    if bytes.first() == Some(&0xef) {
        look.expect(&[0xef, 0xbb, 0xbf])?;
    }
    look.expect(b"<")?;
    let head = look.left();
    let head = &head[..head.len().min(HEAD_MAX)];
    ensure(NAMES.iter().any(|name| head.windows(name.len()).any(|window| window == *name)))?;
    Ok(AppMark::of(AppProtocol::WsDiscovery))
}
