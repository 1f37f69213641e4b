//! The order of the table: most bytes first, then by key, then by first packet, so that it is the same in every run.
//!
//! Owns how that is found quickly: numbers made of bytes and key are sorted instead of records, and only records whose numbers
//! are equal are looked at again. Its invariant: the order is that of comparing (bytes descending, key, first packet).

use super::records::{Place, Records};
use crate::flow::FlowKey;
use netscope_backends::pages::prefer_huge_pages;
use std::cmp::Ordering;
use std::net::IpAddr;
use std::thread::Builder;

/// Part of what is compared, as a number of [`RANK_BITS`], over the index of the place it was made from: the less there is to move, the
/// faster it is sorted.
type Ranked = u128;

const INDEX_BITS: u32 = u32::BITS;
const RANK_BITS: u32 = u128::BITS - INDEX_BITS;
/// How many records ahead memory is asked for.
const PREFETCH_AHEAD: usize = 16;

/// Threads at most: more would wait for memory.
const THREADS_MAX: usize = 8;
/// So few with the same number are compared as they are.
const COMPARED_MAX: usize = if cfg!(test) { 2 } else { 16 };
/// Fewer than these are sorted by one thread.
const DIVIDED_MIN: usize = 1 << 14;

/// The order of `places`, of which there are fewer than 2^32, found by `threads` of them.
pub(super) fn largest_first(records: &Records, places: &[Place], threads: usize) -> Vec<Place> {
    // Short addresses leave room for both of them in the first number.
    let ranks: &[Rank] = if records.has_v6() { &RANKS } else { &RANKS_V4 };
    let mut ranked: Vec<Ranked> = Vec::with_capacity(places.len());
    prefer_huge_pages(&ranked);
    ranked.extend((0..u32::MAX).map(Ranked::from).take(places.len()));
    sort(records, places, &mut ranked, ranks, threads.min(THREADS_MAX));
    ranked.into_iter().map(|ranked| places[place_index(ranked)]).collect()
}

const fn place_index(ranked: Ranked) -> usize {
    ranked as u32 as usize
}

fn sort(records: &Records, places: &[Place], ranked: &mut [Ranked], ranks: &[Rank], threads: usize) {
    let Some((&rank, finer)) = ranks.split_first() else { return };
    let mut is_ranked = false;
    if threads > 1 && ranked.len() >= DIVIDED_MIN {
        is_ranked = std::thread::scope(|scope| {
            let mut parts = ranked.chunks_mut(ranked.len().div_ceil(threads));
            parts.all(|part| Builder::new().spawn_scoped(scope, move || rank_all(records, places, part, rank)).is_ok())
        });
    }
    // Also where the system refused a thread; whatever the others have done stays right.
    if !is_ranked {
        rank_all(records, places, ranked, rank);
    }
    sort_numbers(ranked, threads);
    for equal in ranked.chunk_by_mut(|x, y| x >> INDEX_BITS == y >> INDEX_BITS) {
        match equal.len() {
            1 => {}
            2..=COMPARED_MAX => equal.sort_unstable_by(|&x, &y| compare(records, places[place_index(x)], places[place_index(y)])),
            _ => sort(records, places, equal, finer, threads),
        }
    }
}

/// The order itself.
fn compare(records: &Records, x: Place, y: Place) -> Ordering {
    let by_bytes = records.bytes(y).cmp(&records.bytes(x));
    let by_key = || records.key(x).cmp(records.key(y));
    by_bytes.then_with(by_key).then_with(|| records.first_packet(x).cmp(&records.first_packet(y)))
}

/// Puts the rank of its place over each index.
fn rank_all(records: &Records, places: &[Place], ranked: &mut [Ranked], rank: Rank) {
    for i in 0..ranked.len() {
        if let Some(&ahead) = ranked.get(i + PREFETCH_AHEAD) {
            records.prefetch_key(places[place_index(ahead)]);
        }
        let index = place_index(ranked[i]);
        let number = rank(records, places[index]);
        debug_assert_eq!(number >> RANK_BITS, 0, "a rank that does not fit");
        ranked[i] = number << INDEX_BITS | index as u128;
    }
}

/// Sorts by halving, so that each thread has a part of its own.
fn sort_numbers(ranked: &mut [Ranked], threads: usize) {
    if threads <= 1 || ranked.len() < DIVIDED_MIN {
        ranked.sort_unstable();
        return;
    }
    let (smaller, _, larger) = ranked.select_nth_unstable(ranked.len() / 2);
    let is_started = std::thread::scope(|scope| {
        let started = Builder::new().spawn_scoped(scope, || sort_numbers(smaller, threads / 2));
        sort_numbers(larger, threads - threads / 2);
        started.is_ok()
    });
    if !is_started {
        smaller.sort_unstable();
    }
}

/// One part of what is compared, as a number of at most [`RANK_BITS`] that orders alike.
type Rank = fn(&Records, Place) -> u128;

/// The parts, in order of their weight.
const RANKS: [Rank; 8] = [
    |records, place| with_bytes(records.bytes(place), high(records.key(place).a_ip())),
    most_bytes,
    |records, place| high(records.key(place).a_ip()).into(),
    |records, place| low(records.key(place).a_ip()).into(),
    |records, place| high(records.key(place).b_ip()).into(),
    |records, place| low(records.key(place).b_ip()).into(),
    rest_of_key,
    first_packet,
];

/// The same where all addresses are IPv4.
const RANKS_V4: [Rank; 5] = [
    |records, place| with_bytes(records.bytes(place), short_addresses(records.key(place))),
    most_bytes,
    |records, place| short_addresses(records.key(place)).into(),
    rest_of_key,
    first_packet,
];

/// As many bytes as fit before the 64 bits of `behind`; flows with more are all before those with fewer, and are told apart by the
/// parts that follow.
fn with_bytes(bytes: u64, behind: u64) -> u128 {
    match u32::try_from(bytes) {
        Ok(bytes) => u128::from(!bytes) << 64 | u128::from(behind),
        Err(_) => 0,
    }
}

fn most_bytes(records: &Records, place: Place) -> u128 {
    u128::from(!records.bytes(place))
}

fn rest_of_key(records: &Records, place: Place) -> u128 {
    let key = records.key(place);
    let ports = u64::from(key.a_port()) << 48 | u64::from(key.b_port()) << 32;
    u128::from(ports | (key.version() as u64) << 8 | u64::from(key.protocol()))
}

fn first_packet(records: &Records, place: Place) -> u128 {
    records.first_packet(place).into()
}

/// Both addresses of IPv4.
fn short_addresses(key: &FlowKey) -> u64 {
    high(key.a_ip()) | high(key.b_ip()) >> 32
}

fn high(ip: IpAddr) -> u64 {
    (address(ip) >> 64) as u64
}

fn low(ip: IpAddr) -> u64 {
    address(ip) as u64
}

/// An address as the key compares it: IPv4 in the first four bytes.
fn address(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::FlowRecord;
    use crate::output::test_records::{key, tcp_record};
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
        let places: Vec<Place> = expected.iter().rev().map(|record| records.insert(record)).collect();
        let found: Vec<FlowRecord> = largest_first(&records, &places, 1).into_iter().map(|place| records.get(place)).collect();
        expected
            .sort_by_key(|record| (Reverse(record.bytes[0].saturating_add(record.bytes[1])), record.key, record.first_packet));
        prop_assert_eq!(found, expected);
        Ok(())
    }

    #[test]
    fn several_threads_find_the_same_order() {
        let mut records = Records::default();
        let mut bytes = 1u64;
        let places: Vec<Place> = (0..DIVIDED_MIN as u64 * 2 + 1)
            .map(|first_packet| {
                // Each number of bytes comes about thirty times.
                bytes = bytes.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                records.insert(&FlowRecord { first_packet, bytes: [bytes >> 54, 0], ..tcp_record() })
            })
            .collect();
        let alone = largest_first(&records, &places, 1);
        for threads in [2, 3, 8] {
            assert!(largest_first(&records, &places, threads) == alone, "{threads} threads");
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
