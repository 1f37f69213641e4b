//! Flow records as JSON: an array at the end of the run, or one line per flow as flows end.
//!
//! Owns the text around the objects. Objects are those of [`crate::record`]. Knows no field.

use super::document::Document;
use super::lines::{LineFile, LineFormat};
use super::rows::{ExportSettings, write_rows};
use crate::aggregate::Table;
use crate::record::{Exported, TextBuffer, push_ended_object, push_object};
use std::io::{self, Write};

/// The flow table as a JSON array, one record per line, in the order given.
pub struct JsonTable(pub ExportSettings);

impl Document for JsonTable {
    fn write(&self, out: &mut (impl Write + Send), table: &Table) -> io::Result<()> {
        write_array(out, table, self.0)
    }
}

/// Writes the records as an array, one per line.
///
/// # Errors
/// Those of `out`.
pub fn write_array(out: &mut (impl Write + Send), table: &Table, settings: ExportSettings) -> io::Result<()> {
    write_rows(out, table, settings, |text| push_piece(text, b"["), push_element)?;
    out.write_all(if table.is_empty() { b"]\n" } else { b"\n]\n" })
}

/// A record of the array, and what stands before it.
#[inline(always)]
pub(super) fn push_element(text: &mut TextBuffer, exported: &Exported<'_>, is_first: bool) {
    push_piece(text, if is_first { b"\n" } else { b",\n" });
    push_object(text, exported);
}

#[inline(always)]
fn push_piece(text: &mut TextBuffer, piece: &[u8]) {
    let mut end = text.open();
    end.word(piece);
    end.close();
}

/// Flows as they end, one JSON object per line.
pub type JsonLines = LineFile<JsonLine>;

/// The format of [`JsonLines`].
pub struct JsonLine;

impl LineFormat for JsonLine {
    fn push(&self, out: &mut TextBuffer, exported: &Exported<'_>) {
        push_ended_object(out, exported);
        push_piece(out, b"\n");
    }
}
