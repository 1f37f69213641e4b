//! A unit of a source that several workers share: its packets, which of them are whose, and what is known of them before they
//! are counted.
//!
//! Owns the packets, as places in a mapped file or as copies, and the lists. Knows no thread and no table.
//! Its one invariant: the list of a worker has, in order, every packet of which it needs more than the time.

use super::packet_meta::PacketMeta;
use super::{BurstMeter, TickMeter};
use crate::flow::{FlowKey, Keying, Quote, ports_of};
use crate::wire::{self, Common, Dissected};
use netscope_backends::chunk::{CHUNK_PACKETS_MAX, PacketChunk};
use netscope_backends::file::{PLACES_MAX, Places, Scanner};
use netscope_backends::{BATCH_MAX, BackendError, Counters, Packet, Position, Timestamp};

// The place of a packet in a unit has 16 bits.
const _: () = assert!(PLACES_MAX <= 1 << 16 && CHUNK_PACKETS_MAX <= 1 << 16);

/// Packets that follow each other in a source. Used again and again: all memory is reserved when it is made.
pub struct WorkUnit {
    packets: UnitPackets,
    lists: OwnerLists,
    /// Set when nothing arrived after its packets: the time by which ticks may go on.
    pub(super) idle: Option<Timestamp>,
    /// Earliest and latest time, when no packet is older than the one before it.
    in_order: Option<(Timestamp, Timestamp)>,
    /// What was told when its end was reached.
    pub(super) counters: Counters,
    pub(super) position: Position,
    pub(super) notice: Option<String>,
    facts: Box<Dissected>,
}

/// Where the packets of a unit are.
enum UnitPackets {
    /// In a mapped file.
    Mapped(Places),
    /// Here, copied from a source whose memory is lent for a moment only.
    Copied(PacketChunk),
}

/// The packets that each worker has to look at.
struct OwnerLists {
    /// Of each worker, those that it counts, or that say something of its flows.
    lists: Vec<OwnerList>,
    /// Those that every worker has to look at, by their places.
    everybody: Vec<u16>,
    count: u32,
    /// Metas that a list keeps from unit to unit.
    kept: usize,
    keying: Keying,
}

/// The packets of one worker. An ICMP error is on two lists when another worker has the flow it quotes.
struct OwnerList {
    /// Metas are written over, not dropped: those behind `len` are of a unit before, and there is always one.
    metas: Vec<PacketMeta>,
    len: usize,
    /// Some of them need their packets before they can be counted.
    is_open: bool,
}

impl WorkUnit {
    /// An empty one for places that `scanner` finds, for this many workers, which key by `keying`.
    pub fn mapped(scanner: &Scanner, workers: usize, keying: Keying) -> Self {
        Self::new(UnitPackets::Mapped(scanner.places()), PLACES_MAX, workers, keying)
    }

    /// The same for copies of packets.
    pub fn copied(workers: usize, keying: Keying) -> Self {
        Self::new(UnitPackets::Copied(PacketChunk::new()), CHUNK_PACKETS_MAX, workers, keying)
    }

    fn new(packets: UnitPackets, packets_max: usize, workers: usize, keying: Keying) -> Self {
        Self {
            packets,
            lists: OwnerLists::new(packets_max, workers, keying),
            idle: None,
            in_order: None,
            counters: Counters::default(),
            position: Position::default(),
            notice: None,
            facts: Box::new(Dissected::NOTHING),
        }
    }

    /// Forgets what it held. [`WorkUnit::scan`] or [`WorkUnit::push`], then [`WorkUnit::assign`] follow.
    pub fn clear(&mut self) {
        match &mut self.packets {
            UnitPackets::Mapped(places) => places.clear(),
            UnitPackets::Copied(chunk) => chunk.clear(),
        }
        (self.idle, self.notice) = (None, None);
    }

    /// Takes the places of the next packets. False at the end, and for a unit of copies, which no walk can fill.
    ///
    /// # Errors
    /// As [`Scanner::scan`].
    pub fn scan(&mut self, scanner: &mut Scanner) -> Result<bool, BackendError> {
        match &mut self.packets {
            UnitPackets::Mapped(places) => scanner.scan(places),
            UnitPackets::Copied(_) => Ok(false),
        }
    }

    /// Copies a packet to the end. False, and nothing changed, when it is full, and for a unit of places, which holds no copies.
    #[inline]
    #[must_use]
    pub fn push(&mut self, packet: &Packet<'_>) -> bool {
        match &mut self.packets {
            UnitPackets::Mapped(_) => false,
            UnitPackets::Copied(chunk) => chunk.push(packet),
        }
    }

    /// See [`Places::bring_in_ahead`]; copies are here already.
    pub fn bring_in_ahead(&self) {
        if let UnitPackets::Mapped(places) = &self.packets {
            places.bring_in_ahead();
        }
    }

    /// Finds out whose packets they are, and what of the common ones is needed to count them.
    pub fn assign(&mut self) {
        let Self { packets, lists, in_order, facts, .. } = self;
        *in_order = match packets {
            UnitPackets::Mapped(places) => lists.fill(places.packets(), facts),
            UnitPackets::Copied(chunk) => lists.fill(chunk.packets(), facts),
        };
    }

    /// Packets, those of all workers.
    pub const fn len(&self) -> usize {
        match &self.packets {
            UnitPackets::Mapped(places) => places.len(),
            UnitPackets::Copied(chunk) => chunk.len(),
        }
    }

    /// True without packets.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
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
        match &self.packets {
            UnitPackets::Mapped(places) => places.packet(index),
            UnitPackets::Copied(chunk) => chunk.packet(index),
        }
    }

    /// Time of packet number `index`.
    #[inline(always)]
    pub fn time(&self, index: usize) -> Timestamp {
        match &self.packets {
            UnitPackets::Mapped(places) => places.time(index),
            UnitPackets::Copied(chunk) => chunk.time(index),
        }
    }

    /// Counts its first `len` packets by bins.
    pub(super) fn measure(&self, len: usize, bursts: &mut BurstMeter) {
        match &self.packets {
            UnitPackets::Mapped(places) => bursts.count(places.packets().take(len)),
            UnitPackets::Copied(chunk) => bursts.count(chunk.packets().take(len)),
        }
    }

    /// Counts sizes of its first `len` packets.
    pub(super) fn count_sizes(&self, len: usize, meter: &mut TickMeter) {
        match &self.packets {
            UnitPackets::Mapped(places) => meter.count(places.packets().take(len)),
            UnitPackets::Copied(chunk) => meter.count(chunk.packets().take(len)),
        }
    }

    /// The latest time, when time never goes back on the way there from `now` and stays before `until`.
    pub fn last_time(&self, now: Timestamp, until: Timestamp) -> Option<Timestamp> {
        self.in_order.filter(|&(first, last)| now <= first && last < until).map(|(_, last)| last)
    }
}

impl OwnerLists {
    fn new(packets_max: usize, workers: usize, keying: Keying) -> Self {
        // Twice its part and some; for two workers as many as there can be.
        let kept = (2 * packets_max / workers.max(1) + BATCH_MAX).min(packets_max + 1);
        Self {
            lists: (0..workers).map(|_| OwnerList::new(kept)).collect(),
            everybody: Vec::with_capacity(packets_max),
            count: u32::try_from(workers).unwrap_or(u32::MAX),
            kept,
            keying,
        }
    }

    /// Fills the lists from these packets. Earliest and latest time, when no packet is older than the one before it.
    #[inline(never)]
    fn fill<'a>(&mut self, packets: impl Iterator<Item = Packet<'a>>, facts: &mut Dissected) -> Option<(Timestamp, Timestamp)> {
        self.lists.iter_mut().for_each(|list| list.clear(self.kept));
        self.everybody.clear();
        let (mut earliest, mut latest, mut is_in_order) = (None, Timestamp(0), true);
        for (index, packet) in (0..).zip(packets) {
            earliest = earliest.or(Some(packet.time));
            is_in_order &= latest <= packet.time;
            latest = latest.max(packet.time);
            match wire::common_tcp4(packet.link_type, packet.data, packet.wire_len) {
                Some(common) => self.add_common::<false>(index, &packet, &common),
                None => {
                    // So that the packets above need not lie in memory.
                    let copy = packet;
                    self.add_other(index, &copy, facts);
                }
            }
        }
        earliest.filter(|_| is_in_order).map(|earliest| (earliest, latest))
    }

    /// A common frame: everything that can be known of it without a table goes into its owner's list. `TAGGED`: it may have a VLAN tag.
    #[inline(always)]
    fn add_common<const TAGGED: bool>(&mut self, index: u16, packet: &Packet<'_>, common: &Common<'_>) {
        let owner = FlowKey::share_of_common(common.network(), common.ports(), self.count);
        if let Some(list) = self.lists.get_mut(owner as usize) {
            let meta = list.next();
            meta.read_flow::<TAGGED>(common, &self.keying);
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
            return self.add_common::<true>(index, packet, &common);
        }
        wire::walk_into(facts, packet.link_type, packet.data, packet.wire_len);
        let Some(owner) = owner(facts, self.count) else { return self.everybody.push(index) };
        let quoted =
            Quote::of(facts, packet.data).map(|quote| quote.flow.key.share(self.count)).filter(|&quoted| quoted != owner);
        for owner in [Some(owner), quoted].into_iter().flatten() {
            if let Some(list) = self.lists.get_mut(owner as usize) {
                *list.next() = PacketMeta::unread(index, packet);
                list.close(false);
            }
        }
    }
}

impl OwnerList {
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

    /// The meta behind the last one, to be written over what stood there before; [`OwnerList::close`] follows.
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

/// The one of `count` workers that a packet concerns; `None` when it concerns all: fragments are followed by everybody, what has
/// no flow is the leading worker's.
fn owner(facts: &Dissected, count: u32) -> Option<u32> {
    match &facts.network {
        Some(network) if network.fragment.is_some() => None,
        Some(network) => Some(ports_of(facts).map_or(0, |ports| FlowKey::new(network, ports).0.share(count))),
        None => Some(0),
    }
}
