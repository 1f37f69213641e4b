//! SCTP common headers, and the types of the chunks behind them.

use super::Ports;
use super::view::{be16, be32, fixed_view};

fixed_view! {
    /// Common header (RFC 9260 section 3.1).
    Sctp, 12, Sctp
}

impl Sctp<'_> {
    /// Both ports.
    pub const fn ports(&self) -> Ports {
        Ports { source: be16(self.bytes, 0), destination: be16(self.bytes, 2) }
    }

    /// Verification tag.
    pub const fn verification_tag(&self) -> u32 {
        be32(self.bytes, 4)
    }
}

/// Name of a chunk type (IANA SCTP parameters).
pub const fn sctp_chunk_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "DATA",
        1 => "INIT",
        2 => "INIT-ACK",
        3 => "SACK",
        4 => "HEARTBEAT",
        5 => "HEARTBEAT-ACK",
        6 => "ABORT",
        7 => "SHUTDOWN",
        8 => "SHUTDOWN-ACK",
        9 => "ERROR",
        10 => "COOKIE-ECHO",
        11 => "COOKIE-ACK",
        12 => "ECNE",
        13 => "CWR",
        14 => "SHUTDOWN-COMPLETE",
        15 => "AUTH",
        64 => "I-DATA",
        128 => "ASCONF-ACK",
        130 => "RE-CONFIG",
        132 => "PAD",
        192 => "FORWARD-TSN",
        193 => "ASCONF",
        194 => "I-FORWARD-TSN",
        _ => return None,
    })
}

/// Types of the chunks in what follows the common header, up to the first with an impossible length (RFC 9260 section 3.2); each
/// moves forward by 4 bytes at least.
pub fn sctp_chunks(mut bytes: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let &[kind, _, high, low] = bytes.first_chunk()?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        bytes = if len < 4 { &[] } else { bytes.get(len.next_multiple_of(4)..).unwrap_or_default() };
        Some(kind)
    })
}
