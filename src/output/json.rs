//! Flow records as JSON: an array at the end of the run, or one line per flow as flows end.
//!
//! Owns JSON's syntax. Knows nothing of the fields' meaning. Invariant: whatever the text, the output is valid JSON in ASCII.

use super::address::push_ip;
use super::bytes::{Bytes, Text, Word};
use super::decimal::{push_milliseconds_exact, push_number, push_number_comma, push_seconds_exact, push_thousandths_exact};
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
    fn write(&self, out: &mut (impl Write + Send), table: &Table, _summary: &Summary) -> io::Result<()> {
        write_array(out, table, self.0)
    }
}

/// Writes the records as an array, one per line.
///
/// # Errors
/// Those of `out`.
pub fn write_array(out: &mut (impl Write + Send), table: &Table, settings: RecordSettings) -> io::Result<()> {
    write_rows(out, table, settings, push_element)?;
    out.write_all(if table.is_empty() { b"[]\n" } else { b"\n]\n" })
}

/// A record of the array, and what stands before it.
#[inline(always)]
pub(super) fn push_element(text: &mut Bytes, exported: &Exported<'_>, is_first: bool) {
    let mut end = text.open();
    end.word(if is_first { b"[\n" } else { b",\n" });
    push_object(end, exported, false);
}

/// Flows as they end, one JSON object per line.
pub type JsonLines = Lines<JsonLine>;

/// The syntax of [`JsonLines`].
pub struct JsonLine;

impl Line for JsonLine {
    fn push(out: &mut Bytes, exported: &Exported<'_>) {
        push_object(out.open(), exported, true);
        let mut end = out.open();
        end.byte(b'\n');
        end.close();
    }
}

/// Appends an object: the end of a flow, if `ended`, and the record.
#[inline(always)]
fn push_object(mut text: Text<'_>, exported: &Exported<'_>, ended: bool) {
    text.byte(b'{');
    let mut object = Object(text);
    if ended {
        ended_fields(exported, &mut object);
    } else {
        record_fields(exported, &mut object);
    }
    let Object(mut text) = object;
    // The comma behind the last member goes.
    text.shorten(1);
    text.byte(b'}');
    text.close();
}

/// An open JSON object; every member ends with a comma.
struct Object<'a>(Text<'a>);

impl Object<'_> {
    /// A member's name and what stands before its value.
    #[inline(always)]
    fn name(&mut self, name: &'static str) {
        // A constant after inlining, and so is which of these it is.
        if name.len() > 29 {
            self.0.byte(b'"');
            self.0.word(name.as_bytes());
            return self.0.put(*b"\":", 2);
        }
        self.0.fill::<32>(|room| {
            *room = [b'"'; 32];
            let end = 1 + name.len();
            if let Some(place) = room.get_mut(1..end) {
                place.copy_from_slice(name.as_bytes());
            }
            if let Some(colon) = room.get_mut(end + 1) {
                *colon = b':';
            }
            end + 2
        });
    }

    #[inline(always)]
    fn null(&mut self) {
        self.0.put(*b"null,...", 5);
    }
}

impl FieldSink for Object<'_> {
    #[inline(always)]
    fn word(&mut self, name: &'static str, value: Option<&Word>) {
        self.name(name);
        let Some(word) = value else { return self.null() };
        self.0.byte(b'"');
        self.0.letters(word);
        self.0.put(*b"\",", 2);
    }

    #[inline(always)]
    fn code<const N: usize>(&mut self, name: &'static str, value: Option<&[u8; N]>) {
        self.name(name);
        let Some(code) = value else { return self.null() };
        self.0.byte(b'"');
        self.0.word(code);
        self.0.put(*b"\",", 2);
    }

    #[inline(always)]
    fn number(&mut self, name: &'static str, value: Option<u64>) {
        self.name(name);
        match value {
            Some(number) => push_number_comma(&mut self.0, number),
            None => self.null(),
        }
    }

    #[inline(always)]
    fn seconds(&mut self, name: &'static str, ns: u64) {
        self.name(name);
        push_seconds_exact(&mut self.0, ns);
    }

    #[inline(always)]
    fn milliseconds(&mut self, name: &'static str, ns: Option<u64>) {
        self.name(name);
        match ns {
            Some(ns) => push_milliseconds_exact(&mut self.0, ns),
            None => self.null(),
        }
    }

    #[inline(always)]
    fn thousandths(&mut self, name: &'static str, value: u128) {
        self.name(name);
        push_thousandths_exact(&mut self.0, value);
    }

    #[inline(always)]
    fn endpoint(&mut self, name: &'static str, ip: IpAddr, port: u16) {
        self.name(name);
        self.0.word(b"{\"ip\":\"");
        push_ip(&mut self.0, ip, b'"');
        self.0.word(b",\"port\":");
        push_number(&mut self.0, port.into());
        self.0.put(*b"},", 2);
    }

    #[inline(always)]
    fn list(&mut self, name: &'static str, values: &[u16]) {
        self.name(name);
        self.0.byte(b'[');
        for (i, &value) in values.iter().enumerate() {
            if i > 0 {
                self.0.byte(b',');
            }
            push_number(&mut self.0, value.into());
        }
        self.0.put(*b"],", 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::reference::{Reference, any_record};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn objects_are_what_the_standard_library_writes(record in any_record()) {
            let exported = Exported::new(&record, RecordSettings::default());
            let (mut table, mut ended) = (Vec::new(), Bytes::default());
            write_array(&mut table, &[record].into_iter().collect(), RecordSettings::default()).unwrap();
            let expected = Reference::of(|reference| record_fields(&exported, reference)).object();
            prop_assert_eq!(String::from_utf8(table).unwrap(), format!("[\n{expected}\n]\n"));
            JsonLine::push(&mut ended, &exported);
            let mut line = Vec::new();
            ended.write(&mut line).unwrap();
            let expected = Reference::of(|reference| ended_fields(&exported, reference)).object();
            prop_assert_eq!(String::from_utf8(line).unwrap(), format!("{expected}\n"));
            prop_assert!(serde_json::from_str::<serde_json::Value>(&expected).is_ok_and(|value| value.is_object()));
        }
    }
}
