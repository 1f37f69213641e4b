//! Times as text with a date.
//!
//! Owns the digits. Knows no format's quotes. Invariant: times are UTC; what is smaller than the last digit is cut off, so that order
//! stays.

use super::number::push_number;
use super::text::TextEnd;
use jiff::SignedDuration;
use jiff::civil::{DateTime, date};

const SECOND_NS: u64 = 1_000_000_000;

/// Date and time of so many seconds since 1970; `None` beyond the year 9999.
pub(super) fn date_time(secs: u64) -> Option<DateTime> {
    let since = SignedDuration::from_secs(i64::try_from(secs).ok()?);
    date(1970, 1, 1).at(0, 0, 0, 0).checked_add(since).ok()
}

/// Appends six digits behind the point of seconds.
fn push_micros(out: &mut TextEnd<'_>, ns: u64) {
    push_padded(out, ns % SECOND_NS / 1000, 6);
}

/// Appends seconds with six decimals, as `1700000000.123456`.
pub(super) fn push_epoch(out: &mut TextEnd<'_>, ns: u64) {
    push_number(out, ns / SECOND_NS);
    out.byte(b'.');
    push_micros(out, ns);
}

/// Appends `2023-11-14T22:13:20.123456+0000`.
pub(super) fn push_iso(out: &mut TextEnd<'_>, ns: u64) {
    // 2^64 ns end in the year 2554.
    if let Some(time) = date_time(ns / SECOND_NS) {
        push_date_time(out, time, [b'-', b'T', b':']);
    }
    out.byte(b'.');
    push_micros(out, ns);
    out.word(b"+0000");
}

/// Appends date and time with these between the parts of the date, between both, and between the parts of the time.
pub(super) fn push_date_time(out: &mut TextEnd<'_>, time: DateTime, [day, middle, clock]: [u8; 3]) {
    let parts =
        [time.year(), time.month().into(), time.day().into(), time.hour().into(), time.minute().into(), time.second().into()];
    for (place, part) in parts.into_iter().enumerate() {
        match place {
            0 => {}
            1 | 2 => out.byte(day),
            3 => out.byte(middle),
            _ => out.byte(clock),
        }
        push_padded(out, u64::from(part.unsigned_abs()), if place == 0 { 4 } else { 2 });
    }
}

/// Appends the last `digits` digits of a number, at most six.
fn push_padded(out: &mut TextEnd<'_>, number: u64, digits: usize) {
    let (mut text, mut left) = ([b'0'; 6], number);
    for place in text.iter_mut().rev() {
        *place = b'0' + (left % 10) as u8;
        left /= 10;
    }
    out.word(&text[6 - digits.min(6)..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::text::pushed;
    use proptest::prelude::*;

    fn text(push: impl FnOnce(&mut TextEnd<'_>)) -> String {
        String::from_utf8(pushed(push)).expect("UTF-8")
    }

    #[test]
    fn dates_are_cut_and_not_rounded() {
        assert_eq!(text(|out| push_iso(out, 1_700_000_000_123_456_999)), "2023-11-14T22:13:20.123456+0000");
        assert_eq!(text(|out| push_epoch(out, 1_700_000_000_000_001_999)), "1700000000.000001");
        assert_eq!(text(|out| push_iso(out, 0)), "1970-01-01T00:00:00.000000+0000");
        assert_eq!(text(|out| push_iso(out, u64::MAX)), "2554-07-21T23:34:33.709551+0000");
        assert_eq!(date_time(253_402_300_799).map(|time| time.to_string()).as_deref(), Some("9999-12-31T23:59:59"));
        assert_eq!((date_time(253_402_300_800), date_time(u64::MAX)), (None, None));
    }

    proptest! {
        #[test]
        fn dates_are_those_of_the_crate(ns: u64) {
            let time = jiff::Timestamp::from_nanosecond(ns.into()).expect("in its range");
            let expected = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            prop_assert_eq!(&text(|out| push_iso(out, ns))[..19], expected);
        }
    }
}
