//! NAT-PMP (RFC 6886) and its successor PCP (RFC 6887).
//!
//! Owns the header of a request or an answer. Either side begins with 0x00 or 0x02.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

const ANSWER: u8 = 0x80;
/// Longest message of PCP.
const PCP_MAX: usize = 1100;

/// Of a datagram; weak, as it is short.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let bytes = if client.is_empty() { server } else { client };
    let mut look = Look::datagram(bytes);
    let (version, operation) = (look.u8()?, look.u8()?);
    let (is_answer, kind) = (operation & ANSWER != 0, operation & !ANSWER);
    let fits = match (version, is_answer, kind) {
        // The outer address; a port of UDP or TCP.
        (0, false, 0) => bytes.len() == 2,
        (0, false, 1 | 2) | (0, true, 0) => bytes.len() == 12,
        (0, true, 1 | 2) => bytes.len() == 16,
        // PCP: 24 bytes and more, in words.
        (2, _, 0..=3) => (24..=PCP_MAX).contains(&bytes.len()) && bytes.len().is_multiple_of(4),
        _ => return Err(Unread::No),
    };
    ensure(fits)?;
    Ok(AppMark::of(AppProtocol::NatPmp).number(version))
}
