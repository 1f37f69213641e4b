//! DCE/RPC over TCP (The Open Group's C706, chapter 12; MS-RPCE).
//!
//! Owns the common header. A client begins with 0x05 and 0x00 or 0x01.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

const HEADER_LEN: u16 = 16;

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(if client.is_empty() { server } else { client });
    look.expect(&[5])?;
    let minor = look.u8()?;
    let kind = look.u8()?;
    // Request, response, fault, bind and its answers, alter context and its answer, authentication.
    ensure(minor <= 1 && matches!(kind, 0 | 2 | 3 | 11..=16))?;
    look.u8()?;
    // Numbers with the low or the high byte first, ASCII, IEEE floats.
    let is_little = look.expect_one(&[&[0x10, 0, 0, 0], &[0, 0, 0, 0]])? == 0;
    let lens = [look.u16()?, look.u16()?].map(|len| if is_little { len.swap_bytes() } else { len });
    ensure(lens[0] > HEADER_LEN && lens[1] < lens[0])?;
    Ok(AppMark::of(AppProtocol::DceRpc).pair(5, minor))
}
