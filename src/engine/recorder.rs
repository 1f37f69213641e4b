//! Writes every packet to a capture file (`--write-pcap`), off the worker.

use super::tap::PacketConsumer;
use crate::flow::FlowNote;
use netscope_backends::savefile::{Savefile, SavefileOptions, SavefileSummary};
use netscope_backends::{BackendError, Packet};

/// A savefile fed by a tap.
pub struct Recorder(Savefile);

impl Recorder {
    /// Opens the file, so that a wrong path is an error before the capture starts.
    ///
    /// # Errors
    /// When the file or the first segment cannot be created.
    pub fn create(options: &SavefileOptions) -> Result<Self, BackendError> {
        Savefile::create(options).map(Self)
    }

    /// Flushes and closes the file.
    ///
    /// # Errors
    /// When the last bytes cannot be written.
    pub fn finish(self) -> Result<SavefileSummary, BackendError> {
        self.0.finish()
    }
}

impl PacketConsumer for Recorder {
    type Error = BackendError;

    fn packet(&mut self, _number: u64, _note: Option<&FlowNote>, packet: &Packet<'_>) -> Result<(), BackendError> {
        self.0.write(packet)
    }

    fn pause(&mut self) -> Result<(), BackendError> {
        self.0.flush()
    }
}
