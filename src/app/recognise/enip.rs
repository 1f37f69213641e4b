//! EtherNet/IP (ODVA's CIP Networks Library, volume 2, section 2-3).
//!
//! Owns the header of the first command. Either side begins with 0x01, 0x04, 0x63 to 0x66, 0x6f or 0x70, and 0x00.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

const REGISTER_SESSION: u8 = 0x65;
const SEND_RR_DATA: u8 = 0x6f;
const SEND_UNIT_DATA: u8 = 0x70;
/// Interface, timeout, count of items, and two items without content.
const DATA_LEN_MIN: u16 = 16;

/// Of a stream.
pub(super) fn read_stream<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    look(Look::stream(if client.is_empty() { server } else { client }))
}

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    look(Look::datagram(if client.is_empty() { server } else { client }))
}

fn look(mut look: Look<'_>) -> Looked<'_> {
    let command = look.u8()?;
    ensure(matches!(command, 0x01 | 0x04 | 0x63..=0x66 | SEND_RR_DATA | SEND_UNIT_DATA))?;
    look.expect(&[0])?;
    let len = look.u16()?.swap_bytes();
    let session = look.u32()?;
    // Status: done.
    look.expect(&[0; 4])?;
    look.take(8)?;
    // Options: none.
    look.expect(&[0; 4])?;
    match command {
        // Version 1 without options.
        REGISTER_SESSION => {
            ensure(len == 4)?;
            look.expect(&[1, 0, 0, 0])?;
        }
        // Interface: CIP.
        SEND_RR_DATA | SEND_UNIT_DATA => {
            ensure(len >= DATA_LEN_MIN && session != 0)?;
            look.expect(&[0; 4])?;
        }
        0x66 => ensure(len == 0 && session != 0)?,
        _ if session != 0 => return Err(Unread::No),
        // A question has no content; of an answer at least the count of items is there.
        _ => ensure(len != 1)?,
    }
    Ok(AppMark::of(AppProtocol::EtherNetIp))
}
