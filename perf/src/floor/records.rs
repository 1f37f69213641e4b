//! Records of a classic pcap file, by large reads into a buffer that stays in the cache. Its one invariant:
//! what is left over of a read stands in front of the next.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

/// Bytes in front of each packet.
pub const RECORD_HEADER_LEN: usize = 16;
const FILE_HEADER_LEN: usize = 24;
/// Longest packet accepted, as in libpcap.
const PACKET_LEN_MAX: u32 = 262_144;
/// Small enough for the second-level cache beside the table's lines.
const BUFFER_LEN: usize = 256 << 10;
/// Larger files could overflow a flow's 32-bit packet counter.
const FILE_LEN_MAX: u64 = RECORD_HEADER_LEN as u64 * (u32::MAX as u64);

/// Why a file cannot be counted.
#[derive(Debug)]
pub enum FloorError {
    /// The system refused.
    Io(io::Error),
    /// The floor reads one format only, and this is another.
    Format(&'static str),
    /// A record that cannot be: its stated length.
    Length(u32),
    /// The file ends within a record: bytes left over.
    Cut(usize),
}

impl fmt::Display for FloorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Format(what) => write!(f, "{what}; the floor reads classic little-endian pcap of Ethernet up to 64 GiB"),
            Self::Length(len) => write!(f, "damaged: a packet of {len} bytes (at most {PACKET_LEN_MAX})"),
            Self::Cut(left) => write!(f, "cut off: the last {left} bytes are not a whole packet"),
        }
    }
}

impl std::error::Error for FloorError {}

/// Captured and original length of the packet behind `header`.
#[inline(always)]
pub fn lengths(header: &[u8; RECORD_HEADER_LEN]) -> Result<(usize, u32), FloorError> {
    let captured = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    let original = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
    if captured > PACKET_LEN_MAX { Err(FloorError::Length(captured)) } else { Ok((captured as usize, original)) }
}

/// The bytes read and not yet consumed.
pub struct Buffer {
    file: File,
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// Checks the file's header and stands behind it.
    pub fn open(mut file: File) -> Result<Self, FloorError> {
        let mut header = [0; FILE_HEADER_LEN];
        file.read_exact(&mut header).map_err(FloorError::Io)?;
        match u32::from_le_bytes([header[0], header[1], header[2], header[3]]) {
            0xa1b2_c3d4 | 0xa1b2_3c4d => {}
            _ => return Err(FloorError::Format("not such a file")),
        }
        if header[20..24] != [1, 0, 0, 0] {
            return Err(FloorError::Format("its link type is not Ethernet"));
        }
        if file.metadata().map_err(FloorError::Io)?.len() > FILE_LEN_MAX {
            return Err(FloorError::Format("it is too large"));
        }
        Ok(Self { file, bytes: vec![0; BUFFER_LEN].into_boxed_slice(), start: 0, end: 0 })
    }

    /// What can be looked at.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Gives up the first `len` of [`Self::bytes`].
    pub fn consume(&mut self, len: usize) {
        self.start += len;
    }

    /// Reads more; false at the end of the file.
    pub fn refill(&mut self) -> Result<bool, FloorError> {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let read = loop {
            match self.file.read(&mut self.bytes[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(FloorError::Io)?,
            }
        };
        self.end += read;
        Ok(read > 0)
    }

    /// At the end nothing may be left.
    pub fn finish(self) -> Result<(), FloorError> {
        if self.start == self.end { Ok(()) } else { Err(FloorError::Cut(self.end - self.start)) }
    }
}
