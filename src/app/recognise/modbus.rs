//! Modbus over TCP (Modbus Messaging on TCP/IP 1.0b).
//!
//! Owns the header; its bytes say little, so the answer has to agree, or a request alone has to be whole.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let (transaction, unit, function) = header(client)?;
    ensure((1..=127).contains(&function))?;
    let mark = AppMark::of(AppProtocol::Modbus);
    if server.is_empty() {
        let len = usize::from(u16::from_be_bytes([client[4], client[5]]));
        return Err(if client.len() == len + 6 { Unread::Partial(mark) } else { Unread::More });
    }
    let (of_answer, same_unit, answer) = header(server)?;
    ensure(of_answer == transaction && same_unit == unit && answer & 0x7f == function)?;
    Ok(mark)
}

/// Transaction, unit and function.
fn header(bytes: &[u8]) -> Result<(u16, u8, u8), Unread<'_>> {
    let mut look = Look::stream(bytes);
    let transaction = look.u16()?;
    look.expect(&[0, 0])?;
    ensure((2..=254).contains(&look.u16()?))?;
    Ok((transaction, look.u8()?, look.u8()?))
}
