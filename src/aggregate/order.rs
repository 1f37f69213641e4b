//! The order of the table: most bytes first, then by key, then by first packet, so that it is the same in
//! every run. (Only halves of one flow that came on different queues can agree in all of it; they go by their
//! places.)
//!
//! Owns what is compared, and the number that decides most comparisons without a look at the records. Knows
//! no format. Invariant: the order is that of comparing (bytes descending, key, first packet, place), for any
//! number of threads.

use super::export_pool;
use super::records::{RecordPlace, Records};
use crate::wire::IpVersion;
use rayon::prelude::*;
use std::cmp::Ordering;

/// How many records ahead memory is asked for.
const PREFETCH_AHEAD: usize = 16;
/// Threads at most: more would wait for memory.
const THREADS_MAX: usize = 8;
/// Records that are ranked by one thread at a time; fewer than these are sorted by one, as starting others
/// takes longer.
const CHUNK_LEN: usize = if cfg!(test) { 1 << 10 } else { 1 << 14 };

/// A place with as much of what is compared as fits into 128 bits, in two halves because that takes less
/// room.
type Ranked = ([u64; 2], RecordPlace);

/// What is compared first of a record; `None` when the record has no such number.
type RankFn = fn(&Records, RecordPlace) -> Option<u128>;

/// Puts `places` in order, by `threads` of them.
pub(super) fn largest_first(records: &Records, places: &mut [RecordPlace], threads: usize) {
    let threads = threads.min(THREADS_MAX).min(places.len() / CHUNK_LEN);
    match export_pool(threads) {
        Some(pool) => pool.install(|| sort(records, places, true)),
        None => sort(records, places, false),
    }
}

/// Sorts, by the threads of this pool if `parallel`.
fn sort(records: &Records, places: &mut [RecordPlace], parallel: bool) {
    let mut ranked = vec![([0; 2], RecordPlace::default()); places.len()];
    // Short addresses leave room for both of them.
    if !rank_all(records, places, &mut ranked, parallel, rank_v4) {
        rank_all(records, places, &mut ranked, parallel, rank_any);
    }
    let number = |&([high, low], _): &Ranked| u128::from(high) << 64 | u128::from(low);
    let by_record = |(_, x): &Ranked, (_, y): &Ranked| compare(records, *x, *y);
    // Numbers alone are compared without a branch; few of them are equal.
    if parallel {
        ranked.par_sort_unstable_by_key(number);
        ranked
            .par_chunk_by_mut(|x, y| x.0 == y.0)
            .filter(|same| same.len() > 1)
            .for_each(|same| same.par_sort_unstable_by(by_record));
    } else {
        ranked.sort_unstable_by_key(number);
        ranked.chunk_by_mut(|x, y| x.0 == y.0).filter(|same| same.len() > 1).for_each(|same| same.sort_unstable_by(by_record));
    }
    places.iter_mut().zip(ranked).for_each(|(place, (_, sorted))| *place = sorted);
}

/// Writes down each place with its rank; false, and not all are written, when one has none.
fn rank_all(records: &Records, places: &[RecordPlace], ranked: &mut [Ranked], parallel: bool, rank: RankFn) -> bool {
    let part = |(places, ranked): (&[RecordPlace], &mut [Ranked])| {
        places.iter().zip(ranked).enumerate().all(|(i, (&place, ranked))| {
            if let Some(&ahead) = places.get(i + PREFETCH_AHEAD) {
                records.prefetch_weight(ahead);
            }
            let Some(number) = rank(records, place) else { return false };
            *ranked = ([(number >> 64) as u64, number as u64], place);
            true
        })
    };
    if parallel { places.par_chunks(CHUNK_LEN).zip(ranked.par_chunks_mut(CHUNK_LEN)).all(part) } else { part((places, ranked)) }
}

/// The order itself. Records of different queues may agree in all of it; then the place decides.
fn compare(records: &Records, x: RecordPlace, y: RecordPlace) -> Ordering {
    let ((x_key, x_bytes), (y_key, y_bytes)) = (records.weight(x), records.weight(y));
    let by_packet = || records.first_packet(x).cmp(&records.first_packet(y));
    y_bytes.cmp(&x_bytes).then_with(|| x_key.cmp(y_key)).then_with(by_packet).then_with(|| x.number().cmp(&y.number()))
}

/// Bytes, both addresses and the ports of an IPv4 flow.
fn rank_v4(records: &Records, place: RecordPlace) -> Option<u128> {
    let (key, bytes) = records.weight(place);
    let (a, b, rest) = key.numbers();
    (key.version() == IpVersion::V4).then(|| with_bytes(bytes, short(a) << 64 | short(b) << 32 | u128::from(rest >> 16)))
}

/// Bytes and most of the first address of any flow.
fn rank_any(records: &Records, place: RecordPlace) -> Option<u128> {
    let (key, bytes) = records.weight(place);
    Some(with_bytes(bytes, key.numbers().0 >> 32))
}

/// As many bytes as fit before the 96 bits of `behind`; flows with more are all before those with fewer, and
/// are compared.
fn with_bytes(bytes: u64, behind: u128) -> u128 {
    match u32::try_from(bytes) {
        Ok(bytes) => u128::from(!bytes) << 96 | behind,
        Err(_) => 0,
    }
}

/// An IPv4 address.
const fn short(address: u128) -> u128 {
    address >> 96
}

#[cfg(test)]
mod tests {
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
        let places: Vec<RecordPlace> = (0..CHUNK_LEN as u64 * 10 + 1)
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
