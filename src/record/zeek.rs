//! A flow as lines of Zeek's logs, as tab-separated values with a header or as JSON.
//!
//! Owns which logs there are and which lines a flow gives in each. Knows no file. Invariants: a line has every column of its log, in
//! order, with its type; what a record does not know is unset and never made up.

mod applications;
mod columns;
mod conn;
mod names;
mod row;

use super::calendar::{date_time, push_date_time};
use super::fields::Exported;
use super::oriented::Oriented;
use super::text::TextBuffer;
use super::told::{ToldFlow, items};
use crate::detect::LocalNetworks;
use columns::{CONN, DNS, HTTP, QUIC, SSH, SSL, ZeekColumn};
use netscope_backends::Timestamp;
use row::ZeekRow;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeekFormat {
    /// Tab-separated, with a header and an end.
    #[default]
    Tsv,
    /// A JSON object per line.
    Json,
}

/// A log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeekLog {
    /// Every flow.
    Conn,
    /// Names that were asked for.
    Dns,
    /// TLS sessions, those of QUIC too.
    Ssl,
    /// HTTP requests.
    Http,
    /// SSH connections.
    Ssh,
    /// QUIC connections.
    Quic,
}

impl ZeekLog {
    /// All of them; without facts only the first has lines.
    pub const ALL: [Self; 6] = [Self::Conn, Self::Dns, Self::Ssl, Self::Http, Self::Ssh, Self::Quic];

    /// Its path in the header; the file's name without its ending.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conn => "conn",
            Self::Dns => "dns",
            Self::Ssl => "ssl",
            Self::Http => "http",
            Self::Ssh => "ssh",
            Self::Quic => "quic",
        }
    }

    const fn columns(self) -> &'static [ZeekColumn] {
        match self {
            Self::Conn => CONN,
            Self::Dns => DNS,
            Self::Ssl => SSL,
            Self::Http => HTTP,
            Self::Ssh => SSH,
            Self::Quic => QUIC,
        }
    }
}

/// Appends what stands before the first line; `time` is that of the first packet.
pub fn push_zeek_head(out: &mut TextBuffer, log: ZeekLog, format: ZeekFormat, time: Timestamp) {
    if format == ZeekFormat::Json {
        return;
    }
    let mut text = out.open();
    text.word(b"#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t");
    text.word(log.name().as_bytes());
    text.word(b"\n");
    text.close();
    push_time_line(out, b"#open\t", time);
    let mut text = out.open();
    for (start, of) in
        [("#fields", (|column| column.name) as fn(&ZeekColumn) -> &'static str), ("#types", |column| column.kind.name())]
    {
        text.word(start.as_bytes());
        for column in log.columns() {
            text.byte(b'\t');
            text.word(of(column).as_bytes());
        }
        text.byte(b'\n');
    }
    text.close();
}

/// Appends what stands behind the last line; `time` is that of the last packet.
pub fn push_zeek_end(out: &mut TextBuffer, format: ZeekFormat, time: Timestamp) {
    if format == ZeekFormat::Tsv {
        push_time_line(out, b"#close\t", time);
    }
}

fn push_time_line(out: &mut TextBuffer, start: &[u8], time: Timestamp) {
    let mut text = out.open();
    text.word(start);
    if let Some(time) = date_time(time.0 / 1_000_000_000) {
        push_date_time(&mut text, time, [b'-'; 3]);
    }
    text.byte(b'\n');
    text.close();
}

/// Appends the lines of a flow. `local` are the networks that are inside.
pub fn push_zeek(out: &mut TextBuffer, log: ZeekLog, format: ZeekFormat, local: &LocalNetworks, exported: &Exported<'_>) {
    let (told, flow) = (ToldFlow::of(exported.facts()), Oriented::of(exported));
    match log {
        ZeekLog::Conn => conn::push(begun(out, log, format, &flow), exported, &flow, &told, local),
        ZeekLog::Dns => {
            if let Some(dns) = &told.dns {
                for name in items(dns.names) {
                    applications::push_dns(begun(out, log, format, &flow), &flow, dns, name);
                }
            }
        }
        ZeekLog::Ssl => {
            if let Some(tls) = &told.tls {
                applications::push_tls(begun(out, log, format, &flow), tls);
            }
            if let Some(quic) = told.quic.as_ref().filter(|quic| quic.ja4.is_some()) {
                applications::push_tls_of_quic(begun(out, log, format, &flow), quic);
            }
        }
        ZeekLog::Http => {
            if let Some(http) = &told.http {
                applications::push_http(begun(out, log, format, &flow), http);
            }
        }
        ZeekLog::Ssh => {
            if let Some(ssh) = &told.ssh {
                applications::push_ssh(begun(out, log, format, &flow), ssh);
            }
        }
        ZeekLog::Quic => {
            if let Some(quic) = &told.quic {
                applications::push_quic(begun(out, log, format, &flow), quic);
            }
        }
    }
}

/// A line with the columns that all logs begin with.
fn begun<'o>(out: &'o mut TextBuffer, log: ZeekLog, format: ZeekFormat, flow: &Oriented<'_>) -> ZeekRow<'o> {
    let mut row = ZeekRow::open(out, format, log.columns());
    row.flow(flow);
    row
}

/// How many lines [`push_zeek`] makes of a flow.
pub fn zeek_count(log: ZeekLog, exported: &Exported<'_>) -> u64 {
    let told = ToldFlow::of(exported.facts());
    match log {
        ZeekLog::Conn => 1,
        ZeekLog::Dns => told.dns.map_or(0, |dns| items(dns.names).count() as u64),
        ZeekLog::Ssl => u64::from(told.tls.is_some()) + u64::from(told.quic.is_some_and(|quic| quic.ja4.is_some())),
        ZeekLog::Http => told.http.is_some().into(),
        ZeekLog::Ssh => told.ssh.is_some().into(),
        ZeekLog::Quic => told.quic.is_some().into(),
    }
}

#[cfg(test)]
mod tests;
