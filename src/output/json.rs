//! Flow records as JSON: an array at the end of the run, or one line per flow as flows end.
//!
//! Owns JSON's syntax. Knows nothing of the fields' meaning. Invariant: whatever the text, the output is valid JSON in ASCII.

use super::address::push_ip;
use super::bytes::{Bytes, Text};
use super::decimal::{push_exact, push_number, push_thousandths_exact};
use super::document::Document;
use super::fields::{Exported, FieldSink, RecordSettings, ended_fields, record_fields};
use super::lines::{Line, Lines};
use super::rows::write_rows;
use crate::aggregate::{Summary, Table};
use std::io::{self, Write};
use std::net::IpAddr;

/// The flow table as a JSON array, one record per line, in the order given.
pub struct JsonTable(pub RecordSettings);

impl Document for JsonTable {
    fn write(&self, out: &mut impl Write, table: &Table, _summary: &Summary) -> io::Result<()> {
        write_array(out, table, self.0)
    }
}

/// Writes the records as an array, one per line.
///
/// # Errors
/// Those of `out`.
pub fn write_array(out: &mut impl Write, table: &Table, settings: RecordSettings) -> io::Result<()> {
    write_rows(out, table, settings, |text, exported, is_first| {
        text.append(|text| {
            text.word(if is_first { b"[\n" } else { b",\n" });
            push_object(text, |object| record_fields(exported, object));
        });
    })?;
    out.write_all(if table.is_empty() { b"[]\n" } else { b"\n]\n" })
}

/// Flows as they end, one JSON object per line.
pub type JsonLines = Lines<JsonLine>;

/// The syntax of [`JsonLines`].
pub struct JsonLine;

impl Line for JsonLine {
    fn push(out: &mut Bytes, exported: &Exported<'_>) {
        out.append(|text| {
            push_object(text, |object| ended_fields(exported, object));
            text.byte(b'\n');
        });
    }
}

#[inline(always)]
fn push_object(text: &mut Text<'_>, fields: impl FnOnce(&mut Object<'_, '_>)) {
    text.byte(b'{');
    fields(&mut Object(text));
    // The comma behind the last member goes.
    text.shorten(1);
    text.byte(b'}');
}

/// An open JSON object; every member ends with a comma.
struct Object<'a, 'b>(&'a mut Text<'b>);

impl Object<'_, '_> {
    /// One member, its value being what `value` appends.
    #[inline(always)]
    fn member(&mut self, name: &'static str, value: impl FnOnce(&mut Text<'_>)) {
        self.0.byte(b'"');
        self.0.word(name.as_bytes());
        self.0.word(b"\":");
        value(self.0);
        self.0.byte(b',');
    }

    /// The same; without a value it is null.
    #[inline(always)]
    fn member_or_null<T>(&mut self, name: &'static str, value: Option<T>, push: impl FnOnce(&mut Text<'_>, T)) {
        self.member(name, |out| match value {
            Some(value) => push(out, value),
            None => out.word(b"null"),
        });
    }
}

impl FieldSink for Object<'_, '_> {
    #[inline(always)]
    fn text(&mut self, name: &'static str, value: Option<&str>) {
        self.member_or_null(name, value, |out, value| out.aside(|out| push_string(out, value)));
    }

    #[inline(always)]
    fn word(&mut self, name: &'static str, value: Option<&[u8]>) {
        self.member_or_null(name, value, |out, word| {
            out.byte(b'"');
            out.word(word);
            out.byte(b'"');
        });
    }

    #[inline(always)]
    fn number(&mut self, name: &'static str, value: Option<u64>) {
        self.member_or_null(name, value, push_number);
    }

    #[inline(always)]
    fn seconds(&mut self, name: &'static str, ns: u64) {
        self.member(name, |out| push_exact(out, ns, 9));
    }

    #[inline(always)]
    fn milliseconds(&mut self, name: &'static str, ns: Option<u64>) {
        self.member_or_null(name, ns, |out, ns| push_exact(out, ns, 6));
    }

    #[inline(always)]
    fn thousandths(&mut self, name: &'static str, value: u128) {
        self.member(name, |out| push_thousandths_exact(out, value));
    }

    #[inline(always)]
    fn endpoint(&mut self, name: &'static str, ip: IpAddr, port: u16) {
        self.member(name, |out| {
            out.word(b"{\"ip\":\"");
            push_ip(out, ip);
            out.word(b"\",\"port\":");
            push_number(out, port.into());
            out.byte(b'}');
        });
    }

    #[inline(always)]
    fn list(&mut self, name: &'static str, values: &[u16]) {
        self.member(name, |out| {
            out.byte(b'[');
            for (i, &value) in values.iter().enumerate() {
                if i > 0 {
                    out.byte(b',');
                }
                push_number(out, value.into());
            }
            out.byte(b']');
        });
    }
}

/// Appends a JSON string (RFC 8259 section 7); everything but printable ASCII is escaped, so a terminal is safe from it too.
#[inline(never)]
fn push_string(out: &mut Text<'_>, text: &str) {
    out.byte(b'"');
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte @ (b'"' | b'\\')) => out.word(&[b'\\', byte]),
            Ok(byte @ b' '..=b'~') => out.byte(byte),
            _ => out.word(format!("\\u{unit:04x}").as_bytes()),
        }
    }
    out.byte(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::bytes::pushed;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_reads_back(text in ".*") {
            let out = pushed(|out| push_string(out, &text));
            prop_assert!(out.iter().all(|byte| (b' '..=b'~').contains(byte)));
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
