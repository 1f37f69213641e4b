//! Packets on their way to the taps.
//!
//! Owns nothing. Invariant: a worker shows a packet to its taps once, in order, after it was counted; those
//! of a unit that several workers share are copied before that, by the leading worker, where somebody wants
//! all of them.

use super::Worker;
use super::wave::{Consecutive, PacketSource};
use crate::engine::Observer;
use crate::engine::tap_sender::TapPacket;
use crate::engine::work_unit::WorkUnit;
use crate::flow::{Counted, Keyed};
use netscope_backends::Packet;
use std::slice;

impl<O: Observer> Worker<O> {
    /// Packet `at` of a wave was counted, for this flow at this place.
    #[inline(never)]
    pub(super) fn tap(&mut self, at: usize, source: &dyn PacketSource, flow: Option<(&Keyed, Counted)>) {
        let note = flow.filter(|_| self.outbox.wants_notes()).map(|(keyed, counted)| self.flows.note(keyed.direction, counted));
        let flow = flow.map(|(keyed, counted)| (keyed, counted.place));
        let packet = TapPacket { number: source.number(at), now: self.clock.now(), flow, note };
        self.outbox.tap(&packet, || source.packet(at), &mut self.ledger);
    }

    /// The same for the packet that is counted now.
    pub(super) fn tap_one(&mut self, packet: &Packet<'_>, flow: Option<(&Keyed, Counted)>) {
        self.tap(0, &Consecutive { packets: slice::from_ref(packet), first: self.number }, flow);
    }

    /// The first `len` packets of a unit are about to be counted, each by the worker whose it is.
    pub(super) fn tap_unit(&mut self, unit: &WorkUnit, len: usize) {
        if self.outbox.taps_units() {
            self.outbox.tap_unit(self.number + 1, (0..len).map(|index| unit.packet(index)), &mut self.ledger);
        }
    }
}
