//! Writes what the aggregator knows: one file per sink, each an [`Output`](crate::aggregate::Output).
//!
//! Owns files and standard output. Knows no flow table, no queue and no flag; what a record looks like is
//! [`crate::record`]'s.

mod alert_lines;
mod child;
mod csv;
mod document;
mod eve;
#[cfg(test)]
mod fact_path_tests;
mod file;
mod growing_lines;
mod history_json;
mod json;
mod lines;
mod packet_printer;
mod post_rotate;
mod progress;
mod receiver;
mod rows;
mod stats_lines;
mod stdout;
mod summary_json;
mod text;
mod zeek;

pub use alert_lines::AlertLines;
pub use csv::{CsvLine, CsvLines, CsvTable, write_table};
pub use document::DocumentFile;
pub use eve::{EveLine, EveLines, EveTable};
pub use file::{AtomicFile, OutputError};
pub use history_json::HistoryFile;
pub use json::{JsonLine, JsonLines, JsonTable, write_array};
pub use packet_printer::{PacketPrinter, PrintStyle};
pub use post_rotate::{OnCommandFailure, PostRotate};
pub use progress::{ProgressDisplay, show_progress};
pub use receiver::{
    AlertFormat, AlertReceiver, DeliverySettings, HookCommand, HookSettings, NoSyslogTarget, OnDeliveryNotice, Syslog,
    SyslogFacility, SyslogSettings, SyslogTarget, TlsSettings, Webhook, WebhookSettings, is_sd_id,
};
pub use rows::ExportSettings;
pub use stats_lines::StatsLines;
pub use stdout::{is_broken_pipe, stdout, stdout_has_color, stdout_is_terminal, terminal_columns};
pub use summary_json::SummaryFile;
pub use text::{TextReport, TextSettings, stats_line, summary_text, top_lines};
pub use zeek::{ZeekFiles, ZeekLine, ZeekLines, ZeekTable};
