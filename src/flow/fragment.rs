//! Which ports a later fragment belongs to, in either order of arrival.
//!
//! Owns what is known of datagrams on their way. Knows no flows. Its invariant: every later fragment is either told its ports, or
//! held and later handed over with the first fragment, or counted as orphaned; and there are never more than
//! [`FragmentTable::DATAGRAM_COUNT_MAX`] datagrams.
//!
//! A datagram is named by IP version, addresses, identification and, for IPv4, the protocol (RFC 791, RFC 8200 section 4.5; in
//! IPv6 the header behind the fragment header differs between first and later fragments when there are more extension headers).

use super::FoldHash;
use crate::wire::{Fragment, IpVersion, Network, Ports};
use netscope_backends::Timestamp;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ops::AddAssign;

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

/// What a later fragment belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later {
    /// The first fragment was seen: the flow's key has these ports and this protocol (not the later fragment's own).
    Known {
        /// Ports of the first fragment.
        ports: Ports,
        /// [`Network::protocol`] of the first fragment.
        protocol: u8,
    },
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
    /// as a datagram's ranges can be told apart by 8 stretches.
    pub overlapping: u64,
    /// Fragments no sender needs to make so small: a first fragment without the whole fixed transport header (RFC 1858 section 3),
    /// or one with others behind it and fewer than 48 bytes (every link carries 68: RFC 791).
    pub tiny: u64,
    /// Held fragments whose first one never came.
    pub orphaned_packets: u64,
    /// Their bytes on the wire.
    pub orphaned_bytes: u64,
    /// Datagrams forgotten before their time because there were too many.
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

const NONE: u32 = u32::MAX;
const RANGE_COUNT: usize = 8;
/// Bytes that a link of the smallest permitted size carries behind a minimal IPv4 header.
const TINY_LEN: u32 = 48;

#[derive(Clone, Copy, PartialEq, Eq)]
struct DatagramKey {
    source: [u8; 16],
    destination: [u8; 16],
    id: u32,
    version: u8,
    protocol: u8,
}

impl Hash for DatagramKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_le_bytes(self.source));
        state.write_u128(u128::from_le_bytes(self.destination));
        state.write_u64(u64::from(self.id) | u64::from(self.version) << 32 | u64::from(self.protocol) << 40);
    }
}

impl DatagramKey {
    fn new(network: &Network, fragment: &Fragment) -> Self {
        let protocol = if network.version == IpVersion::V4 { network.protocol } else { 0 };
        let (source, destination) = (network.source, network.destination);
        Self { source, destination, id: fragment.id, version: network.version as u8, protocol }
    }
}

/// Stretches of a datagram seen so far, apart from each other.
#[derive(Clone, Copy, Default)]
struct Ranges {
    ranges: [(u32, u32); RANGE_COUNT],
    count: u8,
}

impl Ranges {
    /// Adds a stretch; true when part of it was there. A ninth stretch apart from all others is not remembered.
    fn add(&mut self, start: u32, end: u32) -> bool {
        if start >= end {
            return false;
        }
        let (mut merged, mut overlaps, mut kept) = ((start, end), false, 0);
        for i in 0..usize::from(self.count) {
            let range = self.ranges[i];
            if range.1 < merged.0 || merged.1 < range.0 {
                self.ranges[kept] = range;
                kept += 1;
            } else {
                overlaps |= range.0 < end && start < range.1;
                merged = (merged.0.min(range.0), merged.1.max(range.1));
            }
        }
        if kept < RANGE_COUNT {
            self.ranges[kept] = merged;
            kept += 1;
        }
        self.count = kept as u8;
        overlaps
    }
}

#[derive(Clone, Copy)]
struct Datagram {
    key: DatagramKey,
    began: Timestamp,
    ports: Option<(Ports, u8)>,
    held: Option<Held>,
    ranges: Ranges,
    older: u32,
    newer: u32,
}

/// Datagrams on their way, oldest first.
pub struct FragmentTable {
    places: Vec<Datagram>,
    index: HashMap<DatagramKey, u32, FoldHash>,
    free: Vec<u32>,
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
    /// How long a datagram is remembered from its first sighting on (RFC 791 suggests 15 s, Linux keeps 30 s).
    pub const TIMEOUT_NS: u64 = 30 * Timestamp::NS_PER_SEC;

    /// An empty table; its memory is reserved here.
    pub fn new() -> Self {
        Self::with_count_max(Self::DATAGRAM_COUNT_MAX)
    }

    fn with_count_max(count_max: usize) -> Self {
        Self {
            places: Vec::with_capacity(count_max),
            index: HashMap::with_capacity_and_hasher(2 * count_max, FoldHash::random()),
            free: Vec::with_capacity(count_max),
            oldest: NONE,
            newest: NONE,
            clock: Timestamp(0),
            count_max,
            counters: FragmentCounters::default(),
        }
    }

    /// Remembers the ports of a first fragment and gives back what waited for it. An identification that is used again begins a
    /// new datagram. Without ports (the fragment is too small to hold them) it is only counted. A packet that is no first
    /// fragment is left alone.
    pub fn first(&mut self, network: &Network, ports: Option<Ports>, time: Timestamp) -> Option<Held> {
        let fragment = network.fragment.filter(|fragment| fragment.offset == 0)?;
        self.advance(time);
        self.counters.first += 1;
        let whole_header = fixed_header_len(network.protocol);
        self.counters.tiny += u64::from(fragment.more && fragment.len < TINY_LEN.max(whole_header));
        let ports = ports?;
        let key = DatagramKey::new(network, &fragment);
        let known = self.index.get(&key).copied();
        if let Some(place) = known.filter(|&place| self.places[place as usize].ports.is_some()) {
            // The same identification again: what comes from now on belongs to the newer datagram.
            self.forget(place);
        }
        let place = match self.index.get(&key) {
            Some(&place) => place,
            None => self.insert(key),
        };
        let datagram = &mut self.places[place as usize];
        datagram.ports = Some((ports, network.protocol));
        self.counters.overlapping += u64::from(datagram.ranges.add(0, fragment.len));
        datagram.held.take()
    }

    /// Asks for a later fragment's ports; holds it back when the first fragment has not been seen. `number` is the packet's on its
    /// queue. `None` when the packet is no later fragment.
    pub fn later(&mut self, network: &Network, time: Timestamp, wire_len: u32, number: u64) -> Option<Later> {
        let fragment = network.fragment.filter(|fragment| fragment.offset != 0)?;
        self.advance(time);
        self.counters.later += 1;
        self.counters.tiny += u64::from(fragment.more && fragment.len < TINY_LEN);
        let key = DatagramKey::new(network, &fragment);
        let place = match self.index.get(&key) {
            Some(&place) => place,
            None => self.insert(key),
        };
        let datagram = &mut self.places[place as usize];
        let end = fragment.offset.saturating_add(fragment.len);
        self.counters.overlapping += u64::from(datagram.ranges.add(fragment.offset, end));
        if let Some((ports, protocol)) = datagram.ports {
            return Some(Later::Known { ports, protocol });
        }
        let one = Held { packets: 1, bytes: u64::from(wire_len), earliest: time, latest: time, first_packet: number };
        datagram.held = Some(match datagram.held {
            None => one,
            Some(held) => Held {
                packets: held.packets + 1,
                bytes: held.bytes.saturating_add(one.bytes),
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
        while self.oldest != NONE && self.clock.since(self.places[self.oldest as usize].began) > Self::TIMEOUT_NS {
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
        self.index.len()
    }

    /// True when no datagram is on its way.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Later fragments waiting for their first one, and their bytes: they are in no flow and not orphaned yet.
    pub fn held(&self) -> (u64, u64) {
        let mut sum = (0, 0);
        let mut place = self.oldest;
        while place != NONE {
            let datagram = &self.places[place as usize];
            sum.0 += datagram.held.map_or(0, |held| held.packets);
            sum.1 += datagram.held.map_or(0, |held| held.bytes);
            place = datagram.newer;
        }
        sum
    }

    /// Counts since the start.
    pub fn counters(&self) -> FragmentCounters {
        self.counters
    }

    fn insert(&mut self, key: DatagramKey) -> u32 {
        if self.index.len() >= self.count_max && self.oldest != NONE {
            self.counters.evicted += 1;
            self.forget(self.oldest);
        }
        let older = self.newest;
        let datagram =
            Datagram { key, began: self.clock, ports: None, held: None, ranges: Ranges::default(), older, newer: NONE };
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place as usize] = datagram;
                place
            }
            None => {
                self.places.push(datagram);
                (self.places.len() - 1) as u32
            }
        };
        match older {
            NONE => self.oldest = place,
            older => self.places[older as usize].newer = place,
        }
        self.newest = place;
        self.index.insert(key, place);
        place
    }

    fn forget(&mut self, place: u32) {
        let Datagram { key, held, older, newer, .. } = self.places[place as usize];
        if let Some(held) = held {
            self.counters.orphaned_packets += held.packets;
            self.counters.orphaned_bytes = self.counters.orphaned_bytes.saturating_add(held.bytes);
        }
        match older {
            NONE => self.oldest = newer,
            older => self.places[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.places[newer as usize].older = older,
        }
        self.index.remove(&key);
        self.free.push(place);
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
