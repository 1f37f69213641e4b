//! IEC 60870-5-104 of the power industry.
//!
//! Owns the frames that start and test a connection, and the first one with information. Either side begins with 0x68.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

/// Length of a frame without information, and bounds of one with it.
const CONTROL_LEN: u8 = 4;
const INFORMATION_LEN_MIN: u8 = 13;
const INFORMATION_LEN_MAX: u8 = 253;

/// Of a stream: data transfer is started, or the connection tested; where that was missed, the first information.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(if client.is_empty() { server } else { client });
    look.expect(&[0x68])?;
    let len = look.u8()?;
    if len == CONTROL_LEN {
        ensure(matches!(look.u8()?, 0x07 | 0x0b | 0x13 | 0x23 | 0x43 | 0x83))?;
        look.expect(&[0, 0, 0])?;
    } else {
        ensure((INFORMATION_LEN_MIN..=INFORMATION_LEN_MAX).contains(&len))?;
        // The first frame of this kind, and none received.
        look.expect(&[0; 4])?;
        let (kind, _, cause) = (look.u8()?, look.u8()?, look.u8()?);
        ensure((1..=127).contains(&kind) && cause & 0x3f != 0)?;
    }
    if !client.is_empty() && !server.is_empty() {
        Look::stream(server).expect(&[0x68])?;
    }
    Ok(AppMark::of(AppProtocol::Iec104))
}
