//! Records as text: the one list of fields, JSON objects, CSV rows and table rows made from it, packet lines
//! and packet detail.
//!
//! Owns names, order, units and syntax. Knows no file, no thread and no flow table: modules that show
//! records, on a page or in a file, are above. Invariant: all formats of a record come from one list of
//! fields, so they cannot drift.

mod address;
mod alert_object;
mod application;
mod calendar;
mod csv;
mod derived;
mod eve;
mod facts;
mod field;
mod fields;
mod hex;
mod json;
mod members;
mod names;
mod number;
mod oriented;
mod packet_detail;
mod packet_line;
mod payload_facts;
mod plural;
#[cfg(test)]
pub(crate) mod reference;
mod services;
mod table;
#[cfg(test)]
pub(crate) mod test_records;
#[cfg(test)]
pub(crate) mod test_told;
mod text;
mod told;
mod untrusted;
mod zeek;

pub use alert_object::AlertObject;
pub use application::{ASKED_NAMES, OTHERS_NAME, OTHERS_NAME_SOURCE, SPOKEN, SPOKEN_SOURCE, asked_name, spoken};
pub use csv::{push_ended_header, push_ended_row, push_fact_cell, push_header, push_row};
pub use derived::KNOWN_BY;
pub use eve::{eve_count, push_eve};
#[cfg(test)]
pub(crate) use facts::TEST_SCHEMA;
pub use facts::{FACT_SCHEMA, FactObject, FactSchema, fact_id};
pub use field::{Field, FieldSink, FieldType, FieldValue};
pub use fields::{
    END_FIELDS, Exported, FIELDS, HEADER_FIELDS, ReadField, RecordField, TimeResolution, end_fields, ended_fields, ports,
    record_fields,
};
pub use hex::{HEX_DUMP_LEN_MAX, write_hex_dump};
pub use json::{push_ended_object, push_fact, push_object};
pub use names::protocol_name;
pub use packet_detail::{LayerView, PacketRange, flow_detail, packet_detail, payload_detail, write_layers};
pub use packet_line::{LineStyle, LineTime, PacketLines};
pub use plural::counted;
pub use services::service_name;
pub use table::{endpoints, flow_table, human_bytes, human_duration};
pub use text::{FieldWord, TextBuffer, TextEnd};
pub use untrusted::{CUT_MARK, TEXT_LEN_MAX, shown};
pub use zeek::{ZeekFormat, ZeekLog, push_zeek, push_zeek_end, push_zeek_head, zeek_count};
