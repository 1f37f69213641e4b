//! What is done with packets that were counted: they are on their way to the taps, and what their headers say is kept.
//!
//! Owns nothing. Invariant: a worker shows a packet to its taps once, in order, after it was counted; those
//! of a unit that several workers share are copied before that, by the leading worker, where somebody wants
//! all of them.

use super::Worker;
use super::wave::{Consecutive, PacketSource};
use crate::engine::Observer;
use crate::engine::packet_meta::PacketMeta;
use crate::engine::tap_sender::TapPacket;
use crate::engine::work_unit::WorkUnit;
use crate::flow::{Counted, Direction, Keyed};
use crate::wire::{Dissected, PacketHeaders, common_headers, mac_addresses};
use netscope_backends::{BATCH_MAX, LinkType, Packet, Timestamp};
use std::slice;

/// What is to be done for packets once they were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum ExtraWork {
    /// Nothing.
    None,
    /// They are counted by the way they go.
    Directions,
    /// That, if it is asked for, and their payload is inspected.
    Inspection,
    /// All that, if it is asked for, and all else.
    All,
}

impl ExtraWork {
    /// As arguments of types.
    pub(super) const NONE: u8 = Self::None as u8;
    pub(super) const DIRECTIONS: u8 = Self::Directions as u8;
    pub(super) const INSPECTION: u8 = Self::Inspection as u8;
    pub(super) const ALL: u8 = Self::All as u8;
}

impl<O: Observer> Worker<O> {
    /// Somebody may want copies of some of the packets from number `first` to `last` once they were counted, or what headers say is
    /// kept. `times`: theirs, and the latest before them.
    #[inline(always)]
    pub(super) fn extra(&self, first: u64, last: u64, times: impl Iterator<Item = Timestamp> + Clone) -> ExtraWork {
        if self.flows.keeps_headers() || self.outbox.taps_some(first, last, times) {
            return ExtraWork::All;
        }
        if self.flows.inspects() {
            return ExtraWork::Inspection;
        }
        if self.directions.is_some() { ExtraWork::Directions } else { ExtraWork::None }
    }

    /// A packet of a flow was counted: which way it goes.
    #[inline(always)]
    pub(super) fn note_direction(&mut self, keyed: &Keyed, place: u32, wire_len: u32) {
        if let Some(meter) = &mut self.directions {
            meter.note(keyed, place, wire_len);
        }
    }

    /// Packet `at` of a wave, a common frame, was counted for this flow at this place.
    #[inline(never)]
    pub(super) fn common_counted(&mut self, at: usize, source: &dyn PacketSource, meta: &PacketMeta, counted: Counted) {
        let keyed = &meta.keyed;
        self.note_direction(keyed, counted.place, meta.wire_len);
        if self.flows.keeps_headers() {
            let packet = source.packet(at);
            let headers = common_headers(packet.data, keyed.key.version(), meta.tcp_headers());
            let macs = || mac_addresses(packet.link_type, packet.data);
            self.flows.note_headers(counted.place, keyed.direction, &headers, macs);
        }
        self.inspect_common(at, source, meta, counted.place);
        if self.outbox.taps_counted() {
            self.tap(at, source, Some((keyed, counted)));
        }
    }

    /// The same of a packet that was dissected in full, before it goes to the taps.
    pub(super) fn note_headers(&mut self, packet: &Packet<'_>, dissected: &Dissected, direction: Direction, place: u32) {
        if self.flows.keeps_headers()
            && let Some(headers) = PacketHeaders::of_dissected(packet, dissected)
        {
            let macs = || mac_addresses(packet.link_type, packet.data);
            self.flows.note_headers(place, direction, &headers, macs);
        }
    }

    /// Packet `at` of a wave was counted, for this flow at this place.
    #[inline(never)]
    pub(super) fn tap(&mut self, at: usize, source: &dyn PacketSource, flow: Option<(&Keyed, Counted)>) {
        if !self.outbox.taps_counted() {
            return;
        }
        let flow = flow.filter(|(_, counted)| counted.place != Counted::NO_PLACE);
        let Self { flows, outbox, ledger, clock, .. } = self;
        let note = || flow.map(|(keyed, counted)| flows.note(keyed.direction, counted));
        let flow = flow.map(|(keyed, counted)| (keyed, counted.place));
        let packet = TapPacket { number: source.number(at), now: clock.now(), flow, note: &note };
        outbox.tap(&packet, || source.packet(at), ledger);
    }

    /// The same for the packet that is counted now.
    pub(super) fn tap_one(&mut self, packet: &Packet<'_>, flow: Option<(&Keyed, Counted)>) {
        self.tap(0, &Consecutive { packets: slice::from_ref(packet), first: self.number }, flow);
    }

    /// The first `len` packets of a unit are about to be counted, each by the worker whose it is.
    pub(super) fn tap_unit(&mut self, unit: &WorkUnit, len: usize) {
        if self.outbox.has_flight() {
            self.record_unit(unit, len);
        }
        if self.outbox.taps_units() {
            self.outbox.tap_unit(self.number + 1, (0..len).map(|index| unit.packet(index)), &mut self.ledger);
        }
    }

    /// The same for the flight recorder.
    #[inline(never)]
    fn record_unit(&mut self, unit: &WorkUnit, len: usize) {
        const NOTHING: Packet<'_> = Packet { data: &[], time: Timestamp(0), wire_len: 0, link_type: LinkType::NULL };
        let mut batch = [NOTHING; BATCH_MAX];
        for start in (0..len).step_by(BATCH_MAX) {
            let filled = batch.len().min(len - start);
            for (slot, index) in batch.iter_mut().zip(start..start + filled) {
                *slot = unit.packet(index);
            }
            self.outbox.record(batch.get(..filled).unwrap_or_default());
        }
    }
}
