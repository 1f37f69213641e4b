//! A line of a log: values one after the other, in the order of its columns.
//!
//! Owns the syntax of both forms: escapes, separators, what stands for nothing. Knows no log. Invariants: a value has the type of its
//! column; a line of tab-separated values has as many tabs as its columns ask for, whatever texts hold, and reads back to the same
//! bytes by replacing each `\xHH`.

use super::ZeekFormat;
use super::columns::{ZeekColumn, ZeekType};
use crate::flow::RecordId;
use crate::record::address::push_ip;
use crate::record::calendar::push_epoch;
use crate::record::json::push_text;
use crate::record::number::push_number;
use crate::record::oriented::Oriented;
use crate::record::text::{TextBuffer, TextEnd};
use crate::record::untrusted::{CUT_MARK, TEXT_LEN_MAX, is_hidden};
use std::net::IpAddr;

/// What stands for a value that is not known, and for none of several.
const UNSET: &[u8] = b"-";
const EMPTY: &[u8] = b"(empty)";

/// An open line.
pub(super) struct ZeekRow<'a> {
    text: TextEnd<'a>,
    format: ZeekFormat,
    /// Those that have no value yet.
    left: &'static [ZeekColumn],
}

impl<'a> ZeekRow<'a> {
    pub fn open(out: &'a mut TextBuffer, format: ZeekFormat, columns: &'static [ZeekColumn]) -> Self {
        let mut text = out.open();
        if format == ZeekFormat::Json {
            text.byte(b'{');
        }
        Self { text, format, left: columns }
    }

    /// Ends the line. Every column has its value.
    pub fn close(mut self) {
        debug_assert!(self.left.is_empty(), "columns without a value: {:?}", self.left);
        self.text.shorten(1);
        self.text.word(if self.format == ZeekFormat::Json { b"}\n" } else { b"\n" });
        self.text.close();
    }

    /// The next column: its name, where the form has names, the value, and what separates it from the next.
    fn value(&mut self, kind: ZeekType, push: Option<impl FnOnce(&mut TextEnd<'_>)>) {
        let Some((column, left)) = self.left.split_first() else {
            debug_assert!(false, "more values than columns");
            return;
        };
        debug_assert_eq!(column.kind, kind, "{}", column.name);
        self.left = left;
        match (self.format, push) {
            (ZeekFormat::Json, None) => {}
            (ZeekFormat::Json, Some(push)) => {
                self.text.byte(b'"');
                self.text.word(column.name.as_bytes());
                self.text.word(b"\":");
                push(&mut self.text);
                self.text.byte(b',');
            }
            (ZeekFormat::Tsv, push) => {
                match push {
                    Some(push) => push(&mut self.text),
                    None => self.text.word(UNSET),
                }
                self.text.byte(b'\t');
            }
        }
    }

    /// As many columns as these without a value, whatever they hold; `names` says which.
    pub fn unset(&mut self, names: &[&str]) {
        for name in names {
            let Some(column) = self.left.first() else { return };
            debug_assert_eq!(column.name, *name);
            self.value(column.kind, None::<fn(&mut TextEnd<'_>)>);
        }
    }

    /// The columns that all logs begin with.
    pub fn flow(&mut self, flow: &Oriented<'_>) {
        self.value(ZeekType::Time, Some(|text: &mut TextEnd<'_>| push_epoch(text, flow.record.first_seen.0)));
        self.text(ZeekType::String, Some(&RecordId::of(flow.record).letters()));
        let ports = flow.icmp_types().unwrap_or([flow.client.1, flow.server.1]);
        for ((ip, _), port) in [flow.client, flow.server].into_iter().zip(ports) {
            self.address(ip);
            self.value(ZeekType::Port, Some(|text: &mut TextEnd<'_>| push_number(text, port.into())));
        }
    }

    fn address(&mut self, ip: IpAddr) {
        let is_json = self.format == ZeekFormat::Json;
        self.value(
            ZeekType::Addr,
            Some(|text: &mut TextEnd<'_>| {
                if is_json {
                    text.byte(b'"');
                }
                // A quote, or a character that goes again.
                push_ip(text, ip, b'"');
                if !is_json {
                    text.shorten(1);
                }
            }),
        );
    }

    /// A string, a word of a set of words, out of a packet or not.
    fn text(&mut self, kind: ZeekType, value: Option<&[u8]>) {
        let format = self.format;
        self.value(
            kind,
            value.map(|value| {
                move |text: &mut TextEnd<'_>| match format {
                    ZeekFormat::Json => push_text(text, value),
                    ZeekFormat::Tsv => push_field(text, value, false),
                }
            }),
        );
    }

    pub fn string(&mut self, value: Option<&[u8]>) {
        self.text(ZeekType::String, value);
    }

    pub fn word(&mut self, value: &str) {
        self.text(ZeekType::Enum, Some(value.as_bytes()));
    }

    pub fn count(&mut self, value: Option<u64>) {
        self.number(ZeekType::Count, value);
    }

    pub fn int(&mut self, value: Option<u64>) {
        self.number(ZeekType::Int, value);
    }

    fn number(&mut self, kind: ZeekType, value: Option<u64>) {
        self.value(kind, value.map(|value| move |text: &mut TextEnd<'_>| push_number(text, value)));
    }

    /// A duration in ns.
    pub fn interval(&mut self, value: Option<u64>) {
        self.value(ZeekType::Interval, value.map(|ns| move |text: &mut TextEnd<'_>| push_epoch(text, ns)));
    }

    pub fn truth(&mut self, value: Option<bool>) {
        let words: [&[u8]; 2] = if self.format == ZeekFormat::Json { [b"false", b"true"] } else { [b"F", b"T"] };
        self.value(ZeekType::Bool, value.map(|value| move |text: &mut TextEnd<'_>| text.word(words[usize::from(value)])));
    }

    /// Several strings; `None`: it is not known which.
    pub fn strings<'t>(&mut self, kind: ZeekType, values: Option<impl Iterator<Item = &'t [u8]>>) {
        let format = self.format;
        self.value(kind, values.map(|values| move |text: &mut TextEnd<'_>| push_all(text, format, values)));
    }
}

fn push_all<'t>(text: &mut TextEnd<'_>, format: ZeekFormat, values: impl Iterator<Item = &'t [u8]>) {
    let mut values = values.peekable();
    match format {
        ZeekFormat::Json => {
            text.byte(b'[');
            crate::record::json::push_texts(text, values);
            text.byte(b']');
        }
        ZeekFormat::Tsv if values.peek().is_none() => text.word(EMPTY),
        ZeekFormat::Tsv => {
            for value in values {
                push_field(text, value, true);
                text.byte(b',');
            }
            text.shorten(1);
        }
    }
}

/// Appends a text out of packets so that it is one field: each byte that is no part of UTF-8, of a character that is not shown, of a
/// backslash or, in a set, of a comma is `\xHH`, and so is the first of a text that would read as unset or empty. A text of more
/// than [`TEXT_LEN_MAX`] bytes is cut.
fn push_field(text: &mut TextEnd<'_>, value: &[u8], in_set: bool) {
    if value.is_empty() {
        return text.word(EMPTY);
    }
    let mut left = TEXT_LEN_MAX;
    let mut is_reserved = value == UNSET || value == EMPTY;
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut bytes = [0; 4];
            let bytes = c.encode_utf8(&mut bytes).as_bytes();
            let Some(rest) = left.checked_sub(bytes.len()) else { return push_cut(text) };
            left = rest;
            if is_hidden(c) || c == '\\' || c == ',' && in_set || std::mem::take(&mut is_reserved) {
                bytes.iter().for_each(|&byte| push_hex(text, byte));
            } else {
                text.word(bytes);
            }
        }
        for &byte in chunk.invalid() {
            let Some(rest) = left.checked_sub(1) else { return push_cut(text) };
            left = rest;
            push_hex(text, byte);
        }
    }
}

fn push_cut(text: &mut TextEnd<'_>) {
    text.word(CUT_MARK.encode_utf8(&mut [0; 4]).as_bytes());
}

fn push_hex(text: &mut TextEnd<'_>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let [high, low] = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
    text.put([b'\\', b'x', high, low], 4);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::reference::hostile_text;
    use crate::record::text::pushed;
    use proptest::prelude::*;

    fn field(value: &[u8], in_set: bool) -> Vec<u8> {
        pushed(|text| push_field(text, value, in_set))
    }

    /// As a reader of the format does it.
    fn unescaped(field: &[u8]) -> Vec<u8> {
        let (mut out, mut at) = (Vec::new(), 0);
        while at < field.len() {
            let hex = field.get(at + 2..at + 4).filter(|_| field[at..].starts_with(b"\\x"));
            match hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
                Some(byte) => (out.push(byte), at += 4).1,
                None => (out.push(field[at]), at += 1).1,
            }
        }
        out
    }

    #[test]
    fn what_would_be_read_as_something_else_is_escaped() {
        for (value, alone, in_set) in [
            ("a\tb\n", "a\\x09b\\x0a", "a\\x09b\\x0a"),
            ("a,b", "a,b", "a\\x2cb"),
            ("-", "\\x2d", "\\x2d"),
            ("(empty)", "\\x28empty)", "\\x28empty)"),
            ("\\x09", "\\x5cx09", "\\x5cx09"),
            ("é\u{202e}", "é\\xe2\\x80\\xae", "é\\xe2\\x80\\xae"),
            ("", "(empty)", "(empty)"),
        ] {
            assert_eq!(field(value.as_bytes(), false), alone.as_bytes(), "{value:?}");
            assert_eq!(field(value.as_bytes(), true), in_set.as_bytes(), "{value:?}");
        }
        assert_eq!(field(b"\xff\xfeA", false), b"\\xff\\xfeA");
        assert_eq!(field(&[b'n'; 65_536], false), [&[b'n'; TEXT_LEN_MAX][..], "\u{2026}".as_bytes()].concat());
    }

    proptest! {
        #[test]
        fn any_text_is_one_field_and_reads_back(hostile in hostile_text(), in_set: bool) {
            let written = field(&hostile, in_set);
            prop_assert!(!written.iter().any(|byte| matches!(byte, b'\t' | b'\n')) && std::str::from_utf8(&written).is_ok());
            prop_assert!(written.len() <= 4 * TEXT_LEN_MAX + CUT_MARK.len_utf8());
            if hostile.len() <= TEXT_LEN_MAX && !hostile.is_empty() {
                prop_assert_eq!(unescaped(&written), hostile);
            }
        }
    }
}
