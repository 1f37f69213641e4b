//! Modbus over TCP (Modbus Messaging on TCP/IP 1.0b).
//!
//! Owns the header; its bytes say little, so the answer has to agree.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let (transaction, unit, function) = header(client)?;
    ensure((1..=127).contains(&function))?;
    let (of_answer, same_unit, answer) = header(server)?;
    ensure(of_answer == transaction && same_unit == unit && answer & 0x7f == function)?;
    Ok(AppMark::of(AppProtocol::Modbus))
}

/// Transaction, unit and function.
fn header(bytes: &[u8]) -> Result<(u16, u8, u8), Unread<'_>> {
    let mut look = Look::stream(bytes);
    let transaction = look.u16()?;
    look.expect(&[0, 0])?;
    ensure((2..=254).contains(&look.u16()?))?;
    Ok((transaction, look.u8()?, look.u8()?))
}
