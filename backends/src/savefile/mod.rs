//! Writes packets to capture files.
//!
//! Owns the output file, its buffer, rotation and retention. Knows no protocol. Its one invariant: what is in
//! a file is a whole number of records, after an error too, wherever the file can be cut back.
//!
//! A path that ends in `.pcapng` is written as pcapng, with nanoseconds and one interface per link type. Any
//! other is written as classic pcap with nanoseconds (magic 0xa1b23c4d), which has room for one link type:
//! that of the file's first packet.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::file::PACKET_LEN_MAX;
use crate::{BackendError, Packet, Timestamp};

mod blocks;
mod format;
mod segments;
#[cfg(test)]
mod tests;

pub use blocks::{CaptureOrigin, InterfaceStatistics};
use format::{Encoder, Refusal};
use segments::SavefileSegments;

/// Bytes gathered before they are written.
const BUFFER_LEN: usize = 1 << 20;

/// Where and how to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavefileOptions {
    /// The file. With rotation this name is not created: segments `stem.000001.ext`, `stem.000002.ext`, ...
    /// are, beginning after the highest number that is there already.
    pub path: PathBuf,
    /// Begin a new segment before one would grow beyond this many bytes. A segment holds at least one packet.
    pub rotate_bytes: Option<u64>,
    /// Begin a new segment when a packet comes this many nanoseconds after the segment's first, by the
    /// packets' own time.
    pub rotate_ns: Option<u64>,
    /// Keep this many of the newest segments, those of earlier runs under the same name included. Needs
    /// rotation.
    pub files_max: Option<u32>,
    /// Bytes kept per packet; 0 = all.
    pub snaplen: u32,
    /// Where the packets come from, for pcapng.
    pub origin: CaptureOrigin,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavefileSummary {
    /// Packets written.
    pub packets: u64,
    /// Bytes written, headers included.
    pub bytes: u64,
    /// Files created.
    pub files_created: u64,
    /// Old segments deleted.
    pub files_deleted: u64,
    /// Packets left out because classic pcap has room for one link type and theirs is another.
    pub skipped_link_type: u64,
    /// Packets left out because classic pcap has no room for a time after 2106-02-07.
    pub skipped_time: u64,
    /// Why old segments could not be deleted, the last time that was so.
    pub delete_error: Option<String>,
}

/// A capture file being written.
#[derive(Debug)]
pub struct Savefile {
    options: SavefileOptions,
    /// With rotation.
    segments: Option<SavefileSegments>,
    path: PathBuf,
    file: File,
    /// Bytes of `file` that are written.
    written: u64,
    /// Whole records to be written next.
    buffer: Vec<u8>,
    encoder: Encoder,
    /// Time of the first packet of this file.
    first_time: Option<Timestamp>,
    has_failed: bool,
    summary: SavefileSummary,
}

impl Savefile {
    /// Creates the file, or the first segment. A plain file that exists is overwritten, a segment never.
    ///
    /// # Errors
    /// [`BackendError::Io`] when that fails, or when `files_max` is given without rotation.
    pub fn create(options: &SavefileOptions) -> Result<Self, BackendError> {
        let rotates = options.rotate_bytes.is_some() || options.rotate_ns.is_some();
        if options.files_max.is_some() && !rotates {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "a number of files to keep needs rotation by size or time");
            return Err(BackendError::Io { action: "write", path: options.path.clone(), source });
        }
        let mut segments = rotates.then(|| SavefileSegments::find(&options.path)).transpose()?;
        let (path, file) = match &mut segments {
            Some(segments) => segments.create_next()?,
            None => {
                let file = File::create(&options.path);
                let fail = |source| BackendError::Io { action: "create", path: options.path.clone(), source };
                (options.path.clone(), file.map_err(fail)?)
            }
        };
        let mut savefile = Self {
            encoder: Encoder::for_path(&options.path, snaplen(options.snaplen), options.origin.clone()),
            options: options.clone(),
            segments,
            path,
            file,
            written: 0,
            buffer: Vec::with_capacity(BUFFER_LEN + PACKET_LEN_MAX + format::OVERHEAD_MAX),
            first_time: None,
            has_failed: false,
            summary: SavefileSummary { files_created: 1, ..SavefileSummary::default() },
        };
        savefile.retain();
        Ok(savefile)
    }

    /// The file being written to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was written so far.
    pub const fn summary(&self) -> &SavefileSummary {
        &self.summary
    }

    /// Writes one packet, possibly into the buffer only.
    ///
    /// # Errors
    /// [`BackendError::Io`] when the file cannot be written (a full disk). The file is then cut back to its
    /// last whole record, and every further call fails.
    pub fn write(&mut self, packet: &Packet<'_>) -> Result<(), BackendError> {
        if self.is_rotation_due(packet) {
            self.rotate()?;
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
        self.first_time.get_or_insert(packet.time);
        self.summary.packets += 1;
        if self.buffer.len() >= BUFFER_LEN { self.flush() } else { Ok(()) }
    }

    /// Hands everything to the operating system.
    ///
    /// # Errors
    /// As [`Savefile::write`].
    pub fn flush(&mut self) -> Result<(), BackendError> {
        let fail = |source| BackendError::Io { action: "write", path: self.path.clone(), source };
        if self.has_failed {
            return Err(fail(io::Error::other("an earlier write failed")));
        }
        let (len, result) = write_all(&mut self.file, &self.buffer);
        if let Err(error) = result {
            self.has_failed = true;
            let whole = self.encoder.whole_records_len(self.buffer.get(..len).unwrap_or_default(), self.written == 0);
            self.written += whole as u64;
            self.summary.bytes += whole as u64;
            self.buffer.clear();
            // Not possible for a pipe or a device; the error worth telling is the first one.
            let _ = self.file.set_len(self.written);
            return Err(fail(error));
        }
        self.written += len as u64;
        self.summary.bytes += len as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Appends what the interface counted, where there is one and the format has a place for it.
    pub fn note_statistics(&mut self, counted: &InterfaceStatistics) {
        if self.options.origin.interface.is_some() {
            let start = self.first_time.unwrap_or(counted.end);
            self.encoder
                .encode_statistics(&InterfaceStatistics { start: counted.start.min(start), ..*counted }, &mut self.buffer);
        }
    }

    /// Writes what is left, a file header too when no packet came, and closes the file.
    ///
    /// # Errors
    /// As [`Savefile::write`].
    pub fn finish(mut self) -> Result<SavefileSummary, BackendError> {
        self.encoder.encode_header(&mut self.buffer);
        self.flush()?;
        Ok(std::mem::take(&mut self.summary))
    }

    fn is_rotation_due(&self, packet: &Packet<'_>) -> bool {
        let Some(first_time) = self.first_time else { return false };
        let len = self.written + self.buffer.len() as u64 + self.encoder.record_len(packet);
        self.options.rotate_bytes.is_some_and(|max| len > max)
            || self.options.rotate_ns.is_some_and(|max| packet.time.since(first_time) >= max)
    }

    fn rotate(&mut self) -> Result<(), BackendError> {
        self.flush()?;
        let Some(segments) = &mut self.segments else { return Ok(()) };
        (self.path, self.file) = segments.create_next()?;
        self.written = 0;
        self.encoder.restart();
        self.first_time = None;
        self.summary.files_created += 1;
        self.retain();
        Ok(())
    }

    fn retain(&mut self) {
        if let (Some(segments), Some(max)) = (&mut self.segments, self.options.files_max) {
            let (deleted, error) = segments.retain(max);
            self.summary.files_deleted += deleted;
            if error.is_some() {
                self.summary.delete_error = error;
            }
        }
    }
}

impl Drop for Savefile {
    /// Nobody is left to hear of an error; [`Savefile::finish`] tells it.
    fn drop(&mut self) {
        if !self.has_failed {
            let _ = self.flush();
        }
    }
}

const fn snaplen(snaplen: u32) -> u32 {
    if snaplen == 0 || snaplen as usize > PACKET_LEN_MAX { PACKET_LEN_MAX as u32 } else { snaplen }
}

/// Writes all of `bytes`; how many were written, and why no more.
fn write_all(file: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut len = 0;
    while let Some(rest @ [_, ..]) = bytes.get(len..) {
        match file.write(rest) {
            Ok(0) => return (len, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (len, Err(error)),
        }
    }
    (len, Ok(()))
}
