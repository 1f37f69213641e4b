//! Counts what the history wants of each tick beside totals: sizes of packets, times of batches.
//!
//! Owns the counts of the tick that goes on. Knows no history. Invariant: sizes depend on the packets alone; batch times on the machine.

use hdrhistogram::Histogram;
use netscope_backends::Packet;
use std::collections::VecDeque;

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
    tick_ns: u64,
    /// The tick that goes on, and when it ends; `None` before the first packet.
    tick: Option<u64>,
    tick_end: u64,
    sizes: Box<[u32; SIZES]>,
    /// Those that are larger, and those of packets that were one too many for 32 bits.
    larger: Histogram<u64>,
    batches: Histogram<u64>,
    /// Ticks that are over, and how many of the sizes that follow are theirs: packets are shown before the worker lives them.
    over: VecDeque<(u64, usize)>,
    over_sizes: VecDeque<(u64, u64)>,
}

impl TickMeter {
    /// A meter that has seen nothing, for ticks of this length.
    pub fn new(tick_ns: u64) -> Self {
        Self {
            tick_ns: tick_ns.max(1),
            tick: None,
            tick_end: 0,
            sizes: Box::new([0; SIZES]),
            larger: Histogram::new_with_bounds(1, SIZE_MAX, 2).expect("constant bounds are valid"),
            batches: Histogram::new_with_bounds(1, BATCH_NS_MAX, 2).expect("constant bounds are valid"),
            over: VecDeque::new(),
            over_sizes: VecDeque::new(),
        }
    }

    /// Counts packets, in order. One that is older than the tick that goes on counts in that, as it does everywhere.
    #[inline]
    pub fn count<'a>(&mut self, packets: impl Iterator<Item = Packet<'a>>) {
        for packet in packets {
            if packet.time.0 >= self.tick_end {
                self.go_to(packet.time.0 / self.tick_ns);
            }
            match self.sizes.get_mut(packet.wire_len as usize) {
                Some(count) if *count < u32::MAX => *count += 1,
                _ => self.larger.saturating_record(packet.wire_len.into()),
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn go_to(&mut self, tick: u64) {
        self.end_tick();
        (self.tick, self.tick_end) = (Some(tick), tick.saturating_add(1).saturating_mul(self.tick_ns));
    }

    fn end_tick(&mut self) {
        let Some(tick) = self.tick else { return };
        let before = self.over_sizes.len();
        for (size, count) in (0..).zip(self.sizes.iter_mut()).filter(|(_, count)| **count > 0) {
            self.over_sizes.push_back((size, std::mem::take(count).into()));
        }
        if !self.larger.is_empty() {
            self.over_sizes.extend(self.larger.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())));
            self.larger.reset();
        }
        self.over.push_back((tick, self.over_sizes.len() - before));
    }

    /// A batch took this long.
    pub fn batch(&mut self, ns: u64) {
        self.batches.saturating_record(ns.clamp(1, BATCH_NS_MAX));
    }

    /// The worker has ended this tick: what came in it and before goes to `counts`, with the batches since the last time.
    pub fn harvest(&mut self, tick: u64, counts: &mut TickCounts) {
        if self.tick.is_some_and(|current| current <= tick) {
            self.end_tick();
        }
        while self.over.front().is_some_and(|(over, _)| *over <= tick) {
            let Some((_, len)) = self.over.pop_front() else { return };
            counts.sizes.extend(self.over_sizes.drain(..len));
        }
        if !self.batches.is_empty() {
            counts.batches.extend(self.batches.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())));
            self.batches.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netscope_backends::{LinkType, Timestamp};

    fn packet(time: u64, wire_len: u32) -> Packet<'static> {
        Packet { data: &[], time: Timestamp(time), wire_len, link_type: LinkType::ETHERNET }
    }

    #[test]
    fn sizes_are_counted_by_tick_and_equal_ones_put_together() {
        let mut meter = TickMeter::new(100);
        // The fourth one comes late, and counts in the tick that goes on.
        let packets = [(5, 60), (99, 1500), (100, 60), (7, 9000), (250, 64)];
        meter.count(packets.into_iter().map(|(time, len)| packet(time, len)));
        meter.batch(700);
        let mut counts = TickCounts::default();
        meter.harvest(0, &mut counts);
        assert_eq!((&counts.sizes[..], counts.batches.len()), (&[(60, 1), (1500, 1)][..], 1));
        counts.clear();
        meter.harvest(1, &mut counts);
        assert_eq!((counts.sizes.len(), counts.sizes[0], counts.batches.len()), (2, (60, 1), 0));
        assert!(counts.sizes[1].0.abs_diff(9000) * 100 < 9000, "within 1 %");
        let mut sum = TickCounts::default();
        (0..10_000).for_each(|_| sum.add(&counts));
        assert!(sum.sizes.len() <= COMPACT_LEN + 2);
        assert_eq!(sum.sizes.iter().map(|(_, count)| count).sum::<u64>(), 20_000);
        meter.harvest(2, &mut sum);
        meter.harvest(2, &mut sum);
        assert_eq!(sum.sizes.iter().map(|(_, count)| count).sum::<u64>(), 20_001, "the last one, once");
    }
}
