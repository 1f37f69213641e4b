//! A record as a row of CSV (RFC 4180), and the header of such rows.
//!
//! Owns columns, rounding and quotes. Numbers, addresses and words of ours never need quotes, so they are
//! written as they are ([0008](../../docs/decisions/0008-rows-without-a-writer.md)). Text out of packets is
//! quoted where it has a comma, a quote or a line end. It is not changed otherwise but for its bound and
//! invalid UTF-8: CSV has no escapes, so control characters, and a `=`, `+`, `-` or `@` in front that a
//! spreadsheet takes for a formula, stay. Invariants: header and rows come from the same list of fields, and
//! a row is what the `csv` crate would have written.

use super::address::{push_ip, push_mac};
use super::facts::{FactSchema, fact_column_count, fact_columns, fact_fields};
use super::field::{Field, FieldSink, FieldType};
use super::fields::{END_FIELDS, Exported, FIELDS, HEADER_FIELDS, RecordField, base_fields, end_fields, header_fields};
use super::number::{push_milliseconds, push_number, push_number_comma, push_seconds, push_set, push_thousandths};
use super::text::{FieldWord, TextBuffer, TextEnd};
use super::untrusted::{is_hidden, shown};
use crate::flow::FactValue;
use std::net::IpAddr;

/// Appends the header of rows made by [`push_row`].
pub fn push_header(out: &mut TextBuffer, schema: FactSchema) {
    push_names(out, FIELDS.iter(), schema);
}

/// Appends the header of rows made by [`push_ended_row`].
pub fn push_ended_header(out: &mut TextBuffer, schema: FactSchema) {
    push_names(out, END_FIELDS.iter().chain(FIELDS), schema);
}

fn push_names<'f>(out: &mut TextBuffer, fields: impl Iterator<Item = &'f RecordField>, schema: FactSchema) {
    let mut row = CsvRow(out.open());
    for Field { name, kind, .. } in fields.map(|field| field.field) {
        let parts: &[&str] = if kind == FieldType::Endpoint { &["_ip", "_port"] } else { &[""] };
        for part in parts {
            row.0.word(name.as_bytes());
            row.0.word(part.as_bytes());
            row.0.byte(b',');
        }
    }
    for [object, member] in fact_columns(schema) {
        for part in [object, "_", member, ","] {
            row.0.word(part.as_bytes());
        }
    }
    row.0.close();
    end_line(out);
}

/// Appends the row of a record and its line end.
#[inline(always)]
pub fn push_row(out: &mut TextBuffer, exported: &Exported<'_>) {
    let mut row = CsvRow(out.open());
    base_fields(exported, &mut row);
    row.close(exported);
    end_row(out, exported);
}

/// Appends the row of a flow that ended: its end, and the record; and its line end.
#[inline(always)]
pub fn push_ended_row(out: &mut TextBuffer, exported: &Exported<'_>) {
    let mut row = CsvRow(out.open());
    end_fields(exported, &mut row);
    base_fields(exported, &mut row);
    row.close(exported);
    end_row(out, exported);
}

/// Appends the columns of headers where they are kept, and of facts, if there are any, and ends the row.
#[inline(always)]
fn end_row(out: &mut TextBuffer, exported: &Exported<'_>) {
    if exported.has_headers() {
        push_headers(out, exported);
    }
    if !exported.schema().is_empty() {
        push_facts(out, exported);
    }
    end_line(out);
}

/// The comma behind the last field becomes the end of the line.
#[inline(always)]
fn end_line(out: &mut TextBuffer) {
    let mut text = out.open();
    text.shorten(1);
    text.byte(b'\n');
    text.close();
}

/// Not inlined, so that the sink of the fields before lies in registers.
#[inline(never)]
fn push_headers(out: &mut TextBuffer, exported: &Exported<'_>) {
    let mut row = CsvRow(out.open());
    header_fields(exported, &mut row);
    row.0.close();
}

/// The same for facts.
#[inline(never)]
fn push_facts(out: &mut TextBuffer, exported: &Exported<'_>) {
    let mut row = CsvRow(out.open());
    if exported.facts().is_empty() {
        row.empty(fact_column_count(exported.schema()));
    } else {
        fact_fields(exported, &mut row);
    }
    row.0.close();
}

/// Appends a fact as the rows of records have it; nothing where it is not known.
pub fn push_fact_cell(out: &mut TextBuffer, value: Option<FactValue<'_>>) {
    let mut text = out.open();
    match value {
        None => {}
        Some(FactValue::Text(bytes)) => push_text(&mut text, || shown(bytes)),
        Some(FactValue::Number(number)) => push_number(&mut text, number),
        Some(FactValue::Boolean(true)) => text.word(b"true"),
        Some(FactValue::Boolean(false)) => text.word(b"false"),
        Some(FactValue::List(list)) => push_texts(&mut text, list.iter()),
    }
    text.close();
}

/// An open row; every field ends with a comma.
struct CsvRow<'a>(TextEnd<'a>);

impl CsvRow<'_> {
    /// Columns without a value.
    fn empty(&mut self, mut count: usize) {
        const AT_ONCE: usize = 32;
        while count > 0 {
            let commas = count.min(AT_ONCE);
            self.0.put([b','; AT_ONCE], commas);
            count -= commas;
        }
    }

    /// Ends it behind the fields that are not of headers; those are empty where they are not kept.
    #[inline(always)]
    fn close(mut self, exported: &Exported<'_>) {
        if !exported.has_headers() {
            self.0.put([b','; HEADER_FIELDS.len()], HEADER_FIELDS.len());
        }
        self.0.close();
    }
}

impl FieldSink for CsvRow<'_> {
    const HAS_COLUMNS: bool = true;

    #[inline(always)]
    fn word(&mut self, _field: &'static Field, value: Option<&FieldWord>) {
        self.0.letters_comma(value.unwrap_or(&FieldWord::EMPTY));
    }

    #[inline(always)]
    fn code<const N: usize>(&mut self, _field: &'static Field, value: Option<&[u8; N]>) {
        if let Some(value) = value {
            self.0.word(value);
        }
        self.0.byte(b',');
    }

    #[inline(always)]
    fn number(&mut self, _field: &'static Field, value: Option<u64>) {
        match value {
            Some(number) => push_number_comma(&mut self.0, number),
            None => self.0.byte(b','),
        }
    }

    #[inline(always)]
    fn seconds(&mut self, _field: &'static Field, ns: u64) {
        push_seconds(&mut self.0, ns);
    }

    #[inline(always)]
    fn milliseconds(&mut self, _field: &'static Field, ns: Option<u64>) {
        match ns {
            Some(ns) => push_milliseconds(&mut self.0, ns),
            None => self.0.byte(b','),
        }
    }

    #[inline(always)]
    fn rate(&mut self, _field: &'static Field, thousandths: u128) {
        push_thousandths(&mut self.0, thousandths);
    }

    #[inline(always)]
    fn endpoint(&mut self, _field: &'static Field, (ip, port): (IpAddr, u16)) {
        push_ip(&mut self.0, ip, b',');
        push_number_comma(&mut self.0, port.into());
    }

    #[inline(always)]
    fn list(&mut self, _field: &'static Field, values: &[u16]) {
        for (i, &value) in values.iter().enumerate() {
            if i > 0 {
                self.0.byte(b';');
            }
            push_number(&mut self.0, value.into());
        }
        self.0.byte(b',');
    }

    fn set(&mut self, _field: &'static Field, bits: Option<u64>) {
        if let Some(bits) = bits {
            push_set(&mut self.0, bits, b';');
        }
        self.0.byte(b',');
    }

    #[inline(always)]
    fn address(&mut self, _field: &'static Field, ip: IpAddr) {
        push_ip(&mut self.0, ip, b',');
    }

    fn mac(&mut self, _field: &'static Field, address: Option<[u8; 6]>) {
        if let Some(address) = address {
            push_mac(&mut self.0, address);
        }
        self.0.byte(b',');
    }

    fn text(&mut self, _field: &'static Field, value: Option<&[u8]>) {
        if let Some(text) = value {
            push_text(&mut self.0, || shown(text));
        }
        self.0.byte(b',');
    }

    fn texts<'t>(&mut self, _field: &'static Field, values: impl Iterator<Item = &'t [u8]> + Clone) {
        push_texts(&mut self.0, values);
        self.0.byte(b',');
    }

    fn boolean(&mut self, _field: &'static Field, value: Option<bool>) {
        self.0.word(match value {
            Some(true) => b"true,",
            Some(false) => b"false,",
            None => b",",
        });
    }

    fn object(&mut self, _field: &'static Field, members: impl FnOnce(&mut Self)) {
        members(self);
    }
}

/// Appends texts out of packets with semicolons between them.
fn push_texts<'t>(out: &mut TextEnd<'_>, texts: impl Iterator<Item = &'t [u8]> + Clone) {
    push_text(out, || texts.clone().enumerate().flat_map(|(i, text)| (i > 0).then_some(';').into_iter().chain(shown(text))));
}

/// Appends the characters that `text` gives, each time the same, in quotes if they need them. What a terminal acts upon or does not show is
/// written by its number, as `\u{1b}`, so that a row is a line.
fn push_text<I: Iterator<Item = char>>(out: &mut TextEnd<'_>, text: impl Fn() -> I) {
    let is_quoted = text().any(|c| matches!(c, ',' | '"'));
    if is_quoted {
        out.byte(b'"');
    }
    let mut letters = text().peekable();
    while let Some(c) = letters.next() {
        if c == '"' {
            out.byte(b'"');
        }
        // A backslash that looks like the beginning of such a number.
        if is_hidden(c) || c == '\\' && letters.peek() == Some(&'u') {
            c.escape_unicode().for_each(|letter| out.byte(letter as u8));
        } else {
            out.word(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    if is_quoted {
        out.byte(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::FactSet;
    use crate::record::fields::{ended_fields, record_fields};
    use crate::record::reference::{Reference, any_record, hostile_text};
    use crate::record::untrusted::escaped;
    use ::csv::{ReaderBuilder, Writer};
    use proptest::prelude::*;

    fn written(mut out: TextBuffer) -> String {
        let mut text = Vec::new();
        out.write(&mut text).expect("memory takes all");
        String::from_utf8(text).expect("UTF-8")
    }

    /// Rows as the `csv` crate writes them, under their header.
    fn by_the_crate(references: Vec<Reference>) -> String {
        let mut writer = Writer::from_writer(Vec::new());
        if let Some(first) = references.first() {
            writer.write_record(&first.columns).unwrap();
        }
        for reference in references {
            writer.write_record(reference.row).unwrap();
        }
        String::from_utf8(writer.into_inner().unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn rows_are_what_the_crate_writes(records in prop::collection::vec(any_record(), 1..20)) {
            let (mut rows, mut ended) = (TextBuffer::default(), TextBuffer::default());
            push_header(&mut rows, &[]);
            push_ended_header(&mut ended, &[]);
            let exported = || records.iter().map(|record| Exported::new(record, 0).with_facts(FactSet::NONE, &[]));
            for exported in exported() {
                push_row(&mut rows, &exported);
                push_ended_row(&mut ended, &exported);
            }
            let references = exported().map(|exported| Reference::of(|reference| record_fields(&exported, reference)));
            prop_assert_eq!(written(rows), by_the_crate(references.collect()));
            let references = exported().map(|exported| Reference::of(|reference| ended_fields(&exported, reference)));
            prop_assert_eq!(written(ended), by_the_crate(references.collect()));
        }

        #[test]
        fn the_crate_reads_hostile_text_back(text in hostile_text(), other in hostile_text()) {
            const FIELD: Field = Field { name: "x", json_key: "\"x\":", kind: FieldType::Text, unit: "", width: 1 };
            let mut out = TextBuffer::default();
            let mut row = CsvRow(out.open());
            // A byte order mark in front of everything would be the reader's.
            row.boolean(&FIELD, Some(false));
            row.text(&FIELD, Some(&text));
            row.texts(&FIELD, [other.as_slice(), b"end"].into_iter());
            row.boolean(&FIELD, Some(true));
            row.text(&FIELD, None);
            row.0.close();
            end_line(&mut out);
            let out = written(out);
            let mut reader = ReaderBuilder::new().has_headers(false).from_reader(out.as_bytes());
            let rows: Vec<Vec<String>> =
                reader.records().map(|row| row.expect("valid CSV").iter().map(str::to_owned).collect()).collect();
            let [text, other] = [text, other].map(|text| escaped(&text));
            prop_assert_eq!(rows, [["false".to_owned(), text, other + ";end", "true".to_owned(), String::new()]]);
        }
    }
}
