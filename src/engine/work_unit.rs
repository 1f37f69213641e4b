//! A unit of a capture file: where its packets lie, which of them are whose, and what is known of them before they are counted.
//!
//! Owns the lists. Knows no thread and no table. Its one invariant: every packet is shown to every worker that would do more
//! with it than look at its time, in order; so a worker may leave out the others.

use super::packet_meta::PacketMeta;
use crate::flow::{FlowKey, HashSecret, ports_of};
use crate::wire::{self, Common, Dissected};
use netscope_backends::file::{PLACES_MAX, Places};
use netscope_backends::{BATCH_MAX, Counters, Packet, Position, Timestamp};

const _: () = assert!(PLACES_MAX <= 1 << 16);

/// Packets that follow each other in a file. Used again and again: all memory is reserved when it is made.
pub struct WorkUnit {
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

/// The packets that each worker has to look at.
struct Lists {
    /// Of each worker, those that are its alone.
    lists: Vec<List>,
    /// Those that every worker has to look at, by their places.
    everybody: Vec<u16>,
    count: u32,
    secret: HashSecret,
}

struct List {
    /// Metas are written over, not dropped: those behind `len` are of a unit before, and there is always one.
    metas: Vec<PacketMeta>,
    len: usize,
    /// Some of them need their packets before they can be counted.
    is_open: bool,
}

impl WorkUnit {
    /// An empty one for this many workers, whose tables hash with `secret`.
    pub fn new(places: Places, workers: usize, secret: HashSecret) -> Self {
        let lists = (0..workers).map(|_| List::new(kept(workers))).collect();
        let count = u32::try_from(workers).unwrap_or(u32::MAX);
        Self {
            places,
            lists: Lists { lists, everybody: Vec::with_capacity(PLACES_MAX), count, secret },
            in_order: None,
            counters: Counters::default(),
            position: Position::default(),
            notice: None,
            facts: Box::new(Dissected::NOTHING),
        }
    }

    /// Where the packets lie, to be filled in; [`WorkUnit::assign`] follows.
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
        lists.clear();
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

    /// The packets that this worker has to look at, in order, in `merged` when some are everybody's; and whether some need their packets
    /// before they can be counted.
    pub(super) fn list<'a>(&'a self, worker: u32, merged: &'a mut Vec<PacketMeta>) -> (&'a [PacketMeta], bool) {
        let Some(list) = self.lists.lists.get(worker as usize) else { return (&[], false) };
        let own = list.metas.get(..list.len).unwrap_or_default();
        if self.lists.everybody.is_empty() {
            return (own, list.is_open);
        }
        merged.clear();
        let mut own = own.iter().copied().peekable();
        for &index in &self.lists.everybody {
            merged.extend(std::iter::from_fn(|| own.next_if(|meta| meta.index < index)));
            merged.push(PacketMeta::unread(index, &self.packet(usize::from(index))));
        }
        merged.extend(own);
        (merged, true)
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
    fn clear(&mut self) {
        let kept = kept(self.lists.len());
        self.lists.iter_mut().for_each(|list| list.clear(kept));
        self.everybody.clear();
    }

    /// A common frame: everything that can be known of it without a table goes into its owner's list.
    #[inline(always)]
    fn add_common(&mut self, index: u16, packet: &Packet<'_>, common: &Common<'_>) {
        let owner = FlowKey::share_of_common(common.network(), common.ports(), self.count);
        if let Some(list) = self.lists.get_mut(owner as usize) {
            let meta = list.next();
            meta.read_flow(common, &self.secret);
            let is_done = meta.read_route(common);
            meta.begin(packet);
            meta.index = index;
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
        wire::walk_into(facts, packet.link_type, packet.data, packet.wire_len);
        let Some(owner) = owner(facts, self.count) else { return self.everybody.push(index) };
        if let Some(list) = self.lists.get_mut(owner as usize) {
            *list.next() = PacketMeta::unread(index, packet);
            list.close(false);
        }
    }
}

impl List {
    fn new(kept: usize) -> Self {
        let mut metas = Vec::with_capacity(kept);
        metas.push(PacketMeta::EMPTY);
        Self { metas, len: 0, is_open: false }
    }

    /// Of a unit that was nearly all one worker's, no more than `kept` metas stay: else each list would grow to that in time.
    fn clear(&mut self, kept: usize) {
        (self.len, self.is_open) = (0, false);
        if self.metas.len() > kept {
            self.metas.truncate(kept);
            self.metas.shrink_to(kept);
        }
    }

    /// The meta behind the last one, to be written over what stood there before; [`List::close`] follows.
    #[inline(always)]
    fn next(&mut self) -> &mut PacketMeta {
        &mut self.metas[self.len]
    }

    /// The meta was written; `is_done`: nothing else is needed to count its packet.
    #[inline(always)]
    fn close(&mut self, is_done: bool) {
        self.is_open |= !is_done;
        self.len += 1;
        // The next one, now: a call before the packet's bytes are read would keep what is known of them from being used.
        if self.len == self.metas.len() {
            self.metas.push(PacketMeta::EMPTY);
        }
    }
}

/// Metas that each list of a unit keeps: twice its part and some; for two workers as many as there can be.
fn kept(workers: usize) -> usize {
    (2 * PLACES_MAX / workers.max(1) + BATCH_MAX).min(PLACES_MAX + 1)
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
