//! Decimal text from integers, never through floating point: nanoseconds keep their precision and there is no NaN.
//!
//! Owns rounding and digits. Knows no field and no format.

/// Appends a whole number.
pub fn push_number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends `value / 10^scale` exactly: trailing zeros dropped, one decimal at least (`1.0`, `1.000000001`). `scale` is at most 9.
pub fn push_exact(out: &mut Vec<u8>, value: u128, scale: u8) {
    let (whole, mut fraction) = split(value, scale);
    let mut digits = scale;
    while digits > 1 && fraction.is_multiple_of(10) {
        fraction /= 10;
        digits -= 1;
    }
    push_parts(out, whole, fraction, digits);
}

/// Appends `value / 10^scale` with exactly `digits` decimals, rounded to the nearest, halves up. `digits <= scale <= 9`.
pub fn push_rounded(out: &mut Vec<u8>, value: u128, scale: u8, digits: u8) {
    let unit = power(scale - digits);
    let rounded = value / unit + u128::from(value % unit >= unit.div_ceil(2) && unit > 1);
    let (whole, fraction) = split(rounded, digits);
    push_parts(out, whole, fraction, digits);
}

const fn power(exponent: u8) -> u128 {
    10u128.pow(exponent as u32)
}

/// Whole part and fraction of `value / 10^scale`.
fn split(value: u128, scale: u8) -> (u128, u64) {
    match u64::try_from(value) {
        // 64-bit division is an order of magnitude faster and enough for all times.
        Ok(small) => {
            let unit = 10u64.pow(u32::from(scale));
            (u128::from(small / unit), small % unit)
        }
        Err(_) => {
            let unit = power(scale);
            // Below 10^9, so it fits.
            (value / unit, (value % unit) as u64)
        }
    }
}

fn push_parts(out: &mut Vec<u8>, whole: u128, fraction: u64, digits: u8) {
    let mut buffer = itoa::Buffer::new();
    match u64::try_from(whole) {
        Ok(whole) => out.extend_from_slice(buffer.format(whole).as_bytes()),
        Err(_) => out.extend_from_slice(buffer.format(whole).as_bytes()),
    }
    out.push(b'.');
    let text = buffer.format(fraction).as_bytes();
    let zeros = usize::from(digits).saturating_sub(text.len());
    out.extend_from_slice(b"000000000".get(..zeros).unwrap_or_default());
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exact(value: u128, scale: u8) -> String {
        let mut out = Vec::new();
        push_exact(&mut out, value, scale);
        String::from_utf8(out).unwrap()
    }

    fn rounded(value: u128, scale: u8, digits: u8) -> String {
        let mut out = Vec::new();
        push_rounded(&mut out, value, scale, digits);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn exact_keeps_every_digit_and_no_more() {
        assert_eq!(exact(1_700_000_000_000_000_001, 9), "1700000000.000000001");
        assert_eq!(exact(1_700_000_000_500_000_000, 9), "1700000000.5");
        assert_eq!(exact(0, 9), "0.0");
        assert_eq!(exact(1_234_567, 6), "1.234567");
        assert_eq!(exact(u128::MAX, 3), "340282366920938463463374607431768211.455");
    }

    #[test]
    fn rounding_carries() {
        assert_eq!(rounded(1_999_999_999, 9, 6), "2.000000");
        assert_eq!(rounded(1_000_000_499, 9, 6), "1.000000");
        assert_eq!(rounded(1_000_000_500, 9, 6), "1.000001");
        assert_eq!(rounded(1_234_567, 6, 3), "1.235");
        assert_eq!(rounded(7, 3, 3), "0.007");
    }

    proptest! {
        #[test]
        fn exact_reads_back(ns: u64) {
            let text = exact(u128::from(ns), 9);
            let (whole, fraction) = text.split_once('.').unwrap();
            let ns_again: u64 = whole.parse::<u64>().unwrap() * 1_000_000_000 + format!("{fraction:0<9}").parse::<u64>().unwrap();
            prop_assert_eq!(ns_again, ns);
        }

        #[test]
        fn rounding_is_off_by_half_a_unit_at_most(ns in 0..u64::MAX / 2) {
            let text = rounded(u128::from(ns), 9, 6);
            let (whole, fraction) = text.split_once('.').unwrap();
            prop_assert_eq!(fraction.len(), 6);
            let us = whole.parse::<u64>().unwrap() * 1_000_000 + fraction.parse::<u64>().unwrap();
            prop_assert!((us * 1000).abs_diff(ns) <= 500);
        }
    }
}
