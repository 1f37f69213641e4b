//! What leaves the aggregator: a report per tick and a summary at the end. Plain values; knows no format.

use super::address_names::NamingCounts;
use super::announced::AnnouncedCounts;
use super::judging::DetectionCounts;
use super::muting::MuteCount;
use super::selection::FlowsUnselected;
use crate::detect::BurstReport;
use crate::engine::{BatchTimes, DirectionCounts, Ledger, ProtocolClass, TrafficCount};
use crate::flight::FlightCounts;
use crate::flow::{FlowCounters, FragmentCounters, TopFlow};
use netscope_backends::{Counters, RingFill, Timestamp};

/// One tick of the whole link.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Number of the tick: packet time divided by the interval.
    pub tick: u64,
    /// End of the tick.
    pub time: Timestamp,
    /// Time since the report before, in ns (the configured interval, or more after a gap).
    pub interval_ns: u64,
    /// Packets of this tick.
    pub packets: u64,
    /// Bytes on the wire of this tick.
    pub bytes: u64,
    /// Packets since the start.
    pub packets_total: u64,
    /// Bytes on the wire since the start.
    pub bytes_total: u64,
    /// Of both, those that went each way in this tick, by [`TrafficDirection`](crate::engine::TrafficDirection); all 0 unless that is
    /// asked for. Since the start they are in the totals' ledger.
    pub directions: DirectionCounts,
    /// Flows alive.
    pub active_flows: u64,
    /// Packets we left out ourselves in this tick.
    pub dispatch_drops: u64,
    /// Packets we left out ourselves since the start.
    pub dispatch_drops_total: u64,
    /// Packets the kernel dropped in this tick.
    pub kernel_drops: u64,
    /// Packets the kernel dropped since the start.
    pub kernel_drops_total: u64,
    /// Packets the interface dropped in this tick.
    pub interface_drops: u64,
    /// Packets the interface dropped since the start.
    pub interface_drops_total: u64,
    /// The flows with the most bytes in this tick, largest first.
    pub top: Vec<TopFlow>,
    /// The bursts of each link in this tick; empty unless they are measured.
    pub microbursts: Vec<BurstReport>,
    /// Everything since the start, as a summary would have it now.
    pub totals: Summary,
    /// How every output fares. Who carries reports to the outputs says it.
    pub outputs: Vec<OutputState>,
}

/// How an output fares while the run goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputState {
    /// What it left out so far.
    pub loss: OutputLoss,
    /// It failed: nothing more is given to it.
    pub has_ended: bool,
}

/// What one queue has of a summary. All numbers are since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueReport {
    /// The queue's number, from 0.
    pub queue: u16,
    /// The latest tick that it ended.
    pub tick: u64,
    /// Packets that its worker answers for.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Packets and bytes of each protocol, by [`ProtocolClass`], as [`Ledger::protocols`] has them.
    pub protocols: [TrafficCount; ProtocolClass::ALL.len()],
    /// What its source counted, losses by place.
    pub source: Counters,
    /// Flows alive in its table.
    pub flow_count: u64,
    /// What waited in its ring; `None` where there is none, or none that can be looked into.
    pub ring: Option<RingFill>,
    /// How long its batches took.
    pub batches: BatchTimes,
    /// Time that its worker spent on batches and on answers since the start, in ns of our own: its growth over a tick, divided by the
    /// tick's length, is the worker's load.
    pub busy_ns: u64,
    /// How often it said nothing for two ticks.
    pub silence_count: u64,
    /// Set when it has said nothing for two ticks and the report was made without it: the end of `tick` in packet time, 0 when it
    /// never ended one.
    pub silent_since: Option<Timestamp>,
}

/// A whole run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Where every packet went.
    pub ledger: Ledger,
    /// What the source counted.
    pub source: Counters,
    /// Flows opened and ended.
    pub flows: FlowCounters,
    /// Flows alive at the end.
    pub flow_count: u64,
    /// IP fragments, the odd ones too.
    pub fragments: FragmentCounters,
    /// Anomalies of TCP flows that were not noted for want of side memory.
    pub tcp_refused: u64,
    /// Gaps in TCP sequences that were forgotten because a flow had too many at once.
    pub tcp_gaps_forgotten: u64,
    /// TCP handshakes that ended before they began, by the clock of the capture.
    pub tcp_backward_handshakes: u64,
    /// TCP segments that their receiver drops: resets and SYNs outside the window, and what is not acceptable in a handshake. The
    /// connection went on.
    pub tcp_out_of_window: u64,
    /// Ended flows that the table exports leave out because `--export-ended-max` was reached.
    pub export_left_out: u64,
    /// Flows that outputs did not get because `--where` is not true of them.
    pub unselected: FlowsUnselected,
    /// Flows without their facts because a box or the store of facts had no room for them: ended ones, and live ones in tables that
    /// were written while the run went on.
    pub facts_left_out: u64,
    /// What passive DNS did.
    pub naming: NamingCounts,
    /// What came of announcements of flows.
    pub announced: AnnouncedCounts,
    /// Records of the table exports that were joined from halves that came on different queues.
    pub flows_joined: u64,
    /// Batches of all workers, and how long those of the slowest one took.
    pub batches: BatchTimes,
    /// What each queue has of it.
    pub queues: Vec<QueueReport>,
    /// What detection counted; `None` when nothing was detected for.
    pub detection: Option<DetectionCounts>,
    /// What each mute rule muted.
    pub mutes: Vec<MuteCount>,
    /// What the flight recorder did; `None` when there is none.
    pub flight: Option<FlightCounts>,
    /// Outputs that were too slow for a wire, and what each left out for it.
    pub outputs: Vec<OutputLoss>,
    /// What each output of flows has in its file. Known once all outputs are finished.
    pub rows: Vec<OutputRows>,
    /// What became of the alerts of each receiver. Known once all outputs are finished.
    pub receivers: Vec<AlertDeliveries>,
    /// Packets that the recorder has in its files.
    pub packets_written: u64,
    /// Packets that were to be recorded and are in no file, whatever the reason.
    pub packets_not_written: u64,
    /// Commands after rotated files.
    pub commands: CommandCounts,
}

/// What an output of flows has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputRows {
    /// Its name: usually the path it writes to.
    pub output: String,
    /// Flows that are in its files.
    pub written: u64,
    /// Flows that should be there and are not: it failed, was too slow, or they were lost before it.
    pub not_written: u64,
}

/// What became of the alerts for a receiver (syslog, a webhook, a command).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertDeliveries {
    /// Its name.
    pub output: String,
    /// Alerts that it took.
    pub delivered: u64,
    /// Alerts that it does not take: no use in trying again.
    pub refused: u64,
    /// Alerts that were given up after as many attempts, or as long a time, as are set.
    pub expired: u64,
    /// Alerts for which its queue had no room.
    pub queue_full: u64,
    /// Alerts that were not delivered by the end.
    pub unsent_at_exit: u64,
    /// Attempts that failed, those of alerts that were delivered later included.
    pub failed_attempts: u64,
}

impl AlertDeliveries {
    /// Alerts that it did not get.
    pub const fn lost(&self) -> u64 {
        self.refused + self.expired + self.queue_full + self.unsent_at_exit
    }
}

/// Commands that were run after files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandCounts {
    /// Commands that were started.
    pub run: u64,
    /// Files whose command failed or could not be run.
    pub failed: u64,
}

/// What an output did not get because its queue was full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputLoss {
    /// Its name: usually the path it writes to.
    pub output: String,
    /// Ended flows.
    pub records: u64,
    /// Reports.
    pub reports: u64,
    /// Alerts.
    pub alerts: u64,
}

impl Summary {
    /// Packets that the source received and that are neither processed nor under a named loss. 0, or the ledger has a hole.
    pub fn unaccounted(&self) -> i128 {
        let source = &self.source;
        i128::from(source.received)
            - i128::from(source.filtered)
            - i128::from(source.kernel_drops)
            - i128::from(source.damaged)
            - i128::from(source.skipped)
            - i128::from(self.ledger.beyond_count)
            - i128::from(self.ledger.unread)
            - i128::from(self.ledger.packets)
            + self.ledger.unaccounted()
    }
}
