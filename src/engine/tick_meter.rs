//! Counts what the history wants of each tick beside totals: sizes of packets, times of batches.
//!
//! Owns the counts of the tick that goes on. Knows no history. Invariant: sizes depend on the packets alone; batch times on the machine.

use hdrhistogram::Histogram;
use netscope_backends::Packet;

/// Sizes that are counted one by one; larger ones are rare.
const SIZES: usize = 2048;
/// Longest batch that is told apart, in ns; longer ones count as this.
const BATCH_NS_MAX: u64 = 10_000_000_000;
/// Largest packet that is told apart, in bytes; larger ones count as this.
const SIZE_MAX: u64 = 1 << 20;

/// Values and how often they came: adds up over ticks and queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TickCounts {
    /// Bytes on the wire of packets.
    pub sizes: Vec<(u64, u64)>,
    /// Times of batches in ns.
    pub batches: Vec<(u64, u64)>,
}

/// Entries from which on equal values are put together: more than there are different ones.
const COMPACT_LEN: usize = 16 * 1024;

impl TickCounts {
    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty() && self.batches.is_empty()
    }

    /// Forgets all; keeps the memory.
    pub fn clear(&mut self) {
        let Self { sizes, batches } = self;
        sizes.clear();
        batches.clear();
    }

    /// Adds those of another tick. Memory stays bounded, as there are fewer different values than are kept.
    pub fn add(&mut self, other: &Self) {
        for (own, other) in [(&mut self.sizes, &other.sizes), (&mut self.batches, &other.batches)] {
            own.extend_from_slice(other);
            if own.len() > COMPACT_LEN {
                own.sort_unstable();
                own.dedup_by(|later, first| {
                    let is_same = later.0 == first.0;
                    first.1 += if is_same { later.1 } else { 0 };
                    is_same
                });
            }
        }
    }
}

/// Counts on one worker.
pub struct TickMeter {
    sizes: Box<[u32; SIZES]>,
    /// Those that are larger, and those of packets that were one too many for 32 bits.
    larger: Histogram<u64>,
    batches: Histogram<u64>,
}

impl TickMeter {
    /// A meter that has seen nothing.
    pub fn new() -> Self {
        Self {
            sizes: Box::new([0; SIZES]),
            larger: Histogram::new_with_bounds(1, SIZE_MAX, 2).expect("constant bounds are valid"),
            batches: Histogram::new_with_bounds(1, BATCH_NS_MAX, 2).expect("constant bounds are valid"),
        }
    }

    /// Counts packets.
    #[inline]
    pub fn count<'a>(&mut self, packets: impl Iterator<Item = Packet<'a>>) {
        for packet in packets {
            match self.sizes.get_mut(packet.wire_len as usize) {
                Some(count) if *count < u32::MAX => *count += 1,
                _ => self.larger.saturating_record(packet.wire_len.into()),
            }
        }
    }

    /// A batch took this long.
    pub fn batch(&mut self, ns: u64) {
        self.batches.saturating_record(ns.clamp(1, BATCH_NS_MAX));
    }

    /// What was counted since the last time goes to `counts`.
    pub fn harvest(&mut self, counts: &mut TickCounts) {
        for (size, count) in (0..).zip(self.sizes.iter_mut()).filter(|(_, count)| **count > 0) {
            counts.sizes.push((size, std::mem::take(count).into()));
        }
        for (histogram, out) in [(&mut self.larger, &mut counts.sizes), (&mut self.batches, &mut counts.batches)] {
            if !histogram.is_empty() {
                out.extend(histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())));
                histogram.reset();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netscope_backends::{LinkType, Timestamp};

    #[test]
    fn sizes_are_counted_and_equal_ones_put_together() {
        let mut meter = TickMeter::new();
        let packet = |wire_len| Packet { data: &[], time: Timestamp(0), wire_len, link_type: LinkType::ETHERNET };
        meter.count([60, 1500, 60, 9000].into_iter().map(packet));
        meter.batch(700);
        let mut counts = TickCounts::default();
        meter.harvest(&mut counts);
        assert_eq!((counts.sizes[..2].to_vec(), counts.sizes.len(), counts.batches.len()), (vec![(60, 2), (1500, 1)], 3, 1));
        let mut sum = TickCounts::default();
        (0..10_000).for_each(|_| sum.add(&counts));
        assert!(sum.sizes.len() <= COMPACT_LEN + 3);
        assert_eq!(sum.sizes.iter().map(|(_, count)| count).sum::<u64>(), 40_000);
        meter.harvest(&mut sum);
        assert_eq!(sum.sizes.iter().map(|(_, count)| count).sum::<u64>(), 40_000, "nothing new");
    }
}
