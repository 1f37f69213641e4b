//! BACnet/IP (ANSI/ASHRAE 135, annex J).
//!
//! Owns the header of its virtual link, whose length has to be the datagram's. Either side begins with 0x81.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

const FORWARDED: u8 = 0x04;

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let bytes = if client.is_empty() { server } else { client };
    let mut look = Look::datagram(bytes);
    look.expect(&[0x81])?;
    let function = look.u8()?;
    ensure(usize::from(look.u16()?) == bytes.len())?;
    let mark = AppMark::of(AppProtocol::BacNet);
    match function {
        // To one, to all of the network, to all of others, or passed on with the sender's address: version 1 of the network layer follows.
        FORWARDED | 0x09..=0x0b => {
            if function == FORWARDED {
                look.take(6)?;
            }
            look.expect(&[1])?;
            Ok(mark.number(1))
        }
        // A result, or a request of a device from elsewhere.
        0x00 | 0x05 if bytes.len() == 6 => Ok(mark),
        _ => Err(Unread::No),
    }
}
