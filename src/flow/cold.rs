//! The cold side of flows: what few flows have and no packet needs in the common case.
//!
//! Owns tunnels, unusual VLAN tags, fragment counts and clocks that do not fit a flow's hot entry. Knows neither table nor time.
//! Its invariant: a place belongs to exactly one flow from [`ColdArena::insert`] to [`ColdArena::remove`].

use crate::wire::{Tunnel, VlanTags};
use netscope_backends::Timestamp;

/// Rare facts of one flow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cold {
    /// VLAN tags of the first packet.
    pub vlan: VlanTags,
    /// Innermost tunnel of the first packet.
    pub tunnel: Option<Tunnel>,
    /// Later IP fragments among the packets.
    pub fragments: u32,
    /// The clock when the flow was last touched; valid while the entry says so.
    pub touched: Timestamp,
}

const _: () = assert!(size_of::<Cold>() <= 32);

/// Places for [`Cold`] facts, used again after removal.
pub(super) struct ColdArena {
    places: Vec<Cold>,
    free: Vec<u32>,
}

impl ColdArena {
    /// Reserves `count` places; untouched memory is not resident.
    pub fn with_capacity(count: usize) -> Self {
        Self { places: Vec::with_capacity(count), free: Vec::with_capacity(count) }
    }

    /// Stores the facts; the number of their place, below 2^31 because there are never more places than flows.
    pub fn insert(&mut self, cold: Cold) -> u32 {
        if let Some(number) = self.free.pop() {
            self.places[number as usize] = cold;
            return number;
        }
        self.places.push(cold);
        (self.places.len() - 1) as u32
    }

    pub fn get(&self, number: u32) -> &Cold {
        &self.places[number as usize]
    }

    pub fn get_mut(&mut self, number: u32) -> &mut Cold {
        &mut self.places[number as usize]
    }

    pub fn remove(&mut self, number: u32) {
        self.free.push(number);
    }

    /// Bytes in use, free places included.
    pub fn memory_bytes(&self) -> usize {
        self.places.len() * size_of::<Cold>() + self.free.len() * 4
    }
}
