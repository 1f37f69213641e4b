//! The floor: the least that a program must do which counts flows, done as fast as one core can. What
//! NetScope is measured against.
//!
//! Owns the loop from a classic pcap file to a table of canonical 5-tuples. Knows nothing of NetScope's
//! engine, so that the two can be compared. Its one invariant: every packet of the file is counted once, in a
//! flow or as `other`.
//!
//! The loop takes 64 packets at a time: first all keys, hashes and prefetches, then all updates, so that the
//! waits for memory overlap.

mod csv;
mod key;
mod records;
mod table;

pub use csv::write_csv;
pub use key::{FloorKey, KeyedPacket, key_of};
pub use records::FloorError;
pub use table::{FloorFlow, FloorTable};

use records::{Buffer, RECORD_HEADER_LEN};
use std::fs::File;
use std::path::Path;

/// Packets in a batch.
const BATCH: usize = 64;

/// What was counted beside the flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Packets in the file.
    pub packets: u64,
    /// Bytes of all packets on the wire.
    pub bytes: u64,
    /// Packets that are in no flow: neither TCP nor UDP straight over IPv4 or IPv6, or a later fragment, or
    /// too short.
    pub other: u64,
}

/// A packet between the two halves of a batch.
#[derive(Clone, Copy, Default)]
struct Pending {
    keyed: KeyedPacket,
    home: u32,
    bytes: u32,
}

/// Reads the classic pcap file at `path` and counts its flows.
///
/// # Errors
/// When the file cannot be read, is no little-endian Ethernet pcap, or ends within a packet.
pub fn count(path: &Path) -> Result<(FloorTable, Totals), FloorError> {
    let file = File::open(path).map_err(FloorError::Io)?;
    let mut buffer = Buffer::open(file)?;
    let mut counting = Counting { table: FloorTable::new(), totals: Totals::default(), batch: [Pending::default(); BATCH] };
    while buffer.refill()? {
        let used = counting.count_all(buffer.bytes())?;
        buffer.consume(used);
    }
    buffer.finish()?;
    Ok((counting.table, counting.totals))
}

struct Counting {
    table: FloorTable,
    totals: Totals,
    batch: [Pending; BATCH],
}

impl Counting {
    /// Counts all whole records in `bytes`; how many bytes they take.
    fn count_all(&mut self, bytes: &[u8]) -> Result<usize, FloorError> {
        let mut at = 0;
        loop {
            self.table.reserve(BATCH);
            let (len, seen, next) = self.first_half(bytes, at)?;
            self.second_half(len);
            at = next;
            if seen < BATCH {
                return Ok(at);
            }
        }
    }

    /// Keys, homes, prefetches: the number of pending packets, of records seen, and where the next record
    /// begins.
    #[inline]
    fn first_half(&mut self, bytes: &[u8], mut at: usize) -> Result<(usize, usize, usize), FloorError> {
        let (mut len, mut seen, mut bytes_total) = (0, 0, 0);
        while seen < BATCH {
            let Some((header, rest)) = bytes.get(at..).and_then(<[u8]>::split_first_chunk::<RECORD_HEADER_LEN>) else { break };
            let (captured, original) = records::lengths(header)?;
            let Some(frame) = rest.get(..captured) else { break };
            at += RECORD_HEADER_LEN + captured;
            seen += 1;
            bytes_total += u64::from(original);
            let Some(keyed) = key_of(frame) else { continue };
            let home = self.table.home(&keyed.key);
            self.table.prefetch(home);
            self.batch[len] = Pending { keyed, home, bytes: original };
            len += 1;
        }
        self.totals.packets += seen as u64;
        self.totals.bytes += bytes_total;
        self.totals.other += (seen - len) as u64;
        Ok((len, seen, at))
    }

    #[inline]
    fn second_half(&mut self, len: usize) {
        for pending in &self.batch[..len] {
            self.table.count(pending.home, &pending.keyed, pending.bytes);
        }
    }
}

#[cfg(test)]
mod tests;
