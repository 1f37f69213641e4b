//! DNP3 (IEEE 1815), over streams and datagrams.
//!
//! Owns the header of the data link and its checksum.

use super::look::{Look, Looked, either, ensure};
use super::mark::{AppMark, AppProtocol};

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    look(Look::datagram(if client.is_empty() { server } else { client }))
}

/// Of a stream.
pub(super) fn read_stream<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    either(client, server, look)
}

fn look(mut look: Look<'_>) -> Looked<'_> {
    look.expect(&[0x05, 0x64])?;
    let rest = look.take(6)?;
    let sum = look.take(2)?;
    let header = [&[0x05, 0x64], rest].into_iter().flatten().copied();
    ensure(rest[0] >= 5 && checksum(header).to_le_bytes() == sum)?;
    Ok(AppMark::of(AppProtocol::Dnp3))
}

/// The CRC with polynomial 0x3d65, its bits in reverse order.
fn checksum(bytes: impl Iterator<Item = u8>) -> u16 {
    let shifted = |sum: u16| if sum & 1 == 1 { sum >> 1 ^ 0xa6bc } else { sum >> 1 };
    !bytes.fold(0, |sum, byte| (0..8).fold(sum ^ u16::from(byte), |sum, _| shifted(sum)))
}
