//! Writes every packet to a capture file (`--write-pcap`), off the worker.

use super::tap::PacketConsumer;
use netscope_backends::savefile::{InterfaceStatistics, Savefile, SavefileOptions, SavefileSummary};
use netscope_backends::{BackendError, Counters, Packet, Timestamp};
use std::time::{SystemTime, UNIX_EPOCH};

/// A savefile fed by a tap.
pub struct Recorder {
    savefile: Savefile,
    started: Timestamp,
}

impl Recorder {
    /// Opens the file, so that a wrong path is an error before the capture starts.
    ///
    /// # Errors
    /// When the file or the first segment cannot be created.
    pub fn create(options: &SavefileOptions) -> Result<Self, BackendError> {
        Ok(Self { savefile: Savefile::create(options)?, started: now() })
    }

    /// Appends what the source `counted`, where the format has a place for it, flushes and closes the file.
    ///
    /// # Errors
    /// When the last bytes cannot be written.
    pub fn finish(mut self, counted: Counters) -> Result<SavefileSummary, BackendError> {
        let statistics = InterfaceStatistics { start: self.started, end: now(), counters: counted };
        self.savefile.note_statistics(&statistics);
        self.savefile.finish()
    }
}

impl PacketConsumer for Recorder {
    type Error = BackendError;

    fn packet(&mut self, _number: u64, packet: &Packet<'_>) -> Result<(), BackendError> {
        self.savefile.write(packet)
    }

    fn pause(&mut self) -> Result<(), BackendError> {
        self.savefile.flush()
    }
}

/// The time of the clock that packets of an interface have.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
