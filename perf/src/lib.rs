//! Synthetic captures: the same seed gives the same bytes on every machine.
//!
//! Owns the making of traffic for tests and benchmarks, captures of attacks and of what looks like one ([`scenario`]), and the [`floor`] they are measured against. Knows
//! nothing of NetScope itself, so that it cannot share its mistakes. Its one invariant: every packet of
//! [`Profile::ALL`] is valid (lengths, IPv4, TCP and UDP checksums, sequence and acknowledgment numbers), and
//! the capture holds exactly the packets and flows that were asked for.
#![forbid(unsafe_code)]

pub mod floor;
mod flow;
mod frame;
mod generator;
#[cfg(target_os = "linux")]
pub mod live;
mod random;
pub mod scenario;

pub use frame::FRAME_MAX;
pub use generator::{GenerateError, Generated, Generator, GeneratorSettings, Profile};

use std::io::{self, Write};

/// Resolution of the timestamps in a classic capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Microseconds, magic 0xa1b2c3d4.
    Micro,
    /// Nanoseconds, magic 0xa1b23c4d.
    Nano,
}

/// Writes a whole classic pcap file (little endian, Ethernet) of what `settings` describe.
///
/// # Errors
/// Impossible settings, or a failed write; both as [`io::Error`].
pub fn write_pcap(settings: &GeneratorSettings, resolution: Resolution, out: &mut impl Write) -> io::Result<Generated> {
    let mut generator = Generator::new(settings).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let (magic, divisor) = match resolution {
        Resolution::Micro => (0xa1b2_c3d4_u32, 1000),
        Resolution::Nano => (0xa1b2_3c4d, 1),
    };
    let mut header = [0; 24];
    header[0..4].copy_from_slice(&magic.to_le_bytes());
    header[4..6].copy_from_slice(&2_u16.to_le_bytes());
    header[6..8].copy_from_slice(&4_u16.to_le_bytes());
    header[16..20].copy_from_slice(&65_535_u32.to_le_bytes());
    header[20..24].copy_from_slice(&1_u32.to_le_bytes());
    out.write_all(&header)?;
    while let Some((time_ns, frame)) = generator.next_packet() {
        let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let seconds = u32::try_from(time_ns / 1_000_000_000).unwrap_or(u32::MAX);
        let fraction = u32::try_from(time_ns % 1_000_000_000 / divisor).unwrap_or(0);
        let mut record = [0; 16];
        for (place, value) in record.chunks_exact_mut(4).zip([seconds, fraction, len, len]) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        out.write_all(&record)?;
        out.write_all(frame)?;
    }
    Ok(generator.generated())
}
