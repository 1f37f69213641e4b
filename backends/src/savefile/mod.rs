//! Writes packets to capture files.
//!
//! Owns the output file, its buffer, rotation and retention. Knows no protocol. Its one invariant: what is in
//! a file is a whole number of records, after an error too, wherever the file can be cut back.
//!
//! A path that ends in `.pcapng` is written as pcapng, with nanoseconds and one interface per link type. Any
//! other is written as classic pcap with nanoseconds (magic 0xa1b23c4d), which has room for one link type:
//! that of the file's first packet.

use crate::file::PACKET_LEN_MAX;
use crate::writing::{AppendError, OutputCompression, RotatedFile, RotationCounts, RotationOptions};
use crate::{BackendError, Packet, Timestamp};
use std::io;
use std::path::{Path, PathBuf};

mod blocks;
mod format;
#[cfg(test)]
mod tests;

pub use blocks::{CaptureOrigin, InterfaceStatistics, OriginInterface};
use format::{Encoder, Refusal};

/// Bytes gathered before they are written.
const BUFFER_LEN: usize = 1 << 20;

/// What a compressed file may have taken without holding it for sure, before compression.
const SYNC_BYTES: u64 = 4 << 20;

/// Where and how to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavefileOptions {
    /// The file, and when another one follows it, by the packets' own time.
    pub rotation: RotationOptions,
    /// Bytes kept per packet; 0 = all.
    pub snaplen: u32,
    /// Where the packets come from, for pcapng.
    pub origin: CaptureOrigin,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavefileSummary {
    /// Packets that are in the files, those deleted since included. After a failed write: exactly those that
    /// can be read.
    pub packets: u64,
    /// Bytes written, headers included, before compression.
    pub bytes: u64,
    /// What became of the files.
    pub files: RotationCounts,
    /// Packets left out because classic pcap has room for one link type and theirs is another.
    pub skipped_link_type: u64,
    /// Packets left out because classic pcap has no room for a time after 2106-02-07.
    pub skipped_time: u64,
}

/// A capture file being written.
#[derive(Debug)]
pub struct Savefile {
    file: RotatedFile,
    /// Whole records to be written next.
    buffer: Vec<u8>,
    /// Packets among them.
    buffered: u64,
    /// Packets that a compressed file has taken and need not hold yet.
    unsynced: u64,
    /// Bytes of them, before compression.
    unsynced_bytes: u64,
    encoder: Encoder,
    /// The packets come from an interface.
    has_interface: bool,
    /// Time of the first packet.
    first_time: Option<Timestamp>,
    has_failed: bool,
    summary: SavefileSummary,
}

impl Savefile {
    /// Creates the file, or the first segment. A plain file that exists is emptied when the first bytes are
    /// written, a segment is never replaced.
    ///
    /// # Errors
    /// [`BackendError::Io`] when that fails, or when `files_max` is given without rotation.
    pub fn create(options: &SavefileOptions) -> Result<Self, BackendError> {
        let path = OutputCompression::split(&options.rotation.path).0;
        Ok(Self {
            file: RotatedFile::create(&options.rotation)?,
            encoder: Encoder::for_path(path, snaplen(options.snaplen), options.origin.clone()),
            has_interface: !options.origin.interfaces.is_empty(),
            first_time: None,
            buffer: Vec::with_capacity(BUFFER_LEN + PACKET_LEN_MAX + format::OVERHEAD_MAX),
            buffered: 0,
            unsynced: 0,
            unsynced_bytes: 0,
            has_failed: false,
            summary: SavefileSummary::default(),
        })
    }

    /// The file being written to.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// What was written so far; what is buffered is not in it.
    pub fn summary(&self) -> SavefileSummary {
        SavefileSummary { files: self.file.counts().clone(), ..self.summary.clone() }
    }

    /// Segments that were closed since this was asked last.
    pub fn take_closed(&mut self) -> Vec<PathBuf> {
        self.file.take_closed()
    }

    /// Writes one packet, possibly into the buffer only.
    ///
    /// # Errors
    /// [`BackendError::Io`] when the file cannot be written (a full disk). The file is then cut back to its
    /// last whole record, and every further call fails.
    pub fn write(&mut self, packet: &Packet<'_>) -> Result<(), BackendError> {
        if self.file.is_due(self.buffer.len() as u64 + self.encoder.record_len(packet), packet.time) {
            self.write_buffer()?;
            self.file.rotate(packet.time).map_err(|error| self.fail(error))?;
            self.note_synced();
            self.encoder.restart();
        }
        match self.encoder.encode(packet, &mut self.buffer) {
            Ok(()) => {}
            Err(Refusal::LinkType) => {
                self.summary.skipped_link_type += 1;
                return Ok(());
            }
            Err(Refusal::Time) => {
                self.summary.skipped_time += 1;
                return Ok(());
            }
        }
        self.buffered += 1;
        self.first_time.get_or_insert(packet.time);
        self.file.note_time(packet.time).map_err(|error| self.fail(error))?;
        if self.buffer.len() >= BUFFER_LEN { self.write_buffer() } else { Ok(()) }
    }

    /// Hands everything to the operating system; of a compressed file so that it can be read up to here, once
    /// a second.
    ///
    /// # Errors
    /// As [`Savefile::write`].
    pub fn flush(&mut self) -> Result<(), BackendError> {
        self.write_buffer()?;
        self.sync(false)
    }

    /// Makes what a compressed file has taken readable, `now` or when it is time for it.
    fn sync(&mut self, now: bool) -> Result<(), BackendError> {
        match self.file.sync_point(now) {
            Ok(true) => self.note_synced(),
            Ok(false) => {}
            Err(source) => {
                self.file.cut(0);
                return Err(self.fail(self.file.error(source)));
            }
        }
        Ok(())
    }

    /// The packets that follow are of this interface, by its place among those of the origin.
    pub fn set_interface(&mut self, place: u8) {
        self.encoder.set_interface(place);
    }

    /// Appends what the interface at this place counted, where there is one and the format has a place for it.
    pub fn note_statistics(&mut self, place: u8, counted: &InterfaceStatistics) {
        if self.has_interface && !self.has_failed {
            let start = self.first_time.unwrap_or(counted.end).min(counted.start);
            self.encoder.encode_statistics(place, &InterfaceStatistics { start, ..*counted }, &mut self.buffer);
        }
    }

    fn write_buffer(&mut self) -> Result<(), BackendError> {
        if self.has_failed {
            return Err(self.file.error(io::Error::other("an earlier write failed")));
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        let begins_file = self.file.is_empty();
        let result = self.file.append(&self.buffer);
        let buffered = std::mem::take(&mut self.buffered);
        if let Err(AppendError { written, source }) = result {
            let (len, packets) = self.encoder.whole_records(self.buffer.get(..written).unwrap_or_default(), begins_file);
            self.summary.packets += packets;
            self.summary.bytes += len as u64;
            self.buffer.clear();
            self.file.cut((written - len) as u64);
            return Err(self.fail(self.file.error(source)));
        }
        let len = self.buffer.len() as u64;
        self.summary.bytes += len;
        self.buffer.clear();
        if !self.file.is_compressed() {
            self.summary.packets += buffered;
            return Ok(());
        }
        self.unsynced += buffered;
        self.unsynced_bytes += len;
        if self.unsynced_bytes >= SYNC_BYTES { self.sync(true) } else { Ok(()) }
    }

    fn note_synced(&mut self) {
        self.summary.packets += std::mem::take(&mut self.unsynced);
        self.unsynced_bytes = 0;
    }

    fn fail(&mut self, error: BackendError) -> BackendError {
        self.has_failed = true;
        (self.buffered, self.unsynced) = (0, 0);
        self.buffer.clear();
        error
    }

    /// Writes what is left, a file header too when no packet came, and closes the file.
    ///
    /// # Errors
    /// As [`Savefile::write`].
    pub fn finish(&mut self) -> Result<(), BackendError> {
        self.file.open_at_end()?;
        self.encoder.encode_header(&mut self.buffer);
        self.write_buffer()?;
        self.file.finish().map_err(|error| self.fail(error))?;
        self.note_synced();
        Ok(())
    }
}

impl Drop for Savefile {
    /// Nobody is left to hear of an error; [`Savefile::finish`] tells it.
    fn drop(&mut self) {
        if !self.has_failed {
            let _ = self.write_buffer();
        }
    }
}

const fn snaplen(snaplen: u32) -> u32 {
    if snaplen == 0 || snaplen as usize > PACKET_LEN_MAX { PACKET_LEN_MAX as u32 } else { snaplen }
}
