//! A record as a JSON object (RFC 8259) on one line.
//!
//! Owns JSON's syntax and escapes. Knows nothing of the fields' meaning. Invariant: whatever a text holds,
//! the output is valid JSON in UTF-8 without a character that a terminal acts upon.

use super::address::{push_ip, push_mac};
use super::facts::fact_fields;
use super::field::{Field, FieldSink};
use super::fields::{Exported, HEADER_FIELDS, base_fields, end_fields, header_fields};
use super::number::{
    push_milliseconds_exact, push_number, push_number_comma, push_seconds_exact, push_set, push_thousandths_exact,
};
use super::text::{FieldWord, TextBuffer, TextEnd};
use super::untrusted::{is_hidden, shown};
use crate::flow::FactValue;
use std::net::IpAddr;

/// Appends the object of a record, without a line end.
#[inline(always)]
pub fn push_object(out: &mut TextBuffer, exported: &Exported<'_>) {
    let mut object = JsonObject(out.open());
    object.0.byte(b'{');
    base_fields(exported, &mut object);
    object.0.close();
    end_object(out, exported);
}

/// Appends the object of a flow that ended: its end, and the record.
#[inline(always)]
pub fn push_ended_object(out: &mut TextBuffer, exported: &Exported<'_>) {
    let mut object = JsonObject(out.open());
    object.0.byte(b'{');
    end_fields(exported, &mut object);
    base_fields(exported, &mut object);
    object.0.close();
    end_object(out, exported);
}

/// Appends what headers said and the facts, if there are any, and closes the object: the comma behind the last member goes.
#[inline(always)]
fn end_object(out: &mut TextBuffer, exported: &Exported<'_>) {
    push_headers(out, exported);
    if !exported.facts().is_empty() {
        push_facts(out, exported);
    }
    let mut text = out.open();
    text.shorten(1);
    text.byte(b'}');
    text.close();
}

/// Not inlined, so that the sink of the fields before lies in registers.
#[inline(never)]
fn push_headers(out: &mut TextBuffer, exported: &Exported<'_>) {
    let mut object = JsonObject(out.open());
    if exported.has_headers() {
        header_fields(exported, &mut object);
    } else {
        for field in HEADER_FIELDS {
            object.0.word(field.field.json_key.as_bytes());
            object.null();
        }
    }
    object.0.close();
}

/// The same for facts.
#[inline(never)]
fn push_facts(out: &mut TextBuffer, exported: &Exported<'_>) {
    let mut object = JsonObject(out.open());
    fact_fields(exported, &mut object);
    object.0.close();
}

/// Appends a fact as the objects of records have it; null where it is not known.
pub fn push_fact(out: &mut TextBuffer, value: Option<FactValue<'_>>) {
    let mut text = out.open();
    match value {
        None => text.word(b"null"),
        Some(FactValue::Text(bytes)) => push_text(&mut text, bytes),
        Some(FactValue::Number(number)) => push_number(&mut text, number),
        Some(FactValue::Boolean(true)) => text.word(b"true"),
        Some(FactValue::Boolean(false)) => text.word(b"false"),
        Some(FactValue::List(list)) => {
            text.byte(b'[');
            push_texts(&mut text, list.iter());
            text.byte(b']');
        }
    }
    text.close();
}

/// An open object; every member ends with a comma.
struct JsonObject<'a>(TextEnd<'a>);

impl JsonObject<'_> {
    /// A member's name and what stands before its value.
    #[inline(always)]
    fn name(&mut self, field: &'static Field) {
        // A constant after inlining, and so is its length.
        self.0.word(field.json_key.as_bytes());
    }

    #[inline(always)]
    fn null(&mut self) {
        self.0.put(*b"null,...", 5);
    }
}

impl FieldSink for JsonObject<'_> {
    const HAS_COLUMNS: bool = false;

    #[inline(always)]
    fn word(&mut self, field: &'static Field, value: Option<&FieldWord>) {
        self.name(field);
        let Some(word) = value else { return self.null() };
        self.0.byte(b'"');
        self.0.letters(word);
        self.0.put(*b"\",", 2);
    }

    #[inline(always)]
    fn code<const N: usize>(&mut self, field: &'static Field, value: Option<&[u8; N]>) {
        self.name(field);
        let Some(code) = value else { return self.null() };
        self.0.byte(b'"');
        self.0.word(code);
        self.0.put(*b"\",", 2);
    }

    #[inline(always)]
    fn number(&mut self, field: &'static Field, value: Option<u64>) {
        self.name(field);
        match value {
            Some(number) => push_number_comma(&mut self.0, number),
            None => self.null(),
        }
    }

    #[inline(always)]
    fn seconds(&mut self, field: &'static Field, ns: u64) {
        self.name(field);
        push_seconds_exact(&mut self.0, ns);
    }

    #[inline(always)]
    fn milliseconds(&mut self, field: &'static Field, ns: Option<u64>) {
        self.name(field);
        match ns {
            Some(ns) => push_milliseconds_exact(&mut self.0, ns),
            None => self.null(),
        }
    }

    #[inline(always)]
    fn rate(&mut self, field: &'static Field, thousandths: u128) {
        self.name(field);
        push_thousandths_exact(&mut self.0, thousandths);
    }

    #[inline(always)]
    fn endpoint(&mut self, field: &'static Field, (ip, port): (IpAddr, u16)) {
        self.name(field);
        self.0.word(b"{\"ip\":\"");
        push_ip(&mut self.0, ip, b'"');
        self.0.word(b",\"port\":");
        push_number(&mut self.0, port.into());
        self.0.put(*b"},", 2);
    }

    #[inline(always)]
    fn list(&mut self, field: &'static Field, values: &[u16]) {
        self.name(field);
        self.0.byte(b'[');
        for (i, &value) in values.iter().enumerate() {
            if i > 0 {
                self.0.byte(b',');
            }
            push_number(&mut self.0, value.into());
        }
        self.0.put(*b"],", 2);
    }

    fn set(&mut self, field: &'static Field, bits: Option<u64>) {
        self.name(field);
        let Some(bits) = bits else { return self.null() };
        self.0.byte(b'[');
        push_set(&mut self.0, bits, b',');
        self.0.put(*b"],", 2);
    }

    #[inline(always)]
    fn address(&mut self, field: &'static Field, ip: IpAddr) {
        self.name(field);
        self.0.byte(b'"');
        push_ip(&mut self.0, ip, b'"');
        self.0.byte(b',');
    }

    fn mac(&mut self, field: &'static Field, address: Option<[u8; 6]>) {
        self.name(field);
        let Some(address) = address else { return self.null() };
        self.0.byte(b'"');
        push_mac(&mut self.0, address);
        self.0.put(*b"\",", 2);
    }

    fn text(&mut self, field: &'static Field, value: Option<&[u8]>) {
        self.name(field);
        let Some(text) = value else { return self.null() };
        push_text(&mut self.0, text);
        self.0.byte(b',');
    }

    fn texts<'t>(&mut self, field: &'static Field, values: impl Iterator<Item = &'t [u8]> + Clone) {
        self.name(field);
        self.0.byte(b'[');
        push_texts(&mut self.0, values);
        self.0.put(*b"],", 2);
    }

    fn boolean(&mut self, field: &'static Field, value: Option<bool>) {
        self.name(field);
        match value {
            Some(true) => self.0.word(b"true,"),
            Some(false) => self.0.word(b"false,"),
            None => self.null(),
        }
    }

    /// Has at least one member.
    fn object(&mut self, field: &'static Field, members: impl FnOnce(&mut Self)) {
        self.name(field);
        self.0.byte(b'{');
        members(self);
        self.0.shorten(1);
        self.0.put(*b"},", 2);
    }
}

/// Appends text out of packets as a string: quotes and backslashes escaped, and whatever a terminal would act
/// upon.
pub(super) fn push_text(out: &mut TextEnd<'_>, text: &[u8]) {
    out.byte(b'"');
    for c in shown(text) {
        match c {
            '"' | '\\' => out.put([b'\\', c as u8], 2),
            '\n' => out.put(*b"\\n", 2),
            '\r' => out.put(*b"\\r", 2),
            '\t' => out.put(*b"\\t", 2),
            c if is_hidden(c) => c.encode_utf16(&mut [0; 2]).iter().for_each(|&unit| push_unit(out, unit)),
            c => out.word(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.byte(b'"');
}

/// Appends such strings with commas between them.
pub(super) fn push_texts<'t>(out: &mut TextEnd<'_>, texts: impl Iterator<Item = &'t [u8]>) {
    for (i, text) in texts.enumerate() {
        if i > 0 {
            out.byte(b',');
        }
        push_text(out, text);
    }
}

/// Appends a unit of UTF-16 as an escape.
fn push_unit(out: &mut TextEnd<'_>, unit: u16) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let [a, b, c, d] = [12, 8, 4, 0].map(|shift| DIGITS[usize::from(unit >> shift & 0xf)]);
    out.put([b'\\', b'u', a, b, c, d], 6);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fields::{ended_fields, record_fields};
    use crate::record::reference::{Reference, any_record, hostile_text};
    use crate::record::text::pushed;
    use proptest::prelude::*;

    fn object(members: impl FnOnce(&mut JsonObject<'_>)) -> String {
        let mut out = TextBuffer::default();
        let mut object = JsonObject(out.open());
        object.0.byte(b'{');
        members(&mut object);
        object.0.shorten(1);
        object.0.byte(b'}');
        object.0.close();
        written(out)
    }

    fn written(mut out: TextBuffer) -> String {
        let mut text = Vec::new();
        out.write(&mut text).expect("memory takes all");
        String::from_utf8(text).expect("UTF-8")
    }

    fn text(text: &[u8]) -> String {
        String::from_utf8(pushed(|out| push_text(out, text))).expect("UTF-8")
    }

    proptest! {
        #[test]
        fn objects_are_what_the_standard_library_writes(record in any_record()) {
            let exported = Exported::new(&record, 0);
            let expected = Reference::of(|reference| record_fields(&exported, reference)).object();
            let (mut record, mut ended) = (TextBuffer::default(), TextBuffer::default());
            push_object(&mut record, &exported);
            prop_assert_eq!(written(record), expected);
            let expected = Reference::of(|reference| ended_fields(&exported, reference)).object();
            push_ended_object(&mut ended, &exported);
            prop_assert_eq!(written(ended), expected.clone());
            prop_assert!(serde_json::from_str::<serde_json::Value>(&expected).is_ok_and(|value| value.is_object()));
        }

        #[test]
        fn serde_json_reads_hostile_text_back(hostile in hostile_text()) {
            let written = text(&hostile);
            prop_assert!(!written.chars().any(is_hidden), "{:?}", written);
            let read: String = serde_json::from_str(&written).expect("valid JSON");
            prop_assert_eq!(read, shown(&hostile).collect::<String>());
        }
    }

    #[test]
    fn what_a_terminal_acts_upon_is_escaped() {
        let text = text("a\"\\\n\u{1b}[31m\u{202e}gpj\u{e0041}\u{9b}é".as_bytes());
        assert_eq!(text, r#""a\"\\\n\u001b[31m\u202egpj\udb40\udc41\u009bé""#);
    }

    #[test]
    fn values_nest() {
        const FIELD: Field = Field { name: "x", json_key: "\"x\":", kind: crate::record::FieldType::Object, unit: "", width: 1 };
        let text = object(|object| {
            object.object(&FIELD, |object| {
                object.boolean(&FIELD, Some(true));
                object.texts(&FIELD, [b"h2".as_slice(), b"x,"].into_iter());
                object.texts(&FIELD, std::iter::empty());
                object.text(&FIELD, None);
            });
            object.list(&FIELD, &[]);
        });
        assert_eq!(text, r#"{"x":{"x":true,"x":["h2","x,"],"x":[],"x":null},"x":[]}"#);
    }
}
