//! The canonical 5-tuple, its direction and its keyed hash.
//!
//! Endpoint a is the smaller of (IP version, address, port), so both directions of a flow have one key.

use crate::wire::{IpVersion, Network, Ports};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which way a packet goes, seen from the canonical key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// From endpoint a to endpoint b.
    AToB = 0,
    /// From endpoint b to endpoint a.
    BToA = 1,
}

impl Direction {
    /// 0 for a to b, 1 for b to a.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The opposite way.
    pub const fn reverse(self) -> Self {
        match self {
            Self::AToB => Self::BToA,
            Self::BToA => Self::AToB,
        }
    }

    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AToB => "a_to_b",
            Self::BToA => "b_to_a",
        }
    }
}

/// Canonical flow key, 38 bytes without padding. IPv4 addresses stand in the first 4 bytes, the rest is 0. Protocols without ports have port 0;
/// ICMP echo has its identifier as both ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct FlowKey {
    a: [u8; 16],
    b: [u8; 16],
    a_port: u16,
    b_port: u16,
    version: u8,
    protocol: u8,
}

const _: () = assert!(size_of::<FlowKey>() == 38);

impl FlowKey {
    /// The key of a packet with these network facts and ports, and the packet's direction in it.
    #[inline]
    pub fn new(network: &Network, ports: Ports) -> (Self, Direction) {
        let (src, dst) = (network.source, network.destination);
        // As numbers, which are compared in two steps where arrays are compared by a call.
        let (low, high) = (u128::from_be_bytes(src), u128::from_be_bytes(dst));
        let forward = low < high || (low == high && ports.source <= ports.destination);
        let (a, b, a_port, b_port, direction) = if forward {
            (src, dst, ports.source, ports.destination, Direction::AToB)
        } else {
            (dst, src, ports.destination, ports.source, Direction::BToA)
        };
        (Self { a, b, a_port, b_port, version: network.version as u8, protocol: network.protocol }, direction)
    }

    /// Address of endpoint a.
    pub fn a_ip(&self) -> IpAddr {
        Self::ip(self.version, self.a)
    }

    /// Address of endpoint b.
    pub fn b_ip(&self) -> IpAddr {
        Self::ip(self.version, self.b)
    }

    /// Port of endpoint a.
    pub const fn a_port(&self) -> u16 {
        self.a_port
    }

    /// Port of endpoint b.
    pub const fn b_port(&self) -> u16 {
        self.b_port
    }

    /// IANA protocol number.
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// IP version.
    pub const fn version(&self) -> IpVersion {
        if self.version == IpVersion::V4 as u8 { IpVersion::V4 } else { IpVersion::V6 }
    }

    /// Keyed hash of all 38 bytes: five 64-bit lanes, each whitened with its own secret, folded by 64x64→128-bit multiplication.
    ///
    /// Every lane meets a secret before it is multiplied, so which tuples collide depends on the secret alone.
    #[inline]
    pub fn hash(&self, secret: &HashSecret) -> u64 {
        let s = &secret.0;
        let lane = |bytes: &[u8; 16], at: usize| -> u64 {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let tail = u64::from(self.a_port)
            | u64::from(self.b_port) << 16
            | u64::from(self.version) << 32
            | u64::from(self.protocol) << 40;
        let x = fold(lane(&self.a, 0) ^ s[0], lane(&self.a, 8) ^ s[1]);
        let y = fold(lane(&self.b, 0) ^ s[2], lane(&self.b, 8) ^ s[3]);
        fold(x ^ tail ^ s[4], y ^ s[5])
    }

    fn ip(version: u8, bytes: [u8; 16]) -> IpAddr {
        if version == IpVersion::V4 as u8 {
            IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
        } else {
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
    }
}

/// Both halves of the 128-bit product, xored.
const fn fold(x: u64, y: u64) -> u64 {
    let product = (x as u128) * (y as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Secret of the flow hash: crafted tuples cannot collide without it.
#[derive(Clone, Copy)]
pub struct HashSecret([u64; 6]);

impl HashSecret {
    /// A new secret from the operating system's randomness.
    pub fn random() -> Self {
        // RandomState is seeded by the operating system; hashing counters with it spreads that seed over the lanes.
        let state = RandomState::new();
        Self(std::array::from_fn(|i| state.hash_one(i) | 1))
    }

    /// A known secret, for sharing a file among workers (every worker must agree) and for tests.
    pub const FIXED: Self = Self([
        0x9e37_79b9_7f4a_7c15,
        0xbf58_476d_1ce4_e5b9,
        0x94d0_49bb_1331_11eb,
        0xd6e8_feb8_6659_fd93,
        0xa076_1d64_78bd_642f,
        0xe703_7ed1_a0b4_28db,
    ]);
}
