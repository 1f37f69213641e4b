//! A unit of a source that several workers share: its packets, which of them are whose, and what is known of them before they
//! are counted.
//!
//! Owns the packets, as places in a mapped file or as copies, and the lists. Knows no thread and no table.
//! Its one invariant: the list of a worker has, in order, every packet of which it needs more than the time.

use super::packet_meta::{PacketMeta, Route};
use super::unit_fragments::{FragmentPart, FragmentResolver, UnitFragment};
use super::{BurstMeter, TickMeter};
use crate::flow::{FlowKey, Keying, Quote, ports_of};
use crate::wire::{self, Common, Dissected};
use netscope_backends::chunk::{CHUNK_PACKETS_MAX, PacketChunk};
use netscope_backends::file::{PLACES_MAX, Places, Scanner};
use netscope_backends::{BackendError, Counters, Packet, Position, Timestamp};

// The place of a packet in a unit has 16 bits, and so has that of a meta, of which a packet may have two.
const _: () = assert!(PLACES_MAX <= 1 << 15 && CHUNK_PACKETS_MAX <= 1 << 15);

/// Packets that follow each other in a source. Used again and again: all memory is reserved when it is made, but that for fragments.
pub struct WorkUnit {
    packets: UnitPackets,
    lists: OwnerLists,
    /// Set when nothing arrived after its packets: the time by which ticks may go on.
    pub(super) idle: Option<Timestamp>,
    /// Each worker is to have it soon, with packets or without.
    pub(super) is_for_all: bool,
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

/// The packets that each worker has to look at. All lists lie in one, so that they take what the packets take, however many workers
/// there are.
struct OwnerLists {
    /// In the order of the packets. Metas are written over, not dropped: those behind `len` are of a unit before, and there is always
    /// one.
    metas: Vec<PacketMeta>,
    len: usize,
    /// Whose each of them is. An ICMP error has two when another worker has the flow it quotes.
    owners: Vec<u16>,
    /// The places of the metas in `metas`, those of the first worker first.
    order: Vec<u16>,
    /// Of each worker, where in `order` its own end.
    ends: Vec<u32>,
    /// In order. What becomes of them is told when all units before were looked at.
    fragments: Vec<UnitFragment>,
    count: u32,
    keying: Keying,
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
            is_for_all: false,
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
        (self.idle, self.is_for_all, self.notice) = (None, false, None);
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

    /// Puts the packets that this worker has to look at into `own`, in order; true when some need their packets before they can be
    /// counted.
    pub(super) fn list(&self, worker: u32, own: &mut Vec<PacketMeta>) -> bool {
        own.clear();
        let metas = self.lists.of(worker);
        let mut metas = metas.peekable();
        for fragment in &self.lists.fragments {
            let part = fragment.part_of(worker, self.lists.count);
            if part == FragmentPart::None {
                continue;
            }
            own.extend(std::iter::from_fn(|| metas.next_if(|meta| meta.index < fragment.index)));
            let mut meta = PacketMeta::unread(fragment.index, &self.packet(usize::from(fragment.index)));
            if part == FragmentPart::Note {
                meta.route = Route::OthersFragment;
            }
            own.push(meta);
        }
        own.extend(metas);
        own.iter().any(PacketMeta::is_open)
    }

    /// True when this worker has something to do with it but to know the times.
    pub(super) fn concerns(&self, worker: u32) -> bool {
        self.is_for_all || self.has_fragments() || self.lists.of(worker).next().is_some()
    }

    /// True with fragments, which are to be resolved.
    pub(super) const fn has_fragments(&self) -> bool {
        !self.lists.fragments.is_empty()
    }

    /// Finds out what becomes of its fragments. Units come in order.
    pub(super) fn resolve(&mut self, resolver: &mut FragmentResolver) {
        let len = self.len();
        resolver.resolve(&mut self.lists.fragments, len);
    }

    /// The fragment at this place among its packets.
    pub(super) fn fragment(&self, index: u16) -> Option<&UnitFragment> {
        let fragments = &self.lists.fragments;
        fragments.binary_search_by_key(&index, |fragment| fragment.index).ok().and_then(|at| fragments.get(at))
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
        let mut metas = Vec::with_capacity(packets_max + 1);
        metas.push(PacketMeta::EMPTY);
        Self {
            metas,
            len: 0,
            owners: Vec::with_capacity(packets_max),
            order: Vec::with_capacity(packets_max),
            ends: vec![0; workers],
            fragments: Vec::new(),
            count: u32::try_from(workers).unwrap_or(u32::MAX),
            keying,
        }
    }

    /// The metas of this worker, in order.
    fn of(&self, worker: u32) -> impl Iterator<Item = PacketMeta> {
        let end_of = |worker: usize| self.ends.get(worker).map_or(0, |&end| end as usize);
        let end = end_of(worker as usize);
        let start = (worker as usize).checked_sub(1).map_or(0, end_of).min(end);
        let places = self.order.get(start..end).unwrap_or_default();
        places.iter().filter_map(|&place| self.metas.get(usize::from(place)).copied())
    }

    /// Puts the metas in order: in time of their number and that of the workers.
    fn sort(&mut self) {
        let Self { owners, order, ends, .. } = self;
        ends.fill(0);
        for &owner in &*owners {
            ends[usize::from(owner)] += 1;
        }
        // From how many each has to where its own begin; from there each is moved on to where they end.
        let mut start = 0;
        for end in &mut *ends {
            start += std::mem::replace(end, start);
        }
        order.clear();
        order.resize(owners.len(), 0);
        for (place, &owner) in (0..).zip(&*owners) {
            let end = &mut ends[usize::from(owner)];
            order[*end as usize] = place;
            *end += 1;
        }
    }

    /// Fills the lists from these packets. Earliest and latest time, when no packet is older than the one before it.
    #[inline(never)]
    fn fill<'a>(&mut self, packets: impl Iterator<Item = Packet<'a>>, facts: &mut Dissected) -> Option<(Timestamp, Timestamp)> {
        self.len = 0;
        self.owners.clear();
        self.fragments.clear();
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
        self.sort();
        earliest.filter(|_| is_in_order).map(|earliest| (earliest, latest))
    }

    /// A common frame: everything that can be known of it without a table goes into its owner's list. `TAGGED`: it may have a VLAN tag.
    #[inline(always)]
    fn add_common<const TAGGED: bool>(&mut self, index: u16, packet: &Packet<'_>, common: &Common<'_>) {
        let owner = FlowKey::share_of_common(common.network(), common.ports(), self.count);
        let Self { metas, len, keying, .. } = &mut *self;
        let meta = &mut metas[*len];
        meta.read_flow::<TAGGED>(common, keying);
        meta.read_route(common);
        meta.begin(packet);
        meta.index = index;
        self.close(owner);
    }

    /// A meta was written, which is this worker's.
    #[inline(always)]
    fn close(&mut self, owner: u32) {
        // No more workers than 16 bits count: see `config`.
        self.owners.push(owner as u16);
        self.len += 1;
        // The next one, now: a call before the packet's bytes are read would keep what is known of them from being used.
        if self.len == self.metas.len() {
            self.metas.push(PacketMeta::EMPTY);
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
        if let Some(network) = facts.network.as_ref().filter(|network| network.fragment.is_some()) {
            return self.fragments.push(UnitFragment::new(index, packet, facts, network, self.count));
        }
        let owner = owner(facts, self.count);
        let quoted =
            Quote::of(facts, packet.data).map(|quote| quote.flow.key.share(self.count)).filter(|&quoted| quoted != owner);
        for owner in [Some(owner), quoted].into_iter().flatten() {
            self.metas[self.len] = PacketMeta::unread(index, packet);
            self.close(owner);
        }
    }
}

/// The one of `count` workers that a packet concerns, no fragment; what has no flow is the leading worker's.
fn owner(facts: &Dissected, count: u32) -> u32 {
    let network = facts.network.as_ref();
    let flow = network.and_then(|network| Some(FlowKey::new(network, ports_of(facts)?).0));
    flow.map_or(0, |key| key.share(count))
}
