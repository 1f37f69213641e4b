//! When a source connected to a service: of each of the hours the earliest seconds, and how many connections there were.
//!
//! Owns them in bounded memory. Invariant: the smallest members of a union are the smallest of its parts' smallest, so any parts in any
//! order give the same. What is kept of an hour is a run without a gap, so intervals within it are exact.

use crate::detect::{KeyEvidence, SamplePacket, SamplePackets, SeenSpan};
use netscope_backends::Timestamp;

/// Seconds that are kept of an hour.
pub(super) const SECONDS_MAX: usize = 64;

/// Connections that began within one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ContactSecond {
    /// From the start of the hour.
    second: u32,
    /// Sent by the source, of all of them; 4 GiB at most.
    bytes: u32,
}

/// An hour, or another 24th of the window.
#[derive(Clone, Debug, PartialEq)]
struct ContactHour {
    number: u64,
    /// Connections.
    count: u64,
    /// The earliest seconds with any.
    seconds: Vec<ContactSecond>,
    /// There were more.
    is_cut: bool,
}

impl ContactHour {
    /// Adds bytes of a second; what memory grew by, in bytes.
    fn add(&mut self, contact: ContactSecond) -> usize {
        match self.seconds.binary_search_by_key(&contact.second, |known| known.second) {
            Ok(at) => {
                let known = &mut self.seconds[at].bytes;
                *known = known.saturating_add(contact.bytes);
                0
            }
            Err(SECONDS_MAX) => {
                self.is_cut = true;
                0
            }
            Err(at) => {
                let is_full = self.seconds.len() == SECONDS_MAX;
                if is_full {
                    self.seconds.pop();
                    self.is_cut = true;
                }
                self.seconds.insert(at, contact);
                if is_full { 0 } else { size_of::<ContactSecond>() }
            }
        }
    }
}

/// Times and sizes of connections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContactTimes {
    /// Of the connections' beginnings.
    pub(super) span: SeenSpan,
    pub(super) count: u64,
    /// Sent by the source.
    pub(super) bytes: u64,
    hours: Vec<ContactHour>,
    pub(super) samples: SamplePackets,
}

impl ContactTimes {
    /// Notes a connection that began then; what memory grew by, in bytes.
    pub(super) fn note(&mut self, began: Timestamp, hour_ns: u64, bytes: u64, sample: SamplePacket) -> usize {
        self.span.note(began);
        self.count += 1;
        self.bytes += bytes;
        let second = (began.0 % hour_ns / Timestamp::NS_PER_SEC) as u32;
        let contact = ContactSecond { second, bytes: u32::try_from(bytes).unwrap_or(u32::MAX) };
        let (hour, grown) = self.hour(began.0 / hour_ns);
        hour.count += 1;
        grown + hour.add(contact) + self.samples.note(sample)
    }

    /// The hour of this number; what memory grew by, in bytes.
    fn hour(&mut self, number: u64) -> (&mut ContactHour, usize) {
        let (at, grown) = match self.hours.binary_search_by_key(&number, |hour| hour.number) {
            Ok(at) => (at, 0),
            Err(at) => {
                self.hours.insert(at, ContactHour { number, count: 0, seconds: Vec::new(), is_cut: false });
                (at, size_of::<ContactHour>())
            }
        };
        (&mut self.hours[at], grown)
    }

    /// Intervals between the seconds of connections, in seconds, from this hour on. None across what was cut.
    pub(super) fn intervals(&self, hour_first: u64, hour_ns: u64) -> Vec<f64> {
        let hour_secs = hour_ns / Timestamp::NS_PER_SEC;
        let mut intervals = Vec::new();
        let mut before: Option<u64> = None;
        for hour in self.hours.iter().filter(|hour| hour.number >= hour_first) {
            for contact in &hour.seconds {
                let at = hour.number * hour_secs + u64::from(contact.second);
                intervals.extend(before.map(|before| at.saturating_sub(before) as f64));
                before = Some(at);
            }
            if hour.is_cut {
                before = None;
            }
        }
        intervals
    }

    /// Bytes that were sent in each of the seconds of connections, from this hour on.
    pub(super) fn sizes(&self, hour_first: u64) -> Vec<f64> {
        let hours = self.hours.iter().filter(|hour| hour.number >= hour_first);
        hours.flat_map(|hour| &hour.seconds).map(|contact| contact.bytes.into()).collect()
    }

    /// Connections by hour, from the first of these to before the last.
    pub(super) fn bars(&self, hours: std::ops::Range<u64>) -> Vec<u64> {
        let mut bars = vec![0; usize::try_from(hours.end.saturating_sub(hours.start)).unwrap_or(0)];
        for hour in self.hours.iter().filter(|hour| hours.contains(&hour.number)) {
            bars[(hour.number - hours.start) as usize] = hour.count;
        }
        bars
    }

    /// The time of the first connection from this hour on.
    pub(super) fn first_from(&self, hour_first: u64, hour_ns: u64) -> Option<Timestamp> {
        let hour = self.hours.iter().find(|hour| hour.number >= hour_first)?;
        let second = u64::from(hour.seconds.first()?.second);
        Some(Timestamp(hour.number.saturating_mul(hour_ns)).plus(second * Timestamp::NS_PER_SEC))
    }
}

impl KeyEvidence for ContactTimes {
    fn merge(&mut self, other: &Self) -> usize {
        self.span.merge(other.span);
        self.count += other.count;
        self.bytes += other.bytes;
        let mut grown = self.samples.merge(&other.samples);
        for theirs in &other.hours {
            let (hour, more) = self.hour(theirs.number);
            hour.count += theirs.count;
            grown += more + theirs.seconds.iter().map(|&contact| hour.add(contact)).sum::<usize>();
            hour.is_cut |= theirs.is_cut;
        }
        grown
    }

    fn merge_answers(&mut self, _later: &Self) {}

    fn clear(&mut self) {
        self.hours.clear();
        self.samples.clear();
        (self.span, self.count, self.bytes) = (SeenSpan::default(), 0, 0);
    }

    fn weight(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Direction, FlowKey};
    use proptest::prelude::*;

    const SEC: u64 = Timestamp::NS_PER_SEC;
    const HOUR_NS: u64 = 3600 * SEC;

    fn noted<'a>(all: impl IntoIterator<Item = &'a (u64, u64)>) -> ContactTimes {
        let mut times = ContactTimes::default();
        let mut bytes_of_memory = 0;
        for &(second, bytes) in all {
            let sample = SamplePacket { number: second, key: FlowKey::BLANK, initiator: Direction::AToB };
            bytes_of_memory += times.note(Timestamp(second * SEC + 7), HOUR_NS, bytes, sample);
        }
        assert!(bytes_of_memory <= 3 * (64 * 8 + size_of::<ContactHour>()) + 3 * size_of::<SamplePacket>());
        times
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_order_and_any_parts_give_the_same(
            all in prop::collection::vec((0_u64..3 * 3600, 0_u64..1 << 34), 0..500),
            few in prop::collection::vec((0_u64..200, 0_u64..100), 0..300),
            shares in prop::collection::vec(0_usize..4, 800),
        ) {
            let all: Vec<_> = all.into_iter().chain(few).collect();
            let whole = noted(&all);
            let parts: Vec<_> = (0..4)
                .map(|part| noted(all.iter().zip(&shares).filter(|(_, share)| **share == part).map(|(one, _)| one)))
                .collect();
            for order in [[0, 1, 2, 3], [3, 1, 0, 2]] {
                let mut merged = ContactTimes::default();
                order.iter().for_each(|&part| { merged.merge(&parts[part]); });
                prop_assert_eq!(&merged, &whole);
            }
            prop_assert_eq!(noted(all.iter().rev()), whole);
        }
    }

    #[test]
    fn intervals_are_exact_and_none_is_taken_across_a_cut() {
        let each: Vec<(u64, u64)> = (0..2 * 3600 / 10).map(|number| (number * 10, 100)).collect();
        let times = noted(&each);
        let intervals = times.intervals(0, HOUR_NS);
        assert_eq!((intervals.len(), intervals.iter().all(|&interval| interval == 10.0)), (2 * 63, true));
        assert_eq!(times.bars(0..2), [360, 360]);
        let rare: Vec<(u64, u64)> = (0..9).map(|number| (number * 1200, 100)).collect();
        assert_eq!(noted(&rare).intervals(0, HOUR_NS), [1200.0; 8]);
        assert_eq!(noted(&rare).intervals(1, HOUR_NS), [1200.0; 5], "the first hour has left the window");
        assert_eq!(noted(&rare).first_from(1, HOUR_NS), Some(Timestamp(3600 * SEC)));
        let same = noted(&[(5, 1), (5, 2), (9, 4), (9, u64::MAX >> 8)]);
        assert_eq!((same.sizes(0), same.count), (vec![3.0, f64::from(u32::MAX)], 4), "by second, bounded");
    }
}
