//! Names of files with the time in them, by the conversions of strftime(3), in UTC.
//!
//! Owns what is understood. Knows no file. Its one invariant: a name that it made, it recognises.

use crate::Timestamp;

const SECONDS_PER_DAY: u64 = 86_400;

/// A file's name with conversions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(Vec<NamePiece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum NamePiece {
    Text(String),
    /// A conversion of strftime(3) that is one number.
    Field(char),
}

/// A time of the calendar, UTC.
struct CalendarTime {
    year: u64,
    month: u64,
    day: u64,
    day_of_year: u64,
    second_of_day: u64,
    seconds: u64,
}

impl NamePattern {
    /// Conversions that are understood, for messages.
    pub const CONVERSIONS: &'static str = "%Y %m %d %H %M %S %j %y %s %F %T %%";

    /// Reads a pattern.
    ///
    /// # Errors
    /// The conversion that is not understood.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let mut pieces = vec![NamePiece::Text(String::new())];
        let mut rest = pattern.chars();
        while let Some(c) = rest.next() {
            let conversion = if c == '%' { rest.next() } else { None };
            let fields = match (c, conversion) {
                ('%', None) => return Err("%".to_owned()),
                ('%', Some('%')) | (_, None) => {
                    push_text(&mut pieces, c);
                    continue;
                }
                (_, Some('F')) => "Y-m-d",
                (_, Some('T')) => "H:M:S",
                (_, Some('Y')) => "Y",
                (_, Some('m')) => "m",
                (_, Some('d')) => "d",
                (_, Some('H')) => "H",
                (_, Some('M')) => "M",
                (_, Some('S')) => "S",
                (_, Some('j')) => "j",
                (_, Some('y')) => "y",
                (_, Some('s')) => "s",
                (_, Some(other)) => return Err(format!("%{other}")),
            };
            for field in fields.chars() {
                if field.is_ascii_alphabetic() { pieces.push(NamePiece::Field(field)) } else { push_text(&mut pieces, field) }
            }
        }
        Ok(Self(pieces))
    }

    /// The name at this time.
    pub fn name_at(&self, time: Timestamp) -> String {
        let at = CalendarTime::of(time);
        let mut name = String::new();
        for piece in &self.0 {
            match piece {
                NamePiece::Text(text) => name.push_str(text),
                NamePiece::Field(field) => name.push_str(&at.field(*field)),
            }
        }
        name
    }

    /// True when [`NamePattern::name_at`] could have made this name.
    pub fn matches(&self, name: &str) -> bool {
        // Each number takes all digits it can but those that the ones behind it need: widths are fixed but for %s and
        // years beyond 9999, so trying the fixed width is enough for names of ours.
        let mut rest = name;
        for piece in &self.0 {
            let len = match piece {
                NamePiece::Text(text) => match rest.strip_prefix(text.as_str()) {
                    Some(behind) => {
                        rest = behind;
                        continue;
                    }
                    None => return false,
                },
                NamePiece::Field('s') => rest.bytes().take_while(u8::is_ascii_digit).count(),
                NamePiece::Field(field) => width(*field),
            };
            match rest.split_at_checked(len) {
                Some((digits, behind)) if len > 0 && digits.bytes().all(|byte| byte.is_ascii_digit()) => rest = behind,
                _ => return false,
            }
        }
        rest.is_empty()
    }
}

fn push_text(pieces: &mut Vec<NamePiece>, c: char) {
    match pieces.last_mut() {
        Some(NamePiece::Text(text)) => text.push(c),
        _ => pieces.push(NamePiece::Text(c.to_string())),
    }
}

const fn width(field: char) -> usize {
    match field {
        'Y' => 4,
        'j' => 3,
        _ => 2,
    }
}

impl CalendarTime {
    /// Follows "chrono-Compatible Low-Level Date Algorithms" (Hinnant), `civil_from_days`: years begin in March.
    fn of(time: Timestamp) -> Self {
        let seconds = time.0 / Timestamp::NS_PER_SEC;
        let days = seconds / SECONDS_PER_DAY + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_march_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_march_year + 2) / 153;
        let day = day_of_march_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month as usize - 1];
        let day_of_year = before + day + u64::from(is_leap && month > 2);
        Self { year, month, day, day_of_year, second_of_day: seconds % SECONDS_PER_DAY, seconds }
    }

    fn field(&self, field: char) -> String {
        let number = match field {
            'Y' => self.year,
            'y' => self.year % 100,
            'm' => self.month,
            'd' => self.day,
            'j' => self.day_of_year,
            'H' => self.second_of_day / 3600,
            'M' => self.second_of_day / 60 % 60,
            'S' => self.second_of_day % 60,
            _ => return self.seconds.to_string(),
        };
        format!("{number:0width$}", width = width(field))
    }
}
