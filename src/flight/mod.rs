//! The flight recorder: the packets of the latest seconds in memory, and those that concern an alert, from before
//! and after it, in a file of their own.
//!
//! Owns the memory (rings of the boxes that workers fill), what is chosen from it, and the files. Knows no output
//! and no detector: an alert is a value with subjects. Invariants: a worker waits for nothing here on a wire; what
//! cannot be kept or written is counted; memory and disk stay within their settings.

mod comment;
mod recording;
mod request;
mod ring;
mod run;
mod selection;
mod store;
mod writer;

pub use request::{AlertRecordings, FlightQuestion, FlightReply, FlightRequest, FlightRequests};
pub use ring::{QueueRing, RingCursor};
pub use run::FlightRecorder;
pub use store::RecordingStore;

use crate::engine::FlightRing;
use netscope_backends::BackendError;
use netscope_backends::savefile::CaptureOrigin;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Recordings under way at most; more alerts at once are counted and get none.
pub const RECORDINGS_MAX: usize = 32;

/// How to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlightSettings {
    /// Where the files are; created when it is not there.
    pub directory: PathBuf,
    /// How long packets are kept in memory, by their own time, in ns.
    pub ring_ns: u64,
    /// Boxes of 1 MiB for each queue, at least 4.
    pub boxes: usize,
    /// Bytes kept of each packet.
    pub snaplen: usize,
    /// A recording begins this long before the alert's first observation, in ns.
    pub before_ns: u64,
    /// It ends this long after the alert began, in ns.
    pub after_ns: u64,
    /// Bytes of one recording.
    pub recording_bytes_max: u64,
    /// Recordings kept.
    pub files_max: u32,
    /// Bytes of all recordings kept.
    pub bytes_max: u64,
    /// Age of a recording by the clock; `None` = it does not matter.
    pub age_max: Option<Duration>,
    /// What is written on demand, in the language of pcap-filter(7); `None` = everything.
    pub filter: Option<String>,
    /// What the files say of where the packets come from.
    pub origin: CaptureOrigin,
}

impl FlightSettings {
    /// What the workers have to do.
    pub const fn ring(&self) -> FlightRing {
        FlightRing { boxes: self.boxes, snaplen: self.snaplen }
    }
}

/// What a run needs to record.
pub struct FlightSetup {
    /// How.
    pub settings: FlightSettings,
    /// Where to.
    pub store: RecordingStore,
    /// By which it is asked for; its owner keeps a copy to ask.
    pub requests: FlightRequests,
}

/// Why there can be no flight recorder.
#[derive(Debug, thiserror::Error)]
pub enum FlightError {
    /// The directory.
    #[error("cannot create recordings in {} (--recorder, recorder.directory)", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The filter.
    #[error("--recorder-filter (recorder.filter) is no filter")]
    Filter(#[from] BackendError),
}

impl FlightSetup {
    /// Creates the directory and looks whether files can be created in it, and at the filter, so that what is wrong is an error before
    /// the capture starts. `signal`: set when somebody wants what is in memory. `judges`: alerts may come.
    ///
    /// # Errors
    /// What is wrong.
    pub fn open(settings: FlightSettings, signal: Arc<AtomicBool>, judges: bool) -> Result<Self, FlightError> {
        let filter = settings.filter.as_deref().map(selection::compiled).transpose()?;
        let store = RecordingStore::open(&settings)
            .map_err(|source| FlightError::Directory { path: settings.directory.clone(), source })?;
        let requests = FlightRequests::new(signal, filter.map(Box::new), judges);
        Ok(Self { settings, store, requests })
    }
}

/// What became of packets and recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlightCounts {
    /// Packets that were not kept in memory because the recorder was slow.
    pub packets_skipped: u64,
    /// Recordings written.
    pub recordings: u64,
    /// Packets in them.
    pub packets: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Recordings that are written without some packets: the disk was slow, or memory or size had no room.
    pub incomplete: u64,
    /// Recordings lost because the disk was full or refused a write.
    pub lost_disk: u64,
    /// Recordings lost because too many were under way or asked for at once.
    pub lost_busy: u64,
    /// Old recordings deleted.
    pub files_deleted: u64,
}

impl FlightCounts {
    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        // Destructured so that a new field cannot be forgotten.
        let Self { packets_skipped, recordings, packets, bytes, incomplete, lost_disk, lost_busy, files_deleted } = other;
        Self {
            packets_skipped: self.packets_skipped + packets_skipped,
            recordings: self.recordings + recordings,
            packets: self.packets + packets,
            bytes: self.bytes + bytes,
            incomplete: self.incomplete + incomplete,
            lost_disk: self.lost_disk + lost_disk,
            lost_busy: self.lost_busy + lost_busy,
            files_deleted: self.files_deleted + files_deleted,
        }
    }
}
