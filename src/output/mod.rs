//! Who shows or writes what the aggregator knows: one file per format, each an [`Output`](crate::aggregate::Output).
//!
//! Knows no flow table, no queue and no flag. Its invariant: all formats of a record come from the one list in
//! `record_fields`, so they cannot drift.

mod address;
mod bytes;
mod csv;
mod decimal;
mod document;
mod fields;
mod file;
mod hex;
mod json;
mod lines;
mod packet_detail;
mod packet_line;
mod packet_printer;
mod progress;
#[cfg(test)]
mod reference;
mod rows;
mod stdout;
mod summary_json;
mod table;
#[cfg(test)]
pub(crate) mod test_records;
mod text;
mod turns;

pub use bytes::Word;
pub use csv::{CsvLines, CsvTable, write_table};
pub use document::DocumentFile;
pub use fields::{Exported, FieldSink, RecordSettings, Run, ended_fields, record_fields};
pub use file::{AtomicFile, OutputError, StreamFile};
pub use hex::{HEX_DUMP_LEN_MAX, write_hex_dump};
pub use json::{JsonLines, JsonTable, write_array};
pub use packet_detail::{LayerView, packet_detail, write_layers};
pub use packet_line::write_packet_line;
pub use packet_printer::{PacketPrinter, PrintStyle};
pub use progress::{Progress, show_progress};
pub use stdout::{is_broken_pipe, stdout};
pub use summary_json::SummaryJson;
pub use table::{flow_table, terminal_columns};
pub use text::{Text, TextSettings, stats_line, summary_text, top_lines};
