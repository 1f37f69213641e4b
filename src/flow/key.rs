//! The canonical 5-tuple, its direction and its keyed hash.
//!
//! Endpoint a is the smaller of (IP version, address, port), so both directions of a flow have one key.

use super::KeyScope;
use crate::wire::{CommonNetwork, IpVersion, Network, Ports, array_at, be16};
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
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

/// Canonical flow key: address of a, address of b (16 bytes each; an IPv4 address stands in the first 4, the rest is 0), port of a, port
/// of b (2 bytes each, network byte order), IP version, protocol. Protocols without ports have port 0; ICMP echo has its
/// identifier as both ports, other ICMP messages type and code ([`super::IcmpFlow`]). Beside the version and behind the protocol
/// stands the number of the packet's domain, 15 bits, which is 0 where 5-tuples alone tell flows apart, and in every record. One
/// array, so that it is read in pieces of any size.
#[derive(Clone, Copy, Debug, Eq, PartialOrd, Ord)]
pub struct FlowKey([u8; KEY_LEN]);

const KEY_LEN: usize = 39;
/// Where the version and the upper 7 bits of the domain stand.
const VERSION_AT: usize = 36;
const PROTOCOL_AT: usize = 37;
/// Where the lower 8 bits of the domain stand.
const DOMAIN_AT: usize = 38;
/// Set for IPv6.
const VERSION_BIT: u8 = 1 << 7;

impl PartialEq for FlowKey {
    /// Three pieces that overlap, without a branch in between.
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        let differs = |at| u128::from_ne_bytes(array_at(&self.0, at)) ^ u128::from_ne_bytes(array_at(&other.0, at));
        differs(0) | differs(16) | differs(KEY_LEN - 16) == 0
    }
}

impl Hash for FlowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// How the workers on one source key and hash.
#[derive(Clone, Copy, Debug)]
pub struct Keying {
    /// What tells two flows with the same 5-tuple apart.
    pub scope: KeyScope,
    /// Of the flow hash.
    pub secret: HashSecret,
}

/// A packet's flow: key, [`super::FlowTable::hash`] of it, and which way the packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// Canonical 5-tuple.
    pub key: FlowKey,
    /// Keyed hash.
    pub hash: u64,
    /// The packet's direction in the key.
    pub direction: Direction,
}

impl Keyed {
    /// A place to write to.
    pub const NONE: Self = Self { key: FlowKey::BLANK, hash: 0, direction: Direction::AToB };
}

impl FlowKey {
    /// No flow's key, to be written over.
    pub const BLANK: Self = Self([0; KEY_LEN]);

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
        let mut key = Self([0; KEY_LEN]);
        key.set(u128::from_le_bytes(a), u128::from_le_bytes(b), pack_tail(a_port, b_port, network.version, network.protocol));
        (key, direction)
    }

    /// The same tuple in the domain of this number, which is below 2^15.
    #[must_use]
    #[inline(always)]
    pub const fn in_domain(mut self, number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        self.0[VERSION_AT] = self.0[VERSION_AT] & VERSION_BIT | high & !VERSION_BIT;
        self.0[DOMAIN_AT] = low;
        self
    }

    /// The same tuple in no domain: what records hold, and what they are ordered by.
    #[must_use]
    #[inline(always)]
    pub const fn tuple(self) -> Self {
        self.in_domain(0)
    }

    /// The number of its domain.
    #[inline(always)]
    pub const fn domain(&self) -> u16 {
        u16::from_be_bytes([self.0[VERSION_AT] & !VERSION_BIT, self.0[DOMAIN_AT]])
    }

    /// As [`FlowKey::new`], from the header of a common frame and written over what was there; with [`FlowKey::hash`] of it.
    #[inline(always)]
    pub fn set_common(&mut self, network: CommonNetwork<'_>, ports: Ports, secret: &HashSecret) -> (Direction, u64) {
        match network {
            CommonNetwork::V4(header) => self.set_v4(header, ports, secret),
            CommonNetwork::V6(_) => {
                let (key, direction) = Self::new(&network.facts(), ports);
                *self = key;
                (direction, key.hash_v6(secret))
            }
        }
    }

    #[inline(always)]
    fn set_v4(&mut self, header: &[u8; 20], ports: Ports, secret: &HashSecret) -> (Direction, u64) {
        // Both addresses at once, and the ports: then each address and its port in one number, which has the order of keys.
        let addresses =
            u64::from_be_bytes([header[12], header[13], header[14], header[15], header[16], header[17], header[18], header[19]]);
        let source = (addresses >> 32) << 16 | u64::from(ports.source);
        let destination = (addresses & 0xffff_ffff) << 16 | u64::from(ports.destination);
        let (low, high) = (source.min(destination), source.max(destination));
        let address = |end: u64| u128::from(((end >> 16) as u32).swap_bytes());
        let (a, b) = (address(low), address(high));
        let tail = pack_tail(low as u16, high as u16, IpVersion::V4, header[9]);
        self.0[..16].copy_from_slice(&a.to_le_bytes());
        self.0[16..32].copy_from_slice(&b.to_le_bytes());
        // With the last byte of b, which is 0: one piece instead of three.
        self.0[31..].copy_from_slice(&(tail << 8).to_le_bytes());
        let direction = if source <= destination { Direction::AToB } else { Direction::BToA };
        // Of the numbers at hand, not of what was just written.
        (direction, hash_of_v4(a as u64, b as u64, tail, secret))
    }

    /// Writes all bytes, each piece as wide as it is read back: a read of two fresh pieces would have to wait for both.
    #[inline(always)]
    fn set(&mut self, a: u128, b: u128, tail: u64) {
        let [p0, p1, p2, p3, version, protocol, domain, _] = tail.to_le_bytes();
        self.0[..16].copy_from_slice(&a.to_le_bytes());
        self.0[16..32].copy_from_slice(&b.to_le_bytes());
        self.0[32..36].copy_from_slice(&[p0, p1, p2, p3]);
        self.0[VERSION_AT..DOMAIN_AT].copy_from_slice(&[version, protocol]);
        self.0[DOMAIN_AT] = domain;
    }

    #[inline(always)]
    fn a(&self) -> [u8; 16] {
        array_at(&self.0, 0)
    }

    #[inline(always)]
    fn b(&self) -> [u8; 16] {
        array_at(&self.0, 16)
    }

    /// Address of endpoint a.
    pub fn a_ip(&self) -> IpAddr {
        Self::ip(self.version(), self.a())
    }

    /// Address of endpoint b.
    pub fn b_ip(&self) -> IpAddr {
        Self::ip(self.version(), self.b())
    }

    /// Port of endpoint a.
    pub const fn a_port(&self) -> u16 {
        be16(&self.0, 32)
    }

    /// Port of endpoint b.
    pub const fn b_port(&self) -> u16 {
        be16(&self.0, 34)
    }

    /// True when one of the ports is that of DHCP servers (IANA: 67) and the protocol is UDP.
    #[inline(always)]
    pub const fn is_dhcp(&self) -> bool {
        const SERVER: u16 = 67;
        const UDP: u8 = 17;
        (self.a_port() == SERVER || self.b_port() == SERVER) && self.protocol() == UDP
    }

    /// IANA protocol number.
    pub const fn protocol(&self) -> u8 {
        self.0[PROTOCOL_AT]
    }

    /// IP version.
    pub const fn version(&self) -> IpVersion {
        if self.0[VERSION_AT] & VERSION_BIT == 0 { IpVersion::V4 } else { IpVersion::V6 }
    }

    /// The key as numbers that are in the same order: addresses of a and b, an IPv4 address in the upper 32 bits; behind them, 48 bits, both
    /// ports, version and protocol. The domain is left out.
    #[inline(always)]
    pub fn numbers(&self) -> (u128, u128, u64) {
        (u128::from_be_bytes(self.a()), u128::from_be_bytes(self.b()), self.tail().swap_bytes() >> 16)
    }

    /// Keyed hash of all 39 bytes: 64-bit lanes, each whitened with its own secret, folded by 64x64→128-bit multiplication. What
    /// is 0 in every IPv4 key is left out for those.
    ///
    /// Every lane meets a secret before it is multiplied, so which tuples collide depends on the secret alone.
    #[inline(always)]
    pub fn hash(&self, secret: &HashSecret) -> u64 {
        if self.version() == IpVersion::V4 { self.hash_v4(secret) } else { self.hash_v6(secret) }
    }

    #[inline(always)]
    fn hash_v4(&self, secret: &HashSecret) -> u64 {
        let ([a, _], [b, _]) = (lanes(&self.a()), lanes(&self.b()));
        hash_of_v4(a, b, self.tail(), secret)
    }

    #[inline(always)]
    fn hash_v6(&self, HashSecret(s): &HashSecret) -> u64 {
        let ([a0, a1], [b0, b1]) = (lanes(&self.a()), lanes(&self.b()));
        let x = fold(a0 ^ s[0], a1 ^ s[1]);
        let y = fold(b0 ^ s[2], b1 ^ s[3]);
        fold(x ^ self.tail() ^ s[4], y ^ s[5])
    }

    /// A number below `count` that is the same for every packet of the flow and in every run, and for equal tuples in all domains.
    #[inline(always)]
    pub fn share(&self, count: u32) -> u32 {
        share_of(lanes(&self.a()), lanes(&self.b()), Ports { source: self.a_port(), destination: self.b_port() }, count)
    }

    /// As [`FlowKey::share`] of the key of a common frame, which need not be made for it.
    #[inline(always)]
    pub fn share_of_common(network: CommonNetwork<'_>, ports: Ports, count: u32) -> u32 {
        let (source, destination) = match network {
            CommonNetwork::V4(header) => {
                let address = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
                ([u64::from(address(12)), 0], [u64::from(address(16)), 0])
            }
            CommonNetwork::V6(_) => {
                let facts = network.facts();
                (lanes(&facts.source), lanes(&facts.destination))
            }
        };
        share_of(source, destination, ports, count)
    }

    /// Everything but the addresses.
    #[inline(always)]
    fn tail(&self) -> u64 {
        let (ports, kind) = (u32::from_le_bytes(array_at(&self.0, 32)), u16::from_le_bytes(array_at(&self.0, VERSION_AT)));
        u64::from(ports) | u64::from(kind) << 32 | u64::from(self.0[DOMAIN_AT]) << 48
    }

    fn ip(version: IpVersion, bytes: [u8; 16]) -> IpAddr {
        if version == IpVersion::V4 {
            IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
        } else {
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
    }
}

/// The share of a flow: sums, which are the same in both directions, mixed by multiplication.
#[inline(always)]
fn share_of([a0, a1]: [u64; 2], [b0, b1]: [u64; 2], ports: Ports, count: u32) -> u32 {
    let addresses = a0.wrapping_add(b0).wrapping_add(a1.wrapping_add(b1).rotate_left(29));
    let ports = u64::from(ports.source) + u64::from(ports.destination);
    let mixed = (addresses ^ ports.wrapping_mul(0xd6e8_feb8_6659_fd93)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (((mixed >> 32) * u64::from(count)) >> 32) as u32
}

/// What stands behind the addresses, as [`FlowKey::tail`], in no domain.
#[inline(always)]
const fn pack_tail(a: u16, b: u16, version: IpVersion, protocol: u8) -> u64 {
    let version = match version {
        IpVersion::V4 => 0,
        IpVersion::V6 => VERSION_BIT as u64,
    };
    ((a as u32) << 16 | b as u32).swap_bytes() as u64 | version << 32 | (protocol as u64) << 40
}

/// [`FlowKey::hash`] of an IPv4 key with these addresses, 32 bits each.
#[inline(always)]
const fn hash_of_v4(a: u64, b: u64, tail: u64, HashSecret(s): &HashSecret) -> u64 {
    fold(fold((a | b << 32) ^ s[0], tail ^ s[1]) ^ s[4], s[5])
}

/// An address as two numbers.
#[inline(always)]
fn lanes(address: &[u8; 16]) -> [u64; 2] {
    let bits = u128::from_le_bytes(*address);
    [bits as u64, (bits >> 64) as u64]
}

/// Both halves of the 128-bit product, xored.
#[inline(always)]
const fn fold(x: u64, y: u64) -> u64 {
    let product = (x as u128) * (y as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

/// The flow hash for maps of other keys: each word meets a secret before it is multiplied.
#[derive(Clone)]
pub struct FoldHash(HashSecret);

/// One key on its way through [`FoldHash`].
pub struct FoldHasher {
    secret: HashSecret,
    state: u64,
}

impl FoldHash {
    /// With a secret from the operating system's randomness.
    pub fn random() -> Self {
        Self(HashSecret::random())
    }

    /// With this secret.
    pub const fn with(secret: HashSecret) -> Self {
        Self(secret)
    }
}

impl BuildHasher for FoldHash {
    type Hasher = FoldHasher;

    fn build_hasher(&self) -> FoldHasher {
        FoldHasher { secret: self.0, state: self.0.0[5] }
    }
}

impl Hasher for FoldHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.state = fold(self.state ^ word ^ self.secret.0[0], self.secret.0[1]);
    }

    #[inline]
    fn write_u128(&mut self, word: u128) {
        let halves = fold(word as u64 ^ self.secret.0[2], (word >> 64) as u64 ^ self.secret.0[3]);
        self.state = fold(self.state ^ halves, self.secret.0[4]);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.state
    }
}

/// Secret of the flow hash: crafted tuples cannot collide without it.
#[derive(Clone, Copy)]
pub struct HashSecret([u64; 6]);

impl fmt::Debug for HashSecret {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashSecret")
    }
}

impl HashSecret {
    /// A new secret from the operating system's randomness.
    pub fn random() -> Self {
        // RandomState is seeded by the operating system; hashing counters with it spreads that seed over the lanes.
        let state = RandomState::new();
        Self(std::array::from_fn(|i| state.hash_one(i) | 1))
    }

    /// A known secret, for tests.
    pub const FIXED: Self = Self([
        0x9e37_79b9_7f4a_7c15,
        0xbf58_476d_1ce4_e5b9,
        0x94d0_49bb_1331_11eb,
        0xd6e8_feb8_6659_fd93,
        0xa076_1d64_78bd_642f,
        0xe703_7ed1_a0b4_28db,
    ]);
}
