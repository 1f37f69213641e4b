//! A stretch of a capture file: where its packets lie, which of them are whose, and what is known of them before they are counted.
//!
//! Owns the lists. Knows no thread and no table. Its one invariant: every packet is in the list of every worker that would do more
//! with it than look at its time, in order; so a worker may leave out the others.

use super::lane::{Lane, Route};
use crate::flow::{FlowKey, HashSecret, ports_of};
use crate::wire::{self, Common, Dissected};
use netscope_backends::file::{PLACES_MAX, Places};
use netscope_backends::{Counters, Packet, Position, Timestamp};

const _: () = assert!(PLACES_MAX <= 1 << 16);

/// Packets that follow each other in a file. Used again and again: all memory is reserved when it is made.
pub struct Stretch {
    places: Places,
    lists: Lists,
    /// Earliest and latest time, when no packet is older than the one before it.
    in_order: Option<(Timestamp, Timestamp)>,
    /// What was told when its end was reached.
    pub(super) counters: Counters,
    pub(super) position: Position,
    pub(super) notice: Option<String>,
    facts: Box<Dissected>,
}

/// Per worker, the packets that it has to look at.
struct Lists {
    lists: Vec<List>,
    count: u32,
    secret: HashSecret,
}

struct List {
    /// Lanes are written over, not dropped: those behind `len` are of a stretch before, and there is always one.
    lanes: Vec<Lane>,
    len: usize,
    /// Some of them need their packets before they can be counted.
    is_open: bool,
}

impl Stretch {
    /// An empty one for this many workers, whose tables hash with `secret`.
    pub fn new(places: Places, workers: usize, secret: HashSecret) -> Self {
        let lists = (0..workers).map(|_| List::new()).collect();
        Self {
            places,
            lists: Lists { lists, count: u32::try_from(workers).unwrap_or(u32::MAX), secret },
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

    /// See [`Places::bring_in_ahead`].
    pub fn bring_in_ahead(&self) {
        self.places.bring_in_ahead();
    }

    /// Finds out whose packets they are, and what of the common ones is needed to count them.
    #[inline(never)]
    pub fn assign(&mut self) {
        let Self { places, lists, in_order, facts, .. } = self;
        lists.lists.iter_mut().for_each(|list| (list.len, list.is_open) = (0, false));
        let (mut latest, mut is_in_order) = (Timestamp(0), true);
        for (index, packet) in (0..).zip(places.packets()) {
            is_in_order &= latest <= packet.time;
            latest = latest.max(packet.time);
            match wire::common_tcp4(packet.link_type, packet.data, packet.wire_len) {
                Some(common) => lists.add_common(index, &packet, &common),
                None => {
                    // So that the packets above need not lie in memory.
                    let copy = packet;
                    lists.add_other(index, &copy, facts);
                }
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

    /// The packets that this worker has to look at, in order; and whether some need their packets before they can be counted.
    pub(super) fn list(&self, worker: u32) -> (&[Lane], bool) {
        let list = self.lists.lists.get(worker as usize);
        list.map_or((&[], false), |list| (list.lanes.get(..list.len).unwrap_or_default(), list.is_open))
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

impl Lists {
    /// A common frame: everything that can be known of it without a table goes into its owner's list.
    #[inline(always)]
    fn add_common(&mut self, index: u16, packet: &Packet<'_>, common: &Common<'_>) {
        let owner = FlowKey::share_of_common(common.network(), common.ports(), self.count);
        if let Some(list) = self.lists.get_mut(owner as usize) {
            let lane = list.next();
            lane.read_flow(common, &self.secret);
            let is_done = lane.read_route(common);
            lane.begin(packet);
            lane.index = index;
            list.close(is_done);
        }
    }

    #[inline(never)]
    fn add_other(&mut self, index: u16, packet: &Packet<'_>, facts: &mut Dissected) {
        if !wire::seems_fragment(packet.data)
            && let Some(common) = wire::common(packet.link_type, packet.data, packet.wire_len)
        {
            return self.add_common(index, packet, &common);
        }
        let leave = |list: &mut List| {
            let lane = list.next();
            lane.begin(packet);
            (lane.index, lane.route) = (index, Route::Unread);
            list.close(false);
        };
        wire::walk_into(facts, packet.link_type, packet.data, packet.wire_len);
        match owner(facts, self.count) {
            Some(owner) => self.lists.get_mut(owner as usize).into_iter().for_each(leave),
            None => self.lists.iter_mut().for_each(leave),
        }
    }
}

impl List {
    fn new() -> Self {
        let mut lanes = Vec::with_capacity(PLACES_MAX + 1);
        lanes.push(Lane::EMPTY);
        Self { lanes, len: 0, is_open: false }
    }

    /// The lane behind the last one, to be written over what stood there before; [`List::close`] follows.
    #[inline(always)]
    fn next(&mut self) -> &mut Lane {
        &mut self.lanes[self.len]
    }

    /// The lane was written; `is_done`: nothing else is needed to count its packet.
    #[inline(always)]
    fn close(&mut self, is_done: bool) {
        self.is_open |= !is_done;
        self.len += 1;
        // The next one, now: a call before the packet's bytes are read would keep what is known of them from being used.
        if self.len == self.lanes.len() {
            self.lanes.push(Lane::EMPTY);
        }
    }
}

/// The one of `count` workers that a packet concerns; `None` when it concerns all. Decides as the worker does when it sees all
/// packets: fragments are followed by everybody, what has no flow is the leading worker's.
fn owner(facts: &Dissected, count: u32) -> Option<u32> {
    match &facts.network {
        Some(network) if network.fragment.is_some() => None,
        Some(network) => Some(ports_of(facts).map_or(0, |ports| FlowKey::new(network, ports).0.share(count))),
        None => Some(0),
    }
}
