//! The section `[output]`: what is shown and written.
//!
//! Owns its names and help texts. Knows no default.

use crate::config::choices::{ColorWhen, CompressionChoice, TimeChoice, ZeekChoice};
use crate::config::said::{path_unset_when_empty, unset_when_empty};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[output]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[command(next_help_heading = "Output")]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct OutputOptions {
    #[arg(skip)]
    pub quiet: Option<bool>,
    /// No line per packet, and not the line that says what is captured
    #[arg(short, long = "quiet", conflicts_with = "quiet_no")]
    #[serde(skip)]
    pub quiet_yes: bool,
    /// A line per packet [default]
    #[arg(long = "no-quiet")]
    #[serde(skip)]
    pub quiet_no: bool,

    #[arg(skip)]
    pub hex_dump: Option<bool>,
    /// Show each packet in detail, with its first 256 bytes in hex
    #[arg(long = "hex-dump", conflicts_with = "hex_dump_no")]
    #[serde(skip)]
    pub hex_dump_yes: bool,
    /// Show each packet as a line [default]
    #[arg(long = "no-hex-dump")]
    #[serde(skip)]
    pub hex_dump_no: bool,

    /// What stands for the time of a packet [default: auto]
    #[arg(long, value_enum, value_name = "NAME")]
    pub time: Option<TimeChoice>,

    /// Colours in packet lines [default: auto]
    #[arg(long, value_enum, value_name = "WHEN")]
    pub color: Option<ColorWhen>,

    #[arg(skip)]
    pub link: Option<bool>,
    /// Show the link header of each packet, with its hardware addresses
    #[arg(long = "link", conflicts_with = "link_no")]
    #[serde(skip)]
    pub link_yes: bool,
    /// Show no link headers [default]
    #[arg(long = "no-link")]
    #[serde(skip)]
    pub link_no: bool,

    #[arg(skip)]
    pub absolute_seq: Option<bool>,
    /// Show TCP numbers as sent
    #[arg(long = "absolute-seq", conflicts_with = "absolute_seq_no")]
    #[serde(skip)]
    pub absolute_seq_yes: bool,
    /// Show TCP numbers counted from the connection's first one [default]
    #[arg(long = "no-absolute-seq")]
    #[serde(skip)]
    pub absolute_seq_no: bool,

    #[arg(skip)]
    pub summary: Option<bool>,
    /// Say on standard error where every packet went, at the end [default]
    #[arg(id = "summary_yes", long = "summary", conflicts_with = "summary_no")]
    #[serde(skip)]
    pub summary_yes: bool,
    /// No summary
    #[arg(id = "summary_no", long = "no-summary")]
    #[serde(skip)]
    pub summary_no: bool,

    /// Print the N largest flows as a table at the end, 0 = none [default: 0]
    #[arg(long, value_name = "N")]
    pub flow_table: Option<u32>,

    /// Write all flows to this file at the end, as a JSON array; for every output - is standard output, and a name that ends in
    /// .gz or .zst is compressed
    #[arg(long, value_name = "PATH")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub export_json: Option<PathBuf>,

    /// Write all flows to this file at the end, as CSV
    #[arg(long, value_name = "PATH")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub export_csv: Option<PathBuf>,

    /// Write all flows to this file at the end as EVE, the JSON lines of Suricata 7: events of type flow, and of type dns, tls, quic, http and
    /// ssh unless --no-dpi
    #[arg(long, value_name = "PATH")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub export_eve: Option<PathBuf>,

    /// Write all flows to this directory at the end as Zeek's conn.log, with --headers with the payload bytes, and unless --no-dpi as
    /// dns.log, ssl.log, http.log, ssh.log and quic.log
    #[arg(long, value_name = "DIR")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub export_zeek: Option<PathBuf>,

    /// How lines of --export-zeek and --expired-flows-zeek look [default: tsv]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub zeek_format: Option<ZeekChoice>,

    /// How files of --export-zeek and --expired-flows-zeek are compressed [default: none]
    #[arg(long, value_enum, value_name = "NAME")]
    pub zeek_compression: Option<CompressionChoice>,

    /// Write only flows that this filter is true of, as 'port:443 bytes:>1M', to all files of flows and to --flow-table; totals count all
    /// flows, and packets are chosen by -f. The language is in docs/filter-language.md
    #[arg(long = "where", value_name = "EXPR")]
    #[serde(rename = "where", deserialize_with = "unset_when_empty")]
    pub selected: Option<String>,

    /// How many of the flows that ended before, the latest, --export-json, --export-csv, --export-eve, --export-zeek and --flow-table hold
    /// [default: 1000000 from a file, 100000 live]
    #[arg(long, value_name = "N")]
    pub export_ended_max: Option<u64>,

    /// Write flows to this file as they end, one JSON object per line
    #[arg(long, value_name = "PATH")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub expired_flows_jsonl: Option<PathBuf>,

    /// Write flows to this file as they end, as CSV
    #[arg(long, value_name = "PATH")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub expired_flows_csv: Option<PathBuf>,

    /// Write flows to this file as they end, as EVE, the JSON lines of Suricata
    #[arg(long, value_name = "PATH")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub expired_flows_eve: Option<PathBuf>,

    /// Write flows to this directory as they end, as the logs of --export-zeek
    #[arg(long, value_name = "DIR")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub expired_flows_zeek: Option<PathBuf>,

    /// Begin a new file of ended flows after this many MiB, 0 = never [default: 0]
    #[arg(long, value_name = "MB")]
    pub expired_flows_rotate_mb: Option<u64>,

    /// Begin a new file of ended flows after this many seconds of packet time, 0 = never [default: 0]
    #[arg(long = "expired-flows-rotate-s", value_name = "SECS")]
    pub expired_flows_rotate_secs: Option<f64>,

    /// Keep the newest N files of ended flows, 0 = all [default: 0]
    #[arg(long, value_name = "N")]
    pub expired_flows_max_files: Option<u32>,

    /// Write where every packet went to this file at the end, as JSON
    #[arg(long, value_name = "PATH")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub summary_json: Option<PathBuf>,

    /// Seed of the Community IDs [default: 0]
    #[arg(long, value_name = "N")]
    pub community_id_seed: Option<u16>,

    /// Write every packet to this capture file (.pcap or .pcapng); with rotation its name may have a time, as cap-%Y%m%d-%H%M%S.pcap
    #[arg(short, long, value_name = "PATH")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub write_pcap: Option<PathBuf>,

    /// Begin a new capture file after this many MiB, 0 = never [default: 0]
    #[arg(long, value_name = "MB")]
    pub write_pcap_rotate_mb: Option<u64>,

    /// Begin a new capture file after this many seconds of packet time, 0 = never [default: 0]
    #[arg(long = "write-pcap-rotate-s", value_name = "SECS")]
    pub write_pcap_rotate_secs: Option<f64>,

    /// Keep the newest N capture files, 0 = all [default: 0]
    #[arg(long, value_name = "N")]
    pub write_pcap_max_files: Option<u32>,

    /// Run this program, without a shell, after each file that rotation closed, with the file's path as its argument
    #[arg(short = 'z', long, value_name = "PROGRAM")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub post_rotate: Option<PathBuf>,
}

section!(OutputOptions {
    time, color, flow_table, export_json, export_csv, export_eve, export_zeek, zeek_format,
    zeek_compression, selected, export_ended_max, expired_flows_jsonl, expired_flows_csv, expired_flows_eve, expired_flows_zeek,
    summary_json,
    community_id_seed, write_pcap, write_pcap_rotate_mb, write_pcap_rotate_secs, write_pcap_max_files,
    expired_flows_rotate_mb, expired_flows_rotate_secs, expired_flows_max_files, post_rotate,
} switches { quiet: quiet_yes, quiet_no; hex_dump: hex_dump_yes, hex_dump_no; link: link_yes, link_no;
    absolute_seq: absolute_seq_yes, absolute_seq_no; summary: summary_yes, summary_no });
