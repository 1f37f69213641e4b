//! Distributions of values: histograms that add up exactly, and what is kept of them.
//!
//! Owns bounds and precision, the same for all of a kind. Invariant: what is kept and brought back is equal, bucket by bucket.

use hdrhistogram::Histogram;

/// Decimal digits that are told apart: values within 6 % of each other may share a bucket. With two of them a slot would take four
/// times as much.
const DIGITS: u8 = 1;

/// What a distribution is of. All values are whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DistributionKind {
    /// Round trips in us, up to 100 s.
    Rtt,
    /// Packets on the wire, in bytes.
    PacketSize,
    /// Flows, in ms, up to 10 days.
    FlowDuration,
    /// Batches, in ns, up to 10 s.
    BatchTime,
}

impl DistributionKind {
    const fn value_max(self) -> u64 {
        match self {
            Self::Rtt => 100_000_000,
            Self::PacketSize => 1 << 18,
            Self::FlowDuration => 10 * 86_400_000,
            Self::BatchTime => 10_000_000_000,
        }
    }
}

/// A distribution that grows.
#[derive(Clone, Debug)]
pub struct Distribution(Histogram<u64>, DistributionKind);

impl Distribution {
    /// One without values.
    pub fn new(kind: DistributionKind) -> Self {
        Self(Histogram::new_with_bounds(1, kind.value_max(), DIGITS).expect("constant bounds are valid"), kind)
    }

    /// Adds a value so many times. What is out of bounds counts as the bound.
    pub fn add(&mut self, value: u64, count: u64) {
        self.0.saturating_record_n(value.clamp(1, self.1.value_max()), count);
    }

    /// Adds what is kept of another one of its kind.
    pub fn merge(&mut self, kept: &KeptDistribution) {
        kept.values().for_each(|(value, count)| self.add(value, count));
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The value that this share of all does not exceed; 0 without any.
    pub fn quantile(&self, share: f64) -> u64 {
        if self.0.is_empty() { 0 } else { self.0.value_at_quantile(share) }
    }

    /// The largest value; 0 without any.
    pub fn max(&self) -> u64 {
        if self.0.is_empty() { 0 } else { self.0.max() }
    }

    /// What is kept of it.
    pub fn keep(&self) -> KeptDistribution {
        let (mut bytes, mut before) = (Vec::new(), 0);
        for step in self.0.iter_recorded() {
            // Of a bucket the lowest value: bringing it back finds the same bucket.
            let value = self.0.lowest_equivalent(step.value_iterated_to());
            push_number(&mut bytes, value - before);
            push_number(&mut bytes, step.count_at_value());
            before = value;
        }
        KeptDistribution(bytes.into_boxed_slice())
    }
}

/// A distribution that does not grow any more: buckets and counts, a few bytes for each that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptDistribution(Box<[u8]>);

impl KeptDistribution {
    /// Each bucket's lowest value, and its count.
    pub fn values(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let (mut bytes, mut value) = (&self.0[..], 0);
        std::iter::from_fn(move || {
            value += take_number(&mut bytes)?;
            Some((value, take_number(&mut bytes)?))
        })
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.values().map(|(_, count)| count).sum()
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.0.len()
    }
}

/// Seven bits a byte, lowest first; the highest bit says that more follow.
fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first < 0x80 {
            break;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KINDS: [DistributionKind; 4] =
        [DistributionKind::Rtt, DistributionKind::PacketSize, DistributionKind::FlowDuration, DistributionKind::BatchTime];

    proptest! {
        /// Values in parts, kept and merged in any order, are what they are together.
        #[test]
        fn parts_merge_exactly(values in prop::collection::vec((any::<u64>(), 0..64_u32, 1..1000_u64, 0..5_usize), 1..200)) {
            for kind in KINDS {
                let mut whole = Distribution::new(kind);
                let mut parts = vec![Distribution::new(kind); 5];
                for &(value, shift, count, part) in &values {
                    whole.add(value >> shift, count);
                    parts[part].add(value >> shift, count);
                }
                for reversed in [false, true] {
                    let mut kept: Vec<KeptDistribution> = parts.iter().map(Distribution::keep).collect();
                    if reversed {
                        kept.reverse();
                    }
                    let mut sum = Distribution::new(kind);
                    kept.iter().for_each(|part| sum.merge(part));
                    prop_assert_eq!(sum.keep(), whole.keep());
                    prop_assert_eq!(sum.count(), values.iter().map(|value| value.2).sum::<u64>());
                    prop_assert_eq!(sum.quantile(0.99), whole.quantile(0.99));
                }
            }
        }
    }

    #[test]
    fn values_keep_their_size_within_the_precision() {
        for kind in KINDS {
            let mut one = Distribution::new(kind);
            one.add(12_345, 7);
            let near = one.quantile(0.5);
            assert!(near.abs_diff(12_345) * 16 <= 12_345, "{near}");
            assert_eq!((one.keep().count(), one.keep().values().count()), (7, 1));
        }
        assert_eq!((Distribution::new(KINDS[0]).max(), Distribution::new(KINDS[0]).quantile(0.5)), (0, 0));
    }
}
