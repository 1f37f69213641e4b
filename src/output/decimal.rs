//! Decimal text from integers, never through floating point: nanoseconds keep their precision and there is no NaN.
//!
//! Owns rounding and digits. Knows no field and no format. Its invariant: the text is exactly the number, whichever way it was
//! made. Eight digits are made at once, in the bytes of one word; numbers that need more are cut into eights.

use super::bytes::Text;

const EIGHT: u64 = 100_000_000;
/// `0` in every byte.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The eight decimal digits of a number below 10^8, leading zeros included: the first in the lowest byte, each 0 to 9.
#[inline(always)]
const fn eight_digits(number: u64) -> u64 {
    // Divisions by multiplication, two, then four side by side: exact for what is left in each part (< 10^4, < 10^2).
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - tens * 10) << 8)
}

/// Appends a whole number.
#[inline(always)]
pub fn push_number(out: &mut Text<'_>, value: u64) {
    if value < 10 {
        out.byte(b'0' + value as u8);
    } else if value < EIGHT {
        push_below_eight(out, value);
    } else {
        out.aside(|out| push_large(out, value));
    }
}

/// Appends a number below 10^8 that is not 0.
#[inline(always)]
fn push_below_eight(out: &mut Text<'_>, value: u64) {
    let digits = eight_digits(value);
    let leading = digits.trailing_zeros() / 8;
    out.put(((digits | ZEROS) >> (leading * 8)).to_le_bytes(), 8 - leading as usize);
}

/// Appends a number of at least 10^8.
#[inline(never)]
fn push_large(out: &mut Text<'_>, value: u64) {
    let (high, low) = (value / EIGHT, value % EIGHT);
    if high < EIGHT {
        push_below_eight(out, high);
    } else {
        // Below 1845, as there are 64 bits.
        push_below_eight(out, high / EIGHT);
        out.put((eight_digits(high % EIGHT) | ZEROS).to_le_bytes(), 8);
    }
    out.put((eight_digits(low) | ZEROS).to_le_bytes(), 8);
}

/// Appends a point and `value` as exactly `digits` digits. `digits` is at most 9, and `value` has no more.
#[inline(always)]
fn push_fraction(out: &mut Text<'_>, value: u64, digits: u8) {
    out.byte(b'.');
    let value = if digits == 9 {
        out.byte(b'0' + (value / EIGHT) as u8);
        value % EIGHT
    } else {
        value * power(8 - digits)
    };
    out.put((eight_digits(value) | ZEROS).to_le_bytes(), usize::from(digits.min(8)));
}

/// Appends `value / 10^scale` exactly: trailing zeros dropped, one decimal at least (`1.0`, `1.000000001`). `scale` is 1 to 9.
#[inline(always)]
pub fn push_exact(out: &mut Text<'_>, value: u64, scale: u8) {
    let unit = power(scale);
    push_number(out, value / unit);
    push_exact_fraction(out, value % unit, scale);
}

#[inline(always)]
fn push_exact_fraction(out: &mut Text<'_>, fraction: u64, scale: u8) {
    push_fraction(out, fraction, scale);
    let (mut rest, mut zeros) = (fraction, 0);
    if fraction == 0 {
        zeros = scale - 1;
    } else {
        while rest.is_multiple_of(10) {
            rest /= 10;
            zeros += 1;
        }
    }
    out.shorten(usize::from(zeros));
}

/// Appends `value / 10^scale` with exactly `digits` decimals, rounded to the nearest, halves up. `1 <= digits <= scale <= 9`.
#[inline(always)]
pub fn push_rounded(out: &mut Text<'_>, value: u64, scale: u8, digits: u8) {
    let unit = power(scale - digits);
    let rounded = value / unit + u64::from(unit > 1 && value % unit >= unit.div_ceil(2));
    let whole = power(digits);
    push_number(out, rounded / whole);
    push_fraction(out, rounded % whole, digits);
}

/// Appends a number of thousandths with three decimals.
#[inline(always)]
pub fn push_thousandths(out: &mut Text<'_>, value: u128) {
    match u64::try_from(value) {
        Ok(value) => push_rounded(out, value, 3, 3),
        Err(_) => {
            out.aside(|out| push_huge(out, value / 1000));
            push_fraction(out, (value % 1000) as u64, 3);
        }
    }
}

/// [`push_thousandths`] with trailing zeros dropped, one decimal at least.
#[inline(always)]
pub fn push_thousandths_exact(out: &mut Text<'_>, value: u128) {
    match u64::try_from(value) {
        Ok(value) => push_exact(out, value, 3),
        Err(_) => {
            out.aside(|out| push_huge(out, value / 1000));
            push_exact_fraction(out, (value % 1000) as u64, 3);
        }
    }
}

/// Rates above 10^16 bits per second are found in broken captures alone.
#[cold]
#[inline(never)]
fn push_huge(out: &mut Text<'_>, value: u128) {
    out.word(itoa::Buffer::new().format(value).as_bytes());
}

const fn power(exponent: u8) -> u64 {
    10u64.pow(exponent as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::bytes::pushed;
    use proptest::prelude::*;

    fn text(push: impl FnOnce(&mut Text<'_>)) -> String {
        String::from_utf8(pushed(push)).unwrap()
    }

    fn exact(value: u64, scale: u8) -> String {
        text(|out| push_exact(out, value, scale))
    }

    fn rounded(value: u64, scale: u8, digits: u8) -> String {
        text(|out| push_rounded(out, value, scale, digits))
    }

    #[test]
    fn exact_keeps_every_digit_and_no_more() {
        assert_eq!(exact(1_700_000_000_000_000_001, 9), "1700000000.000000001");
        assert_eq!(exact(1_700_000_000_500_000_000, 9), "1700000000.5");
        assert_eq!(exact(0, 9), "0.0");
        assert_eq!(exact(1_234_567, 6), "1.234567");
        assert_eq!(text(|out| push_thousandths_exact(out, u128::MAX)), "340282366920938463463374607431768211.455");
        assert_eq!(text(|out| push_thousandths_exact(out, u128::MAX - 455)), "340282366920938463463374607431768211.0");
        assert_eq!(text(|out| push_thousandths_exact(out, 1_500)), "1.5");
        assert_eq!(text(|out| push_thousandths(out, u128::MAX - 454)), "340282366920938463463374607431768211.001");
        assert_eq!(text(|out| push_thousandths(out, 1_500)), "1.500");
    }

    #[test]
    fn rounding_carries() {
        assert_eq!(rounded(1_999_999_999, 9, 6), "2.000000");
        assert_eq!(rounded(1_000_000_499, 9, 6), "1.000000");
        assert_eq!(rounded(1_000_000_500, 9, 6), "1.000001");
        assert_eq!(rounded(1_234_567, 6, 3), "1.235");
        assert_eq!(rounded(7, 3, 3), "0.007");
        assert_eq!(rounded(u64::MAX, 9, 6), "18446744073.709552");
    }

    #[test]
    fn every_power_of_ten_and_its_neighbours() {
        for exponent in 0..20 {
            let power = 10u64.pow(exponent);
            for value in [power - 1, power, power + 1] {
                assert_eq!(text(|out| push_number(out, value)), value.to_string());
            }
        }
    }

    #[test]
    fn every_number_of_four_digits() {
        for value in 0..10_000 {
            assert_eq!(text(|out| push_number(out, value)), value.to_string());
            assert_eq!(text(|out| push_fraction(out, value, 4)), format!(".{value:04}"));
        }
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_the_standard_library_does(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            prop_assert_eq!(text(|out| push_number(out, value)), value.to_string());
        }

        #[test]
        fn exact_reads_back(ns: u64) {
            let text = exact(ns, 9);
            let (whole, fraction) = text.split_once('.').unwrap();
            let ns_again: u64 = whole.parse::<u64>().unwrap() * 1_000_000_000 + format!("{fraction:0<9}").parse::<u64>().unwrap();
            prop_assert_eq!(ns_again, ns);
        }

        #[test]
        fn rounding_is_off_by_half_a_unit_at_most(ns in 0..u64::MAX / 2) {
            let text = rounded(ns, 9, 6);
            let (whole, fraction) = text.split_once('.').unwrap();
            prop_assert_eq!(fraction.len(), 6);
            let us = whole.parse::<u64>().unwrap() * 1_000_000 + fraction.parse::<u64>().unwrap();
            prop_assert!((us * 1000).abs_diff(ns) <= 500);
        }
    }
}
