//! Flows as logs of Zeek, a file for each log in one directory: a table at the end of the run, or lines as flows end.
//!
//! Owns the names of the files. Lines are those of [`crate::record`]. Knows no field. Invariant: which files there are depends on the
//! settings alone, so what an earlier run left under their names is replaced, by a log without lines too.

use super::document::Document;
use super::lines::{LineFile, LineFormat};
use super::rows::{ExportSettings, count_rows, write_rows};
use crate::aggregate::Table;
use crate::detect::LocalNetworks;
use crate::record::{
    Exported, FactSchema, TextBuffer, ZeekFormat, ZeekLog, push_zeek, push_zeek_end, push_zeek_head, zeek_count,
};
use netscope_backends::Timestamp;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of a directory of logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZeekFiles {
    /// How their lines look.
    pub format: ZeekFormat,
    /// The logs and where each goes.
    pub logs: Vec<(ZeekLog, PathBuf)>,
}

impl ZeekFiles {
    /// Those in `directory`; `ending` stands behind `.log`, as `.gz`. Without facts there is the log of flows alone.
    pub fn in_directory(directory: &Path, format: ZeekFormat, ending: &str, has_facts: bool) -> Self {
        let logs = ZeekLog::ALL.into_iter().filter(|log| has_facts || *log == ZeekLog::Conn);
        Self { format, logs: logs.map(|log| (log, directory.join(format!("{}.log{ending}", log.name())))).collect() }
    }
}

/// One log of all flows of a table.
pub struct ZeekTable {
    /// Which log.
    pub log: ZeekLog,
    /// How its lines look.
    pub format: ZeekFormat,
    /// The networks that are inside.
    pub local: Arc<LocalNetworks>,
    /// How records are exported.
    pub settings: ExportSettings,
}

impl Document for ZeekTable {
    fn write(&self, out: &mut (impl Write + Send), table: &Table) -> io::Result<()> {
        let Self { log, format, local, settings } = self;
        let first = table.iter().map(|record| record.first_seen).min().unwrap_or(Timestamp(0));
        let last = table.iter().map(|record| record.last_seen).max().unwrap_or(Timestamp(0));
        write_rows(
            out,
            table,
            *settings,
            |text| push_zeek_head(text, *log, *format, first),
            |text, exported, _is_first| push_zeek(text, *log, *format, local, exported),
        )?;
        let mut end = TextBuffer::default();
        push_zeek_end(&mut end, *format, last);
        end.write(out)
    }

    fn row_count(&self, table: &Table) -> u64 {
        count_rows(table, self.settings, |exported| zeek_count(self.log, exported))
    }
}

/// One log of flows as they end.
pub type ZeekLines = LineFile<ZeekLine>;

/// The format of [`ZeekLines`].
pub struct ZeekLine {
    /// Which log.
    pub log: ZeekLog,
    /// How its lines look.
    pub format: ZeekFormat,
    /// The networks that are inside.
    pub local: Arc<LocalNetworks>,
}

impl LineFormat for ZeekLine {
    const BEGINS_WITH_TIME: bool = true;

    fn begin(&self, out: &mut TextBuffer, _schema: FactSchema, time: Timestamp) {
        push_zeek_head(out, self.log, self.format, time);
    }

    fn push(&self, out: &mut TextBuffer, exported: &Exported<'_>) {
        push_zeek(out, self.log, self.format, &self.local, exported);
    }

    fn end(&self, out: &mut TextBuffer, time: Timestamp) {
        push_zeek_end(out, self.format, time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::FACT_SCHEMA;
    use crate::record::test_told::{told_table, written_lines};

    #[test]
    fn every_line_is_counted_in_either_form() {
        let settings = ExportSettings { schema: FACT_SCHEMA, ..ExportSettings::default() };
        let table: Table = told_table().into_iter().collect();
        let local = Arc::new(LocalNetworks::private_and([]));
        for (format, around) in [(ZeekFormat::Tsv, 9), (ZeekFormat::Json, 0)] {
            for log in ZeekLog::ALL {
                let log = ZeekTable { log, format, local: Arc::clone(&local), settings };
                let lines = written_lines(|out| log.write(out, &table));
                assert_eq!(lines.len() as u64, around + log.row_count(&table), "{:?}", log.log);
                assert!(log.row_count(&table) > 0, "{:?}", log.log);
            }
        }
    }

    #[test]
    fn files_are_named_after_their_logs() {
        let names = |has_facts| {
            let files = ZeekFiles::in_directory(Path::new("logs"), ZeekFormat::Tsv, ".gz", has_facts);
            files.logs.into_iter().map(|(_, path)| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(false), ["logs/conn.log.gz"]);
        assert_eq!(names(true).len(), 6);
        assert!(names(true).contains(&"logs/quic.log.gz".to_owned()));
    }
}
