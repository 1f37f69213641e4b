//! Times as the page has them: Unix seconds with a fraction.
//!
//! Owns the conversion. Knows no format of text.

use netscope_backends::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Latest time that a request may name, in seconds: the year 2554, where 64 bits of nanoseconds end.
const SECONDS_MAX: f64 = 18_446_744_073.0;

/// Unix seconds, to the microsecond.
pub fn seconds(time: Timestamp) -> f64 {
    (time.0 / 1000) as f64 / 1e6
}

/// The clock of this machine.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// A time from Unix seconds; `None` when there is no such time.
pub fn from_seconds(seconds: f64) -> Option<Timestamp> {
    (0.0..SECONDS_MAX).contains(&seconds).then_some(Timestamp((seconds * 1e9) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for text in [0.0, 1.5, 1_764_500_042.123_456] {
            assert_eq!(from_seconds(text).map(seconds), Some(text));
        }
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 1e30] {
            assert_eq!(from_seconds(wrong), None);
        }
        assert!(now() > Timestamp(1_700_000_000_000_000_000));
    }
}
