//! A stretch of a capture file: where its packets lie, and which of them are whose.
//!
//! Owns the lists. Knows no thread. Its one invariant: every packet is in the list of every worker that would do more with it
//! than look at its time, in order; so a worker may leave out the others.

use crate::flow::{FlowKey, ports_of};
use crate::wire::{self, Dissected};
use netscope_backends::file::{PLACES_MAX, Places};
use netscope_backends::{Counters, Packet, Position, Timestamp};

const _: () = assert!(PLACES_MAX <= 1 << 16);

/// Packets that follow each other in a file. Used again and again: all memory is reserved when it is made.
pub struct Stretch {
    places: Places,
    /// Per worker, the packets that it has to look at, by their index in `places`.
    lists: Vec<Vec<u16>>,
    /// Earliest and latest time, when no packet is older than the one before it.
    in_order: Option<(Timestamp, Timestamp)>,
    /// What was told when its end was reached.
    pub(super) counters: Counters,
    pub(super) position: Position,
    pub(super) notice: Option<String>,
    facts: Box<Dissected>,
}

impl Stretch {
    /// An empty one for this many workers.
    pub fn new(places: Places, workers: usize) -> Self {
        Self {
            places,
            lists: (0..workers).map(|_| Vec::with_capacity(PLACES_MAX)).collect(),
            in_order: None,
            counters: Counters::default(),
            position: Position::default(),
            notice: None,
            facts: Box::new(Dissected::NOTHING),
        }
    }

    /// Where the packets lie, to be filled in; [`Stretch::assign`] follows.
    pub fn places_mut(&mut self) -> &mut Places {
        &mut self.places
    }

    /// Finds out whose packets they are.
    pub fn assign(&mut self) {
        let Self { places, lists, in_order, facts, .. } = self;
        lists.iter_mut().for_each(Vec::clear);
        let count = u32::try_from(lists.len()).unwrap_or(u32::MAX);
        let (mut latest, mut is_in_order) = (Timestamp(0), true);
        for (index, packet) in places.packets().enumerate() {
            is_in_order &= latest <= packet.time;
            latest = latest.max(packet.time);
            // Fits: see PLACES_MAX.
            let index = index as u16;
            match owner(&packet, count, facts) {
                Some(owner) => {
                    if let Some(list) = lists.get_mut(owner as usize) {
                        list.push(index);
                    }
                }
                None => lists.iter_mut().for_each(|list| list.push(index)),
            }
        }
        *in_order = (is_in_order && !places.is_empty()).then(|| (places.time(0), latest));
    }

    /// Packets, everybody's.
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// True without packets.
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The packets that this worker has to look at, by their index.
    pub fn list(&self, worker: u32) -> &[u16] {
        self.lists.get(worker as usize).map_or(&[], Vec::as_slice)
    }

    /// Packet number `index`, from 0.
    #[inline(always)]
    pub fn packet(&self, index: usize) -> Packet<'_> {
        self.places.packet(index)
    }

    /// Time of packet number `index`.
    #[inline(always)]
    pub fn time(&self, index: usize) -> Timestamp {
        self.places.time(index)
    }

    /// The latest time, when time never goes back on the way there from `now` and stays before `until`.
    pub fn quiet_end(&self, now: Timestamp, until: Timestamp) -> Option<Timestamp> {
        self.in_order.filter(|&(first, last)| now <= first && last < until).map(|(_, last)| last)
    }
}

/// The one of `count` workers that a packet concerns; `None` when it concerns all. Decides as the worker does when it sees all
/// packets: fragments are followed by everybody, what has no flow is the leading worker's.
#[inline(always)]
fn owner(packet: &Packet<'_>, count: u32, facts: &mut Dissected) -> Option<u32> {
    match wire::common_tcp4(packet.link_type, packet.data, packet.wire_len) {
        Some(common) => Some(FlowKey::share_of_common(common.network(), common.ports(), count)),
        None => other_owner(packet, count, facts),
    }
}

#[inline(never)]
fn other_owner(packet: &Packet<'_>, count: u32, facts: &mut Dissected) -> Option<u32> {
    if let Some(common) = wire::common(packet.link_type, packet.data, packet.wire_len) {
        return Some(FlowKey::share_of_common(common.network(), common.ports(), count));
    }
    wire::walk_into(facts, packet.link_type, packet.data, packet.wire_len);
    match &facts.network {
        Some(network) if network.fragment.is_some() => None,
        Some(network) => Some(ports_of(facts).map_or(0, |ports| FlowKey::new(network, ports).0.share(count))),
        None => Some(0),
    }
}
