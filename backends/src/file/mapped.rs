//! Reads a mapped capture file.
//!
//! Owns one reader's place in a mapping that several readers share. Knows no format. Its one invariant: it never looks behind
//! the end that the file had at the beginning of the call.

use std::io;
use std::sync::Arc;

use super::lend::{Lent, Selection, Stop, Tally, lend};
use super::mapping::Mapping;
use super::scout::Scout;
use super::walker::{Fault, Walker};
use super::{Ending, Reading};
use crate::Packet;

/// Bytes brought in at a time, which is more than most calls consume.
const WINDOW_LEN: usize = 2 << 20;

/// Bytes behind the place of the walk that stay: who shares it is not as far yet.
const KEPT_LEN: usize = 32 << 20;

pub(super) struct MappedReader {
    mapping: Arc<Mapping>,
    at: usize,
    /// Bytes before this were brought in.
    populated: usize,
    /// Bytes before this were given back.
    released: usize,
    walker: Walker,
    scout: Scout,
    pub(super) selection: Selection,
    pub(super) tally: Tally,
}

impl MappedReader {
    pub(super) fn new(mapping: Arc<Mapping>, selection: Selection) -> Self {
        let (walker, scout, tally) = (Walker::new(), Scout::default(), Tally::default());
        Self { mapping, at: 0, populated: 0, released: 0, walker, scout, selection, tally }
    }

    pub(super) fn bytes_total(&self) -> u64 {
        self.mapping.bytes().len() as u64
    }

    pub(super) fn read(&mut self, visit: &mut dyn FnMut(&[Packet<'_>])) -> io::Result<Reading> {
        let Self { mapping, at, populated, released, walker, scout, selection, tally } = self;
        // A window ahead; what a call may want behind it comes in page by page.
        if *at + WINDOW_LEN > *populated {
            let start = (*populated).max(*at / WINDOW_LEN * WINDOW_LEN);
            mapping.populate(start, WINDOW_LEN);
            *populated = start + WINDOW_LEN;
            // All of them at the end, at once, would keep every thread that wants memory waiting.
            let done = start.saturating_sub(KEPT_LEN);
            mapping.release(*released, done - *released);
            *released = done;
        }
        let end = mapping.len_now()?;
        let Some(bytes) = mapping.bytes().get(*at..end) else {
            return Ok(Reading::Ended(Ending::Fault(Fault::Shrunk)));
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
        let Lent { consumed, packets, stop } = lend(bytes, walker, selection, tally, Some(scout), intact, visit);
        *at += consumed;
        let is_cut = end < mapping.bytes().len() || mapping.is_hit();
        let ending = match stop {
            Stop::Full => return Ok(Reading::Lent(packets)),
            Stop::NeedMore(_) if *at == mapping.bytes().len() => Ending::Well,
            Stop::Damage(_) | Stop::NeedMore(_) | Stop::SkipAhead(_) if is_cut => Ending::Fault(Fault::Shrunk),
            Stop::NeedMore(_) | Stop::SkipAhead(_) => Ending::Fault(Fault::CutShort),
            Stop::Damage(fault) => Ending::Fault(fault),
        };
        Ok(Reading::last(packets, ending))
    }
}
