//! Flow records as CSV: a table at the end of the run, or one line per flow as flows end.
//!
//! Owns columns and rounding. Numbers, addresses and words of ours never need quotes, so they are written as they are; headings and
//! whatever else may need quotes go through the `csv` crate ([0008](../../docs/decisions/0008-rows-without-a-writer.md)).
//! Invariants: header and rows come from the same list of fields, and a row is what the `csv` crate would have written.

use super::address::push_ip;
use super::bytes::{Bytes, Text};
use super::decimal::{push_number, push_rounded, push_thousandths};
use super::document::Document;
use super::fields::{Exported, FieldSink, RecordSettings, ended_fields, record_fields};
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
    fn write(&self, out: &mut impl Write, table: &Table, _summary: &Summary) -> io::Result<()> {
        write_table(out, table, self.0)
    }
}

/// Writes a header and the records.
///
/// # Errors
/// Those of `out`.
pub fn write_table(out: &mut impl Write, table: &Table, settings: RecordSettings) -> io::Result<()> {
    write_header(out, record_fields)?;
    write_rows(out, table, settings, |text, exported, _is_first| push_row(text, |row| record_fields(exported, row)))
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
        push_row(out, |row| ended_fields(exported, row));
    }
}

#[inline(always)]
fn push_row(out: &mut Bytes, fields: impl FnOnce(&mut Row<'_, '_>)) {
    out.append(|text| {
        fields(&mut Row(text));
        // The separator behind the last field becomes the end of the row.
        text.shorten(1);
        text.byte(b'\n');
    });
}

/// An open row; every field ends with its separator.
struct Row<'a, 'b>(&'a mut Text<'b>);

impl FieldSink for Row<'_, '_> {
    #[inline(always)]
    fn text(&mut self, _name: &'static str, value: Option<&str>) {
        push_text(self.0, value.unwrap_or_default());
        self.0.byte(b',');
    }

    #[inline(always)]
    fn word(&mut self, _name: &'static str, value: Option<&[u8]>) {
        self.0.word(value.unwrap_or_default());
        self.0.byte(b',');
    }

    #[inline(always)]
    fn number(&mut self, _name: &'static str, value: Option<u64>) {
        match value {
            // Half of all fields: the digit and the separator at once.
            Some(digit @ 0..10) => self.0.put([b'0' + digit as u8, b','], 2),
            Some(number) => {
                push_number(self.0, number);
                self.0.byte(b',');
            }
            None => self.0.byte(b','),
        }
    }

    #[inline(always)]
    fn seconds(&mut self, _name: &'static str, ns: u64) {
        push_rounded(self.0, ns, 9, 6);
        self.0.byte(b',');
    }

    #[inline(always)]
    fn milliseconds(&mut self, _name: &'static str, ns: Option<u64>) {
        if let Some(ns) = ns {
            push_rounded(self.0, ns, 6, 3);
        }
        self.0.byte(b',');
    }

    #[inline(always)]
    fn thousandths(&mut self, _name: &'static str, value: u128) {
        push_thousandths(self.0, value);
        self.0.byte(b',');
    }

    #[inline(always)]
    fn endpoint(&mut self, _name: &'static str, ip: IpAddr, port: u16) {
        push_ip(self.0, ip);
        self.0.byte(b',');
        push_number(self.0, port.into());
        self.0.byte(b',');
    }

    #[inline(always)]
    fn list(&mut self, _name: &'static str, values: &[u16]) {
        for (i, &value) in values.iter().enumerate() {
            if i > 0 {
                self.0.byte(b';');
            }
            push_number(self.0, value.into());
        }
        self.0.byte(b',');
    }
}

/// Appends a text as a field, in quotes where it needs them.
#[inline(always)]
fn push_text(out: &mut Text<'_>, text: &str) {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        out.word(text.as_bytes());
    } else {
        out.aside(|out| push_quoted(out, text));
    }
}

#[cold]
#[inline(never)]
fn push_quoted(out: &mut Text<'_>, text: &str) {
    // A second field, because a row of one empty field is written differently. Writing to a Vec cannot fail.
    let mut writer = Writer::from_writer(Vec::new());
    let written = writer.write_record([text, ""]).is_ok();
    let row = writer.into_inner().unwrap_or_default();
    debug_assert!(written && row.ends_with(b",\n"));
    out.word(row.strip_suffix(b",\n").unwrap_or_default());
}

/// Collects column names.
#[derive(Default)]
struct Header(ByteRecord);

impl FieldSink for Header {
    fn text(&mut self, name: &'static str, _value: Option<&str>) {
        self.0.push_field(name.as_bytes());
    }

    fn word(&mut self, name: &'static str, _value: Option<&[u8]>) {
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
    use crate::flow::TcpRecord;
    use crate::output::test_records::{key, tcp_record};
    use proptest::prelude::*;

    /// One row as the `csv` crate writes it.
    fn by_the_crate(fields: &[&[u8]]) -> Vec<u8> {
        let mut writer = Writer::from_writer(Vec::new());
        writer.write_record(fields).unwrap();
        writer.into_inner().unwrap()
    }

    fn record() -> impl Strategy<Value = FlowRecord> {
        let address = || any::<[u8; 16]>();
        let hosts = prop_oneof![
            (address(), address()).prop_map(|(a, b)| [IpAddr::from(a), IpAddr::from(b)]),
            (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| [IpAddr::from(a), IpAddr::from(b)]),
        ];
        let number = || (any::<u64>(), 0..64u32).prop_map(|(number, shift)| number >> shift);
        let numbers = prop::array::uniform6(number());
        let tcp = prop::option::of((any::<[u8; 2]>(), prop::option::of(number()), any::<[u16; 2]>()));
        (any::<u8>(), hosts, any::<[u16; 2]>(), numbers, tcp, 0..4u8).prop_map(|(protocol, hosts, ports, numbers, tcp, count)| {
            let [source, destination] = hosts.map(|host| host.to_string());
            let [first_seen, last_seen, packets, bytes, first_packet, fragments] = numbers;
            FlowRecord {
                key: key(protocol, &source, ports[0], &destination, ports[1]),
                first_seen: Timestamp(first_seen),
                last_seen: Timestamp(last_seen),
                packets: [packets, 1],
                bytes: [1, bytes],
                first_packet,
                fragments: fragments as u32,
                vlan: VlanTags { ids: ports, count },
                tcp: tcp.zip(tcp_record().tcp).map(|((flags, handshake_rtt_ns, mss), tcp)| TcpRecord {
                    flags,
                    handshake_rtt_ns,
                    mss,
                    ..tcp
                }),
                ..tcp_record()
            }
        })
    }

    proptest! {
        #[test]
        fn rows_are_what_the_crate_writes(records in prop::collection::vec(record(), 0..20)) {
            let mut written = Vec::new();
            write_table(&mut written, &records.iter().copied().collect(), RecordSettings::default()).unwrap();
            let mut writer = Writer::from_writer(Vec::new());
            let mut rows = 0;
            for row in csv::ReaderBuilder::new().has_headers(false).from_reader(written.as_slice()).byte_records() {
                writer.write_byte_record(&row.unwrap()).unwrap();
                rows += 1;
            }
            prop_assert_eq!(rows, 1 + records.len());
            prop_assert_eq!(writer.into_inner().unwrap(), written);
        }

        #[test]
        fn any_text_is_quoted_as_the_crate_does(text in prop_oneof![".*", "[a-z,\"\r\n ]{0,12}"], other in "[a-z0-9-]{1,9}") {
            let (mut out, mut written) = (Bytes::default(), Vec::new());
            push_row(&mut out, |row| {
                row.text("", Some(&text));
                row.text("", Some(&other));
                row.text("", None);
            });
            out.write(&mut written).unwrap();
            prop_assert_eq!(written, by_the_crate(&[text.as_bytes(), other.as_bytes(), b""]));
        }
    }
}
