//! The four scores of a beacon, as RITA 5 has them (`analysis/beacons.go` of activecm/rita): timing, sizes, duration, histogram.
//!
//! Owns arithmetic alone. Scores are from 0 to 1.

/// Below this distance of the quartiles skewness says nothing.
const QUARTILE_RANGE_MIN: f64 = 10.0;
/// Bars of a histogram from which on it says anything about duration, in a row that are enough, and from which on two levels are looked for.
const BARS_MIN: usize = 6;
const BARS_IDEAL: f64 = 12.0;
const BARS_TWO_LEVELS: usize = 11;
/// Bars that differ by less than this share of the highest are of one level; so many bars may be of none.
const LEVEL_SHARE: f64 = 0.05;
const BARS_LEFT_OUT: usize = 1;

/// The four, and what they make together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct BeaconScore {
    pub timing: f64,
    pub sizes: f64,
    pub duration: f64,
    pub histogram: f64,
}

impl BeaconScore {
    /// A quarter each.
    pub fn total(&self) -> f64 {
        (self.timing + self.sizes + self.duration + self.histogram) / 4.0
    }
}

/// The middle value of sorted ones, 0 without any.
pub(super) fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted {
        [] => 0.0,
        _ if sorted.len() % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Median absolute deviation from the median.
pub(super) fn deviation(sorted: &[f64]) -> f64 {
    let middle = median(sorted);
    let mut distances: Vec<f64> = sorted.iter().map(|value| (value - middle).abs()).collect();
    distances.sort_unstable_by(f64::total_cmp);
    median(&distances)
}

/// Bowley's skewness: how much nearer the median is to one quartile than to the other.
fn skewness(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    let (lower, middle, upper) = (median(&sorted[..half]), median(sorted), median(&sorted[sorted.len() - half..]));
    let range = upper - lower;
    if range < QUARTILE_RANGE_MIN || middle == lower || middle == upper { 0.0 } else { (lower + upper - 2.0 * middle) / range }
}

/// How regular values are: symmetric, and close to their median. `of_nothing`: the second half's score where the median is below 1. 0 with fewer than
/// three values.
pub(super) fn regularity(values: &mut [f64], of_nothing: f64) -> f64 {
    if values.len() < 3 {
        return 0.0;
    }
    values.sort_unstable_by(f64::total_cmp);
    let middle = median(values);
    let closeness = if middle < 1.0 { of_nothing } else { ((middle - deviation(values)) / middle).max(0.0) };
    f64::midpoint(1.0 - skewness(values).abs(), closeness)
}

/// Bars that are not empty.
fn bar_count(bars: &[u64]) -> usize {
    bars.iter().filter(|&&bar| bar > 0).count()
}

/// The longest run of bars that are not empty; of a whole day the last is followed by the first.
fn longest_run(bars: &[u64], is_whole: bool) -> usize {
    let rounds = if is_whole { 2 } else { 1 };
    let (mut run, mut longest) = (0, 0);
    for &bar in bars.iter().cycle().take(rounds * bars.len()) {
        run = if bar > 0 { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest.min(bars.len())
}

/// How long it went on: the share of the window that it covers, or hours in a row, whichever is better.
pub(super) fn duration(bars: &[u64], is_whole: bool, coverage: f64) -> f64 {
    if bar_count(bars) < BARS_MIN {
        return 0.0;
    }
    coverage.max(longest_run(bars, is_whole) as f64 / BARS_IDEAL).clamp(0.0, 1.0)
}

/// How even the hours are: little variation, or two levels.
pub(super) fn histogram(bars: &[u64]) -> f64 {
    let mean = bars.iter().sum::<u64>() as f64 / bars.len().max(1) as f64;
    if mean == 0.0 {
        return 0.0;
    }
    let variance = bars.iter().map(|&bar| (bar as f64 - mean).powi(2)).sum::<f64>() / bars.len() as f64;
    (1.0 - variance.sqrt() / mean).max(two_levels(bars)).clamp(0.0, 1.0)
}

/// The share of the bars that are of the two commonest heights.
fn two_levels(bars: &[u64]) -> f64 {
    let count = bar_count(bars);
    if count < BARS_TWO_LEVELS {
        return 0.0;
    }
    let highest = bars.iter().copied().max().unwrap_or(0);
    let step = (highest as f64 * LEVEL_SHARE).ceil().max(1.0) as u64;
    let mut levels = std::collections::BTreeMap::new();
    bars.iter().filter(|&&bar| bar > 0).for_each(|bar| *levels.entry(bar / step).or_insert(0_usize) += 1);
    let mut sizes: Vec<usize> = levels.into_values().collect();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    let common: usize = sizes.iter().take(2).sum();
    common as f64 / (count - BARS_LEFT_OUT) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(one: f64, other: f64) {
        assert!((one - other).abs() < 0.001, "{one} and {other}");
    }

    /// The numbers of RITA's own tests (`analysis/beacons_test.go`).
    #[test]
    fn regularity_is_as_published() {
        let of = |values: &[f64], of_nothing| regularity(&mut values.to_vec(), of_nothing);
        for (values, of_nothing, score) in [
            (&[60.0; 9][..], 1.0, 1.0),
            (&[98.0, 99.0, 99.0, 100.0, 100.0, 100.0, 101.0, 101.0, 102.0], 1.0, 0.995),
            (&[98.0, 300.0, 98.0, 300.0, 98.0, 300.0, 98.0, 300.0, 98.0, 300.0], 1.0, 0.746),
            (&[1.0, 299.0, 25.0, 4975.0, 90.0, 2.0, 42.0, 500.0, 1500.0], 1.0, 0.083),
            (&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0], 0.0, 0.773),
            (&[524_885.0, 1.0, 5000.0, 98_654.0, 50.0, 41.0, 965_842.0, 3.0], 0.0, 0.008),
            (&[0.0; 10], 0.0, 0.5),
            (&[0.0; 10], 1.0, 1.0),
            (&[7.0, 8.0, 7.0, 8.0, 7.0, 8.0, 7.0, 8.0, 7.0], 1.0, 1.0),
            (&[1.0, 1.0, 2.0, 2.0, 2.0, 2.0], 1.0, 1.0),
            (&[100.0, 200.0], 1.0, 0.0),
        ] {
            near(of(values, of_nothing), score);
        }
        near(skewness(&[1.0, 2.0, 25.0, 42.0, 90.0, 299.0, 500.0, 1500.0, 4975.0]), 0.845);
        near(deviation(&[1.0, 3.0, 41.0, 50.0, 5000.0, 98_654.0, 524_885.0, 965_842.0]), 2523.0);
    }

    fn bars(from: usize, to: usize) -> Vec<u64> {
        (0..24).map(|hour| u64::from((from..to).contains(&hour))).collect()
    }

    #[test]
    fn duration_is_as_published() {
        near(duration(&bars(0, 24), true, 1.0), 1.0);
        near(duration(&bars(12, 24), true, 0.5), 1.0);
        near(duration(&bars(12, 18), true, 0.25), 0.5);
        near(duration(&bars(0, 5), true, 1.0), 0.0);
        let scattered: Vec<u64> = (0..24).map(|hour| u64::from(hour % 4 == 0)).collect();
        near(duration(&scattered, true, 0.75), 0.75);
        let over_midnight: Vec<u64> = (0..24).map(|hour| u64::from(!(4..20).contains(&hour))).collect();
        near(duration(&over_midnight, true, 0.0), 8.0 / 12.0);
        near(duration(&over_midnight, false, 0.0), 4.0 / 12.0);
    }

    #[test]
    fn even_hours_and_two_levels_score_high() {
        near(histogram(&[60; 24]), 1.0);
        near(histogram(&[0; 24]), 0.0);
        let mut burst = [0; 24];
        burst[3] = 500;
        near(histogram(&burst), 0.0);
        let levels: Vec<u64> = (0..24).map(|hour| if hour % 2 == 0 { 10 } else { 100 }).collect();
        near(histogram(&levels), 1.0);
        let wild: Vec<u64> = (0..24).map(|hour| 1 + hour * hour).collect();
        assert!(histogram(&wild) < 0.4, "{}", histogram(&wild));
        assert!((0.79..0.81).contains(&histogram(&[8, 12, 8, 12])), "one standard deviation of a fifth");
    }

    #[test]
    fn each_score_is_a_quarter() {
        near(BeaconScore { timing: 1.0, sizes: 1.0, duration: 1.0, histogram: 1.0 }.total(), 1.0);
        near(BeaconScore { timing: 0.1, sizes: 0.2, duration: 0.3, histogram: 0.4 }.total(), 0.25);
    }
}
