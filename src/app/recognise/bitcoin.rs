//! Bitcoin between peers (its developer reference, P2P network).
//!
//! Owns the header of the first message, and in `version` the program's name. Either side begins with the magic number of its network:
//! 0xf9, 0x0b, 0xfa, 0x1c or 0x0a.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

/// Main network, test networks 3 and 4, the one for tests of programs, signet.
const MAGICS: [&[u8]; 5] = [
    &[0xf9, 0xbe, 0xb4, 0xd9],
    &[0x0b, 0x11, 0x09, 0x07],
    &[0x1c, 0x16, 0x3f, 0x28],
    &[0xfa, 0xbf, 0xb5, 0xda],
    &[0x0a, 0x03, 0xcf, 0x40],
];
/// Longest message.
const MESSAGE_MAX: u32 = 32 << 20;
/// Longest `version` that is waited for.
const VERSION_MAX: u32 = 512;
/// Above all numbers of versions.
const VERSION_NUMBER_MAX: u32 = 1_000_000;
/// In `version`: number, services, time, both addresses, a random number.
const BEFORE_NAME: usize = 4 + 8 + 8 + 26 + 26 + 8;

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(if client.is_empty() { server } else { client });
    look.expect_one(&MAGICS)?;
    let command = look.take(12)?;
    let name_len = command.iter().position(|&byte| byte == 0).unwrap_or(command.len());
    let (name, padding) = command.split_at(name_len);
    ensure(!name.is_empty() && name.iter().all(u8::is_ascii_alphanumeric) && padding.iter().all(|&byte| byte == 0))?;
    let len = look.u32_le()?;
    ensure(len <= MESSAGE_MAX)?;
    let mark = AppMark::of(AppProtocol::Bitcoin);
    if name != b"version" || len > VERSION_MAX {
        return Ok(mark);
    }
    // Programs before version 0.2.9 send no checksum, and the number of their version is there.
    let mut next = look;
    if next.u32_le()? >= VERSION_NUMBER_MAX {
        look.take(4)?;
    }
    let mut message = Look::datagram(look.take(len as usize)?);
    let software = message.take(BEFORE_NAME).and_then(|_| message.u8()).and_then(|len| message.take(len.into()));
    Ok(mark.software(software.ok()))
}
