//! HyperLogLog: how many different things there were, in 1 KiB (Flajolet et al., AofA 2007).
//!
//! Owns registers. Knows no hash: it is given evenly spread 64-bit ranks. Invariant: registers only grow, and merging takes the
//! larger one, so the sketch is a function of the set of ranks.

/// Registers: the standard error is 1.04 / sqrt(1024) = 3.25 %.
const REGISTERS: usize = 1 << INDEX_BITS;
const INDEX_BITS: u32 = 10;

/// Relative standard error of an estimate.
pub const ESTIMATE_ERROR: f64 = 0.0325;

/// A sketch of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HyperLogLog([u8; REGISTERS]);

impl HyperLogLog {
    /// Bytes of memory.
    pub const BYTES: usize = REGISTERS;

    /// Of the empty set.
    pub const fn new() -> Self {
        Self([0; REGISTERS])
    }

    /// Adds a member by its rank.
    pub fn insert(&mut self, rank: u64) {
        let index = (rank >> (64 - INDEX_BITS)) as usize;
        // The bit behind the remaining ones ends the count where they are all 0.
        let zeros = (rank << INDEX_BITS | 1 << (INDEX_BITS - 1)).leading_zeros() as u8 + 1;
        let register = &mut self.0[index];
        *register = (*register).max(zeros);
    }

    /// Adds the members of another set.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = (*mine).max(*theirs);
        }
    }

    /// How many members there are, about.
    pub fn estimate(&self) -> u64 {
        let m = REGISTERS as f64;
        let sum: f64 = self.0.iter().map(|&register| (-f64::from(register)).exp2()).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let empty = self.0.iter().filter(|&&register| register == 0).count();
        let estimate = if raw <= 2.5 * m && empty > 0 { m * (m / empty as f64).ln() } else { raw };
        estimate.round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::EvidenceHash;

    #[test]
    fn estimates_are_within_four_standard_errors() {
        for count in [65_u64, 200, 1000, 2500, 10_000, 100_000] {
            let hash = EvidenceHash::random();
            let mut sketch = HyperLogLog::new();
            for _ in 0..2 {
                (0..count).for_each(|member| sketch.insert(hash.rank(&member)));
            }
            let off = (sketch.estimate() as f64 - count as f64).abs() / count as f64;
            assert!(off < 4.0 * ESTIMATE_ERROR, "{count}: {}", sketch.estimate());
        }
    }
}
