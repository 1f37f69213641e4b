//! Flow records as CSV: a table at the end of the run, or one line per flow as flows end.
//!
//! Owns when header and rows are written. Rows are those of [`crate::record`]. Knows no field.

use super::document::Document;
use super::lines::{LineFile, LineFormat};
use super::rows::{ExportSettings, write_rows};
use crate::aggregate::Table;
use crate::record::{Exported, FactSchema, TextBuffer, push_ended_header, push_ended_row, push_header, push_row};
use netscope_backends::Timestamp;
use std::io::{self, Write};

/// The flow table as CSV with a header, in the order given.
pub struct CsvTable(pub ExportSettings);

impl Document for CsvTable {
    fn write(&self, out: &mut (impl Write + Send), table: &Table) -> io::Result<()> {
        write_table(out, table, self.0)
    }
}

/// Writes a header and the records.
///
/// # Errors
/// Those of `out`.
pub fn write_table(out: &mut (impl Write + Send), table: &Table, settings: ExportSettings) -> io::Result<()> {
    write_rows(
        out,
        table,
        settings,
        |text| push_header(text, settings.schema),
        |text, exported, _is_first| push_row(text, exported),
    )
}

/// Flows as they end, one CSV row each, under a header.
pub type CsvLines = LineFile<CsvLine>;

/// The format of [`CsvLines`].
pub struct CsvLine;

impl LineFormat for CsvLine {
    fn begin(&self, out: &mut TextBuffer, schema: FactSchema, _time: Timestamp) {
        push_ended_header(out, schema);
    }

    fn push(&self, out: &mut TextBuffer, exported: &Exported<'_>) {
        push_ended_row(out, exported);
    }
}
