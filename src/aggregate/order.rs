//! The order of the table: most bytes first, then by key, then by first packet, so that it is the same in every run. (Only halves of
//! one flow that came on different queues can agree in all of it; they go by their places.)
//!
//! Owns what is compared, as numbers made of bytes and key, and what is looked at again because its numbers are equal. Its
//! invariant: the order is that of comparing (bytes descending, key, first packet).

mod packed;
mod parts;

use self::packed::{Layout, Packed};
use self::parts::{in_parts, part_len};
use super::records::{RecordPlace, Records};
use crate::wire::IpVersion;
use netscope_backends::pages::prefer_huge_pages;
use std::cmp::Ordering;

/// How many records ahead memory is asked for.
const PREFETCH_AHEAD: usize = 16;
/// How many groups of equal numbers ahead.
const GROUPS_AHEAD: usize = 16;
/// Threads at most: more would wait for memory.
const THREADS_MAX: usize = 8;
/// Fewer with the same number are compared as they are.
const COMPARED_BELOW: usize = if cfg!(test) { 3 } else { 17 };

/// One part of what is compared, as a number that orders alike.
type Rank = fn(&Records, RecordPlace) -> u128;

/// Puts `places` in order, by `threads` of them.
pub(super) fn largest_first(records: &Records, places: &mut [RecordPlace], threads: usize) {
    let threads = threads.min(THREADS_MAX);
    let mut numbers = blank(places.len());
    // Short addresses leave room for both of them in the first number.
    if let Some(varying) = rank_all(records, places, &mut numbers, threads, shortest) {
        sort_ranked(records, places, numbers, varying, &RANKS_V4, threads);
    } else {
        drop(numbers);
        sort_by_rank(records, places, &RANKS, threads);
    }
}

/// Sorts `places` by the first of the `ranks`, and by those behind it what is equal in that.
fn sort_by_rank(records: &Records, places: &mut [RecordPlace], ranks: &[Rank], threads: usize) {
    let mut numbers = blank(if ranks.is_empty() { 0 } else { places.len() });
    let varying = ranks
        .first()
        .and_then(|rank| rank_all(records, places, &mut numbers, threads, |records, place| Some(rank(records, place))));
    match varying {
        Some(varying) => sort_ranked(records, places, numbers, varying, ranks, threads),
        None => places.sort_unstable_by(|&x, &y| compare(records, x, y)),
    }
}

/// The same where the first rank of each place is known: `numbers`, which differ in the bits of `varying`.
fn sort_ranked(records: &Records, places: &mut [RecordPlace], numbers: Vec<u128>, varying: u128, ranks: &[Rank], threads: usize) {
    let layout = Layout::of(varying, places.len());
    let mut packed = Packed::new(&numbers, &layout, threads);
    drop(numbers);
    packed.sort(threads);
    let groups = packed.groups();
    packed.arrange(places, threads);
    // What had no room is looked at again: within a group other bits vary.
    let finer = if layout.holds_all() { ranks.get(1..).unwrap_or_default() } else { ranks };
    for (i, &(start, len)) in groups.iter().enumerate() {
        if let Some(&(start, len)) = groups.get(i + GROUPS_AHEAD) {
            places[start..][..len.min(COMPARED_BELOW)].iter().for_each(|&place| records.prefetch_weight(place));
        }
        let equal = &mut places[start..][..len];
        if len < COMPARED_BELOW {
            equal.sort_unstable_by(|&x, &y| compare(records, x, y));
        } else {
            sort_by_rank(records, equal, finer, threads);
        }
    }
}

/// Numbers to be written over.
fn blank(len: usize) -> Vec<u128> {
    let numbers = vec![0; len];
    prefer_huge_pages(&numbers);
    numbers
}

/// The order itself. Records of different queues may agree in all of it; then the place decides.
fn compare(records: &Records, x: RecordPlace, y: RecordPlace) -> Ordering {
    let ((x_key, x_bytes), (y_key, y_bytes)) = (records.weight(x), records.weight(y));
    let by_packet = || records.first_packet(x).cmp(&records.first_packet(y));
    y_bytes.cmp(&x_bytes).then_with(|| x_key.cmp(y_key)).then_with(by_packet).then_with(|| x.number().cmp(&y.number()))
}

/// Bits that some numbers have, and bits that all have.
type Bits = (u128, u128);

/// Writes down the rank of each place, and tells which bits are not the same in all of them. `None`, and some ranked, when one has no
/// such rank.
fn rank_all<R>(records: &Records, places: &[RecordPlace], numbers: &mut [u128], threads: usize, rank: R) -> Option<u128>
where
    R: Fn(&Records, RecordPlace) -> Option<u128> + Copy + Send + Sync,
{
    let part = part_len(places.len(), threads);
    let parts = places.chunks(part).zip(numbers.chunks_mut(part));
    let done = in_parts(parts, |(places, numbers)| rank_part(records, places, numbers, rank));
    let (some, all) = match done {
        Some(parts) => {
            parts.into_iter().try_fold((0, u128::MAX), |(some, all), part| part.map(|(any, each)| (some | any, all & each)))?
        }
        None => rank_part(records, places, numbers, rank)?,
    };
    Some(some & !all)
}

/// [`rank_all`] of one part.
fn rank_part(
    records: &Records,
    places: &[RecordPlace],
    numbers: &mut [u128],
    rank: impl Fn(&Records, RecordPlace) -> Option<u128>,
) -> Option<Bits> {
    let (mut some, mut all) = (0, u128::MAX);
    for (i, (&place, number)) in places.iter().zip(numbers).enumerate() {
        if let Some(&ahead) = places.get(i + PREFETCH_AHEAD) {
            records.prefetch_weight(ahead);
        }
        *number = rank(records, place)?;
        some |= *number;
        all &= *number;
    }
    Some((some, all))
}

/// The first part where all addresses are IPv4.
#[inline(always)]
fn shortest(records: &Records, place: RecordPlace) -> Option<u128> {
    let (key, bytes) = records.weight(place);
    let (a, b, rest) = key.numbers();
    (key.version() == IpVersion::V4).then(|| with_bytes(bytes, short(a) << 64 | short(b) << 32 | u128::from(rest >> 16)))
}

/// All parts in order of their weight, where all addresses are IPv4.
const RANKS_V4: [Rank; 3] = [
    |records, place| shortest(records, place).unwrap_or_default(),
    // The same again, for flows with so many bytes that they had no room there.
    |records, place| {
        let (a, b, _) = records.key(place).numbers();
        most_bytes(records, place) << 64 | short(a) << 32 | short(b)
    },
    last,
];

/// The same where some are IPv6.
const RANKS: [Rank; 5] = [
    |records, place| {
        let (key, bytes) = records.weight(place);
        with_bytes(bytes, key.numbers().0 >> 32)
    },
    most_bytes,
    |records, place| records.key(place).numbers().0,
    |records, place| records.key(place).numbers().1,
    last,
];

/// As many bytes as fit before the 96 bits of `behind`; flows with more are all before those with fewer, and are told apart by the
/// parts that follow.
#[inline(always)]
fn with_bytes(bytes: u64, behind: u128) -> u128 {
    match u32::try_from(bytes) {
        Ok(bytes) => u128::from(!bytes) << 96 | behind,
        Err(_) => 0,
    }
}

fn most_bytes(records: &Records, place: RecordPlace) -> u128 {
    u128::from(!records.weight(place).1)
}

/// What is left of the key, and who came first.
fn last(records: &Records, place: RecordPlace) -> u128 {
    u128::from(records.key(place).numbers().2) << 64 | u128::from(records.first_packet(place))
}

/// An IPv4 address.
#[inline(always)]
const fn short(address: u128) -> u128 {
    address >> 96
}

#[cfg(test)]
mod tests {
    use super::parts::DIVIDED_MIN;
    use super::*;
    use crate::flow::{FactSet, FlowRecord};
    use crate::record::test_records::{key, tcp_record};
    use proptest::prelude::*;
    use std::cmp::Reverse;

    /// Few addresses and ports, so that records are equal in part.
    fn record(v6: bool) -> impl Strategy<Value = FlowRecord> {
        let host = prop_oneof![Just(0u8), Just(1), Just(255)];
        let port = prop_oneof![Just(0u16), Just(1), Just(u16::MAX)];
        let many = u64::from(u32::MAX);
        let bytes = prop_oneof![3 => 0u64..3, 1 => many - 2..many + 3, 1 => u64::MAX - 2..=u64::MAX];
        (prop::array::uniform4(host), port.clone(), port, bytes, 6u8..8, any::<bool>()).prop_map(
            move |([a, b, c, d], a_port, b_port, bytes, protocol, other)| {
                let [source, destination] = if v6 && other {
                    [format!("{a:x}{b:02x}::{c:x}:{d:x}"), format!("{c:x}{d:02x}::{b:x}")]
                } else {
                    [format!("{a}.0.0.{b}"), format!("{c}.{d}.0.0")]
                };
                FlowRecord { key: key(protocol, &source, a_port, &destination, b_port), bytes: [bytes, 1], ..tcp_record() }
            },
        )
    }

    fn check(flows: Vec<FlowRecord>) -> Result<(), TestCaseError> {
        let mut records = Records::default();
        let mut expected: Vec<FlowRecord> =
            (0..).zip(flows).map(|(first_packet, record)| FlowRecord { first_packet, ..record }).collect();
        let mut places: Vec<RecordPlace> = expected.iter().rev().map(|record| records.insert(record, FactSet::NONE)).collect();
        largest_first(&records, &mut places, 1);
        let found: Vec<FlowRecord> = places.into_iter().map(|place| records.get(place)).collect();
        expected
            .sort_by_key(|record| (Reverse(record.bytes[0].saturating_add(record.bytes[1])), record.key, record.first_packet));
        prop_assert_eq!(found, expected);
        Ok(())
    }

    #[test]
    fn what_agrees_in_all_goes_by_its_place() {
        let mut records = Records::default();
        let mut places: Vec<RecordPlace> = (0..100).map(|_| records.insert(&tcp_record(), FactSet::NONE)).collect();
        let expected: Vec<u32> = places.iter().map(|place| place.number()).collect();
        places.reverse();
        largest_first(&records, &mut places, 1);
        assert!(places.into_iter().map(RecordPlace::number).eq(expected));
    }

    #[test]
    fn several_threads_find_the_same_order() {
        let mut records = Records::default();
        let mut bytes = 1u64;
        let places: Vec<RecordPlace> = (0..DIVIDED_MIN as u64 * 2 + 1)
            .map(|first_packet| {
                // Each number of bytes comes about thirty times.
                bytes = bytes.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                records.insert(&FlowRecord { first_packet, bytes: [bytes >> 54, 0], ..tcp_record() }, FactSet::NONE)
            })
            .collect();
        let by = |threads| {
            let mut places = places.clone();
            largest_first(&records, &mut places, threads);
            places
        };
        let alone = by(1);
        for threads in [2, 3, 8] {
            assert!(by(threads) == alone, "{threads} threads");
        }
    }

    proptest! {
        #[test]
        fn ipv4_in_the_order_of_comparing(flows in prop::collection::vec(record(false), 0..200)) {
            check(flows)?;
        }

        #[test]
        fn both_versions_in_the_order_of_comparing(flows in prop::collection::vec(record(true), 0..200)) {
            check(flows)?;
        }
    }
}
