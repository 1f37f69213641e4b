//! From what stands behind a word to what a value has to be.
//!
//! Owns how values of each kind are written. Knows no grammar beyond one value. Invariant: a fault names the value it is in.

use super::expression::{AddressSpan, Literal, Operator, Span, ValueTest};
use super::number::{NumberFault, parse_number, units_of};
use super::pattern::TextPattern;
use super::words::{ValueKind, ValueSource};
use crate::record::{FactSchema, protocol_name};
use std::cmp::Reverse;
use std::net::IpAddr;

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ValueFault {
    /// Which of the values, from 0.
    pub literal: usize,
    pub message: String,
    pub expected: Vec<String>,
    pub hint: Option<String>,
}

impl ValueFault {
    fn new(literal: usize, message: String, expected: &[&str]) -> Self {
        Self { literal, message, expected: expected.iter().map(|&text| text.to_owned()).collect(), hint: None }
    }
}

/// What a value of `source` has to be. `literals` has one at least.
pub(super) fn value_test(
    source: ValueSource,
    operator: Operator,
    literals: &[Literal],
    schema: FactSchema,
) -> Result<ValueTest, ValueFault> {
    let kind = source.kind(schema);
    if let Some(star) = literals.iter().position(|literal| literal.text == "*" && !literal.is_quoted) {
        if literals.len() > 1 || operator != Operator::Is {
            return Err(ValueFault::new(
                star,
                "`*` stands alone: it is true of every value that is known".to_owned(),
                &["word:*"],
            ));
        }
        return Ok(ValueTest::Known);
    }
    if operator.is_comparison() && literals.len() > 1 {
        return Err(ValueFault::new(1, format!("`{}` compares with one value", operator.text()), &["one value"]));
    }
    if let Some(other) = compared_with(source, kind, operator, literals, schema)? {
        return Ok(ValueTest::Compared(operator, other));
    }
    let each = || literals.iter().enumerate();
    match kind {
        ValueKind::Number | ValueKind::Bytes | ValueKind::Duration(_) | ValueKind::Instant | ValueKind::Rate => each()
            .map(|(at, literal)| number_span(at, &literal.text, operator, kind))
            .collect::<Result<_, _>>()
            .map(ValueTest::Numbers),
        _ if operator.is_comparison() => {
            let message = format!("`{}` is for numbers and times", operator.text());
            Err(ValueFault::new(0, message, &[":", ":="]))
        }
        ValueKind::Protocol => {
            let spans = each().map(|(at, literal)| protocol_spans(at, literal)).collect::<Result<Vec<_>, _>>()?;
            Ok(ValueTest::Numbers(spans.concat()))
        }
        ValueKind::Address => {
            each().map(|(at, literal)| address_span(at, &literal.text)).collect::<Result<_, _>>().map(ValueTest::Addresses)
        }
        ValueKind::Endpoint => {
            each().map(|(at, literal)| endpoint(at, &literal.text)).collect::<Result<_, _>>().map(ValueTest::Endpoints)
        }
        ValueKind::Choice(words) => {
            let chosen = each().map(|(at, literal)| choose(at, literal, words)).collect::<Result<Vec<_>, _>>()?;
            Ok(ValueTest::Words(chosen.concat()))
        }
        ValueKind::Boolean => boolean(literals),
        ValueKind::Text => Ok(ValueTest::Texts(literals.iter().map(|literal| text_pattern(literal, operator)).collect())),
    }
}

fn text_pattern(literal: &Literal, operator: Operator) -> TextPattern {
    match (operator, literal.is_quoted) {
        (Operator::Equal, _) => TextPattern::exact(&literal.text),
        (_, true) => TextPattern::literal(&literal.text),
        (_, false) => TextPattern::with_wildcards(&literal.text),
    }
}

/// The other word, where a value is one that can be compared with `source`.
fn compared_with(
    source: ValueSource,
    kind: ValueKind,
    operator: Operator,
    literals: &[Literal],
    schema: FactSchema,
) -> Result<Option<ValueSource>, ValueFault> {
    let class = |kind: ValueKind| match kind {
        ValueKind::Number | ValueKind::Bytes => Some(0),
        ValueKind::Duration(_) => Some(1),
        ValueKind::Instant => Some(2),
        ValueKind::Rate => Some(3),
        ValueKind::Address => Some(4),
        _ => None,
    };
    let (Some(own), [literal]) = (class(kind), literals) else { return Ok(None) };
    if literal.is_quoted || literal.text.parse::<IpAddr>().is_ok() {
        return Ok(None);
    }
    let word = literal.text.to_ascii_lowercase();
    // An object (`http`) has no value to compare with.
    let other = ValueSource::of_word(&word, schema).filter(|other| !matches!(other, ValueSource::Object(_)));
    let Some(other) = other else { return Ok(None) };
    let other = if word == "client" { ValueSource::Address(super::words::Ends::Client) } else { other };
    if !source.is_single() || !other.is_single() {
        let message = "a comparison of two words takes words with one value each".to_owned();
        return Err(ValueFault::new(0, message, &["src", "sport", "bytes_to_server"]));
    }
    if class(other.kind(schema)) != Some(own) {
        return Err(ValueFault::new(0, format!("`{word}` is another kind of value"), &["a word of the same kind"]));
    }
    if own == 4 && operator.is_comparison() {
        return Err(ValueFault::new(0, format!("`{}` is for numbers and times", operator.text()), &[":", ":="]));
    }
    Ok(Some(other))
}

fn number_span(at: usize, text: &str, operator: Operator, kind: ValueKind) -> Result<Span, ValueFault> {
    let whole = number(at, text, kind);
    if let (Err(_), Some((low, high))) = (&whole, text.split_once('-'))
        && !low.is_empty()
        && let (Ok(low), Ok(high)) = (number(at, low, kind), number(at, high, kind))
    {
        if operator.is_comparison() {
            return Err(ValueFault::new(at, format!("`{}` compares with one number", operator.text()), &["one number"]));
        }
        if low > high {
            return Err(ValueFault::new(at, "the range ends before it begins".to_owned(), &["low-high"]));
        }
        return Ok(Span { low, high });
    }
    let value = whole?;
    let none = Span { low: 1, high: 0 };
    Ok(match operator {
        Operator::Is | Operator::Equal => Span { low: value, high: value },
        Operator::Greater => value.checked_add(1).map_or(none, |low| Span { low, high: u128::MAX }),
        Operator::GreaterEqual => Span { low: value, high: u128::MAX },
        Operator::Less => value.checked_sub(1).map_or(none, |high| Span { low: 0, high }),
        Operator::LessEqual => Span { low: 0, high: value },
    })
}

fn number(at: usize, text: &str, kind: ValueKind) -> Result<u128, ValueFault> {
    let fault = match parse_number(text, kind) {
        Ok(value) => return Ok(value),
        Err(fault) => fault,
    };
    if kind == ValueKind::Instant {
        return instant(text).ok_or_else(|| {
            let expected = ["a time, as 2026-11-30T12:00:00Z", "a day, as 2026-11-30", "seconds since 1970"];
            ValueFault::new(at, format!("`{text}` is not a time"), &expected)
        });
    }
    let message = match fault {
        NumberFault::NoNumber => format!("`{text}` is not a number"),
        NumberFault::Unit => format!("`{text}` has a unit that does not fit"),
        NumberFault::TooFine if matches!(kind, ValueKind::Duration(_)) => format!("`{text}` is finer than a nanosecond"),
        NumberFault::TooFine => format!("`{text}` is not a whole number"),
        NumberFault::TooLarge => format!("`{text}` has too many digits"),
    };
    Err(ValueFault::new(at, message, &[&format!("a number, perhaps with {}", units_of(kind)), "a range, as 1-10"]))
}

/// A time by RFC 3339, or the beginning of a day in UTC; in ns since 1970.
fn instant(text: &str) -> Option<u128> {
    let upper = text.to_ascii_uppercase();
    let time = upper.parse::<jiff::Timestamp>().ok().or_else(|| {
        let day = upper.parse::<jiff::civil::Date>().ok().filter(|_| upper.len() == "2026-11-30".len())?;
        jiff::tz::TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()
    })?;
    u128::try_from(time.as_nanosecond()).ok()
}

/// Words that are written like this one, `-` as `_`.
fn choose_where<T>(literal: &Literal, words: impl Iterator<Item = (T, &'static str)>) -> Vec<T> {
    let alike = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let wanted = alike(&literal.text);
    let pattern = if literal.is_quoted { TextPattern::literal(&wanted) } else { TextPattern::with_wildcards(&wanted) };
    words.filter(|(_, word)| pattern.matches(alike(word).as_bytes())).map(|(value, _)| value).collect()
}

fn choose(at: usize, literal: &Literal, words: &'static [&'static str]) -> Result<Vec<&'static str>, ValueFault> {
    let chosen = choose_where(literal, words.iter().map(|&word| (word, word)));
    if chosen.is_empty() {
        let fault = ValueFault::new(at, format!("`{}` is none of this word's values", literal.text), words);
        return Err(ValueFault { hint: meant(&literal.text, words.iter().copied()), ..fault });
    }
    Ok(chosen)
}

fn protocol_spans(at: usize, literal: &Literal) -> Result<Vec<Span>, ValueFault> {
    let one = |number: u8| Span { low: number.into(), high: number.into() };
    if let Ok(number) = literal.text.parse::<u8>() {
        return Ok(vec![one(number)]);
    }
    let chosen = choose_where(literal, (0..=u8::MAX).map(|number| (one(number), protocol_name(number))));
    if chosen.is_empty() {
        let message = format!("`{}` is not a protocol of IP", literal.text);
        let fault = ValueFault::new(at, message, &["tcp", "udp", "icmp", "icmpv6", "a number below 256"]);
        let named = (0..=u8::MAX).map(protocol_name).filter(|name| !name.starts_with("ip-proto"));
        return Err(ValueFault { hint: meant(&literal.text, named), ..fault });
    }
    Ok(chosen)
}

fn boolean(literals: &[Literal]) -> Result<ValueTest, ValueFault> {
    let [literal] = literals else {
        return Err(ValueFault::new(1, "a word that is true or false takes one value".to_owned(), &["true", "false"]));
    };
    match literal.text.to_ascii_lowercase().as_str() {
        "true" | "yes" => Ok(ValueTest::Boolean(true)),
        "false" | "no" => Ok(ValueTest::Boolean(false)),
        _ => Err(ValueFault::new(0, format!("`{}` is neither true nor false", literal.text), &["true", "false"])),
    }
}

/// An address as a number.
pub(super) fn address_number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

/// One address, a network with its prefix, or a range.
fn address_span(at: usize, text: &str) -> Result<AddressSpan, ValueFault> {
    let span = |ip: IpAddr, low, high| AddressSpan { is_v6: ip.is_ipv6(), span: Span { low, high } };
    if let Ok(ip) = text.parse::<IpAddr>() {
        let number = address_number(ip);
        return Ok(span(ip, number, number));
    }
    if let Some((network, len)) = text.split_once('/')
        && let Ok(ip) = network.parse::<IpAddr>()
    {
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        let len = Some(len).filter(|len| len.bytes().all(|digit| digit.is_ascii_digit())).and_then(|len| len.parse::<u32>().ok());
        let Some(len) = len.filter(|&len| len <= bits) else {
            return Err(ValueFault::new(at, format!("a prefix has 0 to {bits} bits"), &["a network, as 10.0.0.0/8"]));
        };
        let host = 1u128.checked_shl(bits - len).map_or(u128::MAX, |size| size - 1);
        let number = address_number(ip);
        return Ok(span(ip, number & !host, number | host));
    }
    if let Some((low, high)) = text.split_once('-')
        && let (Ok(low), Ok(high)) = (low.parse::<IpAddr>(), high.parse::<IpAddr>())
        && low.is_ipv4() == high.is_ipv4()
    {
        if low > high {
            return Err(ValueFault::new(at, "the range ends before it begins".to_owned(), &["low-high"]));
        }
        return Ok(span(low, address_number(low), address_number(high)));
    }
    let fault = ValueFault::new(at, format!("`{text}` is not an address"), &["an address", "a network, as 10.0.0.0/8"]);
    let hint = if text.contains('*') {
        Some("write a network with its prefix, as 10.0.0.0/16".to_owned())
    } else if text.chars().any(|letter| letter.is_ascii_alphabetic()) && !text.contains(':') {
        Some("names are not looked up".to_owned())
    } else {
        None
    };
    Err(ValueFault { hint, ..fault })
}

/// An address or a network, perhaps with a port: `10.0.0.1:443`, `[2001:db8::1]:443`.
fn endpoint(at: usize, text: &str) -> Result<(AddressSpan, Option<u16>), ValueFault> {
    let wrong =
        || ValueFault::new(at, format!("`{text}` is not an endpoint"), &["10.0.0.1:443", "[2001:db8::1]:443", "an address"]);
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or_else(wrong)?;
        let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').and_then(port_of).ok_or_else(wrong)?) };
        return Ok((address_span(at, address)?, port));
    }
    match text.split_once(':') {
        Some((address, port)) if !port.contains(':') => Ok((address_span(at, address)?, Some(port_of(port).ok_or_else(wrong)?))),
        _ => Ok((address_span(at, text)?, None)),
    }
}

fn port_of(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.bytes().all(|digit| digit.is_ascii_digit()))
}

/// What may have been meant: the nearest of `known` within a third of the letters.
pub(super) fn meant<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    /// Longer words are no slips of the keyboard.
    const LEN_MAX: usize = 40;
    if text.len() > LEN_MAX {
        return None;
    }
    let text = text.to_ascii_lowercase();
    let alike = |word: &str| text.bytes().zip(word.bytes()).take_while(|(a, b)| a == b).count();
    let distances = known.map(|word| (strsim::damerau_levenshtein(&text, word), Reverse(alike(word)), word));
    let (distance, _, word) = distances.min()?;
    (distance <= text.chars().count().div_ceil(3)).then(|| format!("did you mean `{word}`?"))
}
