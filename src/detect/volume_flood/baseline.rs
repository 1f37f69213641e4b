//! What hosts and networks usually get: the rate below which they are in 95 of 100 bins.
//!
//! Owns the rates of past bins, as histograms. Knows no alert: it is told which bins are not to be learned from. Invariants: what is usual is a function of the bins, in
//! whatever order within a generation; memory has a bound; what found no room is said.

use super::FloodTarget;
use crate::detect::BinSpan;
use netscope_backends::Timestamp;
use std::collections::BTreeMap;

/// Hosts and networks whose rates are kept, each in 1.1 KiB.
pub(super) const BASELINES_MAX: usize = 4096;
/// Of so many bins one may be busier than what is usual.
const BINS_PER_OUTLIER: u64 = 20;
/// A generation of rates, in times of learning. The current one and the one before it count, as a week of hours would.
const LEARNING_TIMES: u64 = 7;
/// Steps of a histogram per power of two.
const STEPS: u64 = 4;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Up to 2^16 times the least rate that is kept.
const BUCKETS: usize = 64;

/// Packets and bits a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FloodRates {
    pub packets: u64,
    pub bits: u64,
}

/// How far learning is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UsualRates {
    /// Still learning, for so many seconds so far.
    Learning { secs: u64 },
    /// There was no room to learn of it.
    NoRoom,
    /// Usual rates; 0 where it is seldom busy.
    Known(FloodRates),
}

impl UsualRates {
    /// Rates to compare with; 0 where nothing is known.
    pub const fn rates(self) -> FloodRates {
        match self {
            Self::Known(rates) => rates,
            _ => FloodRates { packets: 0, bits: 0 },
        }
    }
}

/// Bins by rate.
#[derive(Clone)]
struct RateHistogram([u32; BUCKETS]);

impl RateHistogram {
    const EMPTY: Self = Self([0; BUCKETS]);

    /// Notes a rate, if it is one that is kept.
    fn note(&mut self, rate: u64, least: u64) {
        if rate >= least {
            let bucket = &mut self.0[bucket_of(rate, least)];
            *bucket = bucket.saturating_add(1);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|&count| count == 0)
    }
}

/// Where a rate of at least `least` belongs: steps of quarters within powers of two.
fn bucket_of(rate: u64, least: u64) -> usize {
    let times = u128::from(rate) * u128::from(STEPS) / u128::from(least.max(1));
    let octave = times.max(1).ilog2().saturating_sub(STEP_BITS);
    let step = (times >> octave) as usize & (STEPS as usize - 1);
    (octave as usize * STEPS as usize + step).min(BUCKETS - 1)
}

/// The rate at which a bucket ends.
fn end_of(bucket: usize, least: u64) -> u64 {
    let next = bucket as u64 + 1;
    let times = u128::from(STEPS + next % STEPS) << (next / STEPS);
    u64::try_from((u128::from(least) * times).div_ceil(u128::from(STEPS))).unwrap_or(u64::MAX)
}

/// What was learned of one in one generation.
#[derive(Clone)]
struct LearnedBins {
    packets: RateHistogram,
    bits: RateHistogram,
    /// Bins that were not to be learned from.
    left_out: u64,
}

impl LearnedBins {
    const NONE: Self = Self { packets: RateHistogram::EMPTY, bits: RateHistogram::EMPTY, left_out: 0 };

    fn is_empty(&self) -> bool {
        self.left_out == 0 && self.packets.is_empty() && self.bits.is_empty()
    }
}

/// The current generation and the one before it.
type Generations = Box<[LearnedBins; 2]>;

/// What is usual of all.
pub(super) struct RateBaselines {
    bin_ns: u64,
    learning_ns: u64,
    /// The first bin of the run.
    began: Option<Timestamp>,
    /// Number of the current generation, counted from the run's beginning.
    generation: u64,
    /// The latest bin.
    now: Timestamp,
    known: BTreeMap<FloodTarget, Generations>,
}

impl RateBaselines {
    /// Nothing is known yet.
    pub const fn new(bin_ns: u64, learning_ns: u64) -> Self {
        Self { bin_ns, learning_ns, began: None, generation: 0, now: Timestamp(0), known: BTreeMap::new() }
    }

    /// This bin is judged now.
    pub fn begin(&mut self, bin: BinSpan) {
        let began = *self.began.get_or_insert(bin.start);
        self.now = self.now.max(bin.end);
        let generation = self.now.since(began) / self.generation_ns();
        if generation > self.generation {
            let is_next = generation == self.generation + 1;
            self.generation = generation;
            self.known.retain(|_, generations| {
                let [current, before] = &mut **generations;
                let ended = std::mem::replace(current, LearnedBins::NONE);
                *before = if is_next { ended } else { LearnedBins::NONE };
                !before.is_empty()
            });
        }
    }

    const fn generation_ns(&self) -> u64 {
        self.learning_ns.saturating_mul(LEARNING_TIMES)
    }

    /// Time since the run began.
    fn elapsed_ns(&self) -> u64 {
        self.began.map_or(0, |began| self.now.since(began))
    }

    /// True until there is something to compare with.
    pub fn is_learning(&self) -> bool {
        self.elapsed_ns() < self.learning_ns
    }

    /// What this one usually gets. Rates below `least` are not kept.
    pub fn usual(&self, target: &FloodTarget, least: FloodRates) -> UsualRates {
        if self.is_learning() {
            return UsualRates::Learning { secs: self.elapsed_ns() / Timestamp::NS_PER_SEC };
        }
        let Some(generations) = self.known.get(target) else {
            return if self.has_room() { UsualRates::Known(FloodRates::default()) } else { UsualRates::NoRoom };
        };
        let from = self.generation.saturating_sub(1) * self.generation_ns();
        let left_out: u64 = generations.iter().map(|bins| bins.left_out).sum();
        let bins = ((self.elapsed_ns() - from) / self.bin_ns).saturating_sub(left_out);
        let quantile = |histogram: fn(&LearnedBins) -> &RateHistogram, least| {
            let mut outliers = bins / BINS_PER_OUTLIER;
            let count = |bucket: usize| generations.iter().map(|bins| u64::from(histogram(bins).0[bucket])).sum::<u64>();
            let usual = (0..BUCKETS).rev().find(|&bucket| {
                let count = count(bucket);
                let is_usual = count > outliers;
                outliers = outliers.saturating_sub(count);
                is_usual
            });
            usual.map_or(0, |bucket| end_of(bucket, least))
        };
        UsualRates::Known(FloodRates {
            packets: quantile(|bins| &bins.packets, least.packets),
            bits: quantile(|bins| &bins.bits, least.bits),
        })
    }

    fn has_room(&self) -> bool {
        self.known.len() < BASELINES_MAX
    }

    fn current(&mut self, target: FloodTarget) -> Option<&mut LearnedBins> {
        if !self.known.contains_key(&target) && !self.has_room() {
            return None;
        }
        let none = || Box::new([LearnedBins::NONE, LearnedBins::NONE]);
        Some(&mut self.known.entry(target).or_insert_with(none)[0])
    }

    /// Learns from a bin.
    pub fn note(&mut self, target: FloodTarget, rates: FloodRates, least: FloodRates) {
        if let Some(bins) = self.current(target) {
            bins.packets.note(rates.packets, least.packets);
            bins.bits.note(rates.bits, least.bits);
        }
    }

    /// A bin that is not to be learned from.
    pub fn leave_out(&mut self, target: FloodTarget) {
        if let Some(bins) = self.current(target) {
            bins.left_out += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::EvidenceKey;

    const SEC: u64 = Timestamp::NS_PER_SEC;
    const LEAST: FloodRates = FloodRates { packets: 1000, bits: 1_000_000 };

    fn target(port: u16) -> FloodTarget {
        FloodTarget::Host(EvidenceKey { port, ..EvidenceKey::NONE })
    }

    fn bin(second: u64) -> BinSpan {
        BinSpan { start: Timestamp(second * SEC), end: Timestamp((second + 1) * SEC) }
    }

    /// What is usual after seconds with these rates of packets, of 100 s of learning; `None`: not to be learned from.
    fn usual(rates: impl IntoIterator<Item = Option<u64>>) -> UsualRates {
        let mut baselines = RateBaselines::new(SEC, 100 * SEC);
        for (second, rate) in rates.into_iter().enumerate() {
            baselines.begin(bin(second as u64));
            match rate {
                Some(0) => {}
                Some(packets) => baselines.note(target(1), FloodRates { packets, bits: packets * 800 }, LEAST),
                None => baselines.leave_out(target(1)),
            }
        }
        baselines.usual(&target(1), LEAST)
    }

    fn known(packets: u64, bits: u64) -> UsualRates {
        UsualRates::Known(FloodRates { packets, bits })
    }

    #[test]
    fn what_is_usual_is_what_19_of_20_bins_do_not_pass() {
        assert_eq!(usual((0..99).map(|_| Some(5000))), UsualRates::Learning { secs: 99 });
        assert_eq!(usual((0..200).map(|_| Some(5000))), known(6000, 5_000_000), "the ends of the buckets");
        assert_eq!(usual((0..200).map(|second| Some(if second % 20 == 3 { 50_000 } else { 0 }))), known(0, 0));
        let busy_nights = usual((0..200).map(|second| Some(if second % 10 == 3 { 50_000 } else { 0 })));
        assert_eq!(busy_nights, known(56_000, 48_000_000));
        assert_eq!(usual((0..200).map(|second| Some(if second < 180 { 0 } else { 900 }))), known(0, 0), "too little to be kept");
        let after_a_flood = usual((0..200).map(|second| if second < 100 { Some(2000) } else { None }));
        assert_eq!(after_a_flood, known(2500, 1_750_000));
    }

    #[test]
    fn two_generations_count_and_a_gap_takes_their_place() {
        // 700 s each.
        let rates = |second: u64| Some(if second < 700 { 4000 } else { 0 });
        assert_eq!(usual((0..1399).map(rates)), known(5000, 3_500_000));
        assert_eq!(usual((0..1401).map(rates)), known(0, 0), "as none is busy in the generation before");
        let mut baselines = RateBaselines::new(SEC, 100 * SEC);
        for second in (0..300).chain(5000..5001) {
            baselines.begin(bin(second));
            baselines.note(target(1), FloodRates { packets: 4000, bits: 0 }, LEAST);
        }
        assert_eq!(baselines.usual(&target(1), LEAST), known(0, 0));
    }

    #[test]
    fn memory_has_a_bound_and_what_finds_no_room_is_said() {
        let mut baselines = RateBaselines::new(SEC, SEC);
        (0..3).for_each(|second| baselines.begin(bin(second)));
        for port in 0..=BASELINES_MAX as u16 {
            baselines.note(target(port), FloodRates { packets: 4000, bits: 0 }, LEAST);
        }
        assert_eq!(baselines.known.len(), BASELINES_MAX);
        assert_eq!(baselines.usual(&target(BASELINES_MAX as u16), LEAST), UsualRates::NoRoom);
        assert_eq!(baselines.usual(&target(1), LEAST), known(5000, 0));
    }

    #[test]
    fn buckets_are_in_order_and_end_behind_their_rates() {
        for least in [1, 7, 1000, 123_456_789] {
            let mut last = 0;
            for times in [4_u64, 5, 6, 7, 8, 9, 11, 13, 16, 64, 100, 1000, 50_000, 1 << 17] {
                let rate = least * times / 4 + least % 2;
                let bucket = bucket_of(rate, least);
                assert!(bucket >= last && end_of(bucket, least) > rate, "{rate} {least} {bucket}");
                assert!(
                    end_of(bucket, least) <= rate + rate.div_ceil(4) + least / 2 + 1,
                    "{rate} {least}: {}",
                    end_of(bucket, least)
                );
                last = bucket;
            }
        }
        assert_eq!(bucket_of(u64::MAX, 1), BUCKETS - 1);
    }
}
