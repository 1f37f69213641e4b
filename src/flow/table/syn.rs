//! The warm path of a SYN into a new flow, and of the SYN-ACK into the flow that it answers.
//!
//! Owns a shortcut and no rule: it leaves exactly what [`FlowTable::count_slow`] would, or changes nothing and declines.

use super::count::{count_one, has_time_and_room};
use super::{CountPath, Counted, FlowEvents, FlowPacket, FlowTable, PacketFacts};
use crate::flow::entry::pack_vlan;
use crate::flow::parts::Parts;
use crate::flow::tcp::TcpMarks;
use crate::flow::{FactSet, FlowRecord, Keyed};
use crate::wire::SynSegment;

impl FlowTable {
    /// Counts a SYN that opens a flow, or the SYN-ACK that comes next in it. A flow that gives way to the new one in a full table
    /// is ended by a record. `place` is where the flow lies, if there is one.
    #[inline(always)]
    pub(super) fn count_syn(
        &mut self,
        packet: &FlowPacket<'_>,
        facts: &dyn PacketFacts,
        segment: &SynSegment,
        place: Option<u32>,
        watched: bool,
        ended: &mut impl FnMut(&FlowRecord, FactSet<'_>),
    ) -> Option<Counted> {
        if packet.time < self.clock {
            return None;
        }
        let (place, events) = match place {
            Some(place) => {
                let events = self.answer(packet, segment, place, watched)?;
                if !segment.is_answer() {
                    self.note_domain(place, packet.keyed.direction, facts);
                }
                (place, events)
            }
            None => (self.begin(packet, facts, segment, ended)?, FlowEvents::OPENED),
        };
        let events = events.and(FlowEvents::SYN.when(!segment.is_answer()));
        Some(Counted { place, marks: TcpMarks::NONE, events, path: CountPath::Warm })
    }

    /// The flow is there: most often this is the SYN-ACK.
    #[inline(always)]
    fn answer(&mut self, packet: &FlowPacket<'_>, segment: &SynSegment, place: u32, watched: bool) -> Option<FlowEvents> {
        let &FlowPacket { time, keyed: &Keyed { direction, .. }, .. } = packet;
        if self.active.is_on() && self.is_old(place, time) {
            return None;
        }
        let idle_limit_ns = self.idle_limit_ns;
        let mut parts = self.store.entries.parts(place);
        let Parts { entry, cold, .. } = &parts;
        let is_taken = entry.may_begin()
            && has_time_and_room(entry, packet, idle_limit_ns)
            && !cold.beginning.is_other_syn(&entry.connection, segment.sequence, direction)
            && parts.tracker().observe_syn(segment, direction, time, &self.analysis);
        if !is_taken {
            return None;
        }
        let events = FlowEvents::ANSWERED.when(watched && parts.entry.is_first_answer(direction));
        self.clock = time;
        if let Some(before) = count_one(parts.entry, packet, &self.top) {
            self.top.list(place, before, &mut self.store);
        }
        Some(events)
    }

    /// There is no such flow: a SYN opens it.
    #[inline(always)]
    fn begin(
        &mut self,
        packet: &FlowPacket<'_>,
        facts: &dyn PacketFacts,
        segment: &SynSegment,
        ended: &mut impl FnMut(&FlowRecord, FactSet<'_>),
    ) -> Option<u32> {
        let &FlowPacket { keyed: &Keyed { ref key, hash, direction }, time, .. } = packet;
        let link = pack_vlan(facts.vlan()).filter(|_| !segment.is_answer())?;
        self.clock = time;
        self.make_room(ended);
        let place = self.store.entries.take();
        self.store.headers.begin(place, false);
        self.store.inspection.begin(place, false);
        let mut parts = self.store.entries.parts(place);
        parts.cold.begin(facts.number(), time, link);
        parts.entry.begin(key, direction);
        parts.tracker().begin(segment, direction, time, &self.analysis);
        parts.entry.begun = self.active.begun(time, time);
        let listing = count_one(parts.entry, packet, &self.top);
        self.enter(place, hash, self.timeouts.first_look_of_syn(time));
        if let Some(before) = listing {
            self.top.list(place, before, &mut self.store);
        }
        Some(place)
    }
}
