//! Flows as EVE, the JSON lines of Suricata: a table at the end of the run, or events as flows end.
//!
//! Owns nothing but the order of lines: that of the table, and of a flow's events one after the other. Events are those of
//! [`crate::record`]. Knows no field.

use super::document::Document;
use super::lines::{LineFile, LineFormat};
use super::rows::{ExportSettings, count_rows, write_rows};
use crate::aggregate::Table;
use crate::record::{Exported, TextBuffer, eve_count, push_eve};
use std::io::{self, Write};

/// The events of all flows of a table.
pub struct EveTable(pub ExportSettings);

impl Document for EveTable {
    fn write(&self, out: &mut (impl Write + Send), table: &Table) -> io::Result<()> {
        write_rows(out, table, self.0, |_| {}, |text, exported, _is_first| push_eve(text, exported))
    }

    fn row_count(&self, table: &Table) -> u64 {
        count_rows(table, self.0, eve_count)
    }
}

/// The events of flows as they end.
pub type EveLines = LineFile<EveLine>;

/// The format of [`EveLines`].
pub struct EveLine;

impl LineFormat for EveLine {
    fn push(&self, out: &mut TextBuffer, exported: &Exported<'_>) {
        push_eve(out, exported);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::FACT_SCHEMA;
    use crate::record::test_told::{told_table, written_lines};

    #[test]
    fn every_event_is_a_line_and_every_line_is_counted() {
        let settings = ExportSettings { schema: FACT_SCHEMA, ..ExportSettings::default() };
        let table: Table = told_table().into_iter().collect();
        let lines = written_lines(|out| EveTable(settings).write(out, &table));
        assert_eq!(lines.len() as u64, EveTable(settings).row_count(&table));
        assert!(lines.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok_and(|event| event.is_object())));
        assert!(lines.len() > table.len(), "facts make events of their own");
    }
}
