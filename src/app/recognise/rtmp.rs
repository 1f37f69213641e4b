//! RTMP (Adobe's specification 1.0).
//!
//! Owns the way over the handshake to the command `connect`. Both sides begin with 0x03.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

const VERSION: u8 = 3;
/// Each side sends two of them.
const HANDSHAKE_LEN: usize = 1536;
/// A string of AMF 0.
const CONNECT: &[u8] = b"\x02\0\x07connect";

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let (mut look, mut answer) = (Look::stream(client), Look::stream(server));
    look.expect(&[VERSION])?;
    if !server.is_empty() {
        answer.expect(&[VERSION])?;
    }
    look.take(2 * HANDSHAKE_LEN)?;
    // A chunk with a whole header: its stream, time, length, kind 20 (a command of AMF 0), its message stream.
    let first = look.u8()?;
    ensure(first >> 6 == 0)?;
    look.take(if first & 0x3f < 2 { usize::from(first & 0x3f) + 1 } else { 0 })?;
    let header = look.take(11)?;
    ensure(header[6] == 20)?;
    look.expect(CONNECT)?;
    Ok(AppMark::of(AppProtocol::Rtmp).number(VERSION))
}
