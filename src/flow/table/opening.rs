//! How a record begins: what its first packet says, and the place it gets.
//!
//! Owns who counts as the one that began, and the order of what is entered where. Invariant: a live flow is
//! in store, index and wheel, or in none of them.

use super::{FlowPacket, FlowTable, PacketFacts, Places};
use crate::flow::entry::{self, Opening};
use crate::flow::parts::Parts;
use crate::flow::{DomainNumbers, EndReason, FactSet, FlowRecord, KeyScope};
use crate::wire::{TcpFlags, TcpSegment};
use netscope_backends::Timestamp;

/// Of the flow that this packet begins, which is this `segment` if it is one; `clock` is the table's time.
pub(super) fn opening_of(
    packet: &FlowPacket<'_>,
    facts: &dyn PacketFacts,
    segment: Option<&TcpSegment>,
    clock: Timestamp,
) -> Opening {
    let direction = packet.keyed.direction;
    // Whoever answers did not begin.
    let is_answer = facts.is_echo_reply() || segment.is_some_and(|segment| segment.flags.has(TcpFlags::SYN_ACK));
    Opening {
        key: packet.keyed.key,
        time: packet.time,
        clock,
        number: facts.number(),
        vlan: facts.vlan(),
        tunnel: facts.tunnel(),
        icmp_code: facts.icmp_code(),
        direction,
        initiator: if is_answer { direction.reverse() } else { direction },
    }
}

impl FlowTable {
    /// A new record: in the place of the one of the same key that is over, or in a new place.
    #[inline(never)]
    pub(super) fn open(
        &mut self,
        opening: &Opening,
        hash: u64,
        before: Option<(u32, (EndReason, Timestamp))>,
        ended: &mut impl FnMut(&FlowRecord, FactSet<'_>),
    ) -> u32 {
        self.counters.domain_overflow += u64::from(opening.key.domain() == DomainNumbers::OVERFLOW);
        let place = match before {
            Some((place, (reason, at))) => {
                self.report(place, reason, at, ended);
                self.restart(place, opening, reason);
                place
            }
            None => {
                self.make_room(ended);
                let place = self.store.entries.take();
                let Parts { entry, cold, .. } = self.store.entries.parts(place);
                (*entry, *cold) = entry::open(opening, &mut self.store.extras);
                self.store.headers.begin(place, false);
                self.store.inspection.begin(place, false);
                let look = self.next_look(place, self.deadline(place));
                self.enter(place, hash, look);
                place
            }
        };
        let Parts { entry, cold, .. } = self.store.entries.parts(place);
        if self.settings.key != KeyScope::VlanTunnel && entry.initiator() != opening.direction {
            cold.forgo_change(&mut self.store.extras);
        }
        place
    }

    /// Begins a new record in the place of one that was reported. It stays filed where it is, as the wheel is lazy, unless it may end
    /// sooner than the one before.
    fn restart(&mut self, place: u32, opening: &Opening, reason: EndReason) {
        let mut parts = self.store.entries.parts(place);
        parts.cold.release_extra(&mut self.store.extras);
        let goes_on = reason == EndReason::ActiveTimeout;
        if !goes_on {
            parts.release_tcp(&mut self.store.tcp);
        }
        let Parts { entry, cold, .. } = parts;
        let (mut new, mut new_cold) = entry::open(opening, &mut self.store.extras);
        (new_cold.next, new_cold.previous) = (cold.next, cold.previous);
        if goes_on {
            new.go_on_from(entry);
            new_cold.beginning = cold.beginning;
        }
        (*entry, *cold) = (new, new_cold);
        self.store.headers.begin(place, goes_on);
        self.store.inspection.begin(place, goes_on);
        if self.timeouts.refiles() {
            self.file_at(place, self.next_look(place, self.deadline(place)));
        }
        self.counters.opened += 1;
    }

    /// Ends a flow when there is no room for one more.
    #[inline(always)]
    pub(super) fn make_room(&mut self, ended: &mut impl FnMut(&FlowRecord, FactSet<'_>)) {
        if self.store.entries.len() >= self.flow_count_max {
            self.evict(ended);
        }
    }

    /// Enters a flow that has its place in the slab, to be looked at first at `look`.
    #[inline(always)]
    pub(super) fn enter(&mut self, place: u32, hash: u64, look: Timestamp) {
        self.index.insert(hash, place, &Places { entries: &self.store.entries, secret: &self.keying.secret });
        self.wheel.file(&mut self.store.entries, place, look);
        self.counters.opened += 1;
    }
}
