//! A name for a record that every run over the same packets gives again.
//!
//! Owns what the name is made of. Knows no format. Invariants: it depends on the record alone, not on a queue, a worker or a clock; two
//! records of one run differ in it, as the number of their first packet does.

use super::FlowRecord;
use super::digest::{DigestMessage, digest};
use std::net::IpAddr;

/// Digits of a number to the base 62, the smallest first.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Bits of [`RecordId::number`]: as many as a 64-bit float tells apart, so that readers of JSON that have nothing else keep it.
const NUMBER_BITS: u32 = 53;

/// SHA-1 of protocol, addresses, ports, the time of the first packet and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordId([u64; 2]);

impl RecordId {
    /// Length of [`RecordId::letters`].
    pub const LETTERS: usize = 18;
    /// Letters that the first half gives: 62^10 is below 2^60.
    const FIRST: usize = 10;

    /// The name of a record.
    pub fn of(record: &FlowRecord) -> Self {
        let FlowRecord { key, first_seen, first_packet, interface, .. } = record;
        let mut message = DigestMessage::EMPTY;
        message.push(address(key.a_ip()));
        message.push(address(key.b_ip()));
        message.push(key.a_port().to_be_bytes());
        message.push(key.b_port().to_be_bytes());
        message.push([key.version() as u8, key.protocol(), *interface]);
        message.push(first_seen.0.to_be_bytes());
        message.push(first_packet.to_be_bytes());
        let [a, b, c, d, _] = digest(message.words());
        let half = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        Self([half(a, b), half(c, d)])
    }

    /// As a number below 2^53.
    pub const fn number(&self) -> u64 {
        self.0[0] >> (u64::BITS - NUMBER_BITS)
    }

    /// As `C` and 17 letters and digits.
    pub fn letters(&self) -> [u8; Self::LETTERS] {
        let mut letters = [b'C'; Self::LETTERS];
        let (first, second) = letters[1..].split_at_mut(Self::FIRST);
        for (places, mut left) in [(first, self.0[0]), (second, self.0[1])] {
            for place in places {
                *place = DIGITS[(left % 62) as usize];
                left /= 62;
            }
        }
        letters
    }
}

/// An address in 16 bytes; the version stands beside it.
fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::test_records::tcp_record;
    use netscope_backends::Timestamp;
    use std::collections::HashSet;

    fn record(number: u64, seen: u64) -> FlowRecord {
        FlowRecord { first_packet: number, first_seen: Timestamp(seen), ..tcp_record() }
    }

    #[test]
    fn names_differ_and_come_again() {
        let ids: Vec<RecordId> = (0..2000).map(|number| RecordId::of(&record(number / 2, number))).collect();
        let numbers: HashSet<u64> = ids.iter().map(RecordId::number).collect();
        let letters: HashSet<[u8; RecordId::LETTERS]> = ids.iter().map(RecordId::letters).collect();
        assert_eq!((numbers.len(), letters.len()), (2000, 2000));
        assert!(numbers.iter().all(|&number| number < 1 << NUMBER_BITS));
        assert!(letters.iter().all(|letters| letters[0] == b'C' && letters.iter().all(u8::is_ascii_alphanumeric)));
        assert_eq!(RecordId::of(&record(3, 7)), RecordId::of(&record(3, 7)));
        // Fixed for all time: whoever joins files of different versions relies on it.
        assert_eq!(RecordId::of(&record(3, 7)).number(), 975_967_309_629_875);
        assert_eq!(RecordId::of(&record(3, 7)).letters(), *b"CfCNjaGBReNejnBZyD");
    }
}
