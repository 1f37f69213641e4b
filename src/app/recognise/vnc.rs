//! VNC's remote framebuffer protocol (RFC 6143).
//!
//! Owns the versions that both sides open with.

use super::look::{Look, Looked, either, ensure};
use super::mark::{AppMark, AppProtocol};

/// Of a stream. Both sides open alike, so one is enough where the other's beginning was missed.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    either(server, client, look)
}

fn look(mut look: Look<'_>) -> Looked<'_> {
    look.expect(b"RFB ")?;
    let version = look.take(7)?;
    look.expect(b"\n")?;
    ensure(version[3] == b'.' && version.iter().enumerate().all(|(at, byte)| at == 3 || byte.is_ascii_digit()))?;
    Ok(AppMark::of(AppProtocol::Vnc).version(version))
}
