//! Which way packets go: into the networks that are inside, out of them, within them, or past them.
//!
//! Owns the class of each flow, by its place in the table. Knows no entry and no packet but its key. Invariant: a class is used for the
//! flow it was made for alone; networks are looked up once per flow, not per packet.

use super::TrafficCount;
use crate::detect::LocalNetworks;
use crate::flow::{Counted, Direction, FlowKey, HostAddress, Keyed};
use std::net::IpAddr;

/// Which way a packet of a flow goes. A packet without a flow goes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TrafficDirection {
    /// From outside to inside.
    In,
    /// From inside to outside.
    Out,
    /// From inside to inside.
    Internal,
    /// From outside to outside.
    Through,
}

impl TrafficDirection {
    /// All, in the order of their discriminants.
    pub const ALL: [Self; 4] = [Self::In, Self::Out, Self::Internal, Self::Through];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Internal => "internal",
            Self::Through => "through",
        }
    }

    const fn new(from_inside: bool, to_inside: bool) -> Self {
        match (from_inside, to_inside) {
            (false, true) => Self::In,
            (true, false) => Self::Out,
            (true, true) => Self::Internal,
            (false, false) => Self::Through,
        }
    }
}

/// Packets and bytes each way, by [`TrafficDirection`].
pub type DirectionCounts = [TrafficCount; TrafficDirection::ALL.len()];

/// Bits of a place's word that say which ends are inside; the others are of the flow's hash, which tells whose word it is.
const A_INSIDE: u64 = 1;
const B_INSIDE: u64 = 2;
const ENDS: u64 = A_INSIDE | B_INSIDE;

/// Tells which way packets go.
#[derive(Debug)]
pub(super) struct DirectionMeter {
    local: LocalNetworks,
    /// By place.
    words: Vec<u64>,
}

impl DirectionMeter {
    /// By these networks.
    pub(super) const fn new(local: LocalNetworks) -> Self {
        Self { local, words: Vec::new() }
    }

    /// Counts packets of the flow at a place.
    #[inline(always)]
    pub(super) fn count(&mut self, keyed: &Keyed, place: u32, traffic: TrafficCount, counts: &mut DirectionCounts) {
        let word = match self.words.get(place as usize) {
            Some(&word) if (word ^ keyed.hash) & !ENDS == 0 && word != 0 => word,
            _ => self.look_up(keyed, place),
        };
        let (a, b) = (word & A_INSIDE != 0, word & B_INSIDE != 0);
        let direction = match keyed.direction {
            Direction::AToB => TrafficDirection::new(a, b),
            Direction::BToA => TrafficDirection::new(b, a),
        };
        counts[direction as usize] += traffic;
    }

    #[cold]
    #[inline(never)]
    fn look_up(&mut self, keyed: &Keyed, place: u32) -> u64 {
        let word = keyed.hash & !ENDS | self.ends(&keyed.key);
        if place != Counted::NO_PLACE {
            let place = place as usize;
            if place >= self.words.len() {
                // Twice as far, so that reaching place after place moves little memory.
                self.words.resize((place + 1).next_power_of_two(), 0);
            }
            self.words[place] = word;
        }
        word
    }

    fn ends(&self, key: &FlowKey) -> u64 {
        let end = |address: IpAddr, bit| if self.local.contains(HostAddress::from(address)) { bit } else { 0 };
        end(key.a_ip(), A_INSIDE) | end(key.b_ip(), B_INSIDE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::HashSecret;
    use crate::wire::{IpVersion, Network, Ports};

    fn keyed(source: [u8; 4], destination: [u8; 4], port: u16) -> Keyed {
        let wide = |address: [u8; 4]| {
            let mut wide = [0; 16];
            wide[..4].copy_from_slice(&address);
            wide
        };
        let network = Network {
            version: IpVersion::V4,
            protocol: 17,
            ttl: 64,
            traffic_class: 0,
            source: wide(source),
            destination: wide(destination),
            fragment: None,
        };
        let (key, direction) = FlowKey::new(&network, Ports { source: port, destination: 53 });
        Keyed { key, hash: key.hash(&HashSecret::FIXED), direction }
    }

    #[test]
    fn both_ends_say_which_way_and_a_place_is_used_again() {
        const INSIDE: [u8; 4] = [10, 0, 0, 1];
        const ALSO: [u8; 4] = [192, 168, 1, 1];
        const OUTSIDE: [u8; 4] = [8, 8, 8, 8];
        const FAR: [u8; 4] = [1, 1, 1, 1];
        let mut meter = DirectionMeter::new(LocalNetworks::private_and([]));
        for place in [5, 5, 100_000, Counted::NO_PLACE] {
            for (from, to, expected) in [
                (INSIDE, OUTSIDE, TrafficDirection::Out),
                (OUTSIDE, INSIDE, TrafficDirection::In),
                (FAR, INSIDE, TrafficDirection::In),
                (INSIDE, FAR, TrafficDirection::Out),
                (INSIDE, ALSO, TrafficDirection::Internal),
                (ALSO, INSIDE, TrafficDirection::Internal),
                (OUTSIDE, FAR, TrafficDirection::Through),
                (FAR, OUTSIDE, TrafficDirection::Through),
            ] {
                let mut counts = DirectionCounts::default();
                let one = TrafficCount { packets: 1, bytes: 100 };
                (0..3).for_each(|_| meter.count(&keyed(from, to, 7), place, one, &mut counts));
                for direction in TrafficDirection::ALL {
                    let count = if direction == expected { 3 } else { 0 };
                    let sum = TrafficCount { packets: count, bytes: count * 100 };
                    assert_eq!(counts[direction as usize], sum, "{from:?} to {to:?} at {place}");
                }
            }
        }
        assert_eq!(meter.words.len(), 131_072);
    }
}
