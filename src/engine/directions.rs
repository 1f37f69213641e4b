//! Which way packets go: into the networks that are inside, out of them, within them, or past them.
//!
//! Owns the class of each flow, by its place in the table. Knows no entry and no packet but its key. Invariant: a class is used for the
//! flow it was made for alone; networks are looked up once per flow, not per packet.

use super::TrafficCount;
use crate::detect::LocalNetworks;
use crate::flow::{Counted, Direction, FlowKey, HostAddress, Keyed};
use netscope_backends::BATCH_MAX;
use netscope_backends::prefetch::prefetch_read;
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

/// Bits of a place's word that say which ends are inside.
const A_INSIDE: u64 = 1;
const B_INSIDE: u64 = 2;
const ENDS: u64 = A_INSIDE | B_INSIDE;
/// The word is in use. The other bits are of the flow's hash, which tells whose word it is.
const USED: u64 = 4;

/// Packets that are not in the ledger yet have their bytes in the lower bits: of the packets of a wave, that many at most. One
/// addition counts both.
const BYTES_BITS: u32 = 40;
const _: () = assert!((BATCH_MAX as u64) << 32 < 1 << BYTES_BITS && (BATCH_MAX as u64) < 1 << (64 - BYTES_BITS));
const ONE_PACKET: u64 = 1 << BYTES_BITS;
/// By the ends that are inside, and the direction.
const SUMS: usize = 8;

/// Tells which way packets go.
#[derive(Debug)]
pub(super) struct DirectionMeter {
    local: LocalNetworks,
    /// By place.
    words: Vec<u64>,
    /// Of the wave that goes on.
    sums: [u64; SUMS],
}

impl DirectionMeter {
    /// By these networks.
    pub(super) const fn new(local: LocalNetworks) -> Self {
        Self { local, words: Vec::new(), sums: [0; SUMS] }
    }

    /// Brings the class of the flow at a place into the cache. No effect but speed.
    #[inline(always)]
    pub(super) fn prefetch(&self, place: u32) {
        if let Some(word) = self.words.get(place as usize) {
            prefetch_read(word);
        }
    }

    /// Counts a packet of the flow at a place. It is in the ledger once [`DirectionMeter::settle`] was called, at the latest at the end
    /// of the wave.
    #[inline(always)]
    pub(super) fn note(&mut self, keyed: &Keyed, place: u32, wire_len: u32) {
        let sum = self.place_of_sum(keyed, place);
        self.sums[sum] += ONE_PACKET + u64::from(wire_len);
    }

    /// Counts several packets of the flow at a place.
    pub(super) fn count(&mut self, keyed: &Keyed, place: u32, traffic: TrafficCount, counts: &mut DirectionCounts) {
        counts[direction_of(self.place_of_sum(keyed, place)) as usize] += traffic;
    }

    /// Brings what was noted into the ledger.
    pub(super) fn settle(&mut self, counts: &mut DirectionCounts) {
        for (at, sum) in std::mem::take(&mut self.sums).into_iter().enumerate() {
            let traffic = TrafficCount { packets: sum >> BYTES_BITS, bytes: sum & (ONE_PACKET - 1) };
            counts[direction_of(at) as usize] += traffic;
        }
    }

    #[inline(always)]
    fn place_of_sum(&mut self, keyed: &Keyed, place: u32) -> usize {
        let word = match self.words.get(place as usize) {
            Some(&word) if (word ^ (keyed.hash | USED)) & !ENDS == 0 => word,
            _ => self.look_up(keyed, place),
        };
        (word & ENDS) as usize | keyed.direction.index() << 2
    }

    #[cold]
    #[inline(never)]
    fn look_up(&mut self, keyed: &Keyed, place: u32) -> u64 {
        let word = keyed.hash & !ENDS | USED | self.ends(&keyed.key);
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

/// Which way the packets of a sum go.
const fn direction_of(at: usize) -> TrafficDirection {
    let (a, b) = (at as u64 & A_INSIDE != 0, at as u64 & B_INSIDE != 0);
    if at >> 2 == Direction::AToB.index() { TrafficDirection::new(a, b) } else { TrafficDirection::new(b, a) }
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
                meter.count(&keyed(from, to, 7), place, one, &mut counts);
                (0..2).for_each(|_| meter.note(&keyed(from, to, 7), place, 100));
                meter.settle(&mut counts);
                meter.settle(&mut counts);
                for direction in TrafficDirection::ALL {
                    let count = if direction == expected { 3 } else { 0 };
                    let sum = TrafficCount { packets: count, bytes: count * 100 };
                    assert_eq!(counts[direction as usize], sum, "{from:?} to {to:?} at {place}");
                }
            }
        }
        assert_eq!(meter.words.len(), 131_072);
    }

    #[test]
    fn a_wave_of_the_longest_packets_is_counted_whole() {
        let mut meter = DirectionMeter::new(LocalNetworks::private_and([]));
        (0..BATCH_MAX).for_each(|_| meter.note(&keyed([10, 0, 0, 1], [8, 8, 8, 8], 7), 3, u32::MAX));
        let mut counts = DirectionCounts::default();
        meter.settle(&mut counts);
        let sum = TrafficCount { packets: BATCH_MAX as u64, bytes: BATCH_MAX as u64 * u64::from(u32::MAX) };
        assert_eq!(counts[TrafficDirection::Out as usize], sum);
    }
}
