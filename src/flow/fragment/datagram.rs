//! What is known of one datagram that comes in fragments.
//!
//! Owns its name and the units seen of it. Knows no other datagram, no time and no limit but its own size.

use super::{FlowAt, Held};
use crate::flow::arena::{NO_PLACE, Slot};
use crate::wire::{Fragment, IpVersion, Network, array_at};
use netscope_backends::Timestamp;
use std::hash::{Hash, Hasher};

/// Ranges that are told apart.
const RANGE_COUNT: usize = 8;

/// The name of a datagram: IP version, addresses, identification and, for IPv4, the protocol (RFC 791, RFC 8200 section 4.5; in
/// IPv6 the header behind the fragment header differs between first and later fragments when there are more extension headers).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct DatagramKey {
    source: [u8; 16],
    destination: [u8; 16],
    id: u32,
    version: IpVersion,
    protocol: u8,
}

impl Hash for DatagramKey {
    /// What is 0 in every IPv4 address is left out for those.
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
    }
}

impl DatagramKey {
    #[inline(always)]
    pub fn new(network: &Network, fragment: &Fragment) -> Self {
        let &Network { version, source, destination, .. } = network;
        let protocol = if version == IpVersion::V4 { network.protocol } else { 0 };
        Self { source, destination, id: fragment.id, version, protocol }
    }
}

/// Ranges of a datagram seen so far, apart from each other.
#[derive(Clone, Copy)]
pub(super) struct Ranges {
    ranges: [(u32, u32); RANGE_COUNT],
    count: u8,
}

impl Ranges {
    /// Adds a unit; true when part of it was there. A ninth unit apart from all others is not remembered.
    pub fn add(&mut self, start: u32, end: u32) -> bool {
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

/// How far a datagram has come.
#[derive(Clone, Copy)]
pub(super) enum DatagramProgress {
    /// Its first fragment was not seen; these wait for it.
    Held(Option<Held>),
    /// It was, and this is the flow of all its fragments, as their addresses are the same.
    Known(FlowAt),
}

/// A datagram on its way.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Datagram {
    pub key: DatagramKey,
    pub began: Timestamp,
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
        key: DatagramKey { source: [0; 16], destination: [0; 16], id: 0, version: IpVersion::V4, protocol: 0 },
        began: Timestamp(0),
        progress: DatagramProgress::Held(None),
        ranges: Ranges { ranges: [(0, 0); RANGE_COUNT], count: 0 },
        older: NO_PLACE,
        newer: NO_PLACE,
    };

    /// Makes it the newest datagram, of which nothing was seen.
    pub fn begin(&mut self, key: &DatagramKey, began: Timestamp, older: u32) {
        // What lies behind the count is not read, so it need not be cleared.
        self.ranges.count = 0;
        (self.key, self.began, self.progress, self.older, self.newer) =
            (*key, began, DatagramProgress::Held(None), older, NO_PLACE);
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
