//! JA4: a fingerprint of a client's hello.
//!
//! Owns how it is made, by FoxIO's description. JA4 itself is Copyright (c) 2023 FoxIO, BSD 3-Clause License. The rest of the JA4+ family
//! (JA4S, JA4H and others) has another licence; none of it is here, and none is to be added.

use std::fmt;

use ring::digest::{Context, SHA256};

use super::client_hello::{ClientHello, HelloCarrier};
use super::extension::{ALPN, SERVER_NAME, is_grease};
use super::version::is_1_3;

/// Length of the text, for example `t13d1516h2_8daaf6152771_e5627efa2ab1`.
pub const JA4_LEN: usize = 36;
/// Characters of a hash that are kept.
const HASH_LEN: usize = 12;
/// Numbers that are sorted without taking memory; a browser sends 20.
const SORTED_ON_STACK: usize = 128;
const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A JA4 fingerprint; it shows as its text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ja4([u8; JA4_LEN]);

impl Ja4 {
    /// The text, ASCII.
    pub const fn as_bytes(&self) -> &[u8; JA4_LEN] {
        &self.0
    }

    /// Of a client's hello.
    pub fn of(hello: &ClientHello<'_>) -> Self {
        let ciphers = || hello.ciphers.without_grease();
        let extensions = || hello.extensions.iter().map(|(number, _)| number).filter(|&number| !is_grease(number));
        let mut text = [b'_'; JA4_LEN];
        text[0] = match hello.carrier {
            HelloCarrier::Stream => b't',
            HelloCarrier::Datagram => b'd',
            HelloCarrier::Quic => b'q',
        };
        text[1..3].copy_from_slice(version_code(hello.best_version()));
        text[3] = if hello.has_server_name { b'd' } else { b'i' };
        text[4..6].copy_from_slice(&two_digits(ciphers().count()));
        text[6..8].copy_from_slice(&two_digits(extensions().count()));
        text[8..10].copy_from_slice(&alpn_code(hello.alpn.first().unwrap_or_default()));
        let algorithms = hello.signature_algorithms.without_grease();
        let others = || extensions().filter(|&number| number != SERVER_NAME && number != ALPN);
        text[11..11 + HASH_LEN].copy_from_slice(&sorted_hash(ciphers, std::iter::empty()));
        text[24..24 + HASH_LEN].copy_from_slice(&sorted_hash(others, algorithms));
        Self(text)
    }
}

impl fmt::Display for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ja4({self})")
    }
}

const fn version_code(version: u16) -> &'static [u8; 2] {
    match version {
        0xfefc => b"d3",
        _ if is_1_3(version) => b"13",
        0x0303 => b"12",
        0x0302 => b"11",
        0x0301 => b"10",
        0x0300 => b"s3",
        0x0002 => b"s2",
        0xfeff => b"d1",
        0xfefd => b"d2",
        _ => b"00",
    }
}

/// 99 stands for more, too.
fn two_digits(count: usize) -> [u8; 2] {
    let count = count.min(99) as u8;
    [b'0' + count / 10, b'0' + count % 10]
}

/// First and last character of the first protocol, or of its hexadecimal digits.
fn alpn_code(name: &[u8]) -> [u8; 2] {
    match (name.first(), name.last()) {
        (Some(&first), Some(&last)) if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() => [first, last],
        (Some(&first), Some(&last)) => [HEX_DIGITS[usize::from(first >> 4)], HEX_DIGITS[usize::from(last & 15)]],
        _ => *b"00",
    }
}

/// A SHA-256 sum over numbers in four digits with commas, the first ones sorted, `_` before those that are not.
fn sorted_hash<I: Iterator<Item = u16>>(sorted: impl Fn() -> I, unsorted: impl Iterator<Item = u16>) -> [u8; HASH_LEN] {
    let count = sorted().count();
    if count == 0 {
        return [b'0'; HASH_LEN];
    }
    let (mut near, mut far) = ([0; SORTED_ON_STACK], Vec::new());
    let numbers = match near.get_mut(..count) {
        Some(near) => {
            near.iter_mut().zip(sorted()).for_each(|(place, number)| *place = number);
            near
        }
        None => {
            far.extend(sorted());
            &mut far[..]
        }
    };
    numbers.sort_unstable();
    let mut sum = Context::new(&SHA256);
    push_numbers(&mut sum, b"", numbers.iter().copied());
    push_numbers(&mut sum, b"_", unsorted);
    let sum = sum.finish();
    let mut text = [0; HASH_LEN];
    for (pair, &byte) in text.chunks_exact_mut(2).zip(sum.as_ref()) {
        pair.copy_from_slice(&[HEX_DIGITS[usize::from(byte >> 4)], HEX_DIGITS[usize::from(byte & 15)]]);
    }
    text
}

/// Each with its separator in front, gathered before they go into the sum.
fn push_numbers(sum: &mut Context, first: &[u8], numbers: impl Iterator<Item = u16>) {
    const WIDTH: usize = 5;
    const GATHERED: usize = 64;
    let (mut gathered, mut len) = ([0; GATHERED * WIDTH], 0);
    for (index, number) in numbers.enumerate() {
        let [high, low] = number.to_be_bytes();
        let digits = [high >> 4, high & 15, low >> 4, low & 15].map(|digit| HEX_DIGITS[usize::from(digit)]);
        let before = if index == 0 { first } else { b"," };
        if len + WIDTH > gathered.len() {
            sum.update(&gathered[..len]);
            len = 0;
        }
        gathered[len..len + before.len()].copy_from_slice(before);
        len += before.len();
        gathered[len..len + digits.len()].copy_from_slice(&digits);
        len += digits.len();
    }
    sum.update(&gathered[..len]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::reading::NumberList;
    use crate::app::tls::tests::ja4_example;

    #[test]
    fn the_published_example() {
        let stream = ja4_example();
        let mut joined = Vec::new();
        let mut hello = ClientHello::read_stream(&stream, &mut joined).done().unwrap();
        assert_eq!(Ja4::of(&hello).to_string(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        hello.carrier = HelloCarrier::Quic;
        assert_eq!(&Ja4::of(&hello).to_string()[..10], "q13d1516h2");
    }

    #[test]
    fn a_hello_with_nothing_in_it() {
        let hello = ClientHello { version: 0x0301, ..ClientHello::default() };
        assert_eq!(Ja4::of(&hello).to_string(), "t10i000000_000000000000_000000000000");
    }

    #[test]
    fn the_published_codes_of_protocols() {
        for (name, code) in [
            (&b"h2"[..], b"h2"),
            (b"http/1.1", b"h1"),
            (b"x", b"xx"),
            (&[0xab], b"ab"),
            (&[0xab, 0xcd], b"ad"),
            (&[0x30, 0xab], b"3b"),
            (&[0x30, 0x31, 0xab, 0xcd], b"3d"),
            (&[0x30, 0xab, 0xcd, 0x31], b"01"),
            (&[], b"00"),
        ] {
            assert_eq!(&alpn_code(name), code, "{name:?}");
        }
    }

    #[test]
    fn more_numbers_than_fit_on_the_stack() {
        let few: Vec<u8> = (0..SORTED_ON_STACK as u16).rev().flat_map(u16::to_be_bytes).collect();
        let many: Vec<u8> = (0..=SORTED_ON_STACK as u16).rev().flat_map(u16::to_be_bytes).collect();
        let hash = |bytes: &[u8]| {
            let hello = ClientHello { ciphers: NumberList(bytes), ..ClientHello::default() };
            Ja4::of(&hello).to_string()
        };
        // SHA-256 of "0000,0001,...,007f" and of the same with ",0080".
        assert_eq!(&hash(&few)[..23], "t00i990000_24cb78c0ce73");
        assert_eq!(&hash(&many)[..23], "t00i990000_f24cce56af83");
    }
}
