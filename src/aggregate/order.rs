//! The order of the table: most bytes first, then by key, then by first packet, so that it is the same in every run.
//!
//! Owns how that is found quickly: numbers made of bytes and key are sorted instead of records, and only records whose numbers
//! are equal are looked at again. Its invariant: the order is that of comparing (bytes descending, key, first packet).

use super::kept::Weight;
use super::records::Records;
use crate::flow::FlowKey;
use netscope_backends::pages::prefer_huge_pages;
use std::net::IpAddr;

/// A number that stands for part of what is compared, and the record it was made from.
type Ranked = (u128, u32);

/// The order of `places`.
pub(super) fn largest_first(records: &Records, places: &[u32]) -> Vec<u32> {
    // Short addresses leave room for both of them in the first number.
    let ranks: &[Rank] = if records.has_v6() { &RANKS } else { &RANKS_V4 };
    let mut ranked: Vec<Ranked> = Vec::with_capacity(places.len());
    prefer_huge_pages(&ranked);
    ranked.extend(places.iter().map(|&place| (0, place)));
    sort(records, &mut ranked, ranks);
    ranked.into_iter().map(|(_, place)| place).collect()
}

fn sort(records: &Records, ranked: &mut [Ranked], ranks: &[Rank]) {
    let Some((rank, finer)) = ranks.split_first() else { return };
    for (number, place) in ranked.iter_mut() {
        *number = rank(&records.weight(*place));
    }
    ranked.sort_unstable_by_key(|&(number, _)| number);
    for equal in ranked.chunk_by_mut(|x, y| x.0 == y.0).filter(|equal| equal.len() > 1) {
        sort(records, equal, finer);
    }
}

/// One part of what is compared, as a number that orders alike.
type Rank = fn(&Weight) -> u128;

/// The parts, in order of their weight.
const RANKS: [Rank; 4] = [
    |weight| pair(smaller_first(weight), (address(weight.key.a_ip()) >> 64) as u64),
    |weight| pair(address(weight.key.a_ip()) as u64, (address(weight.key.b_ip()) >> 64) as u64),
    |weight| pair(address(weight.key.b_ip()) as u64, rest_of_key(&weight.key)),
    |weight| weight.first_packet.into(),
];

/// The same where all addresses are IPv4.
const RANKS_V4: [Rank; 2] = [
    |weight| pair(smaller_first(weight), (address(weight.key.a_ip()) >> 64) as u64 | (address(weight.key.b_ip()) >> 96) as u64),
    |weight| pair(rest_of_key(&weight.key), weight.first_packet),
];

const fn pair(high: u64, low: u64) -> u128 {
    (high as u128) << 64 | low as u128
}

/// Most bytes make the smallest number.
fn smaller_first(weight: &Weight) -> u64 {
    !weight.bytes
}

/// An address as the key compares it: IPv4 in the first four bytes.
fn address(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn rest_of_key(key: &FlowKey) -> u64 {
    let ports = u64::from(key.a_port()) << 48 | u64::from(key.b_port()) << 32;
    ports | (key.version() as u64) << 8 | u64::from(key.protocol())
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
        (prop::array::uniform4(host), port.clone(), port, 0u64..3, 6u8..8, any::<bool>()).prop_map(
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
        let places: Vec<u32> = expected.iter().rev().map(|record| records.insert(record)).collect();
        let found: Vec<FlowRecord> = largest_first(&records, &places).into_iter().map(|place| records.get(place)).collect();
        expected.sort_by_key(|record| (Reverse(record.bytes[0] + record.bytes[1]), record.key, record.first_packet));
        prop_assert_eq!(found, expected);
        Ok(())
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
