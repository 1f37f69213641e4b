//! Decimal text from integers, never through floating point: nanoseconds keep their precision and there is no
//! NaN.
//!
//! Owns rounding and digits. Knows no field and no format but that a comma stands behind most values. Its
//! invariant: the text is exactly the number, whichever way it was made.
//!
//! Numbers below a million, and such with a fraction, are put together from a table of three digits, which
//! takes the fewest instructions and no branch on the count of digits. Others are the `itoa` crate's.

use super::text::TextEnd;

const MILLION: u64 = 1_000_000;

/// A number below 1000 as text, the first digit in the lowest byte.
#[derive(Clone, Copy)]
struct Three {
    /// Without leading zeros. In the uppermost two bits how many digits these are; in the two below how many
    /// there are as decimals, trailing zeros dropped, one at least.
    short: u32,
    /// Three digits and a comma.
    full: u32,
}

static THREES: [Three; 1000] = {
    let mut threes = [Three { short: 0, full: 0 }; 1000];
    let mut value = 0;
    while value < 1000 {
        let number = value as u32;
        let full = 0x2c30_3030 | (number / 100) | ((number / 10 % 10) << 8) | ((number % 10) << 16);
        let leading = (number < 100) as u32 + (number < 10) as u32;
        let trailing = number.is_multiple_of(10) as u32 + number.is_multiple_of(100) as u32;
        let digits = (full & 0x00ff_ffff) >> (8 * leading);
        threes[value] = Three { short: digits | (3 - leading) << 30 | (3 - trailing) << 28, full };
        value += 1;
    }
    threes
};

impl Three {
    /// Of a number below 1000.
    #[inline(always)]
    fn of(number: u64) -> Self {
        THREES.get(number as usize).copied().unwrap_or(Self { short: 0, full: 0 })
    }

    /// Stores the digits without leading zeros and gives their count, 1 to 3.
    #[inline(always)]
    fn store_short<const N: usize>(self, room: &mut [u8; N], at: usize) -> usize {
        store(room, at, self.short.to_le_bytes());
        (self.short >> 30) as usize
    }

    /// Stores three digits and a comma.
    #[inline(always)]
    fn store_full<const N: usize>(self, room: &mut [u8; N], at: usize) {
        store(room, at, self.full.to_le_bytes());
    }

    /// How many digits there are as decimals, trailing zeros dropped, one at least.
    #[inline(always)]
    fn decimals(self) -> usize {
        (self.short >> 28 & 3) as usize
    }
}

/// Stores `piece` at `at`, where it has room.
#[inline(always)]
fn store<const N: usize, const M: usize>(room: &mut [u8; N], at: usize, piece: [u8; M]) {
    if let Some(place) = room.get_mut(at..at + M) {
        place.copy_from_slice(&piece);
    }
}

/// Appends a whole number.
#[inline(always)]
pub fn push_number(out: &mut TextEnd<'_>, value: u64) {
    number(out, value, 0);
}

/// Appends a whole number and a comma.
#[inline(always)]
pub fn push_number_comma(out: &mut TextEnd<'_>, value: u64) {
    number(out, value, 1);
}

/// Appends a whole number and as much of a comma as `comma` says, 0 or 1.
#[inline(always)]
fn number(out: &mut TextEnd<'_>, value: u64, comma: usize) {
    if value < 1000 {
        out.fill::<8>(|room| {
            let len = Three::of(value).store_short(room, 0);
            room[len] = b',';
            len + comma
        });
    } else if value < MILLION {
        out.fill::<8>(|room| {
            let len = Three::of(value / 1000).store_short(room, 0);
            Three::of(value % 1000).store_full(room, len);
            len + 3 + comma
        });
    } else {
        out.aside(|out| push_large(out, value));
        out.put([b','], comma);
    }
}

/// Appends any number.
#[inline(never)]
fn push_large(out: &mut TextEnd<'_>, value: u64) {
    out.word(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends seconds with six decimals and a comma, given in ns and rounded to the nearest, halves up.
#[inline(always)]
pub fn push_seconds(out: &mut TextEnd<'_>, ns: u64) {
    let us = rounded_thousandth(ns);
    let (whole, fraction) = split(us, MILLION);
    push_with_tail(out, whole, |room, at| store_fixed::<2>(room, at, fraction));
}

/// Appends milliseconds with three decimals and a comma, given in ns and rounded to the nearest, halves up.
#[inline(always)]
pub fn push_milliseconds(out: &mut TextEnd<'_>, ns: u64) {
    push_thousandths(out, rounded_thousandth(ns).into());
}

/// Appends a number of thousandths with three decimals and a comma.
#[inline(always)]
pub fn push_thousandths(out: &mut TextEnd<'_>, value: u128) {
    match u64::try_from(value) {
        Ok(value) => {
            let (whole, fraction) = split(value, 1000);
            push_with_tail(out, whole, |room, at| store_fixed::<1>(room, at, fraction));
        }
        Err(_) => out.aside(|out| push_huge(out, value, |room, fraction| store_fixed::<1>(room, 0, fraction))),
    }
}

/// Appends seconds and a comma, given in ns, exactly: trailing zeros dropped, one decimal at least (`1.0`,
/// `1.000000001`).
#[inline(always)]
pub fn push_seconds_exact(out: &mut TextEnd<'_>, ns: u64) {
    let (whole, fraction) = split(ns, 1000 * MILLION);
    push_with_tail(out, whole, |room, at| store_exact::<3>(room, at, fraction));
}

/// Appends milliseconds and a comma, given in ns, exactly as seconds are.
#[inline(always)]
pub fn push_milliseconds_exact(out: &mut TextEnd<'_>, ns: u64) {
    let (whole, fraction) = split(ns, MILLION);
    push_with_tail(out, whole, |room, at| store_exact::<2>(room, at, fraction));
}

/// [`push_thousandths`] with trailing zeros dropped, one decimal at least.
#[inline(always)]
pub fn push_thousandths_exact(out: &mut TextEnd<'_>, value: u128) {
    match u64::try_from(value) {
        Ok(value) => {
            let (whole, fraction) = split(value, 1000);
            push_with_tail(out, whole, |room, at| store_exact::<1>(room, at, fraction));
        }
        Err(_) => out.aside(|out| push_huge(out, value, |room, fraction| store_exact::<1>(room, 0, fraction))),
    }
}

/// Thousandths, rounded to the nearest, halves up.
#[inline(always)]
fn rounded_thousandth(value: u64) -> u64 {
    match value.checked_add(500) {
        Some(value) => value / 1000,
        None => value / 1000 + u64::from(value % 1000 >= 500),
    }
}

/// Quotient and rest. `unit` is a constant of at most 10^9.
#[inline(always)]
fn split(value: u64, unit: u64) -> (u64, u32) {
    let quotient = value / unit;
    (quotient, (value - quotient * unit) as u32)
}

/// The digits of a number below `1000^T`, three by three.
#[inline(always)]
fn threes<const T: usize>(mut number: u32) -> [Three; T] {
    let mut threes = [THREES[0]; T];
    for three in threes.iter_mut().skip(1).rev() {
        *three = Three::of((number % 1000).into());
        number /= 1000;
    }
    if let Some(first) = threes.first_mut() {
        *first = Three::of(number.into());
    }
    threes
}

/// Room for ten digits, a point, nine digits, a comma and what is stored beyond.
type Room = [u8; 32];

/// Appends a whole number and what `tail` stores behind it, from a place on to the one that it gives.
#[inline(always)]
fn push_with_tail(out: &mut TextEnd<'_>, whole: u64, tail: impl Fn(&mut Room, usize) -> usize) {
    if whole < 1000 {
        out.fill(|room| {
            let len = Three::of(whole).store_short(room, 0);
            tail(room, len)
        });
    } else if whole < MILLION {
        out.fill(|room| {
            let len = Three::of(whole / 1000).store_short(room, 0);
            Three::of(whole % 1000).store_full(room, len);
            tail(room, len + 3)
        });
    } else if (1000 * MILLION..10_000 * MILLION).contains(&whole) {
        // Ten digits: seconds since 1970, from 2001 to 2286.
        out.fill(|room| {
            let (billions, rest) = split(whole, 1000 * MILLION);
            store(room, 0, [b'0' + billions as u8]);
            for (i, three) in threes::<3>(rest).into_iter().enumerate() {
                three.store_full(room, 1 + 3 * i);
            }
            tail(room, 10)
        });
    } else {
        out.aside(|out| push_large(out, whole));
        out.fill(|room| tail(room, 0));
    }
}

/// Rates above 10^16 bits per second are found in broken captures alone.
#[cold]
#[inline(never)]
fn push_huge(out: &mut TextEnd<'_>, thousandths: u128, tail: impl FnOnce(&mut Room, u32) -> usize) {
    out.word(itoa::Buffer::new().format(thousandths / 1000).as_bytes());
    out.fill(|room| tail(room, (thousandths % 1000) as u32));
}

/// Stores a point, all decimals and a comma.
#[inline(always)]
fn store_fixed<const T: usize>(room: &mut Room, at: usize, fraction: u32) -> usize {
    store(room, at, [b'.']);
    for (i, three) in threes::<T>(fraction).into_iter().enumerate() {
        three.store_full(room, at + 1 + 3 * i);
    }
    at + 1 + 3 * T + 1
}

/// Stores a point, the decimals without trailing zeros, one at least, and a comma.
#[inline(always)]
fn store_exact<const T: usize>(room: &mut Room, at: usize, fraction: u32) -> usize {
    store_fixed::<T>(room, at, fraction);
    let mut end = at + 2;
    for (i, three) in threes::<T>(fraction).into_iter().enumerate() {
        if three.full != THREES[0].full {
            end = at + 1 + 3 * i + three.decimals();
        }
    }
    store(room, end, [b',']);
    end + 1
}

/// Appends the numbers of the bits that are set, lowest first, with `between` between them.
pub fn push_set(out: &mut TextEnd<'_>, mut bits: u64, between: u8) {
    while bits != 0 {
        push_number(out, bits.trailing_zeros().into());
        bits &= bits - 1;
        if bits != 0 {
            out.byte(between);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::reference::{exact, rounded};
    use crate::record::text::pushed;
    use proptest::prelude::*;

    fn text(push: impl FnOnce(&mut TextEnd<'_>)) -> String {
        String::from_utf8(pushed(push)).unwrap()
    }

    /// Everything that can be made of a number, beside what it should be.
    fn ways(value: u64) -> [(String, String); 8] {
        let wide = u128::from(value);
        [
            (text(|out| push_number(out, value)), value.to_string()),
            (text(|out| push_number_comma(out, value)), format!("{value},")),
            (text(|out| push_seconds(out, value)), rounded(wide, 9, 6) + ","),
            (text(|out| push_milliseconds(out, value)), rounded(wide, 6, 3) + ","),
            (text(|out| push_thousandths(out, wide)), rounded(wide, 3, 3) + ","),
            (text(|out| push_seconds_exact(out, value)), exact(wide, 9) + ","),
            (text(|out| push_milliseconds_exact(out, value)), exact(wide, 6) + ","),
            (text(|out| push_thousandths_exact(out, wide)), exact(wide, 3) + ","),
        ]
    }

    #[test]
    fn exact_keeps_every_digit_and_no_more() {
        let seconds = |ns| text(|out| push_seconds_exact(out, ns));
        assert_eq!(seconds(1_700_000_000_000_000_001), "1700000000.000000001,");
        assert_eq!(seconds(1_700_000_000_500_000_000), "1700000000.5,");
        assert_eq!(seconds(1_700_000_000_000_120_000), "1700000000.00012,");
        assert_eq!(seconds(0), "0.0,");
        assert_eq!(text(|out| push_milliseconds_exact(out, 1_234_567)), "1.234567,");
        assert_eq!(text(|out| push_thousandths_exact(out, 1_500)), "1.5,");
    }

    #[test]
    fn rounding_carries() {
        let seconds = |ns| text(|out| push_seconds(out, ns));
        assert_eq!(seconds(1_999_999_999), "2.000000,");
        assert_eq!(seconds(1_000_000_499), "1.000000,");
        assert_eq!(seconds(1_000_000_500), "1.000001,");
        assert_eq!(seconds(u64::MAX), "18446744073.709552,");
        assert_eq!(text(|out| push_milliseconds(out, 1_234_567)), "1.235,");
        assert_eq!(text(|out| push_thousandths(out, 7)), "0.007,");
    }

    #[test]
    fn more_than_64_bits() {
        let rate = |value| [text(|out| push_thousandths(out, value)), text(|out| push_thousandths_exact(out, value))];
        assert_eq!(rate(u128::MAX), ["340282366920938463463374607431768211.455,"; 2]);
        let whole = "340282366920938463463374607431768211";
        assert_eq!(rate(u128::MAX - 455), [format!("{whole}.000,"), format!("{whole}.0,")]);
        for value in [u64::MAX, u64::MAX - 1].map(u128::from).into_iter().flat_map(|value| [value, value + 2]) {
            assert_eq!(rate(value), [rounded(value, 3, 3) + ",", exact(value, 3) + ","]);
        }
    }

    #[test]
    fn every_power_of_ten_and_its_neighbours() {
        for exponent in 0..20 {
            let power = 10u64.pow(exponent);
            // Half a unit on either side, too, where rounding carries into one more digit.
            for apart in [0, 1, 499, 500, 501, 499_999, 500_000, 500_001] {
                for value in [power.saturating_sub(apart), power.saturating_add(apart), u64::MAX - apart] {
                    for (written, expected) in ways(value) {
                        assert_eq!(written, expected, "{value}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_number_of_a_few_digits() {
        for value in (0..20_000).chain(999_000..1_001_000) {
            for (written, expected) in ways(value) {
                assert_eq!(written, expected, "{value}");
            }
        }
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_the_standard_library_does(value: u64, shift in 0u32..64) {
            for (written, expected) in ways(value >> shift) {
                prop_assert_eq!(written, expected);
            }
        }

        #[test]
        fn times_of_this_century_are_written_as_the_standard_library_does(
            seconds in prop_oneof![1_600_000_000..1_900_000_000u64, 999_999_999..1_000_000_001u64, 9_999_999_999..10_000_000_001u64],
            fraction in prop_oneof![0..1_000_000_000u64, Just(0), 999_999_400..1_000_000_000u64],
            unit in prop_oneof![Just(1), Just(1_000), Just(1_000_000), Just(100_000_000)],
        ) {
            for (written, expected) in ways(seconds * 1_000_000_000 + fraction / unit * unit) {
                prop_assert_eq!(written, expected);
            }
        }
    }
}
