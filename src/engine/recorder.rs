//! Writes every packet to a capture file (`--write-pcap`), off the worker.

use super::tap::PacketConsumer;
use crate::flow::FlowNote;
use netscope_backends::savefile::{InterfaceStatistics, Savefile, SavefileOptions, SavefileSummary};
use netscope_backends::{BackendError, Counters, Packet, Timestamp};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Told of each segment that was closed.
pub type OnClosed = Box<dyn FnMut(&Path) + Send>;

/// A savefile fed by a tap.
pub struct Recorder {
    savefile: Savefile,
    started: Timestamp,
    on_closed: Option<OnClosed>,
    /// Packets taken without an error.
    taken: u64,
    /// Of each queue the place of its interface; empty where there is one, or none.
    interfaces: Vec<u8>,
}

impl Recorder {
    /// Opens the file, so that a wrong path is an error before the capture starts.
    ///
    /// # Errors
    /// When the file or the first segment cannot be created.
    pub fn create(options: &SavefileOptions, on_closed: Option<OnClosed>, interfaces: &[u8]) -> Result<Self, BackendError> {
        let savefile = Savefile::create(options)?;
        Ok(Self { savefile, started: now(), on_closed, taken: 0, interfaces: interfaces.to_vec() })
    }

    /// Appends what the queues `counted`, by interface, where the format has a place for it, flushes and closes the file. What is in the
    /// files, after an error too, and how many packets were taken before one.
    pub fn finish(mut self, counted: &[Counters]) -> (SavefileSummary, u64, Result<(), BackendError>) {
        let (start, end) = (self.started, now());
        let of_queue = |queue: usize| self.interfaces.get(queue).copied().unwrap_or(0);
        let last = (0..counted.len()).map(of_queue).max().unwrap_or(0);
        for place in 0..=last {
            let mut counters = Counters::default();
            counted.iter().enumerate().filter(|(queue, _)| of_queue(*queue) == place).for_each(|(_, one)| counters += one);
            self.savefile.note_statistics(place, &InterfaceStatistics { start, end, counters });
        }
        let finished = self.savefile.finish();
        self.tell_closed();
        (self.savefile.summary(), self.taken, finished)
    }

    fn tell_closed(&mut self) {
        for path in self.savefile.take_closed() {
            self.on_closed.iter_mut().for_each(|on_closed| on_closed(&path));
        }
    }
}

impl PacketConsumer for Recorder {
    type Error = BackendError;

    fn queue(&mut self, queue: usize) {
        self.savefile.set_interface(self.interfaces.get(queue).copied().unwrap_or(0));
    }

    fn packet(&mut self, _number: u64, _note: Option<&FlowNote>, packet: &Packet<'_>) -> Result<(), BackendError> {
        self.savefile.write(packet)?;
        self.taken += 1;
        Ok(())
    }

    fn pause(&mut self) -> Result<(), BackendError> {
        self.tell_closed();
        self.savefile.flush()
    }
}

/// The time of the clock that packets of an interface have.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
