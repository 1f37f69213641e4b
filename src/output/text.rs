//! What a person reads on standard output: a line per tick, a line per alert, the summary, the largest flows.
//!
//! Owns their wording. Knows no terminal. Invariant: whatever is written here is made from numbers, addresses and names of ours,
//! so nothing that a packet carried reaches the terminal.

use crate::aggregate::{Output, OutputLoss, Report, Summary, Table};
use crate::detect::Alert;
use crate::engine::NoFlowReason;
use crate::flight::FlightCounts;
use crate::flow::{EndReason, TopFlow};
use crate::record::{counted, endpoints, flow_table, human_bytes, human_duration, protocol_name};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::mpsc::Receiver;

/// What to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSettings {
    /// A line per tick and its top flows.
    pub stats: bool,
    /// Top flows of a tick at most.
    pub top_flows: usize,
    /// A line per alert.
    pub alerts: bool,
    /// Rows of the table of the largest flows at the end, 0 = no table.
    pub table_rows: usize,
    /// Width of that table in characters.
    pub columns: usize,
}

/// Writes text for a person. Whole lines, flushed.
pub struct TextReport<W: Write> {
    out: W,
    name: &'static str,
    settings: TextSettings,
    before: Option<Receiver<Infallible>>,
}

impl<W: Write> TextReport<W> {
    /// Writes to `out`, which has this name in messages.
    pub fn new(out: W, name: &'static str, settings: TextSettings) -> Self {
        Self { out, name, settings, before: None }
    }

    /// Writes what is said at the end behind what goes there first: when the sender of `before` is dropped.
    #[must_use]
    pub fn after(self, before: Receiver<Infallible>) -> Self {
        Self { before: Some(before), ..self }
    }
}

impl<W: Write + Send> Output for TextReport<W> {
    fn name(&self) -> &str {
        self.name
    }

    fn wants_table(&self) -> bool {
        self.settings.table_rows > 0
    }

    fn wants_reports(&self) -> bool {
        self.settings.stats
    }

    fn wants_alerts(&self) -> bool {
        self.settings.alerts
    }

    fn alert(&mut self, alert: &Alert) -> io::Result<()> {
        self.out.write_all(alert_line(alert).as_bytes())
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        let mut text = stats_line(report);
        text.push('\n');
        text.push_str(&burst_lines(report));
        text.push_str(&top_lines(report, self.settings.top_flows));
        self.out.write_all(text.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, table: &Table, _summary: &Summary) -> io::Result<()> {
        if let Some(before) = self.before.take() {
            // Nothing is ever sent: it ends with an error when the other end is dropped.
            let _ = before.recv();
        }
        if self.settings.table_rows > 0 {
            let flows = (0..table.len()).map(|index| (table.record(index), table.facts(index)));
            self.out.write_all(flow_table(flows, self.settings.table_rows, self.settings.columns).as_bytes())?;
        }
        self.out.flush()
    }
}

/// The line of an alert, with a line feed.
pub fn alert_line(alert: &Alert) -> String {
    format!("[alert] {}\n", alert.description)
}

/// The line of a tick, without a line feed.
pub fn stats_line(report: &Report) -> String {
    let mut text = format!(
        "[stats] {:.2} Mbps | {} pps | {} flows | drops={} (total={}) | kdrop={} (total={}) ifdrop={} (total={})",
        megabits_per_second(report.bytes, report.interval_ns),
        per_second(report.packets, report.interval_ns),
        report.active_flows,
        report.dispatch_drops,
        report.dispatch_drops_total,
        report.kernel_drops,
        report.kernel_drops_total,
        report.interface_drops,
        report.interface_drops_total,
    );
    let mut silent =
        report.totals.queues.iter().filter(|queue| queue.silent_since.is_some()).map(|queue| queue.queue.to_string());
    if let Some(first) = silent.next() {
        // Writing to a String cannot fail.
        let _ = write!(text, " | silent queues: {}", silent.fold(first, |all, next| all + "," + &next));
    }
    text
}

/// A line per link whose bursts are measured, each with a line feed.
pub fn burst_lines(report: &Report) -> String {
    let mut text = String::new();
    for bursts in &report.microbursts {
        let mbps = |bytes| megabits_per_second(bytes, bursts.bin_ns);
        let percent = bursts.peak_percent().map_or_else(String::new, |percent| format!(" ({percent} %)"));
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "[bursts]{} peak {:.2} Mbps{percent} | p50 {:.2} p99 {:.2} Mbps | {} us bins",
            bursts.link.name.as_ref().map_or_else(String::new, |name| format!(" {name}")),
            mbps(bursts.peak.bytes),
            mbps(bursts.p50_bytes),
            mbps(bursts.p99_bytes),
            bursts.bin_ns / 1000,
        );
        if let Some(above) = bursts.above {
            let _ = write!(text, " | {above} of {} above {} %", bursts.bins, bursts.threshold_percent);
        }
        if let Some(direction) = bursts.direction {
            let _ = write!(text, " | {direction}");
        }
        text.push('\n');
    }
    text
}

/// One indented line per top flow, at most `count`, each with a line feed; empty without top flows.
pub fn top_lines(report: &Report, count: usize) -> String {
    let mut text = String::new();
    for (rank, flow) in (1..=count).zip(&report.top) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {rank:>2}. {}", top_line(flow, report.interval_ns));
    }
    text
}

fn top_line(flow: &TopFlow, interval_ns: u64) -> String {
    let [a, b] = endpoints(&flow.key);
    let mut text = format!(
        "{} {a} <-> {b}  {:.2} Mbps (+{}) | {} in {} | {}",
        protocol_name(flow.key.protocol()),
        megabits_per_second(flow.delta_bytes, interval_ns),
        human_bytes(flow.delta_bytes),
        human_bytes(flow.bytes[0].saturating_add(flow.bytes[1])),
        counted(flow.packets[0].saturating_add(flow.packets[1]), "packet"),
        human_duration(flow.last_seen.since(flow.first_seen)),
    );
    if let Some(tcp) = &flow.tcp {
        // Writing to a String cannot fail.
        let _ = write!(text, " | {} retrans={} ooo={}", tcp.state.name(), tcp.retransmissions, tcp.out_of_order);
        if let Some(rtt_ns) = tcp.typical_rtt_ns() {
            let _ = write!(text, " rtt={}", human_duration(rtt_ns));
        }
    }
    text
}

/// Rate in 10^6 bits per second; 0 for an empty interval.
fn megabits_per_second(bytes: u64, interval_ns: u64) -> f64 {
    if interval_ns == 0 { 0.0 } else { bytes as f64 * 8_000.0 / interval_ns as f64 }
}

/// Rate per second, rounded to the nearest; 0 for an empty interval.
fn per_second(count: u64, interval_ns: u64) -> u128 {
    let interval = u128::from(interval_ns);
    (u128::from(count) * 1_000_000_000 + interval / 2).checked_div(interval).unwrap_or(0)
}

/// What TCP analysis could not follow.
fn tcp_rows(text: &mut SummaryText, summary: &Summary) {
    text.row_if("TCP anomalies not noted (no side memory)", summary.tcp_refused);
    text.row_if("TCP gaps forgotten (too many at once)", summary.tcp_gaps_forgotten);
    text.row_if("TCP handshakes that ended before they began (clock)", summary.tcp_backward_handshakes);
    text.row_if("TCP segments that their receiver drops, not followed", summary.tcp_out_of_window);
    text.row_if("TCP connections forgotten too early for what came late (too many at once)", summary.flows.closes_forgotten);
}

/// What inspection of payload found and left out.
fn inspection_rows(text: &mut SummaryText, summary: &Summary) {
    let inspection = &summary.flows.inspection;
    text.row_if("flows whose application is known", inspection.recognised);
    text.row_if(
        "flows with more at their beginning than is put in order (analysis.dpi_stream_bytes)",
        inspection.streams_too_long,
    );
    text.row_if("flows given up early (too many inspected at once: analysis.dpi_flows)", inspection.flows_too_many);
    text.row_if("flows given up early (too many bytes at once: analysis.dpi_memory_mb)", inspection.bytes_too_many);
    text.row_if("facts that found no room in their record", inspection.facts_too_many);
    text.row_if("flows named by a DNS answer to their client", summary.naming.named);
    text.row_if("names of addresses forgotten for later ones (analysis.passive_dns_names)", summary.naming.forgotten);
    text.row_if("names of addresses lost on the way (no free box, or far behind in an answer)", summary.ledger.names_skipped);
    text.row_if("flows known by what a control connection announced", summary.announced.flows);
    text.row_if("announcements of flows forgotten for later ones", summary.announced.forgotten);
    text.row_if("announcements of flows lost on the way (no free box)", summary.ledger.announcements_skipped);
    text.row_if("control connections given up early (too many at once)", inspection.controls_too_many);
    text.row_if("control connections with more than is looked at", inspection.controls_too_long);
}

/// What the flight recorder did.
fn flight_rows(text: &mut SummaryText, flight: &FlightCounts) {
    text.row(
        "recordings",
        format!("{} ({}, {})", flight.recordings, counted(flight.packets, "packet"), human_bytes(flight.bytes)),
    );
    text.row_if("  incomplete (slow disk, or no room in memory or file)", flight.incomplete);
    text.row_if("  lost: the disk refused them", flight.lost_disk);
    text.row_if("  lost: too many at once", flight.lost_busy);
    text.row_if("packets not kept for recordings", flight.packets_skipped);
    text.row_if("old recordings deleted", flight.files_deleted);
}

/// The summary at the end, several lines. Rests, faults and losses are named only where there are any; the fixed rows always.
pub fn summary_text(summary: &Summary) -> String {
    let (ledger, source) = (&summary.ledger, &summary.source);
    let mut text = SummaryText(String::from("Summary\n"));
    text.row("packets", format!("{} ({})", ledger.packets, human_bytes(ledger.bytes)));
    text.row("packets in flows", ledger.in_flows);
    for rest in NoFlowReason::ALL {
        text.row_if(&format!("packets in no flow: {}", words(rest.name())), ledger.no_flow[rest as usize]);
    }
    text.row("parse errors", ledger.parse_errors());
    let rows = |text: &mut SummaryText, errors: bool| {
        for (layer, kind, packets) in ledger.fault_rows().filter(|(_, kind, _)| kind.is_error() == errors) {
            text.row(&format!("  {} {}", layer.name(), words(kind.name())), packets);
        }
    };
    rows(&mut text, true);
    // None of these is an error: what follows such a header is not read here, or cannot be.
    let not_read = ledger.fault_rows().filter(|(_, kind, _)| !kind.is_error()).map(|(.., packets)| packets).sum();
    text.row_if("packets with a header of an unknown or encrypted protocol", not_read);
    rows(&mut text, false);
    text.row("kernel drops", source.kernel_drops);
    text.row_if("  ring full", source.ring_full_drops);
    text.row_if("  no free frame", source.fill_empty_drops);
    text.row_if("times the kernel's ring was full", source.ring_freezes);
    text.row_if("packets of damaged blocks", source.damaged);
    text.row("interface drops", source.interface_drops);
    text.row_if("packets skipped", source.skipped);
    text.row("drop rate", format!("{:.3} %", drop_percent(summary)));
    text.row_if("packets not matching the filter", source.filtered);
    text.row_if("packets read but not processed (after --count or the stop)", ledger.beyond_count);
    text.row_if("packets still in the kernel at the end", ledger.unread);
    text.row_if("packets not copied to the recorder or view", ledger.taps_skipped);
    text.row_if("packets left out of the page's sample", ledger.samples_skipped);
    text.row_if("packets not written", summary.packets_not_written);
    text.row_if("ended flows lost before all outputs", ledger.records_skipped);
    for rows in &summary.rows {
        text.row_if(&format!("flows not written to {}", rows.output), rows.not_written);
    }
    text.row_if("files whose --post-rotate command failed", summary.commands.failed);
    for OutputLoss { output, records, reports, alerts } in &summary.outputs {
        text.row_if(&format!("alerts left out of {output}"), *alerts);
        text.row_if(&format!("ended flows left out of {output}"), *records);
        text.row_if(&format!("reports left out of {output}"), *reports);
    }
    for receiver in &summary.receivers {
        text.row_if(&format!("alerts not delivered to {}", receiver.output), receiver.lost());
    }
    for queue in &summary.queues {
        text.row_if(&format!("times queue {} was silent for two ticks", queue.queue), queue.silence_count);
    }
    text.row_if("snapshots skipped (the next ones had their numbers)", ledger.snapshots_skipped);
    text.row_if("wrong IPv4 header checksums", ledger.ipv4_checksums_bad);
    text.row_if("packets with an earlier time than the one before", ledger.time_regressions);
    text.row_if("packets with a time that those around them contradict", summary.source.times_contradicted);
    text.row_if("overlapping fragments", summary.fragments.overlapping);
    text.row_if("tiny fragments", summary.fragments.tiny);
    text.row_if("fragmented datagrams forgotten (too many at once)", summary.fragments.evicted);
    tcp_rows(&mut text, summary);
    text.row("flows", summary.flows.opened);
    for reason in EndReason::ALL {
        text.row_if(&format!("  ended by {}", words(reason.name())), summary.flows.ended[reason as usize]);
    }
    text.row_if("flows with packets of several VLANs or tunnels (--flow-key tells them apart)", summary.flows.domain_changed);
    text.row_if("flows whose VLAN tags or tunnel were one too many for the key", summary.flows.domain_overflow);
    inspection_rows(&mut text, summary);
    if let Some(flight) = &summary.flight {
        flight_rows(&mut text, flight);
    }
    detection_rows(&mut text, summary);
    text.row_if("ended flows left out of the table exports", summary.export_left_out);
    text.row_if("ended flows that --where left out", summary.unselected.ended);
    text.row_if("flows that --where left out of the tables", summary.unselected.table);
    text.row_if("flows without their facts (no room)", summary.facts_left_out);
    text.row_if("flows whose halves came on different queues", summary.flows_joined);
    if summary.unaccounted() != 0 {
        text.row("packets unaccounted for (please report this)", summary.unaccounted());
    }
    text.0
}

/// What was detected.
fn detection_rows(text: &mut SummaryText, summary: &Summary) {
    if let Some(detection) = &summary.detection {
        text.row("alerts", detection.begun);
        text.row_if("alerts muted", detection.muted);
        text.row_if("alerts left out (too many at once)", detection.left_out);
        text.row_if("observations without room in the evidence (analysis.anomalies.table_mb)", detection.overflow);
        text.row_if("bins of evidence that came with a later one", detection.bins_delayed);
    }
}

/// Lost packets in percent of all that came: those we got, those the kernel and those the interface dropped.
fn drop_percent(summary: &Summary) -> f64 {
    let source = &summary.source;
    let lost = [source.kernel_drops, source.damaged, source.interface_drops, source.skipped].iter().sum::<u64>();
    let came = source.received.saturating_add(source.interface_drops);
    if came == 0 { 0.0 } else { lost as f64 * 100.0 / came as f64 }
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

struct SummaryText(String);

impl SummaryText {
    fn row(&mut self, name: &str, value: impl std::fmt::Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "  {name}: {value}");
    }

    fn row_if(&mut self, name: &str, value: u64) {
        if value > 0 {
            self.row(name, value);
        }
    }
}
