//! The hash that evidence is ranked and sketched by.
//!
//! Owns nothing but its secret. Its invariant: all queues of a run have the same one, or evidence would not merge.

use crate::flow::{FoldHash, HashSecret};
use std::hash::{BuildHasher, Hash};

/// The keyed hash of evidence. With a secret of the run's own where packets come from a wire, so that nobody can choose what is kept; with
/// a known one where a file is read, so that two runs give the same bytes.
#[derive(Clone)]
pub struct EvidenceHash(FoldHash);

impl EvidenceHash {
    /// For a wire: a secret from the operating system's randomness.
    pub fn random() -> Self {
        Self(FoldHash::random())
    }

    /// For a file.
    pub fn fixed() -> Self {
        Self(FoldHash::with(HashSecret::FIXED))
    }

    /// The rank of a key: 64 bits, evenly spread.
    pub fn rank(&self, of: &impl Hash) -> u64 {
        // The finalizer of MurmurHash3, as sketches look at single bits.
        let mut x = self.0.hash_one(of);
        x = (x ^ x >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        x = (x ^ x >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        x ^ x >> 33
    }
}

impl std::fmt::Debug for EvidenceHash {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EvidenceHash")
    }
}
