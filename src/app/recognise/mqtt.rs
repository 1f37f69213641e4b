//! MQTT 3.1 to 5 (OASIS).
//!
//! Owns the beginning of CONNECT. User name and password are passed over.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

const CONNECT: u8 = 0x10;

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(client);
    look.expect(&[CONNECT])?;
    let mut len_bytes = 1;
    while look.u8()? & 0x80 != 0 {
        len_bytes += 1;
        ensure(len_bytes <= 4)?;
    }
    look.expect_one(&[b"\0\x04MQTT", b"\0\x06MQIsdp"])?;
    let version: &[u8] = match look.u8()? {
        3 => b"3.1",
        4 => b"3.1.1",
        5 => b"5.0",
        _ => return Err(Unread::No),
    };
    Ok(AppMark::of(AppProtocol::Mqtt).version(version))
}
