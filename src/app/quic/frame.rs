//! The frames that Initial packets may hold (RFC 9000 sections 12.4 and 19).
//!
//! Owns where each ends. Its invariant: each takes bytes, so a packet is read in one pass.

use super::varint::{varint, varint_block};
use super::version::QuicVersion;
use crate::app::reading::ByteReader;

const PADDING: u64 = 0x00;
const PING: u64 = 0x01;
const ACK: u64 = 0x02;
const ACK_ECN: u64 = 0x03;
const CRYPTO: u64 = 0x06;
/// Google's number for it in Q050.
const CRYPTO_GOOGLE: u64 = 0x08;
const CONNECTION_CLOSE: u64 = 0x1c;
const CONNECTION_CLOSE_APPLICATION: u64 = 0x1d;

/// Longest text of a CONNECTION_CLOSE that is told.
pub const CLOSE_REASON_MAX: usize = 256;

/// Why a side gave up, as far as an Initial packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuicClose<'a> {
    /// Number of the error; 0x100 to 0x1ff are TLS alerts.
    pub error: u64,
    /// True where the application closed.
    pub is_application: bool,
    /// A text for people, at most [`CLOSE_REASON_MAX`] bytes.
    pub reason: &'a [u8],
}

/// Name of a transport error (RFC 9000 section 20.1).
pub const fn quic_error_name(error: u64) -> Option<&'static str> {
    Some(match error {
        0x00 => "NO_ERROR",
        0x01 => "INTERNAL_ERROR",
        0x02 => "CONNECTION_REFUSED",
        0x03 => "FLOW_CONTROL_ERROR",
        0x04 => "STREAM_LIMIT_ERROR",
        0x05 => "STREAM_STATE_ERROR",
        0x06 => "FINAL_SIZE_ERROR",
        0x07 => "FRAME_ENCODING_ERROR",
        0x08 => "TRANSPORT_PARAMETER_ERROR",
        0x09 => "CONNECTION_ID_LIMIT_ERROR",
        0x0a => "PROTOCOL_VIOLATION",
        0x0b => "INVALID_TOKEN",
        0x0c => "APPLICATION_ERROR",
        0x0d => "CRYPTO_BUFFER_EXCEEDED",
        0x0e => "KEY_UPDATE_ERROR",
        0x0f => "AEAD_LIMIT_REACHED",
        0x10 => "NO_VIABLE_PATH",
        0x11 => "VERSION_NEGOTIATION_ERROR",
        0x100..=0x1ff => "CRYPTO_ERROR",
        _ => return None,
    })
}

/// A frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuicFrame<'a> {
    /// Bytes of nothing, as many as stand together.
    Padding,
    /// Asks for an acknowledgment.
    Ping,
    /// Acknowledges packets up to `largest`.
    Ack {
        /// Number of the latest packet.
        largest: u64,
    },
    /// A piece of the handshake.
    Crypto {
        /// Where it belongs.
        offset: u64,
        /// Its bytes.
        data: &'a [u8],
    },
    /// The end.
    Close(QuicClose<'a>),
}

/// The frames of a packet, in order; ends at one that is cut or may not be in an Initial packet.
#[derive(Clone, Debug)]
pub struct QuicFrames<'a> {
    reader: ByteReader<'a>,
    is_google: bool,
}

impl<'a> QuicFrames<'a> {
    /// Of an opened packet.
    pub const fn new(plain: &'a [u8], version: QuicVersion) -> Self {
        Self { reader: ByteReader::new(plain), is_google: version.is_google() }
    }

    /// False where the frames ended at the packet's end.
    pub const fn has_left(&self) -> bool {
        !self.reader.is_empty()
    }

    fn frame(&mut self) -> Option<QuicFrame<'a>> {
        let reader = &mut self.reader;
        let kind = varint(reader)?;
        Some(match kind {
            PADDING => {
                let left = reader.left();
                let run = left.iter().position(|&byte| byte != 0).unwrap_or(left.len());
                reader.take(run)?;
                QuicFrame::Padding
            }
            PING => QuicFrame::Ping,
            ACK | ACK_ECN => {
                let largest = varint(reader)?;
                varint(reader)?;
                let ranges = varint(reader)?;
                varint(reader)?;
                for _ in 0..ranges {
                    varint(reader)?;
                    varint(reader)?;
                }
                for _ in 0..if kind == ACK_ECN { 3 } else { 0 } {
                    varint(reader)?;
                }
                QuicFrame::Ack { largest }
            }
            CRYPTO_GOOGLE if !self.is_google => return None,
            CRYPTO | CRYPTO_GOOGLE => QuicFrame::Crypto { offset: varint(reader)?, data: varint_block(reader)? },
            CONNECTION_CLOSE | CONNECTION_CLOSE_APPLICATION => {
                let error = varint(reader)?;
                let is_application = kind == CONNECTION_CLOSE_APPLICATION;
                if !is_application {
                    varint(reader)?;
                }
                let reason = varint_block(reader)?;
                QuicFrame::Close(QuicClose { error, is_application, reason: &reason[..reason.len().min(CLOSE_REASON_MAX)] })
            }
            _ => return None,
        })
    }
}

impl<'a> Iterator for QuicFrames<'a> {
    type Item = QuicFrame<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let before = self.reader;
        let frame = self.frame();
        if frame.is_none() {
            // What cannot be read stays; the next call finds it again and ends, too.
            self.reader = before;
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: &[u8] = &[
        0, 0, 0, 1, 2, 9, 0, 1, 3, 4, 5, 3, 7, 0, 0, 1, 1, 2, 3, 6, 0x40, 9, 2, b'h', b'i', 0x1c, 0x41, 0x28, 6, 2, b'n', b'o',
        0x1d, 5, 0,
    ];

    #[test]
    fn each_kind_is_read() {
        let mut frames = QuicFrames::new(ALL, QuicVersion::V1);
        let expected = [
            QuicFrame::Padding,
            QuicFrame::Ping,
            QuicFrame::Ack { largest: 9 },
            QuicFrame::Ack { largest: 7 },
            QuicFrame::Crypto { offset: 9, data: b"hi" },
            QuicFrame::Close(QuicClose { error: 0x128, is_application: false, reason: b"no" }),
            QuicFrame::Close(QuicClose { error: 5, is_application: true, reason: b"" }),
        ];
        assert_eq!(frames.by_ref().collect::<Vec<_>>(), expected);
        assert!(!frames.has_left());
        for cut in 0..ALL.len() {
            assert!(expected.starts_with(&QuicFrames::new(&ALL[..cut], QuicVersion::V1).collect::<Vec<_>>()), "{cut}");
        }
    }

    #[test]
    fn other_frames_end_it() {
        let mut frames = QuicFrames::new(&[1, 8, 0, 0], QuicVersion::V1);
        assert_eq!(frames.by_ref().collect::<Vec<_>>(), [QuicFrame::Ping]);
        assert!(frames.has_left());
        let google = QuicVersion(0x5130_3530);
        assert_eq!(QuicFrames::new(&[8, 0, 1, 7], google).next(), Some(QuicFrame::Crypto { offset: 0, data: &[7] }));
    }

    #[test]
    fn a_million_promised_ranges_take_no_time() {
        let frame = [2, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0];
        assert_eq!(QuicFrames::new(&frame, QuicVersion::V1).next(), None);
    }

    #[test]
    fn errors_have_names() {
        assert_eq!((quic_error_name(0x0a), quic_error_name(0x128)), (Some("PROTOCOL_VIOLATION"), Some("CRYPTO_ERROR")));
        assert_eq!(quic_error_name(0x200), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(QuicFrames::new(&bytes, QuicVersion::V1).count() <= bytes.len());
        }
    }
}
