//! SSDP (UPnP Device Architecture 2.0 section 1).
//!
//! Owns its first lines.

use super::look::{Look, Looked, ensure, header};
use super::mark::{AppMark, AppProtocol};

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let bytes = if client.is_empty() { server } else { client };
    let index = Look::datagram(bytes).expect_one(&[b"M-SEARCH * HTTP/1.", b"NOTIFY * HTTP/1.", b"HTTP/1.1 200"])?;
    ensure(index < 2 || header(bytes, "st").is_some())?;
    let software = header(bytes, "server").or_else(|| header(bytes, "user-agent"));
    Ok(AppMark::of(AppProtocol::Ssdp).software(software.or_else(|| header(server, "server"))))
}
