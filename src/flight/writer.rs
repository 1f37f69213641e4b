//! Writes recordings, on a thread of its own: packets come in boxes, files go to the store.
//!
//! Owns the open files. Knows no ring and no alert. Invariants: a recording that cannot be written leaves no file
//! behind and is counted once; nothing here holds up whoever keeps packets in memory, on a wire.

use super::{FlightCounts, FlightReply, RecordingStore};
use crate::engine::Receiver;
use netscope_backends::packed::PackedPackets;
use netscope_backends::savefile::{CaptureOrigin, Savefile, SavefileOptions};
use netscope_backends::writing::RotationOptions;
use netscope_backends::{BackendError, Packet};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Bytes of one box.
pub(super) const WRITE_BOX_BYTES: usize = 512 << 10;
/// Sleep when nothing is there.
const SLEEP: Duration = Duration::from_millis(10);
/// Failures that are told one by one; later ones are only counted.
const FAILURES_TOLD: u64 = 10;

/// How a recording begins.
#[derive(Debug)]
pub(super) struct RecordingHeader {
    pub(super) name: String,
    pub(super) comment: String,
    /// A person waits for it.
    pub(super) on_demand: bool,
    /// Somebody waits to be told of the file, and takes it away; dropped where there will be none.
    pub(super) reply: Option<FlightReply>,
}

/// Packets of one recording on their way to its file.
#[derive(Debug)]
pub(super) struct WriteBox {
    /// Which recording.
    pub(super) id: u64,
    /// Set in its first box.
    pub(super) header: Option<RecordingHeader>,
    pub(super) packets: PackedPackets,
    /// Set in its last box: whether packets are missing.
    pub(super) end: Option<bool>,
}

impl WriteBox {
    pub(super) fn new() -> Self {
        Self { id: 0, header: None, packets: PackedPackets::new(WRITE_BOX_BYTES), end: None }
    }
}

/// A file under way.
struct OpenRecording {
    header: RecordingHeader,
    temporary: PathBuf,
    savefile: Savefile,
    packets: u64,
}

/// The writing side.
pub(super) struct RecordingWriter<'a> {
    pub(super) store: RecordingStore,
    pub(super) origin: CaptureOrigin,
    pub(super) snaplen: u32,
    pub(super) notice: &'a (dyn Fn(&str) + Sync),
}

impl RecordingWriter<'_> {
    /// Writes until the sender is gone.
    pub(super) fn serve(&self, receiver: &Receiver<WriteBox>) -> FlightCounts {
        let mut counts = FlightCounts::default();
        let mut open: BTreeMap<u64, OpenRecording> = BTreeMap::new();
        receiver.parker().register();
        while !receiver.is_finished() {
            let Some(mut taken) = receiver.receive() else {
                receiver.wake_sender();
                receiver.parker().sleep(SLEEP);
                continue;
            };
            if let Err(why) = self.take(&mut taken, &mut open, &mut counts) {
                if let Some(recording) = open.remove(&taken.id) {
                    self.abandon(recording);
                }
                counts.lost_disk += 1;
                if counts.lost_disk <= FAILURES_TOLD {
                    (self.notice)(&format!("a recording is lost, the run goes on: {why}"));
                }
            }
            (taken.header, taken.end) = (None, None);
            taken.packets.clear();
            receiver.give_back(taken);
        }
        // The recorder ended in the middle of these, which only a panic does.
        open.into_values().for_each(|recording| self.abandon(recording));
        counts
    }

    /// Writes a box. Boxes of a recording that failed have no file any more.
    fn take(
        &self,
        taken: &mut WriteBox,
        open: &mut BTreeMap<u64, OpenRecording>,
        counts: &mut FlightCounts,
    ) -> Result<(), String> {
        if let Some(header) = taken.header.take() {
            open.insert(taken.id, self.begin(header)?);
        }
        let Some(recording) = open.get_mut(&taken.id) else { return Ok(()) };
        let mut at = 0;
        while let Some(found) = taken.packets.at(at) {
            recording.savefile.set_interface(found.interface);
            let packet: Packet<'_> = found.packet;
            recording.savefile.write(&packet).map_err(|error| chain(&error))?;
            recording.packets += 1;
            at = found.next;
        }
        let Some(is_incomplete) = taken.end else { return Ok(()) };
        if recording.header.reply.as_ref().is_some_and(|reply| !reply.is_wanted()) {
            // Whoever asked is gone.
            open.remove(&taken.id).into_iter().for_each(|recording| self.abandon(recording));
            return Ok(());
        }
        recording.savefile.finish().map_err(|error| chain(&error))?;
        let path = self.store.path(&recording.header.name);
        let len = self
            .store
            .commit(&recording.temporary, &recording.header.name)
            .map_err(|error| format!("cannot complete {}: {error}", path.display()))?;
        let Some(done) = open.remove(&taken.id) else { return Ok(()) };
        counts.recordings += 1;
        counts.packets += done.packets;
        counts.bytes += len;
        counts.incomplete += u64::from(is_incomplete);
        if let Some(reply) = done.header.reply {
            // Whoever asked takes the file away.
            reply.tell(Ok(path));
            return Ok(());
        }
        let (deleted, failure) = self.store.prune(&done.header.name);
        counts.files_deleted += deleted;
        if let Some(why) = failure {
            (self.notice)(&format!("an old recording could not be deleted: {why}"));
        }
        if done.header.on_demand {
            let missing = if is_incomplete { ", some are missing" } else { "" };
            (self.notice)(&format!("packets of the flight recorder: {} in {}{missing}", done.packets, path.display()));
        }
        Ok(())
    }

    fn begin(&self, header: RecordingHeader) -> Result<OpenRecording, String> {
        let cannot = |error: &io::Error| format!("cannot create {}: {error}", self.store.path(&header.name).display());
        let temporary = self.store.create_temporary(&header.name).map_err(|error| cannot(&error))?;
        let options = SavefileOptions {
            rotation: RotationOptions { path: temporary.clone(), ..RotationOptions::default() },
            snaplen: self.snaplen,
            origin: CaptureOrigin { comment: Some(header.comment.clone()), ..self.origin.clone() },
        };
        match Savefile::create(&options) {
            Ok(savefile) => Ok(OpenRecording { header, temporary, savefile, packets: 0 }),
            Err(error) => {
                self.remove(&temporary);
                Err(chain(&error))
            }
        }
    }

    fn abandon(&self, recording: OpenRecording) {
        let OpenRecording { temporary, savefile, .. } = recording;
        drop(savefile);
        self.remove(&temporary);
    }

    /// Takes away what was half-written, or says that it is left.
    fn remove(&self, temporary: &PathBuf) {
        match fs::remove_file(temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                (self.notice)(&format!("a part of a recording is left in {}: {error}", temporary.display()));
            }
            _ => {}
        }
    }
}

fn chain(error: &BackendError) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
