//! A worker's part of a stretch that it shares with others.
//!
//! Owns the way from the list of its packets to waves. Its invariant: the worker is left as if it had seen every packet of the
//! stretch and turned away those of others; of those, only the time can matter, and that only when it goes back, ends a tick or
//! makes a flow due.

use super::wave::Order;
use super::{BATCH_NS_MAX, Worker};
use crate::engine::stretch::Stretch;
use netscope_backends::file::prefetch_headers;
use netscope_backends::{BATCH_MAX, LinkType, Packet, Timestamp};
use std::time::Instant;

const NONE: Packet<'_> = Packet { data: &[], time: Timestamp(0), wire_len: 0, link_type: LinkType::NULL };

/// A wave out of a stretch.
struct Picked<'a> {
    stretch: &'a Stretch,
    /// Number of the stretch's first packet.
    first: u64,
    /// Indexes of the wave's packets.
    wave: &'a [u16],
    /// Index of the first packet whose time was not looked at; `None` where no time of others matters.
    passed: Option<usize>,
}

impl Order for Picked<'_> {
    #[inline(always)]
    fn number(&self, i: usize) -> u64 {
        self.first + self.wave.get(i).map_or(0, |&index| u64::from(index))
    }

    #[inline(always)]
    fn between(&self, i: usize) -> impl Iterator<Item = (u64, Timestamp)> {
        let range = match (self.passed, self.wave.get(i)) {
            (Some(passed), Some(&this)) => {
                let before = i.checked_sub(1).and_then(|i| self.wave.get(i));
                before.map_or(passed, |&before| usize::from(before) + 1)..usize::from(this)
            }
            _ => 0..0,
        };
        range.map(|index| (self.first + index as u64, self.stretch.time(index)))
    }
}

/// Takes the first wave of these packets, and asks for its headers: another core has found them and has their bytes.
#[inline(always)]
fn pick<'a>(stretch: &'a Stretch, list: &[u16], wave: &mut [Packet<'a>; BATCH_MAX]) {
    for (slot, &index) in wave.iter_mut().zip(list) {
        *slot = stretch.packet(usize::from(index));
        prefetch_headers(slot);
    }
}

impl Worker {
    /// Processes this worker's part of a stretch.
    pub fn stretch(&mut self, stretch: &Stretch) {
        let room = usize::try_from(self.count_max.saturating_sub(self.number)).unwrap_or(usize::MAX);
        let len = stretch.len().min(room);
        if self.share.leads() {
            self.ledger.beyond_count += (stretch.len() - len) as u64;
            self.tap_stretch(stretch, len);
        }
        let list = stretch.list(self.share.index);
        let list = list.get(..list.partition_point(|&index| usize::from(index) < len)).unwrap_or(list);
        let first = self.number + 1;
        let quiet_end = stretch.quiet_end(self.clock.now(), self.quiet_until).filter(|_| len == stretch.len());
        let mut passed = 0;
        let [mut packets, mut coming] = [[NONE; BATCH_MAX]; 2];
        pick(stretch, list, &mut coming);
        for (wave, next) in list.chunks(BATCH_MAX).zip((BATCH_MAX..).step_by(BATCH_MAX)) {
            let started = Instant::now();
            std::mem::swap(&mut packets, &mut coming);
            pick(stretch, list.get(next..).unwrap_or_default(), &mut coming);
            let order = Picked { stretch, first, wave, passed: quiet_end.is_none().then_some(passed) };
            self.wave(packets.get(..wave.len()).unwrap_or_default(), &order);
            passed = wave.last().map_or(passed, |&last| usize::from(last) + 1);
            let ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.batch_times.saturating_record(ns.clamp(1, BATCH_NS_MAX));
        }
        match quiet_end {
            // One step is as good as many: on the way there nothing is due.
            Some(end) => self.live_to(first, end),
            None => (passed..len).for_each(|index| self.live_to(first + index as u64, stretch.time(index))),
        }
        self.number = first + len as u64 - 1;
        self.flows.pass(self.clock.now());
    }

    fn tap_stretch(&mut self, stretch: &Stretch, len: usize) {
        if !self.outbox.has_taps() {
            return;
        }
        for start in (0..len).step_by(BATCH_MAX) {
            let mut packets = [NONE; BATCH_MAX];
            let batch = packets.get_mut(..(len - start).min(BATCH_MAX)).unwrap_or_default();
            for (packet, index) in batch.iter_mut().zip(start..) {
                *packet = stretch.packet(index);
            }
            self.outbox.tap(self.number + 1 + start as u64, batch, &mut self.ledger);
        }
    }
}
