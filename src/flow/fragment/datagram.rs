//! What is known of one datagram that comes in fragments.
//!
//! Owns its name and the units seen of it. Knows no other datagram and no limit but its own size.

use super::{FlowAt, FragmentTable, Held};
use crate::flow::Domain;
use crate::flow::arena::{NO_PLACE, Slot};
use crate::wire::{Fragment, IpVersion, Network, array_at};
use netscope_backends::Timestamp;
use std::hash::{Hash, Hasher};

/// Ranges that are told apart.
const RANGE_COUNT: usize = 8;

/// The name of a datagram: IP version, addresses, identification and, for IPv4, the protocol (RFC 791, RFC 8200 section 4.5; in
/// IPv6 the header behind the fragment header differs between first and later fragments when there are more extension headers).
/// Addresses mean something within their VLAN and tunnel alone, so those belong to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct DatagramKey {
    source: [u8; 16],
    destination: [u8; 16],
    id: u32,
    version: IpVersion,
    protocol: u8,
    domain: Domain,
}

impl Hash for DatagramKey {
    /// What is 0 in every IPv4 address is left out for those, and no domain for what is in none.
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.version == IpVersion::V4 {
            let address = |wide: &[u8; 16]| u64::from(u32::from_le_bytes(array_at(wide, 0)));
            state.write_u64(address(&self.source) | address(&self.destination) << 32);
        } else {
            state.write_u128(u128::from_le_bytes(self.source));
            state.write_u128(u128::from_le_bytes(self.destination));
        }
        state.write_u64(u64::from(self.id) | (self.version as u64) << 32 | u64::from(self.protocol) << 40);
        if !self.domain.is_none() {
            self.domain.hash(state);
        }
    }
}

impl DatagramKey {
    #[inline(always)]
    pub fn new(network: &Network, fragment: &Fragment, domain: Domain) -> Self {
        let &Network { version, source, destination, .. } = network;
        let protocol = if version == IpVersion::V4 { network.protocol } else { 0 };
        Self { source, destination, id: fragment.id, version, protocol, domain }
    }
}

/// The bytes of a datagram from one offset to before another. No datagram has more than 65535, so what lies behind that is cut off: no
/// two units overlap there that do not overlap before it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Piece {
    start: u16,
    end: u16,
}

impl Piece {
    fn of(fragment: &Fragment) -> Self {
        let end = fragment.offset.saturating_add(fragment.len);
        let [start, end] = [fragment.offset, end].map(|at| u16::try_from(at).unwrap_or(u16::MAX));
        Self { start, end }
    }
}

/// Ranges of a datagram seen so far, apart from each other.
#[derive(Clone, Copy)]
pub(super) struct Ranges {
    ranges: [Piece; RANGE_COUNT],
    count: u8,
    /// Where the fragment ended that none follows; 0 until it was seen.
    end: u16,
}

impl Ranges {
    /// Of a datagram of which nothing was seen. What lies behind the count is not read, so it need not be cleared.
    fn clear(&mut self) {
        (self.count, self.end) = (0, 0);
    }

    /// Adds a fragment; true when part of it was there. A ninth unit apart from all others is not remembered.
    pub fn add(&mut self, fragment: &Fragment) -> bool {
        let added = Piece::of(fragment);
        if added.start >= added.end {
            return false;
        }
        if !fragment.more {
            self.end = self.end.max(added.end);
        }
        let (mut merged, mut overlaps, mut kept) = (added, false, 0);
        for i in 0..usize::from(self.count) {
            let range = self.ranges[i];
            if range.end < merged.start || merged.end < range.start {
                self.ranges[kept] = range;
                kept += 1;
            } else {
                overlaps |= range.start < added.end && added.start < range.end;
                merged = Piece { start: merged.start.min(range.start), end: merged.end.max(range.end) };
            }
        }
        if kept < RANGE_COUNT {
            self.ranges[kept] = merged;
            kept += 1;
        }
        self.count = kept as u8;
        overlaps
    }

    /// Everything from the first byte to the last one was seen.
    pub fn is_complete(&self) -> bool {
        let Self { ranges: [Piece { start, end }, ..], count, end: last } = *self;
        last != 0 && count == 1 && start == 0 && end >= last
    }
}

/// How far a datagram has come.
#[derive(Clone, Copy)]
pub(super) enum DatagramProgress {
    /// Its first fragment was not seen; these wait for it.
    Held(Option<Held>),
    /// It was, and this is the flow of all its fragments, as their addresses are the same.
    Known(FlowAt),
    /// The same, and all of it was seen: what comes next is another datagram, but for copies.
    Complete(FlowAt),
}

/// A datagram on its way.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Datagram {
    pub key: DatagramKey,
    pub began: Timestamp,
    /// When the fragment was captured that was taken in last.
    pub last: Timestamp,
    pub progress: DatagramProgress,
    pub ranges: Ranges,
    /// Places of the datagrams that began before and after it.
    pub older: u32,
    pub newer: u32,
}

const _: () = assert!(size_of::<Datagram>() == 192);

impl Datagram {
    /// A place to write to.
    pub const NONE: Self = Self {
        key: DatagramKey {
            source: [0; 16],
            destination: [0; 16],
            id: 0,
            version: IpVersion::V4,
            protocol: 0,
            domain: Domain::NONE,
        },
        began: Timestamp(0),
        last: Timestamp(0),
        progress: DatagramProgress::Held(None),
        ranges: Ranges { ranges: [Piece { start: 0, end: 0 }; RANGE_COUNT], count: 0, end: 0 },
        older: NO_PLACE,
        newer: NO_PLACE,
    };

    /// Makes it the newest datagram, of which nothing was seen.
    pub fn begin(&mut self, key: &DatagramKey, began: Timestamp, older: u32) {
        self.ranges.clear();
        (self.key, self.began, self.progress, self.older, self.newer) =
            (*key, began, DatagramProgress::Held(None), older, NO_PLACE);
    }
}

impl Datagram {
    /// Takes in a fragment at `time`; true when part of it had been seen.
    pub fn add(&mut self, fragment: &Fragment, time: Timestamp) -> bool {
        self.last = time;
        let overlaps = self.ranges.add(fragment);
        if let DatagramProgress::Known(flow) = self.progress
            && self.ranges.is_complete()
        {
            self.progress = DatagramProgress::Complete(flow);
        }
        overlaps
    }

    /// All of it was seen.
    pub const fn is_complete(&self) -> bool {
        matches!(self.progress, DatagramProgress::Complete(_))
    }

    /// A fragment at `time` comes so soon before or after the one before it that both are of the same datagram.
    pub fn is_near(&self, time: Timestamp) -> bool {
        self.last.0.abs_diff(time.0) < FragmentTable::COPY_NS
    }
}

impl Slot for Datagram {
    fn next_free(&self) -> u32 {
        self.newer
    }

    fn set_next_free(&mut self, next: u32) {
        self.newer = next;
    }
}
