//! Several capture files read together, by the times of their packets.
//!
//! Owns a buffer of copied packets per file. Knows no format. Its invariants: packets of one file keep their order, and of two files
//! the packet with the smaller time comes first, that of the file named first where both are equal (as mergecap(1) does).

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use super::series::{Faults, bytes_of, no_files};
use super::{CaptureFile, FileBackend, FileOptions};
use crate::{BATCH_MAX, Backend, BackendError, Counters, LinkType, Packet, Polled, Position, Timestamp};

/// Most files that are merged: all of them are open at a time.
pub const MERGED_FILES_MAX: usize = 512;

/// Longest wait for a regular file, which never has to be waited for.
const NO_WAIT: Duration = Duration::ZERO;

/// Capture files, merged by time.
pub struct FileMerge {
    inputs: Vec<MergeInput>,
    /// Time of the next packet of each file that has one, and the file's place.
    heads: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// The file whose packets were used up by the last call.
    empty: Option<usize>,
    link_type: LinkType,
    bytes_total: u64,
    faults: Faults,
}

/// One file and the packets that were copied out of it.
struct MergeInput {
    file: FileBackend,
    bytes: Vec<u8>,
    packets: Vec<HeldPacket>,
    next: Cell<usize>,
}

/// A packet whose bytes lie in its file's buffer.
struct HeldPacket {
    time: Timestamp,
    data: Range<usize>,
    wire_len: u32,
    link_type: LinkType,
}

impl FileMerge {
    /// Opens all `files` and reads the first packets of each.
    ///
    /// # Errors
    /// What opening one of them says, or that there are more than [`MERGED_FILES_MAX`].
    pub fn open(files: &[PathBuf], options: &FileOptions) -> Result<Self, BackendError> {
        let Some(last) = files.last() else { return Err(no_files()) };
        if files.len() > MERGED_FILES_MAX {
            let what = format!("{} files are too many to be merged; the limit is {MERGED_FILES_MAX}", files.len());
            return Err(BackendError::Format { path: last.clone(), what });
        }
        let bytes_total = bytes_of(files)?;
        let open = |path: &PathBuf| Ok(MergeInput::new(CaptureFile::open(path, options)?.backend()?));
        let inputs = files.iter().map(open).collect::<Result<Vec<_>, BackendError>>()?;
        let link_type = inputs.first().map_or(LinkType::ETHERNET, |input| input.file.link_type());
        let (heads, faults) = (BinaryHeap::with_capacity(inputs.len()), Faults::default());
        let mut merge = Self { inputs, heads, empty: None, link_type, bytes_total, faults };
        (0..merge.inputs.len()).for_each(|place| merge.fill(place));
        Ok(merge)
    }

    /// Has the file's next packets copied, if there are any.
    fn fill(&mut self, place: usize) {
        let Some(input) = self.inputs.get_mut(place) else { return };
        if let Err(error) = input.fill() {
            self.faults.note(error);
        }
        if let Some(head) = input.head() {
            self.heads.push(Reverse((head.time, place)));
        }
    }

    /// Lends packets in order: a batch, or as many as there are before a file has to be read on.
    fn lend(&mut self, visit: &mut dyn FnMut(&[Packet<'_>])) -> u32 {
        let Self { inputs, heads, empty, link_type, .. } = self;
        let mut batch = [Packet { data: &[], time: Timestamp(0), wire_len: 0, link_type: *link_type }; BATCH_MAX];
        let mut len = 0;
        for slot in &mut batch {
            let Some(Reverse((_, place))) = heads.pop() else { break };
            let Some(input) = inputs.get(place) else { break };
            let Some(packet) = input.take() else { break };
            *slot = packet;
            len += 1;
            match input.head() {
                Some(head) => heads.push(Reverse((head.time, place))),
                None => {
                    *empty = Some(place);
                    break;
                }
            }
        }
        if let Some(lent @ [_, ..]) = batch.get(..len) {
            visit(lent);
        }
        len as u32
    }
}

impl MergeInput {
    fn new(file: FileBackend) -> Self {
        Self { file, bytes: Vec::new(), packets: Vec::new(), next: Cell::new(0) }
    }

    /// Copies what one or more polls lend. Without a packet the file is over.
    fn fill(&mut self) -> Result<(), BackendError> {
        let Self { file, bytes, packets, next } = self;
        bytes.clear();
        packets.clear();
        next.set(0);
        while packets.is_empty() {
            let polled = file.poll(NO_WAIT, &mut |lent| {
                for packet in lent {
                    let start = bytes.len();
                    bytes.extend_from_slice(packet.data);
                    let &Packet { time, wire_len, link_type, .. } = packet;
                    packets.push(HeldPacket { time, data: start..bytes.len(), wire_len, link_type });
                }
            })?;
            if polled == Polled::End {
                break;
            }
        }
        Ok(())
    }

    fn head(&self) -> Option<&HeldPacket> {
        self.packets.get(self.next.get())
    }

    fn take(&self) -> Option<Packet<'_>> {
        let HeldPacket { time, data, wire_len, link_type } = self.head()?;
        self.next.set(self.next.get() + 1);
        let data = self.bytes.get(data.clone())?;
        Some(Packet { data, time: *time, wire_len: *wire_len, link_type: *link_type })
    }
}

impl Backend for FileMerge {
    fn link_type(&self) -> LinkType {
        self.link_type
    }

    fn waits(&self) -> bool {
        true
    }

    fn poll(&mut self, _timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        if let Some(place) = self.empty.take() {
            self.fill(place);
        }
        match self.lend(visit) {
            0 => self.faults.end(),
            lent => Ok(Polled::Lent(lent)),
        }
    }

    /// Packets that were copied and not lent yet are not part of it.
    fn counters(&mut self) -> Result<Counters, BackendError> {
        let mut counters = Counters::default();
        for input in &mut self.inputs {
            counters += &input.file.counters()?;
            counters.received -= (input.packets.len() - input.next.get()) as u64;
        }
        Ok(counters)
    }

    fn notice(&mut self) -> Option<String> {
        self.faults.next_notice(|| self.inputs.iter_mut().find_map(|input| input.file.notice()))
    }

    fn position(&self) -> Position {
        let bytes_read = self.inputs.iter().map(|input| input.file.position().bytes_read).sum();
        Position { bytes_read, bytes_total: self.bytes_total }
    }
}
