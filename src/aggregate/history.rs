//! What the link did in the last hour, second by second, and in the last day, minute by minute.
//!
//! Owns three timelines: traffic (from reports), flows that ended (from records), alerts. Knows no clock and no output; time is that of packets. Invariants: of a
//! source that waits, it depends on the packets alone, batch times excepted, however many workers there were; memory has a bound.

mod distribution;
mod query;
mod slots;
mod timeline;
mod tops;

pub use self::distribution::{Distribution, DistributionKind, KeptDistribution};
pub use self::query::{HistoryMetric, HistoryPoint, HistoryQuery};
pub use self::slots::{AlertTally, EndedSlot, SlotDrops, TrafficSlot};
pub use self::timeline::{KeptSlot, TimelineSlots};
pub use self::tops::{Tally, TopList};

use self::slots::{OpenAlerts, OpenEnded, OpenTraffic};
use self::timeline::Timeline;
use super::Report;
use super::merge::Inbox;
use crate::detect::{Alert, AlertPhase};
use crate::engine::{DirectionCounts, Ledger, ProtocolClass, TrafficCount};
use crate::flow::FlowRecord;
use netscope_backends::{Counters, Timestamp};

/// The history of a run while it goes on.
pub struct History {
    traffic: Timeline<OpenTraffic>,
    ended: Timeline<OpenEnded>,
    alerts: Timeline<OpenAlerts>,
    tick_ns: u64,
    /// RunTotals of the report before.
    before: RunTotals,
}

/// What a history says at one moment. Cheap to copy: slots that are over are shared.
#[derive(Clone, Debug)]
pub struct HistorySnapshot {
    /// Traffic and losses, from reports.
    pub traffic: TimelineSlots<TrafficSlot>,
    /// Flows that ended, in the slot in which each did.
    pub ended: TimelineSlots<EndedSlot>,
    /// Alerts that began.
    pub alerts: TimelineSlots<Vec<AlertTally>>,
}

/// Sums since the start of which slots have the growth.
#[derive(Clone, Copy, Debug, Default)]
struct RunTotals {
    directions: DirectionCounts,
    protocols: [TrafficCount; ProtocolClass::ALL.len()],
    opened: u64,
    ended: u64,
    drops: SlotDrops,
}

impl RunTotals {
    fn of(report: &Report) -> Self {
        let totals = &report.totals;
        let (Ledger { protocols, directions, taps_skipped, records_skipped, .. }, source) = (&totals.ledger, &totals.source);
        let Counters { kernel_drops, interface_drops, damaged, skipped, .. } = *source;
        let drops = SlotDrops {
            kernel: kernel_drops,
            interface: interface_drops,
            damaged,
            skipped,
            taps_skipped: *taps_skipped,
            records_skipped: *records_skipped,
        };
        Self {
            protocols: *protocols,
            directions: *directions,
            opened: totals.flows.opened,
            ended: totals.flows.ended.iter().sum(),
            drops,
        }
    }
}

impl History {
    /// A history of nothing, by ticks of this length.
    pub fn new(tick_ns: u64) -> Self {
        let before = RunTotals::default();
        Self { traffic: Timeline::new(), ended: Timeline::new(), alerts: Timeline::new(), tick_ns, before }
    }

    /// A tick is over, with this evidence on the queues; ticks of a second at most.
    pub fn note_report(&mut self, report: &Report, inboxes: &[Inbox]) {
        let now = RunTotals::of(report);
        let before = std::mem::replace(&mut self.before, now);
        let grown = |now: u64, before: u64| now.saturating_sub(before);
        // All of it is in the second in which the tick began.
        let time = Timestamp(report.tick.saturating_mul(self.tick_ns));
        self.traffic.add(time, |slot| {
            let sums = &mut slot.sums;
            sums.packets += report.packets;
            sums.bytes += report.bytes;
            for ((sum, now), before) in sums.protocols.iter_mut().zip(now.protocols).zip(before.protocols) {
                sum.packets += grown(now.packets, before.packets);
                sum.bytes += grown(now.bytes, before.bytes);
            }
            for ((sum, now), before) in sums.directions.iter_mut().zip(now.directions).zip(before.directions) {
                *sum += now.since(before);
            }
            sums.flows_opened += grown(now.opened, before.opened);
            sums.flows_ended += grown(now.ended, before.ended);
            sums.flows_active = report.active_flows;
            sums.flows_active_max = sums.flows_active_max.max(report.active_flows);
            sums.drops.add(&now.drops.since(&before.drops));
            for counts in inboxes.iter().map(|inbox| &inbox.merged.evidence.counts) {
                counts.sizes.iter().for_each(|&(value, count)| slot.sizes.add(value, count));
                counts.batches.iter().for_each(|&(value, count)| slot.batches.add(value, count));
            }
        });
    }

    /// A flow ended. Told in the order of [`super::Event::Ended`].
    pub fn note_ended(&mut self, record: &FlowRecord) {
        self.ended.add(record.ended, |slot| slot.add(record));
    }

    /// An alert began, goes on or ended.
    pub fn note_alert(&mut self, alert: &Alert) {
        if alert.phase == AlertPhase::Begin {
            self.alerts.add(alert.time, |slot| slot.add(alert));
        }
    }

    /// What it says now.
    pub fn snapshot(&self) -> HistorySnapshot {
        HistorySnapshot { traffic: self.traffic.slots(), ended: self.ended.slots(), alerts: self.alerts.slots() }
    }
}

impl HistorySnapshot {
    /// Bytes of memory that its slots take.
    pub fn memory(&self) -> usize {
        let traffic = self.traffic.seconds.iter().chain(&self.traffic.minutes).map(|(_, slot)| slot.memory());
        let ended = self.ended.seconds.iter().chain(&self.ended.minutes).map(|(_, slot)| slot.memory());
        let alerts = self.alerts.seconds.iter().chain(&self.alerts.minutes).map(|(_, slot)| slots::alerts_memory(slot));
        traffic.sum::<usize>() + ended.sum::<usize>() + alerts.sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
