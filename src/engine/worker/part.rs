//! A worker's part of a unit that it shares with others.
//!
//! Owns the way from the list of its packets to waves. Its invariant: the worker is left as if it had seen the time of every packet of
//! the unit, and of those that are not its own nothing else; that time can matter only when it goes back, ends a tick or makes a
//! flow due.

use super::Worker;
use super::tapped::ExtraWork;
use super::wave::PacketSource;
use crate::engine::Observer;
use crate::engine::packet_meta::PacketMeta;
use crate::engine::unit_fragments::UnitFragment;
use crate::engine::work_unit::WorkUnit;
use netscope_backends::{BATCH_MAX, Packet, Timestamp};
use std::time::Instant;

/// A wave out of a unit.
struct Picked<'a> {
    unit: &'a WorkUnit,
    /// Number of the unit's first packet.
    first: u64,
    /// The wave's packets.
    wave: &'a [PacketMeta],
    /// Index of the first packet whose time was not looked at.
    passed: usize,
}

impl PacketSource for Picked<'_> {
    fn packet(&self, i: usize) -> Packet<'_> {
        self.unit.packet(usize::from(self.wave[i].index))
    }

    fn number(&self, i: usize) -> u64 {
        self.first + u64::from(self.wave[i].index)
    }

    fn fragment(&self, i: usize) -> Option<&UnitFragment> {
        self.unit.fragment(self.wave[i].index)
    }

    fn time_steps(&self, i: usize, visit: &mut dyn FnMut(u64, Timestamp)) {
        let before = i.checked_sub(1).map_or(self.passed, |i| usize::from(self.wave[i].index) + 1);
        (before..usize::from(self.wave[i].index)).for_each(|index| visit(self.first + index as u64, self.unit.time(index)));
    }
}

impl<O: Observer> Worker<O> {
    /// Processes this worker's part of a unit.
    pub fn work_unit(&mut self, unit: &WorkUnit) {
        let room = usize::try_from(self.count_max.saturating_sub(self.number)).unwrap_or(usize::MAX);
        let len = unit.len().min(room);
        if self.share.leads() {
            self.ledger.beyond_count += (unit.len() - len) as u64;
            self.tap_unit(unit, len);
            if let Some(bursts) = &mut self.bursts {
                unit.measure(len, bursts);
            }
            if let Some(meter) = &mut self.tick_meter {
                unit.count_sizes(len, meter);
            }
        }
        let mut listed = std::mem::take(&mut self.listed);
        let is_open = unit.list(self.share.index, &mut listed);
        let list = &listed[..];
        let list = list.get(..list.partition_point(|meta| usize::from(meta.index) < len)).unwrap_or(list);
        let first = self.number + 1;
        let last_time = unit.last_time(self.clock.now(), self.next_deadline).filter(|_| len == unit.len());
        let times = list.iter().map(|meta| meta.time).chain([self.clock.now(), unit.time(len.saturating_sub(1))]);
        let passed = match (last_time, self.extra(first, self.number + len as u64, times)) {
            (Some(_), ExtraWork::None) => self.waves::<true, { ExtraWork::NONE }>(unit, list, is_open),
            (None, ExtraWork::None) => self.waves::<false, { ExtraWork::NONE }>(unit, list, is_open),
            (Some(_), ExtraWork::Directions) => self.waves::<true, { ExtraWork::DIRECTIONS }>(unit, list, is_open),
            (None, ExtraWork::Directions) => self.waves::<false, { ExtraWork::DIRECTIONS }>(unit, list, is_open),
            (Some(_), ExtraWork::Inspection) => self.waves::<true, { ExtraWork::INSPECTION }>(unit, list, is_open),
            (None, ExtraWork::Inspection) => self.waves::<false, { ExtraWork::INSPECTION }>(unit, list, is_open),
            (Some(_), ExtraWork::All) => self.waves::<true, { ExtraWork::ALL }>(unit, list, is_open),
            (None, ExtraWork::All) => self.waves::<false, { ExtraWork::ALL }>(unit, list, is_open),
        };
        match last_time {
            // One step is as good as many: on the way there nothing is due.
            Some(end) => self.live_to(first, end),
            None => (passed..len).for_each(|index| self.live_to(first + index as u64, unit.time(index))),
        }
        self.number = first + len as u64 - 1;
        self.flows.pass(self.clock.now());
        self.listed = listed;
        // Who puts the packets of all workers in order never waits for what lies here.
        if self.outbox.taps_in_sequence() {
            self.outbox.flush_taps();
        }
    }

    /// Processes these packets; returns the index behind the last of them. `ALONE`: no time of others
    /// matters. `EXTRA`: as of a wave. `is_open`: some metas are to be completed.
    fn waves<const ALONE: bool, const EXTRA: u8>(&mut self, unit: &WorkUnit, list: &[PacketMeta], is_open: bool) -> usize {
        let (first, mut passed) = (self.number + 1, 0);
        // Taken out for as long as the worker changes; vectors without memory stand in.
        let (mut metas, mut facts) = (std::mem::take(&mut self.metas), std::mem::take(&mut self.facts));
        self.prefetch_buckets(list.get(..BATCH_MAX).unwrap_or(list));
        let mut started = Instant::now();
        for (wave, next) in list.chunks(BATCH_MAX).zip((BATCH_MAX..).step_by(BATCH_MAX)) {
            let coming = list.get(next..).unwrap_or_default();
            self.prefetch_buckets(coming.get(..BATCH_MAX).unwrap_or(coming));
            let source = Picked { unit, first, wave, passed };
            match metas.get_mut(..wave.len()) {
                Some(own) if is_open && wave.iter().any(PacketMeta::is_open) => {
                    own.copy_from_slice(wave);
                    self.complete(own, &mut facts, &source);
                    self.update::<ALONE, EXTRA>(own, &mut facts, &source);
                }
                _ => self.update::<ALONE, EXTRA>(wave, &mut facts, &source),
            }
            passed = wave.last().map_or(passed, |last| usize::from(last.index) + 1);
            let ended = Instant::now();
            let ns = u64::try_from((ended - started).as_nanos()).unwrap_or(u64::MAX);
            self.note_batch(ns);
            started = ended;
        }
        (self.metas, self.facts) = (metas, facts);
        passed
    }
}
