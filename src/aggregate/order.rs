//! The order of the table: most bytes first, then by key, then by first packet, so that it is the same in every run. (Only halves of
//! one flow that came on different queues can agree in all of it; they go by their places.)
//!
//! Owns how that is found quickly: numbers made of bytes and key are sorted instead of records, and only records whose numbers
//! are equal are looked at again. Its invariant: the order is that of comparing (bytes descending, key, first packet).

use super::records::{Place, Records};
use crate::flow::FlowKey;
use crate::wire::IpVersion;
use netscope_backends::pages::prefer_huge_pages;
use std::cmp::Ordering;
use std::net::IpAddr;
use std::thread::Builder;

/// Part of what is compared, as a number of [`RANK_BITS`], over the number of the place it was made from: the less there is to move,
/// the faster it is sorted.
type Ranked = u128;

const PLACE_BITS: u32 = u32::BITS;
const RANK_BITS: u32 = u128::BITS - PLACE_BITS;
/// How many records ahead memory is asked for.
const PREFETCH_AHEAD: usize = 16;
/// The same among sorted numbers, of which most are passed over.
const EQUAL_AHEAD: usize = 64;
/// Threads at most: more would wait for memory.
const THREADS_MAX: usize = 8;
/// Fewer with the same number are compared as they are.
const COMPARED_BELOW: usize = if cfg!(test) { 3 } else { 17 };
/// Fewer than these are sorted by one thread.
const DIVIDED_MIN: usize = 1 << 14;

/// Puts `places` in order, by `threads` of them.
pub(super) fn largest_first(records: &Records, places: &mut [Place], threads: usize) {
    let threads = threads.min(THREADS_MAX);
    let mut ranked: Vec<Ranked> = Vec::with_capacity(places.len());
    prefer_huge_pages(&ranked);
    ranked.extend(places.iter().map(|place| Ranked::from(place.number())));
    // Short addresses leave room for both of them in the first number.
    let finer: &[Rank] = if rank_all(records, &mut ranked, threads, shortest) {
        &FINER_V4
    } else {
        rank_all(records, &mut ranked, threads, |records, place| Some(longest(records, place)));
        &FINER
    };
    sort_ranked(records, &mut ranked, finer, threads);
    for (place, ranked) in places.iter_mut().zip(ranked) {
        *place = place_of(ranked);
    }
}

const fn place_of(ranked: Ranked) -> Place {
    Place::of(ranked as u32)
}

/// Sorts what was ranked, and by the `finer` parts what has the same rank.
fn sort_ranked(records: &Records, ranked: &mut [Ranked], finer: &[Rank], threads: usize) {
    sort_numbers(ranked, threads);
    let mut start = 0;
    while let Some(&first) = ranked.get(start) {
        let len = 1 + ranked[start + 1..].iter().take_while(|&&other| is_same_rank(first, other)).count();
        for i in start..start + len.min(COMPARED_BELOW) {
            prefetch_if_equal(records, ranked, i + EQUAL_AHEAD);
        }
        let equal = &mut ranked[start..start + len];
        start += len;
        match (len, finer.split_first()) {
            (1, _) => {}
            (COMPARED_BELOW.., Some((rank, finer))) => {
                rank_all(records, equal, threads, |records, place| Some(rank(records, place)));
                sort_ranked(records, equal, finer, threads);
            }
            _ => equal.sort_unstable_by(|&x, &y| compare(records, place_of(x), place_of(y))),
        }
    }
}

const fn is_same_rank(x: Ranked, y: Ranked) -> bool {
    x >> PLACE_BITS == y >> PLACE_BITS
}

/// Hints that two neighbours will be compared, if they will.
fn prefetch_if_equal(records: &Records, ranked: &[Ranked], i: usize) {
    if let Some(&[x, y]) = ranked.get(i..i + 2)
        && is_same_rank(x, y)
    {
        records.prefetch_weight(place_of(x));
        records.prefetch_weight(place_of(y));
    }
}

/// The order itself. Records of different queues may agree in all of it; then the place decides.
fn compare(records: &Records, x: Place, y: Place) -> Ordering {
    let ((x_key, x_bytes), (y_key, y_bytes)) = (records.weight(x), records.weight(y));
    let by_packet = || records.first_packet(x).cmp(&records.first_packet(y));
    y_bytes.cmp(&x_bytes).then_with(|| x_key.cmp(y_key)).then_with(by_packet).then_with(|| x.number().cmp(&y.number()))
}

/// Puts its rank over the number of each place. False, and some ranked, when one has no such rank.
fn rank_all<R>(records: &Records, ranked: &mut [Ranked], threads: usize, rank: R) -> bool
where
    R: Fn(&Records, Place) -> Option<u128> + Copy + Send,
{
    if threads > 1 && ranked.len() >= DIVIDED_MIN {
        let parts = ranked.chunks_mut(ranked.len().div_ceil(threads));
        let done: Option<bool> = std::thread::scope(|scope| {
            let start = |part| Builder::new().spawn_scoped(scope, move || rank_part(records, part, rank));
            let started: Vec<_> = parts.map(start).collect();
            started.into_iter().try_fold(true, |all, thread| Some(all && thread.ok()?.join().ok()?))
        });
        if let Some(all) = done {
            return all;
        }
        // The system refused a thread; whatever the others have done stays right.
    }
    rank_part(records, ranked, rank)
}

/// [`rank_all`] by one thread.
fn rank_part(records: &Records, ranked: &mut [Ranked], rank: impl Fn(&Records, Place) -> Option<u128>) -> bool {
    for i in 0..ranked.len() {
        if let Some(&ahead) = ranked.get(i + PREFETCH_AHEAD) {
            records.prefetch_weight(place_of(ahead));
        }
        let place = place_of(ranked[i]);
        let Some(number) = rank(records, place) else { return false };
        debug_assert_eq!(number >> RANK_BITS, 0, "a rank that does not fit");
        ranked[i] = number << PLACE_BITS | u128::from(place.number());
    }
    true
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

/// The first part where all addresses are IPv4.
#[inline(always)]
fn shortest(records: &Records, place: Place) -> Option<u128> {
    let (key, bytes) = records.weight(place);
    (key.version() == IpVersion::V4).then(|| with_bytes(bytes, short_addresses(key)))
}

/// The parts that follow it, in order of their weight.
const FINER_V4: [Rank; 4] = [most_bytes, |records, place| short_addresses(records.key(place)).into(), rest_of_key, first_packet];

/// The first part where some are IPv6.
fn longest(records: &Records, place: Place) -> u128 {
    let (key, bytes) = records.weight(place);
    with_bytes(bytes, high(key.a_ip()))
}

/// The parts that follow it.
const FINER: [Rank; 7] = [
    most_bytes,
    |records, place| high(records.key(place).a_ip()).into(),
    |records, place| low(records.key(place).a_ip()).into(),
    |records, place| high(records.key(place).b_ip()).into(),
    |records, place| low(records.key(place).b_ip()).into(),
    rest_of_key,
    first_packet,
];

/// As many bytes as fit before the 64 bits of `behind`; flows with more are all before those with fewer, and are told apart by the
/// parts that follow.
#[inline]
fn with_bytes(bytes: u64, behind: u64) -> u128 {
    match u32::try_from(bytes) {
        Ok(bytes) => u128::from(!bytes) << 64 | u128::from(behind),
        Err(_) => 0,
    }
}

fn most_bytes(records: &Records, place: Place) -> u128 {
    u128::from(!records.weight(place).1)
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
#[inline]
fn short_addresses(key: &FlowKey) -> u64 {
    high(key.a_ip()) | high(key.b_ip()) >> 32
}

#[inline]
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
        let mut places: Vec<Place> = expected.iter().rev().map(|record| records.insert(record)).collect();
        largest_first(&records, &mut places, 1);
        let found: Vec<FlowRecord> = places.into_iter().map(|place| records.get(place)).collect();
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
