//! QUIC's transport parameters (RFC 9000 section 18), which a client sends in the clear.
//!
//! Owns the list's layout and the numbers that are told.

use super::google::USER_AGENT_MAX;
use super::varint::{varint, varint_alone, varint_block};
use super::version::QuicVersion;
use crate::app::reading::ByteReader;

/// Parameters of one list that are looked at; a real one has some twenty.
const PARAMETERS_MAX: usize = 128;

const MAX_IDLE_TIMEOUT: u64 = 0x01;
const MAX_UDP_PAYLOAD_SIZE: u64 = 0x03;
const INITIAL_MAX_DATA: u64 = 0x04;
const INITIAL_MAX_STREAMS_BIDI: u64 = 0x08;
const ACTIVE_CONNECTION_ID_LIMIT: u64 = 0x0e;
const VERSION_INFORMATION: u64 = 0x11;
const MAX_DATAGRAM_FRAME_SIZE: u64 = 0x20;
/// Google's parameter with the name of the program.
const GOOGLE_USER_AGENT: u64 = 0x3129;

/// What a side allows the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransportParameters<'a> {
    /// It closes after so long a silence.
    pub idle_timeout_ms: Option<u64>,
    /// Largest datagram that it takes.
    pub udp_payload_bytes_max: Option<u64>,
    /// Bytes that may be sent at first.
    pub initial_bytes_max: Option<u64>,
    /// Streams that may be opened at first.
    pub initial_streams_max: Option<u64>,
    /// Connection IDs that it keeps.
    pub connection_ids_max: Option<u64>,
    /// Largest DATAGRAM frame that it takes (RFC 9221).
    pub datagram_bytes_max: Option<u64>,
    /// The version it chose (RFC 9368).
    pub chosen_version: Option<QuicVersion>,
    /// Name of the program, at most [`USER_AGENT_MAX`] bytes; Google's programs alone send it.
    pub user_agent: Option<&'a [u8]>,
}

impl<'a> TransportParameters<'a> {
    /// Of the extension's body, up to the first parameter that is cut.
    pub fn read(body: &'a [u8]) -> Self {
        let mut reader = ByteReader::new(body);
        let mut told = Self::default();
        for _ in 0..PARAMETERS_MAX {
            let (Some(id), Some(value)) = (varint(&mut reader), varint_block(&mut reader)) else { break };
            let number = varint_alone(value);
            match id {
                MAX_IDLE_TIMEOUT => told.idle_timeout_ms = number,
                MAX_UDP_PAYLOAD_SIZE => told.udp_payload_bytes_max = number,
                INITIAL_MAX_DATA => told.initial_bytes_max = number,
                INITIAL_MAX_STREAMS_BIDI => told.initial_streams_max = number,
                ACTIVE_CONNECTION_ID_LIMIT => told.connection_ids_max = number,
                MAX_DATAGRAM_FRAME_SIZE => told.datagram_bytes_max = number,
                VERSION_INFORMATION => told.chosen_version = value.first_chunk().map(|v| QuicVersion(u32::from_be_bytes(*v))),
                GOOGLE_USER_AGENT => told.user_agent = Some(&value[..value.len().min(USER_AGENT_MAX)]),
                _ => {}
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIST: &[u8] = &[1, 4, 0x80, 0, 0x75, 0x30, 0x0e, 1, 8, 0x11, 4, 0, 0, 0, 1, 0x71, 0x29, 2, b'C', b'1', 4, 2, 0x40, 9];

    #[test]
    fn what_a_client_allows() {
        let told = TransportParameters::read(LIST);
        assert_eq!((told.idle_timeout_ms, told.connection_ids_max), (Some(30_000), Some(8)));
        assert_eq!((told.chosen_version, told.user_agent), (Some(QuicVersion::V1), Some(&b"C1"[..])));
        assert_eq!((told.initial_bytes_max, told.datagram_bytes_max), (Some(9), None));
        (0..LIST.len()).for_each(|len| assert_eq!(TransportParameters::read(&LIST[..len]).initial_bytes_max, None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            TransportParameters::read(&bytes);
        }
    }
}
