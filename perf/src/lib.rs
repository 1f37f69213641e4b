//! Synthetic captures: the same seed gives the same bytes on every machine.
//!
//! Owns the making of traffic for tests and benchmarks, captures of attacks and of what looks like one
//! ([`scenario`]), real captures many times over ([`real`]), and the [`floor`] they are measured against. Knows
//! nothing of NetScope itself, so that it cannot share its mistakes. Its one invariant: every packet of
//! [`Profile::ALL`] is valid (lengths, IPv4, TCP and UDP checksums, sequence and acknowledgment numbers), and
//! the capture holds exactly the packets and flows that were asked for.
#![forbid(unsafe_code)]

mod deep;
pub mod floor;
mod flow;
mod frame;
mod generator;
#[cfg(target_os = "linux")]
pub mod live;
mod pcap;
mod random;
pub mod real;
pub mod scenario;

pub use deep::Depth;
pub use frame::FRAME_MAX;
pub use generator::{GenerateError, Generated, Generator, GeneratorSettings, Profile};
pub use pcap::Resolution;

use pcap::PcapFile;
use std::io::{self, Write};

/// Writes a whole classic pcap file (little endian, Ethernet) of what `settings` describe.
///
/// # Errors
/// Impossible settings, or a failed write; both as [`io::Error`].
pub fn write_pcap(settings: &GeneratorSettings, resolution: Resolution, out: &mut impl Write) -> io::Result<Generated> {
    let mut generator = Generator::new(settings).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let mut file = PcapFile::new(out, resolution)?;
    while let Some((time_ns, frame)) = generator.next_packet() {
        file.write(time_ns, frame)?;
    }
    Ok(generator.generated())
}
