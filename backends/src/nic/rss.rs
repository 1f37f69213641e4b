//! Receive-side scaling: which queue a card puts a flow on, and whether both directions get the same one.
//!
//! Owns the judgement on hash keys (Microsoft's Toeplitz hash, as the kernel's
//! `Documentation/networking/scaling.rst` describes it). Makes no system call. Its one invariant: a hash is
//! called symmetric only when that follows from key and transformation.

/// `ETH_RSS_HASH_TOP`, `_XOR`, `_CRC32` as bits of `ETHTOOL_A_RSS_HFUNC` (`linux/ethtool.h`).
const FUNCTION_TOEPLITZ: u32 = 1;
const FUNCTION_XOR: u32 = 1 << 1;
const FUNCTION_CRC32: u32 = 1 << 2;
/// `RXH_XFRM_SYM_XOR` and `RXH_XFRM_SYM_OR_XOR`.
const TRANSFORM_SYMMETRIC: u32 = 0b11;

/// The two bytes whose repetition makes a Toeplitz hash symmetric (Woo and Park, "Scalable TCP session
/// monitoring with symmetric receive-side scaling", 2012).
const SYMMETRIC_PAIR: [u8; 2] = [0x6d, 0x5a];

/// Positions, in bits, of the fields that swap with the direction of a flow: source, destination, length.
/// First IPv4 with ports, then IPv6 with ports.
const SWAPPED: [(usize, usize, usize); 4] = [(0, 32, 32), (64, 80, 16), (0, 128, 128), (256, 272, 16)];

/// How a card hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashFunction {
    /// Toeplitz, by key.
    Toeplitz,
    /// Exclusive or of the fields.
    Xor,
    /// CRC-32.
    Crc32,
    /// Another one, as a bit of `ETHTOOL_A_RSS_HFUNC`.
    Other(u32),
}

impl HashFunction {
    /// From the bits of `ETHTOOL_A_RSS_HFUNC`.
    pub const fn from_bits(bits: u32) -> Self {
        match bits {
            FUNCTION_TOEPLITZ => Self::Toeplitz,
            FUNCTION_XOR => Self::Xor,
            FUNCTION_CRC32 => Self::Crc32,
            other => Self::Other(other),
        }
    }

    /// Its name, as `ethtool -x` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Toeplitz => "toeplitz",
            Self::Xor => "xor",
            Self::Crc32 => "crc32",
            Self::Other(_) => "unknown",
        }
    }
}

/// How received packets are spread over queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rss {
    /// The hash, where the driver says.
    pub function: Option<HashFunction>,
    /// Its key; empty where the driver does not show it.
    pub key: Vec<u8>,
    /// The queue of each value of the hash's lowest bits; empty where the driver does not show it.
    pub indirection: Vec<u32>,
    /// `RXH_XFRM_*`: what is done to the fields before they are hashed; 0 is nothing.
    pub transform: u32,
}

impl Rss {
    /// Whether both directions of a flow get the same hash; `None` when that cannot be told.
    pub fn is_symmetric(&self) -> Option<bool> {
        if self.transform & TRANSFORM_SYMMETRIC != 0 || self.function == Some(HashFunction::Xor) {
            return Some(true);
        }
        if self.queues().is_some_and(|queues| queues <= 1) {
            return Some(true); // one queue gets everything
        }
        match self.function {
            Some(HashFunction::Toeplitz) | None if !self.key.is_empty() => Some(is_symmetric_key(&self.key)),
            _ => None,
        }
    }

    /// Number of different queues packets are spread over; `None` when the table is not shown.
    pub fn queues(&self) -> Option<usize> {
        let mut queues = self.indirection.clone();
        queues.sort_unstable();
        queues.dedup();
        Some(queues.len()).filter(|count| *count > 0)
    }
}

/// The key of `length` bytes that makes a Toeplitz hash symmetric.
pub fn symmetric_key(length: usize) -> Vec<u8> {
    SYMMETRIC_PAIR.into_iter().cycle().take(length).collect()
}

/// Whether a Toeplitz hash with this key is the same for both directions of every flow, IPv4 and IPv6, with
/// ports and without.
///
/// A set bit of the input takes in the 32 bits of the key that begin at its position, so swapping two fields
/// changes nothing exactly when those of the one field equal those of the other.
pub fn is_symmetric_key(key: &[u8]) -> bool {
    // Drivers show keys of 40 bytes or more; a longer one is used from its start. What lies behind the end
    // counts as zero.
    let window = |bit: usize| (0..32).map(move |offset| key_bit(key, bit + offset));
    SWAPPED.iter().all(|&(source, destination, length)| (0..length).all(|bit| window(source + bit).eq(window(destination + bit))))
}

fn key_bit(key: &[u8], bit: usize) -> bool {
    key.get(bit / 8).is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The key of Microsoft's "Verifying the RSS hash calculation", with its table of known hashes below.
    const KNOWN_KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
        0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    fn toeplitz(key: &[u8], input: &[u8]) -> u32 {
        let window = |bit: usize| (0..32).fold(0, |value, offset| value << 1 | u32::from(key_bit(key, bit + offset)));
        let bits = (0..input.len() * 8).filter(|bit| key_bit(input, *bit));
        bits.fold(0, |hash, bit| hash ^ window(bit))
    }

    fn rss(function: HashFunction, key: Vec<u8>) -> Rss {
        Rss { function: Some(function), key, indirection: vec![0, 1, 0, 1], transform: 0 }
    }

    #[test]
    fn the_hash_of_these_tests_is_the_known_one() {
        let input = [66, 9, 149, 187, 161, 142, 100, 80, 0x0a, 0xea, 0x06, 0xe6]; // 66.9.149.187:2794 to 161.142.100.80:1766
        assert_eq!(toeplitz(&KNOWN_KEY, &input), 0x51cc_c178);
    }

    #[test]
    fn judges_keys_transformations_and_single_queues() {
        assert_eq!(rss(HashFunction::Toeplitz, symmetric_key(40)).is_symmetric(), Some(true));
        assert_eq!(rss(HashFunction::Toeplitz, symmetric_key(52)).is_symmetric(), Some(true));
        assert_eq!(rss(HashFunction::Toeplitz, KNOWN_KEY.to_vec()).is_symmetric(), Some(false));
        assert_eq!(rss(HashFunction::Toeplitz, symmetric_key(16)).is_symmetric(), Some(false), "too short for IPv6");
        assert_eq!(rss(HashFunction::Toeplitz, Vec::new()).is_symmetric(), None);
        assert_eq!(rss(HashFunction::Crc32, symmetric_key(40)).is_symmetric(), None);
        assert_eq!(rss(HashFunction::Xor, Vec::new()).is_symmetric(), Some(true));
        let transformed = Rss { transform: 1, ..rss(HashFunction::Toeplitz, KNOWN_KEY.to_vec()) };
        assert_eq!(transformed.is_symmetric(), Some(true));
        let one_queue = Rss { indirection: vec![3; 128], ..rss(HashFunction::Toeplitz, KNOWN_KEY.to_vec()) };
        assert_eq!((one_queue.is_symmetric(), one_queue.queues()), (Some(true), Some(1)));
    }

    /// The same packet in the other direction.
    fn swapped(input: &[u8], address: usize) -> Vec<u8> {
        let (source, rest) = input.split_at(address);
        let (destination, ports) = rest.split_at(address);
        let (port, other_port) = ports.split_at(2);
        [destination, source, other_port, port].concat()
    }

    proptest! {
        #[test]
        fn a_key_called_symmetric_hashes_both_directions_alike(input in any::<[u8; 36]>(), length in 40_usize..64) {
            let key = symmetric_key(length);
            prop_assert!(is_symmetric_key(&key));
            prop_assert_eq!(toeplitz(&key, &input), toeplitz(&key, &swapped(&input, 16)));
            prop_assert_eq!(toeplitz(&key, &input[..12]), toeplitz(&key, &swapped(&input[..12], 4)));
        }

        #[test]
        fn a_key_called_asymmetric_parts_some_flow(bit in 0_usize..320) {
            // One bit changed in a symmetric key. Each of the input's bits alone is a flow whose halves may
            // be parted.
            let mut key = symmetric_key(40);
            key[bit / 8] ^= 0x80 >> (bit % 8);
            let parts = |address: usize| (0..(2 * address + 4) * 8).any(|bit| {
                let mut input = vec![0; 2 * address + 4];
                input[bit / 8] |= 0x80 >> (bit % 8);
                toeplitz(&key, &input) != toeplitz(&key, &swapped(&input, address))
            });
            prop_assert_eq!(!is_symmetric_key(&key), parts(4) || parts(16));
        }
    }
}
