//! What a history answers: one number over time.
//!
//! Owns names of metrics and how slots become points. Knows no format. Invariant: counts of all points add up to those of the slots between the two times.

use super::distribution::{Distribution, DistributionKind, KeptDistribution};
use super::slots::{AlertTally, EndedSlot, TrafficSlot};
use super::timeline::{KeptSlot, TimelineSlots};
use super::{HistorySnapshot, Tally};
use crate::engine::{ProtocolClass, TrafficDirection};
use netscope_backends::Timestamp;

const SECOND_NS: u64 = Timestamp::NS_PER_SEC;
const MINUTE_NS: u64 = 60 * SECOND_NS;
/// Points of an answer at most.
const POINT_COUNT_MAX: u64 = 100_000;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HistoryMetric {
    /// Packets.
    Packets,
    /// Bytes on the wire.
    Bytes,
    /// Bytes of a protocol.
    ProtocolBytes(ProtocolClass),
    /// Bytes that went this way, as far as that was asked for.
    DirectionBytes(TrafficDirection),
    /// Packets that the kernel, the interface, or a damaged block cost, and those that the source left out.
    Drops,
    /// Flow records opened.
    FlowsOpened,
    /// Most flows alive at the end of a tick.
    FlowsActive,
    /// Alerts that began.
    Alerts,
    /// Flows that ended.
    FlowsEnded,
    /// Retransmitted segments of flows that ended.
    Retransmissions,
    /// Bytes of flows that ended with this IP protocol and responder's port, as far as the port is among the best of its slot.
    PortBytes(u8, u16),
    /// A quantile (0 to 1) of packet sizes in bytes.
    PacketSize(f64),
    /// The same of batch times in ns.
    BatchTime(f64),
    /// The same of round trips of flows that ended, in us.
    Rtt(f64),
    /// The same of their durations in ms.
    FlowDuration(f64),
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HistoryQuery {
    /// What.
    pub metric: HistoryMetric,
    /// The first moment.
    pub from: Timestamp,
    /// The moment behind the last one.
    pub to: Timestamp,
    /// Length of a point in ns. Whole minutes are answered from minutes, anything else from seconds.
    pub step_ns: u64,
}

/// A point of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryPoint {
    /// When it begins.
    pub time: Timestamp,
    /// The count, the largest value, or the quantile of all slots that begin in it; `None` where there is no slot.
    pub value: Option<u64>,
}

/// How the slots of a point become one.
#[derive(Clone, Copy)]
enum Fold<K> {
    Sum(fn(&K) -> u64),
    Max(fn(&K) -> u64),
    Quantile(DistributionKind, fn(&K) -> &KeptDistribution, f64),
}

impl HistorySnapshot {
    /// Answers. Points begin at whole multiples of the step; at most 100,000, the latest.
    pub fn query(&self, query: &HistoryQuery) -> Vec<HistoryPoint> {
        use HistoryMetric as Metric;
        let drops = |slot: &TrafficSlot| {
            let drops = &slot.drops;
            drops.kernel.saturating_add(drops.interface).saturating_add(drops.damaged).saturating_add(drops.skipped)
        };
        let traffic = |fold| points(&self.traffic, query, fold);
        let ended = |fold| points(&self.ended, query, fold);
        match query.metric {
            Metric::Packets => traffic(Fold::Sum(|slot| slot.packets)),
            Metric::Bytes => traffic(Fold::Sum(|slot| slot.bytes)),
            Metric::DirectionBytes(TrafficDirection::In) => traffic(Fold::Sum(|slot| slot.directions[0].bytes)),
            Metric::DirectionBytes(TrafficDirection::Out) => traffic(Fold::Sum(|slot| slot.directions[1].bytes)),
            Metric::DirectionBytes(TrafficDirection::Internal) => traffic(Fold::Sum(|slot| slot.directions[2].bytes)),
            Metric::DirectionBytes(TrafficDirection::Through) => traffic(Fold::Sum(|slot| slot.directions[3].bytes)),
            Metric::ProtocolBytes(class) => {
                let of_class = |slot: &TrafficSlot| slot.protocols[class as usize].bytes;
                sums(&self.traffic, query, of_class)
            }
            Metric::Drops => traffic(Fold::Sum(drops)),
            Metric::FlowsOpened => traffic(Fold::Sum(|slot| slot.flows_opened)),
            Metric::FlowsActive => traffic(Fold::Max(|slot| slot.flows_active_max)),
            Metric::Alerts => sums(&self.alerts, query, |slot: &Vec<AlertTally>| slot.iter().map(|tally| tally.count).sum()),
            Metric::FlowsEnded => ended(Fold::Sum(|slot| slot.total.flows)),
            Metric::Retransmissions => ended(Fold::Sum(|slot| slot.total.retransmissions)),
            Metric::PortBytes(protocol, port) => {
                let is_it = |(key, _): &&((u8, u16), Tally)| *key == (protocol, port);
                sums(&self.ended, query, |slot: &EndedSlot| {
                    slot.ports.best.iter().find(is_it).map_or(0, |(_, tally)| tally.bytes)
                })
            }
            Metric::PacketSize(share) => traffic(Fold::Quantile(DistributionKind::PacketSize, |slot| &slot.sizes, share)),
            Metric::BatchTime(share) => traffic(Fold::Quantile(DistributionKind::BatchTime, |slot| &slot.batches, share)),
            Metric::Rtt(share) => ended(Fold::Quantile(DistributionKind::Rtt, |slot| &slot.rtt, share)),
            Metric::FlowDuration(share) => ended(Fold::Quantile(DistributionKind::FlowDuration, |slot| &slot.durations, share)),
        }
    }
}

/// The slots of each point, in order.
fn by_point<'a, K>(
    slots: &'a TimelineSlots<K>,
    query: &HistoryQuery,
) -> impl Iterator<Item = (Timestamp, impl Iterator<Item = &'a K> + Clone)> {
    let step = query.step_ns.max(SECOND_NS).div_ceil(SECOND_NS) * SECOND_NS;
    let slots: &'a [KeptSlot<K>] = if step.is_multiple_of(MINUTE_NS) { &slots.minutes } else { &slots.seconds };
    let (from, to) = (query.from.0 / step, query.to.0.div_ceil(step));
    let range = from.max(to.saturating_sub(POINT_COUNT_MAX))..to;
    let place = move |time: u64| slots.partition_point(|(start, _)| start.0 < time);
    range.map(move |number| {
        let start = number.saturating_mul(step);
        let of_point = place(start)..place(start.saturating_add(step));
        (Timestamp(start), slots.get(of_point).unwrap_or_default().iter().map(|(_, slot)| &**slot))
    })
}

fn sums<K>(slots: &TimelineSlots<K>, query: &HistoryQuery, value: impl Fn(&K) -> u64) -> Vec<HistoryPoint> {
    let point = |(time, slots): (Timestamp, _)| HistoryPoint { time, value: reduce(slots, &value, u64::saturating_add) };
    by_point(slots, query).map(|(time, slots)| point((time, slots.collect()))).collect()
}

fn reduce<K>(slots: Vec<&K>, value: impl Fn(&K) -> u64, join: fn(u64, u64) -> u64) -> Option<u64> {
    slots.into_iter().map(value).reduce(join)
}

fn points<K>(slots: &TimelineSlots<K>, query: &HistoryQuery, fold: Fold<K>) -> Vec<HistoryPoint> {
    let value = |slots: Vec<&K>| match fold {
        Fold::Sum(value) => reduce(slots, value, u64::saturating_add),
        Fold::Max(value) => reduce(slots, value, u64::max),
        Fold::Quantile(kind, of_slot, share) => {
            let mut sum = Distribution::new(kind);
            slots.into_iter().for_each(|slot| sum.merge(of_slot(slot)));
            (sum.count() > 0).then(|| sum.quantile(share))
        }
    };
    by_point(slots, query).map(|(time, slots)| HistoryPoint { time, value: value(slots.collect()) }).collect()
}
