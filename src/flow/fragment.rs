//! Which flow a later fragment belongs to, in either order of arrival.
//!
//! Owns what is known of datagrams on their way. Knows no flow but by what was said with a first fragment, and passes that on. Its
//! invariant: every later fragment is either told its flow, or held and later handed over with the first fragment, or counted as
//! orphaned; and there are never more than [`FragmentTable::DATAGRAM_COUNT_MAX`] datagrams.
//!
//! A datagram of which all bytes were seen is over: the next fragment with its identification begins another one, as in
//! Wireshark's reassembly. So does a first fragment where one was seen. One exception is ours: what comes within
//! [`FragmentTable::COPY_NS`] of the fragment before it is a copy, as mirrors and links make them, and goes the same way; but a
//! first fragment of another flow is none.

mod datagram;

use self::datagram::{Datagram, DatagramKey, DatagramProgress};
use super::arena::{Arena, NO_PLACE as NONE};
use super::entry::BYTES_MAX;
use super::index::Index;
use super::{Candidate, Domain, FoldHash, Keyed};
use crate::wire::{Fragment, Network};
use netscope_backends::Timestamp;
use netscope_backends::prefetch::prefetch_whole;
use std::hash::BuildHasher;
use std::ops::AddAssign;

/// One fragment as the table sees it.
#[derive(Clone, Copy, Debug)]
pub struct FragmentPacket<'a> {
    /// Its IP header.
    pub network: &'a Network,
    /// In which VLAN and tunnel it came.
    pub domain: Domain,
    /// [`FragmentTable::hash`] of it.
    pub hash: u64,
    /// When it was captured.
    pub time: Timestamp,
    /// Bytes on the wire, link header included.
    pub wire_len: u32,
    /// Number of the packet on its queue.
    pub number: u64,
}

/// Later fragments that arrived before their first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// How many.
    pub packets: u64,
    /// Bytes on the wire, link headers included.
    pub bytes: u64,
    /// Earliest time.
    pub earliest: Timestamp,
    /// Latest time.
    pub latest: Timestamp,
    /// Number of the first of them on its queue.
    pub first_packet: u64,
}

/// A fragment's flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowAt {
    /// By the ports and the protocol of the first fragment.
    pub keyed: Keyed,
    /// Where it probably lies.
    pub candidate: Candidate,
}

/// What a later fragment belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later {
    /// The first fragment was seen: this was said to be its flow.
    Known(FlowAt),
    /// It waits for the first fragment, which will bring it along, or is counted as orphaned.
    Held,
}

/// Counts since the table was made. All values only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentCounters {
    /// First fragments seen.
    pub first: u64,
    /// Later fragments seen.
    pub later: u64,
    /// Fragments that cover bytes another fragment of the datagram covered, exact copies included (RFC 1858, RFC 5722). As far
    /// as a datagram's ranges can be told apart by 8 units.
    pub overlapping: u64,
    /// Fragments no sender needs to make so small: a first fragment without the whole fixed transport header (RFC 1858 section 3),
    /// or one with others behind it and fewer than 48 bytes (every link carries 68: RFC 791).
    pub tiny: u64,
    /// Held fragments whose first one never came, or that were together more than 2^48 bytes (by forged lengths).
    pub orphaned_packets: u64,
    /// Their bytes on the wire.
    pub orphaned_bytes: u64,
    /// Datagrams forgotten before they were complete or their time was over because there were too many.
    pub evicted: u64,
}

impl AddAssign<&Self> for FragmentCounters {
    fn add_assign(&mut self, other: &Self) {
        let Self { first, later, overlapping, tiny, orphaned_packets, orphaned_bytes, evicted } = other;
        self.first += first;
        self.later += later;
        self.overlapping += overlapping;
        self.tiny += tiny;
        self.orphaned_packets += orphaned_packets;
        self.orphaned_bytes += orphaned_bytes;
        self.evicted += evicted;
    }
}

impl FragmentCounters {
    fn note_orphaned(&mut self, held: &Held) {
        self.orphaned_packets += held.packets;
        self.orphaned_bytes = self.orphaned_bytes.saturating_add(held.bytes);
    }
}

/// Bytes that a link of the smallest permitted size carries behind a minimal IPv4 header.
const TINY_LEN: u32 = 48;

/// Datagrams on their way, oldest first.
pub struct FragmentTable {
    places: Arena<Datagram, 12>,
    index: Index,
    hasher: FoldHash,
    oldest: u32,
    newest: u32,
    clock: Timestamp,
    count_max: usize,
    counters: FragmentCounters,
}

impl Default for FragmentTable {
    fn default() -> Self {
        Self::new()
    }
}

impl FragmentTable {
    /// Most datagrams on their way at a time; the oldest gives way and is counted.
    pub const DATAGRAM_COUNT_MAX: usize = 4096;
    /// How long a datagram is remembered from its first packet on (RFC 791 suggests 15 s, Linux keeps 30 s).
    pub const TIMEOUT_NS: u64 = 30 * Timestamp::NS_PER_SEC;
    /// How far from the fragment before it a fragment of a datagram that is over is a copy. A mirror port and a link make copies
    /// within less; a sender that uses an identification again has used up 16 bits of them before.
    pub const COPY_NS: u64 = 1_000_000;

    /// An empty table; its memory is reserved here.
    pub fn new() -> Self {
        Self::with_count_max(Self::DATAGRAM_COUNT_MAX)
    }

    /// The same for `count_max` datagrams.
    pub(super) fn with_count_max(count_max: usize) -> Self {
        Self {
            places: Arena::with_capacity(count_max),
            // With room to spare: most fragments ask for a datagram that is not there yet, and one bucket has to tell so.
            index: Index::new(2 * count_max),
            hasher: FoldHash::random(),
            oldest: NONE,
            newest: NONE,
            clock: Timestamp(0),
            count_max,
            counters: FragmentCounters::default(),
        }
    }

    /// The hash by which this table finds a fragment's datagram.
    #[inline(always)]
    pub fn hash(&self, network: &Network, fragment: &Fragment, domain: Domain) -> u64 {
        self.hasher.hash_one(DatagramKey::new(network, fragment, domain))
    }

    /// Brings what is known of the datagram of this hash into the cache. No effect but speed.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        if let Some(place) = self.index.candidate(hash) {
            prefetch_whole(self.places.get(place));
        }
    }

    /// Where the flow of the datagram of this hash probably lies, as far as is known yet.
    #[inline]
    pub fn candidate(&self, hash: u64) -> Candidate {
        match self.index.candidate(hash).map(|place| self.places.get(place).progress) {
            Some(DatagramProgress::Known(flow)) => flow.candidate,
            _ => Candidate::NONE,
        }
    }

    /// Remembers the flow of a first fragment and gives back what waited for it. An identification that is used again begins a new
    /// datagram; a copy does not. Without a flow (the fragment is too small to hold ports) it is only counted. A packet that is no first fragment is
    /// left alone.
    pub fn first(&mut self, packet: &FragmentPacket<'_>, flow: Option<&FlowAt>) -> Option<Held> {
        let &FragmentPacket { network, domain, hash, time, .. } = packet;
        let fragment = network.fragment.filter(|fragment| fragment.offset == 0)?;
        self.advance(time);
        self.counters.first += 1;
        let whole_header = fixed_header_len(network.protocol);
        self.counters.tiny += u64::from(fragment.more && fragment.len < TINY_LEN.max(whole_header));
        let flow = *flow?;
        let key = DatagramKey::new(network, &fragment, domain);
        let place = match self.find(&key, hash) {
            Some(place) => match self.places.get(place).progress {
                DatagramProgress::Known(known) | DatagramProgress::Complete(known)
                    if known.keyed != flow.keyed || !self.places.get(place).is_near(time) =>
                {
                    // The same identification again: what comes from now on belongs to the newer datagram.
                    self.begin_again(place, &key, hash)
                }
                _ => place,
            },
            None => self.insert(&key, hash),
        };
        let datagram = self.places.get_mut(place);
        let mut waited = None;
        if let DatagramProgress::Held(held) = datagram.progress {
            waited = held;
            datagram.progress = DatagramProgress::Known(flow);
        }
        self.counters.overlapping += u64::from(datagram.add(&fragment, time));
        waited
    }

    /// Asks for a later fragment's flow; holds it back when the first fragment has not been seen. `None` when the packet is no
    /// later fragment.
    pub fn later(&mut self, packet: &FragmentPacket<'_>) -> Option<Later> {
        let &FragmentPacket { network, domain, hash, time, wire_len, number } = packet;
        let fragment = network.fragment.filter(|fragment| fragment.offset != 0)?;
        self.advance(time);
        self.counters.later += 1;
        self.counters.tiny += u64::from(fragment.more && fragment.len < TINY_LEN);
        let key = DatagramKey::new(network, &fragment, domain);
        let place = match self.find(&key, hash) {
            Some(place) => match self.places.get(place) {
                over if over.is_complete() && !over.is_near(time) => self.begin_again(place, &key, hash),
                _ => place,
            },
            None => self.insert(&key, hash),
        };
        let datagram = self.places.get_mut(place);
        self.counters.overlapping += u64::from(datagram.add(&fragment, time));
        let held = match &mut datagram.progress {
            DatagramProgress::Known(flow) | DatagramProgress::Complete(flow) => return Some(Later::Known(*flow)),
            DatagramProgress::Held(held) => held,
        };
        let one = Held { packets: 1, bytes: u64::from(wire_len), earliest: time, latest: time, first_packet: number };
        *held = Some(match *held {
            None => one,
            // A record has to be able to count what was held.
            Some(full) if full.bytes + one.bytes > BYTES_MAX => {
                self.counters.note_orphaned(&full);
                one
            }
            Some(held) => Held {
                packets: held.packets + 1,
                bytes: held.bytes + one.bytes,
                earliest: held.earliest.min(time),
                latest: held.latest.max(time),
                first_packet: held.first_packet.min(number),
            },
        });
        Some(Later::Held)
    }

    /// Forgets datagrams older than the timeout at `now`, which never takes the clock back.
    pub fn advance(&mut self, now: Timestamp) {
        self.clock = self.clock.max(now);
        while self.oldest != NONE && self.clock.since(self.places.get(self.oldest).began) > Self::TIMEOUT_NS {
            self.forget(self.oldest);
        }
    }

    /// Forgets everything: what is still held is counted as orphaned.
    pub fn drain(&mut self) {
        while self.oldest != NONE {
            self.forget(self.oldest);
        }
    }

    /// Datagrams on their way.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True when no datagram is on its way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Later fragments waiting for their first one, and their bytes: they are in no flow and not orphaned yet.
    pub fn held(&self) -> (u64, u64) {
        let mut sum = (0, 0);
        let mut place = self.oldest;
        while place != NONE {
            let datagram = self.places.get(place);
            if let DatagramProgress::Held(Some(held)) = &datagram.progress {
                sum.0 += held.packets;
                sum.1 += held.bytes;
            }
            place = datagram.newer;
        }
        sum
    }

    /// Counts since the start.
    pub fn counters(&self) -> FragmentCounters {
        self.counters
    }

    #[inline(always)]
    fn find(&self, key: &DatagramKey, hash: u64) -> Option<u32> {
        let is = |place: u32| self.places.get(place).key == *key;
        // Most often the first candidate is the one.
        self.index.candidate(hash).filter(|&place| is(place)).or_else(|| self.index.find(hash, is))
    }

    /// Forgets a datagram, whose identification belongs to a newer one from now on.
    fn begin_again(&mut self, place: u32, key: &DatagramKey, hash: u64) -> u32 {
        self.forget(place);
        self.insert(key, hash)
    }

    #[inline(never)]
    fn insert(&mut self, key: &DatagramKey, hash: u64) -> u32 {
        if self.len() >= self.count_max && self.oldest != NONE {
            self.counters.evicted += u64::from(!self.places.get(self.oldest).is_complete());
            self.forget(self.oldest);
            // The next one to give way, most likely soon.
            if self.oldest != NONE {
                prefetch_whole(self.places.get(self.oldest));
            }
        }
        let place = self.places.take(Datagram::NONE);
        let older = std::mem::replace(&mut self.newest, place);
        match older {
            NONE => self.oldest = place,
            older => self.places.get_mut(older).newer = place,
        }
        self.places.get_mut(place).begin(key, self.clock, older);
        self.index.add(hash, place);
        place
    }

    fn forget(&mut self, place: u32) {
        let &Datagram { ref key, ref progress, older, newer, .. } = self.places.get(place);
        self.index.remove(self.hasher.hash_one(key), place);
        if let DatagramProgress::Held(Some(held)) = progress {
            self.counters.note_orphaned(held);
        }
        match older {
            NONE => self.oldest = newer,
            older => self.places.get_mut(older).newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.places.get_mut(newer).older = older,
        }
        self.places.give_back(place);
    }
}

/// Length in bytes of the fixed part of a transport header; 0 where there is none.
const fn fixed_header_len(protocol: u8) -> u32 {
    match protocol {
        6 => 20,
        17 | 136 | 1 | 58 => 8,
        132 => 12,
        _ => 0,
    }
}
