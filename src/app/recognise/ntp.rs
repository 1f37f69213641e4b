//! NTP (RFC 5905).
//!
//! Owns its first bytes.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

/// Length of a packet without extensions.
const PACKET_LEN: usize = 48;

/// Of a datagram; weak, so the port has to agree.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let (bytes, modes) = if client.is_empty() { (server, [2, 4, 5]) } else { (client, [1, 3, 5]) };
    let mut look = Look::datagram(bytes);
    let (first, stratum) = (look.u8()?, look.u8()?);
    let (version, mode) = (first >> 3 & 7, first & 7);
    ensure((1..=4).contains(&version) && stratum <= 16 && modes.contains(&mode) && bytes.len() >= PACKET_LEN)?;
    Ok(AppMark::of(AppProtocol::Ntp).number(version))
}
