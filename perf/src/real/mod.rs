//! Real captures many times over: traffic that is real packet by packet, and as much of it as a measurement needs.
//!
//! Owns the making of one capture out of those of a directory. Each is written many times, every time with other
//! addresses and another start, and all are merged by time, so that many flows are alive at once. Must not know what
//! the packets carry. Its one invariant: every copy of a flow is a flow of its own, whose packets keep their order,
//! distances, ports, payload and the rightness of their checksums.
//!
//! What is left out: captures in folders below, damaged ones, files above 64 MiB, and those that are not Ethernet or of
//! which more than a hundredth was cut by the snap length; of the others every packet that is cut, longer than 65,535
//! bytes, a fragment, malformed, or no TCP or UDP right behind IPv4 or IPv6, and tunnels over UDP, because flows
//! inside would keep their addresses. Silence of a whole capture is cut to a second. Addresses in payload stay, so
//! what they announce (data connections of FTP, answers of DNS) is not found among the flows.

mod frame;
mod source;

use crate::Resolution;
use crate::pcap::PcapFile;
use crate::random::mix;
use source::RealCapture;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Copies of captures that get addresses of their own: as many as a number of 16 bits has values.
const COPIES_MAX: usize = 1 << 16;
/// Odd, so that it makes one number of 16 bits from each, and neighbours are far apart.
const SCRAMBLE: usize = 0x9e37;
/// Starts of the copies are spread over so many ns for each packet: 33,000 packets a second, in the mean.
const SPREAD_NS_PER_PACKET: u64 = 30_000;
/// 2^64 over the golden ratio: its multiples fall evenly wherever one stops.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// When the capture begins: 2023-11-14 22:13:20 UTC.
const BEGIN_NS: u64 = 1_700_000_000_000_000_000;

/// The captures of a directory.
pub struct RealTraffic {
    sources: Vec<RealCapture>,
    left_out: Vec<(PathBuf, String)>,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Multiplied {
    /// Packets in the file.
    pub packets: u64,
    /// Bytes of frames.
    pub bytes: u64,
}

impl RealTraffic {
    /// Reads the captures (pcap, pcapng) of a directory.
    ///
    /// # Errors
    /// When it cannot be read or no capture in it is of use.
    pub fn read(directory: &Path) -> Result<Self, String> {
        let fail = |error: io::Error| format!("{}: {error}", directory.display());
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            let ending = path.extension().unwrap_or_default();
            if ["pcap", "pcapng", "cap"].iter().any(|known| ending == *known) && path.is_file() {
                paths.push(path);
            }
        }
        // In the order of their names, so that the same captures always give the same file.
        paths.sort();
        let (mut sources, mut left_out) = (Vec::new(), Vec::new());
        for path in paths {
            match RealCapture::read(&path) {
                Ok(source) => sources.push(source),
                Err(reason) => left_out.push((path, reason)),
            }
        }
        if sources.is_empty() {
            return Err(format!("{}: no capture with whole Ethernet frames of TCP or UDP", directory.display()));
        }
        Ok(Self { sources, left_out })
    }

    /// Captures that are taken.
    pub const fn captures(&self) -> usize {
        self.sources.len()
    }

    /// Packets of one copy of each capture.
    pub fn packets(&self) -> u64 {
        self.sources.iter().map(|source| source.frames.len() as u64).sum()
    }

    /// Packets that were left out of the captures that are taken.
    pub fn skipped(&self) -> usize {
        self.sources.iter().map(|source| source.skipped).sum()
    }

    /// Captures that are not taken, each with the reason.
    pub fn left_out(&self) -> &[(PathBuf, String)] {
        &self.left_out
    }

    /// A number that is another one when a frame, a time or the order of captures is.
    pub fn fingerprint(&self) -> u64 {
        let mut state = 0;
        for frame in self.sources.iter().flat_map(|source| &source.frames) {
            state = mix(state ^ frame.time_ns);
            for piece in frame.bytes.chunks(8) {
                let mut word = [0; 8];
                word[..piece.len()].copy_from_slice(piece);
                state = mix(state ^ u64::from_le_bytes(word));
            }
            state = mix(state ^ frame.bytes.len() as u64);
        }
        state
    }

    /// Copies of each capture that give at least `packets`.
    pub fn copies(&self, packets: u64) -> u64 {
        packets.div_ceil(self.packets()).max(1)
    }

    /// Writes a classic pcap file (microseconds) of at least `packets`, sorted by time. Takes 16 bytes of memory a
    /// packet.
    ///
    /// # Errors
    /// A failed write; more copies than have addresses of their own.
    pub fn write(&self, packets: u64, out: &mut impl Write) -> io::Result<Multiplied> {
        let order = self.order(packets)?;
        let mut file = PcapFile::new(out, Resolution::Micro)?;
        let mut written = Multiplied::default();
        let mut bytes = Vec::new();
        for CopiedFrame { time_ns, copy, frame } in order {
            let frame = &self.sources[copy as usize % self.sources.len()].frames[frame as usize];
            bytes.clear();
            bytes.extend_from_slice(&frame.bytes);
            frame::readdress(&mut bytes, frame.places, number(copy));
            file.write(BEGIN_NS + time_ns, &bytes)?;
            written.packets += 1;
            written.bytes += bytes.len() as u64;
        }
        Ok(written)
    }

    /// All packets in the order of their times, those of a copy in their own order.
    fn order(&self, packets: u64) -> io::Result<Vec<CopiedFrame>> {
        let copies = usize::try_from(self.copies(packets)).ok().and_then(|copies| copies.checked_mul(self.sources.len()));
        let copies = copies.filter(|copies| *copies <= COPIES_MAX).ok_or_else(|| {
            let one = self.packets();
            let reason = format!("{packets} packets of captures with {one} are more than {COPIES_MAX} copies");
            io::Error::new(io::ErrorKind::InvalidInput, reason)
        })?;
        let spread_ns = packets.saturating_mul(SPREAD_NS_PER_PACKET);
        let mut order = Vec::new();
        for (copy, source) in (0..copies as u32).zip(self.sources.iter().cycle()) {
            let place = u64::from(copy).wrapping_mul(GOLDEN);
            let start_ns = ((u128::from(place) * u128::from(spread_ns)) >> 64) as u64;
            let entries = source.frames.iter().zip(0..);
            order.extend(entries.map(|(frame, number)| CopiedFrame { time_ns: start_ns + frame.time_ns, copy, frame: number }));
        }
        order.sort_unstable();
        Ok(order)
    }
}

/// A packet of the capture that is written; the order of the fields is that of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct CopiedFrame {
    time_ns: u64,
    /// Of which copy; captures take turns.
    copy: u32,
    /// The frame's place in its capture.
    frame: u32,
}

/// The number by which the addresses of a copy differ; 0, the original's, for the first one.
const fn number(copy: u32) -> u16 {
    (copy as usize).wrapping_mul(SCRAMBLE) as u16
}

#[cfg(test)]
mod tests;
