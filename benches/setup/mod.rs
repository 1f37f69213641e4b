//! What the benches of all layers share: the clock, the traffic, the order of flows, the floor's table.
//!
//! Owns no measurement. Knows only the public interface of the crates. Its one invariant: the same call gives
//! the same packets in the same order on every machine.
#![allow(dead_code, reason = "each bench uses a part of it")]

pub mod conversations;
pub mod floor;
pub mod frames;
pub mod traffic;

use criterion::Criterion;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Criterion with that clock.
pub type BenchCriterion = Criterion<ProcessorTime>;

/// Time this thread had a processor, so that other programs on the machine count less than they would by the
/// clock on the wall.
pub struct ProcessorTime;

impl Measurement for ProcessorTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        processor_time()
    }

    fn end(&self, start: Duration) -> Duration {
        processor_time().saturating_sub(start)
    }

    fn add(&self, first: &Duration, second: &Duration) -> Duration {
        *first + *second
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        const WALL: &WallTime = &WallTime;
        WALL.formatter()
    }
}

/// Time this thread had a processor since it began. One reading costs some 100 ns: time many packets at once.
pub fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every platform served has this clock").into()
}

/// How all layers are measured: short, as the drift of the machine is larger than what more samples could
/// win.
pub fn criterion() -> Criterion<ProcessorTime> {
    Criterion::default()
        .with_measurement(ProcessorTime)
        .without_plots()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
}

/// True when each bench only has to run once (`-- --test`, or `cargo test`): then nothing large is made.
pub fn only_tests() -> bool {
    let said = |word: &str| std::env::args().any(|argument| argument == word);
    said("--test") || !said("--bench")
}

/// Sums up the time of `iterations` packets, which `part` works on in parts of at most `most`, telling how
/// long each took.
pub fn in_parts(iterations: u64, most: usize, mut part: impl FnMut(usize) -> Duration) -> Duration {
    let (mut sum, mut left) = (Duration::ZERO, iterations);
    while left > 0 {
        let count = usize::try_from(left).map_or(most, |left| left.min(most));
        sum += part(count);
        left -= count as u64;
    }
    sum
}

/// How long `work` had a processor.
pub fn timed(work: impl FnOnce()) -> Duration {
    let start = processor_time();
    work();
    processor_time().saturating_sub(start)
}

/// The numbers below `count` in an order that no prefetcher guesses.
pub fn shuffled(count: u32) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..count).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for i in (1..numbers.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let product = u128::from(state) * (i as u128 + 1);
        numbers.swap(i, (product >> 64) as usize);
    }
    numbers
}
