//! Numbers as people write them: with a fraction and a unit.
//!
//! Owns units. Knows no field. Invariant: what is accepted is exact; nothing is rounded.

use super::words::ValueKind;

/// Digits of a number, fraction included.
const DIGITS_MAX: usize = 24;

/// Why a text is no number of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberFault {
    /// It is no number at all.
    NoNumber,
    /// The unit is none of this kind's.
    Unit,
    /// It is finer than the unit that values are counted in.
    TooFine,
    /// It has too many digits.
    TooLarge,
}

/// Units of bytes and rates, and what they are a multiple of.
const PREFIXES: &[(&str, u128)] = &[
    ("", 1),
    ("k", 1_000),
    ("m", 1_000_000),
    ("g", 1_000_000_000),
    ("t", 1_000_000_000_000),
    ("ki", 1 << 10),
    ("mi", 1 << 20),
    ("gi", 1 << 30),
    ("ti", 1 << 40),
];

/// Units of time, in ns.
const TIMES: &[(&str, u128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("min", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
];

/// What one of this unit is, in the unit that values of this kind are counted in.
fn factor(kind: ValueKind, unit: &str) -> Option<u128> {
    let unit = unit.to_lowercase();
    let found = |units: &[(&str, u128)], unit: &str| units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    match kind {
        ValueKind::Bytes => found(PREFIXES, unit.strip_suffix('b').unwrap_or(&unit)),
        ValueKind::Rate => {
            let prefix = ["bit/s", "bps", "b/s"].iter().find_map(|suffix| unit.strip_suffix(suffix)).unwrap_or(&unit);
            found(PREFIXES, prefix).map(|factor| factor * 1_000)
        }
        ValueKind::Duration(without) => {
            if unit.is_empty() {
                Some(without.into())
            } else {
                found(TIMES, &unit)
            }
        }
        ValueKind::Instant => (unit.is_empty() || unit == "s").then_some(1_000_000_000),
        _ => found(&PREFIXES[..5], &unit),
    }
}

/// What may stand behind the number, for messages.
pub(super) const fn units_of(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Bytes => "k, M, G, T, Ki, Mi, Gi, Ti",
        ValueKind::Rate => "k, M, G, T (bit/s)",
        ValueKind::Duration(_) => "ns, us, ms, s, m, h, d",
        ValueKind::Instant => "s (since 1970)",
        _ => "k, M, G, T",
    }
}

/// Digits, perhaps with a fraction and a unit, in the unit that values of this kind are counted in: bytes, ns, thousandths of
/// bits per second, or one.
pub(super) fn parse_number(text: &str, kind: ValueKind) -> Result<u128, NumberFault> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let has_bad_dot = number.contains('.') && (fraction.is_empty() || fraction.contains('.'));
    if whole.is_empty() || has_bad_dot {
        return Err(NumberFault::NoNumber);
    }
    let fraction = fraction.trim_end_matches('0');
    if whole.trim_start_matches('0').len() + fraction.len() > DIGITS_MAX {
        return Err(NumberFault::TooLarge);
    }
    let factor = factor(kind, unit).ok_or(NumberFault::Unit)?;
    let digits: u128 = format!("{whole}{fraction}").parse().map_err(|_| NumberFault::TooLarge)?;
    let product = digits.checked_mul(factor).ok_or(NumberFault::TooLarge)?;
    let divisor = 10u128.pow(fraction.len() as u32);
    if product.is_multiple_of(divisor) { Ok(product / divisor) } else { Err(NumberFault::TooFine) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, kind, value) in [
            ("1M", ValueKind::Bytes, 1_000_000),
            ("1.5kB", ValueKind::Bytes, 1_500),
            ("2MiB", ValueKind::Bytes, 2 << 20),
            ("0.5ki", ValueKind::Bytes, 512),
            ("50", ValueKind::Duration(NS_PER_MS), 50_000_000),
            ("1.25s", ValueKind::Duration(NS_PER_MS), 1_250_000_000),
            ("2m", ValueKind::Duration(NS_PER_MS), 120_000_000_000),
            ("10Mbit/s", ValueKind::Rate, 10_000_000_000),
            ("0.001", ValueKind::Rate, 1),
            ("1700000000.5", ValueKind::Instant, 1_700_000_000_500_000_000),
            ("65535", ValueKind::Number, 65_535),
            ("000000000000000000000000000001", ValueKind::Number, 1),
        ] {
            assert_eq!(parse_number(text, kind), Ok(value), "{text}");
        }
    }

    #[test]
    fn faults() {
        for (text, kind, fault) in [
            ("", ValueKind::Bytes, NumberFault::NoNumber),
            ("-1", ValueKind::Bytes, NumberFault::NoNumber),
            (".5", ValueKind::Bytes, NumberFault::NoNumber),
            ("1.", ValueKind::Bytes, NumberFault::NoNumber),
            ("1.2.3", ValueKind::Bytes, NumberFault::NoNumber),
            ("1s", ValueKind::Bytes, NumberFault::Unit),
            ("1Ki", ValueKind::Number, NumberFault::Unit),
            ("1.5", ValueKind::Number, NumberFault::TooFine),
            ("1.0000000001s", ValueKind::Duration(1), NumberFault::TooFine),
            ("1234567890123456789012345", ValueKind::Bytes, NumberFault::TooLarge),
            ("999999999999999999999999T", ValueKind::Rate, NumberFault::TooLarge),
        ] {
            assert_eq!(parse_number(text, kind), Err(fault), "{text}");
        }
    }

    const NS_PER_MS: u64 = 1_000_000;
}
