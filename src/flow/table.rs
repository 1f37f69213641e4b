//! The flow table of one queue.
//!
//! Owns every live flow: finds or opens it, counts, tracks TCP, ends it, and keeps to the bound. Knows no packet bytes, no queue
//! and no wall clock: packets with their times come in, records go out. Its invariant: after any call
//! `opened = live + ended`, live never exceeds the bound, and the clock never goes back.
//!
//! When a flow is over does not depend on when the wheel looks: the record's end is the clock at the last touch plus the timeout,
//! and a packet that finds its flow overdue ends it first. So records are the same for any batch size. (With a full table the
//! flow that gives way depends on how far expiry has come: call [`FlowTable::advance`] for each packet from
//! [`FlowTable::next_deadline`] on, without a budget, where two runs have to agree.)

mod active;
mod ahead;
mod count;
mod counters;
mod growing;
mod icmp;
mod late;
mod live;
mod note;
mod opening;
mod packet;
mod settings;
mod slow;
mod syn;
mod timeouts;

use self::active::ActiveTimeout;
use self::timeouts::Timeouts;

pub use counters::FlowCounters;
pub use live::{FlowVisitor, FlowWeight};
pub use note::FlowNote;
pub use packet::{Candidate, Content, CountPath, Counted, FlowEvents, FlowPacket, FullFacts, PacketFacts};
pub use settings::{FlowSettings, StateTimeouts};

use super::arena::PLACE_COUNT_MAX;
use super::closed::RecentlyClosed;
use super::entries::Entries;
use super::entry::Flag;
use super::growth::GrowthTracker;
use super::index::{self, Index};
use super::last::LastFlows;
use super::store::FlowStore;
use super::tcp::{TcpAnalysis, TcpArena};
use super::top::{Top, TopFlow};
use super::wheel::Wheel;
use super::{Direction, EndReason, FactSet, FlowKey, FlowRecord, HashSecret, KeyScope, Keying, LatestNews, SeenPayload};
use crate::app::ControlProtocol;
use crate::wire::{MacAddresses, PacketHeaders};
use netscope_backends::Timestamp;
use netscope_backends::prefetch::prefetch_read;

/// Flows that one eviction looks at before it takes the best seen.
const EVICTION_LOOK_MAX: usize = 8;
/// Entries reserved at the start at most; a larger bound is reached by growing in segments.
const RESERVED_COUNT_MAX: usize = 1 << 24;

/// All live flows of one queue.
pub struct FlowTable {
    settings: FlowSettings,
    analysis: TcpAnalysis,
    active: ActiveTimeout,
    /// The shortest timeout, as the fast path compares it: what comes later is looked at on the slow path. Never is the longest.
    idle_limit_ns: u64,
    /// The same of a closed connection.
    closed_limit_ns: u64,
    timeouts: Timeouts,
    keying: Keying,
    flow_count_max: usize,
    /// Largest time seen; drives all timeouts.
    clock: Timestamp,
    index: Index,
    store: FlowStore,
    wheel: Wheel,
    top: Top,
    growth: GrowthTracker,
    closed: RecentlyClosed,
    counters: FlowCounters,
}

/// The entries as the index sees them.
struct Places<'a> {
    entries: &'a Entries,
    secret: &'a HashSecret,
}

impl index::IndexedEntries for Places<'_> {
    fn hash_of(&self, number: u32) -> u64 {
        self.entries.get(number).key.hash(self.secret)
    }

    fn prefetch(&self, number: u32) {
        prefetch_read(&self.entries.get(number).key);
    }
}

/// How a packet counts for its flow.
struct Share {
    direction: Direction,
    packets: u64,
    bytes: u64,
    fragments: u64,
    earliest: Timestamp,
    latest: Timestamp,
}

impl FlowTable {
    /// An empty table. Memory for a bounded table is reserved here; pages that no flow has touched are not resident.
    pub fn new(settings: &FlowSettings, secret: HashSecret) -> Self {
        let bounded = settings.flow_count_max != 0;
        let flow_count_max = if bounded { settings.flow_count_max.min(PLACE_COUNT_MAX) } else { PLACE_COUNT_MAX };
        let reserved = if bounded { flow_count_max.min(RESERVED_COUNT_MAX) } else { 0 };
        let fixed_index = bounded && flow_count_max <= RESERVED_COUNT_MAX;
        let timeouts = Timeouts::new(settings);
        let analysis = settings.analysis();
        Self {
            settings: *settings,
            analysis,
            active: ActiveTimeout::new(settings.active_timeout_ns),
            idle_limit_ns: timeouts.shortest_ns(),
            closed_limit_ns: timeouts.closed_ns(),
            keying: Keying { scope: settings.key, secret },
            flow_count_max,
            clock: Timestamp(0),
            index: Index::new(if fixed_index { flow_count_max } else { 0 }),
            store: FlowStore::new(reserved, settings.flow_count_max, analysis.is_any(), settings.headers, settings.inspection),
            wheel: Wheel::new(timeouts.horizon_ns()),
            timeouts,
            top: Top::new(settings.top_count),
            growth: GrowthTracker::default(),
            closed: RecentlyClosed::new(settings.flow_count_max),
            counters: FlowCounters::default(),
        }
    }

    /// Says on which interface its packets are captured: its place among those of the run.
    pub fn set_interface(&mut self, interface: u8) {
        self.store.interface = interface;
    }

    /// The hash by which this table finds a key; the same for both directions.
    #[inline]
    pub fn hash(&self, key: &FlowKey) -> u64 {
        key.hash(&self.keying.secret)
    }

    /// What [`FlowTable::hash`] hashes with, and what keys are made of.
    #[inline(always)]
    pub const fn keying(&self) -> &Keying {
        &self.keying
    }

    /// The largest time seen so far.
    pub fn clock(&self) -> Timestamp {
        self.clock
    }

    /// Moves the clock to `now`, unless it is already later, and does nothing else: for [`FlowTable::next_deadline`].
    #[inline(always)]
    pub fn pass(&mut self, now: Timestamp) {
        self.clock = self.clock.max(now);
    }

    /// Moves the clock to `now`, unless it is already later, and ends the flows whose slot of the timer wheel came up, in the
    /// order of slots and within a slot in the order of filing. Looks at no more than `budget` flows; false when more are due.
    /// Costs one comparison while no slot comes up, so it may be called for every packet.
    #[inline]
    pub fn advance(&mut self, now: Timestamp, budget: usize, ended: &mut impl FnMut(&FlowRecord, FactSet<'_>)) -> bool {
        self.clock = self.clock.max(now);
        !self.wheel.may_be_due(self.clock) || self.expire(budget, ended)
    }

    /// Before this time [`FlowTable::advance`] has nothing to do, as long as no packet is ahead of the clock; 0 when it may have.
    pub fn next_deadline(&self) -> Timestamp {
        self.wheel.next_deadline(self.clock)
    }

    /// Ends a tick: the flows with the most bytes since the last call, in no order; of two with as many, the one of the smaller key. A flow that ended within the tick
    /// is among them as it ended; one that began again after that stands for itself.
    pub fn end_tick(&mut self, top: &mut Vec<TopFlow>) {
        self.top.end_tick(self.clock, &mut self.store, top);
    }

    /// The run is over: ends the flows whose timeout is over already, by a record each, and hands out the memory of all others, which
    /// end with reason exit. An empty table with next to no memory stays behind.
    pub fn finish(&mut self, ended: &mut impl FnMut(&FlowRecord, FactSet<'_>)) -> LastFlows {
        if self.timeouts.shortest_ns() != timeouts::NEVER {
            let mut places = self.wheel.filed_until(&self.store.entries, self.clock);
            // Records come in the order of places, whatever the wheel's.
            places.sort_unstable();
            for place in places {
                if let Some((reason, at)) = self.overdue(place) {
                    self.report(place, reason, at, ended);
                    // Off the list of places that count; neither index nor wheel will be asked again.
                    self.store.entries.give_back(place);
                }
            }
        }
        self.counters.ended[EndReason::Exit as usize] += self.store.entries.len() as u64;
        if self.settings.key != KeyScope::Tuple {
            self.store.forget_domains();
        }
        self.index = Index::new(0);
        self.wheel.clear();
        self.top.forget_places();
        LastFlows { store: self.store.give_away(), ended: self.clock }
    }

    /// Live flows.
    pub fn len(&self) -> usize {
        self.store.entries.len()
    }

    /// True when no flow is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Segments that came after their connection was closed and its record ended; they are counted in no flow.
    #[inline(always)]
    pub const fn after_close(&self) -> u64 {
        self.counters.after_close
    }

    /// Counts since the start.
    pub fn counters(&self) -> FlowCounters {
        FlowCounters { inspection: self.store.inspection.counters(), ..self.counters }
    }

    /// Candidates for the top, live and ended.
    #[cfg(test)]
    pub(super) fn top_listed(&self) -> usize {
        self.top.listed()
    }

    /// Rare facts and quotes in use.
    #[cfg(test)]
    pub(super) fn extras_in_use(&self) -> (usize, usize) {
        self.store.extras.in_use()
    }

    /// The TCP trackers' side memory.
    pub fn tcp_arena(&self) -> &TcpArena {
        &self.store.tcp
    }

    /// Bytes of the index, of the memory of closed connections and of all places ever used, the TCP trackers' side memory left out.
    pub fn memory_bytes(&self) -> usize {
        let own = self.top.memory_bytes() + self.growth.memory_bytes() + self.closed.memory_bytes();
        self.index.memory_bytes() + self.store.memory_bytes() + own
    }

    /// What packets' headers say is kept, so [`FlowTable::note_headers`] is to be called.
    #[inline(always)]
    pub const fn keeps_headers(&self) -> bool {
        self.store.headers.is_kept()
    }

    /// A packet of this direction was counted for the flow at a place: notes what its headers say. `macs` are asked for with the
    /// record's first packet.
    pub fn note_headers(
        &mut self,
        place: u32,
        direction: Direction,
        headers: &PacketHeaders,
        macs: impl FnOnce() -> Option<MacAddresses>,
    ) {
        // A late segment of a closed connection has no flow.
        if place == Counted::NO_PLACE {
            return;
        }
        if let Some(flow) = self.store.headers.get_mut(place) {
            flow.note(direction, headers, macs);
        }
    }

    /// Payload is inspected.
    #[inline(always)]
    pub const fn inspects(&self) -> bool {
        self.settings.inspection.enabled
    }

    /// The payload of the flow at a place is to be shown to [`FlowTable::inspect`].
    #[inline(always)]
    pub fn wants_payload(&self, place: u32) -> bool {
        self.store.inspection.is_watched(place)
    }

    /// The sequence number of the first byte of a direction of the TCP connection at a place, if its SYN was seen.
    pub fn stream_start(&self, place: u32, direction: Direction) -> Option<u32> {
        let entry = self.store.entries.get(place);
        let connection = entry.connection;
        if !entry.is_tracked() || !connection.sent_syn(direction) {
            return None;
        }
        Some(self.store.entries.cold(place).beginning.first(&connection, direction)?.wrapping_add(1))
    }

    /// A packet with payload was counted for the flow at a place that wants it.
    pub fn inspect(&mut self, place: u32, payload: &SeenPayload<'_>) {
        self.store.inspection.payload(place, payload);
    }

    /// From now on what packets tell of their flows is kept for [`FlowTable::latest_news`]. Said before the first packet.
    pub fn follow_news(&mut self) {
        self.store.inspection.follow_news();
    }

    /// What the packet that was shown last to [`FlowTable::inspect`] told of its flow, if it told anything new.
    pub fn latest_news(&self) -> Option<LatestNews<'_>> {
        self.store.inspection.latest_news()
    }

    /// The protocol of the packet that was shown last, where its flow announces others.
    pub fn latest_control(&self) -> Option<ControlProtocol> {
        self.store.inspection.latest_control()
    }

    /// The same is not told again.
    pub fn forget_news(&mut self) {
        self.store.inspection.forget_news();
    }

    /// True when the candidate is the flow.
    #[inline]
    fn is_at(&self, candidate: Candidate, key: &FlowKey) -> bool {
        candidate != Candidate::NONE && {
            let entry = self.store.entries.get(candidate.0);
            entry.is(Flag::LIVE) && entry.key == *key
        }
    }

    /// Number of the place of the flow with this key and [`FlowTable::hash`].
    #[inline]
    pub fn find(&self, key: &FlowKey, hash: u64) -> Option<u32> {
        self.index.find(hash, |number| self.store.entries.get(number).key == *key)
    }

    /// Who began the record of the flow at a place.
    #[inline]
    pub fn initiator(&self, place: u32) -> Direction {
        self.store.entries.get(place).initiator()
    }

    /// Why and when a flow is over at the clock or cannot take so many packets and bytes more, if so.
    #[inline]
    fn over(&self, place: u32, direction: Direction, packets: u64, bytes: u64) -> Option<(EndReason, Timestamp)> {
        if let Some(overdue) = self.overdue(place) {
            return Some(overdue);
        }
        let entry = self.store.entries.get(place);
        let old = self.active.is_on() && self.active.is_old(self.store.entries.cold(place).first_seen, self.clock);
        (old || entry.would_overflow(direction, packets, bytes)).then_some((EndReason::ActiveTimeout, self.clock))
    }

    /// After a segment that may have ended the connection.
    #[inline]
    fn note_finished(&mut self, place: u32) -> FlowEvents {
        let entry = self.store.entries.get_mut(place);
        let (was, is) = (entry.is(Flag::FINISHED), entry.connection.finished());
        if was == is {
            return FlowEvents::NONE;
        }
        entry.set(Flag::FINISHED, is);
        if is {
            // Once per connection its deadline comes nearer by more than the wheel looks ahead.
            self.file_closed(place);
        }
        FlowEvents::FINISHED.when(is)
    }

    #[cold]
    fn expire(&mut self, budget: usize, ended: &mut impl FnMut(&FlowRecord, FactSet<'_>)) -> bool {
        let mut left = budget;
        while let Some((slot, place)) = self.wheel.due(self.clock) {
            if left == 0 {
                return false;
            }
            left -= 1;
            let deadline = self.deadline(place);
            if self.wheel.slot_of(deadline) > slot {
                self.file_at(place, self.next_look(place, deadline));
            } else if let Some((reason, at)) = self.overdue(place) {
                self.prepare_behind(place);
                self.end(place, reason, at, ended);
            } else {
                self.file_endless(place);
            }
        }
        true
    }

    /// The flows behind this one end soon, too: asks for the index line of the next and for the entry of the one after it.
    fn prepare_behind(&self, place: u32) {
        let Some(next) = self.wheel.next(&self.store.entries, place) else { return };
        self.index.prefetch(self.store.entries.get(next).key.hash(&self.keying.secret));
        if let Some(after) = self.wheel.next(&self.store.entries, next) {
            self.store.entries.prefetch(after);
            self.store.entries.prefetch_cold(after);
        }
    }

    /// Makes room for one flow: ends the one that would expire first, as far as at most 8 looks at the wheel's front tell.
    fn evict(&mut self, ended: &mut impl FnMut(&FlowRecord, FactSet<'_>)) {
        let mut best: Option<(Timestamp, u32)> = None;
        for _ in 0..EVICTION_LOOK_MAX {
            let Some((slot, place)) = self.wheel.front() else { break };
            let deadline = self.deadline(place);
            if slot.map_or(deadline < self.clock, |slot| self.wheel.slot_of(deadline) <= slot) {
                best = Some((deadline, place));
                break;
            }
            if best.is_none_or(|(earliest, _)| deadline < earliest) {
                best = Some((deadline, place));
            }
            self.file_at(place, self.next_look(place, deadline));
        }
        if let Some((_, place)) = best {
            self.prepare_behind(place);
            let (reason, at) = self.overdue(place).unwrap_or((EndReason::Eviction, self.clock));
            self.end(place, reason, at, ended);
        }
    }

    /// Reports a flow and frees its place.
    fn end(&mut self, place: u32, reason: EndReason, at: Timestamp, ended: &mut impl FnMut(&FlowRecord, FactSet<'_>)) {
        self.report(place, reason, at, ended);
        let hash = self.store.entries.get(place).key.hash(&self.keying.secret);
        self.note_end(place, hash, at);
        self.wheel.unlink(&mut self.store.entries, place);
        self.store.release(place);
        self.index.remove(hash, place);
        self.store.entries.give_back(place);
    }

    /// Hands out the record of a flow that ends.
    fn report(&mut self, place: u32, reason: EndReason, at: Timestamp, ended: &mut impl FnMut(&FlowRecord, FactSet<'_>)) {
        if self.store.entries.get(place).is(Flag::LISTED) {
            self.top.keep(place, &mut self.store);
        }
        if self.growth.is_on() {
            self.growth.end(place, &self.store);
        }
        self.counters.ended[reason as usize] += 1;
        self.store.settle(place);
        ended(&self.store.record(place, reason, at), self.store.facts(place));
    }
}
