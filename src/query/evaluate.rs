//! Whether a filter is true of a flow or a packet.
//!
//! Owns the meaning of tests. Knows no text. Invariants: a test of a value that is not known is false, and so its negation is true;
//! parts are looked at in order and only until the answer is known; nothing is allocated.

use super::expression::{AddressSpan, Expression, Term, ValueTest};
use super::pattern::TextPattern;
use super::subject::{Subject, fact};
use super::value::address_number;
use super::words::{Ends, ValueSource};
use crate::flow::FactValue;
use crate::record::{FIELDS, FieldValue};
use std::net::IpAddr;

/// Whether `expression` is true of `subject`.
pub(super) fn evaluate(expression: &Expression, subject: &impl Subject) -> bool {
    match expression {
        Expression::All(parts) => parts.iter().all(|part| evaluate(part, subject)),
        Expression::Any(parts) => parts.iter().any(|part| evaluate(part, subject)),
        Expression::Not(part) => !evaluate(part, subject),
        Expression::Term(term) => holds(term, subject),
    }
}

fn holds(Term { source, test, .. }: &Term, subject: &impl Subject) -> bool {
    if let ValueTest::Compared(operator, other) = test {
        return match (scalar(*source, subject), scalar(*other, subject)) {
            (Some(left), Some(right)) => operator.holds(&left, &right),
            _ => false,
        };
    }
    match *source {
        ValueSource::Protocol => subject.protocol().is_some_and(|protocol| number_fits(test, protocol.into())),
        ValueSource::Port(ends) => {
            let fits = |ends| subject.port(ends).is_some_and(|port| number_fits(test, port.into()));
            if ends == Ends::Either { fits(Ends::Source) || fits(Ends::Destination) } else { fits(ends) }
        }
        ValueSource::Address(ends) => {
            let fits = |ends| subject.address(ends).is_some_and(|ip| address_fits(test, ip));
            if ends == Ends::Either { fits(Ends::Source) || fits(Ends::Destination) } else { fits(ends) }
        }
        ValueSource::OuterVlan => subject.outer_vlan().is_some_and(|id| number_fits(test, id.into())),
        ValueSource::Field(at) => FIELDS.get(at).is_some_and(|field| subject.field(field, &mut |value| field_fits(test, value))),
        ValueSource::Fact(id) => fact(subject, id).is_some_and(|value| fact_fits(test, value)),
        ValueSource::Object(number) => {
            subject.facts().iter().any(|(id, value)| id.object == number && any_fact_fits(test, value))
        }
    }
}

#[inline]
fn number_fits(test: &ValueTest, number: u128) -> bool {
    match test {
        ValueTest::Known => true,
        ValueTest::Numbers(spans) => spans.iter().any(|span| span.holds(number)),
        _ => false,
    }
}

#[inline]
fn in_network(AddressSpan { is_v6, span }: &AddressSpan, ip: IpAddr) -> bool {
    *is_v6 == ip.is_ipv6() && span.holds(address_number(ip))
}

#[inline]
fn address_fits(test: &ValueTest, ip: IpAddr) -> bool {
    match test {
        ValueTest::Known => true,
        ValueTest::Addresses(networks) => networks.iter().any(|network| in_network(network, ip)),
        _ => false,
    }
}

fn text_fits(test: &ValueTest, text: &[u8]) -> bool {
    match test {
        ValueTest::Known => true,
        ValueTest::Texts(patterns) => patterns.iter().any(|pattern: &TextPattern| pattern.matches(text)),
        ValueTest::Words(words) => words.iter().any(|word| word.as_bytes() == text),
        _ => false,
    }
}

fn boolean_fits(test: &ValueTest, value: bool) -> bool {
    matches!(test, ValueTest::Known) || *test == ValueTest::Boolean(value)
}

fn field_fits(test: &ValueTest, value: FieldValue<'_>) -> bool {
    match value {
        FieldValue::Null => false,
        FieldValue::Word(word) => text_fits(test, word.as_bytes()),
        FieldValue::Number(number) | FieldValue::Seconds(number) | FieldValue::Milliseconds(number) => {
            number_fits(test, number.into())
        }
        FieldValue::Rate(thousandths) => number_fits(test, thousandths),
        FieldValue::Endpoint(ip, port) => match test {
            ValueTest::Known => true,
            ValueTest::Endpoints(endpoints) => {
                endpoints.iter().any(|(network, wanted)| wanted.is_none_or(|wanted| wanted == port) && in_network(network, ip))
            }
            _ => false,
        },
        FieldValue::List(numbers) => numbers.iter().any(|&number| number_fits(test, number.into())),
        FieldValue::Set(bits) => (0..64).filter(|bit| bits >> bit & 1 == 1).any(|bit| number_fits(test, bit)),
        FieldValue::Address(ip) => address_fits(test, ip),
        FieldValue::Mac(address) => text_fits(test, &mac_text(address)),
        FieldValue::Boolean(value) => boolean_fits(test, value),
    }
}

/// As records show it.
fn mac_text(address: [u8; 6]) -> [u8; 17] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b':'; 17];
    for (place, byte) in text.chunks_mut(3).zip(address) {
        (place[0], place[1]) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]);
    }
    text
}

fn fact_fits(test: &ValueTest, value: FactValue<'_>) -> bool {
    match value {
        FactValue::Text(text) => text_fits(test, text),
        FactValue::Number(number) => number_fits(test, number.into()),
        FactValue::Boolean(value) => boolean_fits(test, value),
        FactValue::List(list) => list.iter().any(|text| text_fits(test, text)),
    }
}

/// Of an object's facts each kind is compared as text.
fn any_fact_fits(test: &ValueTest, value: FactValue<'_>) -> bool {
    match value {
        FactValue::Number(number) => text_fits(test, itoa::Buffer::new().format(number).as_bytes()),
        FactValue::Boolean(value) => text_fits(test, if value { b"true" } else { b"false" }),
        FactValue::Text(_) | FactValue::List(_) => fact_fits(test, value),
    }
}

/// The one value of a source as a number: addresses with their version in front.
fn scalar(source: ValueSource, subject: &impl Subject) -> Option<(bool, u128)> {
    match source {
        ValueSource::Address(ends) => subject.address(ends).map(|ip| (ip.is_ipv6(), address_number(ip))),
        ValueSource::Port(ends) => subject.port(ends).map(|port| (false, port.into())),
        ValueSource::OuterVlan => subject.outer_vlan().map(|id| (false, id.into())),
        ValueSource::Fact(id) => match fact(subject, id)? {
            FactValue::Number(number) => Some((false, number.into())),
            _ => None,
        },
        ValueSource::Field(at) => {
            let mut found = None;
            subject.field(FIELDS.get(at)?, &mut |value| {
                found = match value {
                    FieldValue::Number(number) | FieldValue::Seconds(number) | FieldValue::Milliseconds(number) => {
                        Some((false, number.into()))
                    }
                    FieldValue::Rate(thousandths) => Some((false, thousandths)),
                    FieldValue::Address(ip) => Some((ip.is_ipv6(), address_number(ip))),
                    _ => None,
                };
                found.is_some()
            });
            found
        }
        ValueSource::Protocol | ValueSource::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::mac_text;

    #[test]
    fn a_mac_address_as_text() {
        assert_eq!(&mac_text([2, 0, 0xab, 0xff, 1, 0x10]), b"02:00:ab:ff:01:10");
    }
}
