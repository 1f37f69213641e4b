//! Flow records as JSON: an array at the end of the run, or one line per flow as flows end.
//!
//! Owns JSON's syntax. Knows nothing of the fields' meaning. Invariant: whatever the text, the output is valid JSON in ASCII.

use super::decimal::{push_exact, push_number};
use super::fields::{FieldSink, RecordSettings, ended_fields, record_fields};
use super::file::{AtomicFile, OutputError, StreamFile};
use crate::aggregate::{Output, Report, Summary};
use crate::flow::FlowRecord;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;

/// The flow table as a JSON array, one record per line, in the order given.
pub struct JsonTable {
    file: Option<AtomicFile>,
    name: String,
    settings: RecordSettings,
}

impl JsonTable {
    /// Opens the temporary file next to `path`.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub fn create(path: &Path, settings: RecordSettings) -> Result<Self, OutputError> {
        Ok(Self { file: Some(AtomicFile::create(path)?), name: path.display().to_string(), settings })
    }
}

impl Output for JsonTable {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants_table(&self) -> bool {
        true
    }

    fn finish(&mut self, table: &[FlowRecord], _summary: &Summary) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        write_array(&mut file, table, self.settings)?;
        file.commit()
    }
}

/// Writes the records as an array, one per line.
///
/// # Errors
/// Those of `out`.
pub fn write_array(out: &mut impl Write, table: &[FlowRecord], settings: RecordSettings) -> io::Result<()> {
    let mut line = Vec::with_capacity(2048);
    let mut between: &[u8] = b"[\n";
    for record in table {
        line.clear();
        line.extend_from_slice(between);
        push_object(&mut line, |sink| record_fields(record, settings, sink));
        out.write_all(&line)?;
        between = b",\n";
    }
    out.write_all(if table.is_empty() { b"[]\n" } else { b"\n]\n" })
}

/// Flows as they end, one JSON object per line.
pub struct JsonLines {
    file: StreamFile,
    line: Vec<u8>,
    settings: RecordSettings,
}

impl JsonLines {
    /// Creates or empties `path`.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn create(path: &Path, settings: RecordSettings) -> Result<Self, OutputError> {
        Ok(Self { file: StreamFile::create(path)?, line: Vec::with_capacity(2048), settings })
    }
}

impl Output for JsonLines {
    fn name(&self) -> &str {
        self.file.name()
    }

    fn wants_ended(&self) -> bool {
        true
    }

    fn ended(&mut self, record: &FlowRecord) -> io::Result<()> {
        self.line.clear();
        push_object(&mut self.line, |sink| ended_fields(record, self.settings, sink));
        self.line.push(b'\n');
        self.file.write_all(&self.line)
    }

    fn report(&mut self, _report: &Report) -> io::Result<()> {
        self.file.flush()
    }

    fn finish(&mut self, _table: &[FlowRecord], _summary: &Summary) -> io::Result<()> {
        self.file.flush()
    }
}

fn push_object(out: &mut Vec<u8>, fields: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    fields(&mut Object { out, first: true });
    out.push(b'}');
}

/// An open JSON object.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl Object<'_> {
    fn name(&mut self, name: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn null(&mut self) {
        self.out.extend_from_slice(b"null");
    }
}

impl FieldSink for Object<'_> {
    fn text(&mut self, name: &'static str, value: Option<&str>) {
        self.name(name);
        match value {
            Some(text) => push_string(self.out, text),
            None => self.null(),
        }
    }

    fn number(&mut self, name: &'static str, value: Option<u64>) {
        self.name(name);
        match value {
            Some(number) => push_number(self.out, number),
            None => self.null(),
        }
    }

    fn seconds(&mut self, name: &'static str, ns: u64) {
        self.name(name);
        push_exact(self.out, ns.into(), 9);
    }

    fn milliseconds(&mut self, name: &'static str, ns: Option<u64>) {
        self.name(name);
        match ns {
            Some(ns) => push_exact(self.out, ns.into(), 6),
            None => self.null(),
        }
    }

    fn thousandths(&mut self, name: &'static str, value: u128) {
        self.name(name);
        push_exact(self.out, value, 3);
    }

    fn endpoint(&mut self, name: &'static str, ip: IpAddr, port: u16) {
        self.name(name);
        // Writing to a Vec cannot fail.
        let _ = write!(self.out, "{{\"ip\":\"{ip}\",\"port\":{port}}}");
    }

    fn list(&mut self, name: &'static str, values: &[u16]) {
        self.name(name);
        self.out.push(b'[');
        for (i, &value) in values.iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            push_number(self.out, value.into());
        }
        self.out.push(b']');
    }
}

/// Appends a JSON string (RFC 8259 section 7); everything but printable ASCII is escaped, so a terminal is safe from it too.
fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte @ (b'"' | b'\\')) => out.extend_from_slice(&[b'\\', byte]),
            Ok(byte @ b' '..=b'~') => out.push(byte),
            _ => {
                // Writing to a Vec cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_reads_back(text in ".*") {
            let mut out = Vec::new();
            push_string(&mut out, &text);
            prop_assert!(out.iter().all(|byte| (b' '..=b'~').contains(byte)));
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
