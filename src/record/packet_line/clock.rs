//! The time of a packet in a line.
//!
//! Owns days, seconds and zones. Knows no packet. Its invariant: a zone's rules are asked once per stretch of time in which its
//! offset is the same, not for each packet.

use super::parts::Line;
use jiff::Timestamp as Instant;
use jiff::tz::TimeZone;
use netscope_backends::Timestamp;

const SECS_PER_DAY: i64 = 86_400;

/// What stands for the time of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineTime {
    /// Time of day, UTC, and a line with each date.
    Utc,
    /// The same in the zone of this machine, or the one that the environment variable TZ names.
    Local,
    /// Seconds since 1970, UTC.
    Epoch,
    /// Seconds since the packet before.
    Delta,
}

/// Tells times.
pub(super) struct LineClock {
    time: LineTime,
    /// The date of the first packet is said, too.
    first_date: bool,
    zone: TimeZone,
    /// Seconds east of UTC, and the seconds since 1970 for which that holds: from the first, before the second.
    offset_secs: i64,
    holds: (i64, i64),
    /// Local day since 1970 whose date was said, and its offset.
    said: Option<(i64, i64)>,
    /// The latest second that was written, local, and its text.
    second: i64,
    second_text: [u8; 8],
    before: Option<Timestamp>,
}

impl LineClock {
    pub fn new(time: LineTime, first_date: bool) -> Self {
        let zone = if time == LineTime::Local { TimeZone::system() } else { TimeZone::UTC };
        Self {
            time,
            first_date,
            zone,
            offset_secs: 0,
            holds: (0, 0),
            said: None,
            second: -1,
            second_text: *b"00:00:00",
            before: None,
        }
    }

    /// Local seconds since 1970.
    #[inline]
    fn local_secs(&mut self, time: Timestamp) -> i64 {
        // At most 2^64 ns, so it fits.
        let secs = (time.0 / Timestamp::NS_PER_SEC) as i64;
        if self.time == LineTime::Utc {
            return secs;
        }
        if secs < self.holds.0 || secs >= self.holds.1 {
            self.find_offset(secs);
        }
        secs + self.offset_secs
    }

    #[cold]
    fn find_offset(&mut self, secs: i64) {
        // 2^64 ns end in 2554, within what the crate counts.
        let at = Instant::from_second(secs).unwrap_or(Instant::UNIX_EPOCH);
        self.offset_secs = self.zone.to_offset(at).seconds().into();
        let next = self.zone.following(at).next().map_or(i64::MAX, |transition| transition.timestamp().as_second());
        self.holds = (secs, next);
    }

    /// Appends a line with the date and the zone where one of them has changed, and before the first packet where that is asked for.
    #[inline]
    pub fn push_date(&mut self, line: &mut Line<'_, '_>, time: Timestamp) {
        if matches!(self.time, LineTime::Epoch | LineTime::Delta) {
            return;
        }
        let day = self.local_secs(time).div_euclid(SECS_PER_DAY);
        if self.said != Some((day, self.offset_secs)) {
            let is_first = self.said.replace((day, self.offset_secs)).is_none();
            if self.first_date || !is_first {
                self.say_date(line, day);
            }
        }
    }

    #[cold]
    fn say_date(&self, line: &mut Line<'_, '_>, day: i64) {
        let date = TimeZone::UTC.to_datetime(Instant::from_second(day * SECS_PER_DAY).unwrap_or(Instant::UNIX_EPOCH)).date();
        line.paint(line.palette.bold, |line| {
            line.text("--- ");
            line.decimals::<4>(date.year().unsigned_abs().into());
            line.text("-");
            line.decimals::<2>(date.month().unsigned_abs().into());
            line.text("-");
            line.decimals::<2>(date.day().unsigned_abs().into());
            if self.time == LineTime::Local {
                let minutes = (self.offset_secs / 60).unsigned_abs() as u32;
                line.text(if self.offset_secs < 0 { " local time, UTC-" } else { " local time, UTC+" });
                line.decimals::<2>(minutes / 60);
                line.text(":");
                line.decimals::<2>(minutes % 60);
            } else {
                line.text(" UTC");
            }
            line.text(" ---");
        });
        line.text("\n");
    }

    /// Appends the time: to the microsecond, the rest cut off.
    #[inline]
    pub fn push_time(&mut self, line: &mut Line<'_, '_>, time: Timestamp) {
        match self.time {
            LineTime::Utc | LineTime::Local => {
                let secs = self.local_secs(time);
                if secs != self.second {
                    self.second = secs;
                    self.second_text = time_of_day(secs.rem_euclid(SECS_PER_DAY) as u32);
                }
                line.out.put(self.second_text, 8);
            }
            LineTime::Epoch => line.number(time.0 / Timestamp::NS_PER_SEC),
            LineTime::Delta => return self.push_delta(line, time),
        }
        line.text(".");
        line.decimals::<6>((time.0 % Timestamp::NS_PER_SEC / 1000) as u32);
    }

    fn push_delta(&mut self, line: &mut Line<'_, '_>, time: Timestamp) {
        let before = self.before.replace(time).unwrap_or(time);
        line.text(if time < before { "-" } else { "+" });
        let apart = time.0.abs_diff(before.0);
        line.number(apart / Timestamp::NS_PER_SEC);
        line.text(".");
        line.decimals::<6>((apart % Timestamp::NS_PER_SEC / 1000) as u32);
    }
}

/// HH:MM:SS.
fn time_of_day(secs: u32) -> [u8; 8] {
    let two = |value: u32| [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
    let [[a, b], [c, d], [e, f]] = [secs / 3600, secs / 60 % 60, secs % 60].map(two);
    [a, b, b':', c, d, b':', e, f]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::packet_line::palette::Palette;
    use crate::record::text::pushed;

    /// Dates and times of these seconds, in the zone of a POSIX TZ string.
    fn told(zone: &str, secs: &[u64]) -> String {
        let mut clock = LineClock::new(LineTime::Local, true);
        clock.zone = TimeZone::posix(zone).expect("a zone");
        let text = pushed(|out| {
            for secs in secs {
                let mut line = Line { out: &mut *out, palette: &Palette::PLAIN };
                clock.push_date(&mut line, Timestamp(secs * Timestamp::NS_PER_SEC));
                clock.push_time(&mut line, Timestamp(secs * Timestamp::NS_PER_SEC));
                line.text("\n");
            }
        });
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn zones_with_and_without_summer() {
        assert_eq!(
            told("JST-9", &[1_700_000_000, 1_700_006_400]),
            "--- 2023-11-15 local time, UTC+09:00 ---\n07:13:20.000000\n09:00:00.000000\n"
        );
        assert_eq!(told("ABC3:30", &[0]), "--- 1969-12-31 local time, UTC-03:30 ---\n20:30:00.000000\n");
        // The end of summer 2023 at 01:00 UTC, and back to before it.
        assert_eq!(
            told("CET-1CEST,M3.5.0,M10.5.0/3", &[1_698_541_199, 1_698_541_200, 1_698_541_199]),
            "--- 2023-10-29 local time, UTC+02:00 ---\n02:59:59.000000\n--- 2023-10-29 local time, UTC+01:00 ---\n\
             02:00:00.000000\n--- 2023-10-29 local time, UTC+02:00 ---\n02:59:59.000000\n"
        );
    }
}
