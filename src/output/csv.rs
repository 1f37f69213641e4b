//! Flow records as CSV: a table at the end of the run, or one line per flow as flows end.
//!
//! Owns columns and rounding; quoting is the `csv` crate's. Invariant: header and rows come from the same list of fields.

use super::decimal::{push_number, push_rounded};
use super::fields::{FieldSink, RecordSettings, ended_fields, record_fields};
use super::file::{AtomicFile, OutputError, StreamFile};
use crate::aggregate::{Output, Report, Summary};
use crate::flow::{EndReason, FlowKey, FlowRecord};
use crate::wire::{IpVersion, Network, Ports, VlanTags};
use csv::{ByteRecord, Writer};
use netscope_backends::Timestamp;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;

/// The flow table as CSV with a header, in the order given.
pub struct CsvTable {
    file: Option<AtomicFile>,
    name: String,
    settings: RecordSettings,
}

impl CsvTable {
    /// Opens the temporary file next to `path`.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub fn create(path: &Path, settings: RecordSettings) -> Result<Self, OutputError> {
        Ok(Self { file: Some(AtomicFile::create(path)?), name: path.display().to_string(), settings })
    }
}

impl Output for CsvTable {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants_table(&self) -> bool {
        true
    }

    fn finish(&mut self, table: &[FlowRecord], _summary: &Summary) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        write_table(&mut file, table, self.settings)?;
        file.commit()
    }
}

/// Writes a header and the records.
///
/// # Errors
/// Those of `out`.
pub fn write_table(out: &mut impl Write, table: &[FlowRecord], settings: RecordSettings) -> io::Result<()> {
    let mut writer = Writer::from_writer(out);
    let mut row = Row::default();
    writer.write_byte_record(&header(|sink| record_fields(&sample(), settings, sink)))?;
    for record in table {
        row.clear();
        record_fields(record, settings, &mut row);
        writer.write_byte_record(&row.fields)?;
    }
    writer.flush()
}

/// Flows as they end, one CSV row each, under a header.
pub struct CsvLines {
    writer: Writer<StreamFile>,
    name: String,
    row: Row,
    settings: RecordSettings,
}

impl CsvLines {
    /// Creates or empties `path` and writes the header.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn create(path: &Path, settings: RecordSettings) -> Result<Self, OutputError> {
        let mut writer = Writer::from_writer(StreamFile::create(path)?);
        writer
            .write_byte_record(&header(|sink| ended_fields(&sample(), settings, sink)))
            .map_err(io::Error::from)
            .and_then(|()| writer.flush())
            .map_err(|source| OutputError::new("write", path, source))?;
        Ok(Self { writer, name: path.display().to_string(), row: Row::default(), settings })
    }
}

impl Output for CsvLines {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants_ended(&self) -> bool {
        true
    }

    fn ended(&mut self, record: &FlowRecord) -> io::Result<()> {
        self.row.clear();
        ended_fields(record, self.settings, &mut self.row);
        Ok(self.writer.write_byte_record(&self.row.fields)?)
    }

    fn report(&mut self, _report: &Report) -> io::Result<()> {
        self.writer.flush()
    }

    fn finish(&mut self, _table: &[FlowRecord], _summary: &Summary) -> io::Result<()> {
        self.writer.flush()
    }
}

/// One row under construction.
#[derive(Default)]
struct Row {
    fields: ByteRecord,
    scratch: Vec<u8>,
}

impl Row {
    fn clear(&mut self) {
        self.fields.clear();
    }

    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.clear();
        write(&mut self.scratch);
        self.fields.push_field(&self.scratch);
    }
}

impl FieldSink for Row {
    fn text(&mut self, _name: &'static str, value: Option<&str>) {
        self.fields.push_field(value.unwrap_or_default().as_bytes());
    }

    fn number(&mut self, _name: &'static str, value: Option<u64>) {
        self.push(|out| {
            if let Some(number) = value {
                push_number(out, number);
            }
        });
    }

    fn seconds(&mut self, _name: &'static str, ns: u64) {
        self.push(|out| push_rounded(out, ns.into(), 9, 6));
    }

    fn milliseconds(&mut self, _name: &'static str, ns: Option<u64>) {
        self.push(|out| {
            if let Some(ns) = ns {
                push_rounded(out, ns.into(), 6, 3);
            }
        });
    }

    fn thousandths(&mut self, _name: &'static str, value: u128) {
        self.push(|out| push_rounded(out, value, 3, 3));
    }

    fn endpoint(&mut self, _name: &'static str, ip: IpAddr, port: u16) {
        // Writing to a Vec cannot fail.
        self.push(|out| drop(write!(out, "{ip}")));
        self.push(|out| push_number(out, port.into()));
    }

    fn list(&mut self, _name: &'static str, values: &[u16]) {
        self.push(|out| {
            for (i, &value) in values.iter().enumerate() {
                if i > 0 {
                    out.push(b';');
                }
                push_number(out, value.into());
            }
        });
    }
}

/// Collects column names.
#[derive(Default)]
struct Header(ByteRecord);

impl FieldSink for Header {
    fn text(&mut self, name: &'static str, _value: Option<&str>) {
        self.0.push_field(name.as_bytes());
    }

    fn number(&mut self, name: &'static str, _value: Option<u64>) {
        self.0.push_field(name.as_bytes());
    }

    fn seconds(&mut self, name: &'static str, _ns: u64) {
        self.0.push_field(name.as_bytes());
    }

    fn milliseconds(&mut self, name: &'static str, _ns: Option<u64>) {
        self.0.push_field(name.as_bytes());
    }

    fn thousandths(&mut self, name: &'static str, _value: u128) {
        self.0.push_field(name.as_bytes());
    }

    fn endpoint(&mut self, name: &'static str, _ip: IpAddr, _port: u16) {
        self.0.push_field(format!("{name}_ip").as_bytes());
        self.0.push_field(format!("{name}_port").as_bytes());
    }

    fn list(&mut self, name: &'static str, _values: &[u16]) {
        self.0.push_field(name.as_bytes());
    }
}

fn header(fields: impl FnOnce(&mut Header)) -> ByteRecord {
    let mut header = Header::default();
    fields(&mut header);
    header.0
}

/// A record of which only the names are used.
fn sample() -> FlowRecord {
    let network = Network { version: IpVersion::V4, protocol: 17, ttl: 0, source: [0; 16], destination: [0; 16], fragment: None };
    let (key, initiator) = FlowKey::new(&network, Ports { source: 0, destination: 0 });
    FlowRecord {
        key,
        first_seen: Timestamp(0),
        last_seen: Timestamp(0),
        packets: [0; 2],
        bytes: [0; 2],
        fragments: 0,
        initiator,
        first_packet: 0,
        vlan: VlanTags::default(),
        tunnel: None,
        tcp: None,
        ended: Timestamp(0),
        reason: EndReason::Exit,
    }
}
