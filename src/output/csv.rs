//! Flow records as CSV: a table at the end of the run, or one line per flow as flows end.
//!
//! Owns columns and rounding. Numbers, addresses and words of ours never need quotes, so they are written as they are; headings and
//! whatever else may need quotes go through the `csv` crate ([0008](../../docs/decisions/0008-rows-without-a-writer.md)).
//! Invariants: header and rows come from the same list of fields, and a row is what the `csv` crate would have written.

use super::address::push_ip;
use super::bytes::{Bytes, Text, Word};
use super::decimal::{push_milliseconds, push_number, push_number_comma, push_seconds, push_thousandths};
use super::document::Document;
use super::fields::{Exported, FieldSink, RecordSettings, Run, ended_fields, record_fields};
use super::lines::{Line, Lines};
use super::rows::write_rows;
use crate::aggregate::{Summary, Table};
use crate::flow::{EndReason, FlowKey, FlowRecord};
use crate::wire::{IpVersion, Network, Ports, VlanTags};
use csv::{ByteRecord, Writer};
use netscope_backends::Timestamp;
use std::io::{self, Write};
use std::net::IpAddr;

/// The flow table as CSV with a header, in the order given.
pub struct CsvTable(pub RecordSettings);

impl Document for CsvTable {
    fn write(&self, out: &mut (impl Write + Send), table: &Table, _summary: &Summary) -> io::Result<()> {
        write_table(out, table, self.0)
    }
}

/// Writes a header and the records.
///
/// # Errors
/// Those of `out`.
pub fn write_table(out: &mut (impl Write + Send), table: &Table, settings: RecordSettings) -> io::Result<()> {
    let mut header = Vec::new();
    write_header(&mut header, record_fields)?;
    if table.is_empty() {
        return out.write_all(&header);
    }
    write_rows(out, table, settings, |text, exported, is_first| {
        if is_first {
            push_text(text, &header);
        }
        push_row(text, exported, false);
    })
}

/// Flows as they end, one CSV row each, under a header.
pub type CsvLines = Lines<CsvLine>;

/// The syntax of [`CsvLines`].
pub struct CsvLine;

impl Line for CsvLine {
    fn begin(out: &mut impl Write) -> io::Result<()> {
        write_header(out, ended_fields)
    }

    fn push(out: &mut Bytes, exported: &Exported<'_>) {
        push_row(out, exported, true);
    }
}

#[inline(never)]
fn push_text(out: &mut Bytes, text: &[u8]) {
    let mut end = out.open();
    end.word(text);
    end.close();
}

/// Appends a row: the end of a flow, if `ended`, and the record.
#[inline(always)]
fn push_row(out: &mut Bytes, exported: &Exported<'_>, ended: bool) {
    let mut row = Row(out.open());
    if ended {
        ended_fields(exported, &mut row);
    } else {
        record_fields(exported, &mut row);
    }
    let Row(mut text) = row;
    // The separator behind the last field becomes the end of the row.
    text.shorten(1);
    text.byte(b'\n');
    text.close();
}

/// An open row; every field ends with its separator.
struct Row<'a>(Text<'a>);

impl FieldSink for Row<'_> {
    #[inline(always)]
    fn word(&mut self, _name: &'static str, value: Option<&Word>) {
        self.0.letters_comma(value.unwrap_or(&Word::EMPTY));
    }

    #[inline(always)]
    fn code<const N: usize>(&mut self, _name: &'static str, value: Option<&[u8; N]>) {
        if let Some(value) = value {
            self.0.word(value);
        }
        self.0.byte(b',');
    }

    #[inline(always)]
    fn number(&mut self, _name: &'static str, value: Option<u64>) {
        match value {
            Some(number) => push_number_comma(&mut self.0, number),
            None => self.0.byte(b','),
        }
    }

    #[inline(always)]
    fn usual(&mut self, run: Run) -> bool {
        match run {
            Run::NotTcp => self.0.word(b",,0,0,,,,0,,,0,0,0,0,0,0,0,,,,,,,"),
            Run::Losses => self.0.put(*b"0,0,0,0,0,0,0,..", 14),
            Run::Encapsulation => self.0.put(*b",,,0,,..", 6),
        }
        true
    }

    #[inline(always)]
    fn seconds(&mut self, _name: &'static str, ns: u64) {
        push_seconds(&mut self.0, ns);
    }

    #[inline(always)]
    fn milliseconds(&mut self, _name: &'static str, ns: Option<u64>) {
        match ns {
            Some(ns) => push_milliseconds(&mut self.0, ns),
            None => self.0.byte(b','),
        }
    }

    #[inline(always)]
    fn thousandths(&mut self, _name: &'static str, value: u128) {
        push_thousandths(&mut self.0, value);
    }

    #[inline(always)]
    fn endpoint(&mut self, _name: &'static str, ip: IpAddr, port: u16) {
        push_ip(&mut self.0, ip, b',');
        push_number_comma(&mut self.0, port.into());
    }

    #[inline(always)]
    fn list(&mut self, _name: &'static str, values: &[u16]) {
        for (i, &value) in values.iter().enumerate() {
            if i > 0 {
                self.0.byte(b';');
            }
            push_number(&mut self.0, value.into());
        }
        self.0.byte(b',');
    }
}

/// Collects column names.
#[derive(Default)]
struct Header(ByteRecord);

impl FieldSink for Header {
    fn word(&mut self, name: &'static str, _value: Option<&Word>) {
        self.0.push_field(name.as_bytes());
    }

    fn code<const N: usize>(&mut self, name: &'static str, _value: Option<&[u8; N]>) {
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

fn write_header(out: &mut impl Write, fields: impl FnOnce(&Exported<'_>, &mut Header)) -> io::Result<()> {
    let mut header = Header::default();
    fields(&Exported::new(&sample(), RecordSettings::default()), &mut header);
    let mut writer = Writer::from_writer(out);
    writer.write_byte_record(&header.0)?;
    writer.flush()
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
        queues: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::reference::{Reference, any_record};
    use proptest::prelude::*;

    /// Rows as the `csv` crate writes them, under their header.
    fn by_the_crate(references: impl IntoIterator<Item = Reference>) -> String {
        let mut writer = Writer::from_writer(Vec::new());
        for (number, reference) in references.into_iter().enumerate() {
            writer.write_record(if number == 0 { reference.columns } else { reference.row }).unwrap();
        }
        String::from_utf8(writer.into_inner().unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn rows_are_what_the_crate_writes(records in prop::collection::vec(any_record(), 0..20)) {
            let (mut table, mut lines, mut ended) = (Vec::new(), Vec::new(), Bytes::default());
            write_table(&mut table, &records.iter().copied().collect(), RecordSettings::default()).unwrap();
            CsvLine::begin(&mut lines).unwrap();
            let exported = |record| Exported::new(record, RecordSettings::default());
            records.iter().for_each(|record| CsvLine::push(&mut ended, &exported(record)));
            ended.write(&mut lines).unwrap();

            let sample = sample();
            let all = || std::iter::once(&sample).chain(&records).map(exported);
            let expected = by_the_crate(all().map(|exported| Reference::of(|reference| record_fields(&exported, reference))));
            prop_assert_eq!(String::from_utf8(table).unwrap(), expected);
            let expected = by_the_crate(all().map(|exported| Reference::of(|reference| ended_fields(&exported, reference))));
            prop_assert_eq!(String::from_utf8(lines).unwrap(), expected);
        }
    }
}
