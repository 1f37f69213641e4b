//! The parameters of a request.
//!
//! Owns how they are read. Knows no route. Invariant: a parameter that a route does not take, or that is given twice where one is
//! taken, is an error, so none is ignored.

use super::error::ApiError;
use super::unix::from_seconds;
use netscope_backends::Timestamp;
use std::ops::RangeInclusive;

/// Longest value.
const VALUE_LEN_MAX: usize = 8192;
/// Parameters of a request at most.
const COUNT_MAX: usize = 64;

/// Name-value pairs.
#[derive(Clone, Copy)]
pub struct Params<'a>(&'a [(String, String)]);

impl<'a> Params<'a> {
    /// Those of a request to a route that takes `known`, of which `many` may be given several times.
    ///
    /// # Errors
    /// When one is unknown, given twice or too long.
    pub fn new(pairs: &'a [(String, String)], known: &[&str], many: &[&str]) -> Result<Self, ApiError> {
        if pairs.len() > COUNT_MAX {
            return Err(ApiError::bad_request(format!("more than {COUNT_MAX} parameters")));
        }
        for (at, (name, value)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) && !many.contains(&name.as_str()) {
                let expected = known.iter().chain(many).copied().collect::<Vec<_>>().join(", ");
                let hint = if expected.is_empty() { "it takes none".to_owned() } else { format!("it takes: {expected}") };
                return Err(ApiError::bad_request(format!("unknown parameter {:?}", shortened(name))).with_hint(hint));
            }
            if !many.contains(&name.as_str()) && pairs[..at].iter().any(|(before, _)| before == name) {
                return Err(ApiError::bad_request(format!("parameter {name} is given twice")));
            }
            if value.len() > VALUE_LEN_MAX {
                return Err(ApiError::bad_request(format!("parameter {name} is longer than {VALUE_LEN_MAX} bytes")));
            }
        }
        Ok(Self(pairs))
    }

    /// A text that is not empty.
    pub fn text(self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(own, value)| own == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// All values of this name.
    pub fn all(self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, value)| own == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// A whole number within bounds, or `default`.
    ///
    /// # Errors
    /// When it is none.
    pub fn number(self, name: &str, default: usize, range: RangeInclusive<usize>) -> Result<usize, ApiError> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            ApiError::bad_request(format!("parameter {name} is a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// A time in Unix seconds.
    ///
    /// # Errors
    /// When it is none.
    pub fn time(self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let time = text.parse().ok().and_then(from_seconds);
        time.map(Some).ok_or_else(|| ApiError::bad_request(format!("parameter {name} is a time in Unix seconds")))
    }

    /// One of these words; the first without one.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn choice(self, name: &str, words: &[&'static str]) -> Result<&'static str, ApiError> {
        let text = self.text(name);
        let found = words.iter().find(|word| text.is_none_or(|text| **word == text));
        found.copied().ok_or_else(|| ApiError::bad_request(format!("parameter {name} is one of {}", words.join(", "))))
    }
}

/// A text as it is repeated in a message.
pub fn shortened(text: &str) -> String {
    const LEN: usize = 60;
    let mut short: String = text.chars().take(LEN).collect();
    if short.len() < text.len() {
        short.push('\u{2026}');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn none_is_ignored() {
        let of = |given: &[(&str, &str)]| Params::new(&pairs(given), &["limit"], &["metric"]).map(|_| ());
        assert!(of(&[("limit", "1"), ("metric", "a"), ("metric", "b")]).is_ok());
        assert!(of(&[("limit", "1"), ("limit", "1")]).is_err() && of(&[("limits", "1")]).is_err());
        assert!(of(&[("limit", &"1".repeat(VALUE_LEN_MAX + 1))]).is_err());
    }

    #[test]
    fn values_are_checked() {
        let given = pairs(&[("limit", "11"), ("from", "1.5"), ("to", "x"), ("order", "asc"), ("empty", "")]);
        let params = Params(&given);
        assert!(params.number("limit", 1, 1..=10).is_err());
        assert_eq!(params.number("offset", 7, 0..=10).ok(), Some(7));
        assert_eq!(params.time("from").ok(), Some(Some(Timestamp(1_500_000_000))));
        assert!(params.time("to").is_err() && params.choice("order", &["up", "down"]).is_err());
        assert_eq!(params.choice("other", &["up", "down"]).ok(), Some("up"));
        assert_eq!(params.text("empty"), None);
    }
}
