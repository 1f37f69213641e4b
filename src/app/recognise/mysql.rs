//! MySQL and MariaDB (connection phase).
//!
//! Owns the greeting and the database in the answer; user and password are passed over.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

/// Longest version in a greeting.
const VERSION_LEN_MAX: usize = 64;

const CONNECT_WITH_DB: u32 = 0x8;
const TLS: u32 = 0x800;
const SECURE_CONNECTION: u32 = 0x8000;
const AUTH_WITH_LENGTH: u32 = 0x20_0000;

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(server);
    let [low, mid, high] = [look.u8()?, look.u8()?, look.u8()?];
    ensure(high == 0 && u16::from_le_bytes([low, mid]) >= 20)?;
    // Packet 0, version 10 of the protocol.
    look.expect(&[0, 10])?;
    let version = look.until(0, VERSION_LEN_MAX)?;
    ensure(version.first().is_some_and(u8::is_ascii_digit) && version.is_ascii())?;
    let mark = AppMark::of(AppProtocol::MySql).version(version);
    match database(client) {
        Ok(name) => Ok(mark.object(name)),
        Err(Unread::No) => Ok(mark),
        Err(_) => Err(Unread::Partial(mark)),
    }
}

/// The database that a client asks for when it opens.
fn database(client: &[u8]) -> Result<&[u8], Unread<'_>> {
    let mut look = Look::stream(client);
    let [low, mid, high] = [look.u8()?, look.u8()?, look.u8()?];
    let len = usize::from(high) << 16 | usize::from(mid) << 8 | usize::from(low);
    look.u8()?;
    ensure(len <= 4000)?;
    let mut packet = Look::datagram(look.take(len)?);
    let capabilities = packet.u32_le()?;
    ensure(capabilities & CONNECT_WITH_DB != 0 && (capabilities & TLS == 0 || len > 32))?;
    packet.take(4 + 1 + 23)?;
    packet.until(0, 256)?;
    if capabilities & (SECURE_CONNECTION | AUTH_WITH_LENGTH) != 0 {
        let len = packet.u8()?;
        // Above 250 a length takes more bytes; no proof of a password is so long.
        ensure(len <= 250)?;
        packet.take(len.into())?;
    } else {
        packet.until(0, 256)?;
    }
    packet.until(0, 256)
}
