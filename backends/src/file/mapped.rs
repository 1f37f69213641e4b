//! Reads a mapped capture file.
//!
//! Owns one reader's place in a mapping that several readers share. Knows no format. Its one invariant: it
//! never looks behind the end that the file had at the beginning of the call.

use std::io;
use std::sync::Arc;

use super::lend::{LendEnd, Lent, LentBytes, ReadCounts, Selection, lend};
use super::scout::Scout;
use super::walker::{CaptureWalker, RecordFault};
use super::windows::{WINDOW_LEN, Windows};
use super::{Ending, MappedBytes, Reading};
use crate::Packet;

pub(super) struct MappedReader {
    windows: Arc<Windows>,
    at: usize,
    walker: CaptureWalker,
    scout: Scout,
    pub(super) selection: Selection,
    pub(super) tally: ReadCounts,
}

impl MappedReader {
    pub(super) fn new(windows: Arc<Windows>, selection: Selection) -> Self {
        let (walker, scout, tally) = (CaptureWalker::new(), Scout::default(), ReadCounts::default());
        Self { windows, at: 0, walker, scout, selection, tally }
    }

    pub(super) fn bytes(&self) -> MappedBytes {
        MappedBytes::new(Arc::clone(self.windows.mapping()))
    }

    pub(super) fn bytes_total(&self) -> u64 {
        self.windows.mapping().bytes().len() as u64
    }

    pub(super) fn read(&mut self, visit: &mut dyn FnMut(&[Packet<'_>])) -> io::Result<Reading> {
        let Self { windows, at, walker, scout, selection, tally } = self;
        windows.bring_in(*at, WINDOW_LEN);
        let mapping = windows.mapping();
        let end = mapping.len_now()?;
        let Some(bytes) = mapping.bytes().get(*at..end) else {
            return Ok(Reading::Ended(Ending::Fault(RecordFault::Shrunk)));
        };
        let intact = |batch: &[Packet<'_>]| {
            if !mapping.is_hit() {
                return batch.len();
            }
            // Pages of zeros stand where the file no longer has any: keep what lies before the new end.
            let base = mapping.bytes().as_ptr() as usize;
            let end = mapping.len_now().unwrap_or(0);
            let is_whole = |packet: &Packet<'_>| (packet.data.as_ptr() as usize).wrapping_sub(base) + packet.data.len() <= end;
            batch.iter().take_while(|packet| is_whole(packet)).count()
        };
        let Lent { consumed, packets, stop } =
            lend(LentBytes { bytes, is_all: true }, walker, selection, tally, Some(scout), intact, visit);
        *at += consumed;
        let is_cut = end < mapping.bytes().len() || mapping.is_hit();
        let ending = match stop {
            LendEnd::Full | LendEnd::Undecided => return Ok(Reading::Lent(packets)),
            LendEnd::NeedMore(_) if *at == mapping.bytes().len() => Ending::Well,
            LendEnd::Damage(_) | LendEnd::NeedMore(_) | LendEnd::SkipAhead(_) if is_cut => Ending::Fault(RecordFault::Shrunk),
            LendEnd::NeedMore(_) | LendEnd::SkipAhead(_) => Ending::Fault(RecordFault::CutShort),
            LendEnd::Damage(fault) => Ending::Fault(fault),
        };
        Ok(Reading::last(packets, ending))
    }
}
