//! A list of addresses and networks as a choice of packets: text in, a set out that is asked of each packet.
//!
//! Owns the form of the list and the set. Knows no source. Invariants: asking takes a number of steps that grows with the logarithm of the
//! list's length, whatever the list and the packet; of a list that has a wrong line nothing is used.
//!
//! A packet is taken where the source or the destination of its first network header is in the list ([`OuterAddresses`]): behind VLAN tags
//! and labels, but not inside tunnels; of ARP the sender and the target. What has no such header is not taken.

use crate::wire::OuterAddresses;
use netscope_backends::{Packet, PacketChoice};
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Most lines of a list, comments and empty ones included.
pub const ADDRESS_LINES_MAX: usize = 1_000_000;
/// Most bytes of it.
const BYTES_MAX: u64 = 64 << 20;
/// Most characters of a wrong line that are shown.
const SHOWN_MAX: usize = 60;

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressListError {
    /// It cannot be read.
    #[error("cannot read --filter-file (capture.filter_file) {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What is in it cannot be used.
    #[error("--filter-file (capture.filter_file) {}{}: {what}", path.display(), place(*line))]
    Content {
        /// The file.
        path: PathBuf,
        /// Which line, from 1; 0 for the whole file.
        line: usize,
        /// What is wrong and what to do.
        what: String,
    },
}

fn place(line: usize) -> String {
    if line == 0 { String::new() } else { format!(", line {line}") }
}

/// Addresses and networks.
#[derive(Debug, Default)]
pub struct AddressList {
    v4: AddressRanges<u32>,
    v6: AddressRanges<u128>,
    terms: usize,
}

impl AddressList {
    /// Reads a file: an address or a network (`192.0.2.1`, `2001:db8::/32`) on each line. `#` begins a comment; empty lines are left out.
    ///
    /// # Errors
    /// What is wrong, with the number of the line: no address, bits behind a network's length, more than [`ADDRESS_LINES_MAX`] lines; and
    /// a list without any address.
    pub fn read(path: &Path) -> Result<Self, AddressListError> {
        let fail = |source| AddressListError::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes)).map_err(fail)?;
        let wrong = |(line, what)| AddressListError::Content { path: path.to_owned(), line, what };
        if bytes.len() as u64 > BYTES_MAX {
            return Err(wrong((0, format!("has more than the {} MiB that a list may have", BYTES_MAX >> 20))));
        }
        Self::parse(&String::from_utf8_lossy(&bytes)).map_err(wrong)
    }

    /// The same of a text. The error is a line's number, 0 for all of it, and what is wrong.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        // Some editors begin a text with a mark of its byte order.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
            if number > ADDRESS_LINES_MAX {
                return Err((number, format!("a list may have {ADDRESS_LINES_MAX} lines: leave the rest out")));
            }
            let term = line.split('#').next().unwrap_or_default().trim();
            if term.is_empty() {
                continue;
            }
            match range(term).map_err(|what| (number, what))? {
                AddressRange::V4(first, last) => v4.push((first, last)),
                AddressRange::V6(first, last) => v6.push((first, last)),
            }
        }
        let terms = v4.len() + v6.len();
        if terms == 0 {
            return Err((0, "has no address, so no packet would be taken: give one a line".to_owned()));
        }
        Ok(Self { v4: AddressRanges::new(v4), v6: AddressRanges::new(v6), terms })
    }

    /// Addresses and networks that were listed.
    pub const fn terms(&self) -> usize {
        self.terms
    }
}

impl PacketChoice for AddressList {
    #[inline]
    fn takes(&self, packet: &Packet<'_>) -> bool {
        match OuterAddresses::of(packet) {
            Some(OuterAddresses::V4(pair)) => pair.iter().any(|address| self.v4.contains(u32::from_be_bytes(*address))),
            Some(OuterAddresses::V6(pair)) => pair.iter().any(|address| self.v6.contains(u128::from_be_bytes(*address))),
            None => false,
        }
    }
}

/// From the first to the last address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AddressRange {
    V4(u32, u32),
    V6(u128, u128),
}

/// What a term stands for; the error says what is wrong with it.
fn range(term: &str) -> Result<AddressRange, String> {
    let (address, len) = term.split_once('/').map_or((term, None), |(address, len)| (address, Some(len)));
    let no_term = || {
        let shown: String = term.chars().take(SHOWN_MAX).collect();
        let more = if term.chars().nth(SHOWN_MAX).is_some() { " ..." } else { "" };
        format!("\"{shown}{more}\" is no address and no network: give one a line, such as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32")
    };
    let address: IpAddr = address.parse().map_err(|_| no_term())?;
    let bits_max: u32 = if address.is_ipv4() { 32 } else { 128 };
    let bits = match len {
        None => bits_max,
        Some(len) if len.bytes().all(|byte| byte.is_ascii_digit()) => {
            len.parse().ok().filter(|bits| *bits <= bits_max).ok_or_else(no_term)?
        }
        Some(_) => return Err(no_term()),
    };
    let host_bits = bits_max - bits;
    let (network, range) = match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
            let first = u32::from(address) & mask;
            (IpAddr::V4(first.into()), AddressRange::V4(first, first | !mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            let first = u128::from(address) & mask;
            (IpAddr::V6(first.into()), AddressRange::V6(first, first | !mask))
        }
    };
    if network != address {
        return Err(format!(
            "{term} has bits behind the length of its network: write {network}/{bits}, or {address} for the one host"
        ));
    }
    Ok(range)
}

/// Ranges that neither overlap nor touch out of order, by their first values.
#[derive(Debug, Default)]
struct AddressRanges<T> {
    firsts: Box<[T]>,
    lasts: Box<[T]>,
}

impl<T: Copy + Ord> AddressRanges<T> {
    fn new(mut ranges: Vec<(T, T)>) -> Self {
        ranges.sort_unstable();
        let mut joined: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match joined.last_mut() {
                Some(before) if first <= before.1 => before.1 = before.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        Self { firsts: joined.iter().map(|range| range.0).collect(), lasts: joined.iter().map(|range| range.1).collect() }
    }

    #[inline]
    fn contains(&self, value: T) -> bool {
        let behind = self.firsts.partition_point(|first| *first <= value);
        self.lasts.get(behind.wrapping_sub(1)).is_some_and(|last| value <= *last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netscope_backends::{LinkType, Timestamp};
    use proptest::prelude::*;

    fn takes(list: &AddressList, source: &str, destination: &str) -> bool {
        let addresses: [IpAddr; 2] = [source, destination].map(|text| text.parse().expect("an address"));
        let data = match addresses {
            [IpAddr::V4(source), IpAddr::V4(destination)] => {
                [&[0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0][..], &source.octets(), &destination.octets()].concat()
            }
            [IpAddr::V6(source), IpAddr::V6(destination)] => {
                [&[0x60, 0, 0, 0, 0, 0, 59, 64][..], &source.octets(), &destination.octets()].concat()
            }
            _ => panic!("of two kinds"),
        };
        list.takes(&Packet { data: &data, time: Timestamp(0), wire_len: data.len() as u32, link_type: LinkType::RAW })
    }

    #[test]
    fn sources_and_destinations_are_looked_up() {
        let text = "\u{feff}# offices\n192.0.2.7\n10.1.0.0/16 # the first\n\n  2001:db8::/32\n::1\r\n10.1.2.0/24\n";
        let list = AddressList::parse(text).expect("a list");
        assert_eq!((list.terms(), list.v4.firsts.len()), (5, 2), "a network in another is one range");
        for (source, destination, expected) in [
            ("192.0.2.7", "8.8.8.8", true),
            ("8.8.8.8", "192.0.2.7", true),
            ("8.8.8.8", "192.0.2.8", false),
            ("10.1.255.255", "8.8.8.8", true),
            ("10.2.0.0", "10.0.255.255", false),
            ("2001:db8:ffff::1", "2001:db9::", true),
            ("2001:db9::", "::2", false),
            ("::1", "::", true),
        ] {
            assert_eq!(takes(&list, source, destination), expected, "{source} {destination}");
        }
        let nothing = Packet { data: &[0; 60], time: Timestamp(0), wire_len: 60, link_type: LinkType::ETHERNET };
        assert!(!list.takes(&nothing));
    }

    #[test]
    fn everything_of_one_version_is_a_network_too() {
        let list = AddressList::parse("0.0.0.0/0").expect("a list");
        assert!(takes(&list, "0.0.0.0", "255.255.255.255") && !takes(&list, "::", "::"));
    }

    #[test]
    fn a_wrong_line_is_told_by_its_number() {
        for (text, line, part) in [
            ("10.0.0.1\n\nhost 10.0.0.2\n", 3, "\"host 10.0.0.2\" is no address"),
            ("10.0.0.0/33", 1, "no network"),
            ("10.0.0.0/", 1, "no network"),
            ("10.0.0.0/+8", 1, "no network"),
            ("::/129", 1, "no network"),
            ("# none\n10.1.2.3/8", 2, "write 10.0.0.0/8, or 10.1.2.3"),
            ("# none\n", 0, "no address"),
        ] {
            let (found, what) = AddressList::parse(text).expect_err(text);
            assert!(found == line && what.contains(part), "{found}: {what}");
        }
        let long = AddressList::parse(&"#\n".repeat(ADDRESS_LINES_MAX + 1)).expect_err("too many lines");
        assert_eq!(long.0, ADDRESS_LINES_MAX + 1);
    }

    proptest! {
        #[test]
        fn the_set_says_what_a_look_at_each_network_says(
            networks in proptest::collection::vec((any::<u16>(), 16_u32..=32), 1..60),
            asked in proptest::collection::vec(any::<u16>(), 100),
        ) {
            // All within 10.0.0.0/16, so that they meet.
            let of = |low: u16| 0x0a00_0000 | u32::from(low);
            let mask = |bits: u32| u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            let ranges = networks.iter().map(|&(low, bits)| (of(low) & mask(bits), of(low) | !mask(bits))).collect();
            let set = AddressRanges::new(ranges);
            for low in asked {
                let expected = networks.iter().any(|&(network, bits)| of(network) & mask(bits) == of(low) & mask(bits));
                prop_assert_eq!(set.contains(of(low)), expected);
            }
        }
    }
}
