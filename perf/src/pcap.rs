//! The classic pcap file, as it is written here: little endian, Ethernet.
//!
//! Owns the file's header and that of a packet. Knows nothing of what is in a frame. Its one invariant: a packet
//! is written whole, with its length as the length on the wire.

use std::io::{self, Write};

/// Resolution of the timestamps in a classic capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Microseconds, magic 0xa1b2c3d4.
    Micro,
    /// Nanoseconds, magic 0xa1b23c4d.
    Nano,
}

/// A capture file in the making.
pub struct PcapFile<'a, W> {
    out: &'a mut W,
    /// Nanoseconds of a unit of its timestamps.
    unit_ns: u64,
}

impl<'a, W: Write> PcapFile<'a, W> {
    /// Begins with the file's header.
    ///
    /// # Errors
    /// A failed write.
    pub fn new(out: &'a mut W, resolution: Resolution) -> io::Result<Self> {
        let (magic, unit_ns) = match resolution {
            Resolution::Micro => (0xa1b2_c3d4_u32, 1000),
            Resolution::Nano => (0xa1b2_3c4d, 1),
        };
        let mut header = [0; 24];
        header[0..4].copy_from_slice(&magic.to_le_bytes());
        header[4..6].copy_from_slice(&2_u16.to_le_bytes());
        header[6..8].copy_from_slice(&4_u16.to_le_bytes());
        header[16..20].copy_from_slice(&SNAP_LEN.to_le_bytes());
        header[20..24].copy_from_slice(&1_u32.to_le_bytes());
        out.write_all(&header)?;
        Ok(Self { out, unit_ns })
    }

    /// Adds a frame; `time_ns` since 1970.
    ///
    /// # Errors
    /// A failed write.
    pub fn write(&mut self, time_ns: u64, frame: &[u8]) -> io::Result<()> {
        let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let seconds = u32::try_from(time_ns / 1_000_000_000).unwrap_or(u32::MAX);
        let fraction = u32::try_from(time_ns % 1_000_000_000 / self.unit_ns).unwrap_or(0);
        let mut record = [0; 16];
        for (place, value) in record.chunks_exact_mut(4).zip([seconds, fraction, len, len]) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        self.out.write_all(&record)?;
        self.out.write_all(frame)
    }
}

/// The snap length that the file's header tells: longer frames do not fit.
pub const SNAP_LEN: u32 = 65_535;
