//! `[analysis]` and what is below it: what is analysed; what is detected is beside it.
//!
//! Owns names and help texts, as its parent does.
#![allow(rustdoc::broken_intra_doc_links, reason = "help texts say [default], which is no link")]

use super::alert_options::AlertOptions;
use super::anomalies::AnomalyOptions;
use super::said::{names, path_unset_when_empty};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[analysis]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[command(next_help_heading = "Detection")]
#[serde(default, deny_unknown_fields)]
pub struct AnalysisOptions {
    /// Measure round-trip times.
    #[arg(skip)]
    pub rtt: Option<bool>,
    /// Count retransmissions.
    #[arg(skip)]
    pub retrans: Option<bool>,
    /// Count segments out of order.
    #[arg(skip)]
    pub out_of_order: Option<bool>,
    /// Keep what headers say.
    #[arg(skip)]
    pub headers: Option<bool>,
    /// Keep what packets' headers say in each record: MAC addresses, TTL, DSCP, ECN, TCP options, largest windows, payload bytes. Takes 80
    /// bytes more per flow and up to a third more work per packet
    #[arg(id = "headers_yes", long = "headers", conflicts_with = "headers_no", help_heading = "Analysis")]
    #[serde(skip)]
    pub headers_yes: bool,
    /// Leave these fields empty [default]
    #[arg(id = "headers_no", long = "no-headers", help_heading = "Analysis")]
    #[serde(skip)]
    pub headers_no: bool,
    /// Look into payload.
    #[arg(skip)]
    pub dpi: Option<bool>,
    /// Say what each flow is, from its first bytes: application protocol, server names, versions, fingerprints [default]
    #[arg(id = "dpi_yes", long = "dpi", conflicts_with = "dpi_no", help_heading = "Analysis")]
    #[serde(skip)]
    pub dpi_yes: bool,
    /// Look at no payload
    #[arg(id = "dpi_no", long = "no-dpi", help_heading = "Analysis")]
    #[serde(skip)]
    pub dpi_no: bool,
    /// Bytes of each direction of a TCP connection that are put in order.
    #[arg(skip)]
    pub dpi_stream_bytes: Option<u64>,
    /// Packets of a flow that may tell nothing before it is left alone.
    #[arg(skip)]
    pub dpi_packets: Option<u64>,
    /// Flows that are inspected at a time, in all.
    #[arg(skip)]
    pub dpi_flows: Option<u64>,
    /// Memory for their bytes, in all.
    #[arg(skip)]
    pub dpi_memory_mb: Option<u64>,
    /// Tunnels in each other that are followed.
    #[arg(skip)]
    pub depth_tunnels: Option<u64>,
    /// Tags, labels and other headers before one IP header that are followed.
    #[arg(skip)]
    pub depth_link_headers: Option<u64>,
    /// Extension headers of one IPv6 header that are followed.
    #[arg(skip)]
    pub depth_extension_headers: Option<u64>,
    /// Names of addresses, as DNS answers told them, that are kept for flows without a name.
    #[arg(skip)]
    pub passive_dns_names: Option<u64>,
    /// Networks that are inside; empty: private ranges and the interface's own.
    #[arg(skip)]
    #[serde(deserialize_with = "names")]
    pub local_networks: Option<Vec<String>>,

    /// Write alerts to this file, one JSON object per line
    #[arg(long, value_name = "PATH")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub alerts_jsonl: Option<PathBuf>,

    /// Who else is told of alerts.
    #[command(flatten)]
    pub alerts: AlertOptions,

    /// What is detected.
    #[command(flatten)]
    pub anomalies: AnomalyOptions,
}

impl AnalysisOptions {
    /// Payload is looked into.
    pub(super) fn inspects(&self) -> bool {
        self.dpi.unwrap_or(true)
    }

    pub(super) fn settle(&mut self) {
        self.headers = match (self.headers_yes, self.headers_no) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => self.headers,
        };
        self.dpi = match (self.dpi_yes, self.dpi_no) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => self.dpi,
        };
        self.anomalies.settle();
    }

    pub(super) fn over(self, under: Self) -> Self {
        Self {
            rtt: self.rtt.or(under.rtt),
            retrans: self.retrans.or(under.retrans),
            out_of_order: self.out_of_order.or(under.out_of_order),
            headers: self.headers.or(under.headers),
            headers_yes: self.headers_yes,
            headers_no: self.headers_no,
            dpi: self.dpi.or(under.dpi),
            dpi_yes: self.dpi_yes,
            dpi_no: self.dpi_no,
            dpi_stream_bytes: self.dpi_stream_bytes.or(under.dpi_stream_bytes),
            dpi_packets: self.dpi_packets.or(under.dpi_packets),
            dpi_flows: self.dpi_flows.or(under.dpi_flows),
            dpi_memory_mb: self.dpi_memory_mb.or(under.dpi_memory_mb),
            depth_tunnels: self.depth_tunnels.or(under.depth_tunnels),
            depth_link_headers: self.depth_link_headers.or(under.depth_link_headers),
            depth_extension_headers: self.depth_extension_headers.or(under.depth_extension_headers),
            passive_dns_names: self.passive_dns_names.or(under.passive_dns_names),
            local_networks: self.local_networks.or(under.local_networks),
            alerts_jsonl: self.alerts_jsonl.or(under.alerts_jsonl),
            alerts: self.alerts.over(under.alerts),
            anomalies: self.anomalies.over(under.anomalies),
        }
    }
}
